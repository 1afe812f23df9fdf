"""Pictures of half and of twice the size, for networks that draw from coarse to fine."""

from keras import ops


def halve(images):
    """Return images (n, height / 2, width / 2, channels): each pixel is the mean of 2 x 2, so that nothing aliases.

    Raises:
        ValueError: another number of axes, an odd height or width, or images that are not floats.
    """
    if len(images.shape) != 4 or any(side is not None and side % 2 for side in images.shape[1:3]):
        raise ValueError(
            f"images have the shape {tuple(images.shape)}; give (n, height, width, channels) of even height and width"
        )
    if "float" not in str(images.dtype):
        raise ValueError(f"images are {images.dtype}; give floats in [-1, 1]: data.as_float(images)")
    return ops.average_pool(images, 2)


def repeat_pixels(images):
    """Return images (n, 2 height, 2 width, channels): each pixel becomes 2 x 2 equal ones."""
    return ops.repeat(ops.repeat(images, 2, axis=1), 2, axis=2)


def double(images):
    """Return images (n, 2 height, 2 width, channels), interpolated linearly, for images (n, height, width, channels).

    Not for discriminators with a penalty: TensorFlow's interpolation has no second derivative.
    """
    return ops.image.resize(images, [2 * side for side in images.shape[1:3]], interpolation="bilinear")
