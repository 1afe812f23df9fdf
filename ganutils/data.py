"""Data sets as uint8 arrays, checks of images, and the pipeline that feeds them to training.

Images stay uint8 in memory, a quarter of the size of float32, and are scaled to [-1, 1] batch by batch.
"""

import collections
import hashlib
import weakref
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from ganutils import earth, faces, folders, validation
from ganutils.validation import as_float, check_images, unscale

__all__ = ["as_float", "check_images", "load_dataset", "load_folder", "pipeline", "scale"]
__all__ += ["stacked_mnist", "unpaired", "unscale"]

_MNIST_FILE = folders.DATA / "mnist.npz"
_MNIST_SHA256 = "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"
SPLITS = {"train": 60_000, "test": 10_000}

_MADE = {"toon_faces": faces.load, "earth_maps": earth.load}

_ORDER = np.uint32(498247692)  # arbitrary, but fixed: the order of a given seed depends on it
_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff")
_MOST_PIXELS = 50_000_000  # of one file: 150 MB once it is decoded
_TOO_LARGE = f"more than {_MOST_PIXELS:,} pixels; make it smaller"

LabelledImages = collections.namedtuple("LabelledImages", "images labels")
Folder = collections.namedtuple("Folder", "images labels classes files skipped")


def load_dataset(name="mnist", split="train", **options):
    """Return images of a data set that is bundled with the course, and what is known of them.

    Args:
        name: "mnist" (LeCun, Cortes and Burges), "toon_faces" or "earth_maps".
        split: "train" or "test"; 60,000 and 10,000 images of MNIST.
        **options: `n`, `size` and `seed` of toon_faces, which are composed, and of earth_maps, which are cut out, when
            they are asked for: see `faces.load` and `earth.load`.

    Returns:
        `LabelledImages`, (n, 28, 28, 1) uint8 and (n,) int64, in the canonical order, which is not random: the
        first and the last 5,000 test images of MNIST differ visibly. Shuffle before you take a part. Or `faces.Faces`
        or `earth.Maps`.

    Raises:
        ValueError, FileNotFoundError: an unknown name or split, or a damaged or missing file.
    """
    if name in _MADE:
        return _MADE[name](split=split, **options)
    if name != "mnist" or options:
        what = f"{', '.join(options)} for {name!r}" if options else f"data set {name!r}"
        raise ValueError(
            f"unknown {what}; choose mnist, {' or '.join(_MADE)} (with n, size, seed), or load_folder(path, ...) for "
            "your own pictures"
        )
    if not isinstance(split, str) or split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    folders.verify(_MNIST_FILE, _MNIST_SHA256, "data/mnist.npz")
    with np.load(_MNIST_FILE, allow_pickle=False) as arrays:
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
    return LabelledImages(images[..., np.newaxis], labels.astype("int64"))


