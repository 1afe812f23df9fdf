"""Keras callbacks for any `AdversarialModel`, whatever its metrics and its way to draw samples."""

import os
import time

import keras
import numpy as np

from ganutils import data, strategies, validation
from ganutils.backup import Backup
from ganutils.health import HealthCheck

__all__ = ["Backup", "Curves", "HealthCheck", "Progress", "Samples", "TimeLimit"]


def _in_notebook():
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


def _clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress(keras.callbacks.Callback):
    """Show the progress of training. Use with `fit(..., verbose=0)`.

    Args:
        mode: "live" (one line, updated in place; a stored notebook keeps its last state), "lines" (one line per
            epoch, for plain logs) or "silent", else ValueError; None takes the environment variable
            GANUTILS_PROGRESS, or else "live" in a notebook and "lines" elsewhere.
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

    def on_epoch_begin(self, epoch, logs=None):
        if self._first_epoch is None:
            self._first_epoch = epoch
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        self._step = batch + 1
        if self.mode == "live" and now - self._last_update > self.SECONDS_BETWEEN_UPDATES:
            self._last_update = now
            self._show(self._line(logs))

    def on_epoch_end(self, epoch, logs=None):
        self._step = self.params["steps"] or self._step
        if self.mode == "lines":
            print(self._line(logs), flush=True)
        elif self.mode == "live":
            self._show(self._line(logs))

    def on_train_end(self, logs=None):
        if self._handle is not None:
            seconds = time.perf_counter() - self._start
            self._show(f"{self._where} · done in {_clock(seconds)} · {_numbers(logs)}")
            self._handle = None

    def _line(self, logs):
        epochs, steps = self.params["epochs"], self.params["steps"] or self._step
        done = self._epoch - self._first_epoch + self._step / steps
        seconds = time.perf_counter() - self._start
        left = _clock(seconds / max(done, 1e-9) * (epochs - self._first_epoch - done))
        self._where = f"epoch {self._epoch + 1} of {epochs}, step {self._step} of {steps}"
        return f"{self._where} · {_clock(seconds)} elapsed, {left} left · {_numbers(logs)}"

    def _show(self, text):
        from IPython.display import display

        if self._handle is None:
            self._handle = display({"text/plain": text}, raw=True, display_id=True)
        else:
            self._handle.update({"text/plain": text}, raw=True)


def _numbers(logs):
    return ", ".join(f"{name.replace('_', ' ')} {float(value):.3f}" for name, value in (logs or {}).items())


class Curves(keras.callbacks.Callback):
    """Record means of metrics over windows of a few steps; Keras itself reports means since the start of the epoch.

    Args:
        every: length of a window in steps, at least 1.

    Attributes:
        history: dict of lists: "step" (last step of the window, counted over all epochs), "seconds" (of training)
            and each metric.
    """

    def __init__(self, every=25):
        super().__init__()
        self.every = validation.whole_number(every, "every", 1)
        self.history = {"step": [], "seconds": []}

    def on_train_begin(self, logs=None):
        self._start = None

    def on_epoch_begin(self, epoch, logs=None):
        if self._start is None:
            # Not when training begins: a backup restores the history then.
            self._start = time.perf_counter() - (self.history["seconds"] or [0.0])[-1]
            self._step = (self.history["step"] or [0])[-1]
        self._seen = self._window_start = 0
        self._sums, self._logs = {}, {}

    def on_train_batch_end(self, batch, logs=None):
        # The logs at the end of an epoch also hold validation metrics, which belong to no window.
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

    def get_config(self):
        return {"every": self.every}

    def get_state(self):
        return {name: np.asarray(values) for name, values in self.history.items()}

    def set_state(self, state):
        self.history = {name: values.tolist() for name, values in state.items()}


class Samples(keras.callbacks.Callback):
    """Generate images from the same inputs at several times during training.

    Args:
        inputs: what the model's `draw_samples` takes: latents (n, latent_dim) for a GAN.
        epochs: times, counted in epochs from the start, such as [0.1, 0.5, 1, 2]; None means after each epoch.
            Images are always generated before training, as epoch 0, too.
        measure: function from the model to a number, called at each of these times, such as one that returns
            `evaluation.measure(model).frechet_distance`; or None.

    Attributes:
        epochs: list of the times at which images were generated.
        images: list of uint8 arrays (n, height, width, channels), one per time; those of a growing model get larger.
        measured: list of the numbers that `measure` returned, one per time.
    """

    def __init__(self, inputs, epochs=None, measure=None):
        super().__init__()
        self.inputs, self.measure = inputs, measure
        if measure is not None and not callable(measure):
            raise ValueError(f"measure={measure!r} is not allowed; give a function from the model to a number, or None")
        if np.ndim(epochs) != 1 and epochs is not None:
            raise ValueError(f"epochs={epochs!r} is not allowed; give a list of times, such as [0.5, 1, 2], or None")
        self.chosen_epochs = None if epochs is None else sorted(validation.number(at, "epochs", 0) for at in epochs)
        self.epochs, self.images, self.measured = [], [], []

    def on_train_begin(self, logs=None):
        if self.chosen_epochs and self.chosen_epochs[-1] > (end := self.params["epochs"]):
            raise ValueError(
                f"epochs={self.chosen_epochs} go beyond the run, which ends with epoch {end}; leave them out"
            )
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
        if due := [time for time in self.chosen_epochs if self.epochs[-1] < time <= now]:
            self._take(due[-1])

    def _take(self, epoch):
        self.epochs.append(epoch)
        self.images.append(data.unscale(keras.ops.convert_to_numpy(self.model.draw_samples(self.inputs))))
        if self.measure:
            self.measured.append(float(self.measure(self.model)))

    def get_config(self):
        return {"epochs": self.chosen_epochs}

    def get_state(self):
        images = {f"images_{i}": images for i, images in enumerate(self.images)}
        inputs = {f"inputs_{i}": np.asarray(part) for i, part in enumerate(keras.tree.flatten(self.inputs))}
        return {"epochs": np.asarray(self.epochs), "measured": np.asarray(self.measured), **images, **inputs}

    def set_state(self, state):
        """Restore a state, including its inputs: all images of a run come from the same inputs."""
        inputs = [state[f"inputs_{i}"] for i in range(sum(name.startswith("inputs_") for name in state))]
        self.inputs = keras.tree.pack_sequence_as(self.inputs, inputs)
        self.epochs = state["epochs"].tolist()
        self.images = [state[f"images_{i}"] for i in range(len(self.epochs))]
        self.measured = state["measured"].tolist()


class TimeLimit(keras.callbacks.Callback):
    """Stop training after some seconds, counted from the end of the first step, which traces the graph.

    With several workers, whose clocks differ, `fit` raises a ValueError.

    Args:
        seconds: above 0.
        clock: function that returns seconds; `time.process_time` counts what this process computes, on all cores but
            not on a GPU, so that other programs do not use up its time.

    Attributes:
        steps: training steps taken so far in the last epoch.

    Raises:
        ValueError: a number out of range, or a clock that cannot be called.
    """

    def __init__(self, seconds, clock=time.perf_counter):
        super().__init__()
        if not callable(clock):
            raise ValueError(f"clock={clock!r} is not allowed; give a function such as time.process_time")
        self.seconds, self.clock = validation.number(seconds, "seconds", 0), clock

    def on_train_begin(self, logs=None):
        if strategies.number_of_workers(self.model.distribute_strategy) > 1:
            raise ValueError("TimeLimit cannot stop several workers at the same step; give epochs or steps_per_epoch")
        self._start, self.steps = None, 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps = batch + 1
        if self._start is None:
            self._start = self.clock()
        elif self.clock() - self._start > self.seconds:
            self.model.stop_training = True
