"""Penalties on the slopes of a discriminator, and how a training step charges a player for one.

A penalty is called with (discriminate, real_images, fake_images) and returns a float32 scalar. `discriminate` maps
images or points (n, ...) to logits; the slopes are those of a logit, not of a probability, with respect to
all axes but the batch. Its `every` says how often it is due.

Each logit should depend on its own image alone. Then the gradient of the sum of all logits holds every image's own,
which is what makes a penalty affordable. A batch norm or a layer such as `layers.MinibatchDeviation` breaks this: the
slope by an image is then that of the sum of all logits of the batch, its own and its part in those of the others. Of
packed images (`layers.pack`) several belong to one logit, and R1 and R2 are those of the pack.
"""

import dataclasses

import tensorflow as tf
from keras import ops

from ganutils import strategies, validation

_LEAST = 1e-12  # a squared slope below it has the length 1e-6 and no gradient: that of a square root at 0 is infinite


@dataclasses.dataclass(frozen=True)
class _Penalty:
    weight: float
    every: int = 8

    def __post_init__(self):
        validation.number(self.weight, "weight", 0)
        validation.whole_number(self.every, "every", 1)


def squared_slopes(discriminate, images):
    """Return |∇D|² (logits,), float32: of each logit with respect to all that it is computed from.

    Args:
        discriminate: function from images to logits (n, 1), or (n / k, 1) where it packs k of them by `layers.pack`.
        images: (n, height, width, channels), or points (n, d).

    Of a patch discriminator (n, height, width, 1), it is the sum of an image's patches that counts as its logit.
    """
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = discriminate(images)
        total = ops.sum(logits)
    slopes = tape.gradient(total, images)
    if slopes is None:
        raise ValueError("the logits do not depend on the images, so that there is no slope to penalise")
    squares = ops.sum(ops.square(ops.reshape(ops.cast(slopes, "float32"), (ops.shape(images)[0], -1))), axis=1)
    # Of k packed images, which lie n / k rows apart, the squares belong to one logit.
    return ops.sum(ops.reshape(squares, (-1, ops.shape(logits)[0])), axis=0)


class R1(_Penalty):
    """The R1 penalty of Mescheder, Geiger and Nowozin 2018, equation 9: weight / 2 · E |∇D(x)|² over real images.

    Where the generator has learnt the data, the best discriminator is flat there; the penalty charges it for every
    slope that is left.

    Args:
        weight: factor in front, above 0; γ in the paper.
        every: it is computed once in so many steps of its player, and then counts so many times as much (Karras
            et al. 2020, section 3.1); a whole number of at least 1. What is proved of convergence holds for 1.

    Raises:
        ValueError: a number out of range.
    """

    def __call__(self, discriminate, real_images, fake_images):
        return self.weight / 2 * ops.mean(squared_slopes(discriminate, real_images))


class R2(_Penalty):
    """The R2 penalty of Mescheder, Geiger and Nowozin 2018, equation 10: as `R1`, over generated images."""

    def __call__(self, discriminate, real_images, fake_images):
        return self.weight / 2 * ops.mean(squared_slopes(discriminate, fake_images))


class R1AndR2(_Penalty):
    """The sum of `R1` and `R2` with one weight, as Huang et al. 2024 (R3GAN) need it for their relativistic loss.

    Two passes, since a batch norm must not mix real and generated images.
    """

    def __call__(self, discriminate, real_images, fake_images):
        real, fake = (squared_slopes(discriminate, images) for images in (real_images, fake_images))
        return self.weight / 2 * (ops.mean(real) + ops.mean(fake))


