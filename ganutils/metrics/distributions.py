"""Distances between distributions of features, and the inception score."""

import warnings
from collections import namedtuple
from typing import NamedTuple

import numpy as np
from scipy import special, stats
from sklearn.metrics.pairwise import polynomial_kernel

from ganutils import validation
from ganutils.metrics import _checks

_LIMIT_SIZES = 12
_LIMIT_RATIO = 5
_ROWS_AT_ONCE = 1000
_COVARIANCE_REASON = "a covariance with n - 1 needs two"

MeanAndDeviation = namedtuple("MeanAndDeviation", ["mean", "std"])


class FrechetLimit(NamedTuple):
    """Where the fitted line meets 1/n = 0, slightly below 0 by noise at times, and its slope over 1/n.

    The slope depends on generator and features, so that ranks at one n may mislead. `distances` are the mean
    Fréchet distances at `sizes`, the n that were tried, largest first.
    """

    limit: float
    slope: float
    sizes: tuple
    distances: tuple


def frechet_distance(real, fake, features=None):
    """Fréchet distance, at least 0, of normal distributions with the mean and covariance of each set of features.

    |m₁ - m₂|² + tr(S₁ + S₂ - 2 (S₁ S₂)^½), Heusel et al. 2017, equation 6, covariances with n - 1, so of at
    least 2 rows (n, d) each. With the features of Inception v3 it is known as FID; figures from other features
    cannot be compared with it. For few samples it is too large, by an amount that falls with 1/n: state n, and
    compare at equal n. A UserWarning says so where there are no more rows than features.
    """
    real, fake = _checks.feature_sets(features, 2, _COVARIANCE_REASON, real=real, fake=fake)
    n, width = min(len(real), len(fake)), real.shape[1]
    if n <= width:
        warnings.warn(cautions(n, width)[0], stacklevel=2)
    return _frechet(real, fake)


def cautions(n, width):
    """Return sentences on what a report card of n images of each kind, in features of that width, cannot say."""
    found = []
    if n <= width:
        found.append(
            f"{n} images are fewer than the {width} features: the Fréchet distance is far too large; compare it only "
            f"at equal n, or give more than {width} images of each kind"
        )
    elif n < 10 * width:
        found.append(
            f"with {n} images in {width} features the Fréchet distance is still too large; compare it only at equal n"
        )
    return found


def _frechet(real, fake):
    means, roots, traces = [], [], []
    for values in (real, fake):
        means.append(values.mean(axis=0))
        eigenvalues, vectors = np.linalg.eigh(np.atleast_2d(np.cov(values, rowvar=False)))
        eigenvalues = np.clip(eigenvalues, 0, None)  # of a singular covariance some round to just below 0
        roots.append(np.sqrt(eigenvalues)[:, None] * vectors.T)
        traces.append(eigenvalues.sum())
    # The eigenvalues of S₁^½ S₂ S₁^½ are squares of the singular values of this product. Taking those at once
    # keeps the digits that squaring and rooting lose: 1e-14 instead of 1e-7 where covariances are singular.
    shared = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    return max(0.0, float(np.sum((means[0] - means[1]) ** 2) + sum(traces) - 2 * shared))


