"""Checks that guard a run: unsuitable callbacks, players and networks, invalid batches, and NaN."""

import contextlib
import re

import keras
import numpy as np
import tensorflow as tf

LOOK_EVERY = 10  # steps between checks of the losses
_MARK = "<<>>"  # around the message of an assertion, to find it in TensorFlow's
_SCHEDULES = "give each optimizer a schedule of keras.optimizers.schedules as learning rate"
# Keras callbacks that save a model as one file, or that change its only optimizer.
_NOT_HERE = {
    keras.callbacks.BackupAndRestore: "give a backup: fit(..., backup=callbacks.Backup('build/run'))",
    keras.callbacks.SwapEMAWeights: "GAN(..., average=0.99) keeps an average",
    keras.callbacks.LearningRateScheduler: _SCHEDULES,
    keras.callbacks.ReduceLROnPlateau: _SCHEDULES,
}


def check_callbacks(callbacks):
    """Raise a ValueError for anything but a callback, and for callbacks that do not work with several players."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.CallbackList):
            check_callbacks(callback.callbacks)
            continue
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(f"{callback!r} is not a callback; give instances, such as callbacks.Progress()")
        if hasattr(callback, "prepare"):
            raise ValueError("pass a backup as fit(..., backup=backup), not among the callbacks")
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
    """Turn a failed assertion in a graph into a ValueError with its message, after calling `restore`."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if found := re.search(f"{_MARK}(.*?){_MARK}", str(error), re.DOTALL):
            restore()
            raise ValueError(found[1]) from None
        raise


def checked(values, holds, text):
    """Return values with an assertion attached that `holds` is true everywhere; otherwise `fit` raises `text`."""
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(holds), [f"{_MARK}{text}{_MARK}"])]):
        return tf.identity(values)


def _rate(optimizer):
    """Return an optimizer's learning rate if it is a number, or else 0."""
    try:
        rate = optimizer.get_config()["learning_rate"]
    except (AttributeError, KeyError, NotImplementedError):  # a name, or a schedule of one's own
        return 0.0
    return rate if isinstance(rate, (int, float)) else 0.0


def check_players(networks, optimizers):
    """Raise a ValueError unless each player has its own trainable weights and its own optimizer."""
    if set(optimizers) != set(networks):
        raise ValueError(f"optimizers for {', '.join(optimizers)}; give one for each of {', '.join(networks)}")
    for player, given in optimizers.items():
        if not isinstance(given, (str, keras.optimizers.Optimizer)):
            raise ValueError(f"{player}: {given!r} is not an optimizer; give one such as keras.optimizers.Adam(1e-3)")
        if (rate := _rate(given)) < 0:
            raise ValueError(f"{player}: a learning rate of {rate:g} would make its loss larger; give one above 0")
        if not networks[player].trainable_weights:
            raise ValueError(f"the {player} has no weights to train; set its `trainable` to True")
        if sum(given is other for other in optimizers.values()) > 1 and not isinstance(given, str):
            raise ValueError("give each network its own optimizer: its moments belong to the network's weights")
    owners = {}
    for player, network in networks.items():
        for variable in network.trainable_variables:
            if owners.setdefault(id(variable), player) != player:
                raise ValueError(f"two players train {variable.path}; give each player its own layers")


# Layers and operations that keep the range of their input.
_UNCHANGED = ("linear", "reshape", "flatten", "dropout", "inputlayer", "identity", "squeeze", "expanddims", "cast")
_UNCHANGED += ("globalaveragepooling2d", "averagepooling2d", "mean")
_GRID = np.linspace(-1000, 1000, 2001, dtype="float32")[:, None]


def check_discriminator(network):
    """Raise a ValueError for a discriminator whose output does not cover all logits, from -∞ to ∞."""
    _check_inputs(network, "discriminator")
    name, values = _end(network)
    if values.max() < 10 or values.min() > -5:
        raise ValueError(
            f"the discriminator ends in a {name}, but losses take logits, which range from -∞ to ∞; remove the "
            "activation of its last layer"
        )


def check_generator(network):
    """Raise a ValueError for a generator whose output is never negative, so that it lacks half of [-1, 1]."""
    _check_inputs(network, "generator")
    name, values = _end(network)
    if values.min() >= 0:
        raise ValueError(
            f"the generator ends in a {name}, but images range from -1 to 1; use tanh in its last layer, or none"
        )


def check_output(values, player):
    """Raise a ValueError for several tensors instead of one tensor of images or logits."""
    if not hasattr(values, "shape"):
        raise ValueError(f"the {player} has several outputs; give it one, or override `generate` or `discriminate`")


def _check_inputs(network, player):
    if not isinstance(network, keras.Model) or not hasattr(network, "inputs"):
        raise ValueError(f"the {player} has no inputs yet; wrap it: x = keras.Input(...), keras.Model(x, network(x))")


def _end(network):
    """Return the name of a network's last activation, and its values for inputs from -1000 to 1000."""
    if len(network.outputs) != 1:
        return "", _GRID
    for last in reversed(getattr(network, "operations", network.layers)):  # `operations` includes `ops.sigmoid`
        if isinstance(last, keras.Model):
            return _end(last)
        end = getattr(last, "activation", last)
        name = getattr(end, "__name__", type(last).__name__).lower()
        has_weights = bool(getattr(last, "weights", ()))
        if has_weights or name not in _UNCHANGED:
            try:  # the range of a layer with weights and without an activation, such as batch norm, is not known
                return name, _GRID if has_weights and end is last else np.asarray(end(tf.constant(_GRID)))
            except Exception:  # it takes several arrays, or other shapes
                return name, _GRID
    return "", _GRID


def _as_array(variable):
    return variable.value.numpy()


def is_finite(values):
    """Return whether no array of `values` holds NaN or infinity."""
    return all(np.isfinite(value).all() for value in map(np.asarray, values) if value.dtype.kind == "f")


class LastGoodState(keras.callbacks.Callback):
    """Stop training at NaN or infinity, and restore the state at the beginning of the epoch.

    It checks the losses every `LOOK_EVERY` steps, and at the end of an epoch also the weights. `fit` runs it before
    all other callbacks.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._looked, self._step = epoch, 0, 0
        if not self.keep():
            raise ValueError(
                "the model's weights or its optimizers' rates are NaN or infinite before the first step; build it again"
            )

    def on_train_batch_end(self, batch, logs=None):
        self._step = batch + 1
        is_last = batch + 1 == self.params["steps"]
        if is_last or batch // LOOK_EVERY != self._looked:
            self._looked = batch // LOOK_EVERY
            self._look(logs, is_last)

    def on_epoch_end(self, epoch, logs=None):
        if self.params["steps"] is None:  # the last step was not known before
            self._look(logs, True)

    def keep(self):
        """Remember the state as it is now where all of it is finite, and return whether it is."""
        state = list(map(_as_array, self.model.state()))
        if good := is_finite(state):
            self._state, self._kept = state, self._step
        return good

    def restore(self):
        """Restore all variables to the state kept last, commonly that of the beginning of the epoch."""
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
            where = f"after epoch {self._epoch}" if self._epoch else "before training"
            where = f"after its step {self._kept}" if self._kept else where
            print(
                f"Training stopped in epoch {self._epoch + 1}, step {self._step}: NaN or infinite values in "
                f"{', '.join(bad)}. The weights are restored to those {where}. A common cause is a learning rate that "
                "is too high."
            )
        return not bad