@dataclasses.dataclass(frozen=True)
class GradientPenalty(_Penalty):
    """The gradient penalty of WGAN-GP, Gulrajani et al. 2017, equation 3: weight · E (|∇D(x̂)| - 1)².

    x̂ lies between a real and a generated image, at one share for the whole image. The paper draws the shares evenly
    from [0, 1]. Here they are spread evenly over the batch, (i + ½) / n for image i of n: the pairs are random
    already, the mean is the same with less noise, and a resumed run needs to remember nothing. A batch must not be
    sorted, by classes say. Packs are refused, whose images would have different shares. The weight is λ, 10 in the
    paper, which has no lazy steps: `every` is 1.
    """

    weight: float = 10.0
    every: int = 1

    def __call__(self, discriminate, real_images, fake_images):
        n = ops.shape(real_images)[0]
        share = (ops.arange(n, dtype=real_images.dtype) + 0.5) / ops.cast(n, real_images.dtype)
        share = ops.reshape(share, (-1, *(1,) * (len(real_images.shape) - 1)))
        between = share * real_images + (1 - share) * ops.cast(fake_images, real_images.dtype)
        squares = squared_slopes(discriminate, between)
        if squares.shape[0] != real_images.shape[0]:
            raise ValueError(
                f"{real_images.shape[0]} images have {squares.shape[0]} logits: of a pack, GradientPenalty would leave "
                "the line between real and generated; use losses.R1 with packs"
            )
        lengths = ops.sqrt(ops.maximum(squares, _LEAST))
        return self.weight * ops.mean(ops.square(lengths - 1))


# How a step charges for them.


def scalar(value, name):
    """Return a value as a tensor; raise a ValueError if it is not a scalar."""
    value = tf.convert_to_tensor(value)
    if value.shape.rank != 0:
        raise ValueError(f"{name} has the shape {value.shape}; return a scalar, for example with ops.mean")
    return value


def factor(optimizer, loss):
    """Return the factor of a loss's gradient: the optimizer's loss scale times this replica's share."""
    return optimizer.scale_loss(strategies.share_of_loss(tf.ones_like(loss)))


def add_to(gradients, network, optimizer, penalty, arguments):
    """Return a player's gradients with those of a penalty where it is due, so that one step is taken for both."""
    weights, every = network.trainable_weights, getattr(penalty, "every", 1)
    idle = [g is None for g in gradients]  # such as the blocks of a growing network that are not used yet
    # Gradients of an embedding are IndexedSlices, which cannot be added.
    pairs = zip(weights, gradients, strict=True)
    gradients = [tf.zeros_like(weight) if g is None else tf.convert_to_tensor(g) for weight, g in pairs]

    def penalised():
        with tf.GradientTape() as tape:
            charge = every * scalar(penalty(*arguments), f"{penalty}")
        loses_slopes = _loses_slopes()  # before the graph holds the gradient of the charge itself
        try:
            added = tape.gradient(charge, weights, output_gradients=factor(optimizer, charge))
        except LookupError as error:  # an operation, such as bicubic resizing, has no second derivative
            raise ValueError(f"{penalty} needs second derivatives, and {error}; {_ADVICE}") from error
        # The gradient with respect to the images does not depend on some biases, such as the last one, but it does
        # depend on every kernel that the loss uses.
        missed = [w for w, more, rests in zip(weights, added, idle, strict=True) if more is None and not rests]
        kernels = [weight.path for weight in missed if len(weight.shape) > 1]
        if kernels or all(more is None for more in added) or loses_slopes:
            where = ", ".join(kernels) or ("a part of the gradient" if loses_slopes else "any weight")
            raise ValueError(f"{penalty} does not reach {where}, and would silently do nothing there; {_ADVICE}")
        return [g if more is None else g + tf.convert_to_tensor(more) for g, more in zip(gradients, added, strict=True)]

    return tf.cond(optimizer.iterations % every == 0, penalised, lambda: gradients)


_ADVICE = "bilinear or bicubic resizing has no second derivative: use nearest; give a second output its own network"


def _loses_slopes():
    """Return whether the graph holds bilinear resizing, whose second derivative TensorFlow silently omits."""
    operations = [] if tf.executing_eagerly() else tf.compat.v1.get_default_graph().get_operations()
    return any(operation.type == "ResizeBilinearGrad" for operation in operations)
