"""The GAN of the first lessons, and the conditional GAN. The step of lesson 01, and where each line of it stands here:

latents = keras.random.normal((n, latent_dim), seed=seed_generator)  # GAN.draw_latents
with tf.GradientTape(persistent=True) as tape:                       # AdversarialModel.adversarial_step
    fake_images = generator(latents, training=True)                  # GAN.losses, from here
    real_logits = discriminator(real_images, training=True)
    fake_logits = discriminator(fake_images, training=True)
    discriminator_loss = mean(softplus(-real_logits)) + mean(softplus(fake_logits))
    generator_loss = mean(softplus(-fake_logits))                    # to here, with the formulas of losses.py
for network, loss, optimizer in players:                             # AdversarialModel._update
    gradients = tape.gradient(loss, network.trainable_weights)
    optimizer.apply_gradients(zip(gradients, network.trainable_weights))
"""

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ganutils import data, fitting, guards, validation
from ganutils.adversarial import AdversarialModel


class GAN(AdversarialModel):
    """Two networks trained against each other, used as `gan.compile(...)` and `gan.fit(...)`.

    One training step draws latents, generates images, and updates both networks from one shared forward
    pass (Goodfellow et al. 2014, algorithm 1, with both updates taken at the same point). Calling the
    model on latents gives images from the averaged generator where there is one.

    Args:
        generator: built keras.Model from latents (n, latent_dim) to images in [-1, 1].
        discriminator: built keras.Model from such images to logits (n, 1).
        discriminator_steps: discriminator updates per generator update, at least 1. Each batch is cut into that
            many equal parts, so that no real image is seen twice in a pass over the data.
        average: decay in [0, 1) of an average of the generator's weights, or None: see `AdversarialModel`.
        penalty: what the discriminator pays in addition to its loss, such as `losses.R1(1.0)`, or None.
        generator_penalty: what the generator pays, called with (generate, latents), or None.
        seed: seed of the latents.

    Raises:
        ValueError: a number out of range, or a network that is not built.
    """

    measures = ("real_accuracy", "fake_accuracy")

    def losses(self, batch):
        """Return both players' losses on real images (n, height, width, channels), or (images, condition)."""
        real_images, condition = fitting.pair(batch)
        latents = self.draw_latents(ops.shape(real_images)[0])
        fake_images = self.generate(latents, condition)
        _check_images(real_images, fake_images)
        # Two passes, not one over both kinds: a batch norm must not mix real and generated statistics.
        real_logits = self.discriminate(real_images, condition)
        _check_logits(real_logits)
        fake_logits = self.discriminate(fake_images, condition)
        self.record(real_accuracy=ops.cast(real_logits > 0, "float32"))
        self.record(fake_accuracy=ops.cast(fake_logits < 0, "float32"))
        discriminate = functools.partial(self.discriminate, condition=condition)
        self.add_penalty("discriminator", self.penalty, discriminate, real_images, fake_images)
        generate = functools.partial(self.generate, condition=condition)
        self.add_penalty("generator", self.generator_penalty, generate, latents)
        return {
            "discriminator": self.adversarial_loss.discriminator(real_logits, fake_logits),
            "generator": self.adversarial_loss.generator(fake_logits, real_logits),
        }

    def __init__(
        self,
        generator,
        discriminator,
        *,
        discriminator_steps=1,
        average=None,
        penalty=None,
        generator_penalty=None,
        seed=0,
    ):
        averages = None if average is None else {"generator": average}
        networks = {"discriminator": discriminator, "generator": generator}
        super().__init__(networks, averages=averages, seed=seed, name="gan")
        guards.check_discriminator(discriminator)
        guards.check_generator(generator)
        discriminator_steps = validation.whole_number(discriminator_steps, "discriminator_steps", 1)
        for name, charge, example in (
            ("penalty", penalty, "an instance such as losses.R1(1.0)"),
            ("generator_penalty", generator_penalty, "a function of (generate, latents)"),
        ):
            if charge is not None and (not callable(charge) or isinstance(charge, type)):
                raise ValueError(f"{name}={charge!r} is not allowed; give {example}, or None")
        self.discriminator_steps = discriminator_steps
        self.penalty, self.generator_penalty = penalty, generator_penalty
        self.latent_dim = generator.inputs[0].shape[-1]

    def generate(self, latents, condition=None):
        """Return images for what `draw_latents` drew. Override it for another way from latents to images."""
        return self.run("generator", latents)

    def discriminate(self, images, condition=None):
        """Return logits (n, 1). Override it to pack or to augment images before the discriminator sees them."""
        return self.run("discriminator", images)

    def check_condition(self, condition):
        """Raise a ValueError where labels would be ignored."""
        own = [getattr(type(self), name) is getattr(GAN, name) for name in ("generate", "discriminate", "losses")]
        if condition is not None and all(own):
            raise ValueError(
                "this GAN takes images alone, and labels would do nothing; leave them out, or train a ConditionalGAN"
            )

    def check_inputs(self, inputs):
        """Raise a ValueError for latents that are not finite."""
        for part in inputs if isinstance(inputs, (tuple, list)) else [inputs]:
            validation.check_numbers(np.asarray(part), "latents")

    def draw_latents(self, n):
        """Return n latents (n, latent_dim), normally distributed; each call draws new ones.

        Override it, and `generate`, where a generator takes more than one tensor.
        """
        return self.draw(lambda n: keras.random.normal((n, self.latent_dim), seed=self.seed_generator), n)

    def sample(self, n, labels=None):
        """Return n new images (n, height, width, channels), uint8 in [0, 255].

        Args:
            labels: (n,) of a conditional GAN; None takes its classes in turn.
        """
        n = validation.whole_number(n, "n", 1)
        inputs = ops.convert_to_numpy(self.draw_latents(n))
        if len(self.generator.inputs) == 2:
            if labels is None and self.classes is None:
                raise ValueError("the generator does not tell how many classes there are; give labels")
            labels = np.arange(n) % self.classes if labels is None else labels
            inputs = [inputs, validation.check_labels(labels, classes=self.classes, rows=n, of="images to draw")]
        elif labels is not None:
            raise ValueError("labels are for a ConditionalGAN; leave them out")
        return data.unscale(self.predict(inputs, batch_size=250, verbose=0))

    def turns(self, batch):
        """Cut a batch into `discriminator_steps` parts; the generator's turn comes with the last."""
        images, condition = fitting.pair(batch)
        parts = self._parts(images)
        if condition is not None:
            parts = list(zip(parts, self._parts(condition), strict=True))
        *first, last = parts
        return [*((part, ("discriminator",)) for part in first), (last, tuple(self.networks))]

    def _parts(self, batch):
        batch_size = batch.shape[0]
        if self.discriminator_steps > 1 and (batch_size is None or batch_size % self.discriminator_steps):
            raise ValueError(
                f"a batch of {batch_size or 'any number of'} images cannot be cut into {self.discriminator_steps} "
                "equal parts; choose another batch size, and in a dataset of your own batch(..., drop_remainder=True)"
            )
        return tf.split(batch, self.discriminator_steps)

    def compile(self, generator_optimizer, discriminator_optimizer, loss="non_saturating", **kwargs):
        """Choose the two optimizers and the adversarial loss; all else as in `AdversarialModel.compile`."""
        optimizers = {"discriminator": discriminator_optimizer, "generator": generator_optimizer}
        super().compile(optimizers, loss, **kwargs)

    def call(self, latents, training=False):
        """Return images (n, height, width, channels) in [-1, 1] for latents (n, latent_dim)."""
        if tf.executing_eagerly():
            self.check_inputs(latents)
        return self.generate(latents)

    generator = property(lambda self: self.networks["generator"])
    discriminator = property(lambda self: self.networks["discriminator"])
    averaged_generator = property(lambda self: self.averaged.get("generator"))


