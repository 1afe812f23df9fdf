"""LAPGAN (Denton et al. 2015): small GANs, each of which doubles the size of a picture; lesson 06 writes it by hand.

The coarsest picture comes from a GAN of its own, such as one of `base_networks`. A *level* gets a coarse picture and
latents, and makes the detail that its enlargement lacks; the paper calls it the residual, or band-pass picture. Two
things are this course's own: detail cannot change the coarse picture, and so the discriminator needs no second input.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from ganutils import fitting, training, validation
from ganutils.models import dcgan
from ganutils.models.sizes import double, halve, repeat_pixels


def add_detail(coarse, detail):
    """Return `double(coarse)` plus detail, moved in each 2 x 2 block so that `halve` gives the coarse images again.

    Args:
        coarse: (n, height, width, channels).
        detail: (n, 2 height, 2 width, channels).
    """
    images = double(coarse) + detail
    return images + repeat_pixels(coarse - halve(images))


class Level(training.GAN):
    """A GAN that doubles the size of pictures: it maps [latents, coarse images] to images.

    It is trained on images (n, height, width, channels) alone: their halves are the condition. So each level can be
    trained by itself. The discriminator sees the image, which is the doubled coarse one plus the detail, and the coarse
    one is in it as its half.

    Args:
        generator: built keras.Model from [latents (n, latent_dim), coarse images] to detail (n, height, width,
            channels) without bounds, such as the first of `level_networks`.
        discriminator: built keras.Model from images to logits (n, 1).
        noise: in training, the generator sees coarse images with normal noise of a standard deviation from 0 to this,
            drawn for each image, so that it gets used to the faults of generated ones, as in cascades (Ho et al. 2022).
        **kwargs: the other arguments of `GAN`.
    """

    def __init__(self, generator, discriminator, *, noise=0.0, **kwargs):
        super().__init__(generator, discriminator, **kwargs)
        if len(generator.inputs) != 2:
            raise ValueError(
                f"{generator.name} has {len(generator.inputs)} input(s); give it latents and coarse images"
            )
        made, judged = (tuple(shape[1:]) for shape in (generator.output_shape, discriminator.input_shape))
        height, width, colours = judged
        if made != judged or tuple(generator.inputs[1].shape[1:]) != (height // 2, width // 2, colours):
            raise ValueError(
                f"the generator makes {made} from {tuple(generator.inputs[1].shape[1:])}, the discriminator takes "
                f"{judged}; give level_networks({judged}), or networks of these shapes"
            )
        self.noise = validation.number(noise, "noise", 0, open_ends=False)

    def losses(self, images):
        """Return both players' losses on images; the generated ones have the coarse pictures of the real ones."""
        expected = self.discriminator.inputs[0].shape[1:]
        if tuple(images.shape[1:]) != tuple(expected):
            raise ValueError(f"images have the shape {tuple(images.shape[1:])}; this level makes {tuple(expected)}")
        coarse = seen = halve(images)
        if self.noise:

            def drawn(n):
                strength = keras.random.uniform((n, 1, 1, 1), 0, self.noise, seed=self.seed_generator)
                return strength * keras.random.normal((n, *coarse.shape[1:]), seed=self.seed_generator)

            seen = coarse + self.draw(drawn, ops.shape(coarse)[0])
        return super().losses((images, (coarse, seen)))

    def probe(self, batch, watch):
        """Look at the images instead of the detail that the generator makes."""

        def watch_images(player, output):
            watch(player, add_detail(halve(batch), output) if player == "generator" else output)

        return super().probe(batch, watch_images)

    def generate(self, latents, condition=None):
        """Return images for latents and (coarse images, what the generator sees of them)."""
        coarse, seen = condition
        return add_detail(coarse, self.run("generator", [latents, seen]))

    def call(self, inputs, training=False):
        """Return images in [-1, 1] for [latents (n, latent_dim), coarse images of half the size]."""
        if tf.executing_eagerly():
            self.check_inputs(inputs)
        latents, coarse = map(ops.convert_to_tensor, inputs)
        coarse = fitting.prepared(coarse)
        return ops.clip(self.generate(latents, (coarse, coarse)), -1, 1)

    def check_inputs(self, inputs):
        """Raise a ValueError for anything but latents and as many coarse images."""
        if not isinstance(inputs, (tuple, list)) or len(inputs) != 2:
            raise ValueError("a level takes two arrays; give [latents, coarse images]")
        latents, coarse = inputs
        super().check_inputs(latents)
        expected = tuple(self.generator.inputs[1].shape[1:])
        coarse = validation.check_images(coarse, "coarse images")
        if coarse.shape[1:] != expected or len(coarse) != len(latents):
            raise ValueError(
                f"{len(latents)} latents and coarse images {coarse.shape}; give as many, of shape {expected}"
            )

    def check_condition(self, condition):
        """Raise a ValueError for labels, which would be ignored."""
        if condition is not None:
            raise ValueError("a level takes images alone, and halves them itself; leave the labels out")

    def sample(self, n, labels=None):
        """Raise a ValueError: a level alone draws nothing."""
        raise ValueError("a level draws no images of its own; give it coarse ones: level.predict([latents, coarse])")


