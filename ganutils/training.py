"""The adversarial training loop as a Keras model."""

import gc
import json

import keras
import tensorflow as tf
from keras import ops

from ganutils import data, losses, strategies
from ganutils.strategies import choose_strategy  # noqa: F401, part of this module's interface

PLAYERS = ("discriminator", "generator")


class AdversarialModel(keras.Model):
    """What models with several players share, whatever the number of their networks and devices.

    To train on several devices (see `strategies`), a subclass takes the gradients of `scaled_loss` and gives
    them to `take_step`, draws what is random in a step through `strategies.share_of_draw`, and returns
    `results()` from `train_step`. Its `compile` hands each optimizer through `prepare_optimizer`.
    """

    def fit(self, x=None, y=None, *, steps_per_epoch=None, callbacks=None, **kwargs):
        """As `keras.Model.fit`; `x` is a dataset, or an array of uint8 or float images.

        A finite dataset is read as one endless stream, cut into epochs of its own length. Keras would
        otherwise make a varying number of iterators, each with another order of the data, so that a run
        taken up again (see `data.pipeline` and `callbacks.Backup`) could not repeat the order.

        Raises:
            ValueError: an epoch's length that is not a multiple of `steps_per_execution`, or with several
                devices what `strategies.prepare_dataset` refuses.
            RuntimeError: another worker is lost.
        """
        strategy = self.distribute_strategy
        x = strategies.prepare_dataset(x, self)
        if isinstance(x, tf.data.Dataset):
            # A dataset shuffles itself, and Keras warns at each call unless it is told so.
            kwargs.setdefault("shuffle", False)
            length = int(x.cardinality())
            if steps_per_epoch is None and length > 0:
                x, steps_per_epoch = x.repeat(), length
                if length % self.steps_per_execution:
                    raise ValueError(
                        f"{length} batches an epoch are not a multiple of "
                        f"steps_per_execution={self.steps_per_execution}; an epoch would run into the next one. "
                        "Choose a divisor, or another number of images or batch size"
                    )
        # Earlier models of a notebook hang in reference cycles, with their data; a laptop needs the memory.
        gc.collect()
        if strategy.num_replicas_in_sync > 1:
            callbacks = [*tf.nest.flatten(callbacks or []), strategies.SpreadRandomState()]
        with strategies.clear_errors(strategy):
            strategies.check_agreement(
                strategy,
                initial_epoch=kwargs.get("initial_epoch", 0),
                epochs=kwargs.get("epochs", 1),
                steps_per_epoch=steps_per_epoch or 0,
                seed=tf.compat.v1.get_seed(0)[0],
            )
            return super().fit(x, y, steps_per_epoch=steps_per_epoch, callbacks=callbacks, **kwargs)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Do not let Keras read a batch to build what is built: the data's order would move on, by chance."""

    def scaled_loss(self, optimizer, loss):
        """Return what to differentiate: the loss, as the optimizer scales it, and this replica's share of it."""
        return optimizer.scale_loss(strategies.share_of_loss(loss))

    def settings(self):
        """Return a dict of what must not change between two parts of a run: see `callbacks.Backup`."""
        return {}

    def take_step(self, optimizer, gradients, variables):
        """Add up the gradients of all replicas and move the variables by them; None moves nothing."""
        gradients = strategies.sum_over_replicas(gradients)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def statistics(self):
        """Return the variables that a step moves without an optimizer, and otherwise on each replica."""
        return [variable for variable in self.non_trainable_variables if "float" in variable.dtype]

    def results(self):
        """End a training step: average `statistics()` over the replicas, and return the metrics for `fit`."""
        strategies.average_over_replicas(self.statistics())
        return {metric.name: strategies.reducible(metric.result()) for metric in self.metrics}


