"""Metrics of whether generated images are copies of training images, or as far from them as new images are."""

from collections import namedtuple
from typing import NamedTuple

import numpy as np
from scipy import stats

from ganutils import validation
from ganutils.metrics import _checks, neighbours

_QUERIES_AT_ONCE = 250
_REFERENCES_AT_ONCE = 4096
_NEIGHBOUR_REASON = "each needs a neighbour in its own set"

Neighbours = namedtuple("Neighbours", ["indices", "distances"])
TwoSampleAccuracy = namedtuple("TwoSampleAccuracy", ["accuracy", "real", "fake"])
MemorisationGap = namedtuple("MemorisationGap", ["gap", "train", "test"])


class Memorisation(NamedTuple):
    """The result of `memorisation`.

    Attributes:
        share: share of generated samples that are closer to a training sample than `threshold`.
        threshold: a quantile of the test samples' distances to their nearest training sample.
        closer: share of pairs of a generated and a test sample in which the generated one is closer to its
            nearest training sample: 0.5 for new samples, 1 for copies, below 0.5 for samples far from the data.
        indices: (n,), rows of the training samples nearest to each generated sample.
        distances: (n,), the distances to them.
    """

    share: float
    threshold: float
    closer: float
    indices: np.ndarray
    distances: np.ndarray