def join(base, *levels):
    """Return a keras.Model from latents (n, numbers of all networks) to a list of images, from small to large.

    Args:
        base: generator of the smallest images.
        levels: generators of detail, from small to large.
    """
    sizes = [network.inputs[0].shape[-1] for network in (base, *levels)]
    latents = keras.Input((sum(sizes),), name="latents")
    first, *others = ops.split(latents, np.cumsum(sizes)[:-1].tolist(), axis=-1) if levels else [latents]
    images = [base(first)]
    for level, part in zip(levels, others, strict=True):
        images.append(ops.clip(add_detail(images[-1], level([part, images[-1]])), -1, 1))
    return keras.Model(latents, images, name="lapgan_generator")


def lapgan_generator(image_shape=(28, 28, 1), depth=2, latent_dim=32):
    """Return the generators of a base and `depth` levels, joined; see `join`, and get one alone by `get_layer`.

    Raises:
        ValueError: a height or width that cannot be halved so often.
    """
    height, width, colours = validation.whole_numbers(image_shape, "image_shape", 3)
    depth = validation.whole_number(depth, "depth", 0)
    if height % 2**depth or width % 2**depth:
        raise ValueError(f"image_shape={image_shape} cannot be halved {depth} times; choose fewer levels")
    sizes = [(height >> i, width >> i, colours) for i in reversed(range(depth + 1))]
    levels = [level_networks(size, latent_dim)[0] for size in sizes[1:]]
    return join(base_networks(sizes[0], latent_dim)[0], *levels)


def base_networks(image_shape=(7, 7, 1), latent_dim=32, units=256):
    """Return a generator and a discriminator of dense layers, for pictures so small that they need no others."""
    latents, images = keras.Input((latent_dim,), name="latents"), keras.Input(image_shape, name="images")
    x, y = latents, layers.Flatten()(images)
    for _ in range(2):
        x = layers.BatchNormalization(momentum=0.9)(layers.Dense(units, use_bias=False)(x))
        x, y = layers.LeakyReLU(0.2)(x), layers.LeakyReLU(0.2)(layers.Dense(units)(y))
    x = layers.Dense(math.prod(image_shape), activation="tanh", dtype="float32")(x)
    x, y = layers.Reshape(image_shape, dtype="float32")(x), layers.Dense(1, dtype="float32")(y)
    return keras.Model(latents, x, name="base_generator"), keras.Model(images, y, name="base_discriminator")


def level_networks(image_shape=(28, 28, 1), latent_dim=32, filters=48, maps=8):
    """Return a level's generator, from latents and coarse images to detail (n, *image_shape), and its discriminator.

    Args:
        image_shape: (height, width, channels) of the images that the level makes, height and width even.
        filters: channels of the hidden layers, at half of the image's size.
        maps: channels in which the latents reach the convolutions.
    """
    height, width, colours = validation.whole_numbers(image_shape, "image_shape", 3)
    if height % 2 or width % 2:
        raise ValueError(f"image_shape={image_shape} is not allowed; height and width must be even")
    height, width = height // 2, width // 2
    latents = keras.Input((latent_dim,), name="latents")
    coarse = keras.Input((height, width, colours), name="coarse_images")
    x = layers.Reshape((height, width, maps))(layers.Dense(height * width * maps)(latents))
    x = layers.Concatenate()([coarse, x])
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
    detail = layers.Conv2DTranspose(colours, 4, 2, padding="same", dtype="float32")(x)
    generator = keras.Model([latents, coarse], detail, name=f"level_generator_{image_shape[0]}")
    return generator, dcgan.dcgan_discriminator((32, 64), 4, 0.0, 256, image_shape)
