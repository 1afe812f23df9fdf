"""Checks of assignment 04: distance of two Gaussians, a broken Fréchet distance, a collapse detector, a limit."""

import functools

import numpy as np
from scipy import linalg

from ganutils import data, features, metrics

from .feedback import Wrong, check, expect, number

FRECHET = "lesson 04, *The Fréchet distance*"
SAMPLES = "lesson 04, *A number of samples belongs to every distance*"
QUESTIONS = "lesson 04, *Five generators*"


@check("1 · Two Gaussians")
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
                (np.sqrt(value), "the root of it: what the field calls the Fréchet distance is the square"),
                (shift + (v1 + v2 - np.sqrt(v1 * v2)).sum(), "the factor 2 of the shared term is missing"),
                (shift + (v1 + v2 - 2 * v1 * v2).sum(), "the root of the product of the covariances is missing"),
                (value - shift, "the means are left out"),
                (shift, "the variances are left out: a cloud may lie in the right place and be too wide"),
                (shift + np.abs(v1 - v2).sum(), "variances subtract only after their roots are taken"),
                (
                    (m1 - m2) ** 2 + (np.sqrt(v1) - np.sqrt(v2)) ** 2,
                    "one number for each feature; the distance is their sum",
                ),
                (value / d, "a mean over the features; the trace is a sum"),
            ],
            otherwise="with diagonal matrices, the trace is a sum over features: write it for one feature first",
        )


@check("2 · Repair the Fréchet distance")
def frechet_distance(answer, seed=0):
    """`answer(real, fake)`: two arrays of features (n, d), to a scalar."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(0, 1, (2, 5, 5))
    real, fake = (rng.normal(mean, 1, (400, 5)) @ mix for mean, mix in zip((0.0, 0.6), mixing, strict=True))
    value = metrics.frechet_distance(real, fake)
    first, second = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    difference = real.mean(axis=0) - fake.mean(axis=0)
    squared, one_number = difference @ difference, (real.mean() - fake.mean()) ** 2
    covariances = value - squared
    wrong_axis = "np.cov takes each *row* for a variable; here the columns are the features (rowvar=False)"
    entries = (
        "`*` and np.sqrt work entry by entry; (S₁S₂)^½ is the matrix whose *square* is the matrix product of S₁ and S₂"
    )
    mean = "one mean over all features: the means are vectors, and their difference has a squared length"
    expect(
        "the distance of two sets of 400 samples with 5 features",
        answer(real, fake),
        value,
        FRECHET,
        [
            (squared + _by_entry(first, second), entries),
            (one_number + _by_entry(first, second), f"{entries}. And {mean}"),
            (one_number + covariances, mean),
            (one_number + _over_samples(real, fake), f"{wrong_axis}. And {mean}"),
            (squared + _over_samples(real, fake), wrong_axis),
            (one_number + _by_entry(np.cov(real), np.cov(fake)), f"{wrong_axis}. Also: {entries}. And {mean}"),
            (squared + _by_entry(np.cov(real), np.cov(fake)), f"{wrong_axis}. Also: {entries}"),
        ],
        otherwise="take the three terms apart, and compare each with the formula",
        # A covariance may be divided by n or by n - 1.
        rtol=5e-3,
    )
    try:
        came = answer(real, fake[:300])
    except ValueError as error:
        raise Wrong("a distance between 400 and 300 samples", f"ValueError: {error}", wrong_axis, FRECHET) from None
    expect("the distance of 400 and 300 samples", came, metrics.frechet_distance(real, fake[:300]), FRECHET, rtol=5e-3)
    same = number(answer(real, real), "the distance of a set to itself", FRECHET)
    if not abs(same) < 1e-3 * np.trace(first):
        raise Wrong(
            "0 between a set and itself", f"{same:.4g}", "the shared term does not cancel the two others", FRECHET
        )


def _by_entry(first, second):
    """Return the term of the covariances for whoever multiplies matrices, and takes roots, entry by entry."""
    with np.errstate(invalid="ignore"):
        return np.trace(first + second - 2 * np.sqrt(first * second))


def _over_samples(real, fake):
    """Return the term of the covariances for whoever takes samples for features."""
    first, second = np.cov(real), np.cov(fake)
    roots = np.sqrt(linalg.eigvals(first @ second).real.clip(0))
    return np.trace(first) + np.trace(second) - 2 * roots.sum()


def example(kind, n=1000, seed=0):
    """Return features (n, 128) and class probabilities (n, 10) of a made-up generator of digits.

    Args:
        kind: "real" (test digits), "one image" (one digit again and again, with a little noise) or "two classes".
        n: number of images.
        seed: which digits, and which noise.

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


@functools.lru_cache(maxsize=64)  # a test asks for the same ones again and again
def _example(kind, n, seed):
    images, labels = data.load_dataset("mnist", split="test")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    drawn = images[order][EXAMPLES[kind](labels[order], n, rng)].astype("float32")
    drawn += 8 * (kind == "one image") * rng.standard_normal(drawn.shape)
    return features.digit_classifier()(drawn.clip(0, 255).round().astype("uint8"))


@check("3 · A collapse detector", seconds=60)
def collapse_detector(answer, seed=0):
    """`answer(real_features, fake_features, fake_probabilities)`: (n, 128), (m, 128), (m, 10), to True or False."""
    reference = example("real", seed=seed + 1000).features
    reasons = {
        "one image": "look for samples that are much nearer to each other than real digits are",
        "two classes": "look at the shares of the ten classes",
        "real": "a threshold without a scale: compare with what real digits give",
    }
    for kind in ("real", "one image", "two classes"):
        found = example(kind, seed=seed)
        came = answer(reference, found.features, found.probabilities)
        if np.shape(came) != () or not isinstance(came, (bool, np.bool_)):
            because = "the function returns something else than one truth value: is a comparison missing?"
            raise Wrong("True or False", f"an object of type {type(came).__name__}", because, QUESTIONS)
        expected = kind != "real"
        if bool(came) != expected:
            raise Wrong(f"{expected} for samples of the kind '{kind}'", f"{bool(came)}", reasons[kind], QUESTIONS)


@check("4 · The limit")
def distance_limit(answer, seed=0):
    """`answer(sizes, distances)`: two arrays, to the distance that a straight line over 1/size has at 0."""
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
                (slope, "this is the slope of the line; asked for is its value at 0"),
                (np.polyfit(sizes, distances, 1)[1], "a line over n; the distance is a straight line over 1/n"),
                (distances[-1], "this is the distance of the largest number of samples, which is still biased"),
                (distances.min(), "this is the smallest distance, which is still biased"),
                (distances.mean(), "a mean of biased distances is biased"),
                (np.polyfit(np.log(sizes), distances, 1)[1], "a line over log n; it is straight over 1/n"),
                (np.polyfit(1 / np.sqrt(sizes), distances, 1)[1], "a line over 1/√n; the bias falls like 1/n"),
            ],
            otherwise="fit a straight line to the distances over 1/n, with np.polyfit say, and read it off at 0",
        )