def nearest_images(queries, references, k=3):
    """Find the k nearest references of each query, by Euclidean distance between pixels in [0, 1].

    Both are processed in blocks, so that memory does not grow with the product of their numbers.

    Args:
        queries: images (n, height, width, channels), uint8.
        references: images (m, height, width, channels), uint8, at least k.
        k: number of neighbours.

    Returns:
        `Neighbours`: row numbers (n, k) of the references, nearest first, and distances (n, k).
    """
    queries, references = validation.as_array(queries, "queries"), validation.as_array(references, "references")
    for name, images in (("queries", queries), ("references", references)):
        if validation.check_images(images, name).dtype != np.uint8:
            raise ValueError(f"{name} are {images.dtype}; give uint8 in [0, 255]")
    if queries.shape[1:] != references.shape[1:]:
        raise ValueError(f"queries have the shape {queries.shape[1:]}, references {references.shape[1:]}")
    k = validation.whole_number(k, "k", 1, len(references), "the number of references")
    starts = range(0, len(queries), _QUERIES_AT_ONCE)
    blocks = [_nearest_of_some(_flat(queries[i : i + _QUERIES_AT_ONCE]), references, k) for i in starts]
    return Neighbours(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _nearest_of_some(queries, references, k):
    indices, rankings = np.empty((len(queries), 0), "int64"), np.empty((len(queries), 0), "float32")
    for start in range(0, len(references), _REFERENCES_AT_ONCE):
        block = _flat(references[start : start + _REFERENCES_AT_ONCE])
        # |q - r|² without the |q|² that all references of a query share.
        ranking = np.einsum("ij,ij->i", block, block) - 2 * queries @ block.T
        nearest = np.argpartition(ranking, min(k, len(block)) - 1, axis=1)[:, :k]
        indices = np.concatenate([indices, nearest + start], axis=1)
        rankings = np.concatenate([rankings, np.take_along_axis(ranking, nearest, axis=1)], axis=1)
        if rankings.shape[1] > k:
            kept = np.argpartition(rankings, k - 1, axis=1)[:, :k]
            indices, rankings = (np.take_along_axis(values, kept, axis=1) for values in (indices, rankings))
    # The distances of the remaining k are computed exactly: differences of large squares lose digits.
    pairs = zip(indices, queries, strict=True)
    distances = np.stack([np.linalg.norm(_flat(references[row]).astype("float64") - q, axis=1) for row, q in pairs])
    order = np.argsort(distances, axis=1)
    return [np.take_along_axis(values, order, axis=1) for values in (indices, distances)]


def _flat(images):
    """Return uint8 images as float32 rows with pixels in [0, 1]."""
    return images.reshape(len(images), -1).astype("float32") / 255


def nearest_neighbour_accuracy(real, fake, features=None):
    """Accuracy of telling real from generated samples by their nearest neighbours in the two sets.

    The adversarial accuracy of Yale et al. 2020, close to the leave-one-out accuracy of one nearest neighbour
    in Xu et al. 2018, after the two-sample tests of Lopez-Paz and Oquab 2017. A sample counts as recognised
    if its nearest neighbour in its own set is closer than that in the other set. 0.5 is ideal, 1 means that
    the sets are separate; near 0, each sample has a copy in the other set. Both sets are features (n, d) with the
    same n of at least 2. Returns `TwoSampleAccuracy`: the shares of real and of fake samples that are recognised,
    after their mean.
    """
    return _two_samples(*_checks.feature_sets(features, 2, _NEIGHBOUR_REASON, real=real, fake=fake))


def _two_samples(real, fake, name="real"):
    if len(real) != len(fake):
        counts = f"{name} have {len(real)} rows and fake {len(fake)}"
        raise ValueError(f"{counts}; give equal numbers, since neighbours in a larger set are closer")
    real, fake = neighbours.centred(real, fake)
    shares = []
    for own, other in ((real, fake), (fake, real)):
        in_own = neighbours.nearest(None, own, 1, exclude_self=True)[1]
        in_other = neighbours.nearest(own, other, 1)[1]
        shares.append(float(np.mean(in_other > in_own)))
    return TwoSampleAccuracy(sum(shares) / 2, *shares)


def memorisation_gap(train, test, fake, features=None):
    """Return a `MemorisationGap`: `nearest_neighbour_accuracy` on test minus that on training samples, and the two.

    The privacy loss of Yale et al. 2020. About 0 for samples that are as new as the test set, about 0.5
    for copies of all training samples. Only copies of the given training samples are found, so give
    those that the generator was trained on. All three sets are features (n, d) with the same n of at least 2.
    """
    train, test, fake = _checks.feature_sets(features, 2, _NEIGHBOUR_REASON, train=train, test=test, fake=fake)
    on_train = _two_samples(train, fake, "train").accuracy
    on_test = _two_samples(test, fake, "test").accuracy
    return MemorisationGap(on_test - on_train, on_train, on_test)


def memorisation(fake, train, test, quantile=0.01, features=None):
    """Find generated samples that are closer to a training sample than new real samples are: a `Memorisation`.

    The threshold comes from real data, the distance of held-out samples to their nearest
    training sample, as in Platzer and Reutterer 2021. A generated sample counts as a copy if its distance is below
    the given quantile of these, so for new samples the expected share is that quantile itself.
    `closer` compares the two sets of distances as a whole: it is the statistic U of Meehan, Chaudhuri and
    Dasgupta 2020, divided by its maximum.

    Args:
        fake: features (n, d); or uint8 images, whose pixels in [0, 1] are compared if `features` is None.
        train: features (m, d) of the images that the generator was trained on, or those images.
        test: features or images of other real samples; at least 1 / quantile, so that one is below the threshold.
        quantile: share of test samples below the threshold, above 0 and below 1.

    Raises:
        ValueError: too few test samples, or samples that are in both real sets.
    """
    least = int(np.ceil(1 / validation.number(quantile, "quantile", 0, 1)))
    test = validation.as_array(test, "test")
    if test.ndim and len(test) < least:
        raise ValueError(f"test has {len(test)} rows; for quantile={quantile} give at least {least}")
    if features is None and all(getattr(values, "ndim", 0) == 4 for values in (fake, train, test)):
        (indices, distances), (_, to_test) = nearest_images(fake, train, k=1), nearest_images(test, train, k=1)
    else:
        train, fake, test = neighbours.centred(*_checks.feature_sets(features, train=train, fake=fake, test=test))
        (indices, squares), (_, test_squares) = neighbours.nearest(fake, train, 1), neighbours.nearest(test, train, 1)
        distances, to_test = np.sqrt(squares), np.sqrt(test_squares)
    indices, distances, to_test = indices[:, 0], distances[:, 0], to_test[:, 0]
    threshold = float(np.quantile(to_test, quantile))
    if threshold == 0:
        raise ValueError(
            f"{np.mean(to_test == 0):.0%} of the test samples are among the training samples, so that no copy could be "
            "told from them; give other real samples as test"
        )
    closer = stats.mannwhitneyu(to_test, distances).statistic / (len(distances) * len(to_test))
    return Memorisation(float(np.mean(distances < threshold)), threshold, float(closer), indices, distances)
