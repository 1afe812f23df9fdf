"""Compare an answer with what a check expects, and raise `Wrong` if it differs."""

import numpy as np
import tensorflow as tf
from keras import ops

from .feedback import Wrong


def number(value, what, read):
    """Return an answer as a float64 array.

    Args:
        value: what a student's function returned.
        what: text, what it should be.
        read: text, the lesson and section that explain it.

    Raises:
        Wrong: it is not a number or an array of numbers.
    """
    if value is None:
        raise Wrong(f"{what}: a number", "None", "the function returns nothing: is a `return` missing?", read)
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError("NumPy would read a number in quotes")
        return np.asarray(ops.convert_to_numpy(value), "float64")
    except (TypeError, ValueError):
        came = f"an object of type {type(value).__name__}"
        raise Wrong(f"{what}: a number", came, "the function does not return its result", read) from None


def tensor(value, what, read):
    """Raise `Wrong` unless an answer is a TensorFlow tensor, so that gradients can flow. Arguments as for `number`."""
    number(value, what, read)
    if not tf.is_tensor(value):
        because = "the computation leaves TensorFlow, for example through NumPy, so no gradient can flow back"
        raise Wrong(f"{what}: a tensor", f"an object of type {type(value).__name__}", because, read)


def expect(what, came, expected, read, mistakes=(), otherwise="", secret=False, rtol=1e-4, atol=1e-5):
    """Raise `Wrong` if an answer is not the expected one, with the mistake that leads to this answer.

    Args:
        what: text, what is compared, with its input.
        came: the answer, a number or an array.
        expected: the correct value.
        read: text, the lesson and section that explain it.
        mistakes: pairs of a wrong value and the misconception that leads to it.
        otherwise: text for all other wrong values.
        secret: whether `expected` is the whole answer, which the message must not give.
        rtol, atol: relative and absolute tolerance, as in `numpy.allclose`.

    Raises:
        Wrong: a different shape, or different values.
    """
    came, expected = number(came, what, read), np.asarray(expected, "float64")
    if came.shape != expected.shape:
        shapes = f"{what}: the shape {expected.shape}", f"the shape {came.shape}"
        for wrong, because in mistakes:
            if came.shape == np.shape(wrong) and np.allclose(came, wrong, rtol, atol, equal_nan=True):
                raise Wrong(*shapes, because, read)
        same = came.size == expected.size and np.allclose(came.ravel(), expected.ravel(), rtol, atol)
        because = "a mean or a sum over the wrong axes, or over none"
        because = "the right numbers, with one axis too many or too few" if same else because
        raise Wrong(*shapes, because, read)
    if np.allclose(came, expected, rtol, atol):
        return
    because = otherwise or "none that this check knows; compare with the formula, term by term"
    for wrong, known in mistakes:
        if np.shape(wrong) == came.shape and np.allclose(came, wrong, rtol, atol, equal_nan=True):
            because = known
            break
    # Enough digits to show the difference.
    digits = next((n for n in (5, 9, 17) if _short(expected, n) != _short(came, n)), 17)
    raise Wrong(what if secret else f"{what}: {_short(expected, digits)}", _short(came, digits), because, read)


def _short(value, digits):
    if value.ndim == 0:
        return f"{value:.{digits}g}"
    flat = value.ravel()
    listed = ", ".join(f"{entry:.{digits - 1}g}" for entry in flat[:6])
    return f"[{listed}{', …' if flat.size > 6 else ''}]"
