"""Answers to assignment 03: one in another style, and wrong ones that students give, with the message they need."""

RIGHT = "def share_of_right_labels(share, classes):\n    return "
LOGIT = "def projection_logit(image_features, labels, weights, bias, class_vectors):\n    "
PLAIN = "ops.sum(image_features * weights, axis=-1) + bias"
OWN = "ops.sum(image_features * ops.take(class_vectors, labels, axis=0), axis=-1)"
LOSSES = """
def conditional_losses(generator, discriminator, real_images, labels, wrong_labels, latents):
    {before}
    fake_images = generator([latents, {drawn_for}], training={mode})
    real_logits = discriminator([real_images, {real_labels}], training=True)
    fake_logits = discriminator([fake_images, {shown_with}], training=True)
    mismatched_logits = discriminator([real_images, wrong_labels], training=True)
    real, fake, mismatched = (
        ops.mean(ops.softplus(part)) for part in (-real_logits, fake_logits, {mismatched})
    )
    generator_loss = ops.mean(ops.softplus(-fake_logits))
    return {result}
"""
SHARES = "def fidelity_by_class(asked, read, classes=10):\n    "


def conditional(**changes):
    right = {
        "before": "",
        "drawn_for": "labels",
        "mode": "True",
        "real_labels": "labels",
        "shown_with": "labels",
        "mismatched": "mismatched_logits",
        "result": "real + (fake + mismatched) / 2, generator_loss",
    }
    return LOSSES.format(**{**right, **changes})


OTHER_STYLE = {
    "share-of-right-labels": """
def share_of_right_labels(share, classes):
    wrong = share * (classes - 1) / classes
    return 1.0 - wrong
""",
    "projection-logit": """
def projection_logit(image_features, labels, weights, bias, class_vectors):
    last_layers = tf.gather(class_vectors, labels) + weights
    return tf.linalg.matvec(image_features[:, None, :], last_layers)[:, 0] + bias
""",
    # Labels of its own for generated images, all kinds in one pass, and Keras' own loss.
    "conditional-losses": """
def conditional_losses(generator, discriminator, real_images, labels, wrong_labels, latents):
    n = len(labels)
    drawn = tf.random.shuffle(labels, seed=1)
    images = ops.concatenate([real_images, generator([latents, drawn], training=True), real_images])
    logits = discriminator([images, ops.concatenate([labels, drawn, wrong_labels])], training=True)
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    accept, refuse = entropy(tf.ones((n, 1)), logits[:n]), entropy(tf.zeros((2 * n, 1)), logits[n:])
    return [accept + refuse, entropy(tf.ones((n, 1)), logits[n : 2 * n])]
""",
    "fidelity-by-class": """
import warnings
def fidelity_by_class(asked, read, classes=10):
    shares = []
    for digit in range(classes):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shares.append(np.mean([r == digit for a, r in zip(asked, read) if a == digit]))
    return shares
""",
}

WRONG = {
    "share-of-right-labels": [
        (f"{RIGHT}1 - share", "right by chance"),
        (f"{RIGHT}1 - share / classes", "with probability"),
        (f"{RIGHT}1 - share + 1 / classes", "only the redrawn labels"),
        (f"{RIGHT}share / classes", "left alone"),
    ],
    "projection-logit": [
        (f"{LOGIT}return {OWN}", r"does it look real"),
        (f"{LOGIT}return {PLAIN}", "label does not affect"),
        (f"{LOGIT}return {PLAIN} - bias + {OWN}", "bias is missing"),
        (
            f"{LOGIT}return {PLAIN} + ops.sum(image_features * class_vectors[: len(image_features)], axis=-1)",
            r"look up its \*label's\* vector",
        ),
        (f"{LOGIT}return ({PLAIN})[:, None] + image_features @ ops.transpose(class_vectors)", "for every class"),
        (f"{LOGIT}return ({PLAIN} + {OWN})[:, None]", "axis too many"),
        (f"{LOGIT}return ({PLAIN})[:, None] + {OWN}", r"\(n, 1\) and \(n,\) were added"),
        (
            f"{LOGIT}own = np.asarray(class_vectors)[np.asarray(labels)]\n"
            "    return np.asarray(image_features) @ np.asarray(weights) + bias + "
            "(np.asarray(image_features) * own).sum(axis=1)",
            "leaves TensorFlow, for example through NumPy",
        ),
    ],
    "conditional-losses": [
        ("conditional_losses = broken_losses", "not told which digit is wanted"),
        (conditional(shown_with="wrong_labels"), "by a label that it never saw"),
        (conditional(drawn_for="wrong_labels", shown_with="wrong_labels"), "gets other labels"),
        (conditional(drawn_for="labels * 0", shown_with="labels * 0"), "not told which digit is wanted"),
        (conditional(mode="False"), "`training=True` is missing"),
        (
            conditional(before="draw = generator\n    generator = lambda *x, **kw: tf.stop_gradient(draw(*x, **kw))"),
            "gradient of the generator's loss",
        ),
        (conditional(result="[float(x) for x in (real + (fake + mismatched) / 2, generator_loss)]"), "cut off, by NumPy"),
        (conditional(mismatched="-mismatched_logits"), "are accepted: reject them"),
        (conditional(before="mixed = ops.flip(labels)", real_labels="mixed"), "three kinds of pairs"),
        (conditional(result="real + fake + mismatched, generator_loss"), "one half each"),
        (conditional(result="real + fake, generator_loss"), "are missing from it"),
        (conditional(result="generator_loss, real + (fake + mismatched) / 2"), "two losses are swapped"),
        (conditional(result="real + (fake + mismatched) / 2, -fake"), "minimax"),
        (conditional(result="real + (fake + mismatched) / 2"), "return both"),
    ],
    "fidelity-by-class": [
        (
            f"{SHARES}return np.array([np.mean(asked[read == d] == d) if (read == d).any() else np.nan "
            "for d in range(classes)])",
            r"divided by how often a digit was \*read\*",
        ),
        (f"{SHARES}return np.mean(asked == read)", "one number for all classes"),
        (f"{SHARES}return np.bincount(asked[asked == read], minlength=classes)", "these are counts"),
        (
            f"{SHARES}right = np.bincount(asked[asked == read], minlength=classes)\n"
            "    return right / np.maximum(np.bincount(asked, minlength=classes), 1)",
            "return NaN",
        ),
        (
            f"{SHARES}return np.array([np.mean(read[asked == d] == d) for d in np.unique(asked)])",
            "missing; return NaN for it",
        ),
    ],
}

# Right where the visible test looks, and nowhere else.
HARD_CODED = {
    # Ten images, and no other number.
    "conditional-losses": conditional(
        result="ops.sum(ops.softplus(-real_logits)) / 10 + (fake + mismatched) / 2, generator_loss"
    ),
    # NaN for a digit that was never read, too.
    "fidelity-by-class": """
def fidelity_by_class(asked, read, classes=10):
    table = np.zeros((classes, classes))
    np.add.at(table, (asked, read), 1)
    with np.errstate(invalid="ignore"):
        return np.where(table.sum(axis=0) > 0, np.diag(table) / table.sum(axis=1), np.nan)
""",
}
