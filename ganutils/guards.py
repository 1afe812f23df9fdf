"""What watches over a run: callbacks that would harm it, batches that cannot be, and NaN."""

import contextlib
import re

import keras
import numpy as np
import tensorflow as tf

LOOK_EVERY = 10  # steps at the losses
_MARK = "<<>>"  # around what an assertion says, to find it in what TensorFlow makes of it
_SCHEDULES = "give each optimizer a rate of keras.optimizers.schedules"
# Keras' callbacks that save a model as one file, or that change its one optimizer: here are several.
_NOT_HERE = {
    keras.callbacks.BackupAndRestore: "give a backup: fit(..., backup=callbacks.Backup('build/run'))",
    keras.callbacks.SwapEMAWeights: "GAN(..., average=0.99) keeps an average",
    keras.callbacks.LearningRateScheduler: _SCHEDULES,
    keras.callbacks.ReduceLROnPlateau: _SCHEDULES,
}


def check_callbacks(callbacks):
    """Raise a ValueError for what is no callback, and for one that a model with several players cannot have."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.CallbackList):
            check_callbacks(callback.callbacks)
            continue
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(f"{callback!r} is no callback; give instances, such as callbacks.Progress()")
        if hasattr(callback, "prepare"):
            raise ValueError("give a backup to fit as fit(..., backup=backup), and not among the callbacks")
        for kind, advice in _NOT_HERE.items():
            if isinstance(callback, kind):
                raise ValueError(f"{type(callback).__name__} is for a model with one optimizer; {advice}")
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and not callback.save_weights_only:
            raise ValueError(
                "ModelCheckpoint cannot save a model with several players as one file; give it "
                "save_weights_only=True and a path that ends in .weights.h5"
            )


@contextlib.contextmanager
def errors_in_words(restore=lambda: None):
    """Turn what an assertion within a graph says into a ValueError, and undo what was trained since `restore` can."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if found := re.search(f"{_MARK}(.*?){_MARK}", str(error), re.DOTALL):
            restore()
            raise ValueError(found[1]) from None
        raise


def checked(values, holds, text):
    """Return values that nothing may use before it is known that all of `holds` is true; else `fit` says `text`."""
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(holds), [f"{_MARK}{text}{_MARK}"])]):
        return tf.identity(values)


def check_players(networks, optimizers):
    """Raise a ValueError unless each player has weights of its own to train, and an optimizer of its own."""
    if set(optimizers) != set(networks):
        raise ValueError(f"optimizers for {', '.join(optimizers)}; give one to each of {', '.join(networks)}")
    for player, given in optimizers.items():
        if not isinstance(given, (str, keras.optimizers.Optimizer)):
            raise ValueError(f"{player}: {given!r} is no optimizer; give one such as keras.optimizers.Adam(1e-3)")
        if not networks[player].trainable_weights:
            raise ValueError(f"the {player} has no weights to train; set its `trainable` to True")
        if sum(given is other for other in optimizers.values()) > 1 and not isinstance(given, str):
            raise ValueError("give each network an optimizer of its own: its moments belong to its weights")
    owners = {}
    for player, network in networks.items():
        for variable in network.trainable_variables:
            if owners.setdefault(id(variable), player) != player:
                raise ValueError(f"two players train {variable.path}; give each layers of its own")


# Layers and operations that leave values as they are.
_UNCHANGED = ("linear", "reshape", "flatten", "dropout", "inputlayer", "identity", "squeeze", "expanddims", "cast")
_UNCHANGED += ("globalaveragepooling2d", "averagepooling2d", "mean")
_GRID = np.linspace(-1000, 1000, 2001, dtype="float32")[:, None]


def check_discriminator(network):
    """Raise a ValueError for a network that cannot end in any logit, from -∞ to ∞."""
    _check_inputs(network, "discriminator")
    name, values = _end(network)
    if values.max() < 10 or values.min() > -5:
        raise ValueError(
            f"the discriminator ends in a {name}, and losses take logits, which go from -∞ to ∞; let its last "
            "layer have no activation"
        )


