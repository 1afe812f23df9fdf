"""Progressive growing (Karras et al. 2018): one GAN whose pictures double their size; lesson 07 writes it by hand.

Both networks are built for the full size at once, with a picture of every size. A phase of the training uses the part
for its own size, and new layers are faded in: the picture is (1 - α) times the old one, doubled, and α times the new
one, with α going from 0 to 1.

Where this differs from the paper: a single strided layer with a kernel of 4 x 4 halves or doubles, in place of two of
3 x 3, and the layers from and to colours do so, too, which takes a tenth of the time; both networks have a dense layer
more; a phase begins with the fading and goes on without it; the GAN's losses and R1 are in place of WGAN-GP and its
drift term; it begins at 8 x 8 pixels.
"""

import dataclasses
import functools
import itertools
import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from ganutils import losses, training, validation
from ganutils.layers import EqualizedLearningRate, MinibatchDeviation, PixelNorm
from ganutils.models.sizes import halve, repeat_pixels

SIZES, CHANNELS = (8, 16, 32, 64), (64, 64, 32, 16)


@keras.saving.register_keras_serializable("ganutils")
class Fade(layers.Layer):
    """Blend [old, new] into (1 - α) old + α new. Its only weight is α, which is not trained.

    A network has one of these, called at each size but the first: only one phase fades at a time.
    """

    def build(self, shapes):
        self.alpha = self.add_weight(shape=(), initializer="ones", trainable=False, name="alpha")

    def call(self, inputs):
        old, new = inputs
        return (1.0 - self.alpha) * old + self.alpha * new

    def compute_output_shape(self, shapes):
        return shapes[1]


