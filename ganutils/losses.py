"""Adversarial losses on logits.

The discriminator's logit is any real number; its sigmoid is the probability that the image is real.
Losses are computed in float32 from logits, never from probabilities: log(sigmoid(x)), written as
-softplus(-x), neither overflows nor loses its gradient. They take logits (batch, 1) of real and of generated
images, and return a scalar.
"""

import dataclasses
from typing import NamedTuple

import tensorflow as tf
from keras import ops

from ganutils import validation


class AdversarialLoss(NamedTuple):
    """What the two players minimise.

    Attributes:
        name: the usual name of the pair of losses.
        discriminator: function of (real_logits, fake_logits), each (batch, 1), to a scalar.
        generator: function of (fake_logits, real_logits) to a scalar; only relativistic losses use the real ones.
    """

    name: str
    discriminator: callable
    generator: callable


def _softplus(logits):
    return ops.mean(ops.softplus(ops.cast(logits, "float32")))


def discriminator_cross_entropy(real_logits, fake_logits):
    """Binary cross-entropy with target 1 for real images and 0 for generated ones, summed over the two kinds.

    At least 0. It is minus the value function V(D, G) of Goodfellow et al. 2014, equation 1; 2 ln 2, about 1.386,
    for a discriminator that always outputs one half.
    """
    return _softplus(-real_logits) + _softplus(fake_logits)


def minimax_generator(fake_logits, real_logits=None):
    """Mean of log(1 - D(G(z))), which the generator minimises in Goodfellow et al. 2014, equation 1.

    At most 0. Its gradient vanishes for images that the discriminator confidently calls generated.
    """
    return -_softplus(fake_logits)


def non_saturating_generator(fake_logits, real_logits=None):
    """Mean of -log D(G(z)), proposed in Goodfellow et al. 2014, section 3, for its stronger gradient.

    At least 0; ln 2 for a discriminator that always outputs one half.
    """
    return _softplus(-fake_logits)


@dataclasses.dataclass(frozen=True)
class R1:
    """The R1 penalty of Mescheder, Geiger and Nowozin 2018, equation 9: weight / 2 · E |∇D(x)|².

    The gradient is that of the logit with respect to the pixels of real images. If the generator has learnt
    the data, the optimal discriminator is flat at real images; the penalty pushes the slopes there towards 0.
    It is called with (discriminate, real_images, fake_images), where `discriminate` maps images
    (batch, height, width, channels) to logits, and returns a float32 scalar.

    Args:
        weight: γ in the paper, above 0.
        every: the penalty is computed once in `every` steps of its player, and then multiplied by `every`
            (lazy regularisation, Karras et al. 2020, section 3.1); a whole number of at least 1.

    Raises:
        ValueError: a number is out of range.
    """

    weight: float
    every: int = 8

    def __post_init__(self):
        validation.number(self.weight, "weight", 0)
        validation.whole_number(self.every, "every", 1)

    def __call__(self, discriminate, real_images, fake_images):
        with tf.GradientTape() as tape:
            tape.watch(real_images)
            # Each logit depends only on its own image, so the gradient of the sum holds the gradient for each image.
            total = ops.sum(discriminate(real_images))
        slopes = ops.cast(tape.gradient(total, real_images), "float32")
        return self.weight / 2 * ops.mean(ops.sum(ops.square(slopes), axis=(1, 2, 3)))


LOSSES = {
    "non_saturating": AdversarialLoss("non_saturating", discriminator_cross_entropy, non_saturating_generator),
    "minimax": AdversarialLoss("minimax", discriminator_cross_entropy, minimax_generator),
}


def get(loss):
    """Return the `AdversarialLoss` with a name; an `AdversarialLoss` is returned as it is.

    Raises:
        ValueError: neither an `AdversarialLoss` nor a known name.
    """
    if isinstance(loss, AdversarialLoss):
        return loss
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]
    raise ValueError(f"unknown loss {loss!r}; choose one of {', '.join(LOSSES)} or give an AdversarialLoss")
