"""HealthCheck: quiet on healthy runs, and the right name for each planted failure within a stated number of steps."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganutils import callbacks, data, diagnosis, folders, health, losses, references, training
from tests.conftest import Interrupt, assert_equal, tiny_gan, tiny_networks
from tests.test_families import FAMILIES, compiled
from tests.test_record_reference_runs import load_tool

RECORDED = json.loads((folders.DATA / "health_curves.json").read_text(encoding="utf-8"))
# Steps within which each planted failure is named, with a look at each 25th.
WITHIN = {
    "head start": 75,
    "slow generator": 75,
    "minimax": 75,
    "no latents": 75,
    "fast generator": 100,
    "momentum": 400,
    "high rates": 100,
    "unbounded critic": 100,
    "probabilities": 25,
    "enormous rates": 25,
    "conditional: no latents": 75,
    "conditional: slow generator": 75,
    "conditional: minimax": 75,
    "conditional: high rates": 100,
    "translation: slow translators": 100,
    "translation: blind": 75,
    "translation: high rates": 100,
}

# What may be named before the expected fault, or at the same step: a discriminator that wins starves the generator, and
# rates that are too high let one player win, or all images be alike, before anything grows.
BESIDE = {
    "head start": {"vanishing generator gradient"},
    "minimax": {"discriminator too strong"},
    "conditional: minimax": {"discriminator too strong"},
    "high rates": {"discriminator too strong"},
    "translation: high rates": {"discriminator too strong", "mode collapse"},
}


def history_of(run):
    """A recorded run's lists, with NaN where JSON has null."""
    lists = {name: values for name, values in run.items() if isinstance(values, list)}
    return {name: [np.nan if value is None else value for value in values] for name, values in lists.items()}


def names(history):
    return [finding.name for finding in diagnosis.diagnose(history)]


@pytest.mark.parametrize("lesson", load_tool("record_reference_runs").LESSONS)
def test_no_alarm_on_the_curves_of_a_recorded_healthy_run(lesson):
    reference = references.load(lesson)
    for run in reference["runs"]:
        assert names({"step": reference["step"], **{name: run[name] for name in reference["curves"]}}) == []


def test_no_alarm_on_healthy_runs_with_other_seeds():
    assert {run["name"] for run in RECORDED["healthy"]} == set(load_tool("record_reference_runs").LESSONS)
    for run in RECORDED["healthy"]:
        assert diagnosis.diagnose(history_of(run)) == [], (run["name"], run["seed"])


@pytest.mark.parametrize("run", RECORDED["planted"], ids=[run["name"] for run in RECORDED["planted"]])
def test_a_planted_failure_is_named_within_its_number_of_steps(run):
    found = {finding.name: finding for finding in reversed(diagnosis.diagnose(history_of(run)))}
    assert found[run["expected"]].step <= WITHIN[run["name"]], list(found)
    assert found[run["expected"]].advice
    begun = [name for name in found if found[name].step <= found[run["expected"]].step]
    assert set(begun) - {run["expected"]} <= BESIDE.get(run["name"], set()), begun


def test_planted_failures_are_of_every_kind_and_of_three_families():
    tool = load_tool("record_health_curves")
    assert {run["name"]: run["expected"] for run in RECORDED["planted"]} == {k: v for k, (v, _) in tool.PLANTED.items()}
    assert set(WITHIN) == set(tool.PLANTED)
    assert {run["expected"] for run in RECORDED["planted"]} == set(diagnosis.ADVICE)
    assert len({run["name"].partition(": ")[0] for run in RECORDED["planted"] if ": " in run["name"]}) == 2


def test_curves_alone_tell_what_they_can():
    steps = np.arange(25, 525, 25)
    usual = {
        "step": steps,
        "discriminator_loss": np.full(20, 1.2),
        "generator_loss": np.full(20, 0.8),
        "real_accuracy": np.full(20, 0.7),
        "fake_accuracy": np.full(20, 0.7),
    }
    assert names(usual) == []
    assert names(usual | {"real_accuracy": np.ones(20), "fake_accuracy": np.ones(20)}) == ["discriminator too strong"]
    assert names(usual | {"real_accuracy": np.ones(20)}) == [], "so it may be for a while, and fool nobody"
    (finding,) = diagnosis.diagnose(usual | {"generator_loss": 1.3 ** np.arange(20)})
    assert (finding.name, finding.player, finding.step) == ("divergence", "generator", 25 * 16)
    assert names(usual | {"discriminator_loss": 1.4 + 0.8 * np.sin(np.arange(20))}) == ["oscillation"]
    (finding,) = diagnosis.diagnose(usual | {"generator_loss": [*[0.8] * 7, *[np.nan] * 13]})
    assert (finding.name, finding.step) == ("not a number", 200)


def test_two_bad_looks_in_a_row_are_no_finding_and_three_are():
    for length, expected in ((2, []), (3, ["mode collapse"])):
        values = [0.8] * 4 + [0.05] * length + [0.8] * 4
        assert names({"step": np.arange(len(values)), "generator: nearest": values}) == expected


