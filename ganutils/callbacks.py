"""Keras callbacks for any model that is trained with `fit` and called on inputs to give images.

None of them knows about generators or discriminators: they read the metrics that the model reports.
"""

import io
import json
import os
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ganutils import data, strategies, training


def _in_notebook():
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def _clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress(keras.callbacks.Callback):
    """How far training is. Use with `fit(..., verbose=0)`.

    Args:
        mode: "live" (one line, updated in place; a stored notebook keeps its last state), "lines" (one
            line an epoch, for plain logs), "silent", or None: silent where the environment variable
            GANUTILS_PROGRESS says so, live in a notebook, lines elsewhere.

    Raises:
        ValueError: an unknown mode.
    """

    MODES = ("live", "lines", "silent")
    SECONDS_BETWEEN_UPDATES = 0.5

    def __init__(self, mode=None):
        super().__init__()
        mode = mode or os.environ.get("GANUTILS_PROGRESS") or ("live" if _in_notebook() else "lines")
        if mode not in self.MODES:
            raise ValueError(f"unknown progress mode {mode!r}; choose one of {', '.join(self.MODES)}")
        self.mode = mode
        self._handle = None

    def on_train_begin(self, logs=None):
        self._start = self._last_update = time.perf_counter()
        self._first_epoch = None
        self._text = ""

    def on_epoch_begin(self, epoch, logs=None):
        if self._first_epoch is None:
            self._first_epoch = epoch
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        self._step = batch + 1
        if self.mode == "live" and now - self._last_update > self.SECONDS_BETWEEN_UPDATES:
            self._last_update = now
            self._show(self._line(self._epoch, batch + 1, logs))

    def on_epoch_end(self, epoch, logs=None):
        line = self._line(epoch, self.params["steps"] or self._step, logs)
        if self.mode == "lines":
            print(line, flush=True)
        elif self.mode == "live":
            self._show(line)

    def on_train_end(self, logs=None):
        if self._handle is not None:
            seconds = time.perf_counter() - self._start
            self._show(f"{self._text.split(' · ')[0]} · done in {_clock(seconds)} · {_numbers(logs)}")
            self._handle = None

    def _line(self, epoch, step, logs):
        steps = self.params["steps"] or step
        done = (epoch - self._first_epoch) + step / steps
        seconds = time.perf_counter() - self._start
        left = seconds / max(done, 1e-9) * (self.params["epochs"] - self._first_epoch - done)
        return (
            f"epoch {epoch + 1} of {self.params['epochs']}, step {step} of {steps} · "
            f"{_clock(seconds)} gone, {_clock(left)} to go · {_numbers(logs)}"
        )

    def _show(self, text):
        from IPython.display import display

        self._text = text
        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def _numbers(logs):
    return ", ".join(f"{name.replace('_', ' ')} {float(value):.3f}" for name, value in (logs or {}).items())


class Curves(keras.callbacks.Callback):
    """Metrics over training steps, finer than the one number an epoch that `fit` returns.

    Keras reports each metric as its mean since the start of the epoch. This callback turns these into
    means over windows of a few steps.

    Args:
        every: length of a window in steps, at least 1.

    Attributes:
        history: dict of lists: "step" (last step of the window, counted over all epochs), "seconds"
            (since the start of training) and one list for each metric.
    """

    def __init__(self, every=25):
        super().__init__()
        if every < 1:
            raise ValueError(f"every={every} is not allowed; give a number of steps of at least 1")
        self.every = every
        self.history = {"step": [], "seconds": []}

    def on_train_begin(self, logs=None):
        self._start = None

    def on_epoch_begin(self, epoch, logs=None):
        if self._start is None:
            # Not when training begins: a backup restores the history then.
            self._start = time.perf_counter() - (self.history["seconds"] or [0.0])[-1]
            self._step = (self.history["step"] or [0])[-1]
        self._seen = self._window_start = 0
        self._sums = {}
        self._logs = {}

    def on_train_batch_end(self, batch, logs=None):
        # The logs of an epoch's end also hold the metrics of a validation, which belong to no window.
        self._seen, self._logs = batch + 1, logs or {}
        if self._seen - self._window_start >= self.every:
            self._close_window()

    def on_epoch_end(self, epoch, logs=None):
        if self._seen > self._window_start:
            self._close_window()

    def _close_window(self):
        length = self._seen - self._window_start
        self._step += length
        self.history["step"].append(self._step)
        self.history["seconds"].append(time.perf_counter() - self._start)
        for name, value in self._logs.items():
            total = float(value) * self._seen
            self.history.setdefault(name, []).append((total - self._sums.get(name, 0.0)) / length)
            self._sums[name] = total
        self._window_start = self._seen

    def get_state(self):
        return {name: np.asarray(values) for name, values in self.history.items()}

    def set_state(self, state):
        self.history = {name: values.tolist() for name, values in state.items()}