def frechet_distance_limit(real, fake, seed=0, features=None):
    """Find the Fréchet distance of infinitely many samples by a line through its values over 1/n: `FrechetLimit`.

    Chong and Forsyth 2020. There the real samples stay the same and only the generated ones become fewer;
    here both do, so that the part of the bias that comes from the real samples goes as well. The 12 sizes go from a
    fifth of min(n, m) to all, evenly spaced in 1/n. At each, the distance is the mean over as many disjoint subsets
    as there are, at most 5. Features are (n, d) and (m, d), each at least 5 (d + 1): at d + 1 samples a covariance
    stops being singular. The seed is that of the order in which samples are taken.
    """
    real, fake = _checks.feature_sets(features, 2, _COVARIANCE_REASON, real=real, fake=fake)
    width, most = real.shape[1], min(len(real), len(fake))
    if most < (least := _LIMIT_RATIO * (width + 1)):
        raise ValueError(f"{most} samples of {width} features are too few; give at least {least} of both")
    sizes = np.unique((most / np.linspace(1, _LIMIT_RATIO, _LIMIT_SIZES)).astype(int))[::-1].tolist()
    rng = validation.generator(seed)
    distances = []
    for size in sizes:
        parts = (rng.permutation(len(x))[: most // size * size].reshape(-1, size) for x in (real, fake))
        distances.append(float(np.mean([_frechet(real[a], fake[b]) for a, b in zip(*parts, strict=True)])))
    line = stats.linregress(1 / np.array(sizes), distances)
    return FrechetLimit(float(line.intercept), float(line.slope), tuple(sizes), tuple(distances))


def kernel_distance(real, fake, subsets=100, subset_size=1000, seed=0, features=None):
    """Squared maximum mean discrepancy with the kernel (x·y/d + 1)³, unbiased; known as KID.

    Bińkowski et al. 2018, equation 4. Its expectation does not depend on the number of samples and is 0 for
    equal distributions, so single values may be below 0. Returns `MeanAndDeviation` over random subsets of real
    (n, d) and fake features (m, d), each of `subset_size` rows without replacement, 2 to min(n, m). The standard
    deviation is that of one subset's value; subsets overlap, so dividing it by sqrt(subsets) makes the error of
    the mean look too small.
    """
    reason = "the unbiased estimate leaves out each row's pair with itself"
    real, fake = _checks.feature_sets(features, 2, reason, real=real, fake=fake)
    subsets = validation.whole_number(subsets, "subsets", 1)
    reason = f"since there are {len(real)} real and {len(fake)} generated rows"
    size = validation.whole_number(subset_size, "subset_size", 2, min(len(real), len(fake)), reason)
    rng = validation.generator(seed)
    values = []
    for _ in range(subsets):
        parts = [x[rng.choice(len(x), size, replace=False)] for x in (real, fake)]
        within = 0.0
        for part in parts:
            of_themselves = ((np.sum(part**2, axis=1) / part.shape[1] + 1) ** 3).sum()
            within += (_kernel_sum(part, part) - of_themselves) / (size * (size - 1))
        values.append(within - 2 * _kernel_sum(*parts) / size**2)
    return MeanAndDeviation(float(np.mean(values)), float(np.std(values)))


def _kernel_sum(first, second):
    """Return the sum of the kernel over all pairs, a block of rows at a time."""
    total = 0.0
    for start in range(0, len(first), _ROWS_AT_ONCE):
        base = polynomial_kernel(first[start : start + _ROWS_AT_ONCE], second, degree=1, coef0=1)  # gamma is 1/d
        total += np.vdot(base * base, base)  # with degree=3, NumPy's power takes ten times as long
    return total


def inception_score(probabilities, splits=1, seed=0):
    """Exponential of the mean divergence KL(p(y|x) ‖ p(y)) of class probabilities from their mean.

    Salimans et al. 2016, section 4. It lies between 1 and the number of classes, looks at no real image,
    and cannot see collapse within a class. Its ceiling for given labels is `inception_score_ceiling`. Returns
    `MeanAndDeviation` over `splits` parts of equal size, at least as many rows in each as there are classes,
    which are dealt at random, so that rows sorted by class do no harm.
    """
    probabilities = _checks.probabilities(probabilities)
    rows, classes = probabilities.shape
    splits = validation.whole_number(splits, "splits", 1)
    if rows < (least := splits * classes):
        raise ValueError(f"probabilities have {rows} rows for {splits} splits; give {least}, {classes} a split or more")
    order = validation.generator(seed).permutation(rows)
    scores = []
    for part in np.array_split(probabilities[order], splits):
        divergences = special.rel_entr(part, part.mean(axis=0)).sum(axis=1)
        scores.append(np.exp(divergences.mean()))
    return MeanAndDeviation(float(np.mean(scores)), float(np.std(scores)))


def inception_score_ceiling(labels):
    """Return exp H(y), the largest inception score that images with these labels (n,) can have.

    A classifier that is sure of every label, and right, reaches it: KL(p(y|x) ‖ p(y)) then has the mean H(y).
    It lies between 1 and the number of different labels.
    """
    return float(np.exp(stats.entropy(np.bincount(validation.check_labels(labels, "labels")))))
