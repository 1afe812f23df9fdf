"""Checks of images, labels and numbers, and the conversion between uint8 and float images."""

import numbers

import numpy as np

TOLERANCE = 1e-3  # float images may leave [-1, 1] by this much
_LABELS_SHOWN = 5
_STRAY = 1e-2  # with a smaller share of pixels below 0, images are taken to be in [0, 1]: real ones have dark areas
# Names that layers and operations on labels use for the number of classes.
_SIZES = ("input_dim", "num_classes", "num_tokens")
_NEARLY_BLACK = 8  # of 255
_MOST_CLASSES = 100_000  # if the number is not known, since an array of counts per class is kept


def as_array(values, name):
    """Return values as an array, or raise a readable ValueError for lists of unequal lengths."""
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} are lists of unequal lengths; give an array, or lists of equal ones") from None


def check_images(images, name="images"):
    """Return images unchanged, after checking their shape, type and range.

    Args:
        images: (n, height, width, channels), uint8 in [0, 255] or float in [-1, 1].
        name: what an error calls them.

    Raises:
        ValueError: a different number of axes or type, no image, values not finite or out of range, uint8 that is
            nearly black (such as 0 and 1), or floats that are nearly black or of which hardly any is below 0, which
            are in [0, 1].
    """
    images = as_array(images, name)
    if images.ndim != 4 or not images.size:
        hint = "; add the axis of channels: images[..., np.newaxis]" if images.ndim == 3 else ""
        raise ValueError(f"{name} have the shape {images.shape}; give (n, height, width, channels), n at least 1{hint}")
    if images.dtype == np.uint8:
        if 0 < images.max() <= _NEARLY_BLACK:
            raise ValueError(f"{name} are uint8 up to {images.max()}, nearly black; multiply those of 0 and 1 by 255")
        return images
    if images.dtype.kind != "f":
        raise ValueError(f"{name} are {images.dtype}; give uint8 in [0, 255] or float in [-1, 1]")
    low, high = float(images.min()), float(images.max())
    if not np.isfinite([low, high]).all():
        row = np.argwhere(~np.isfinite(images))[0][0]
        raise ValueError(f"{name} contain NaN or infinite values, the first in image {row}")
    said = f"{name} are float from {low:.4g} to {high:.4g}, but [-1, 1] is expected"
    if low < -1 - TOLERANCE or high > 1 + TOLERANCE:
        raise ValueError(f"{said}; for values in [0, 255] use data.scale, or give them as uint8")
    if low < high <= 2 * _NEARLY_BLACK / 255 - 1:
        raise ValueError(f"{said}, and these are nearly black; have they been scaled twice?")
    if low < high and np.mean(images < -_STRAY) < _STRAY:
        raise ValueError(
            f"{said}, and hardly any pixel is below 0; map values x in [0, 1] to 2 x - 1 (give very bright pictures "
            "as uint8)"
        )
    return images


def check_parts(parts, name):
    """Check by `check_images` what should be images, arrays with four axes and a first one with more than two.

    Other arrays of floats, such as points, must be finite.
    """
    for i, part in enumerate(parts):
        axes = len(getattr(part, "shape", ()))
        if axes == 4 or (axes > 2 and i == 0):
            check_images(part, name)
        elif axes and "float" in str(part.dtype):
            check_numbers(np.asarray(part), "rows of the data" if axes == 2 else "numbers of the data")


def as_float(images, name="images"):
    """Return images as float32 in [-1, 1]; arguments and errors are those of `check_images`."""
    images = check_images(images, name)
    floats = images.astype("float32")
    if images.dtype == np.uint8:
        floats /= 127.5
        floats -= 1.0
    return floats


def check_numbers(values, name):
    """Raise a ValueError if an array holds anything but finite real numbers."""
    if values.dtype.kind not in "biuf":
        cure = "np.unique(words, return_inverse=True)[1] turns words into whole numbers"
        raise ValueError(f"{name} are {values.dtype} {values.shape}; give numbers: {cure}")
    if not np.isfinite(values).all():
        bad = np.argwhere(~np.isfinite(np.atleast_1d(values)))
        raise ValueError(f"{name} hold {len(bad)} values that are NaN or infinite, the first in row {bad[0][0]}")