def check_generator(network):
    """Raise a ValueError for a network that cannot draw what is darker than grey."""
    _check_inputs(network, "generator")
    name, values = _end(network)
    if values.min() >= 0:
        raise ValueError(
            f"the generator ends in a {name}, and images go from -1 to 1; let its last layer have tanh, or none"
        )


def check_output(values, player):
    """Raise a ValueError for several tensors where images or logits are meant."""
    if not hasattr(values, "shape"):
        raise ValueError(f"the {player} has several outputs; give it one, or override `generate` or `discriminate`")


def _check_inputs(network, player):
    if not isinstance(network, keras.Model) or not hasattr(network, "inputs"):
        raise ValueError(f"the {player} does not say what it takes; wrap it: keras.Model(x, network(x))")


def _end(network):
    """Return the name of what a network ends in, and what this makes of numbers from -1000 to 1000."""
    if len(network.outputs) != 1:
        return "", _GRID
    for last in reversed(getattr(network, "operations", network.layers)):  # the former holds `ops.sigmoid`, too
        if isinstance(last, keras.Model):
            return _end(last)
        end = getattr(last, "activation", last)
        name = getattr(end, "__name__", type(last).__name__).lower()
        has_weights = bool(getattr(last, "weights", ()))
        if has_weights or name not in _UNCHANGED:
            try:  # of a layer with weights and without an activation, such as a batch norm, nothing is known
                return name, _GRID if has_weights and end is last else np.asarray(end(tf.constant(_GRID)))
            except Exception:  # what takes several arrays, or others
                return name, _GRID
    return "", _GRID


def _as_array(variable):
    return variable.value.numpy()


def is_finite(values):
    """Return whether no array of `values` holds NaN or infinity."""
    return all(np.isfinite(value).all() for value in map(np.asarray, values) if value.dtype.kind == "f")


class LastGoodState(keras.callbacks.Callback):
    """Stop training at NaN or infinity, with the state at the beginning of its epoch. `fit` puts it before all others.

    It looks at the losses every `LOOK_EVERY` steps, and at the end of an epoch at the weights, too.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._looked, self._step = epoch, 0, 0
        if not self.keep():
            raise ValueError(
                "the model's weights or its optimizers' rates are NaN or infinite before the first step; make them anew"
            )

    def on_train_batch_end(self, batch, logs=None):
        self._step = batch + 1
        is_last = batch + 1 == self.params["steps"]
        if is_last or batch // LOOK_EVERY != self._looked:
            self._looked = batch // LOOK_EVERY
            self._look(logs, is_last)

    def on_epoch_end(self, epoch, logs=None):
        if self.params["steps"] is None:  # only now it is known which step was the last
            self._look(logs, True)

    def keep(self):
        """Remember the state as it is now where all of it is finite, and return whether it is."""
        state = list(map(_as_array, self.model.state()))
        if good := is_finite(state):
            self._state, self._kept = state, self._step
        return good

    def restore(self):
        """Put everything back to the state that was kept last, commonly the beginning of the epoch."""
        for variable, value in zip(self.model.state(), self._state, strict=True):
            variable.assign(value)

    def _look(self, logs, at_weights):
        """Return whether all is finite; where not, restore what was kept, and stop. Good weights are kept."""
        bad = [name.replace("_", " ") for name, value in (logs or {}).items() if not np.isfinite(float(value))]
        if not bad and at_weights and not self.keep():
            bad = ["weights"]
        if bad:
            self.restore()
            self.model.stop_training = True
            where = f"of the end of epoch {self._epoch}" if self._epoch else "from before the training"
            where = f"of its step {self._kept}" if self._kept else where
            print(
                f"Training stops in epoch {self._epoch + 1}, step {self._step}: NaN or infinite are {', '.join(bad)}. "
                f"The weights are those {where}. Commonly a learning rate is too high."
            )
        return not bad
