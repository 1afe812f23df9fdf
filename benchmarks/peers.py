"""Other people's training loops in TensorFlow and Keras, each for any pair of networks.

Every loop is reimplemented from the facts of its source, named in the class. All share one interface: made of a
generator and a discriminator that returns logits, `load(images, batch_size)` prepares the data as the source does,
`step(real_images)` takes one training step and returns (discriminator loss, generator loss), `train(tick)` trains
until `tick()` returns False. PyTorch's loops stand in torch_peers.py, published networks and rates in published.py.

Nothing a loop prints or draws is kept, since it is no part of training.
"""

from ganutils import data, models, training  # isort: skip  (before Keras, to keep TensorFlow quiet)

import common
import keras
import numpy as np
import tensorflow as tf
from keras import ops


def networks(architecture):
    """Return the generator, the discriminator and the batch size of "familiar" or "fast"."""
    builders = {
        "familiar": (models.dcgan_generator, models.dcgan_discriminator),
        "fast": (models.fast_dcgan_generator, models.fast_dcgan_discriminator),
    }
    generator, discriminator = builders[architecture]
    return generator(), discriminator(), common.BATCH_SIZES[architecture]


class Peer:
    """A generator, a discriminator and their optimizers, Adam with a rate of 1e-4 unless others are given.

    Args:
        generator, discriminator: built keras.Model; the discriminator returns logits (n, 1).
        optimizers: those of the generator and of the discriminator.
        scale: function from uint8 images to the range of the generator's.
        seed: of the order of the data and of latents drawn by NumPy.
    """

    def __init__(self, generator, discriminator, optimizers=None, scale=None, seed=0):
        self.generator, self.discriminator = generator, discriminator
        self.generator_optimizer, self.discriminator_optimizer = optimizers or (
            keras.optimizers.Adam(1e-4),
            keras.optimizers.Adam(1e-4),
        )
        self.scale = scale or (lambda images: images.astype("float32") / 127.5 - 1.0)
        self.seed = seed
        self.latent_dim = generator.inputs[0].shape[-1]
        self.entropy = keras.losses.BinaryCrossentropy(from_logits=True)
        self.prepare()

    def prepare(self):
        """Set up what the steps need."""

    def dataset(self, images, batch_size):
        """Return the `tf.data.Dataset` that the loop reads."""
        # The sources keep the incomplete last batch; without it no peer needs a second trace.
        shuffled = tf.data.Dataset.from_tensor_slices(self.scale(images)).shuffle(len(images), seed=self.seed)
        return shuffled.batch(batch_size, drop_remainder=True)

    def load(self, images, batch_size):
        """Take uint8 images (n, height, width, channels) to train on."""
        self.batches = self.dataset(images, batch_size).repeat()
        self.iterator = iter(self.batches)

    def next_batch(self):
        """Return the next float images."""
        return next(self.iterator)

    def train(self, tick):
        """Train until `tick()`, called after each step, returns False."""
        while True:
            self.step(self.next_batch())
            if not tick():
                return


class PredictTrainOnBatch(Peer):
    """The widespread loop: `predict`, two calls of `train_on_batch`, and one more on the stacked networks.

    Source: github.com/eriklindernoren/Keras-GAN, dcgan/dcgan.py and gan/gan.py.

    As published, `trainable` is False from before the first step on. Keras 3 looks it up when it traces that
    step, and so never trains the discriminator: its weights move by exactly 0. Set back to True for good after
    compiling, the stacked model would train the discriminator as well, in the generator's interest. Here it is
    True for the discriminator's calls and False for the stacked model's, so that each call traces what its
    author meant: the same work, with both networks trained. Each player needs an optimizer of its own, because
    an optimizer of Keras 3 belongs to one list of weights.

    Args:
        as_published: leave `trainable` False, and share the generator's optimizer.
        reuse_latents: give the stacked model the latents of the discriminator's step (dcgan.py), not new ones.
    """

    def __init__(self, *networks_and_optimizers, as_published=False, reuse_latents=True, **options):
        self.as_published = as_published
        self.reuse_latents = reuse_latents
        super().__init__(*networks_and_optimizers, **options)

    def prepare(self):
        self.rng = np.random.default_rng(self.seed)
        accuracy = keras.metrics.BinaryAccuracy(threshold=0.0)
        if self.as_published:
            self.discriminator_optimizer = self.generator_optimizer
        self.discriminator.compile(loss=self.entropy, optimizer=self.discriminator_optimizer, metrics=[accuracy])
        self.discriminator.trainable = False
        latents = keras.Input((self.latent_dim,))
        self.stacked = keras.Model(latents, self.discriminator(self.generator(latents)))
        self.stacked.compile(loss=self.entropy, optimizer=self.generator_optimizer)

    def load(self, images, batch_size):
        self.images, self.batch_size = self.scale(images), batch_size

    def next_batch(self):
        return self.images[self.rng.integers(0, len(self.images), self.batch_size)]

    def step(self, real_images):
        """Take one step; the discriminator's loss is the mean of its two calls', as the source prints it."""
        n = len(real_images)
        ones, zeros = np.ones((n, 1)), np.zeros((n, 1))
        latents = self.rng.normal(size=(n, self.latent_dim))
        # One call of the network: the default of `predict` would cut a batch of 128 into four.
        fake_images = self.generator.predict(latents, batch_size=n, verbose=0)
        self.discriminator.trainable = not self.as_published
        real_loss, _ = self.discriminator.train_on_batch(real_images, ones)
        fake_loss, _ = self.discriminator.train_on_batch(fake_images, zeros)
        self.discriminator.trainable = False
        if not self.reuse_latents:
            latents = self.rng.normal(size=(n, self.latent_dim))
        generator_loss = self.stacked.train_on_batch(latents, ones)
        return 0.5 * (real_loss + fake_loss), generator_loss


