"""The GAN of the first lessons, and the conditional GAN. The step of lesson 01, with the place of each line here:

latents = keras.random.normal((n, latent_dim), seed=seed_generator)  # GAN.draw_latents
with tf.GradientTape(persistent=True) as tape:                       # AdversarialModel.adversarial_step
    fake_images = generator(latents, training=True)                  # GAN.losses, from here
    real_logits = discriminator(real_images, training=True)
    fake_logits = discriminator(fake_images, training=True)
    discriminator_loss = mean(softplus(-real_logits)) + mean(softplus(fake_logits))
    generator_loss = mean(softplus(-fake_logits))                    # to here, with the formulas of losses.py
for network, loss, optimizer in players:
    gradients = tape.gradient(loss, network.trainable_weights)       # AdversarialModel.gradients
    optimizer.apply_gradients(zip(gradients, network.trainable_weights))  # AdversarialModel.take_step
"""

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ganutils import data, fitting, guards, validation
from ganutils.adversarial import AdversarialModel


class GAN(AdversarialModel):
    """A generator and a discriminator, trained with `gan.compile(...)` and `gan.fit(...)`.

    One training step draws latents, generates images, and updates both networks from one shared forward
    pass (Goodfellow et al. 2014, algorithm 1, with both updates taken at the same point). Calling the
    model on latents returns images, from the averaged generator if there is one.

    Args:
        generator: built keras.Model from latents (n, latent_dim) to images in [-1, 1].
        discriminator: built keras.Model from such images to logits (n, 1).
        discriminator_steps: discriminator updates per generator update, at least 1. Each batch is split into that
            many equal parts, so that no real image is seen twice in a pass over the data.
        average: decay in [0, 1) of a moving average of the generator's weights, or None: see `AdversarialModel`.
        penalty: added to the discriminator's loss, such as `losses.R1(1.0)`, or None.
        generator_penalty: added to the generator's loss, a function of (generate, latents), or None.
        seed: seed of the latents.

    Raises:
        ValueError: a number is out of range, or a network is not built.
    """

    measures = ("real_accuracy", "fake_accuracy")

    def losses(self, batch):
        """Return both players' losses on real images (n, height, width, channels), or (images, condition)."""
        real_images, condition = fitting.pair(batch)
        latents = self.draw_latents(ops.shape(real_images)[0])
        fake_images = self.generate(latents, condition)
        _check_images(real_images, fake_images)
        # Two passes, so that a batch norm does not mix the statistics of real and generated images.
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
        own = all(getattr(type(self), name).__module__ == __name__ for name in ("generate", "discriminate", "losses"))
        made, judged = generator.output_shape, discriminator.inputs[0].shape
        if own and isinstance(made, tuple) and not _fits(made[1:], judged[1:]):
            text = f"the generator makes images of shape {made[1:]}, and the discriminator takes {tuple(judged[1:])}"
            raise ValueError(f"{text}; build both for one shape. Or are the two in the wrong order?")
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
        """Return images for the latents of `draw_latents`. Override it to map latents to images differently."""
        return self.run("generator", latents)

    def discriminate(self, images, condition=None):
        """Return logits (n, 1). Override it to pack or augment images before the discriminator sees them."""
        return self.run("discriminator", images)

    def check_condition(self, condition):
        """Raise a ValueError if labels would be ignored."""
        own = [getattr(type(self), name) is getattr(GAN, name) for name in ("generate", "discriminate", "losses")]
        if condition is not None and all(own):
            raise ValueError(
                "this GAN takes only images, and would ignore labels; leave them out, or train a ConditionalGAN"
            )

    def check_inputs(self, inputs):
        """Raise a ValueError for latents that are not finite."""
        for part in inputs if isinstance(inputs, (tuple, list)) else [inputs]:
            validation.check_numbers(np.asarray(part), "latents")

    def draw_latents(self, n):
        """Return n new latents (n, latent_dim) from a standard normal distribution.

        Override it, and `generate`, if the generator takes more than one tensor.
        """
        return self.draw(lambda n: keras.random.normal((n, self.latent_dim), seed=self.seed_generator), n)

    def sample(self, n, labels=None):
        """Return n new images (n, height, width, channels), uint8 in [0, 255].

        Args:
            labels: (n,) for a conditional GAN; None takes the classes in turn.
        """
        n = validation.whole_number(n, "n", 1)
        inputs = ops.convert_to_numpy(self.draw_latents(n))
        if len(self.generator.inputs) == 2:
            if labels is None and self.classes is None:
                raise ValueError("the number of classes cannot be read off the generator; give labels")
            labels = np.arange(n) % self.classes if labels is None else labels
            inputs = [inputs, validation.check_labels(labels, classes=self.classes, rows=n, of="images to draw")]
        elif labels is not None:
            raise ValueError("labels are for a ConditionalGAN; leave them out")
        return data.unscale(self.predict(inputs, batch_size=250, verbose=0))

    def turns(self, batch):
        """Split a batch into `discriminator_steps` parts; the last one updates the generator too."""
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
                f"a batch of {batch_size or 'any number of'} images cannot be split into {self.discriminator_steps} "
                "equal parts; choose another batch size, and in your own dataset batch(..., drop_remainder=True)"
            )
        return tf.split(batch, self.discriminator_steps)

    def compile(self, generator_optimizer, discriminator_optimizer, loss="non_saturating", **kwargs):
        """Choose the two optimizers and the adversarial loss; see `AdversarialModel.compile`."""
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

    Trained on pairs of images and labels. The generated images of a step get the labels of its real
    images: classes are as frequent as in the data, and labels do not reveal to the discriminator which images are
    generated. Calling the model on [latents, labels] returns images.

    Args:
        generator: built keras.Model from [latents (n, latent_dim), labels (n,)] to images in [-1, 1]. The number of
            classes is read off its one-hot or embedding layer, if it has one.
        discriminator: built keras.Model from [images, labels (n,)] to logits (n, 1).
        **kwargs: the other arguments of `GAN`.

    Raises:
        ValueError: as `GAN` raises it, or a network lacks a second input.
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
            raise ValueError(f"the generator has {self.classes} classes, and the discriminator {judged}")

    def generate(self, latents, condition=None):
        """Return images for latents and labels (n,)."""
        return self.run("generator", [latents, self._labels(condition)])

    def discriminate(self, images, condition=None):
        """Return logits (n, 1) for images and labels (n,)."""
        return self.run("discriminator", [images, self._labels(condition)])

    def prepare(self, batch):
        """Return a batch as `losses` takes it, after checking images and labels; runs in the dataset's graph."""
        images, condition = fitting.pair(super().prepare(batch))
        return images, self._labels(condition)

    def _labels(self, condition):
        if condition is None:
            raise ValueError("a conditional GAN needs labels: give pairs, such as data.pipeline(images, labels, ...)")
        expected = self.generator.inputs[1].shape
        if len(condition.shape) != len(expected):
            raise ValueError(
                f"labels have the shape {tuple(condition.shape)}, the generator takes {expected}; use labels[:, 0] for "
                "(n, 1), or labels.argmax(axis=1) for one-hot rows"
            )
        if self.classes:  # an embedding would return the row of another class, on a GPU silently
            condition = ops.convert_to_tensor(condition)
            text = f"labels hold values other than whole numbers from 0 to {self.classes - 1}"
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
        """Raise a ValueError for labels that are not one per latent, or name classes that do not exist."""
        if not isinstance(inputs, (tuple, list)) or len(inputs) != 2:
            raise ValueError("a conditional GAN takes two arrays; give [latents, labels]")
        latents, labels = inputs
        super().check_inputs(latents)
        validation.check_labels(labels, classes=self.classes, rows=len(latents), of="latents")

    def check_condition(self, condition):
        """Raise a ValueError for labels of classes that do not exist."""
        validation.check_labels(condition, classes=self.classes)


def _fits(made, judged):
    return len(made) == len(judged) and all(None in (a, b) or a == b for a, b in zip(made, judged, strict=True))


def _check_images(real_images, fake_images):
    guards.check_output(fake_images, "generator")
    real, fake = tuple(real_images.shape[1:]), tuple(fake_images.shape[1:])
    if real != fake:
        raise ValueError(f"the generator makes images of shape {fake}, but the real ones have {real}")


def _check_logits(logits):
    guards.check_output(logits, "discriminator")
    if logits.shape[-1] != 1:
        raise ValueError(f"the discriminator returns {logits.shape[-1]} numbers per image; let it end in one logit")
