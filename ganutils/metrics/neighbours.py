"""Metrics based on nearest neighbours."""

from collections import namedtuple

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from ganutils import validation
from ganutils.metrics import _checks

_MEGABYTES_AT_ONCE = 64
_ROWS_AT_ONCE = 256
_PAIRS_AT_ONCE = 16_384
_SPARE_NEIGHBOURS = 3

PrecisionRecall = namedtuple("PrecisionRecall", ["precision", "recall"])
DensityCoverage = namedtuple("DensityCoverage", ["density", "coverage"])


def centred(*arrays):
    """Subtract the arrays' common mean: squares of large numbers would otherwise cost digits of the distances."""
    mean = np.mean([values.mean(axis=0) for values in arrays], axis=0)
    return [values - mean for values in arrays]


def squared_distances(first, second):
    """Return the squared distances of paired rows (..., d), computed from their differences."""
    return np.sum((first - second) ** 2, axis=-1)


def nearest(queries, references, k, exclude_self=False):
    """Return row numbers (n, k) of the nearest references and squared distances (n, k), nearest first.

    Queries (n, d) and references (m, d) are float64, centred together. With `exclude_self` the references are also
    the queries, and no row is its own neighbour. The search computes distances as |q|² - 2 q·r + |r|², with an error of
    some 1e-8 of the features' spread. So it keeps a few spare neighbours, whose distances are computed again from
    differences: the distance between a point and its copy is exactly 0.
    """
    wanted = min(k + _SPARE_NEIGHBOURS, len(references) - exclude_self)
    search = NearestNeighbors(n_neighbors=wanted, algorithm="brute").fit(references)
    candidates = search.kneighbors(None if exclude_self else queries, return_distance=False)
    queries = references if exclude_self else queries
    squares = np.empty(candidates.shape)
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        squares[rows] = squared_distances(queries[rows, None], references[candidates[rows]])
    order = np.argsort(squares, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(squares, order, axis=1)


def _balls(centres, points, k):
    """Yield blocks (rows, points) of whether each point is in each centre's ball.

    The radius of a ball is the distance to the centre's k-th nearest neighbour among the centres, inclusive. Distances
    so close to the radius that rounding decides are computed again from differences, like the radius.
    """
    radii = nearest(None, centres, k, exclude_self=True)[1][:, -1]
    lengths = np.sum(points**2, axis=1).max()
    start = 0
    options = {"metric": "euclidean", "squared": True, "working_memory": _MEGABYTES_AT_ONCE}
    for squares in pairwise_distances_chunked(centres, points, **options):
        block = slice(start, start + len(squares))
        rounding = 1e-13 * (np.sum(centres[block] ** 2, axis=1) + lengths)[:, None]
        squares -= radii[block, None]
        inside = squares <= 0
        rows, columns = np.nonzero(np.abs(squares, out=squares) <= rounding)
        for first in range(0, len(rows), _PAIRS_AT_ONCE):
            row, column = rows[first : first + _PAIRS_AT_ONCE], columns[first : first + _PAIRS_AT_ONCE]
            inside[row, column] = squared_distances(centres[start + row], points[column]) <= radii[start + row]
        yield inside
        start += len(squares)


def precision_recall(real, fake, k=3, features=None):
    """Share of generated samples within the real manifold, and of real samples within the generated one.

    Kynkäänniemi et al. 2019, equations 1 and 2: a manifold is the union of balls around the samples of one
    set, each reaching to its k-th nearest neighbour in that set. Both shares grow with the number of samples, and an
    outlier's ball is large: compare at equal n, and with the values of two real sets.

    Args:
        real, fake: features (n, d) and (m, d), each with more than k rows.
        k: number of neighbours.

    Returns:
        `PrecisionRecall`, both in [0, 1].
    """
    k = validation.whole_number(k, "k", 1)
    reason = f"each needs k={k} neighbours in its own set"
    real, fake = centred(*_checks.feature_sets(features, k + 1, reason, real=real, fake=fake))
    shares = []
    for centres, points in ((real, fake), (fake, real)):
        inside = np.any([block.any(axis=0) for block in _balls(centres, points, k)], axis=0)
        shares.append(float(inside.mean()))
    return PrecisionRecall(*shares)


def density_coverage(real, fake, k=5, features=None):
    """Density: in how many real neighbourhoods each generated sample is; coverage: how many of them contain one.

    Naeem et al. 2020, equations 4 and 5. For equal distributions the density has mean 1, and the coverage
    is about 1 - 2⁻ᵏ. Density exceeds 1 if samples crowd where the data are densest.

    Args:
        real, fake: features (n, d) and (m, d), each with more than k rows; m below n lowers the coverage.
        k: number of neighbours.

    Returns:
        `DensityCoverage`: mean number of neighbourhoods divided by k, and share of neighbourhoods with a sample.
    """
    k = validation.whole_number(k, "k", 1)
    reason = f"k={k} neighbours are used"
    real, fake = centred(*_checks.feature_sets(features, k + 1, reason, real=real, fake=fake))
    pairs, covered = np.sum([(block.sum(), block.any(axis=1).sum()) for block in _balls(real, fake, k)], axis=0)
    return DensityCoverage(float(pairs / (k * len(fake))), float(covered / len(real)))
