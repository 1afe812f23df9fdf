"""Measures of how good generated images are."""

from typing import NamedTuple

import numpy as np

_REFERENCES_AT_ONCE = 4096


class Neighbours(NamedTuple):
    """Row numbers (queries, k) of the nearest references, nearest first, and their distances (queries, k)."""

    indices: np.ndarray
    distances: np.ndarray


def nearest_images(queries, references, k=3):
    """Find the nearest references of each query, by Euclidean distance between pixels.

    References are looked at in blocks of 4,096, so that memory grows with the number of queries and not
    with its product with the number of references.

    Args:
        queries: uint8 images (n, height, width, channels) in [0, 255].
        references: uint8 images (m, height, width, channels), at least k.
        k: number of neighbours.

    Returns:
        `Neighbours`; distances are for pixels in [0, 1].

    Raises:
        ValueError: images that are not uint8, of different shapes, or too few references.
    """
    queries, references = np.asarray(queries), np.asarray(references)
    for name, images in (("queries", queries), ("references", references)):
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(f"{name} are {images.dtype} {images.shape}, expected uint8 (n, height, width, channels)")
    if queries.shape[1:] != references.shape[1:]:
        raise ValueError(f"queries have the shape {queries.shape[1:]}, references {references.shape[1:]}")
    if not len(queries):
        raise ValueError("there are no queries; give at least one image")
    if not 1 <= k <= len(references):
        raise ValueError(f"k={k} is not allowed; choose from 1 to {len(references)}, the number of references")
    flat_queries = _flat(queries)
    indices = np.empty((len(queries), 0), "int64")
    rankings = np.empty((len(queries), 0), "float32")
    for start in range(0, len(references), _REFERENCES_AT_ONCE):
        block = _flat(references[start : start + _REFERENCES_AT_ONCE])
        # |q - r|² without the |q|² that all references of a query share.
        ranking = np.einsum("ij,ij->i", block, block) - 2 * flat_queries @ block.T
        nearest = np.argpartition(ranking, min(k, len(block)) - 1, axis=1)[:, :k]
        indices = np.concatenate([indices, nearest + start], axis=1)
        rankings = np.concatenate([rankings, np.take_along_axis(ranking, nearest, axis=1)], axis=1)
        if rankings.shape[1] > k:
            kept = np.argpartition(rankings, k - 1, axis=1)[:, :k]
            indices = np.take_along_axis(indices, kept, axis=1)
            rankings = np.take_along_axis(rankings, kept, axis=1)
    # The k that are left are measured exactly: differences of large squares lose digits.
    distances = np.stack(
        [
            np.linalg.norm(_flat(references[row]).astype("float64") - query, axis=1)
            for row, query in zip(indices, flat_queries, strict=True)
        ]
    )
    order = np.argsort(distances, axis=1)
    return Neighbours(np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1))


def _flat(images):
    """Return uint8 images as float32 rows with pixels in [0, 1]."""
    return images.reshape(len(images), -1).astype("float32") / 255
