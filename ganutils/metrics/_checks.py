"""Input validation. Each error names the argument, its value and what is allowed."""

import numpy as np

from ganutils import validation

_SUM_TOLERANCE = 1e-3
_LARGEST = 1e50


def _finite(values, name):
    if (bad := ~np.isfinite(values)).any():
        where = f"{bad.sum()} values that are NaN or infinite, the first in row {np.argwhere(bad)[0][0]}"
        raise ValueError(f"{name} hold {where}; a generator that diverged is the usual reason")


def features(values, name, least=1, reason="a mean needs one"):
    """Return features (n, d) as a float64 array of at least `least` rows, all finite."""
    if hasattr(values, "features"):
        raise ValueError(f"{name} are {type(values).__name__} with probabilities; give their `.features`")
    values = validation.as_array(values, name)
    if values.ndim == 4:
        raise ValueError(
            f"{name} have the shape {values.shape} of images; give their features, for example by "
            f"ganutils.features.untrained({values.shape[1:]}), or digit_classifier() for digits"
        )
    if values.ndim != 2 or not values.shape[1] or not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"{name} are {values.dtype} {values.shape}, expected float features (n, d)")
    if len(values) < least:
        raise ValueError(f"{name} have {len(values)} rows; give at least {least}, since {reason}")
    values = values.astype("float64")
    _finite(values, name)
    if np.abs(values).max() > _LARGEST:
        raise ValueError(
            f"{name} reach {np.abs(values).max():.3g}, whose square overflows; divide all features by one number"
        )
    return values


def extracted(values, name, extractor=None, least=1, reason="a mean needs one"):
    """Return the features of images if there is an extractor (a function of images), or else the given features."""
    if extractor is None:
        return features(values, name, least, reason)
    return features(call(extractor, validation.check_images(values, name)), f"features of {name}", least, reason)


def call(extractor, images):
    """Return the features of images as an array with one row per image."""
    if not callable(extractor):
        raise ValueError(f"features={extractor!r} is not allowed; give a function from images to features (n, d)")
    result = extractor(images)
    result = np.asarray(getattr(result, "features", result))
    if not result.ndim or len(result) != len(images):
        raise ValueError(f"features have the shape {result.shape} for {len(images)} images; give one row per image")
    return result


def same_width(**named):
    """Check that all arrays of features have the same number of features."""
    (first, width), *others = ((name, values.shape[1]) for name, values in named.items())
    for name, other in others:
        if other != width:
            raise ValueError(f"{first} have {width} features per row and {name} {other}; use one extractor for both")


def feature_sets(extractor=None, least=1, reason="a mean needs one", **named):
    """Return the features of several sets of samples, all of the same width."""
    found = {name: extracted(values, name, extractor, least, reason) for name, values in named.items()}
    same_width(**found)
    return list(found.values())


def to_unit_range(values):
    """Map images that `validation.check_images` accepts to float64 in [0, 1]."""
    return values / 255.0 if values.dtype == np.uint8 else (values.astype("float64") + 1) / 2


def probabilities(values, name="probabilities"):
    """Return probabilities (n, classes) as float64, each row normalised to sum to exactly 1."""
    values = validation.as_array(values, name)
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.floating) or not values.size:
        raise ValueError(f"{name} are {values.dtype} {values.shape}, expected float (n, classes)")
    values = values.astype("float64")
    _finite(values, name)
    if values.min() < 0:
        raise ValueError(f"{name} reach down to {values.min():g}; give probabilities, at least 0, not logits")
    sums = values.sum(axis=1)
    row = np.abs(sums - 1).argmax()
    if abs(sums[row] - 1) > _SUM_TOLERANCE:
        raise ValueError(f"{name} in row {row} sum to {sums[row]:g}, not to 1; apply a softmax to logits first")
    return values / sums[:, None]
