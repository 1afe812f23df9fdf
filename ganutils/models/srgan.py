"""Super-resolution (SRGAN, Ledig et al. 2017): generators that start from a small picture; lesson 08 has it by hand.

Where this differs from the paper: a bilinear enlargement is added to what the network makes, so that it begins with a
picture and learns the rest; no batch norm; a resize and a convolution, in place of pixel shuffle, double the size; the
content is compared in features of the course's own classifier, or reader of faces, and not of VGG.
"""

import functools

import keras
import tensorflow as tf
from keras import layers, ops

from ganutils import training, validation
from ganutils.models.sizes import repeat_pixels, shrink


class SuperResolution(training.AdversarialModel):
    """Enlarges pictures: maps small images (n, height, width, channels) to images of a multiple of that size.

    It is trained on the large images alone, and shrinks them itself. The generator minimises
    pixel · E (x̂ - x)² + content · E (φ(x̂) - φ(x))² + adversarial · its adversarial loss,
    where x̂ is what it makes of the small version of x, and φ are features.

    Args:
        generator: built keras.Model from small images to large ones, such as `sr_generator()`.
        discriminator: built keras.Model from large images to logits (n, 1); None trains the generator without.
        pixel, content, adversarial: weights of the three errors, at least 0.
        features: built keras.Model from images in [-1, 1] to features of any shape, not trained; None for none.
        average: decay of a moving average of the generator's weights, in [0, 1), or None.
        penalty: of the discriminator, such as `losses.R1(1.0)`, or None.
        seed: of random numbers; there are none unless the networks draw some.

    Raises:
        ValueError: sizes that are no multiples, networks that do not fit, weights out of range, or a weight above 0
            without what it needs.
    """

    measures = ("psnr",)

    def __init__(
        self,
        generator,
        discriminator=None,
        *,
        pixel=1.0,
        content=0.0,
        adversarial=0.0,
        features=None,
        average=None,
        penalty=None,
        seed=0,
    ):
        networks = {"generator": generator}
        networks = networks if discriminator is None else {"discriminator": discriminator, **networks}
        averages = None if average is None else {"generator": average}
        super().__init__(networks, averages=averages, seed=seed)
        for name, weight in {"pixel": pixel, "content": content, "adversarial": adversarial}.items():
            setattr(self, name, validation.number(weight, name, 0, open_ends=False))
        for name, weight, needed in (("adversarial", adversarial, discriminator), ("content", content, features)):
            if (weight > 0) != (needed is not None):
                raise ValueError(
                    f"{name}={weight:g}, and {'no' if needed is None else 'a'} network for it; give both, or neither"
                )
        (height, width, _), self.made = generator.input_shape[1:], tuple(generator.output_shape[1:])
        self.factor = self.made[0] // height
        if self.made[:2] != (self.factor * height, self.factor * width):
            raise ValueError(f"the generator makes {self.made} from {(height, width)}; give it one whole factor")
        if discriminator is not None and tuple(discriminator.input_shape[1:]) != self.made:
            raise ValueError(
                f"the generator makes {self.made}, the discriminator takes {discriminator.input_shape[1:]}"
            )
        self.penalty = penalty
        self.features = features

    def losses(self, images):
        """Return the players' losses on large images (n, height, width, channels)."""
        if tuple(images.shape[1:]) != self.made:
            raise ValueError(f"images have the shape {tuple(images.shape[1:])}; the generator makes {self.made}")
        drawn = self.run("generator", shrink(images, self.factor))
        self.record(psnr=psnr(drawn, images))
        error = self.pixel * ops.mean(ops.square(drawn - images))
        if self.content:
            true, made = (self.features(each, training=False) for each in (images, drawn))
            error = error + self.content * ops.mean(ops.square(made - true))
        if "discriminator" not in self.networks:
            return {"generator": error}
        real_logits, fake_logits = self.run("discriminator", images), self.run("discriminator", drawn)
        self.add_penalty("discriminator", self.penalty, functools.partial(self.run, "discriminator"), images, drawn)
        return {
            "discriminator": self.adversarial_loss.discriminator(real_logits, fake_logits),
            "generator": error + self.adversarial * self.adversarial_loss.generator(fake_logits, real_logits),
        }

    def validate(self, images):
        """Return the peak signal-to-noise ratio of each enlarged image, in dB."""
        return {"psnr": psnr(self(shrink(images, self.factor)), images)}

    def call(self, small, training=False):
        """Return images in [-1, 1] for small ones (n, height, width, channels), floats in [-1, 1]."""
        return ops.clip(self.run("generator", small), -1, 1)


def psnr(images, others):
    """Return the peak signal-to-noise ratio (n,) in dB of images in [-1, 1]: 10 log10(2² / mean squared error)."""
    errors = tf.reduce_mean(tf.square(tf.cast(images - others, "float32")), axis=(1, 2, 3))
    return 10.0 * ops.log10(4.0 / ops.maximum(errors, 1e-12))


def sr_generator(image_shape=(28, 28, 1), small=(7, 7), channels=32, blocks=4):
    """Return a generator from small images (n, *small, colours) to images (n, *image_shape), without bounds.

    The small image is interpolated to a quarter of the large one's sides, where residual blocks look at it; two steps
    then double the size.

    Args:
        image_shape: (height, width, channels) of the large images, height and width multiples of 4.
        small: height and width of the small images.
        channels: of the hidden layers.
        blocks: number of residual blocks, each of two convolutions.

    Raises:
        ValueError: numbers out of range.
    """
    height, width, colours = validation.whole_numbers(image_shape, "image_shape", 3)
    small, blocks = validation.whole_numbers(small, "small", 2), validation.whole_number(blocks, "blocks", 0)
    if height % 4 or width % 4:
        raise ValueError(f"image_shape={image_shape} is not allowed; height and width must be multiples of 4")

    def convolution(x, width, active=True):
        x = layers.Conv2D(width, 3, padding="same")(x)
        return layers.LeakyReLU(0.2)(x) if active else x

    images = keras.Input((*small, colours), name="small_images")
    x = convolution(_interpolate(images, (height // 4, width // 4)), channels)
    for _ in range(blocks):
        x = x + convolution(convolution(x, channels), channels, active=False)
    for _ in range(2):
        x = convolution(repeat_pixels(x), channels // 2)
    detail = layers.Conv2D(colours, 3, padding="same", dtype="float32", name="detail")(x)
    return keras.Model(images, _interpolate(images, (height, width)) + detail, name="sr_generator")


def _interpolate(images, sides):
    if tuple(images.shape[1:3]) == tuple(sides):
        return images
    return ops.image.resize(images, sides, interpolation="bilinear")
