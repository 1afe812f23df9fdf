"""Pictures of half and of twice the size, for networks that draw from coarse to fine."""

from keras import ops


def shrink(images, factor):
    """Return images (n, height / factor, width / factor, channels): each pixel is the mean of a block.

    Nothing aliases by it.

    Raises:
        ValueError: another number of axes, sides that are no multiples of the factor, or images that are not floats.
    """
    if len(images.shape) != 4 or any(side is not None and side % factor for side in images.shape[1:3]):
        raise ValueError(
            f"images have the shape {tuple(images.shape)}; give (n, height, width, channels), height and width "
            f"multiples of {factor}"
        )
    if "float" not in str(images.dtype):
        raise ValueError(f"images are {images.dtype}; give floats in [-1, 1]: data.as_float(images)")
    return ops.average_pool(images, factor)


def halve(images):
    """Return `shrink(images, 2)`."""
    return shrink(images, 2)


def repeat_pixels(images):
    """Return images (n, 2 height, 2 width, channels): each pixel becomes 2 x 2 equal ones."""
    return ops.repeat(ops.repeat(images, 2, axis=1), 2, axis=2)


def double(images):
    """Return images (n, 2 height, 2 width, channels), interpolated linearly, for images (n, height, width, channels).

    Not for discriminators with a penalty: TensorFlow's interpolation has no second derivative.
    """
    return ops.image.resize(images, [2 * side for side in images.shape[1:3]], interpolation="bilinear")