class Samples(keras.callbacks.Callback):
    """Images from the same fixed inputs, taken as training goes on.

    Args:
        inputs: what the model is called with, such as latents (n, latent_dim).
        epochs: times at which to take them, counted in epochs from the start, such as [0.1, 0.5, 1, 2];
            None takes them after each epoch. The state before training is always taken, as epoch 0.

    Attributes:
        epochs: list of the times at which images were taken.
        images: list of uint8 arrays (n, height, width, channels), one for each of these times.
    """

    def __init__(self, inputs, epochs=None):
        super().__init__()
        self.inputs = inputs
        self.chosen_epochs = None if epochs is None else sorted(epochs)
        self.epochs = []
        self.images = []

    def on_train_begin(self, logs=None):
        if not self.epochs:
            self._take(0)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.chosen_epochs and self.params["steps"]:
            self._take_if_due(self._epoch + (batch + 1) / self.params["steps"])

    def on_epoch_end(self, epoch, logs=None):
        if self.chosen_epochs is None:
            self._take(epoch + 1)
        else:
            self._take_if_due(epoch + 1)

    def _take_if_due(self, now):
        due = [time for time in self.chosen_epochs if self.epochs[-1] < time <= now]
        if due:
            self._take(due[-1])

    def _take(self, epoch):
        self.epochs.append(epoch)
        self.images.append(data.unscale(keras.ops.convert_to_numpy(self.model(self.inputs, training=False))))

    def get_state(self):
        return {"epochs": np.asarray(self.epochs), "images": np.asarray(self.images)}

    def set_state(self, state):
        self.epochs = state["epochs"].tolist()
        self.images = list(state["images"])


class TimeLimit(keras.callbacks.Callback):
    """Stop training after some seconds, counted from the end of the first step.

    The first step includes the tracing of the graph, which has nothing to do with how fast training is.

    Args:
        seconds: above 0.

    Attributes:
        steps: training steps taken so far in the last epoch.
    """

    def __init__(self, seconds):
        super().__init__()
        if not seconds > 0:
            raise ValueError(f"seconds={seconds} is not allowed; give a number above 0")
        self.seconds = seconds

    def on_train_begin(self, logs=None):
        self._start = None
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps = batch + 1
        if self._start is None:
            self._start = time.perf_counter()
        # Workers that train together must stop at the same step: one would wait for the other.
        elif strategies.any_worker(self.model.distribute_strategy, time.perf_counter() - self._start > self.seconds):
            self.model.stop_training = True


