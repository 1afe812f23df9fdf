"""Pieces of two maps of the Earth, pixel on pixel: what a satellite saw, and the relief; see data/README.md."""

import collections

import numpy as np

from ganutils import folders, validation

_FILE, _SHA256 = folders.DATA / "earth_maps.npz", "35b47a5442baf82b799b08b6a2367f613bf65ff86abbca69737753435b1f0b23"
SPLITS = ("train", "test")
_TEST = 1080, 1350  # columns of 0° to 45° E, from the Arctic to the Cape, which no training piece reaches
_LAND = 0.9  # the open sea is painted over with one colour in both maps

Maps = collections.namedtuple("Maps", "satellite relief")


def load(n=1000, size=64, seed=0, split="train"):
    """Return n pieces of both maps, of nine tenths land at least, half of them mirrored from east to west.

    Pieces may overlap. A pixel is a sixth of a degree, about 18 km from north to south.

    Args:
        n: number of pieces, at most 100,000; at 64 pixels each pair takes 25 kB.
        size: side in pixels, 8 to 128.
        seed: of the choice.
        split: "test" for pieces between 0° and 45° E, "train" for those outside.

    Returns:
        `Maps`: satellite and relief, each (n, size, size, 3) uint8.

    Raises:
        ValueError, FileNotFoundError: a number or split that is not allowed, or a file that is damaged or missing.
    """
    n, size = validation.whole_number(n, "n", 1, 100_000), validation.whole_number(size, "size", 8, 128)
    rng = validation.generator(seed)
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    folders.verify(_FILE, _SHA256, "data/earth_maps.npz")
    with np.load(_FILE, allow_pickle=False) as arrays:
        maps, land = [arrays[name] for name in Maps._fields], arrays["land"]
    windows = np.lib.stride_tricks.sliding_window_view(np.cumsum(land, axis=0, dtype="int32"), size, axis=1)
    below = windows.sum(axis=2)  # land from the top down to a row, in each window's columns
    area = below[size - 1 :] - np.pad(below, ((1, 0), (0, 0)))[:-size]
    first = np.arange(area.shape[1])
    outside = (first + size <= _TEST[0]) | (first >= _TEST[1])
    inside = (first >= _TEST[0]) & (first + size <= _TEST[1])
    rows, columns = np.nonzero((area >= _LAND * size**2) & (inside if split == "test" else outside))
    chosen, mirrored = rng.integers(len(rows), size=n), rng.random(n) < 0.5
    pieces = [np.empty((n, size, size, 3), "uint8") for _ in maps]
    for i, (row, column) in enumerate(zip(rows[chosen], columns[chosen], strict=True)):
        for piece, whole in zip(pieces, maps, strict=True):
            found = whole[row : row + size, column : column + size]
            piece[i] = found[:, ::-1] if mirrored[i] else found
    return Maps(*pieces)