class GAN(AdversarialModel):
    """Two networks trained against each other, used as `gan.compile(...)` and `gan.fit(...)`.

    One training step draws latents, generates images, and updates both networks from one shared forward
    pass (Goodfellow et al. 2014, algorithm 1, with both updates taken at the same point). Calling the
    model on latents gives images from the averaged generator where there is one.

    Args:
        generator: built keras.Model from latents (n, latent_dim) to images in [-1, 1].
        discriminator: built keras.Model from such images to logits (n, 1).
        discriminator_steps: discriminator updates per generator update, at least 1. The batch that `fit`
            hands over is cut into that many equal parts, one for each update, so that the discriminator
            never sees the same real images twice in a pass over the data.
        average: decay in [0, 1) of an exponential moving average of all generator weights, batch-norm
            statistics included (Yazıcı et al. 2019), or None for no average.
        penalty: what the discriminator pays beside its loss, such as `losses.R1(1.0)`, or None.
        penalty_every: the penalty is computed once in so many discriminator updates, and then counts so many
            times as much (Karras et al. 2020, section 3.1); at least 1.
        seed: seed of the latents.

    Raises:
        ValueError: a number out of range, or networks whose shapes do not fit together.
    """

    def __init__(
        self, generator, discriminator, *, discriminator_steps=1, average=None, penalty=None, penalty_every=8, seed=0
    ):
        super().__init__(name="gan")
        for name, number in (("discriminator_steps", discriminator_steps), ("penalty_every", penalty_every)):
            if number < 1 or number != int(number):
                raise ValueError(f"{name}={number!r}: give a whole number of at least 1")
        if average is not None and not 0 <= average < 1:
            raise ValueError(f"average={average!r}: give a decay from 0 to below 1, or None")
        image_shape, accepted_shape = generator.output_shape[1:], tuple(discriminator.inputs[0].shape[1:])
        if image_shape != accepted_shape:
            raise ValueError(
                f"the generator makes images of shape {image_shape}, the discriminator takes {accepted_shape}"
            )
        self.generator = generator
        self.discriminator = discriminator
        self.discriminator_steps = int(discriminator_steps)
        self.average = average
        self.penalty = penalty
        self.penalty_every = int(penalty_every)
        self.averaged_generator = None
        if average is not None:
            self.averaged_generator = keras.models.clone_model(generator)
            self.averaged_generator.set_weights(generator.get_weights())
            self.averaged_generator.trainable = False
        self.latent_dim = generator.inputs[0].shape[-1]
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.generator_loss_mean = keras.metrics.Mean("generator_loss")
        self.discriminator_loss_mean = keras.metrics.Mean("discriminator_loss")
        self.real_accuracy = keras.metrics.Mean("real_accuracy")
        self.fake_accuracy = keras.metrics.Mean("fake_accuracy")
        self.built = True

    def compile(self, generator_optimizer, discriminator_optimizer, loss="non_saturating", **kwargs):
        """Choose the optimizers and the adversarial loss.

        Args:
            generator_optimizer: keras optimizer of the generator's weights.
            discriminator_optimizer: another keras optimizer, for the discriminator's.
            loss: name of a loss in `ganutils.losses`, or an `AdversarialLoss`.
            **kwargs: passed to `keras.Model.compile`, such as `steps_per_execution`.

        Raises:
            ValueError: an unknown loss, or one optimizer given for both networks.
        """
        if generator_optimizer is discriminator_optimizer:
            raise ValueError("give each network an optimizer of its own: its moments belong to its weights")
        super().compile(optimizer=None, **kwargs)
        self.adversarial_loss = losses.get(loss)
        self.generator_optimizer = prepare_optimizer(generator_optimizer, self.generator)
        self.discriminator_optimizer = prepare_optimizer(discriminator_optimizer, self.discriminator)

    @property
    def metrics(self):
        """The four means that `fit` records; without Keras' own `loss`, which stays zero here."""
        return [self.generator_loss_mean, self.discriminator_loss_mean, self.real_accuracy, self.fake_accuracy]

    def settings(self):
        """Return what else than networks and optimizers makes up a training, as numbers and words."""
        return {
            "loss": self.adversarial_loss.name,
            "average": self.average,
            "penalty": None if self.penalty is None else repr(self.penalty),
            "penalty_every": self.penalty_every,
            "discriminator_steps": self.discriminator_steps,
        }

    def call(self, latents, training=False):
        """Return images (n, height, width, channels) in [-1, 1] for latents (n, latent_dim)."""
        return (self.averaged_generator or self.generator)(latents, training=training)

    def draw_latents(self, n):
        """Return n latents (n, latent_dim), normally distributed; each call draws new ones."""

        def draw(n):
            return keras.random.normal((n, self.latent_dim), seed=self.seed_generator)

        return strategies.share_of_draw(draw, n)

    def train_step(self, batch):
        """Take `discriminator_steps` discriminator steps, the last together with the generator's.

        Args:
            batch: images, float in [-1, 1] or uint8 in [0, 255], or a pair of such images and labels
                (batch,), which `conditioned` may use.

        Returns:
            Means since the start of the epoch: both losses, and the share of real and of generated
            images that the discriminator judges rightly.
        """
        real_images, labels, _ = keras.utils.unpack_x_y_sample_weight(batch)
        if real_images.dtype == tf.uint8:
            real_images = data.scale(real_images)
        image_parts = self._parts(real_images)
        label_parts = [None] * len(image_parts) if labels is None else self._parts(labels)
        *first_parts, last_part = zip(image_parts, label_parts, strict=True)
        for part in first_parts:
            self.adversarial_step(*part, players=("discriminator",))
        self.adversarial_step(*last_part)
        return self.results()

    def statistics(self):
        """Return what batch norms have counted, in the networks and in the average."""
        found = self.generator.non_trainable_variables + self.discriminator.non_trainable_variables
        if self.averaged_generator is not None:
            pairs = zip(self.averaged_generator.variables, self.generator.variables, strict=True)
            found += [mean for mean, variable in pairs if not variable.trainable]
        return [variable for variable in found if "float" in variable.dtype]

    def conditioned(self, inputs, labels):
        """Return what a network is called with: here the inputs alone, in a conditional GAN also the labels.

        Args:
            inputs: latents or images of a batch.
            labels: their labels (batch,), or None.
        """
        return inputs

    def adversarial_step(self, real_images, labels=None, *, players=PLAYERS):
        """Update the given players from one forward pass; no weight or statistic of another one moves.

        Args:
            real_images: batch of float images in [-1, 1].
            labels: their labels (batch,), or None; see `conditioned`.
            players: "discriminator", "generator" or both.

        Raises:
            ValueError: no player, or an unknown one.
        """
        if not players or set(players) - set(PLAYERS):
            raise ValueError(f"players={players!r}: choose from {', '.join(PLAYERS)}")
        generator = self.generator if "generator" in players else _untouched(self.generator)
        discriminator = self.discriminator if "discriminator" in players else _untouched(self.discriminator)
        latents = self.draw_latents(ops.shape(real_images)[0])
        with tf.GradientTape(persistent=True) as tape:
            fake_images = generator(self.conditioned(latents, labels), training=True)
            # Two passes, not one over both kinds: a batch norm must not mix real and generated statistics.
            real_logits = discriminator(self.conditioned(real_images, labels), training=True)
            fake_logits = discriminator(self.conditioned(fake_images, labels), training=True)
            discriminator_loss = self.adversarial_loss.discriminator(real_logits, fake_logits)
            generator_loss = self.adversarial_loss.generator(fake_logits)
            scaled_discriminator_loss = self.scaled_loss(self.discriminator_optimizer, discriminator_loss)
            scaled_generator_loss = self.scaled_loss(self.generator_optimizer, generator_loss)
        if "discriminator" in players:
            variables = self.discriminator.trainable_weights
            gradients = tape.gradient(scaled_discriminator_loss, variables)
            if self.penalty is not None:
                gradients = self._with_penalty(gradients, real_images, fake_images, labels)
            self.take_step(self.discriminator_optimizer, gradients, variables)
            self.discriminator_loss_mean.update_state(discriminator_loss)
            self.real_accuracy.update_state(ops.cast(real_logits > 0, "float32"))
            self.fake_accuracy.update_state(ops.cast(fake_logits < 0, "float32"))
        if "generator" in players:
            variables = self.generator.trainable_weights
            gradients = tape.gradient(scaled_generator_loss, variables)
            self.take_step(self.generator_optimizer, gradients, variables)
            self.generator_loss_mean.update_state(generator_loss)
            self._update_average()

    def _with_penalty(self, gradients, real_images, fake_images, labels):
        """Add the penalty's gradients to the discriminator's where it is due, and take one step for both."""
        variables = self.discriminator.trainable_weights
        # Those of a table of class vectors come as rows and their numbers, which cannot be added.
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]

        def discriminate(images):
            return self.discriminator(self.conditioned(images, labels), training=True)

        def penalised():
            with tf.GradientTape() as tape:
                penalty = self.penalty_every * self.penalty(discriminate, real_images, fake_images)
                scaled_penalty = self.scaled_loss(self.discriminator_optimizer, penalty)
            added = tape.gradient(scaled_penalty, variables)
            # Some weights, such as the last bias, do not change the slopes: they have no gradient.
            return [
                g if more is None else g + tf.convert_to_tensor(more) for g, more in zip(gradients, added, strict=True)
            ]

        due = self.discriminator_optimizer.iterations % self.penalty_every == 0
        return tf.cond(due, penalised, lambda: gradients)

    def _parts(self, batch):
        batch_size = batch.shape[0]
        if batch_size is not None and batch_size % self.discriminator_steps:
            raise ValueError(
                f"a batch of {batch_size} images cannot be cut into {self.discriminator_steps} equal parts; choose "
                "a batch size that discriminator_steps divides"
            )
        return tf.split(batch, self.discriminator_steps)

    def _update_average(self):
        if self.averaged_generator is None:
            return
        for mean, weight in zip(self.averaged_generator.weights, self.generator.weights, strict=True):
            mean.assign(self.average * mean + (1.0 - self.average) * weight)


