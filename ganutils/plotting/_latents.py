"""Walks through latent space. A generator is a callable from latents (n, latent_dim) to images in [-1, 1]."""

import numpy as np

from ganutils import validation
from ganutils.plotting._images import draw_tiles
from ganutils.plotting._page import ORANGE, Figure


def mix_latents(latents, weights):
    """Mix latent vectors and stretch the mixture to the length that its parts have.

    The mean of independent normal vectors is shorter than each of them, and a generator has hardly ever
    been trained on short latents: in many dimensions nearly all normal vectors have about the length
    sqrt(latent_dim). White 2016 proposes to keep that length on the way from one latent to another.

    Args:
        latents: (k, latent_dim), the parts.
        weights: (..., k), at least 0, summing to 1 over the last axis.

    Returns:
        float32 array (..., latent_dim).

    Raises:
        ValueError: another number of weights than of latents.
    """
    latents, weights = validation.as_array(latents, "latents"), validation.as_array(weights, "weights")
    for name, values in (("latents", latents), ("weights", weights)):
        if values.dtype.kind != "f" or not values.size or not np.isfinite(values).all():
            raise ValueError(f"{name} are {values.dtype} {values.shape}; give finite float numbers")
    latents, weights = latents.astype("float32"), weights.astype("float32")
    if latents.ndim != 2 or weights.shape[-1] != len(latents):
        raise ValueError(f"latents {latents.shape} and weights {weights.shape}: give (k, latent_dim) and (..., k)")
    if weights.min() < -1e-6 or np.abs(weights.sum(axis=-1) - 1).max() > 1e-3:
        raise ValueError(
            f"weights go from {weights.min():.3g} to {weights.max():.3g}; each row must sum to 1, from 0 on"
        )
    mixed = weights @ latents
    if not np.linalg.norm(mixed, axis=-1).all():
        raise ValueError("latents that are opposites have a mixture of length 0, which has no direction; draw others")
    lengths = weights @ np.linalg.norm(latents, axis=-1)
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True) * lengths[..., np.newaxis]


def _plane_latents(corners, x, y):
    """Mix four latents (top left, top right, bottom left, bottom right) at x, y in [0, 1]."""
    return mix_latents(corners, np.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], axis=-1))


def latent_point(generator, corners, x, y, size=8):
    """Draw a plane in latent space with one point marked, and the image at that point beside it.

    The plane has `size` images along each side; its corners, latents (4, latent_dim), are those at the top left, top
    right, bottom left and bottom right. The point's position goes from left (x = 0) to right (1) and from top (y = 0)
    to bottom (1).
    """
    figure = Figure(figsize=(8, 4), layout="tight")
    left, right = figure.subplots(1, 2)
    plane = _plane(generator, corners, size)
    draw_tiles(left, plane, size, "the plane between four latents")
    height, width = plane.shape[1:3]
    centre = width / 2 + x * (size - 1) * (width + 2), height / 2 + y * (size - 1) * (height + 2)
    left.plot(*centre, "o", markersize=14, markerfacecolor="none", markeredgecolor=ORANGE, markeredgewidth=2.5)
    image = validation.unscale(generator(_plane_latents(corners, x, y)[None]))
    draw_tiles(right, image, 1, f"the image at x = {x:.2f}, y = {y:.2f}")
    return figure


def class_point(body, latents, first, second, mix, classes=10, steps=7):
    """Draw digits between two classes, a row for each latent, and beside them the one at a chosen mixture.

    Args:
        body: callable from latents with one-hot labels behind them (n, latent_dim + classes) to images.
        latents: (rows, latent_dim).
        first, second: classes at the left and at the right end, from 0 to classes - 1.
        mix: from 0, the first class alone, to 1, the second alone.
        classes: number of classes.
        steps: columns of the row; a last column, set apart, is the image at `mix`.
    """
    validation.check_labels([first, second], "first, second", classes)
    mix = validation.number(mix, "mix", 0, 1, open_ends=False)
    one_hot = np.eye(classes)
    mixes = np.append(np.linspace(0, 1, steps), mix)[:, None]
    labels = (1 - mixes) * one_hot[first] + mixes * one_hot[second]
    joined = np.concatenate([np.hstack([np.tile(latent, (steps + 1, 1)), labels]) for latent in latents])
    images = validation.unscale(body(joined.astype("float32")))
    images = images.reshape(len(latents), steps + 1, *images.shape[1:])
    figure = Figure(figsize=(7.5, 0.75 * len(latents) + 0.3), layout="tight")
    left, right = figure.subplots(1, 2, width_ratios=(steps, 1.4))
    draw_tiles(left, images[:, :-1].reshape(-1, *images.shape[2:]), steps, f"from {first} to {second}")
    draw_tiles(right, images[:, -1], 1, f"mix {mix:.2f}")
    return figure


def _plane(generator, corners, size):
    steps = np.linspace(0, 1, size)
    y, x = np.meshgrid(steps, steps, indexing="ij")
    return validation.unscale(generator(_plane_latents(corners, x.ravel(), y.ravel())))
