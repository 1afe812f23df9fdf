import itertools

import numpy as np
import pytest

from ganutils import callbacks, data

LATENTS = np.random.default_rng(0).standard_normal((4, 5)).astype("float32")


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


def test_a_number_is_measured_with_each_sample(make_gan, digits, tmp_path):
    """Also by a run that was resumed, which keeps those of the first part."""
    gan = make_gan()
    steps = []
    samples = callbacks.Samples(gan.draw_latents(2), epochs=[0.5, 1], measure=lambda model: steps.append(model) or 7)
    gan.fit(digits, epochs=1, verbose=0, callbacks=[samples], batch_size=16)
    assert samples.epochs == [0, 0.5, 1]
    assert samples.measured == [7.0, 7.0, 7.0]
    assert steps == [gan] * 3
    other = callbacks.Samples(gan.draw_latents(2), measure=len)
    other.set_state(samples.get_state())
    assert other.measured == samples.measured
    with pytest.raises(ValueError, match="measure=3 is not allowed"):
        callbacks.Samples(gan.draw_latents(2), measure=3)


def test_samples_come_from_the_same_latents_at_the_chosen_times(make_gan, digits):
    gan = make_gan()
    samples = callbacks.Samples(LATENTS, epochs=[0.25, 2])
    before = data.unscale(gan(LATENTS))
    gan.fit(data.pipeline(digits, batch_size=8), epochs=3, verbose=0, callbacks=[samples])
    assert samples.epochs == [0, 0.25, 2]
    assert all(images.dtype == np.uint8 and images.shape == (4, 8, 8, 1) for images in samples.images)
    np.testing.assert_array_equal(samples.images[0], before)
    assert not np.array_equal(samples.images[1], samples.images[2])


def test_time_limit_stops_within_an_epoch_by_the_clock_that_it_is_given(make_gan, digits):
    gan, now = make_gan(), itertools.count(0.0, 0.02)  # each look at the clock takes a fiftieth of a second
    clock = callbacks.TimeLimit(0.05, clock=lambda: next(now))
    gan.fit(data.pipeline(digits, batch_size=8), steps_per_epoch=10_000, verbose=0, callbacks=[clock])
    assert clock.steps == 4, "the first starts the clock, and the limit is passed at the third look after it"
    assert clock.steps == int(gan.optimizers["generator"].iterations)


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
    monkeypatch.setenv("GANUTILS_PROGRESS", "silent")
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


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="every=0"):
        callbacks.Curves(every=0)
    with pytest.raises(ValueError, match="seconds=0"):
        callbacks.TimeLimit(0)
    with pytest.raises(ValueError, match="clock=3 is not allowed; give a function"):
        callbacks.TimeLimit(1, clock=3)
    with pytest.raises(ValueError, match="'loud'; choose one of live, lines, silent"):
        callbacks.Progress("loud")