class ConditionalGAN(GAN):
    """A GAN whose two networks are told the class of each image (Mirza and Osindero 2014).

    Trained on pairs of images and labels. The generated images of a step have the labels of its real
    ones: the classes come as often as in the data, and the discriminator cannot tell the two kinds apart
    by their labels. Calling the model on [latents, labels] gives images.

    Args:
        generator: built keras.Model from [latents (n, latent_dim), labels (n,)] to images in [-1, 1].
        discriminator: built keras.Model from [images, labels (n,)] to logits (n, 1).
        **kwargs: as in `GAN`.

    Raises:
        ValueError: as in `GAN`, or a network without a second input.
    """

    def __init__(self, generator, discriminator, **kwargs):
        for network in (generator, discriminator):
            if len(network.inputs) != 2:
                raise ValueError(f"{network.name} has {len(network.inputs)} input(s); give it a second one for labels")
        super().__init__(generator, discriminator, **kwargs)

    def conditioned(self, inputs, labels):
        """Return [inputs, labels].

        Raises:
            ValueError: no labels.
        """
        if labels is None:
            raise ValueError("a conditional GAN needs labels: give pairs, such as data.pipeline(images, labels, ...)")
        return [inputs, labels]

    def call(self, inputs, training=False):
        """Return images in [-1, 1] for [latents (n, latent_dim), labels (n,)]."""
        return super().call([ops.convert_to_tensor(value) for value in inputs], training=training)


