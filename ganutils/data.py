"""Data sets as uint8 arrays, and the pipeline that feeds them to training.

Images stay uint8 in memory, a quarter of their float32 size, and are scaled to [-1, 1] inside
TensorFlow's graph, one batch at a time.
"""

import gzip
import hashlib
import os
import time
import weakref
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pooch
import requests
import tensorflow as tf

_MNIST_FILE = Path(__file__).resolve().parents[1] / "data" / "mnist.npz"
_MNIST_SHA256 = "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"

_FASHION_SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
_FASHION_MIRRORS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_ATTEMPTS = 3
_SECONDS_BETWEEN_ATTEMPTS = 2.0
_SECONDS_WITHOUT_ANSWER = 20

DATASETS = ("mnist", "fashion_mnist")
SPLITS = {"train": 60_000, "test": 10_000}


class LabelledImages(NamedTuple):
    """Images (n, 28, 28, 1) uint8 in [0, 255] and their labels (n,) int64 in 0 to 9."""

    images: np.ndarray
    labels: np.ndarray


def load_dataset(name="mnist", split="train"):
    """Return all images and labels of one part of a data set.

    MNIST is bundled with the course and needs no network. Fashion-MNIST (30 MB) is downloaded once into
    the folder that the environment variable GANUTILS_DATA_DIR names, or else the user's cache folder.

    Args:
        name: "mnist" (LeCun, Cortes and Burges) or "fashion_mnist" (Xiao, Rasul and Vollgraf 2017).
        split: "train" (60,000 images) or "test" (10,000).

    Returns:
        `LabelledImages`, in the canonical order, which is not random: the first and the last 5,000 test images
        of MNIST differ visibly. Shuffle before you take a part.

    Raises:
        ValueError: an unknown name or split, or a file whose content is not what it should be.
        FileNotFoundError: a file that is missing and cannot be downloaded.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; choose one of {', '.join(DATASETS)}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    images, labels = _read_mnist(split) if name == "mnist" else _read_fashion_mnist(split)
    _check_arrays(images, labels, SPLITS[split], f"{name} ({split})")
    return LabelledImages(images[..., np.newaxis], labels.astype("int64"))


def _read_mnist(split):
    advice = "Run `git checkout -- data/mnist.npz` in the course's folder, or clone the course again."
    if not _MNIST_FILE.is_file():
        raise FileNotFoundError(f"{_MNIST_FILE} is missing. {advice}")
    found = hashlib.sha256(_MNIST_FILE.read_bytes()).hexdigest()
    if found != _MNIST_SHA256:
        raise ValueError(
            f"{_MNIST_FILE} is damaged or was replaced: its sha256 is {found}, expected {_MNIST_SHA256}. {advice}"
        )
    with np.load(_MNIST_FILE, allow_pickle=False) as arrays:
        missing = {f"x_{split}", f"y_{split}"} - set(arrays)
        if missing:
            raise ValueError(f"{_MNIST_FILE} has no array {', '.join(sorted(missing))}. {advice}")
        return arrays[f"x_{split}"], arrays[f"y_{split}"]


def _read_fashion_mnist(split):
    prefix = "train" if split == "train" else "t10k"
    return (
        _read_idx(_download(f"{prefix}-images-idx3-ubyte.gz"), header_bytes=16).reshape(-1, 28, 28),
        _read_idx(_download(f"{prefix}-labels-idx1-ubyte.gz"), header_bytes=8),
    )


def _read_idx(path, header_bytes):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), dtype="uint8", offset=header_bytes).copy()  # writable, as MNIST is


def _download(filename):
    """Return the path of one Fashion-MNIST file; pooch checks its hash and moves it into place when whole."""
    folder = Path(os.environ.get("GANUTILS_DATA_DIR") or pooch.os_cache("ganutils")) / "fashion_mnist"
    failures = []
    for attempt in range(_ATTEMPTS):
        for mirror in _FASHION_MIRRORS:
            try:
                return pooch.retrieve(
                    mirror + filename,
                    known_hash=f"sha256:{_FASHION_SHA256[filename]}",
                    fname=filename,
                    path=folder,
                    downloader=pooch.HTTPDownloader(timeout=_SECONDS_WITHOUT_ANSWER),
                )
            # pooch reports a wrong hash as a ValueError. Other errors, such as a full disk, are not the network's.
            except (requests.RequestException, ValueError) as error:
                failures.append(f"{mirror}: {type(error).__name__}: {error}")
        if attempt + 1 < _ATTEMPTS:
            time.sleep(_SECONDS_BETWEEN_ATTEMPTS)
    raise FileNotFoundError(
        f"{filename} could not be downloaded. Check the network, or fetch it on another machine from one of\n  "
        + "\n  ".join(mirror + filename for mirror in _FASHION_MIRRORS)
        + f"\nand put it into {folder} (GANUTILS_DATA_DIR changes that folder). "
        "MNIST needs no network. What was tried:\n  " + "\n  ".join(failures[-len(_FASHION_MIRRORS) :])
    )


def _check_arrays(images, labels, n, what):
    if images.shape != (n, 28, 28) or images.dtype != np.uint8:
        raise ValueError(f"{what}: images are {images.dtype} {images.shape}, expected uint8 {(n, 28, 28)}")
    if labels.shape != (n,) or labels.min() < 0 or labels.max() > 9:
        raise ValueError(f"{what}: labels are not {n} whole numbers from 0 to 9")


def scale(images):
    """Map uint8 images in [0, 255] to float32 in [-1, 1], the range of tanh. Works inside a graph."""
    return tf.cast(images, "float32") / 127.5 - 1.0


def unscale(images):
    """Map float images in [-1, 1], of any shape, to a uint8 array in [0, 255]; inverse of `scale`."""
    levels = np.array(images, "float32")  # one copy, changed in place: each step would make another one
    levels += 1.0
    levels *= 127.5
    return np.clip(np.rint(levels, out=levels), 0, 255, out=levels).astype("uint8")


def check_images(images, name="images"):
    """Return images as they are given, as an array.

    Args:
        images: (n, height, width, channels), n at least 1, uint8 in [0, 255] or float in [-1, 1].
        name: what an error calls them.

    Raises:
        ValueError: another number of axes or type, no image, values that are not finite or out of range.
    """
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(f"{name} have the shape {images.shape}; give (n, height, width, channels) with n at least 1")
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise ValueError(f"{name} are {images.dtype}; give uint8 in [0, 255] or float in [-1, 1]")
    least, most = float(images.min()), float(images.max())
    if not np.isfinite([least, most]).all():
        raise ValueError(f"{name} contain NaN or infinite values")
    if 0 <= least < most <= 1.001:
        raise ValueError(f"{name} are float from {least:.4g} to {most:.4g}, but [-1, 1] is meant; map x to 2 x - 1")
    if least < -1.001 or most > 1.001:
        raise ValueError(
            f"{name} are float from {least:.4g} to {most:.4g}, but [-1, 1] is meant; use data.scale for values in "
            "[0, 255], or give them as uint8"
        )
    return images


def as_float(images, name="images"):
    """Return images that `check_images` lets through as float32 in [-1, 1]."""
    images = check_images(images, name)
    floats = images.astype("float32")
    if images.dtype == np.uint8:
        floats /= 127.5
        floats -= 1.0
    return floats


def pipeline(images, labels=None, *, batch_size, n=None, seed=0, first_epoch=0):
    """Return a `tf.data.Dataset` that passes over the images once, shuffled anew at each pass.

    Only row numbers are shuffled, so the whole data set is shuffled however large it is. The images are
    read from the array that is given: no copy of it is made, and it must not change meanwhile. The
    incomplete last batch of a pass is dropped: every step then sees the same shape, and a batch norm never
    sees a tiny batch.

    Args:
        images: uint8 array (n, height, width, channels) in [0, 255].
        labels: array (n,), or None.
        batch_size: images in a batch, at most the number of images.
        n: how many images to keep, from the first on; None keeps all.
        seed: the same seed gives the same order, under the same `keras.utils.set_random_seed`.
        first_epoch: number of passes to skip, so that training that is taken up again sees the same
            order as training that was never interrupted.

    Returns:
        A dataset of float32 batches (batch_size, height, width, channels) in [-1, 1], or of pairs of
        such a batch and its labels (batch_size,).

    Raises:
        ValueError: images that are not uint8 with four axes, labels of another length, or a number
            out of range.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"images are {images.dtype} {images.shape}, expected uint8 (n, height, width, channels) in [0, 255]; "
            "scaling happens inside this pipeline"
        )
    if labels is not None and len(labels) != len(images):
        raise ValueError(f"{len(labels)} labels for {len(images)} images; give one label an image")
    n = len(images) if n is None else n
    if not 1 <= n <= len(images):
        raise ValueError(f"n={n} is not allowed; choose from 1 to {len(images)}")
    if not 1 <= batch_size <= n:
        raise ValueError(f"batch_size={batch_size} is not allowed; choose from 1 to {n}, the number of images")
    if first_epoch < 0:
        raise ValueError(f"first_epoch={first_epoch} is not allowed; give 0 or more")

    arrays = _Arrays(images[:n], None if labels is None else np.asarray(labels)[:n])
    # TensorFlow keeps the functions of a dataset for good; so they must not hold the arrays, but only know them.
    held, types, shape = weakref.ref(arrays), tuple(array.dtype for array in arrays.all()), images.shape[1:]

    def read(rows):
        return [array[rows] for array in held().all()]

    def gather(rows):
        # Read from the caller's array: a tensor in the graph would be a second copy, and each iterator's a third.
        batch, *batch_labels = tf.numpy_function(read, [rows], types, stateful=False)
        batch = scale(tf.ensure_shape(batch, (batch_size, *shape)))
        return (batch, tf.ensure_shape(batch_labels[0], (batch_size,))) if batch_labels else batch

    def one_pass(order):
        rows = tf.data.Dataset.range(n).batch(batch_size, drop_remainder=True)
        # A shuffle by formula: it needs no memory, however many images there are.
        return rows.map(lambda i: tf.random.experimental.index_shuffle(i, order, n - 1))

    orders = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2, drop_remainder=True).take(1)
    # Each new iterator takes the next numbers; taking some starts it.
    for _ in range(first_epoch):
        next(iter(orders))
    batches = orders.flat_map(lambda order: one_pass(tf.cast(order, tf.uint32)))
    batches = batches.apply(tf.data.experimental.assert_cardinality(n // batch_size)).map(gather).prefetch(2)
    batches.arrays = arrays  # which live as long as the dataset, what is made from it, and their iterators
    return batches


class _Arrays:
    """Images and labels as an object to which there can be weak references."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def all(self):
        return [self.images] if self.labels is None else [self.images, self.labels]