def load_folder(path, image_size, channels=3, max_images=None):
    """Return the pictures (PNG, JPEG, GIF, WebP, BMP, TIFF) of a folder and its subfolders as uint8 of one size.

    Each picture is rotated according to its EXIF data, composited on white if it is transparent, cropped around its
    centre to the aspect ratio of the result and resized with antialiasing. GIFs give their first frame; 16 bits become
    8. Files that cannot be read, or have more than 50 million pixels, are skipped, and a printed line says how many.
    Only one decoded picture is in memory at a time.

    Args:
        path: path of the folder.
        image_size: side of the images in pixels, or (height, width).
        channels: 1 for grey, 3 for colour.
        max_images: maximum number of files to read, spread evenly over all; None reads all.

    Returns:
        A `Folder`: images (n, height, width, channels) uint8; labels (n,) int64 and the names of their classes, which
        are the subfolders, or None and () if a picture is in none; the files' names, in an order that is
        the same on every system; and a dict from the names of skipped files to the reasons.

    Raises:
        ValueError, FileNotFoundError: an invalid argument, no such folder, or no picture in it.
    """
    if not isinstance(path, (str, Path)):
        raise ValueError(f"path={path!r} is not allowed; give the path of a folder of pictures")
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; give the path of one that holds pictures")
    if isinstance(image_size, (tuple, list)):
        height, width = validation.whole_numbers(image_size, "image_size", 2)
    else:
        height = width = validation.whole_number(image_size, "image_size", 1)
    if max_images is not None:
        max_images = validation.whole_number(max_images, "max_images", 1)
    if channels not in (1, 3) or not isinstance(channels, int) or isinstance(channels, bool):
        raise ValueError(f"channels={channels!r} is not allowed; choose 1 (grey) or 3 (colour)")
    found = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    found = [name for name in found if not any(part.startswith(".") for part in name.split("/"))]
    names = [name for name in found if name.lower().endswith(_SUFFIXES)]
    if others := [name for name in found if name not in set(names)]:
        print(f"{len(others)} files in {folder} are not {', '.join(_SUFFIXES)}, and skipped; the first is {others[0]}")
    if max_images is not None and len(names) > max_images:
        names = [names[i * len(names) // max_images] for i in range(max_images)]
    images, files, skipped = np.empty((len(names), height, width, channels), "uint8"), [], {}
    for name in names:
        try:
            images[len(files)] = _read_picture(folder / name, height, width, channels)
            files.append(name)
        except Exception as error:  # for broken files Pillow raises errors of any type, even struct.error
            large = isinstance(error, Image.DecompressionBombError)
            skipped[name] = _TOO_LARGE if large else f"{type(error).__name__}: {error}"
    if skipped:
        name, reason = next(iter(skipped.items()))
        reason = reason.replace(str(folder / name), name)
        print(f"{len(skipped)} of {len(names)} pictures cannot be read; the first is {name}: {reason}")
    if files and (brightest := images[: len(files)].max()) < 64:
        print(f"No pixel of {folder} is brighter than {brightest} of 255: are these pictures of another range?")
    if not files:
        raise ValueError(f"{folder} holds no readable picture; give a folder with {', '.join(_SUFFIXES)} files")
    parts = [name.partition("/") for name in files]
    classes = tuple(sorted({first for first, _, rest in parts})) if all(rest for *_, rest in parts) else ()
    labels = np.array([classes.index(first) for first, *_ in parts]) if classes else None
    return Folder(images[: len(files)], labels, classes, files, skipped)


def _read_picture(path, height, width, channels):
    with Image.open(path) as picture:
        if picture.width * picture.height > _MOST_PIXELS:
            raise ValueError(_TOO_LARGE)
        if picture.mode == "F":
            raise ValueError("its pixels are fractions of an unknown range; save it with 8 or 16 bits")
        if picture.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255 instead of rescaling
            picture = Image.fromarray((np.asarray(picture) // 257).astype("uint8"))
        picture = ImageOps.exif_transpose(picture)
        if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        picture = picture.convert("L" if channels == 1 else "RGB")
        fitted = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
        return np.asarray(fitted).reshape(height, width, channels)


def scale(images):
    """Map uint8 images in [0, 255] (others raise ValueError) to float32 in [-1, 1]. Works inside a graph."""
    images = tf.convert_to_tensor(images)
    if images.dtype != tf.uint8:
        raise ValueError(f"images are {images.dtype.name}; give uint8 in [0, 255], or map x in [0, 1] to 2 x - 1")
    return tf.cast(images, "float32") / 127.5 - 1.0


def pipeline(*arrays, batch_size, n=None, seed=0):
    """Return a `tf.data.Dataset` that passes once over arrays of equal length, in a new random order each time.

    Only row numbers are shuffled, and rows are read from the given arrays without a copy, so these must not change
    meanwhile. The incomplete last batch of a pass is dropped: every step has the same shape, and batch norm never
    sees a tiny batch.

    Args:
        *arrays: images (n, height, width, channels), uint8 in [0, 255] or float in [-1, 1], and optionally arrays
            with a row for each image: labels (n,), more images (any array with four axes), numbers. None is ignored.
        batch_size: rows per batch, at most n.
        n: use only the first n rows; None uses all.
        seed: the same seed gives the same order, under the same `keras.utils.set_random_seed`.

    Returns:
        A dataset of batches, or of tuples of batches for several arrays. Images are float32 in [-1, 1].

    Raises:
        ValueError: images that `check_images` refuses, arrays of different lengths, or a number out of range.
    """
    return Source([arrays], batch_size, n, seed).batches()


def unpaired(first, second, *, batch_size, seed=0):
    """Return a dataset of pairs of batches from two unpaired sets of images, such as the two domains of a CycleGAN.

    A pass goes once over the larger set. Each set has its own random order, a new one whenever it starts over.
    Images, `batch_size`, `seed` and errors are as for `pipeline`.
    """
    for images in (first, second):
        check_images(images)
    return Source([[first], [second]], batch_size, None, seed).batches()


def stacked_mnist(*, batch_size, labels=False, split="train", seed=0):
    """Return a dataset of three random digits each, as the red, green and blue of one image (Metz et al. 2017).

    Its 1,000 modes are the three-digit numbers. Each digit of the split is in each colour once in a pass, in an order
    of its own; other passes pair them otherwise. Images are put together batch by batch: memory holds MNIST alone.

    Args:
        batch_size: images in a batch, at most as many as the split has digits.
        labels: whether batches are pairs of images and the numbers (n,), 100 red + 10 green + blue.
        split, seed: as in `load_dataset` and `pipeline`.

    Returns:
        A dataset of batches (n, 28, 28, 3), float32 in [-1, 1]; of pairs with labels.
    """
    digits = load_dataset("mnist", split)
    return _Stacked([list(digits) if labels else [digits.images]] * 3, batch_size, None, seed).batches()


class Source:
    """Groups of arrays and the order in which their rows are read. Datasets carry theirs as `.source`."""

    def __init__(self, groups, batch_size, n, seed):
        groups = [[validation.as_array(array, "arrays") for array in group if array is not None] for group in groups]
        if not all(groups):
            raise ValueError("there is no array; give at least images")
        for i, group in enumerate(groups):
            lengths = [len(array) if array.ndim else 0 for array in group]
            if not all(lengths):
                raise ValueError("an array has no rows; give images, and arrays with a row for each of them")
            if len(set(lengths)) > 1:
                raise ValueError(f"the arrays have {', '.join(map(str, lengths))} rows; give arrays of equal length")
            most = lengths[0] if n is None else validation.whole_number(n, "n", 1, lengths[0], "the number of rows")
            groups[i] = [array[:most] for array in group]
            for k, array in enumerate(groups[i]):
                if array.ndim == 4 or (array.ndim > 2 and k == 0):
                    check_images(array)
                else:
                    validation.check_numbers(array, f"array {k}")
        smallest = min(len(group[0]) for group in groups)
        self.batch_size = validation.whole_number(batch_size, "batch_size", 1, smallest, "the number of rows")
        self.groups, self.seed = groups, seed if seed is None else validation.whole_number(seed, "seed", 0)
        self.arrays = [array for group in groups for array in group]

    def describe(self):
        """Return a dict that identifies the data and their order: number of rows, batch size, seed, arrays' sha256."""
        digest, rows = hashlib.sha256(), [len(group[0]) for group in self.groups]
        for array in self.arrays:
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array))
        return {"sha256": digest.hexdigest(), "rows": rows, "batch_size": self.batch_size, "seed": self.seed}

    def batches(self, first_epoch=0):
        """Return a dataset of one pass over the rows; its first iteration has the order of pass `first_epoch`."""
        # TensorFlow never frees a dataset's Python functions, so they hold a weak reference to the arrays.
        held = weakref.ref(self)
        types, shapes = [array.dtype for array in self.arrays], [array.shape[1:] for array in self.arrays]
        lengths, batch_size = [len(group[0]) for group in self.groups], self.batch_size

        def read(*rows):
            return [array[of] for of, group in zip(rows, held().groups, strict=True) for array in group]

        def gather(*rows):
            # Read from the caller's array: a tensor in the graph would be a second copy, and each iterator's a third.
            found = tf.numpy_function(read, rows, types, stateful=False)
            found = [tf.ensure_shape(batch, (batch_size, *of)) for batch, of in zip(found, shapes, strict=True)]
            found = [scale(batch) if batch.dtype == "uint8" and len(batch.shape) == 4 else batch for batch in found]
            found = [tf.cast(batch, "float32") if batch.dtype.is_floating else batch for batch in found]
            return tuple(found) if len(found) > 1 else found[0]

        def shuffled(i, order):
            """Return a shuffled row of each group, computed by a formula that needs no memory."""
            rows = []
            for k, length in enumerate(lengths):
                turns = tf.cast(i // length, "uint32")  # how often a smaller group has started over
                none = tf.zeros_like(turns)
                seeds = tf.stack([none + _ORDER, none + order[0] + k, order[1] + turns], axis=1)
                # Not `tf.random.experimental.index_shuffle`, which cannot take a seed for each row.
                options = {"max_index": np.int64(length - 1), "rounds": 4}
                rows.append(tf.raw_ops.RandomIndexShuffle(index=i % length, seed=seeds, **options))
            return tuple(rows)

        def one_pass(order):
            order = tf.cast(order, tf.uint32)
            rows = tf.data.Dataset.range(max(lengths)).batch(batch_size, drop_remainder=True)
            return rows.map(lambda i: shuffled(i, order))

        orders = tf.data.Dataset.random(self.seed, rerandomize_each_iteration=True)
        orders = orders.batch(2, drop_remainder=True).take(1)
        for _ in range(first_epoch):
            next(iter(orders))  # each new iterator takes the next numbers, once an element is read
        batches = orders.flat_map(one_pass)
        batches = batches.apply(tf.data.experimental.assert_cardinality(max(lengths) // batch_size))
        batches = batches.map(gather).prefetch(2)
        batches.source = self  # keeps the arrays alive as long as the dataset and what is derived from it
        return batches


class _Stacked(Source):
    """A source of images whose channels come from the groups, and of labels with a digit from each group."""

    def batches(self, first_epoch=0):
        width = len(self.groups[0])

        def stack(*parts):  # without `self`, as in the class above
            images, *labels = (parts[i::width] for i in range(width))
            images = tf.concat(images, axis=-1)
            return (images, 100 * labels[0][0] + 10 * labels[0][1] + labels[0][2]) if labels else images

        stacked = super().batches(first_epoch).map(stack)
        stacked.source = self
        return stacked
