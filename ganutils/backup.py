"""Keep the whole state of a run in one file, and refuse it for a different run."""

import functools
import json
import os
import re
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ganutils import fingerprint, guards, strategies

STEP = "what a step computes (by its formulas, constants and layers)"


class Backup(keras.callbacks.Callback):
    """Save the complete state of a run after each epoch, so that an interrupted run can be resumed.

    Unlike Keras' BackupAndRestore it also saves the random state, the metrics recorded so far and the state of
    other callbacks, so that a resumed run ends with the same numbers as an uninterrupted one. Pass it to `fit`, which
    takes the first epoch and the order of the data from it::

        gan.fit(batches, epochs=..., callbacks=[curves, samples], backup=callbacks.Backup("build/backups/02_dcgan"))

    The file is written atomically and stays when training ends, so that a kernel that dies later does not lose the
    run; with a finished backup, `fit` trains nothing, says so, and returns the recorded history. A state is not
    written if it is not finite, if its epoch was stopped early, or if another kernel has already written a later one.

    A backup of a different run is refused: with different data, batches, order, networks, optimizers, settings or
    callbacks, or a training step that computes anything else, wherever its code is. Steps are compared only under the
    same versions of Keras and TensorFlow and on the same number of devices. The initial weights are not compared.
    Several workers must share the folder: all read the file, and the chief writes it.

    The state of a callback is saved if it has `get_state()` and `set_state(state)`, with dicts of arrays; what its
    `get_config()` returns, if it has one, must not change.

    Args:
        path: path of the file; ".npz" is added if it is missing.

    Attributes:
        epoch: number of epochs in the backup; 0 if there is none.
        advice: the sentence on what to do if the file belongs to a different run.

    Raises:
        ValueError: the file is not a backup; from `fit`, it is of a different run or has more epochs than requested.
        OSError: the disk is full; the last backup is kept.
    """

    def __init__(self, path):
        super().__init__()
        if not isinstance(path, (str, os.PathLike)) or not Path(path).name or str(path).endswith(("/", os.sep)):
            raise ValueError(f"path={path!r} is not allowed; give the path of a file, such as 'build/backups/run'")
        self.path = Path(f"{os.fspath(path).removesuffix('.npz')}.npz")
        self.advice = f"To train from scratch, delete {self.path} and build the networks again."
        self._run = None
        self.epoch = self._read().get("epoch", 0)

    def prepare(self, model, dataset, steps_per_epoch, epochs, callbacks, validation_data):
        """Compare the new run with the one in the file, and return the epoch to start from. Called by `fit`."""
        source, validation = (getattr(of, "source", None) for of in (dataset, validation_data))
        if source is None or source.seed is None:
            raise ValueError(
                "a backup needs data whose order can be repeated: give arrays, or the unchanged result of "
                "data.pipeline(images, batch_size=64, seed=0)"
            )
        for callback in callbacks:
            if isinstance(callback, keras.callbacks.EarlyStopping):
                raise ValueError("a backup cannot save the state of EarlyStopping; leave one out")
        self._keep = [callback for callback in callbacks if hasattr(callback, "get_state")]
        kept = {f"{i} {type(c).__name__}": getattr(c, "get_config", dict)() for i, c in enumerate(self._keep)}
        strategy = model.distribute_strategy
        run = {
            **fingerprint.describe(model),
            "traced by": f"TensorFlow {tf.__version__} for {strategy.num_replicas_in_sync} devices",
            "data": source.describe(),
            "global seed": tf.compat.v1.get_seed(0)[0],
            "steps_per_epoch": steps_per_epoch,
            "validation": validation.describe() if validation else fingerprint.plain(validation_data),
            "callbacks": fingerprint.plain(kept),
        }
        self._steps, self._run = steps_per_epoch, json.loads(json.dumps(run))  # as it looks when it is read
        self._saved = self._read()
        self.epoch = self._saved.get("epoch", 0)
        step = functools.partial(fingerprint.describe_step, model, dataset.element_spec)
        if self._saved:
            self._compare(strategy, self._saved["run"], epochs, step)
            return self.epoch
        self._run[STEP] = step()
        if trained := max(int(optimizer.iterations.numpy()) for optimizer in model.optimizers.values()):
            _say(f"There is no backup, and the model has already taken {trained} steps: this run continues from there.")
        return self.epoch

    def _compare(self, strategy, saved, epochs, step):
        incomparable = [name for name in ("Keras", "traced by") if saved.get(name) != self._run[name]]
        if incomparable:
            versions = f"Keras {saved.get('Keras')} and {saved.get('traced by')}"
            _say(f"The backup was made by {versions}, so the computation of a step cannot be compared.")
            incomparable += [STEP, "networks"] if "Keras" in incomparable else [STEP]
        if not strategies.is_chief(strategy):
            incomparable.append(STEP)  # each worker has its own graph
        same = {name: saved.get(name) for name in incomparable}
        # The step itself comes last: tracing it takes a second, and other differences are easier to understand.
        for described in (lambda: saved.get(STEP), step):
            self._run[STEP] = described()
            if differences := list(_differences(saved, self._run | same)):
                raise ValueError(f"the backup belongs to another run: {'; '.join(differences)}. {self.advice}")
        if self.epoch > epochs:
            raise ValueError(
                f"the backup holds {self.epoch} epochs, but {epochs} are requested; give more. {self.advice}"
            )
        if self.epoch == epochs:
            _say(f"All {epochs} epochs are already trained, so nothing is trained now. {self.advice}")
        else:
            _say(f"Resuming after epoch {self.epoch}.")

    def on_train_begin(self, logs=None):
        if self._run is None:
            raise ValueError("pass a backup to the fit of an AdversarialModel: fit(..., backup=backup)")
        if not self._saved:
            self._keep_epoch(0)  # to restart an interrupted first epoch
            if not self.path.is_file() and strategies.is_chief(self.model.distribute_strategy):
                raise ValueError("the weights are NaN or infinite before training; build the networks again")
        else:
            self._restore(self._saved)
            self.model.history.history.update(self._saved["history"])
        self._saved = {}

    def on_train_batch_end(self, batch, logs=None):
        self._trained = batch + 1

    def on_epoch_end(self, epoch, logs=None):
        if self._trained < self._steps:
            when = f"after {self._trained} of {self._steps} steps"
            _say(f"Epoch {epoch + 1} was stopped {when}; the backup keeps epoch {self.epoch}.")
        else:
            self._keep_epoch(epoch + 1, logs)

    def _keep_epoch(self, epoch, logs=None):
        history = {name: list(values) for name, values in self.model.history.history.items()}
        for name, value in (logs or {}).items():
            # Keras' own history may or may not have this epoch yet, depending on the order of callbacks.
            history.setdefault(name, [])[epoch - 1 :] = [float(value)]
        arrays = {"epoch": epoch, "history": json.dumps(history), "run": json.dumps(self._run)}
        for i, variable in enumerate(self.model.state()):
            value = keras.ops.convert_to_numpy(variable.value)
            # NumPy's files cannot store bfloat16.
            arrays[f"variable_{i}"] = value.astype("float32") if value.dtype.kind == "V" else value
        for i, callback in enumerate(self._keep):
            for name, value in callback.get_state().items():
                arrays[f"callback_{i}_{name}"] = value = np.asarray(value)
                if value.dtype.kind in "OV":
                    raise ValueError(f"{type(callback).__name__}.get_state: {name} is not an array of numbers or text")
        weights = [value for name, value in arrays.items() if name.startswith("variable")]
        if not guards.is_finite([*weights, *(logs or {}).values()]):
            self.model.stop_training = True
            _say(f"Epoch {epoch} ended with NaN or infinite values; the backup keeps epoch {self.epoch}.")
            return
        if strategies.is_chief(self.model.distribute_strategy):
            if (held := self._held()) > epoch:
                _say(f"Another kernel has already trained this run to epoch {held}: the backup keeps that.")
                return
            self._write(arrays)
        self.epoch = epoch

    def on_train_end(self, logs=None):
        self._run = None
        kept = max(map(len, self.model.history.history.values()), default=0)
        self.model.history.epoch = list(range(kept))  # Keras clears earlier epochs when training begins

    def _held(self):
        """Return the number of epochs in the file, without reading the rest."""
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                return int(arrays["epoch"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # missing, or not a backup
            return 0

    def _write(self, arrays):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(f".{os.getpid()}.part")
        try:
            with open(unfinished, "wb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, self.path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _read(self):
        """Return the content of the file as a dict, empty if there is no file."""
        if not self.path.is_file():
            return {}
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                found = dict(arrays)
            found["epoch"] = int(found["epoch"])
            found |= {name: dict(json.loads(str(found[name]))) for name in ("history", "run")}
        except (ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise ValueError(f"{self.path} is not a backup. Delete it to train from scratch.") from error
        return found

    def _restore(self, arrays):
        variables = self.model.state()
        saved = [arrays[f"variable_{i}"] for i in range(sum(name.startswith("variable_") for name in arrays))]
        if [tuple(v.shape) for v in variables] != [value.shape for value in saved]:
            raise ValueError(f"the backup is of a model with other shapes. Delete {self.path} to train from scratch.")
        for variable, value in zip(variables, saved, strict=True):
            variable.assign(value)
        for i, callback in enumerate(self._keep):
            prefix = f"callback_{i}_"
            callback.set_state({k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)})


def _say(text):
    if os.environ.get("GANUTILS_PROGRESS") != "silent":
        print(text)


def _is_digest(value):
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _differences(saved, now, place=""):
    """Yield a sentence for each difference between two runs."""
    for name in sorted(set(saved) | set(now)):
        before, after = saved.get(name), now.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, f"{place}{name}: ")
        elif before != after and {_is_digest(before), _is_digest(after)} == {True}:
            yield f"{place}{name} is different"
        elif before != after:
            yield f"{place}{name} was {str(before)[:80]} and is {str(after)[:80]}"
