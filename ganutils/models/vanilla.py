"""The fully connected networks of lesson 01."""

import math

import keras
from keras import layers

from ganutils import validation

IMAGE_SHAPE = (28, 28, 1)


def vanilla_generator(latent_dim=100, units=(256, 512)):
    """Fully connected generator of lesson 01, from latents (n, latent_dim) to images (n, 28, 28, 1) in [-1, 1].

    `units` are the widths of its hidden layers.
    """
    x = latents = keras.Input((validation.whole_number(latent_dim, "latent_dim", 1),), name="latents")
    for width in validation.whole_numbers(units, "units"):
        x = layers.Dense(width)(x)
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Dense(math.prod(IMAGE_SHAPE), activation="tanh", dtype="float32")(x)
    return keras.Model(latents, layers.Reshape(IMAGE_SHAPE, dtype="float32")(x), name="vanilla_generator")


def vanilla_discriminator(units=(512, 256), dropout=0.0):
    """Fully connected discriminator of lesson 01, from images (n, 28, 28, 1) to logits (n, 1).

    `units` are the widths of its hidden layers; after each, a fraction `dropout`, in [0, 1), of activations is dropped.
    """
    validation.number(dropout, "dropout", 0, 0.99, open_ends=False)
    images = keras.Input(IMAGE_SHAPE, name="images")
    x = layers.Flatten()(images)
    for width in validation.whole_numbers(units, "units"):
        x = layers.Dense(width)(x)
        x = layers.LeakyReLU(0.2)(x)
        if dropout:
            x = layers.Dropout(dropout)(x)
    return keras.Model(images, layers.Dense(1, dtype="float32")(x), name="vanilla_discriminator")
