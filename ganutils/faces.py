"""Composed faces: colour pictures whose every attribute is known, put together from layers as they are asked for.

The layers are those of *ToonHead* by Johan Melin (CC BY 4.0), see data/README.md; nobody is depicted. An attribute is a
column of an array (n, 10) of whole numbers, in the order of `ATTRIBUTES`; its values' names are `VALUES[attribute]`.
18,750,000 faces exist, all equally likely.
"""

import collections
import functools

import numpy as np

from ganutils import folders, validation

_FILE, _SHA256 = folders.DATA / "toon_faces.npz", "3d87a61ca54bfcaf8f5d2d30dad9d64d958135a6d8913226cfb93f958623b2ea"
SIZES = (16, 32, 64)
SPLITS = ("train", "test")
VALUES = {
    "skin": ("f1c3a5", "c68e7a", "b98e6a", "a36b4f", "5c3829"),
    "hair colour": ("2c1b18", "a55728", "b58143", "d6b370", "724133"),
    "hair": ("bun", "side combed", "spiky", "undercut"),
    "rear hair": ("long straight", "long wavy", "neck high", "shoulder high", "none"),
    "beard": ("chin", "chin and moustache", "full", "long", "twirled moustache", "none"),
    "eyes": ("bow", "happy", "humble", "wide", "wink"),
    "eyebrows": ("angry", "happy", "neutral", "raised", "sad"),
    "mouth": ("agape", "angry", "laugh", "sad", "smile"),
    "clothes": ("dress", "open jacket", "shirt", "T-shirt", "turtleneck"),
    "clothes colour": (
        *("545454", "b11f1f", "0b3286", "147f3c", "eab308"),
        *("731ac3", "ec4899", "f97316", "151613", "e8e9e6"),
    ),
}
ATTRIBUTES = tuple(VALUES)
_COUNTS = tuple(map(len, VALUES.values()))
EXISTING = int(np.prod(_COUNTS))
# From back to front: the layer, the attribute of its shape and that of its colour.
_LAYERS = (
    ("rear_hair", "rear hair", "hair colour"),
    ("base", None, "skin"),
    ("clothes", "clothes", "clothes colour"),
    ("mouth", "mouth", None),
    ("beard", "beard", "hair colour"),
    ("eyes", "eyes", None),
    ("eyebrows", "eyebrows", "hair colour"),
    ("hair", "hair", "hair colour"),
)
_AT_ONCE = 256

Faces = collections.namedtuple("Faces", "images attributes")


def load(n=10_000, size=64, seed=0, split="train"):
    """Return n different faces and their attributes.

    Args:
        n: number of faces, at most 1,000,000; at 64 pixels each takes 12 kB.
        size: side in pixels, 16, 32 or 64. Each pixel of a smaller face is the mean of a square of the large one.
        seed: of the choice; the same seed gives the same faces at every size.
        split: "train" or "test", a tenth of all faces that exist. No face is in both, whatever the seeds.

    Returns:
        `Faces`: images (n, size, size, 3) uint8, and attributes (n, 10) int64.

    Raises:
        ValueError, FileNotFoundError: a number or split that is not allowed, or a file that is damaged or missing.
    """
    attributes = choose(n, seed, split)
    return Faces(compose(attributes, size), attributes)


def choose(n, seed=0, split="train"):
    """Return the attributes (n, 10) of n different faces; arguments and errors as in `load`."""
    n = validation.whole_number(n, "n", 1, 1_000_000)
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    numbers = np.empty(0, "int64")
    rng = validation.generator(seed)
    while len(numbers) < n:
        drawn = rng.integers(EXISTING, size=16 * n if split == "test" else 2 * n)
        in_test = (drawn.astype("uint64") * np.uint64(2654435761) >> np.uint64(7)) % np.uint64(10) == 0
        numbers = np.concatenate([numbers, drawn[in_test == (split == "test")]])
        _, first = np.unique(numbers, return_index=True)
        numbers = numbers[np.sort(first)]
    return np.stack(np.unravel_index(numbers[:n], _COUNTS), axis=1).astype("int64")


def compose(attributes, size=64):
    """Return the faces (n, size, size, 3) uint8 that have these attributes (n, 10).

    Raises:
        ValueError: attributes that do not exist, or another size than 16, 32 and 64.
    """
    if size not in SIZES or isinstance(size, bool):
        raise ValueError(f"size={size!r} is not allowed; choose one of {', '.join(map(str, SIZES))}")
    attributes = validation.as_array(attributes, "attributes")
    if attributes.ndim != 2 or attributes.shape[1] != len(ATTRIBUTES) or attributes.dtype.kind not in "iu":
        raise ValueError(
            f"attributes are {attributes.dtype} {attributes.shape}; give whole numbers (n, {len(ATTRIBUTES)}), one "
            f"column each for {', '.join(ATTRIBUTES)}"
        )
    for values, name, count in zip(attributes.T, ATTRIBUTES, _COUNTS, strict=True):
        if len(values) and not 0 <= values.min() <= values.max() < count:
            raise ValueError(f"{name} goes from {values.min()} to {values.max()}; it has the values 0 to {count - 1}")
    faces = np.empty((len(attributes), size, size, 3), "uint8")
    for start in range(0, len(attributes), _AT_ONCE):
        faces[start : start + _AT_ONCE] = _compose(attributes[start : start + _AT_ONCE], size)
    return faces


def _compose(attributes, size):
    """Lay the layers over white, each over those behind it; their colours are already multiplied by their opacity."""
    column = dict(zip(ATTRIBUTES, attributes.T, strict=True))
    canvas = np.full((len(attributes), 64, 64, 3), 255, "float32")
    for layer, shape, colour in _LAYERS:
        pictures = _layers()[layer]
        shapes = column[shape] if shape else np.zeros(len(attributes), int)
        shown = shapes < len(pictures)  # "none" is the last value
        over = pictures[shapes[shown], column[colour][shown] if colour else 0]
        canvas[shown] = canvas[shown] * (1 - over[..., 3:] / np.float32(255)) + over[..., :3]
    factor = 64 // size
    return canvas.reshape(len(attributes), size, factor, size, factor, 3).mean(axis=(2, 4)).round().astype("uint8")


@functools.cache
def _layers():
    folders.verify(_FILE, _SHA256, "data/toon_faces.npz")
    with np.load(_FILE, allow_pickle=False) as arrays:
        return {layer: arrays[layer] for layer, *_ in _LAYERS}
