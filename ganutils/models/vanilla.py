"""The fully connected networks of lesson 01."""

import math

import keras
from keras import layers

IMAGE_SHAPE = (28, 28, 1)


def vanilla_generator(latent_dim=100, units=(256, 512), image_shape=IMAGE_SHAPE):
    """Fully connected generator of lesson 01: dense layers of growing width, then tanh.

    Args:
        latent_dim: length of a latent vector.
        units: widths of the hidden layers.
        image_shape: (height, width, channels) of an image.

    Returns:
        A keras.Model from latents (n, latent_dim) to images (n, *image_shape) in [-1, 1].
    """
    x = latents = keras.Input((latent_dim,), name="latents")
    for width in units:
        x = layers.Dense(width)(x)
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Dense(math.prod(image_shape), activation="tanh", dtype="float32")(x)
    return keras.Model(latents, layers.Reshape(image_shape, dtype="float32")(x), name="vanilla_generator")


def vanilla_discriminator(units=(512, 256), dropout=0.0, image_shape=IMAGE_SHAPE):
    """Fully connected discriminator of lesson 01: dense layers of shrinking width.

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
        if dropout:
            x = layers.Dropout(dropout)(x)
    return keras.Model(images, layers.Dense(1, dtype="float32")(x), name="vanilla_discriminator")
