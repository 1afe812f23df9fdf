"""Checks of assignment 04: two Gaussians, a broken weighted Fréchet distance, a collapse detector, a limit."""

import functools

import numpy as np
from scipy import linalg

from ganutils import data, features

from .expectations import expect, number
from .feedback import Wrong, check

FRECHET = "lesson 04, *The Fréchet distance*"
SAMPLES = "lesson 04, *How many samples?*"
DIVERSITY = "lesson 04b, *Diversity: which classes, and how many different samples?*"


@check("1 · Two Gaussians", FRECHET)
def distance_of_gaussians(answer, seed=0):
    """`answer(first_mean, first_variances, second_mean, second_variances)`: four arrays (d,), to a scalar."""
    rng = np.random.default_rng(seed)
    for d in (1, 4):
        m1, m2 = rng.normal(0, 1, (2, d))
        v1, v2 = rng.uniform(0.5, 4.0, (2, d))
        shift = ((m1 - m2) ** 2).sum()
        value = shift + ((np.sqrt(v1) - np.sqrt(v2)) ** 2).sum()
        expect(
            f"the Fréchet distance of two Gaussians with independent features, d = {d}",
            answer(m1, v1, m2, v2),
            value,
            FRECHET,
            [
                (
                    shift + ((v1 - v2) ** 2).sum(),
                    "variances were taken for standard deviations: take their roots first",
                ),
                (np.sqrt(shift) + value - shift, "the distance of the means is not squared"),
                (np.sqrt(value), "its square root: the field calls the squared distance the Fréchet distance"),
                (shift + (v1 + v2 - np.sqrt(v1 * v2)).sum(), "the factor 2 of the shared term is missing"),
                (shift + (v1 + v2 - 2 * v1 * v2).sum(), "the root of the product of the covariances is missing"),
                (value - shift, "the means are left out"),
                (shift, "the variances are left out: a cloud may be in the right place and too wide"),
                (
                    shift + np.abs(v1 - v2).sum(),
                    "a difference of variances; take roots first, then the difference, then squares",
                ),
                (
                    (m1 - m2) ** 2 + (np.sqrt(v1) - np.sqrt(v2)) ** 2,
                    "one number for each feature; the distance is their sum",
                ),
                (value / d, "a mean over the features; the trace is a sum"),
            ],
            otherwise="for diagonal matrices, the trace is a sum over features: write it for one feature first",
        )


@check("2 · Repair a weighted Fréchet distance", FRECHET)
def frechet_distance(answer, seed=0):
    """`answer(real, fake, weights)`: arrays (n, d), (m, d) and (m,), weights above 0 of any sum, to a scalar."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(0, 1, (2, 5, 5))
    real, fake = (rng.normal(mean, 1, (400, 5)) @ mix for mean, mix in zip((0.0, 0.6), mixing, strict=True))
    # Samples far out on one side have the largest weights, so that mean and covariance change.
    weights = rng.uniform(2, 3, 400) * np.where(fake[:, 0] > np.quantile(fake[:, 0], 0.8), 5.0, 1.0)
    (m1, s1), (m2, s2), (plain_mean, plain) = _moments(real), _moments(fake, weights), _moments(fake)
    shift, one_number = (m1 - m2) @ (m1 - m2), (m1.mean() - m2.mean()) ** 2
    covariances, entries = _by_matrix(s1, s2), _by_entry(s1, s2)
    around_plain = s2 + np.outer(m2 - plain_mean, m2 - plain_mean)
    first, second = _over_samples(real, fake, weights)
    axis = "rows were taken for features: a covariance of features has the shape (d, d)"
    entrywise = (
        "`*` and np.sqrt work entry by entry; (S₁S₂)^½ is the matrix whose *square* is the matrix product of S₁ and S₂"
    )
    root = "np.sqrt takes the root of each entry; that is not the square root of the matrix"
    mean = "one mean over all features: the means are vectors, and the first term is their squared distance"
    expect(
        "the distance of 400 samples and 400 weighted ones, with 5 features",
        answer(real.copy(), fake.copy(), weights.copy()),  # copies, since an answer may work in place
        shift + covariances,
        FRECHET,
        [
            ((m1 - plain_mean) @ (m1 - plain_mean) + _by_matrix(s1, plain), "the weights have no effect"),
            (shift + _by_matrix(s1, plain), "the covariance of the generated features ignores the weights"),
            ((m1 - plain_mean) @ (m1 - plain_mean) + covariances, "the mean of the generated features has no weights"),
            (shift + _by_matrix(s1, around_plain), "deviations are those from the *weighted* mean"),
            (shift + entries, entrywise),
            (one_number + entries, f"{entrywise}. And {mean}"),
            (one_number + covariances, mean),
            (one_number + _by_matrix(first, second), f"{axis}. And {mean}"),
            (shift + _by_matrix(first, second), axis),
            (one_number + _by_entry(first, second), f"{axis}. Also: {entrywise}. And {mean}"),
            (shift + _by_entry(first, second), f"{axis}. Also: {entrywise}"),
            (shift + _by_entry(s1, s2, np.matmul), root),
            (one_number + _by_entry(s1, s2, np.matmul), f"{root}. And {mean}"),
            (np.sqrt(shift) + covariances, "the distance of the means is not squared"),
            (
                shift + _by_matrix(s1, s2, linalg.eigvalsh),
                "`eigvalsh` is for symmetric matrices, but S₁S₂ is not one: it reads only half of the matrix",
            ),
        ],
        otherwise="take the three terms apart, and compare each with the formula",
        # A covariance may be normalised by n or n - 1, and that of weighted samples in more ways.
        rtol=1e-2,
    )
    (m2, s2), shared = _moments(fake[:300], weights[:300]), "the distance of 400 and 300 samples"
    try:
        came = answer(real.copy(), fake[:300].copy(), weights[:300].copy())
    except ValueError as error:
        raise Wrong("a distance between 400 and 300 samples", f"ValueError: {error}", axis, FRECHET) from None
    expect(shared, came, (m1 - m2) @ (m1 - m2) + _by_matrix(s1, s2), FRECHET, rtol=1e-2)
    came = answer(real.copy(), fake.copy(), 7 * weights)
    because = "only the ratios of weights count: divide them by their sum"
    expect("the same with all weights multiplied by 7", came, shift + covariances, FRECHET, (), because, rtol=1e-2)
    same = number(answer(real.copy(), real.copy(), np.ones(400)), "the distance of a set to itself", FRECHET)
    if not abs(same) < 1e-2 * np.trace(s1):
        because = "the shared term does not cancel the other two"
        raise Wrong("0 between a set and itself, with equal weights", f"{same:.4g}", because, FRECHET)


def _moments(x, weights=None):
    """Return the weighted mean (d,) and covariance (d, d) of rows (n, d); None means equal weights."""
    weights = np.ones(len(x)) if weights is None else weights
    return np.average(x, axis=0, weights=weights), np.cov(x, rowvar=False, aweights=weights, ddof=0)


def _by_matrix(first, second, eigenvalues=linalg.eigvals):
    """Return the term of the covariances."""
    shared = np.sqrt(eigenvalues(first @ second).real.clip(0)).sum()
    return np.trace(first) + np.trace(second) - 2 * shared


def _by_entry(first, second, product=np.multiply):
    """Return the term of the covariances with roots taken entry by entry, a mistake."""
    with np.errstate(invalid="ignore"):
        return np.trace(first + second - 2 * np.sqrt(product(first, second)))


def _over_samples(real, fake, weights):
    """Return both "covariances" (n, n) with samples taken for features, the mistake of `broken_frechet_distance`."""
    weights = weights / weights.sum()
    deviations = np.sqrt(weights)[:, None] * (fake - weights @ fake)
    return np.cov(real), deviations @ deviations.T


def example(kind, n=1000, seed=0):
    """Return features (n, 128) and class probabilities (n, 10) of a made-up generator of digits.

    Args:
        kind: "real" (test digits), "one image" (the same digit with a little noise) or "two classes".
        n: number of images.
        seed: seed of digits and noise.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in EXAMPLES:
        raise ValueError(f"unknown kind {kind!r}; choose one of {', '.join(EXAMPLES)}")
    return features.Features(*(np.copy(part) for part in _example(kind, n, seed)))


