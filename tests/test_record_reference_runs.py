import json

import keras
import numpy as np
import pytest

from ganutils import lessons, recipes, references
from tests.test_tools import load_tool

LESSON = "01_vanilla_gan"
# Four steps an epoch: measured after 1, 2, 3, 6 and 12 steps.
PROFILE = lessons.Profile(LESSON, "smoke", images=128, epochs=3, batch_size=32)


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The tool with folders of its own, and a measure that is quick."""
    tool = load_tool("record_reference_runs")
    monkeypatch.setattr(tool, "BUILD", tmp_path / "build")
    monkeypatch.setattr(tool, "FOLDER", tmp_path / "data")
    monkeypatch.setattr(references, "measure", lambda gan, classifier: references.Quality(12.3456789, 0.123456789))
    monkeypatch.setattr(references, "floor", lambda classifier: references.Quality(1.23456789, 0.9))
    return tool


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
        return references.Quality(12.3456789, 0.123456789)

    with monkeypatch.context() as patch:
        patch.setattr(references, "measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tool.finished_run(LESSON, PROFILE, 1, {"made": "in parts"}, None)
    parts = tool.finished_run(LESSON, PROFILE, 1, {"made": "in parts"}, None)
    assert parts["step"] == whole["step"] == [4, 8, 12]
    assert parts["measured_step"] == whole["measured_step"] == [1, 2, 3, 6, 12]
    for name in (*references.CURVES, *references.MEASURES):
        assert parts[name] == whole[name], name
    for name in ("seconds", "measured_seconds"):
        assert np.all(np.diff(parts[name]) > 0)
    assert not list(tool.BUILD.glob("*backup*"))


def test_only_a_run_of_the_same_recipe_and_code_is_taken_from_an_earlier_time(tool, monkeypatch, tmp_path):
    trained = []

    def train(lesson, profile, seed, classifier, path):
        trained.append(seed)
        return {"seed": seed}

    monkeypatch.setattr(tool, "train", train)
    description = tool.describe_run(LESSON, PROFILE)
    for _ in range(2):
        for seed in (1, 2):
            assert tool.finished_run(LESSON, PROFILE, seed, description, None) == {"seed": seed}
    assert trained == [1, 2]

    def slower(seed=0):
        gan = recipes.vanilla_gan(seed)
        gan.optimizers["generator"].learning_rate = 1e-4
        return gan

    with monkeypatch.context() as patch:
        patch.setitem(recipes.RECIPES, LESSON, slower)
        tool.finished_run(LESSON, PROFILE, 1, tool.describe_run(LESSON, PROFILE), None)
    assert trained == [1, 2, 1]
    longer = lessons.Profile(LESSON, "smoke", images=128, epochs=4, batch_size=32)
    tool.finished_run(LESSON, longer, 1, tool.describe_run(LESSON, longer), None)
    assert trained == [1, 2, 1, 1]
    (tmp_path / "losses.py").write_text("# another")
    monkeypatch.setattr(tool, "PACKAGE", tmp_path)
    tool.finished_run(LESSON, PROFILE, 1, description, None)
    assert trained == [1, 2, 1, 1, 1]


def test_what_is_recorded_can_be_loaded_and_compared_with(tool, monkeypatch):
    seeds = []

    def noted(seed=0):
        seeds.append(seed)
        return recipes.vanilla_gan(seed)

    monkeypatch.setitem(recipes.RECIPES, LESSON, noted)
    profile = lessons.Profile(LESSON, "laptop", images=128, epochs=3, batch_size=32)
    path = tool.record(LESSON, profile, seeds=2)
    assert path == tool.FOLDER / f"{LESSON}.json"
    monkeypatch.setattr(references._record, "FOLDER", tool.FOLDER)
    found = references.load(LESSON)
    assert found["command"] == f"python tools/record_reference_runs.py {LESSON} --seeds 2 --profile laptop"
    assert found["profile"] == {"name": "laptop", "images": 128, "epochs": 3, "batch_size": 32}
    assert found["recipe"] == json.loads(json.dumps(recipes.describe(recipes.vanilla_gan())))
    assert {"Python", "TensorFlow", "Keras", "CPU cores"} <= set(found["machine"])
    assert found["floor"] == {"frechet_distance": 1.235, "coverage": 0.9}
    assert [run["seed"] for run in found["runs"]] == [1, 2]
    for run in found["runs"]:
        assert run["frechet_distance"] == [12.35] * 5
        assert run["measured_step"] == [1, 2, 3, 6, 12]
        assert len(run["seconds"]) == len(run["step"]) == 3
        assert references.departures(run, LESSON) == []
    assert seeds[-2:] == [1, 2]
    losses = found["runs"][0]["generator_loss"]
    assert losses != found["runs"][1]["generator_loss"]
    assert all(len(repr(value).replace(".", "").lstrip("0")) <= tool.DIGITS for value in losses)


def test_other_profiles_stay_out_of_the_repository(tool):
    path = tool.record(LESSON, PROFILE, seeds=1)
    assert path == tool.BUILD / f"{LESSON}-smoke.json"
    assert not tool.FOLDER.exists()


def test_losses_that_are_not_finite_are_no_reference(tool, monkeypatch):
    def exploding(seed=0):
        gan = recipes.vanilla_gan(seed)
        gan.optimizers["generator"].learning_rate = 1e30
        return gan

    monkeypatch.setitem(recipes.RECIPES, LESSON, exploding)
    with pytest.raises(SystemExit, match="seed 3: the losses are not finite"):
        tool.finished_run(LESSON, PROFILE, 3, {}, None)
