"""The convolutional networks of lesson 02: the baseline DCGAN of introductory texts, and a small, fast one."""

import math

import keras
from keras import layers

from ganutils import validation
from ganutils.models.vanilla import IMAGE_SHAPE


def dcgan_generator(
    latent_dim=100, filters=(256, 128, 64), kernel_size=5, strides=(1, 2, 2), hidden=None, image_shape=IMAGE_SHAPE
):
    """Convolutional generator after Radford, Metz and Chintala 2016.

    The defaults are the network that introductory texts use for 28 x 28 digits: dense to 7 x 7 x 256,
    then transposed convolutions to 7 x 7 x 128, 14 x 14 x 64 and 28 x 28 x 1.

    Args:
        latent_dim: length of a latent vector.
        filters: channels of the start, 7 x 7 for digits, and of each transposed convolution but the last.
        kernel_size: side of the kernels in pixels.
        strides: stride of each transposed convolution; as many as `filters`.
        hidden: units of a dense layer between the latents and the start, or None for no such layer.
        image_shape: (height, width, channels) of an image.

    Returns:
        A keras.Model from latents (n, latent_dim) to images (n, *image_shape) in [-1, 1].

    Raises:
        ValueError: a different number of strides, or strides whose product does not divide height and width.
    """
    *sides, colours = validation.whole_numbers(image_shape, "image_shape", 3)
    filters, strides = validation.whole_numbers(filters, "filters"), validation.whole_numbers(strides, "strides")
    if len(strides) != len(filters) or any(side % math.prod(strides) for side in sides):
        raise ValueError(f"strides={strides}: give {len(filters)} strides whose product divides the sides {sides}")
    start = [side // math.prod(strides) for side in sides]
    x = latents = keras.Input((validation.whole_number(latent_dim, "latent_dim", 1),), name="latents")
    for units in (hidden, math.prod(start) * filters[0]):
        if units is not None:
            x = layers.Dense(units, use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.LeakyReLU(0.2)(x)
    x = layers.Reshape((*start, filters[0]))(x)
    for channels, stride in zip(filters[1:], strides[:-1], strict=True):
        x = layers.Conv2DTranspose(channels, kernel_size, stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.LeakyReLU(0.2)(x)
    options = {"padding": "same", "activation": "tanh", "dtype": "float32"}
    images = layers.Conv2DTranspose(colours, kernel_size, strides[-1], **options)(x)
    return keras.Model(latents, images, name="dcgan_generator")


def dcgan_discriminator(filters=(64, 128), kernel_size=5, dropout=0.3, hidden=None, image_shape=IMAGE_SHAPE):
    """Convolutional discriminator: strided convolutions with dropout, and no batch normalisation.

    Args:
        filters: channels of each convolution; each halves height and width.
        kernel_size: side of the kernels in pixels.
        dropout: fraction of activations dropped after each convolution, in [0, 1).
        hidden: units of a dense layer between the last convolution and the logit, or None for no such layer.
        image_shape: (height, width, channels) of an image.

    Returns:
        A keras.Model from images (n, *image_shape) to logits (n, 1).
    """
    validation.number(dropout, "dropout", 0, 0.99, open_ends=False)
    images = keras.Input(validation.whole_numbers(image_shape, "image_shape", 3), name="images")
    features = image_features(images, filters, kernel_size, dropout, hidden)
    logits = layers.Dense(1, dtype="float32")(features)
    return keras.Model(images, logits, name="dcgan_discriminator")


def image_features(x, filters, kernel_size, dropout, hidden):
    """All of a convolutional discriminator but its last layer: from images to (n, features)."""
    for channels in validation.whole_numbers(filters, "filters"):
        x = layers.Conv2D(channels, kernel_size, strides=2, padding="same")(x)
        x = layers.LeakyReLU(0.2)(x)
        if dropout:
            x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(x)
    return x if hidden is None else layers.LeakyReLU(0.2)(layers.Dense(hidden)(x))


def _doublings(image_shape):
    """Return how often to halve an image until its larger side is at most 8 pixels: twice for 28, 3 times for 64."""
    height, width, _ = validation.whole_numbers(image_shape, "image_shape", 3)
    return max(1, math.ceil(math.log2(max(height, width) / 8)))


def fast_dcgan_generator(latent_dim=32, image_shape=IMAGE_SHAPE):
    """The small DCGAN's generator: `dcgan_generator` with far fewer multiplications; see lesson 02.

    It has no convolution at 7 x 7, fewer channels, kernels of 4 pixels, which the stride of 2 divides, and a
    cheap hidden dense layer, without which the same number of steps gave far worse images.

    Args:
        latent_dim: length of a latent vector.
        image_shape: (height, width, channels), such as 28, 32 or 64 pixels; the sides must be divisible by 2 until
            the larger one is at most 8.
    """
    doublings = _doublings(image_shape)
    filters, strides = (64,) * doublings + (32,), (2,) * doublings
    return dcgan_generator(latent_dim, filters[1:], kernel_size=4, strides=strides, hidden=256, image_shape=image_shape)


def fast_features(image_shape=IMAGE_SHAPE):
    """Return the arguments of `image_features` for the small DCGAN's discriminators."""
    return {"filters": (32, *(64,) * (_doublings(image_shape) - 1)), "kernel_size": 4, "dropout": 0.0, "hidden": 256}


def fast_dcgan_discriminator(image_shape=IMAGE_SHAPE):
    """The small DCGAN's discriminator: `dcgan_discriminator` with far fewer multiplications."""
    return dcgan_discriminator(**fast_features(image_shape), image_shape=image_shape)
