"""Measures that count nearest neighbours."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from ganutils.metrics import _checks

_MEGABYTES_AT_ONCE = 64
_ROWS_AT_ONCE = 256
_PAIRS_AT_ONCE = 16_384
_SPARE_NEIGHBOURS = 3


class PrecisionRecall(NamedTuple):
    """Share of generated samples that look real, and share of real samples that the generator reaches."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Mean number of real neighbourhoods around a generated sample over k, and share of them with a sample inside."""

    density: float
    coverage: float


def centred(*arrays):
    """Move all arrays by their common mean: squares of large numbers would otherwise eat the digits of distances."""
    mean = np.mean([values.mean(axis=0) for values in arrays], axis=0)
    return [values - mean for values in arrays]


def _squared_distances(first, second):
    return np.sum((first - second) ** 2, axis=-1)


def nearest(queries, references, k, exclude_self=False):
    """Return row numbers (n, k) of the nearest references and squared distances (n, k), nearest first.

    The search takes |q|² - 2 q·r + |r|² for the distance, which is off by some 1e-8 of the features' spread.
    So it keeps a few neighbours too many, and those are measured again by their differences: the distance
    between a point and its copy is 0.

    Args:
        queries: (n, d) float64; ignored where `exclude_self` is set.
        references: (m, d) float64, centred together with the queries.
        k: number of neighbours, at most m, or m - 1 where `exclude_self` is set.
        exclude_self: whether the references themselves are the queries, each without itself.
    """
    wanted = min(k + _SPARE_NEIGHBOURS, len(references) - exclude_self)
    search = NearestNeighbors(n_neighbors=wanted, algorithm="brute").fit(references)
    candidates = search.kneighbors(None if exclude_self else queries, return_distance=False)
    queries = references if exclude_self else queries
    squares = np.empty(candidates.shape)
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        squares[rows] = _squared_distances(queries[rows, None], references[candidates[rows]])
    order = np.argsort(squares, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(squares, order, axis=1)


def _balls(centres, points, k):
    """Yield blocks (rows, points) of whether each point lies in each centre's ball.

    A ball reaches to the centre's k-th nearest neighbour among the centres, which is part of it. Distances
    so close to the radius that rounding decides are measured again by differences, as the radius was.
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
            inside[row, column] = _squared_distances(centres[start + row], points[column]) <= radii[start + row]
        yield inside
        start += len(squares)


def precision_recall(real, fake, k=3, features=None):
    """Share of generated samples within the real manifold, and of real samples within the generated one.

    Kynkäänniemi et al. 2019, equations 1 and 2: a manifold is the union of balls around the samples of one
    set, each reaching to its k-th nearest neighbour in that set. Both shares grow with the number of
    samples, and one outlier's ball is large: compare at equal n, with the values of two real sets beside.

    Args:
        real, fake: features (n, d) and (m, d), more than k rows.
        k: number of neighbours.

    Returns:
        `PrecisionRecall`, both in [0, 1].
    """
    k = _checks.whole_number(k, "k", 1)
    reason = f"each needs k={k} neighbours in its own set"
    real, fake = centred(*_checks.feature_sets(features, k + 1, reason, real=real, fake=fake))
    return PrecisionRecall(_share_in_any_ball(real, fake, k), _share_in_any_ball(fake, real, k))


def _share_in_any_ball(centres, points, k):
    return float(np.logical_or.reduce([inside.any(axis=0) for inside in _balls(centres, points, k)]).mean())


def density_coverage(real, fake, k=5, features=None):
    """How many real neighbourhoods each generated sample is in, and in how many of them there is one.

    Naeem et al. 2020, equations 4 and 5. For equal distributions the density has the mean 1 and the coverage
    about 1 - 2⁻ᵏ. Density may exceed 1, where samples crowd at the data's densest places.

    Args:
        real: features (n, d), more than k rows.
        fake: features (m, d). Coverage needs as many as there are real ones, or it is small for that reason alone.
        k: number of neighbours.

    Returns:
        `DensityCoverage`, density at least 0, coverage in [0, 1].
    """
    k = _checks.whole_number(k, "k", 1)
    sets = _checks.feature_sets(features, k + 1, f"k={k} neighbours are looked at", real=real, fake=fake)
    real, fake = centred(*sets)
    counts = [(inside.sum(), inside.any(axis=1).sum()) for inside in _balls(real, fake, k)]
    pairs, covered = np.sum(counts, axis=0)
    return DensityCoverage(float(pairs / (k * len(fake))), float(covered / len(real)))