def check_labels(labels, name="labels", classes=None, rows=None, of="images"):
    """Return labels as int64, after checking their shape, type and values.

    Args:
        labels: (n,), whole numbers from 0 to classes - 1.
        name: what an error calls them.
        classes: number of classes; None allows up to 100,000.
        rows: the required number of labels, or None.
        of: what the labels belong to, for the error about `rows`.

    Raises:
        ValueError: a different shape, such as (n, 1) or one-hot rows, words, fractions, NaN, or unknown classes.
    """
    if labels is None:
        raise ValueError(f"{name} are None; give whole numbers (n,)")
    labels = as_array(labels, name)
    if labels.ndim == 2:
        cure = "labels[:, 0]" if labels.shape[1] == 1 else "labels.argmax(axis=1), if its rows are one-hot,"
        raise ValueError(f"{name} have the shape {labels.shape}; give whole numbers (n,): {cure} makes them")
    if labels.dtype.kind == "b":
        raise ValueError(f"{name} are bool {labels.shape}; give whole numbers (n,)")
    check_numbers(labels, name)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"{name} have the shape {labels.shape}; give whole numbers (n,), n at least 1")
    if rows is not None and len(labels) != rows:
        raise ValueError(f"{name}: {len(labels)} for {rows} {of}; give one label each")
    wrong = (labels != np.floor(labels)) | (labels < 0) | (labels >= (classes or _MOST_CLASSES))
    if wrong.any():
        shown = ", ".join(f"{value:g}" for value in np.unique(labels[wrong])[:_LABELS_SHOWN])
        allowed = f"from 0 to {(classes or _MOST_CLASSES) - 1}"
        raise ValueError(f"{name} hold {shown}; give whole numbers, {allowed}")
    return labels.astype("int64")


def check_named(values, name, of):
    """Raise a ValueError for anything but a dict that is not empty; `of` describes its values."""
    if not isinstance(values, dict) or not values:
        raise ValueError(f"{name} are {type(values).__name__} of {np.size(values)}; give a dict from a name to {of}")


def classes_of(network):
    """Return a network's number of classes, read off its one-hot or embedding layer, or None."""
    return min(
        (size for part in network.operations for name in _SIZES if (size := getattr(part, name, None))), default=None
    )


def whole_number(value, name, least, most=None, reason=""):
    """Return a whole number from `least` to `most` as an int."""
    is_whole = isinstance(value, numbers.Real) and not isinstance(value, bool) and float(value).is_integer()
    if not is_whole or value < least or (most is not None and value > most):
        allowed = f"{least} or more" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name}={value!r} is not allowed; choose a whole number, {allowed}{reason and f', {reason}'}")
    return int(value)


def whole_numbers(values, name, length=None):
    """Return a sequence of whole numbers of at least 1, `length` of them if it is given, as a tuple."""
    many = isinstance(values, (tuple, list)) and values
    if not many or length not in (None, len(values)):
        raise ValueError(
            f"{name}={values!r} is not allowed; give {length or 'some'} whole numbers, 1 or more, (..., ...)"
        )
    return tuple(whole_number(value, name, 1) for value in values)


def generator(seed):
    """Return NumPy's random generator for a seed, a whole number of at least 0."""
    return np.random.default_rng(whole_number(seed, "seed", 0))


def number(value, name, least, most=np.inf, open_ends=True):
    """Return a finite number between `least` and `most` as a float; `open_ends` excludes these two."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool) and np.isfinite(value)
    if not is_number or not (least < value < most if open_ends else least <= value <= most):
        closed = f"from {least:g} to {most:g}" if most < np.inf else f"of {least:g} or more"
        opened = f"above {least:g}" + (f" and below {most:g}" if most < np.inf else "")
        raise ValueError(f"{name}={value!r} is not allowed; choose a number {opened if open_ends else closed}")
    return float(value)


def unscale(images):
    """Map float images in [-1, 1], of any shape, to uint8 in [0, 255]. Inverse of `data.scale`.

    Values outside [-1, 1], which a generator without tanh may return, are clipped.

    Raises:
        ValueError: integers, NaN or infinite values, or values in the range [0, 255].
    """
    levels = as_array(images, "images")
    if levels.dtype.kind != "f":
        raise ValueError(f"images are {levels.dtype} already; unscale takes float in [-1, 1]")
    if levels.size and not np.isfinite([levels.min(), levels.max()]).all():
        raise ValueError("images contain NaN or infinite values; a generator that diverged is the usual reason")
    if levels.size and levels.min() >= 0 and levels.max() > 2:
        raise ValueError(f"images are float up to {levels.max():.4g}, like [0, 255]; unscale takes float in [-1, 1]")
    levels = np.array(levels, "float32")  # a single copy, changed in place
    levels += 1.0
    levels *= 127.5
    return np.clip(np.rint(levels, out=levels), 0, 255, out=levels).astype("uint8")