class TutorialLoop(Peer):
    """One `tf.function` with a tape for each network, over one shared forward pass.

    Source: TensorFlow's tutorial "Deep Convolutional Generative Adversarial Network",
    tensorflow.org/tutorials/generative/dcgan.
    """

    def prepare(self):
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.step = tf.function(self.train_step)

    def train_step(self, real_images):
        latents = tf.random.normal((tf.shape(real_images)[0], self.latent_dim))
        with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
            fake_images = self.generator(latents, training=True)
            real_logits = self.discriminator(real_images, training=True)
            fake_logits = self.discriminator(fake_images, training=True)
            generator_loss = self.entropy(tf.ones_like(fake_logits), fake_logits)
            discriminator_loss = self.entropy(tf.ones_like(real_logits), real_logits)
            discriminator_loss += self.entropy(tf.zeros_like(fake_logits), fake_logits)
        for network, tape, loss, optimizer in (
            (self.generator, generator_tape, generator_loss, self.generator_optimizer),
            (self.discriminator, discriminator_tape, discriminator_loss, self.discriminator_optimizer),
        ):
            weights = network.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return discriminator_loss, generator_loss


class _OverriddenStep(keras.Model):
    """The model of `KerasExample`."""

    def __init__(self, take_step):
        super().__init__()
        self.take_step = take_step
        self.means = [keras.metrics.Mean("discriminator_loss"), keras.metrics.Mean("generator_loss")]
        self.built = True

    @property
    def metrics(self):
        return self.means

    def train_step(self, real_images):
        for mean, loss in zip(self.means, self.take_step(real_images), strict=True):
            mean.update_state(loss)
        return {mean.name: mean.result() for mean in self.means}


class KerasExample(Peer):
    """`fit` of a model whose `train_step` makes one pass over both kinds of images and another for the generator.

    Source: Keras' guide "Customizing what happens in fit() with TensorFlow",
    keras.io/guides/custom_train_step_in_tensorflow, and its example "DCGAN to generate face images",
    keras.io/examples/generative/dcgan_overriding_train_step, whose step is the same.

    Both call the networks without `training`. Their networks have no batch normalisation, for which Keras 3
    would then take the statistics of inference; here `training=True` is given.
    """

    def prepare(self):
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.model = _OverriddenStep(self.take_step)
        self.model.compile()
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.step = tf.function(self.take_step)

    def take_step(self, real_images):
        n = tf.shape(real_images)[0]
        latents = keras.random.normal((n, self.latent_dim), seed=self.seed_generator)
        both_kinds = ops.concatenate([self.generator(latents, training=True), real_images])
        # The source calls generated images 1 and real ones 0, and adds up to 0.05 to either.
        labels = ops.concatenate([ops.ones((n, 1)), ops.zeros((n, 1))])
        labels += 0.05 * keras.random.uniform((2 * n, 1), seed=self.seed_generator)
        with tf.GradientTape() as tape:
            discriminator_loss = self.entropy(labels, self.discriminator(both_kinds, training=True))
        weights = self.discriminator.trainable_weights
        self.discriminator_optimizer.apply(tape.gradient(discriminator_loss, weights), weights)
        latents = keras.random.normal((n, self.latent_dim), seed=self.seed_generator)
        with tf.GradientTape() as tape:
            fake_logits = self.discriminator(self.generator(latents, training=True), training=True)
            generator_loss = self.entropy(ops.zeros((n, 1)), fake_logits)
        weights = self.generator.trainable_weights
        self.generator_optimizer.apply(tape.gradient(generator_loss, weights), weights)
        return discriminator_loss, generator_loss

    def dataset(self, images, batch_size):
        shuffled = tf.data.Dataset.from_tensor_slices(self.scale(images)).shuffle(1024, seed=self.seed)
        return shuffled.batch(batch_size, drop_remainder=True).prefetch(32)

    def train(self, tick):
        self.model.fit(self.batches, steps_per_epoch=10**6, shuffle=False, verbose=0, callbacks=[Ticker(tick)])


class Ticker(keras.callbacks.Callback):
    """Stop `fit` when a function, called with the number of steps since the last call, returns False."""

    def __init__(self, tick):
        super().__init__()
        self.tick = tick

    def on_epoch_begin(self, epoch, logs=None):
        self._done = 0

    def on_train_batch_end(self, batch, logs=None):
        steps, self._done = batch + 1 - self._done, batch + 1
        if not self.tick(steps):
            self.model.stop_training = True


class Ganutils(Peer):
    """This course's own loop, as its lessons call it: `data.pipeline` and `training.GAN.fit`.

    Args:
        average: of the generator's weights; lesson 02 takes 0.99, which is work that no peer does.
    """

    def __init__(self, *networks_and_optimizers, average=None, **options):
        self.average = average
        super().__init__(*networks_and_optimizers, **options)

    def prepare(self):
        self.gan = training.GAN(self.generator, self.discriminator, average=self.average, seed=self.seed)
        self.gan.compile(self.generator_optimizer, self.discriminator_optimizer)

    def dataset(self, images, batch_size):
        return data.pipeline(images, batch_size=batch_size, seed=self.seed)

    def step(self, real_images):
        result = self.gan.train_on_batch(real_images, return_dict=True)
        return result["discriminator_loss"], result["generator_loss"]

    def train(self, tick):
        self.gan.fit(self.batches, steps_per_epoch=10**6, verbose=0, callbacks=[Ticker(tick)])


LOOPS = {
    "ganutils": Ganutils,
    "predict_train_on_batch": PredictTrainOnBatch,
    "tutorial_loop": TutorialLoop,
    "keras_example": KerasExample,
}