def test_a_history_without_steps_is_refused():
    for history in ({}, {"generator_loss": [1.0]}, {"step": [1, 2], "generator_loss": [1.0]}):
        with pytest.raises(ValueError, match="give a history with a list of steps"):
            diagnosis.diagnose(history)


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_measurements_of_a_critic_are_their_formulas(loss, digits):
    """Against NumPy on the logits of a discriminator whose random part is switched off."""
    gan = tiny_gan(loss=loss, dropout=0.0)
    latents = tf.random.stateless_normal((16, 5), seed=(5, 0))
    gan.draw = lambda function, n: latents
    real_images = data.scale(digits[:16])
    with keras.StatelessScope():
        fake_images = gan.generator(latents, training=True)
        real, fake = (gan.discriminator(x, training=True).numpy()[:, 0] for x in (real_images, fake_images))
    found = health.measure(gan, digits[:16])
    assert found["discriminator: separation"] == pytest.approx(np.mean(real[:, None] > fake))
    assert found["discriminator: gap"] == pytest.approx(abs(real.mean() - fake.mean()), rel=1e-4)
    slopes = {
        "minimax": 1 / (1 + np.exp(-fake)),
        "non_saturating": 1 / (1 + np.exp(fake)),
        "least_squares": np.abs(fake - 1),
        "relativistic": 1 / (1 + np.exp(fake - real)),
    }
    assert found["discriminator: slope"] == pytest.approx(np.mean(slopes.get(loss, np.ones(16))), rel=1e-4)
    if loss == "wasserstein":
        assert np.isnan(found["discriminator: left"]), "it has no loss of always answering 0"
    else:
        column = losses.get(loss).discriminator(real[:, None], fake[:, None])
        usual = losses.get(loss).discriminator(np.zeros((4, 1)), np.zeros((4, 1)))
        assert found["discriminator: left"] == pytest.approx(float(column) / float(usual), rel=1e-4)


def test_measurements_of_a_maker_compare_it_with_the_real_batch(digits):
    gan = tiny_gan()
    real_images = data.scale(digits[:16])

    def drawing(images):
        gan.networks["generator"] = lambda latents, training: images + 0.0 * latents[0, 0]
        return health.measure(gan, digits[:16])

    same = drawing(real_images)
    assert (same["generator: variance"], same["generator: nearest"]) == pytest.approx((1, 1))
    grey = drawing(0.05 * real_images)
    assert (grey["generator: variance"], grey["generator: nearest"]) == pytest.approx((1, 1)), "grey, but not alike"
    one = drawing(tf.repeat(real_images[:1], 16, axis=0))
    assert (one["generator: variance"], one["generator: nearest"]) == pytest.approx((0, 0), abs=1e-9)
    pairs = drawing(tf.repeat(real_images[:8], 2, axis=0))
    assert pairs["generator: nearest"] == pytest.approx(0, abs=1e-9)
    assert pairs["generator: variance"] > 0.8, "eight images twice: only the neighbours tell"


def test_classes_are_counted_where_a_classifier_is_given(digits):
    class Found:
        def __init__(self, images):
            self.probabilities = np.eye(4)[(np.arange(len(images)) % 4) * (np.var(images) > 0.2)]

    found = health.measure(tiny_gan(), digits[:16], classifier=Found)
    assert found["generator: classes"] == 0.25, "one class of four: the images of an untrained generator are grey"
    assert names({"step": [1, 2, 3], "generator: classes": [0.25] * 3}) == ["mode collapse"]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_measured_and_nothing_of_it_moves(name, digits):
    model = compiled(name)
    dataset = FAMILIES[name][1](digits)
    batch = next(iter(dataset))
    before = [
        variable.numpy().copy() for variable in [*model.state(), *(v for m in model.metrics for v in m.variables)]
    ]
    first, again = health.measure(model, batch), health.measure(model, batch)
    after = [variable.numpy() for variable in [*model.state(), *(v for m in model.metrics for v in m.variables)]]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    critics = ["judge_a", "judge_b"] if name == "cycle" else ["discriminator"]
    makers = ["to_a", "to_b"] if name == "cycle" else ["generator"]
    expected = {f"{player}: {what}" for player in critics for what in ("separation", "left", "slope", "gap")}
    expected |= {f"{player}: {what}" for player in makers for what in ("variance", "nearest")}
    assert set(first) == expected
    assert all(np.isfinite(value) for value in first.values())
    for player in makers:  # dropout in a discriminator draws anew; images are of the same latents
        assert first[f"{player}: variance"] == again[f"{player}: variance"]


