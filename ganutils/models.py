"""The networks that the lessons introduce, as Keras functional models.

Generators map latents (n, latent_dim) to images (n, 28, 28, 1) in [-1, 1]; discriminators map such
images to logits (n, 1). The last layer of each computes in float32 whatever the precision of the rest,
since losses and images are.
"""

import math

import keras
import numpy as np
from keras import layers

IMAGE_SHAPE = (28, 28, 1)


def vanilla_generator(latent_dim=100, units=(128, 256, 512, 1024), image_shape=IMAGE_SHAPE):
    """Fully connected generator of lesson 01: dense layers of growing width, then tanh.

    Args:
        latent_dim: length of a latent vector.
        units: widths of the hidden layers.
        image_shape: (height, width, channels) of an image.

    Returns:
        A keras.Model from latents (n, latent_dim) to images (n, *image_shape) in [-1, 1].
    """
    latents = keras.Input((latent_dim,), name="latents")
    x = latents
    for width in units:
        x = layers.Dense(width)(x)
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Dense(math.prod(image_shape), activation="tanh", dtype="float32")(x)
    return keras.Model(latents, layers.Reshape(image_shape, dtype="float32")(x), name="vanilla_generator")


def vanilla_discriminator(units=(1024, 512, 256, 128), dropout=0.3, image_shape=IMAGE_SHAPE):
    """Fully connected discriminator of lesson 01: dense layers of shrinking width, with dropout.

    Args:
        units: widths of the hidden layers.
        dropout: share of activations dropped after each hidden layer, in [0, 1).
        image_shape: (height, width, channels) of an image.

    Returns:
        A keras.Model from images (n, *image_shape) to logits (n, 1).
    """
    images = keras.Input(image_shape, name="images")
    x = layers.Flatten()(images)
    for width in units:
        x = layers.Dense(width)(x)
        x = layers.LeakyReLU(0.2)(x)
        x = layers.Dropout(dropout)(x)
    return keras.Model(images, layers.Dense(1, dtype="float32")(x), name="vanilla_discriminator")


def dcgan_generator(latent_dim=100, filters=(256, 128, 64), kernel_size=5, strides=(1, 2, 2)):
    """Convolutional generator after Radford, Metz and Chintala 2016.

    The defaults are the network that introductory texts use for 28 x 28 digits: dense to 7 x 7 x 256,
    then transposed convolutions to 7 x 7 x 128, 14 x 14 x 64 and 28 x 28 x 1.

    Args:
        latent_dim: length of a latent vector.
        filters: channels of the 7 x 7 start and of each transposed convolution but the last.
        kernel_size: side of the kernels in pixels.
        strides: stride of each transposed convolution; as many as `filters`, multiplying to 4.

    Returns:
        A keras.Model from latents (n, latent_dim) to images (n, 28, 28, 1) in [-1, 1].

    Raises:
        ValueError: strides that do not lead from 7 to 28 pixels.
    """
    if len(strides) != len(filters) or math.prod(strides) != 4:
        raise ValueError(f"strides={strides}: give {len(filters)} strides whose product is 4 (7 to 28 pixels)")
    latents = keras.Input((latent_dim,), name="latents")
    x = layers.Dense(7 * 7 * filters[0], use_bias=False)(latents)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.LeakyReLU(0.2)(x)
    x = layers.Reshape((7, 7, filters[0]))(x)
    for channels, stride in zip(filters[1:], strides[:-1], strict=True):
        x = layers.Conv2DTranspose(channels, kernel_size, stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.LeakyReLU(0.2)(x)
    images = layers.Conv2DTranspose(1, kernel_size, strides[-1], padding="same", activation="tanh", dtype="float32")(x)
    return keras.Model(latents, images, name="dcgan_generator")


def dcgan_discriminator(filters=(64, 128), kernel_size=5, dropout=0.3, image_shape=IMAGE_SHAPE):
    """Convolutional discriminator: strided convolutions with dropout, and no batch normalisation.

    Args:
        filters: channels of each convolution; each halves height and width.
        kernel_size: side of the kernels in pixels.
        dropout: share of activations dropped after each convolution, in [0, 1).
        image_shape: (height, width, channels) of an image.

    Returns:
        A keras.Model from images (n, *image_shape) to logits (n, 1).
    """
    images = keras.Input(image_shape, name="images")
    x = images
    for channels in filters:
        x = layers.Conv2D(channels, kernel_size, strides=2, padding="same")(x)
        x = layers.LeakyReLU(0.2)(x)
        x = layers.Dropout(dropout)(x)
    logits = layers.Dense(1, dtype="float32")(layers.Flatten()(x))
    return keras.Model(images, logits, name="dcgan_discriminator")


def fast_dcgan_generator(latent_dim=32):
    """Generator of `dcgan_generator`'s kind with a small part of its multiplications; see lesson 02.

    No convolution at 7 x 7, fewer channels, and kernels of 4 pixels, which the stride of 2 divides.
    """
    return dcgan_generator(latent_dim, filters=(64, 32), kernel_size=4, strides=(2, 2))


def fast_dcgan_discriminator():
    """Discriminator of `dcgan_discriminator`'s kind with a small part of its multiplications."""
    return dcgan_discriminator(filters=(32, 64), kernel_size=4, dropout=0.0)


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
    latents, weights = np.asarray(latents, "float32"), np.asarray(weights, "float32")
    if latents.ndim != 2 or weights.shape[-1] != len(latents):
        raise ValueError(f"latents {latents.shape} and weights {weights.shape}: give (k, latent_dim) and (..., k)")
    mixed = weights @ latents
    lengths = weights @ np.linalg.norm(latents, axis=-1)
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True) * lengths[..., np.newaxis]
