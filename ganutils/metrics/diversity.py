"""Metrics of the diversity of generated samples: modes, classes, pairs, effective number."""

from collections import namedtuple

import numpy as np
from scipy import linalg, special
from scipy.spatial import KDTree

from ganutils import validation
from ganutils.metrics import _checks

_PAIRS_AT_ONCE = 100
# Wang, Simoncelli and Bovik 2003: weights of the scales, finest first, and the constants that stabilise quotients.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = 0.01**2, 0.03**2

ModeCoverage = namedtuple("ModeCoverage", ["covered", "divergence", "shares"])
MixtureModes = namedtuple("MixtureModes", ["modes", "high_quality", "counts"])
PairwiseMean = namedtuple("PairwiseMean", ["overall", "within", "per_class"])


def mode_coverage(generated, data_labels, least=1):
    """Count the classes of generated samples, and compare the class distribution with that of the data.

    Metz et al. 2017 and Srivastava et al. 2017 count a class as covered if it has one sample, and use the
    divergence in this direction: KL(generated ‖ data), in nats. It stays finite if classes are missing, and is
    infinite if there is a class that the data do not have. A classifier's mistakes look like rare classes, so choose
    a larger `least` if it makes many.

    Args:
        generated: labels (n,) that a classifier assigns to generated samples, or its probabilities (n, classes).
        data_labels: (m,) labels of real data.
        least: number of samples for a class to count as covered.

    Returns:
        `ModeCoverage`: number of the data's classes covered, the divergence, the generated class shares (classes,).
    """
    least = validation.whole_number(least, "least", 1)
    classes = None
    generated = validation.as_array(generated, "generated")
    if generated.ndim == 2:
        probabilities = _checks.probabilities(generated, "generated")
        classes, generated = probabilities.shape[1], probabilities.argmax(axis=1)
    generated = validation.check_labels(generated, "generated")
    data_labels = validation.check_labels(data_labels, "data_labels", classes)
    classes = classes or max(generated.max(), data_labels.max()) + 1
    counts, data_counts = (np.bincount(labels, minlength=classes) for labels in (generated, data_labels))
    shares = counts / counts.sum()
    divergence = special.rel_entr(shares, data_counts / data_counts.sum()).sum()
    return ModeCoverage(int(np.sum((counts >= least) & (data_counts > 0))), float(divergence), shares)


def mixture_modes(samples, centres, deviation):
    """Count the modes of a Gaussian mixture that samples cover, and the samples near a mode.

    Srivastava et al. 2017, section 5.1: a sample is of high quality if it is within 3 standard deviations of its
    nearest centre, and a mode is covered if it is the nearest of at least one such sample.

    Args:
        samples: (n, d), generated.
        centres: (modes, d), means of the mixture.
        deviation: standard deviation of each component, above 0, the same in every direction.

    Returns:
        `MixtureModes`: number of modes covered, share of high-quality samples, and their number per mode (modes,).
    """
    samples, centres = _checks.feature_sets(samples=samples, centres=centres)
    deviation = validation.number(deviation, "deviation", 0)
    distances, nearest = KDTree(centres).query(samples)
    near = distances <= 3 * deviation
    counts = np.bincount(nearest[near], minlength=len(centres))
    return MixtureModes(int(np.sum(counts > 0)), float(near.mean()), counts)