def test_a_run_with_a_health_check_is_the_run_without(digits):
    runs = []
    for extra in ([], [callbacks.HealthCheck(digits[:16], every=3)]):
        gan = tiny_gan(penalty=losses.R1(1.0, every=2), average=0.9)
        gan.fit(data.pipeline(digits, batch_size=8), epochs=2, verbose=0, callbacks=extra)
        runs.append(gan)
    assert_equal(*runs)
    check = extra[0]
    assert check.history["step"] == [3, 6, 9, 12, 15], "at multiples of 3, over both epochs of 8 steps"
    assert check.findings == []
    again = tiny_gan()
    again.fit(data.pipeline(digits, batch_size=8), verbose=0, callbacks=extra)
    assert check.history["step"] == [3, 6], "another training has its own history"


def test_looks_come_also_where_epochs_are_short_and_a_run_without_one_says_so(digits, capsys, tmp_path):
    check = callbacks.HealthCheck(digits[:16], every=10)
    tiny_gan().fit(data.pipeline(digits, batch_size=8), epochs=3, verbose=0, callbacks=[check])
    assert check.history["step"] == [10, 20], "epochs have 8 steps"
    assert np.isfinite(check.history["generator_loss"]).all()
    assert "has not looked" not in capsys.readouterr().out
    tiny_gan().fit(data.pipeline(digits, batch_size=8), verbose=0, callbacks=[check])
    assert "HealthCheck has not looked: the run took 8 steps, and every=10" in capsys.readouterr().out
    gan, batches = tiny_gan(), data.pipeline(digits, batch_size=8)
    for _ in range(2):  # the second time there is nothing left to do
        gan.fit(
            batches, verbose=0, callbacks=[callbacks.HealthCheck(digits[:16])], backup=callbacks.Backup(tmp_path / "b")
        )


class PutNaN(keras.callbacks.Callback):
    """What a step does whose gradient is NaN, at a step of the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizers["generator"].iterations) == 14:
            self.model.generator.trainable_weights[0].assign(self.model.generator.trainable_weights[0] * np.nan)


def test_nan_stops_a_run_with_the_state_of_the_last_look(digits, capsys):
    def train(steps, *extra):
        gan = tiny_gan(average=0.9)
        kept = []
        stop = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: (
                int(gan.optimizers["generator"].iterations) == steps
                and kept.extend(variable.numpy().copy() for variable in gan.state())
            )
        )
        gan.fit(data.pipeline(digits, batch_size=8), epochs=3, verbose=0, callbacks=[*extra, stop])
        return gan, kept

    _, kept = train(12)
    check = callbacks.HealthCheck(digits[:16], every=4)
    gan, _ = train(0, check, PutNaN())
    for variable, value in zip(gan.state(), kept, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)
    assert int(gan.optimizers["generator"].iterations) == 12, "weights, moments and random numbers, of two steps before"
    (finding,) = check.findings
    assert finding.name == "not a number"
    said = capsys.readouterr().out
    assert "restored to those after its step 4" in said
    assert "not a number" in said
    assert "Lower the learning rates" in said


def test_what_is_found_is_said_once_with_its_figure_and_advice(digits, capsys):
    generator, discriminator = tiny_networks(dropout=0.0)
    inputs = keras.Input((5,))
    gan = training.GAN(keras.Model(inputs, generator(0.0 * inputs)), discriminator)
    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    check = callbacks.HealthCheck(digits[:16], every=1)
    gan.fit(data.pipeline(digits, batch_size=8), verbose=0, callbacks=[check])
    said = [line for line in capsys.readouterr().out.splitlines() if "mode collapse" in line]
    assert len(said) == 1
    said_first, _, _ = said[0].partition(", relative to their mean square, is ")
    assert said_first == "Step 3: mode collapse (generator): the variance of its images"
    assert "layers.Pack" in said[0]


def test_a_resumed_run_knows_what_was_measured_before(digits, tmp_path):
    def train(path, *extra, every=2):
        gan, check = tiny_gan(), callbacks.HealthCheck(digits[:16], every)
        backup = callbacks.Backup(tmp_path / path)
        gan.fit(data.pipeline(digits, batch_size=8), epochs=2, verbose=0, callbacks=[check, *extra], backup=backup)
        return gan, check

    whole, check = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("part", Interrupt(1, batch=3))
    resumed, resumed_check = train("part")
    assert_equal(whole, resumed)
    assert resumed_check.history == check.history
    with pytest.raises(ValueError, match="callbacks: 0 HealthCheck: every was 2 and is 3"):
        train("part", every=3)


def test_bad_arguments_are_named(digits):
    with pytest.raises(ValueError, match="give 8 to 1,000 images"):
        callbacks.HealthCheck(digits[:7])
    for batch in ([], {}, np.zeros((2000, 2)), (digits[:16], np.zeros(8)), ["words"] * 8):
        with pytest.raises(ValueError, match="give 8 to 1,000 images"):
            callbacks.HealthCheck(batch)
    with pytest.raises(ValueError, match="NaN or infinite, the first in row 3"):
        callbacks.HealthCheck(np.where(np.arange(16)[:, None] == 3, np.nan, np.zeros((16, 2))))
    with pytest.raises(ValueError, match="every=0"):
        callbacks.HealthCheck(digits[:8], every=0)
