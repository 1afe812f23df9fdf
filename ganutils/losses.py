"""Adversarial losses on logits; the penalties are in `penalties.py`.

The discriminator's logit is any real number; its sigmoid is the probability that the image is real.
Losses are computed in float32 from logits, never from probabilities: log(sigmoid(x)), written as
-softplus(-x), neither overflows nor loses its gradient. They take logits (batch, 1) of real and of generated
images, and return a scalar.
"""

import inspect
from typing import NamedTuple

from keras import ops

from ganutils import validation
from ganutils.penalties import R1, R2, GradientPenalty, R1AndR2  # noqa: F401 - as losses.R1 and so on


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


def least_squares_discriminator(real_logits, fake_logits):
    """Half the mean squared distance of logits from 1 for real images and from 0 for generated ones, added up.

    Mao et al. 2017, equation 9, with a = 0 and b = c = 1. A logit of one half everywhere has the loss 1/4; a logit of
    0 everywhere, 1/2. At least 0.
    """
    return (_mean(lambda x: (x - 1) ** 2, real_logits) + _mean(lambda x: x**2, fake_logits)) / 2


def least_squares_generator(fake_logits, real_logits=None):
    """Half the mean squared distance of generated images' logits from 1 (Mao et al. 2017, equation 9). At least 0."""
    return _mean(lambda x: (x - 1) ** 2, fake_logits) / 2


def hinge_discriminator(real_logits, fake_logits):
    """Mean of max(0, 1 - D(x)) and of max(0, 1 + D(G(z))), added up (Lim and Ye 2017; Miyato et al. 2018, equation 16).

    What is already beyond its margin, 1 for real images and -1 for generated ones, has no gradient. At least 0;
    2 for logits of 0.
    """
    return _mean(lambda x: ops.relu(1 - x), real_logits) + _mean(lambda x: ops.relu(1 + x), fake_logits)


def wasserstein_critic(real_logits, fake_logits):
    """Mean logit of generated images minus that of real ones (Arjovsky, Chintala and Bottou 2017, equation 2).

    Minus it estimates the earth mover's distance, in units of the critic's steepness: it means nothing unless the
    critic's slopes are bounded, by `GradientPenalty`, `layers.SpectralNormalization` or `layers.Clip`.
    """
    return _mean(lambda x: x, fake_logits) - _mean(lambda x: x, real_logits)


def critic_generator(fake_logits, real_logits=None):
    """Minus the mean logit of generated images, of the hinge and the Wasserstein loss.

    The critic may add any constant to all logits, so that its value alone, as a curve over time, means nothing.
    """
    return -_mean(lambda x: x, fake_logits)


def relativistic_discriminator(real_logits, fake_logits):
    """Mean of softplus(D(G(z)) - D(x)) over pairs: a real image should have the larger logit of the two.

    Jolicoeur-Martineau 2019, section 4, without its averages; Huang et al. 2024 (R3GAN), equation 2. Row i of the two
    makes a pair. ln 2 where both logits are equal, and near it in a balanced game. At least 0.
    """
    return _softplus(_pairs(fake_logits, real_logits))


def relativistic_generator(fake_logits, real_logits=None):
    """Mean of softplus(D(x) - D(G(z))) over pairs: the opposite of `relativistic_discriminator`; ln 2 likewise."""
    return _softplus(-_pairs(fake_logits, real_logits))


def _mean(function, logits):
    return ops.mean(function(ops.cast(logits, "float32")))


def _pairs(fake_logits, real_logits):
    if real_logits is None:
        raise ValueError("a relativistic loss compares pairs; call generator(fake_logits, real_logits)")
    if fake_logits.shape != real_logits.shape:
        raise ValueError(
            f"{real_logits.shape} real and {fake_logits.shape} generated logits are no pairs; give as many"
        )
    return ops.cast(fake_logits, "float32") - ops.cast(real_logits, "float32")


def smoothed(target=0.9):
    """Return the non-saturating loss with one-sided label smoothing (Salimans et al. 2016, section 3.4).

    Real images are to be called `target` instead of 1, so that no logit of theirs has to grow beyond
    ln(target / (1 - target)), 2.2 for 0.9. Labels of generated images stay 0: smoothed, they would draw the
    discriminator's optimum to where the generator happens to be. The least loss of a sure discriminator is then the
    entropy of the target, 0.33 for 0.9, and not 0.

    Args:
        target: from 0.5 to 1; 1 smooths nothing.

    Raises:
        ValueError: a number is out of range.
    """
    target = validation.number(target, "target", 0.5, 1, open_ends=False)

    def discriminator(real_logits, fake_logits):
        is_real = target * _softplus(-real_logits) + (1 - target) * _softplus(real_logits)
        return is_real + _softplus(fake_logits)

    return AdversarialLoss(f"non_saturating with real labels of {target:g}", discriminator, non_saturating_generator)


LOSSES = {
    loss.name: loss
    for loss in (
        AdversarialLoss("non_saturating", discriminator_cross_entropy, non_saturating_generator),
        AdversarialLoss("minimax", discriminator_cross_entropy, minimax_generator),
        AdversarialLoss("least_squares", least_squares_discriminator, least_squares_generator),
        AdversarialLoss("hinge", hinge_discriminator, critic_generator),
        AdversarialLoss("wasserstein", wasserstein_critic, critic_generator),
        AdversarialLoss("relativistic", relativistic_discriminator, relativistic_generator),
    )
}


def get(loss):
    """Return the `AdversarialLoss` with a name; an `AdversarialLoss` is returned as it is.

    Raises:
        ValueError: neither an `AdversarialLoss` of functions of two arrays nor a known name.
    """
    if isinstance(loss, AdversarialLoss):
        for player in ("discriminator", "generator"):
            try:
                inspect.signature(getattr(loss, player)).bind("own logits", "the others")
            except TypeError:
                raise ValueError(f"the loss {loss.name!r} needs a {player} that takes two arrays of logits") from None
        return loss
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]
    raise ValueError(f"unknown loss {loss!r}; choose one of {', '.join(LOSSES)} or give an AdversarialLoss")
