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
    """The result of `frechet_distance_limit`.

    Attributes:
        limit: the fitted line's value at 1/n = 0; noise may make it slightly negative.
        slope: its slope over 1/n, which depends on generator and features, so rankings at one n may mislead.
        sizes: the values of n, largest first.
        distances: the mean Fréchet distance at each of `sizes`.
    """

    limit: float
    slope: float
    sizes: tuple
    distances: tuple


def frechet_distance(real, fake, features=None):
    """Fréchet distance, at least 0, of normal distributions with the mean and covariance of each set of features.

    |m₁ - m₂|² + tr(S₁ + S₂ - 2 (S₁ S₂)^½), Heusel et al. 2017, equation 6, with covariances normalised by n - 1, so
    at least 2 rows (n, d) each. With the features of Inception v3 it is known as FID; values with other features
    cannot be compared with it. It is biased upwards by an amount proportional to 1/n: report n, and
    compare at equal n. If there are no more rows than features, it issues a UserWarning.
    """
    real, fake = _checks.feature_sets(features, 2, _COVARIANCE_REASON, real=real, fake=fake)
    n, width = min(len(real), len(fake)), real.shape[1]
    if n <= width:
        warnings.warn(cautions(n, width)[0], stacklevel=2)
    return _frechet(real, fake)


def cautions(n, width):
    """Return sentences on the limits of a report card for n images of each kind and `width` features."""
    found = []
    if n <= width:
        found.append(
            f"{n} images are too few for {width} features: the Fréchet distance is far too large; compare it "
            f"only at equal n, or give more than {width} images of each kind"
        )
    elif n < 10 * width:
        found.append(
            f"with {n} images and {width} features the Fréchet distance is still too large; compare it only at equal n"
        )
    return found


def _frechet(real, fake):
    means, roots, traces = [], [], []
    for values in (real, fake):
        means.append(values.mean(axis=0))
        eigenvalues, vectors = np.linalg.eigh(np.atleast_2d(np.cov(values, rowvar=False)))
        eigenvalues = np.clip(eigenvalues, 0, None)  # for a singular covariance some round to just below 0
        roots.append(np.sqrt(eigenvalues)[:, None] * vectors.T)
        traces.append(eigenvalues.sum())
    # The eigenvalues of S₁^½ S₂ S₁^½ are the squared singular values of this product. Computing these directly
    # keeps the digits that squaring loses: an error of 1e-14 instead of 1e-7 for singular covariances.
    shared = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    return max(0.0, float(np.sum((means[0] - means[1]) ** 2) + sum(traces) - 2 * shared))


def frechet_distance_limit(real, fake, seed=0, features=None):
    """Extrapolate the Fréchet distance to infinitely many samples, by a line over 1/n: a `FrechetLimit`.

    After Chong and Forsyth 2020, who vary only the number of generated samples; here the number of real samples
    varies too, which also removes the bias that comes from them. The 12 sizes go from a
    fifth of min(n, m) to all, evenly spaced in 1/n. At each size, the distance is the mean over all disjoint subsets
    (5 at most).

    Args:
        real, fake: features (n, d) and (m, d), each with at least 5 (d + 1) rows: with fewer than d + 1 samples in a
            subset, its covariance would be singular.
        seed: seed of the subsets.
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
    """Unbiased squared maximum mean discrepancy with the kernel (x·y/d + 1)³, known as KID.

    Bińkowski et al. 2018, equation 4. Its expectation does not depend on the number of samples and is 0 for
    equal distributions, so single values may be negative.

    Args:
        real, fake: features (n, d) and (m, d).
        subsets: number of random subsets.
        subset_size: rows in each subset, drawn without replacement, from 2 to min(n, m).
        seed: seed of the subsets.

    Returns:
        `MeanAndDeviation` over the subsets. The standard deviation is that of one subset's value; since subsets
        overlap, dividing it by sqrt(subsets) underestimates the error of the mean.
    """
    reason = "the unbiased estimate excludes each row's pair with itself"
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
        total += np.vdot(base * base, base)  # degree=3 would use NumPy's power, which takes ten times as long
    return total


def inception_score(probabilities, splits=1, seed=0):
    """Exponential of the mean divergence KL(p(y|x) ‖ p(y)) of class probabilities from their mean.

    Salimans et al. 2016, section 4. It is between 1 and the number of classes, ignores real images,
    and cannot detect collapse within a class. `inception_score_ceiling` is its maximum for given labels.

    Args:
        probabilities: (n, classes), with at least splits * classes rows.
        splits: number of random parts of equal size.
        seed: seed of the parts.

    Returns:
        `MeanAndDeviation` over the parts.
    """
    probabilities = _checks.probabilities(probabilities)
    rows, classes = probabilities.shape
    splits = validation.whole_number(splits, "splits", 1)
    if rows < (least := splits * classes):
        raise ValueError(f"probabilities have {rows} rows for {splits} splits; give {least} or more, {classes} each")
    order = validation.generator(seed).permutation(rows)
    scores = []
    for part in np.array_split(probabilities[order], splits):
        divergences = special.rel_entr(part, part.mean(axis=0)).sum(axis=1)
        scores.append(np.exp(divergences.mean()))
    return MeanAndDeviation(float(np.mean(scores)), float(np.std(scores)))


def inception_score_ceiling(labels):
    """Return exp H(y), the largest inception score that images with these labels (n,) can have.

    It is reached if the classifier is certain of every label: KL(p(y|x) ‖ p(y)) then has the mean H(y).
    It is between 1 and the number of different labels.
    """
    return float(np.exp(stats.entropy(np.bincount(validation.check_labels(labels, "labels")))))
