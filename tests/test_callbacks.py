import contextlib
import errno
import os
import time

import keras
import numpy as np
import pytest

from ganutils import callbacks, data, losses, training
from tests.strategies_worker import plain_networks


class Interrupt(keras.callbacks.Callback):
    """Stops the process's training in the middle of an epoch, as an interrupted kernel does."""

    def __init__(self, epoch, batch=1):
        super().__init__()
        self.at = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


LATENTS = np.random.default_rng(0).standard_normal((4, 5)).astype("float32")


def train(gan, digits, path, epochs=4, extra=(), settings=None):
    curves, samples = callbacks.Curves(every=3), callbacks.Samples(LATENTS)
    backup = callbacks.Backup(path, keep=[curves, samples], settings=settings)
    history = gan.fit(
        data.pipeline(digits, batch_size=8, first_epoch=backup.epoch),
        epochs=epochs,
        initial_epoch=backup.epoch,
        verbose=0,
        callbacks=[curves, samples, backup, *extra],
    )
    return history.history, curves, samples


def test_an_interrupted_run_ends_as_if_it_had_not_been(make_gan, digits, tmp_path):
    whole = make_gan(average=0.9)
    history, curves, samples = train(whole, digits, tmp_path / "whole")

    with pytest.raises(KeyboardInterrupt):
        train(make_gan(average=0.9), digits, tmp_path / "part", extra=[Interrupt(epoch=2)])
    assert callbacks.Backup(tmp_path / "part").epoch == 2, "at most the epoch under way may be lost"
    resumed = make_gan(average=0.9)
    resumed.set_weights([weight + 1 for weight in resumed.get_weights()])  # all must come from the backup
    resumed_history, resumed_curves, resumed_samples = train(resumed, digits, tmp_path / "part")

    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed_history == history
    assert resumed_curves.history["step"] == curves.history["step"]
    assert resumed_curves.history["generator_loss"] == curves.history["generator_loss"]
    assert resumed_samples.epochs == samples.epochs == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(resumed_samples.images, samples.images)


def test_a_finished_run_is_not_trained_again(make_gan, digits, tmp_path):
    """A kernel that dies after training must not have lost it."""
    gan = make_gan()
    history, curves, _ = train(gan, digits, tmp_path / "run", epochs=2)
    again = make_gan()
    same_history, same_curves, _ = train(again, digits, tmp_path / "run", epochs=2)
    assert same_history == history
    assert same_curves.history == curves.history
    for a, b in zip(gan.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("content", ["junk", "other arrays", "empty"])
def test_a_file_that_is_no_backup_is_named(tmp_path, content):
    path = tmp_path / "run.npz"
    if content == "other arrays":
        np.savez(path, weights=np.zeros(3))
    else:
        path.write_bytes(b"not a zip file" if content == "junk" else b"")
    with pytest.raises(ValueError, match=r"run\.npz is not a backup\. Delete it"):
        callbacks.Backup(tmp_path / "run")


def test_optimizers_in_containers_are_backed_up(make_gan, digits, tmp_path):
    gan = make_gan()
    backup = callbacks.Backup(tmp_path / "run")
    backup.set_model(gan)
    alone = len(backup._variables())
    extra = keras.optimizers.Adam()
    extra.build(gan.generator.trainable_variables)
    gan.more_optimizers = {"pair": [extra]}
    assert len(backup._variables()) == alone + len(extra.variables)


def interrupted(make_gan, digits, path, settings=None):
    with pytest.raises(KeyboardInterrupt):
        train(make_gan(), digits, path, extra=[Interrupt(epoch=1)], settings=settings)


def test_a_full_disk_keeps_the_last_backup(make_gan, digits, tmp_path, monkeypatch):
    interrupted(make_gan, digits, tmp_path / "run")
    savez = np.savez

    def full_disk(file, **arrays):
        savez(file, epoch=arrays["epoch"])  # some bytes are written before it fails
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        train(make_gan(), digits, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"], "nothing half-written may be left"
    assert callbacks.Backup(tmp_path / "run").epoch == 1


def test_a_backup_of_other_settings_is_refused(make_gan, digits, tmp_path):
    interrupted(make_gan, digits, tmp_path / "run", settings={"batch_size": 8})
    with pytest.raises(ValueError, match=r"settings.*run\.npz to train from the start"):
        train(make_gan(), digits, tmp_path / "run", settings={"batch_size": 16})


@pytest.mark.parametrize("changes", [{"average": 0.9}, {"penalty": losses.R1(1.0)}, {"loss": "minimax"}])
def test_a_backup_of_another_training_is_refused(make_gan, digits, tmp_path, changes):
    """Else a student who changes a lesson and runs it again gets the old weights, and is not told."""
    interrupted(make_gan, digits, tmp_path / "run")
    with pytest.raises(ValueError, match=r"run\.npz"):
        train(make_gan(**changes), digits, tmp_path / "run")


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_changed_optimizer_is_refused(make_gan, digits, tmp_path, precision):
    with precision_of(precision):
        interrupted(make_gan, digits, tmp_path / "run")
        for changes in ({"learning_rate": 5e-3}, {"beta_1": 0.5}, {"clipnorm": 1.0}):
            gan = make_gan()
            gan.compile(keras.optimizers.Adam(**{"learning_rate": 1e-3, **changes}), keras.optimizers.Adam(1e-3))
            with pytest.raises(ValueError, match=next(iter(changes))):
                train(gan, digits, tmp_path / "run")


@contextlib.contextmanager
def precision_of(policy):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def test_a_backup_of_another_model_is_refused(make_gan, digits, tmp_path):
    interrupted(make_gan, digits, tmp_path / "run")
    other = training.GAN(*plain_networks(), seed=7)
    other.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    with pytest.raises(ValueError, match="another shape"):
        train(other, digits, tmp_path / "run")


class Autoencoder(keras.Model):
    """Neither a generator nor a discriminator: what the callbacks must also serve."""

    def __init__(self):
        super().__init__()
        self.network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 3, padding="same")])

    def call(self, images):
        return self.network(images)


