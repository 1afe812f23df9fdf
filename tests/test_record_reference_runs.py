import keras
import numpy as np
import pytest
import recipes

from ganutils import evaluation, lessons, references
from tests.test_tools import load_tool

LESSON = "01_vanilla_gan"
# Four steps an epoch: measured after 1, 2, 3, 6 and 12 steps.
PROFILE = lessons.Profile(LESSON, "smoke", images=128, epochs=3, batch_size=32)
NAMES = ("discriminator_loss", "generator_loss", "real_accuracy", "fake_accuracy", "frechet_distance", "coverage")


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The tool with folders of its own, and a measure that is quick."""
    tool = load_tool("record_reference_runs")
    monkeypatch.setattr(tool, "BUILD", tmp_path / "build")
    monkeypatch.setattr(tool, "FOLDER", tmp_path / "data")
    monkeypatch.setattr(references, "FOLDER", tmp_path / "data")
    monkeypatch.setattr(evaluation, "measure", lambda gan, classifier: evaluation.Quality(12.3456789, 0.123456789))
    monkeypatch.setattr(evaluation, "floor", lambda classifier: evaluation.Quality(1.23456789, 0.9))
    return tool


def with_rate(rate):
    """The recipe of the lesson with another learning rate of its generator."""

    def recipe(seed=0):
        gan = recipes.vanilla_gan(seed)
        gan.optimizers["generator"].learning_rate = rate
        return gan

    return recipe


def test_moments_double_and_end_with_the_run(tool):
    assert tool.moments(5622) == [44, 88, 176, 351, 703, 1406, 2811, 5622]
    assert tool.moments(8) == [1, 2, 4, 8]
    assert tool.moments(1) == [1]


def test_measuring_and_building_the_graph_take_no_time(tool, make_gan, digits, monkeypatch):
    now = [0.0]

    def later(seconds):
        now[0] += seconds

    monkeypatch.setattr(tool.time, "perf_counter", lambda: now[0])

    def slowly(gan):
        later(1000.0)
        return 1.0, 0.5

    class Step(keras.callbacks.Callback):
        """The first step takes 100 seconds, and each later one takes one."""

        def on_train_batch_end(self, batch, logs=None):
            later(1.0 if batch else 100.0)

    measurements = tool.Measurements([1, 4, 6], slowly)
    make_gan().fit(digits, epochs=1, batch_size=8, verbose=0, callbacks=[Step(), measurements])
    assert measurements.seconds == list(range(8))
    assert measurements.measured == {1: (1.0, 0.5), 4: (1.0, 0.5), 6: (1.0, 0.5)}


def test_a_run_that_is_interrupted_ends_as_if_it_had_not_been(tool, monkeypatch):
    whole = tool.finished_run(LESSON, PROFILE, 1, {"made": "at once"}, None)

    def interrupted(gan, classifier):
        if int(gan.optimizers["generator"].iterations) == 12:
            raise KeyboardInterrupt
        return evaluation.Quality(12.3456789, 0.123456789)

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tool.finished_run(LESSON, PROFILE, 1, {"made": "in parts"}, None)
    parts = tool.finished_run(LESSON, PROFILE, 1, {"made": "in parts"}, None)
    assert parts["step"] == whole["step"] == [4, 8, 12]
    assert parts["measured_step"] == whole["measured_step"] == [1, 2, 3, 6, 12]
    for name in NAMES:
        assert list(parts[name]) == list(whole[name]), name
    for name in ("seconds", "measured_seconds"):
        assert np.all(np.diff(parts[name]) > 0)
    assert not list(tool.BUILD.glob("*backup*"))


def test_only_a_run_of_the_same_recipe_is_taken_from_an_earlier_time(tool, monkeypatch):
    trained = []
    monkeypatch.setattr(tool, "train", lambda lesson, profile, seed, *_: trained.append(seed) or {"seed": seed})

    def finished(profile=PROFILE, seed=1):
        return tool.finished_run(LESSON, profile, seed, tool.describe_run(LESSON, profile), None)

    for _ in range(2):
        for seed in (1, 2):
            assert finished(seed=seed) == {"seed": seed}
    assert trained == [1, 2]
    finished(lessons.Profile(LESSON, "smoke", images=128, epochs=4, batch_size=32))
    assert trained == [1, 2, 1]

    monkeypatch.setitem(recipes.RECIPES, LESSON, with_rate(1e-4))
    finished()
    assert trained == [1, 2, 1, 1]


def test_what_is_recorded_can_be_loaded_and_compared_with(tool):
    laptop = lessons.Profile(LESSON, "laptop", images=128, epochs=3, batch_size=32)
    path = tool.record(LESSON, laptop, seeds=2)
    assert path == tool.FOLDER / f"{LESSON}.json"
    found = references.load(LESSON)
    assert found["recipe"]["networks"].keys() == {"discriminator", "generator"}
    assert found["profile"] == {"name": "laptop", "images": 128, "epochs": 3, "batch_size": 32}
    assert found["floor"] == {"frechet_distance": 1.235, "coverage": 0.9}
    assert [run["seed"] for run in found["runs"]] == [1, 2]
    assert found["runs"][0]["generator_loss"] != found["runs"][1]["generator_loss"]
    assert found["runs"][0]["frechet_distance"] == [12.35] * 5
    assert references.compare({"step": found["step"], **found["runs"][0]}, LESSON).normal
    assert all(len(repr(v).replace(".", "").lstrip("0")) <= tool.DIGITS for v in found["runs"][0]["generator_loss"])


def test_other_profiles_stay_out_of_the_repository(tool):
    assert tool.record(LESSON, PROFILE, seeds=1) == tool.BUILD / f"{LESSON}-smoke.json"
    assert not tool.FOLDER.exists()


def test_losses_that_are_not_finite_are_no_reference(tool, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, LESSON, with_rate(1e30))
    with pytest.raises(SystemExit, match="seed 3: the losses are not finite"):
        tool.finished_run(LESSON, PROFILE, 3, {}, None)