class Backup(keras.callbacks.Callback):
    """Keep all state of a run in one file after each epoch, so that it can be taken up again.

    Keras' own BackupAndRestore keeps weights; here the random state (of latents and dropout), the
    metrics recorded so far and the state of other callbacks are kept too, so that an interrupted run
    ends with the same numbers as one that was not. The file is written beside and then moved into place,
    so that it is always whole. It stays when training ends, so that a
    kernel that dies later has not lost the run; `costs.Lesson.close` removes it. With a finished backup, `fit`
    trains nothing and returns the recorded history.

    Give it to `fit` as the last callback, so that those it keeps have finished their epoch before it::

        backup = callbacks.Backup("build/backups/02_dcgan", keep=[curves, samples])
        dataset = data.pipeline(images, ..., first_epoch=backup.epoch)
        gan.fit(dataset, epochs=..., initial_epoch=backup.epoch, callbacks=[curves, samples, backup])

    Where several workers train together, make it inside of the strategy's scope. The first worker, the chief,
    alone reads and writes the file, and all take its content from there, so that they never differ and need
    no shared disk.

    Args:
        path: where the file goes; ".npz" is added.
        keep: callbacks with `get_state()` and `set_state(state)` whose state belongs to the run.
        settings: dict of what must not change between two parts of a run, such as the batch size. The
            optimizers' settings and what the model itself names (`training.GAN.settings`) are added.

    Attributes:
        epoch: number of epochs that the backup holds; 0 where there is none.

    Raises:
        ValueError: a file that is no backup, or, at the start of training, a backup of another model or of
            other settings, or one that was made outside of the scope of several workers.
        RuntimeError: another worker is lost.
        OSError: the disk is full; the last backup stays.
    """

    def __init__(self, path, keep=(), settings=None):
        super().__init__()
        self.path = Path(f"{path}.npz")
        self.keep = list(keep)
        self.settings = dict(settings or {})
        self.strategy = tf.distribute.get_strategy()
        saved = self._read()
        self.epoch = 0 if saved is None else int(saved["epoch"])

    def on_train_begin(self, logs=None):
        if strategies.number_of_workers(self.model.distribute_strategy) != strategies.number_of_workers(self.strategy):
            raise ValueError("make the backup inside `with strategy.scope():`, as the model")
        optimizers = strategies.optimizers(list(vars(self.model).values()))
        # As they are before anything is restored or a schedule changes them.
        described = [training.describe_optimizer(optimizer) for optimizer in optimizers]
        settings = {**self.settings, **getattr(self.model, "settings", dict)(), "optimizers": described}
        self._settings_text = json.dumps(settings, sort_keys=True, default=str)
        saved = self._read()
        if saved is not None:
            self._restore(saved)
            if os.environ.get("GANUTILS_PROGRESS") != "silent":
                print(f"Continuing after epoch {self.epoch} of {self.params['epochs']}.")

    def on_epoch_end(self, epoch, logs=None):
        history = {name: list(values) for name, values in self.model.history.history.items()}
        for name, value in (logs or {}).items():
            # Keras' own record may or may not have this epoch yet, depending on the order of callbacks.
            history.setdefault(name, [])[epoch:] = [float(value)]
        self._write(epoch + 1, history)

    def _variables(self):
        """All state of the model but its metrics, which each epoch starts anew."""
        if self.model.optimizer is not None and not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        found = list(self.model.variables)
        for optimizer in strategies.optimizers(list(vars(self.model).values())):
            found += optimizer.variables
        metrics = {id(variable) for metric in self.model.metrics for variable in metric.variables}
        return list({id(variable): variable for variable in found if id(variable) not in metrics}.values())

    def _write(self, epoch, history):
        arrays = {"epoch": epoch, "history": json.dumps(history), "settings": self._settings_text}
        for i, variable in enumerate(self._variables()):
            arrays[f"variable_{i}"] = keras.ops.convert_to_numpy(variable.value)
        for i, callback in enumerate(self.keep):
            for name, value in callback.get_state().items():
                arrays[f"callback_{i}_{name}"] = value
        if strategies.worker_index(self.strategy) == 0:
            self._write_file(arrays)
        self.epoch = epoch

    def _write_file(self, arrays):
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
        """Return the arrays of the chief's file, or None where there is none."""
        content = b"file" + self.path.read_bytes() if self.path.is_file() else b""
        with strategies.clear_errors(self.strategy):
            content = strategies.from_chief(self.strategy, content)
        if not content:
            return None
        try:
            with np.load(io.BytesIO(content.removeprefix(b"file")), allow_pickle=False) as arrays:
                found = dict(arrays)
            if not {"epoch", "history", "settings"} <= set(found):
                raise KeyError("no epoch, history or settings")
        except (ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise ValueError(f"{self.path} is not a backup. Delete it to train from the start.") from error
        return found

    def _restore(self, arrays):
        advice = f"Delete {self.path} to train from the start."
        if str(arrays["settings"]) != self._settings_text:
            raise ValueError(
                f"the backup was made with the settings {arrays['settings']}, "
                f"this run has {self._settings_text}. {advice}"
            )
        variables = self._variables()
        saved = [arrays[f"variable_{i}"] for i in range(sum(name.startswith("variable_") for name in arrays))]
        if [tuple(v.shape) for v in variables] != [value.shape for value in saved]:
            raise ValueError(f"the backup belongs to a model of another shape. {advice}")
        for variable, value in zip(variables, saved, strict=True):
            variable.assign(value)
        for i, callback in enumerate(self.keep):
            prefix = f"callback_{i}_"
            callback.set_state({k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)})
        self.model.history.history.update(json.loads(str(arrays["history"])))
