"""Progressive growing (Karras et al. 2018): one GAN whose pictures double their size; lesson 07 writes it by hand.

Both networks are built for the full size at once, with a picture of every size. A phase of the training uses the part
for its own size, and new layers are faded in: the picture is (1 - α) times the old one, doubled, and α times the new
one, with α going from 0 to 1.
"""

import functools
import math

import keras
import tensorflow as tf
from keras import layers

from ganutils import training, validation
from ganutils.layers import EqualizedLearningRate, MinibatchDeviation, PixelNorm
from ganutils.models.sizes import halve, repeat

SIZES, CHANNELS = (8, 16, 32, 64), (64, 64, 32, 16)


class Fade(layers.Layer):
    """Blend [old, new] into (1 - α) old + α new. Its only weight is α, which is not trained."""

    def build(self, shapes):
        self.alpha = self.add_weight(shape=(), initializer="ones", trainable=False, name="alpha")

    def call(self, inputs):
        old, new = inputs
        return (1.0 - self.alpha) * old + self.alpha * new

    def compute_output_shape(self, shapes):
        return shapes[1]


def progressive_generator(sizes=SIZES, channels=CHANNELS, latent_dim=64, colours=3):
    """From latents (n, latent_dim) to a list of pictures (n, size, size, colours), one of each size, in no bounds.

    Args:
        sizes: sides of the pictures, each twice the one before.
        channels: of the features from which each size is made, which have half its side.
    """

    def doubled(width, x, gain=2**0.5, **options):
        layer = layers.Conv2DTranspose(width, 4, 2, padding="same", **options)
        return EqualizedLearningRate(layer, gain)(x)

    def active(x):
        return PixelNorm()(layers.LeakyReLU(0.2)(x))

    start, latents = (sizes[0] // 2, sizes[0] // 2, channels[0]), keras.Input((latent_dim,), name="latents")
    x = EqualizedLearningRate(layers.Dense(math.prod(start)))(PixelNorm()(latents))
    x, fade, pictures, old = active(layers.Reshape(start)(x)), Fade(name="fade"), [], None
    for i, width in enumerate(channels):
        x = active(doubled(width, x)) if i else x
        new = doubled(colours, x, 1.0, dtype="float32")
        pictures.append(fade([repeat(old), new]) if i else new)
        old = new
    return keras.Model(latents, pictures, name="progressive_generator")


def progressive_discriminator(sizes=SIZES, channels=CHANNELS, colours=3, hidden=256):
    """From a list of pictures, one of each size, to a list of logits (n, 1), of each picture; arguments as above."""

    def halved(width):
        return EqualizedLearningRate(layers.Conv2D(width, 4, 2, padding="same"))

    sees, blocks = [halved(width) for width in channels], [halved(width) for width in channels[:-1]]
    active, fade, deviation = layers.LeakyReLU(0.2), Fade(name="fade"), MinibatchDeviation()
    dense = EqualizedLearningRate(layers.Dense(hidden))
    logit = EqualizedLearningRate(layers.Dense(1, dtype="float32"), gain=1.0)
    pictures = [keras.Input((size, size, colours), name=f"picture_{size}") for size in sizes]
    logits = []
    for i, picture in enumerate(pictures):
        x = active(sees[i](picture))
        for j in reversed(range(i)):
            x = active(blocks[j](x))
            x = fade([active(sees[j](halve(picture))), x]) if j == i - 1 else x
        logits.append(logit(active(dense(layers.Flatten()(deviation(x))))))
    return keras.Model(pictures, logits, name="progressive_discriminator")


class ProgressiveGAN(training.GAN):
    """A GAN that grows while it is trained, on images of the full size; calling it returns images of that size.

    A step is taken at one size: real images are halved down to it, and faded as the generated ones are. Each phase
    takes `steps` steps, the last one all that follow; in the first part of each but the first, α goes from 0 to 1. At
    its begin the optimizers' moments are set to zero, as in the paper; the average of weights goes on.

    Args:
        generator: keras.Model from latents to pictures of each size, such as `progressive_generator()`.
        discriminator: keras.Model from pictures of each size to logits, such as `progressive_discriminator()`.
        steps: steps of each phase, one number for each size; of the last, only the fading depends on it.
        fading: share of a phase in which α goes from 0 to 1, in (0, 1].
        **kwargs: the other arguments of `GAN`.
    """

    def __init__(self, generator, discriminator, *, steps, fading=0.5, **kwargs):
        super().__init__(generator, discriminator, **kwargs)
        self.sizes = [picture.shape[1] for picture in generator.outputs]
        self.steps = [validation.whole_number(step, "steps", 1) for step in steps]
        if len(self.steps) != len(self.sizes):
            raise ValueError(f"{len(self.steps)} phases for the sizes {self.sizes}; give the steps of each")
        self.fading = validation.number(fading, "fading", 0, 1)
        self.taken = self.add_weight(shape=(), initializer="zeros", dtype="int32", trainable=False, name="taken")
        self._at = len(self.sizes) - 1
        self._sized = {id(network): _by_size(network) for network in [*self.networks.values(), *self.averaged.values()]}

    def phase(self):
        """Return the number of the current phase, from 0, and how many of its steps were taken, as tensors."""
        begins = tf.constant([sum(self.steps[:i]) for i in range(len(self.steps))])
        number = tf.reduce_sum(tf.cast(self.taken.value >= begins, "int32")) - 1
        return number, self.taken.value - begins[number]

    def at_each_size(self, function):
        """Return what a function returns at the current size; a graph holds it for all of them."""

        def at(i):
            self._at = i
            return function()

        return tf.switch_case(self.phase()[0], [functools.partial(at, i) for i in range(len(self.sizes))])

    def train_step(self, batch):
        number, within = self.phase()
        fading = tf.gather([self.fading * step for step in self.steps], number)
        alpha = tf.where(number == 0, 1.0, tf.minimum(1.0, tf.cast(within, "float32") / fading))
        for network in [*self.networks.values(), *self.averaged.values()]:
            network.get_layer("fade").alpha.assign(alpha)
        tf.cond((within == 0) & (number > 0), self._forget, lambda: None)
        found = super().train_step(batch)
        self.taken.assign_add(1)
        return found

    def _forget(self):
        for optimizer in self.optimizers.values():
            for variable in optimizer.variables:
                if variable is not optimizer._learning_rate:
                    variable.assign(tf.zeros_like(variable.value))

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

    def run(self, player, inputs):
        """Return the output of a network's part for the current size."""
        training = bool(self._step.players)
        network = self.networks[player] if training else self.averaged.get(player, self.networks[player])
        return self._sized[id(network)][self._at](inputs, training=training)

    def losses(self, images):
        """Return both players' losses on images of the full size, halved to the current one."""
        for _ in range(self._at + 1, len(self.sizes)):
            images = halve(images)
        if self._at:
            images = self.discriminator.get_layer("fade")([repeat(halve(images)), images])
        return super().losses(images)

    def call(self, latents, training=False):
        """Return images of the full size, each pixel repeated where the GAN has not grown to it yet."""

        def images():
            found = self.generate(latents)
            for _ in range(self._at + 1, len(self.sizes)):
                found = repeat(found)
            return found

        return self.at_each_size(images)


def _by_size(network):
    """Return models of a network, one for each of its outputs."""
    inputs = network.inputs * len(network.outputs) if len(network.inputs) == 1 else network.inputs
    return [keras.Model(given, output) for given, output in zip(inputs, network.outputs, strict=True)]