def test_callbacks_serve_a_model_without_players(digits, tmp_path):
    images = data.scale(digits).numpy()

    def run(name, extra=()):
        keras.utils.set_random_seed(3)
        model = Autoencoder()
        model(images[:1])
        model.compile("adam", "mse")
        curves, samples = callbacks.Curves(every=2), callbacks.Samples(images[:2])
        backup = callbacks.Backup(tmp_path / name, keep=[curves, samples])
        model.fit(
            images,
            images,
            batch_size=16,
            shuffle=False,
            epochs=3,
            initial_epoch=backup.epoch,
            verbose=0,
            callbacks=[callbacks.Progress("silent"), curves, samples, backup, *extra],
        )
        return model, curves, samples

    whole, curves, samples = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("part", extra=[Interrupt(epoch=1)])
    resumed, resumed_curves, resumed_samples = run("part")
    np.testing.assert_array_equal(whole.get_weights()[0], resumed.get_weights()[0])
    assert resumed_curves.history["loss"] == curves.history["loss"]
    assert len(resumed_samples.images) == len(samples.images) == 4


def test_curves_are_means_over_windows():
    curves = callbacks.Curves(every=2)
    values = [[1.0, 3.0, 5.0, 11.0, 2.0], [4.0, 4.0, 0.0, 2.0, 7.0]]
    curves.on_train_begin()
    for epoch, row in enumerate(values):
        curves.on_epoch_begin(epoch)
        for batch in range(5):
            curves.on_train_batch_end(batch, {"loss": np.mean(row[: batch + 1])})
        curves.on_epoch_end(epoch, {"loss": np.mean(row), "val_loss": 9.0})
    assert set(curves.history) == {"step", "seconds", "loss"}, "a validation belongs to no window"
    assert curves.history["step"] == [2, 4, 5, 7, 9, 10]
    assert curves.history["loss"] == pytest.approx([2, 8, 2, 4, 1, 7])
    assert np.all(np.diff(curves.history["seconds"]) >= 0)


def test_curves_refuse_an_empty_window():
    with pytest.raises(ValueError, match="every=0"):
        callbacks.Curves(every=0)


def test_samples_come_from_the_same_latents_at_the_chosen_times(make_gan, digits):
    gan = make_gan()
    samples = callbacks.Samples(LATENTS, epochs=[0.25, 2])
    before = data.unscale(gan(LATENTS))
    gan.fit(data.pipeline(digits, batch_size=8), epochs=3, verbose=0, callbacks=[samples])
    assert samples.epochs == [0, 0.25, 2]
    assert all(images.dtype == np.uint8 and images.shape == (4, 8, 8, 1) for images in samples.images)
    np.testing.assert_array_equal(samples.images[0], before)
    assert not np.array_equal(samples.images[1], samples.images[2])


def test_time_limit_stops_within_an_epoch(make_gan, digits):
    gan = make_gan()
    clock = callbacks.TimeLimit(0.05)

    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.02)

    gan.fit(data.pipeline(digits, batch_size=8).repeat(), steps_per_epoch=10_000, verbose=0, callbacks=[Slow(), clock])
    assert 2 <= clock.steps <= 10
    assert clock.steps == int(gan.generator_optimizer.iterations)
    with pytest.raises(ValueError, match="seconds=0"):
        callbacks.TimeLimit(0)


def test_progress_in_a_plain_log_is_one_line_an_epoch(make_gan, digits, capsys):
    make_gan().fit(data.pipeline(digits, batch_size=16), epochs=3, verbose=0, callbacks=[callbacks.Progress("lines")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("epoch 1 of 3, step 4 of 4")
    assert "generator loss" in lines[2]
    assert "\r" not in "".join(lines)


def test_progress_knows_the_steps_of_a_dataset_of_unknown_length(make_gan, digits, capsys):
    dataset = data.pipeline(digits, batch_size=16).filter(lambda batch: True)
    make_gan().fit(dataset, verbose=0, callbacks=[callbacks.Progress("lines")])
    assert capsys.readouterr().out.startswith("epoch 1 of 1, step 4 of 4")


def test_progress_is_silent_where_the_environment_says_so(make_gan, digits, capsys, monkeypatch):
    assert os.environ["GANUTILS_PROGRESS"] == "silent"
    make_gan().fit(data.pipeline(digits, batch_size=16), verbose=0, callbacks=[callbacks.Progress()])
    assert capsys.readouterr().out == ""
    monkeypatch.delenv("GANUTILS_PROGRESS")
    assert callbacks.Progress().mode == "lines", "outside a notebook"


def test_live_progress_updates_one_display(make_gan, digits, monkeypatch):
    shown, updates = [], []

    class Handle:
        def update(self, content, raw):
            updates.append(content["text/plain"])

    def display(content, raw, display_id):
        shown.append(content["text/plain"])
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(callbacks.Progress, "SECONDS_BETWEEN_UPDATES", 0)
    make_gan().fit(data.pipeline(digits, batch_size=16), epochs=2, verbose=0, callbacks=[callbacks.Progress("live")])
    assert len(shown) == 1, "later states must replace the first one, so that a stored notebook keeps one line"
    assert updates[-1].startswith("epoch 2 of 2, step 4 of 4 · done in")


def test_unknown_progress_mode_is_refused():
    with pytest.raises(ValueError, match="'loud'; choose one of live, lines, silent"):
        callbacks.Progress("loud")