def prepare_optimizer(optimizer, network):
    """Return a network's optimizer with its variables built, ready for `AdversarialModel.take_step`.

    It scales the loss where float16 would lose small gradients. It does not add up gradients over replicas any
    more: `take_step` does. Keras' own sum, even over one replica, would let TensorFlow keep the graph for good,
    and with it all weights and moments (tensorflow/tensorflow#97697): 35 MB for each GAN that a lesson trains.
    """
    getattr(optimizer, "inner_optimizer", optimizer)._all_reduce_sum_gradients = list
    computes_in_float16 = any(layer.compute_dtype == "float16" for layer in network.layers)
    if computes_in_float16 and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(network.trainable_variables)
    return optimizer


def describe_optimizer(optimizer):
    """Return an optimizer as a dict of numbers and words that JSON can hold: its rate, and what is not a default.

    Of one that scales the loss for float16 it is the optimizer inside. What has Keras' own default is left out,
    so that a release with one setting more describes the same optimizer in the same way.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    config, usual = optimizer.get_config(), type(optimizer)().get_config()
    chosen = {name: value for name, value in config.items() if name == "learning_rate" or value != usual.get(name)}
    chosen.pop("name")
    # A rate is stored in float32; what was given has fewer digits.
    chosen = {name: round(value, 9) if isinstance(value, float) else value for name, value in chosen.items()}
    return {"optimizer": type(optimizer).__name__, **json.loads(json.dumps(chosen, default=str))}


def _untouched(network):
    """Return a function that runs a network in training mode but leaves all its state as it was.

    A layer in training mode changes more than its gradients do: batch norms update their statistics and
    dropout its random state. Calling the network as a function of its state keeps the new state out.
    """

    def run(inputs, training):
        outputs, _ = network.stateless_call(
            [variable.value for variable in network.trainable_variables],
            [variable.value for variable in network.non_trainable_variables],
            inputs,
            training=training,
        )
        return outputs

    return run
