"""What all adversarial models share: the training step, and the settings that a backup compares."""

import inspect
import numbers
import threading

import keras
import tensorflow as tf

from ganutils import fitting, guards, keras_workarounds, losses, penalties, strategies, validation


class AdversarialModel(fitting.CheckedFit, keras.Model):
    """Named networks, the *players*, each of which minimises its own loss with respect to its own weights.

    A subclass passes its networks to the constructor and overrides `losses`. This class supplies the training step,
    optimizers, loss scaling, replicas, metrics, weight averages, penalties, and `fit` with a backup::

        class LeastSquaresGAN(AdversarialModel):
            def __init__(self, generator, discriminator, target=1.0):
                super().__init__({"discriminator": discriminator, "generator": generator})
                self.target = target

            def losses(self, real_images):
                n = ops.shape(real_images)[0]
                latents = self.draw(lambda n: keras.random.normal((n, 5), seed=self.seed_generator), n)
                fake_logits = self.run("discriminator", self.run("generator", latents))
                real_logits = self.run("discriminator", real_images)
                judged = ops.mean((real_logits - self.target) ** 2) + ops.mean(fake_logits**2)
                return {"discriminator": judged, "generator": ops.mean((fake_logits - self.target) ** 2)}

            def call(self, latents, training=False):
                return self.run("generator", latents)

        gan = LeastSquaresGAN(generator, discriminator)
        gan.compile({"discriminator": keras.optimizers.Adam(1e-3), "generator": keras.optimizers.Adam(1e-3)})

    A step draws its random numbers through `draw`. Further quantities are passed to `record`, under names listed in
    the class attribute `measures`. A backup compares all arguments of the constructor.

    Args:
        networks: dict from a player's name to its built keras.Model. Players are updated in this order.
        averages: dict from a player to the decay, in [0, 1), of an exponential moving average of all its weights,
            batch-norm statistics included (Yazıcı et al. 2019), kept in `averaged`; None for no averages.
        seed: seed of the random numbers that a step draws.

    Raises:
        ValueError: a network is not built or serves two players, or a decay is out of range.
    """

    measures = ()

    def __new__(cls, *args, **kwargs):
        """Remember the constructor's arguments for `settings`."""
        model = super().__new__(cls, *args, **kwargs)
        given = inspect.signature(cls.__init__).bind(model, *args, **kwargs)
        given.apply_defaults()
        _, *named = given.arguments.items()
        model.__dict__["_given"] = {name: value for name, value in named if name != "kwargs"} | given.kwargs
        return model

    def __init__(self, networks, *, averages=None, seed=0, name=None):
        super().__init__(name=name)
        for player, network in networks.items():
            if not isinstance(network, keras.Model) or not network.built:
                raise ValueError(f"the {player} is not a built keras.Model; begin it with keras.Input")
        if len({id(network) for network in networks.values()}) < len(networks):
            raise ValueError(f"{', '.join(networks)} share a network; give each player its own")
        self.networks, self.averages, self.averaged = dict(networks), dict(averages or {}), {}
        for player, decay in self.averages.items():
            if player not in networks or not (isinstance(decay, numbers.Real) and 0 <= decay < 1):
                raise ValueError(f"average of {player!r} with decay {decay!r}: give a player, and 0 <= decay < 1")
            self.averages[player] = float(decay)
            self.averaged[player] = keras.models.clone_model(networks[player])
            self.averaged[player].set_weights(networks[player].get_weights())
            self.averaged[player].trainable = False
        self.optimizers = {}
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._first_draw = self.seed_generator.state.numpy()
        names = [*(f"{player}_loss" for player in networks), *self.measures]
        self.means = {name: keras.metrics.Mean(name) for name in names}
        self._step = _Step()
        self.built = True

    def compile(self, optimizers, loss="non_saturating", **kwargs):
        """Choose the optimizers and the adversarial loss.

        Args:
            optimizers: dict from each player's name to its own Keras optimizer, or the name of one.
            loss: name of a loss in `ganutils.losses`, or an `AdversarialLoss`.
            **kwargs: passed to `keras.Model.compile`, such as `steps_per_execution`.

        Raises:
            ValueError: an unknown loss or player, not an optimizer, or a player without trainable weights.
        """
        guards.check_players(self.networks, optimizers)
        if given := [name for name in ("metrics", "weighted_metrics", "loss_weights") if kwargs.get(name)]:
            raise ValueError(f"{', '.join(given)}: the model lists its own metrics in `measures`; leave this out")
        steps = validation.whole_number(kwargs.pop("steps_per_execution", 1), "steps_per_execution", 1)
        self.adversarial_loss = losses.get(loss)
        super().compile(optimizer=None, steps_per_execution=steps, **kwargs)
        prepare = keras_workarounds.prepare_optimizer
        self.optimizers = {name: prepare(optimizers[name], network) for name, network in self.networks.items()}

    # To be overridden.

    def losses(self, batch):
        """Return a dict from each player to the scalar that it minimises. Must be overridden.

        Args:
            batch: a batch of the dataset, uint8 images already scaled to float32 in [-1, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} has no method `losses`")

    def turns(self, batch):
        """Return pairs of a batch and the players that it updates, one pair for each update of a step."""
        return [(batch, tuple(self.networks))]

    def draw_samples(self, inputs):
        """Return the images that `callbacks.Samples` keeps; by default the model's output for the inputs."""
        return self(inputs, training=False)

    def stage(self):
        """Return a number that changes where the training goes on with other parts of the networks; here always 0."""
        return 0

    # To be called in `losses`.

    def run(self, player, inputs):
        """Return a network's output: in training mode during a step, changing its state only at the player's turn.

        Outside a step it is the inference output, of the averaged network if there is one.
        """
        network = self.networks[player]
        if not self._step.players:
            return self.part(self.averaged.get(player, network))(inputs, training=False)
        network = self.part(network)
        if player in self._step.players:
            outputs = network(inputs, training=True)
            for part in tf.nest.flatten(outputs) if self._step.watch else ():
                self._step.watch(player, part)
            return outputs
        # In training mode, batch norms update their statistics and dropout its random state. Calling the network as a
        # function of its state discards these updates.
        kinds = network.trainable_variables, network.non_trainable_variables
        state = [[variable.value for variable in kind] for kind in kinds]
        return network.stateless_call(*state, inputs, training=True)[0]

    def part(self, network):
        """Return the part of a network that `run` calls; by default all of it."""
        return network

    def draw(self, function, n):
        """Return `function(n)`, n random rows, such that no two replicas draw the same ones."""
        return strategies.share_of_draw(function, n)

    def add_penalty(self, player, penalty, *arguments):
        """Add `penalty(*arguments)` to a player's loss once in `penalty.every` steps (default 1); None adds nothing."""
        if penalty is not None and player in self._step.players:
            self._step.penalties.append((player, penalty, arguments))

    def record(self, **values):
        """Update the means that `fit` reports; the names are those in `measures`."""
        for name, value in values.items():
            if name not in self.means:
                raise ValueError(f"{name!r} is not among the measures of {type(self).__name__}; add it to `measures`")
            self.means[name].update_state(value)
            self._step.recorded[name] = self.means[name]

    def train_step(self, batch):
        """Run an `adversarial_step` for each of `turns`, and return the means since the start of the epoch."""
        self._step.recorded = {}
        for part, players in self.turns(fitting.prepared(batch)):
            self.adversarial_step(part, players)
        strategies.average_over_replicas(self.statistics())
        return self._results()

    def adversarial_step(self, batch, players=None):
        """Update players from one forward pass; weights and statistics of the other networks stay the same.

        Args:
            batch: what `losses` takes, images as floats in [-1, 1]; outside of a graph, also as uint8.
            players: names of the players to update; None updates all.

        Raises:
            ValueError: an unknown player, a missing loss, a penalty that does not depend on a kernel, or images that
                `data.check_images` refuses.
        """
        players = tuple(self.networks) if players is None else players
        if not players or set(players) - set(self.networks):
            raise ValueError(f"players={players!r}: choose from {', '.join(self.networks)}")
        if tf.executing_eagerly():  # in a graph, `fit` has looked at the batch
            validation.check_parts(tf.nest.flatten(batch), "images")
            batch = fitting.prepared(tf.nest.map_structure(tf.convert_to_tensor, batch))
        self._step.players = players
        try:
            found = self.gradients(batch)
        finally:
            self._step.players = ()
        for player, (loss, gradients) in found.items():
            network = self.networks[player]
            self.take_step(self.optimizers[player], gradients, network.trainable_weights)
            self.record(**{f"{player}_loss": loss})
            if player in self.averaged:
                decay = self.averages[player]
                for mean, weight in zip(self.averaged[player].weights, network.weights, strict=True):
                    mean.assign(decay * mean + (1.0 - decay) * weight)

    def gradients(self, batch):
        """Return a dict from each player of the step to its loss and its gradients, tensors or None."""
        self._step.penalties = []
        with tf.GradientTape(persistent=True) as tape:
            found = self.losses(batch)
            if set(found) != set(self.networks):
                raise ValueError(f"losses of {', '.join(found)}; return one for each of {', '.join(self.networks)}")
            # `network.losses` are the terms of weight regularisers.
            found = {name: penalties.scalar(loss, f"the loss of the {name}") for name, loss in found.items()}
            playing = [name for name in self.networks if name in self._step.players]
            totals = {name: sum(self.networks[name].losses, found[name]) for name in playing}
        return {player: (total, self._gradients_of(tape, player, total)) for player, total in totals.items()}

    def probe(self, batch, watch):
        """Return all players' losses on a batch as a step would see them, always with the same draws; nothing moves.

        Args:
            batch: what `losses` takes, or with bytes for images.
            watch: function of a player and a tensor, called with each that the player's network gives.
        """
        self._step.players, self._step.penalties, self._step.watch = tuple(self.networks), [], watch
        try:
            with keras.StatelessScope([(self.seed_generator.state, self._first_draw)]):
                return self.losses(fitting.prepared(batch))
        finally:
            self._step.players, self._step.watch = (), None

    def _gradients_of(self, tape, player, loss):
        network, optimizer = self.networks[player], self.optimizers[player]
        weights = network.trainable_weights
        gradients = tape.gradient(loss, weights, output_gradients=penalties.factor(optimizer, loss))
        if all(gradient is None for gradient in gradients):
            raise ValueError(f"the loss of the {player} does not depend on its weights")
        for charged, penalty, arguments in self._step.penalties:
            if charged == player:
                gradients = penalties.add_to(gradients, network, optimizer, penalty, arguments)
        return gradients

    def take_step(self, optimizer, gradients, variables):
        """Sum the gradients (tensors or None) over all replicas and apply them to the variables."""
        optimizer.apply_gradients(zip(strategies.sum_over_replicas(gradients), variables, strict=True))

    def statistics(self):
        """Return the variables that a step updates without an optimizer, so that they may differ between replicas."""
        found = [variable for network in self.networks.values() for variable in network.non_trainable_variables]
        for player, averaged in self.averaged.items():
            pairs = zip(averaged.variables, self.networks[player].variables, strict=True)
            found += [mean for mean, variable in pairs if not variable.trainable]
        return [variable for variable in found if "float" in variable.dtype]

    def test_step(self, batch):
        """Return the means, over the batches so far, of what `validate` returns."""
        self._check_validation()
        self._step.recorded = {}
        self.record(**self.validate(fitting.prepared(batch)))
        return self._results()

    def _results(self):
        return {name: strategies.reducible(mean.result()) for name, mean in self._step.recorded.items()}

    @property
    def metrics(self):
        """A mean for each player's loss and each of `measures`; without Keras' own `loss`, which would stay zero."""
        return list(self.means.values())

    def settings(self):
        """Return the current arguments of the constructor and `compile`, except players and optimizers."""
        given = {name: getattr(self, name, value) for name, value in self._given.items() if name != "name"}
        given |= {name: self._given[name] for name, now in given.items() if isinstance(now, keras.Variable)}  # changes
        players = {id(network) for network in self.networks.values()}
        # A value that holds only players, alone or in a dict or list, is compared as `networks`.
        given = {name: x for name, x in given.items() if not (ids := set(map(id, tf.nest.flatten(x)))) or ids - players}
        return given | {"averages": self.averages, "loss": self.adversarial_loss}


class _Step(threading.local):
    """The current step: the players that it updates, their penalties, the means recorded, and who watches.

    Thread-local, because TensorFlow runs each replica in its own thread and switches between them within a step.
    """

    def __init__(self):
        self.players, self.penalties, self.recorded, self.watch = (), [], {}, None