def progressive_generator(sizes=SIZES, channels=CHANNELS, latent_dim=64, colours=3, hidden=256, at_once=False):
    """From latents (n, latent_dim) to a list of pictures (n, size, size, colours), one of each size, without bounds.

    Args:
        sizes: sides of the pictures, even, each twice the one before; to grow, two or more.
        channels: of the features from which each size is made, which have half its side.
        latent_dim: length of a latent vector; only its direction counts, since it is normalised.
        colours: channels of a picture.
        hidden: units of a dense layer between the latents and the first features.
        at_once: whether to leave out all that growing needs: the network maps latents to the largest picture alone.

    Raises:
        ValueError: other sizes, not as many channels, or numbers out of range.
    """
    _check_sizes(sizes, channels)
    for value, name in ((latent_dim, "latent_dim"), (colours, "colours"), (hidden, "hidden")):
        validation.whole_number(value, name, 1)

    def doubled(width, x, gain=2**0.5, **options):
        layer = layers.Conv2DTranspose(width, 4, 2, padding="same", **options)
        return EqualizedLearningRate(layer, gain)(x)

    def active(x):
        return PixelNorm()(layers.LeakyReLU(0.2)(x))

    start, latents = (sizes[0] // 2, sizes[0] // 2, channels[0]), keras.Input((latent_dim,), name="latents")
    x = active(EqualizedLearningRate(layers.Dense(hidden))(PixelNorm()(latents)))
    x = EqualizedLearningRate(layers.Dense(math.prod(start)))(x)
    x, fade, pictures, old = active(layers.Reshape(start)(x)), Fade(name="fade", dtype="float32"), [], None
    for i, width in enumerate(channels):
        x = active(doubled(width, x)) if i else x
        if at_once and i < len(channels) - 1:
            continue
        new = doubled(colours, x, 1.0, dtype="float32")
        pictures.append(new if old is None else fade([repeat_pixels(old), new]))
        old = new
    return keras.Model(latents, pictures[0] if at_once else pictures, name="progressive_generator")


def bounded_generator(generator=None, **arguments):
    """Return `generator`, or a new `progressive_generator(**arguments)`, with its pictures clipped to [-1, 1]."""
    generator = generator or progressive_generator(**arguments)
    return keras.Model(generator.inputs, [ops.clip(picture, -1, 1) for picture in generator.outputs])


def progressive_discriminator(sizes=SIZES, channels=CHANNELS, colours=3, hidden=256, at_once=False):
    """From a list of pictures (n, size, size, colours), one of each size, to a list of their logits (n, 1).

    Args:
        hidden: units of the dense layer before the logit.
        at_once: whether it judges the largest picture alone: one input, one output.
        sizes, channels, colours: as in `progressive_generator`, with the same errors.
    """
    _check_sizes(sizes, channels)
    for value, name in ((colours, "colours"), (hidden, "hidden")):
        validation.whole_number(value, name, 1)

    def halved(width):
        return EqualizedLearningRate(layers.Conv2D(width, 4, 2, padding="same"))

    from_rgb, blocks = [halved(width) for width in channels], [halved(width) for width in channels[:-1]]
    active, fade, deviation = layers.LeakyReLU(0.2), Fade(name="fade"), MinibatchDeviation()
    dense = EqualizedLearningRate(layers.Dense(hidden))
    logit = EqualizedLearningRate(layers.Dense(1, dtype="float32"), gain=1.0)
    pictures = [keras.Input((size, size, colours), name=f"picture_{size}") for size in sizes]
    logits = []
    for i, picture in enumerate(pictures):
        if at_once and i < len(pictures) - 1:
            continue
        x = active(from_rgb[i](picture))
        for j in reversed(range(i)):
            x = active(blocks[j](x))
            if j == i - 1 and not at_once:
                x = fade([active(from_rgb[j](halve(picture))), x])
        logits.append(logit(active(dense(layers.Flatten()(deviation(x))))))
    return keras.Model(*(pictures, logits) if not at_once else (picture, logits[0]), name="progressive_discriminator")


def _check_sizes(sizes, channels):
    sizes = validation.whole_numbers(sizes, "sizes")
    validation.whole_numbers(channels, "channels", len(sizes))
    if sizes[0] % 2 or any(large != 2 * small for small, large in itertools.pairwise(sizes)):
        raise ValueError(f"sizes={sizes} is not allowed; give even ones, each twice the one before: (8, 16, 32)")


class ProgressiveGAN(training.GAN):
    """A GAN that grows while it is trained, on images of the full size; calling it returns images of that size.

    A step is taken at one size: real images are halved down to it, and faded as the generated ones are. Each phase
    takes `steps` steps, the last one all that follow; in the first part of each but the first, α goes from 0 to 1. At
    the beginning of each all variables of the optimizers are set to zero, as in the authors' code (which does so at the
    end of each fade, too), and a schedule of the learning rate begins anew. That is right for Adam, RMSprop and SGD,
    whose variables begin at zero. The average of weights goes on. All of this belongs to `train_step`, and so to
    `fit`; `adversarial_step` alone stays at its size.

    Args:
        generator: keras.Model from latents to pictures of each size, such as `progressive_generator()`.
        discriminator: keras.Model from pictures of each size to logits, such as `progressive_discriminator()`.
        steps: steps of each phase, one number for each size; of the last, only the fading depends on it.
        fading: share of a phase in which α goes from 0 to 1, above 0 and at most 1.
        penalty: as of `GAN`, at the full size. At others the weight of R1 and R2 is divided by 4 for each halving: of
            the same function of a picture, the squared slope is four times as large by a quarter of the pixels.
        **kwargs: the other arguments of `GAN`.

    Attributes:
        sizes: list of the sides.

    Raises:
        ValueError: numbers out of range, or networks that do not fit each other.
    """

    def __init__(self, generator, discriminator, *, steps, fading=0.5, **kwargs):
        super().__init__(generator, discriminator, **kwargs)
        made, judged = ([tuple(x.shape[1:]) for x in each] for each in (generator.outputs, discriminator.inputs))
        faded = all("fade" in {layer.name for layer in network.layers} for network in (generator, discriminator))
        if made != judged or len(made) < 2 or not faded:
            raise ValueError(
                f"the generator makes pictures {made}, the discriminator takes {judged}; give progressive_generator() "
                "and progressive_discriminator() of the same two sizes or more"
            )
        self.sizes = [height for height, *_ in made]
        self.steps = validation.whole_numbers(steps, "steps", len(self.sizes))
        if validation.number(fading, "fading", 0, 1, open_ends=False) == 0:
            raise ValueError("fading=0 is not allowed; choose a number above 0, such as 1e-6 to fade in a single step")
        self.fading = float(fading)
        self.steps_taken = self.add_weight(shape=(), initializer="zeros", dtype="int32", trainable=False, name="taken")
        self._at = None
        networks = [*self.networks.values(), *self.averaged.values()]
        self._sized = {id(network): _by_size(network) for network in networks}

    def phase(self):
        """Return the number of the current phase, from 0, and how many of its steps were taken, as tensors."""
        begins = tf.constant(np.cumsum([0, *self.steps[:-1]]), "int32")
        number = tf.reduce_sum(tf.cast(self.steps_taken.value >= begins, "int32")) - 1
        return number, self.steps_taken.value - begins[number]

    def stage(self):
        """Return the number of the current phase."""
        return int(self.phase()[0])

    def probe(self, batch, watch):
        """Look at the current size; pictures are enlarged to the full one, to be compared with real ones."""
        full = self.generator.outputs[-1].shape

        def watch_enlarged(player, output):
            while player == "generator" and output.shape[1] < full[1]:
                output = repeat_pixels(output)
            watch(player, output)

        with tf.init_scope():  # a graph holds the size at which it was traced
            self._at = self.stage()
        try:
            return super().probe(batch, watch_enlarged)
        finally:
            self._at = None

    def at_each_size(self, function):
        """Return what a function returns at the current size; a graph holds it for all of them."""

        def at(i):
            before, self._at = self._at, i
            try:
                return function()
            finally:
                self._at = before

        return tf.switch_case(self.phase()[0], [functools.partial(at, i) for i in range(len(self.sizes))])

    def train_step(self, batch):
        found = super().train_step(batch)
        self.steps_taken.assign_add(1)
        number, within = self.phase()
        fading = tf.gather([self.fading * step for step in self.steps], number)
        alpha = tf.where(number == 0, 1.0, tf.minimum(1.0, tf.cast(within, "float32") / fading))
        for network in [*self.networks.values(), *self.averaged.values()]:
            network.get_layer("fade").alpha.assign(alpha)
        self._reset_optimizers((within == 0) & (number > 0))
        return found

    def _reset_optimizers(self, begins):
        """Set moments and counts to zero where a phase begins."""
        optimizers = [getattr(each, "inner_optimizer", each) for each in self.optimizers.values()]  # of scaled losses
        variables = [v for each in optimizers for v in each.variables if v is not each.learning_rate]

        def assign(value):
            for variable in variables:
                variable.assign(value(variable.value))
            return begins

        if self.distribute_strategy.num_replicas_in_sync == 1:
            tf.cond(begins, lambda: assign(tf.zeros_like), lambda: begins)
        else:  # which cannot assign under a condition
            assign(lambda value: tf.where(begins, tf.zeros_like(value), value))

    def gradients(self, batch):
        """Return losses and gradients at the current size, which are 0 for layers that it does not use."""

        def found():
            of_players = super(ProgressiveGAN, self).gradients(batch)
            weights = {player: self.networks[player].trainable_weights for player in of_players}
            return {
                player: (loss, [tf.zeros_like(w) if g is None else g for w, g in zip(weights[player], gs, strict=True)])
                for player, (loss, gs) in of_players.items()
            }

        return self.at_each_size(found)

    def part(self, network):
        """Return the part of a network for the current size."""
        return self._sized[id(network)][self._current()]

    def _current(self):
        if self._at is None and not tf.executing_eagerly():
            raise ValueError("the size is not known here; call this within at_each_size(function)")
        return self.stage() if self._at is None else self._at

    def add_penalty(self, player, penalty, *arguments):
        """Add a penalty; R1 and R2 have the weight that belongs to the current size."""
        if isinstance(penalty, (losses.R1, losses.R2, losses.R1AndR2)):
            smaller = len(self.sizes) - 1 - self._current()
            penalty = dataclasses.replace(penalty, weight=penalty.weight / 4**smaller)
        super().add_penalty(player, penalty, *arguments)

    def losses(self, images):
        """Return both players' losses on images of the full size, halved to the current one."""
        full = self.generator.outputs[-1].shape[1:]
        if tuple(images.shape[1:]) != tuple(full):
            raise ValueError(f"images have the shape {tuple(images.shape[1:])}; this GAN grows to {tuple(full)}")
        for _ in range(self._current() + 1, len(self.sizes)):
            images = halve(images)
        if self._current():
            images = self.generator.get_layer("fade")([repeat_pixels(halve(images)), images])
        return super().losses(images)

    def call(self, latents, training=False):
        """Return images of the full size, each pixel repeated where the GAN has not grown to it yet."""

        def images():
            found = self.generate(latents)
            for _ in range(self._current() + 1, len(self.sizes)):
                found = repeat_pixels(found)
            return ops.clip(found, -1, 1)

        if tf.executing_eagerly():
            self.check_inputs(latents)
        return self.at_each_size(images)

    def check_condition(self, condition):
        """Raise a ValueError for labels, which would be ignored."""
        if condition is not None:
            raise ValueError("a ProgressiveGAN takes images alone; leave the labels out")


def _by_size(network):
    """Return models of a network, one for each of its outputs."""
    inputs = network.inputs * len(network.outputs) if len(network.inputs) == 1 else network.inputs
    return [keras.Model(given, output) for given, output in zip(inputs, network.outputs, strict=True)]
