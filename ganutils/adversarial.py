"""What all families of models with several players share: one training step, and what a backup must know."""

import inspect
import numbers
import threading

import keras
import tensorflow as tf

from ganutils import fitting, guards, keras_workarounds, losses, penalties, strategies, validation


class AdversarialModel(fitting.CheckedFit, keras.Model):
    """Networks by name, the *players*, each of which minimises a loss of its own by its own weights.

    A family gives its networks to the constructor, and overrides `losses`. The rest is here: the step, optimizers
    by the same names, loss scaling, replicas, metrics, averages of weights, penalties, and `fit` with a backup::

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

    What a step draws at random goes through `draw`; further quantities of interest are handed to `record`, under
    names that are listed in the class's `measures`. A backup knows all arguments of the constructor.

    Args:
        networks: dict from a player's name to its built keras.Model. Players are updated in this order.
        averages: dict from a player to the decay in [0, 1) of an exponential moving average of all of its
            weights, batch-norm statistics included (Yazıcı et al. 2019), kept in `averaged`; None for none.
        seed: of the random numbers that a step draws.

    Raises:
        ValueError: a network that is not built, one network for two players, or a decay out of range.
    """

    measures = ()

    def __new__(cls, *args, **kwargs):
        """Remember what the constructor was given, for `settings`, so that no family has to say it again."""
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
            raise ValueError(f"{', '.join(networks)} share a network; give each player one of its own")
        self.networks, self.averages, self.averaged = dict(networks), dict(averages or {}), {}
        for player, decay in self.averages.items():
            if player not in networks or not (isinstance(decay, numbers.Real) and 0 <= decay < 1):
                raise ValueError(f"an average of {player!r} with decay {decay!r}: give a player, and from 0 to below 1")
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
            optimizers: dict from each player's name to a keras optimizer of its own, or the name of one.
            loss: name of a loss in `ganutils.losses`, or an `AdversarialLoss`.
            **kwargs: passed to `keras.Model.compile`, such as `steps_per_execution`.

        Raises:
            ValueError: an unknown loss, other players, what is no optimizer, or a player without weights to train.
        """
        guards.check_players(self.networks, optimizers)
        if given := [name for name in ("metrics", "weighted_metrics", "loss_weights") if kwargs.get(name)]:
            raise ValueError(f"{', '.join(given)}: a family names what is measured itself, in `measures`; leave it out")
        steps = validation.whole_number(kwargs.pop("steps_per_execution", 1), "steps_per_execution", 1)
        self.adversarial_loss = losses.get(loss)
        super().compile(optimizer=None, steps_per_execution=steps, **kwargs)
        prepare = keras_workarounds.prepare_optimizer
        self.optimizers = {name: prepare(optimizers[name], network) for name, network in self.networks.items()}

    # What a family says.

    def losses(self, batch):
        """Return a dict from each player to the scalar that it minimises. To be overridden.

        Args:
            batch: what the dataset holds; bytes of images have become float32 in [-1, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} has no method `losses`")

    def turns(self, batch):
        """Return pairs of a batch and the players that it updates, one for each update of a step."""
        return [(batch, tuple(self.networks))]

    def draw_samples(self, inputs):
        """Return the images that `callbacks.Samples` keeps; here what the model gives when it is called."""
        return self(inputs, training=False)

    # What a family may call in `losses`.

    def run(self, player, inputs):
        """Return a network's output, in a step in training mode; its state changes only at the player's turn.

        Outside of a step, where images are drawn, it is the output for inference, of the average where there is one.
        """
        network = self.networks[player]
        if not self._step.players:
            return self.averaged.get(player, network)(inputs, training=False)
        if player in self._step.players:
            outputs = network(inputs, training=True)
            for part in tf.nest.flatten(outputs) if self._step.watch else ():
                self._step.watch(player, part)
            return outputs
        # A layer in training mode changes more than its gradients do: batch norms update their statistics and
        # dropout its random state. Calling the network as a function of its state keeps the new state out.
        kinds = network.trainable_variables, network.non_trainable_variables
        state = [[variable.value for variable in kind] for kind in kinds]
        return network.stateless_call(*state, inputs, training=True)[0]

    def draw(self, function, n):
        """Return `function(n)`, n random rows, such that no two replicas draw the same."""
        return strategies.share_of_draw(function, n)

    def add_penalty(self, player, penalty, *arguments):
        """Charge a player for `penalty(*arguments)`, once in `penalty.every` steps (or in each); None is nothing."""
        if penalty is not None and player in self._step.players:
            self._step.penalties.append((player, penalty, arguments))

    def record(self, **values):
        """Add values to the means that `fit` reports, by names of `measures`."""
        for name, value in values.items():
            if name not in self.means:
                raise ValueError(f"{name!r} is not among the measures of {type(self).__name__}; add it to `measures`")
            self.means[name].update_state(value)
            self._step.recorded[name] = self.means[name]

    def train_step(self, batch):
        """Take the steps of all `turns`, and return the means since the start of the epoch."""
        self._step.recorded = {}
        for part, players in self.turns(fitting.prepared(batch)):
            self.adversarial_step(part, players)
        strategies.average_over_replicas(self.statistics())
        return self._results()

    def adversarial_step(self, batch, players=None):
        """Update players from one forward pass; no weight or statistic of another one moves.

        Args:
            batch: what `losses` takes, images as floats in [-1, 1].
            players: names of those to update; None updates all.

        Raises:
            ValueError: an unknown player, losses of other players, or a penalty that misses a kernel.
        """
        players = tuple(self.networks) if players is None else players
        if not players or set(players) - set(self.networks):
            raise ValueError(f"players={players!r}: choose from {', '.join(self.networks)}")
        self._step.players, self._step.penalties = players, []
        try:
            with tf.GradientTape(persistent=True) as tape:
                found = self.losses(batch)
                if set(found) != set(self.networks):
                    raise ValueError(f"losses of {', '.join(found)}; return one for each of {', '.join(self.networks)}")
                # The network's own losses are what regularisers of its weights add.
                found = {name: penalties.scalar(loss, f"the loss of the {name}") for name, loss in found.items()}
                totals = {name: sum(net.losses, found[name]) for name, net in self.networks.items() if name in players}
            for player, total in totals.items():
                self._update(tape, player, total)
        finally:
            self._step.players = ()

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

    def _update(self, tape, player, loss):
        network, optimizer = self.networks[player], self.optimizers[player]
        weights = network.trainable_weights
        gradients = tape.gradient(loss, weights, output_gradients=penalties.factor(optimizer, loss))
        if all(gradient is None for gradient in gradients):
            raise ValueError(f"the loss of the {player} does not depend on its weights")
        for charged, penalty, arguments in self._step.penalties:
            if charged == player:
                gradients = penalties.add_to(gradients, network, optimizer, penalty, arguments)
        self.take_step(optimizer, gradients, weights)
        self.record(**{f"{player}_loss": loss})
        if player in self.averaged:
            decay = self.averages[player]
            for mean, weight in zip(self.averaged[player].weights, network.weights, strict=True):
                mean.assign(decay * mean + (1.0 - decay) * weight)

    def take_step(self, optimizer, gradients, variables):
        """Add up the gradients of all replicas and move the variables by them; None moves nothing."""
        optimizer.apply_gradients(zip(strategies.sum_over_replicas(gradients), variables, strict=True))

    def statistics(self):
        """Return the variables that a step moves without an optimizer, and otherwise on each replica."""
        found = [variable for network in self.networks.values() for variable in network.non_trainable_variables]
        for player, averaged in self.averaged.items():
            pairs = zip(averaged.variables, self.networks[player].variables, strict=True)
            found += [mean for mean, variable in pairs if not variable.trainable]
        return [variable for variable in found if "float" in variable.dtype]

    def test_step(self, batch):
        """Return the means of what `validate` says of the batches so far."""
        self._check_validation()
        self._step.recorded = {}
        self.record(**self.validate(fitting.prepared(batch)))
        return self._results()

    def _results(self):
        return {name: strategies.reducible(mean.result()) for name, mean in self._step.recorded.items()}

    @property
    def metrics(self):
        """A mean for each player's loss and for each of `measures`; without Keras' own `loss`, which stays zero."""
        return list(self.means.values())

    def settings(self):
        """Return what the constructor and `compile` were given, as it is now, but for players and optimizers."""
        given = {name: getattr(self, name, value) for name, value in self._given.items() if name != "name"}
        given |= {name: self._given[name] for name, now in given.items() if isinstance(now, keras.Variable)}  # moves
        players = {id(network) for network in self.networks.values()}
        # A value that is nothing but players, alone or in a dict or list, is compared as `networks`.
        given = {name: x for name, x in given.items() if not (ids := set(map(id, tf.nest.flatten(x)))) or ids - players}
        return given | {"averages": self.averages, "loss": self.adversarial_loss}


class _Step(threading.local):
    """The step under way: who is updated, which penalties were asked for, which means were recorded, who watches.

    TensorFlow runs each replica in a thread of its own, and changes between them in the middle of a step.
    """

    def __init__(self):
        self.players, self.penalties, self.recorded, self.watch = (), [], {}, None