def pairwise_similarity(images, pairs=1000, labels=None, seed=0, filter_size=7):
    """Mean multi-scale structural similarity (MS-SSIM) of random pairs; high within a class means collapse.

    Odena, Olah and Shlens 2017, section 4.2, compare pairs within a class. Wang et al. 2003 use five
    scales and a filter of 11 pixels, which needs images of 176 pixels. Here only the scales are used at which the
    filter fits into the image, for 7 pixels and images of 28 pixels three (28, 14, 7), with their weights rescaled to
    sum to 1. Values with different filters or image sizes are not comparable.

    Args:
        images: (n, height, width, channels), at least two.
        pairs: number of random pairs overall, and also for each class.
        labels: (n,), or None.
        seed: seed of the pairs.
        filter_size: side of the Gaussian window in pixels; its standard deviation is 1.5.

    Returns:
        `PairwiseMean`, each value in [0, 1], 1 for identical images: over all pairs, the mean over classes of
        pairs within a class, and a dict from each class with at least two images to its value; the last two are None
        without labels.
    """
    images = validation.check_images(images)
    if len(images) < 2:
        raise ValueError("there is 1 image; give at least 2, since a pair needs two")
    pairs = validation.whole_number(pairs, "pairs", 1)
    side = min(images.shape[1:3])
    filter_size = validation.whole_number(filter_size, "filter_size", 2, side, "the smaller side of the images")
    weights = [weight for n, weight in enumerate(_SCALE_WEIGHTS) if -(-side // 2**n) >= filter_size]
    rng = validation.generator(seed)

    def mean_of(rows):
        first = rng.integers(len(rows), size=pairs)
        second = (first + rng.integers(1, len(rows), size=pairs)) % len(rows)  # never the same row twice
        found = []
        for start in range(0, pairs, _PAIRS_AT_ONCE):
            both = (images[rows[part[start : start + _PAIRS_AT_ONCE]]] for part in (first, second))
            found.append(_similarities(*map(_checks.to_unit_range, both), filter_size, weights))
        return float(np.concatenate(found).mean())

    overall = mean_of(np.arange(len(images)))
    if labels is None:
        return PairwiseMean(overall, None, None)
    labels = validation.check_labels(labels, "labels", rows=len(images))
    groups = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    per_class = {label: mean_of(rows) for label, rows in groups.items() if len(rows) > 1}
    if not per_class:
        raise ValueError("no class has two images, which a pair within a class needs; give more images")
    return PairwiseMean(overall, float(np.mean(list(per_class.values()))), per_class)


def _similarities(first, second, filter_size, weights):
    """Return the MS-SSIM (n,) of pairs of images (n, height, width, channels) in [0, 1].

    Terms below 0 count as 0, and channels are averaged, as in TensorFlow's `tf.image.ssim_multiscale`.
    """
    terms = []
    for scale in range(len(weights)):
        if scale:
            first, second = _halve(first), _halve(second)
        rows, columns = (_windows(side, filter_size) for side in first.shape[1:3])
        moments = np.stack([first, second, first * second, first**2 + second**2])
        mean, other_mean, products, squares = np.einsum("ah,mnhwc,bw->mnabc", rows, moments, columns, optimize=True)
        of_means, of_squares = 2 * mean * other_mean, mean**2 + other_mean**2
        term = (2 * products - of_means + _C2) / (squares - of_squares + _C2)
        if scale == len(weights) - 1:
            term *= (of_means + _C1) / (of_squares + _C1)  # luminance counts at the coarsest scale only
        terms.append(np.clip(term.mean(axis=(1, 2)), 0, None))
    return np.prod(np.stack(terms, axis=-1) ** (np.array(weights) / sum(weights)), axis=-1).mean(axis=-1)


def _windows(side, size):
    """Return the matrix (side - size + 1, side) of a Gaussian window at each place of a line of pixels."""
    window = np.exp(-((np.arange(size) - (size - 1) / 2) ** 2) / (2 * 1.5**2))
    return linalg.convolution_matrix(window / window.sum(), side, mode="valid")


def _halve(images):
    """Average blocks of 2 x 2 pixels; an odd last row or column is repeated."""
    height, width = images.shape[1:3]
    images = np.pad(images, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rows = images[:, ::2] + images[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 4


def vendi_score(samples, features=None):
    """Effective number of different samples (n, d): exp of the entropy of the eigenvalues of K/n.

    Friedman and Dieng 2023, with the cosine kernel, K_ij = x_i·x_j / (|x_i| |x_j|), for which rows of zeros are
    refused. It is between 1, if all samples are alike, and min(n, d); orthogonal samples reach n.
    XᵀX/n (d, d) has the same non-zero eigenvalues, so the smaller of the two matrices is decomposed. The
    score ignores the data, and noise scores high: report it together with the score of real data.
    """
    samples = _checks.extracted(samples, "samples", features)
    lengths = np.linalg.norm(samples, axis=1)
    if not lengths.all():
        raise ValueError(f"samples have only zeros in row {lengths.argmin()}, which has no cosine; leave out such rows")
    samples = samples / lengths[:, None]
    matrix = samples @ samples.T if len(samples) < samples.shape[1] else samples.T @ samples
    eigenvalues = np.clip(np.linalg.eigvalsh(matrix / len(samples)), 0, None)
    return float(np.exp(special.entr(eigenvalues).sum()))
