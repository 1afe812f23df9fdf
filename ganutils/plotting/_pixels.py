"""What each pixel of an image does to a network's answer."""

import numpy as np

from ganutils import validation
from ganutils.plotting._chase import CERTAINTY
from ganutils.plotting._images import draw_tiles, to_bytes
from ganutils.plotting._page import Figure


def pixel_slopes(images, slopes, moved, tile_inches=0.95):
    """Draw images, the slope of their logit in each pixel, and the images after a step along these slopes.

    Blue pixels would make the discriminator surer of *real* if they were brighter, orange ones if they were darker.
    Each image has a colour scale of its own, from minus to plus its largest slope.

    Args:
        images: (n, height, width, 1), float in [-1, 1] or uint8.
        slopes: (n, height, width, 1), the derivatives of each image's logit with respect to its pixels.
        moved: images of the same shape, after the step.
        tile_inches: side of one image in the figure.
    """
    images, moved, slopes = to_bytes(images), to_bytes(moved), np.asarray(slopes, "float64")
    if not images.shape == moved.shape == slopes.shape or images.shape[-1] != 1:
        shapes = f"images {images.shape}, slopes {slopes.shape} and moved images {moved.shape}"
        raise ValueError(f"{shapes}: give grey images (n, height, width, 1), and as many slopes and moved images")
    validation.check_numbers(slopes, "slopes")
    largest = np.abs(slopes).max(axis=(1, 2, 3), keepdims=True)
    colours = CERTAINTY(0.5 + slopes[..., 0] / np.where(largest, 2 * largest, 1)[..., 0])[..., :3]
    rows = [np.repeat(images, 3, axis=-1), (255 * colours).astype("uint8"), np.repeat(moved, 3, axis=-1)]
    figure = Figure(figsize=(len(images) * tile_inches, 3 * tile_inches))
    labels = ["generated", "slopes", "after a step"]
    draw_tiles(figure.add_axes((0, 0, 1, 1)), np.concatenate(rows), len(images), row_labels=labels)
    return figure
