"""LAPGAN (Denton et al. 2015): small GANs, each of which doubles the size of a picture; lesson 06 writes it by hand.

The coarsest picture comes from a GAN of its own. A *level* gets a coarse picture and latents, and makes the detail that
its enlargement lacks. Pictures are halved by the mean of 2 x 2 pixels and doubled by linear interpolation.
"""

import keras
from keras import layers, ops

from ganutils import training, validation


def halve(images):
    """Return images (n, height / 2, width / 2, channels): each pixel is the mean of 2 x 2."""
    return ops.average_pool(images, 2)


def double(images):
    """Return images (n, 2 height, 2 width, channels), interpolated linearly."""
    return ops.image.resize(images, [2 * side for side in images.shape[1:3]], interpolation="bilinear")


def add_detail(coarse, detail):
    """Return `double(coarse)` plus detail, moved in each 2 x 2 block so that `halve` gives the coarse images again."""
    images = double(coarse) + detail
    error = coarse - halve(images)
    return images + ops.repeat(ops.repeat(error, 2, axis=1), 2, axis=2)


class Level(training.GAN):
    """A GAN that doubles the size of pictures: it maps [latents, coarse images] to images.

    It is trained on images (n, height, width, channels) alone, whose halves are the condition, so that each level can be
    trained by itself. The discriminator sees the whole image, the doubled coarse one plus the detail.

    Args:
        generator: built keras.Model from [latents (n, latent_dim), coarse images] to detail (n, height, width,
            channels) without bounds.
        discriminator: built keras.Model from images to logits (n, 1).
        noise: standard deviation of the noise on the coarse images that the generator sees, so that it gets used to
            the faults of generated ones (as Ho et al. 2022 do in cascades); 0 for none.
        **kwargs: the other arguments of `GAN`.
    """

    def __init__(self, generator, discriminator, *, noise=0.0, **kwargs):
        super().__init__(generator, discriminator, **kwargs)
        self.noise = validation.number(noise, "noise", 0, open_ends=False)

    def losses(self, images):
        """Return both players' losses on images; the generated ones have the coarse pictures of the real ones."""
        return super().losses((images, halve(images)))

    def generate(self, latents, condition=None):
        """Return images for latents and coarse images."""
        seen = condition
        if self.noise:
            shape = condition.shape[1:]
            seen = condition + self.noise * self.draw(
                lambda n: keras.random.normal((n, *shape), seed=self.seed_generator), ops.shape(condition)[0]
            )
        return add_detail(condition, self.run("generator", [latents, seen]))

    def call(self, inputs, training=False):
        """Return images for [latents (n, latent_dim), coarse images]."""
        return self.generate(*map(ops.convert_to_tensor, inputs))


def level_generator(coarse_shape=(14, 14, 1), latent_dim=32, width=48, planes=8):
    """From latents and coarse images (n, *coarse_shape) to detail of twice the side, of any sign and size."""
    height, width_, colours = coarse_shape
    latents, coarse = keras.Input((latent_dim,)), keras.Input(coarse_shape)
    x = layers.Reshape((height, width_, planes))(layers.Dense(height * width_ * planes)(latents))
    x = layers.Concatenate()([coarse, x])
    for _ in range(2):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
    detail = layers.Conv2DTranspose(colours, 4, 2, padding="same", dtype="float32")(x)
    return keras.Model([latents, coarse], detail, name="level_generator")