class ConditionalGAN(GAN):
    """A GAN whose two networks are told the class of each image (Mirza and Osindero 2014).

    Trained on pairs of images and labels. The generated images of a step have the labels of its real
    ones: the classes come as often as in the data, and the discriminator cannot tell the two kinds apart
    by their labels. Calling the model on [latents, labels] gives images.

    Args:
        generator: built keras.Model from [latents (n, latent_dim), labels (n,)] to images in [-1, 1]. How many
            classes there are is read off its one-hot or embedding layer, where it has one.
        discriminator: built keras.Model from [images, labels (n,)] to logits (n, 1).
        **kwargs: as in `GAN`.

    Raises:
        ValueError: as in `GAN`, or a network without a second input.
    """

    def __init__(self, generator, discriminator, **kwargs):
        super().__init__(generator, discriminator, **kwargs)
        for network in (generator, discriminator):
            if len(network.inputs) != 2:
                raise ValueError(f"{network.name} has {len(network.inputs)} input(s); give it a second one for labels")
            if len(network.inputs[0].shape) < 2:
                raise ValueError(f"{network.name} takes labels first; let them be its second input")
        self.classes = validation.classes_of(generator)
        judged = validation.classes_of(discriminator)
        if self.classes and judged and self.classes != judged:
            raise ValueError(f"the generator draws {self.classes} classes, and the discriminator judges {judged}")

    def generate(self, latents, condition=None):
        """Return images for latents and labels (n,)."""
        return self.run("generator", [latents, self._labels(condition)])

    def discriminate(self, images, condition=None):
        """Return logits (n, 1) for images and labels (n,)."""
        return self.run("discriminator", [images, self._labels(condition)])

    def prepare(self, batch):
        """As in the base class, with a look at the labels."""
        images, condition = fitting.pair(super().prepare(batch))
        return images, self._labels(condition)

    def _labels(self, condition):
        if condition is None:
            raise ValueError("a conditional GAN needs labels: give pairs, such as data.pipeline(images, labels, ...)")
        expected = self.generator.inputs[1].shape
        if len(condition.shape) != len(expected):
            raise ValueError(
                f"labels have the shape {tuple(condition.shape)}, the generator takes {expected}; labels[:, 0] makes "
                "(n,) of (n, 1), and labels.argmax(axis=1) of one-hot rows"
            )
        if self.classes:  # an embedding would take another row for a class that does not exist, on a GPU in silence
            condition = ops.convert_to_tensor(condition)
            text = f"labels hold others than whole numbers from 0 to {self.classes - 1}"
            whole = ops.cast(ops.cast(condition, "int64"), condition.dtype) == condition
            exist = (condition >= 0) & (condition < self.classes) & whole
            condition = guards.checked(condition, exist, text)
        return condition

    def call(self, inputs, training=False):
        """Return images in [-1, 1] for [latents (n, latent_dim), labels (n,)]."""
        if tf.executing_eagerly():
            self.check_inputs(inputs)
        return self.generate(*map(ops.convert_to_tensor, inputs))

    def check_inputs(self, inputs):
        """Raise a ValueError for labels of classes that do not exist, and for as many as there are no latents."""
        if not isinstance(inputs, (tuple, list)) or len(inputs) != 2:
            raise ValueError("a conditional GAN draws from two arrays; give [latents, labels]")
        latents, labels = inputs
        super().check_inputs(latents)
        validation.check_labels(labels, classes=self.classes, rows=len(latents), of="latents")

    def check_condition(self, condition):
        """Raise a ValueError for labels of classes that do not exist."""
        validation.check_labels(condition, classes=self.classes)


def _check_images(real_images, fake_images):
    guards.check_output(fake_images, "generator")
    real, fake = tuple(real_images.shape[1:]), tuple(fake_images.shape[1:])
    if real != fake:
        raise ValueError(f"the generator makes images of the shape {fake}, and the real ones have {real}")


def _check_logits(logits):
    guards.check_output(logits, "discriminator")
    if logits.shape[-1] != 1:
        raise ValueError(f"the discriminator gives {logits.shape[-1]} numbers for an image; let it end in one logit")
