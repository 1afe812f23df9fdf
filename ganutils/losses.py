"""Adversarial losses on logits.

A discriminator's logit is any real number; its sigmoid is the probability that the image is real.
Losses are computed in float32 from logits, never from probabilities: log(sigmoid(x)) written as
-softplus(-x) neither overflows nor loses its gradient. They take logits (batch, 1) for real and for generated
images, and return a scalar; one that needs no real logits does not look at them.
"""

import dataclasses
from typing import NamedTuple

import tensorflow as tf
from keras import ops

from ganutils import validation


class AdversarialLoss(NamedTuple):
    """What the two players minimise.

    Attributes:
        name: the field's name for the pair.
        discriminator: function of (real_logits, fake_logits), each (batch, 1), to a scalar.
        generator: function of (fake_logits, real_logits) to a scalar; relativistic losses need the real ones.
    """

    name: str
    discriminator: callable
    generator: callable


def _softplus(logits):
    return ops.mean(ops.softplus(ops.cast(logits, "float32")))


def discriminator_cross_entropy(real_logits, fake_logits):
    """Binary cross-entropy of calling real images 1 and generated ones 0, summed over the two kinds.

    It is minus the value function V(D, G) of Goodfellow et al. 2014, equation 1. A discriminator that
    always answers one half has the loss 2 ln 2, about 1.386. At least 0.
    """
    return _softplus(-real_logits) + _softplus(fake_logits)


def minimax_generator(fake_logits, real_logits=None):
    """Mean of log(1 - D(G(z))), which the generator minimises in Goodfellow et al. 2014, equation 1.

    At most 0. Its gradient goes to zero where the discriminator is sure that an image is generated.
    """
    return -_softplus(fake_logits)


def non_saturating_generator(fake_logits, real_logits=None):
    """Mean of -log D(G(z)), proposed in Goodfellow et al. 2014, section 3, for its stronger gradient.

    At least 0; ln 2 where the discriminator answers one half.
    """
    return _softplus(-fake_logits)


@dataclasses.dataclass(frozen=True)
class R1:
    """The R1 penalty of Mescheder, Geiger and Nowozin 2018, equation 9: weight / 2 · E |∇D(x)|².

    The gradient is that of the logit with respect to the pixels of real images. Where the generator has learnt
    the data, the best discriminator is flat there; the penalty charges it for every slope that is left.
    A penalty is called with (discriminate, real_images, fake_images), where `discriminate` maps images
    (batch, height, width, channels) to logits, and returns a float32 scalar. Its `every` says how often it is due.

    Args:
        weight: factor in front, above 0; γ in the paper.
        every: it is computed once in so many steps of its player, and then counts so many times as much (Karras
            et al. 2020, section 3.1); a whole number of at least 1.

    Raises:
        ValueError: a number out of range.
    """

    weight: float
    every: int = 8

    def __post_init__(self):
        validation.number(self.weight, "weight", 0)
        validation.whole_number(self.every, "every", 1)

    def __call__(self, discriminate, real_images, fake_images):
        with tf.GradientTape() as tape:
            tape.watch(real_images)
            # Each logit depends on its own image alone, so the gradient of the sum holds every image's own.
            total = ops.sum(discriminate(real_images))
        slopes = ops.cast(tape.gradient(total, real_images), "float32")
        return self.weight / 2 * ops.mean(ops.sum(ops.square(slopes), axis=(1, 2, 3)))


LOSSES = {
    "non_saturating": AdversarialLoss("non_saturating", discriminator_cross_entropy, non_saturating_generator),
    "minimax": AdversarialLoss("minimax", discriminator_cross_entropy, minimax_generator),
}


def get(loss):
    """Return an `AdversarialLoss` from its name, or the one that is given.

    Raises:
        ValueError: neither an `AdversarialLoss` nor a known name.
    """
    if isinstance(loss, AdversarialLoss):
        return loss
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]
    raise ValueError(f"unknown loss {loss!r}; choose one of {', '.join(LOSSES)} or give an AdversarialLoss")