EXAMPLES = {
    "real": lambda labels, n, rng: np.arange(n),
    "one image": lambda labels, n, rng: np.zeros(n, int),
    "two classes": lambda labels, n, rng: np.flatnonzero(np.isin(labels, rng.permutation(10)[:2]))[:n],
}


@functools.lru_cache(maxsize=64)  # tests request the same ones repeatedly
def _example(kind, n, seed):
    images, labels = data.load_dataset("mnist", split="test")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    drawn = images[order][EXAMPLES[kind](labels[order], n, rng)].astype("float32")
    drawn += 8 * (kind == "one image") * rng.standard_normal(drawn.shape)
    return features.digit_classifier()(drawn.clip(0, 255).round().astype("uint8"))


@check("3 · A collapse detector", DIVERSITY, seconds=60)
def collapse_detector(answer, seed=0):
    """`answer(real_features, fake_features, fake_probabilities)`: (n, 128), (m, 128), (m, 10), to True or False."""
    reference = example("real", seed=seed + 1000).features
    reasons = {
        "one image": "look for samples that are much closer to each other than real digits are",
        "two classes": "look at the shares of the ten classes",
        "real": "a threshold without a scale: compare with the value for real digits",
    }
    for kind in ("real", "one image", "two classes"):
        found = example(kind, seed=seed)
        came = answer(reference, found.features, found.probabilities)
        if np.shape(came) != () or np.asarray(came).dtype != bool:
            because = "the function does not return a single truth value: is a comparison missing?"
            raise Wrong("True or False", f"an object of type {type(came).__name__}", because, DIVERSITY)
        expected = kind != "real"
        if bool(came) != expected:
            raise Wrong(f"{expected} for samples of the kind '{kind}'", f"{bool(came)}", reasons[kind], DIVERSITY)


@check("4 · The limit", SAMPLES)
def distance_limit(answer, seed=0):
    """`answer(sizes, distances)`: two arrays, to the value at 0 of a straight line fitted over 1/size."""
    rng = np.random.default_rng(seed)
    sizes = np.array([500, 1000, 2000, 4000, 8000])
    for noise in (0.0, 0.05):
        distances = 3.0 + 900.0 / sizes + noise * rng.standard_normal(len(sizes))
        slope, limit = np.polyfit(1 / sizes, distances, 1)
        expect(
            "the limit of five distances" + (" with noise" if noise else " that lie on a line"),
            answer(sizes, distances),
            limit,
            SAMPLES,
            [
                (slope, "this is the slope of the line; return its value at 0"),
                (np.polyfit(sizes, distances, 1)[1], "a line over n; the distances are on a line over 1/n"),
                (distances[-1], "this is the distance for the largest number of samples, which is still biased"),
                (distances.min(), "this is the smallest distance, which is still biased"),
                (distances.mean(), "a mean of biased distances is biased"),
                (np.polyfit(np.log(sizes), distances, 1)[1], "a line over log n; the distances are on a line over 1/n"),
                (np.polyfit(1 / np.sqrt(sizes), distances, 1)[1], "a line over 1/√n; the bias falls as 1/n"),
            ],
            otherwise="fit a least-squares line to the distances over 1/n, and take its value at 0",
        )
