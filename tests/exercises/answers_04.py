"""Answers to assignment 04: one in another style, and wrong ones that students give, with the message they need."""

GAUSSIANS = "def distance_of_gaussians(first_mean, first_variances, second_mean, second_variances):\n    "
SHIFT = "np.sum((first_mean - second_mean) ** 2)"
ROOTS = "np.sum((np.sqrt(first_variances) - np.sqrt(second_variances)) ** 2)"
DISTANCE = """
def frechet_distance(real, fake, weights):
    weights = {weights}
    fake_mean = weights @ fake
    difference = {difference}
    deviations = np.sqrt(weights)[:, None] * (fake - {centre})
    first, second = {first}, {second}
    return {squared} + np.trace(first) + np.trace(second) - 2 * {shared}
"""
COLLAPSE = "def collapse_detector(real_features, fake_features, fake_probabilities):\n    "
CLASSES = "np.bincount(fake_probabilities.argmax(axis=1), minlength=10) / len(fake_probabilities)"
LIMIT = "def distance_limit(sizes, distances):\n    return "


def distance(**changes):
    right = {
        "weights": "weights / weights.sum()",
        "centre": "fake_mean",
        "difference": "real.mean(axis=0) - fake_mean",
        "first": "np.cov(real, rowvar=False)",
        "second": "deviations.T @ deviations",
        "squared": "np.sum(difference**2)",
        "shared": "np.sqrt(linalg.eigvals(first @ second).real.clip(0)).sum()",
    }
    return DISTANCE.format(**{**right, **changes})


OTHER_STYLE = {
    "distance-of-gaussians": """
def distance_of_gaussians(first_mean, first_variances, second_mean, second_variances):
    difference = np.asarray(first_mean) - second_mean
    shared = np.diag(np.sqrt(np.asarray(first_variances) * second_variances))
    return difference @ difference + np.trace(np.diag(first_variances) + np.diag(second_variances) - 2 * shared)
""",
    "frechet-distance": """
def frechet_distance(real, fake, weights):
    weights /= weights.sum()  # this and what follows in place
    m1, m2 = real.mean(axis=0), weights @ fake
    real -= m1
    fake -= m2
    s1, s2 = real.T @ real / len(real), np.cov(fake.T, aweights=weights)
    values, vectors = np.linalg.eigh(s1)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ s2 @ root)
    return np.linalg.norm(m1 - m2) ** 2 + np.trace(s1 + s2) - 2 * np.sum(np.sqrt(np.maximum(shared, 0)))
""",
    # By the number of samples that are different in effect, and missing classes.
    "collapse-detector": """
def collapse_detector(real_features, fake_features, fake_probabilities):
    n = min(len(real_features), len(fake_features))
    different = metrics.vendi_score(fake_features[:n]) / metrics.vendi_score(real_features[:n])
    between, real_between = (pairwise_distances(x[:n]) for x in (fake_features, real_features))
    near = between.mean() / real_between.mean()
    duplicates = np.sort(between)[:, 5].mean() / np.sort(real_between)[:, 5].mean()
    rarest = np.sort(np.bincount(fake_probabilities.argmax(axis=1), minlength=10))[2] / len(fake_features)
    return bool(min(different, near, duplicates) < 0.5 or rarest < 0.01)
""",
    "distance-limit": """
def distance_limit(sizes, distances):
    x, y = 1 / np.asarray(sizes, float), np.asarray(distances)
    slope = np.cov(x, y)[0, 1] / np.var(x, ddof=1)
    return y.mean() - slope * x.mean()
""",
}

WRONG = {
    "distance-of-gaussians": [
        (f"{GAUSSIANS}return {SHIFT} + np.sum((first_variances - second_variances) ** 2)", "for standard deviations"),
        (f"{GAUSSIANS}return np.linalg.norm(first_mean - second_mean) + {ROOTS}", "means is not squared"),
        (f"{GAUSSIANS}return np.sqrt({SHIFT} + {ROOTS})", "its square root"),
        (f"{GAUSSIANS}return {SHIFT}", "variances are left out"),
        (
            f"{GAUSSIANS}return {SHIFT} + np.sum(first_variances + second_variances - "
            "np.sqrt(first_variances * second_variances))",
            "factor 2",
        ),
    ],
    "frechet-distance": [
        (
            "frechet_distance = broken_frechet_distance",
            r"rows were taken for features.*Also: .*entry by entry.*one mean over all features",
        ),
        (distance(shared="np.trace(np.sqrt(first * second))"), "entry by entry"),
        (distance(shared="np.trace(np.sqrt(first @ second))"), "not the square root of the matrix"),
        (distance(shared="np.sqrt(linalg.eigvalsh(first @ second).clip(0)).sum()"), "is for symmetric matrices"),
        (distance(difference="real.mean() - fake_mean.mean()", squared="difference**2"), "one mean over all features"),
        (distance(first="np.cov(real)", second="deviations @ deviations.T"), "rows were taken for features"),
        (distance(squared="np.linalg.norm(difference)"), "means is not squared"),
        ("def frechet_distance(real, fake, weights):\n    return metrics.frechet_distance(real, fake)", "no effect"),
        (distance(second="np.cov(fake, rowvar=False)"), "covariance of the generated features ignores"),
        (distance(difference="real.mean(axis=0) - fake.mean(axis=0)"), "mean of the generated features has no weights"),
        (distance(centre="fake.mean(axis=0)"), r"from the \*weighted\* mean"),
        (distance(weights="weights / weights[0]"), "compare each with the formula"),
    ],
    "collapse-detector": [
        (f"{COLLAPSE}return True", "compare with the value for real digits"),
        (f"{COLLAPSE}return False", "much closer to each other"),
        (f"{COLLAPSE}return {CLASSES}", "single truth value"),
        (
            f"{COLLAPSE}within = pairwise_distances(fake_features)\n"
            "    np.fill_diagonal(within, np.inf)\n"
            "    real = pairwise_distances(real_features)\n"
            "    np.fill_diagonal(real, np.inf)\n"
            "    return bool(np.median(within.min(axis=1)) < 0.5 * np.median(real.min(axis=1)))",
            "shares of the ten classes",
        ),
    ],
    "distance-limit": [
        (f"{LIMIT}np.polyfit(1 / sizes, distances, 1)[0]", "this is the slope"),
        (f"{LIMIT}np.polyfit(sizes, distances, 1)[1]", "a line over n"),
        (f"{LIMIT}distances[np.argmax(sizes)]", "still biased"),
        (f"{LIMIT}np.mean(distances)", "mean of biased distances"),
        (f"{LIMIT}np.polyfit(1 / sizes, distances, 1)[1:]", "one axis too many"),
    ],
}

# Right where the visible test looks, and not elsewhere: it counts classes and never looks within them.
HARD_CODED = {
    "collapse-detector": f"{COLLAPSE}return bool(np.sum({CLASSES} > 0.02) < 8)",
    # Numbers of samples in rising order only.
    "distance-limit": f"{LIMIT}np.polyfit(1 / np.sort(sizes), distances, 1)[1]",
}
