"""Lesson 05: its quiz, its stored runs, and what its code by hand must equal."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganutils import losses
from ganutils.checks import training_stability as checks

from .test_tools import load_tool

TOOL = load_tool("record_stability")
RECORD = json.loads(TOOL.FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lesson():
    """Return the names that all cells of functions define, those of recipes and those by hand."""
    names, digest = TOOL.recipes()
    cells = json.loads(TOOL.NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if (source := "".join(cell["source"])).startswith(
            ("def gradient_penalty", "def earth_movers", "def closeness")
        ):
            exec(source.split("\n\n\nrng")[0], names)
    return names | {"digest": digest}


def answers():
    return {letter: checks._run(letter).get("expected", checks.HEALTHY) for letter in checks.gallery()}


def test_right_diagnoses_are_all_right_and_none_is_given_away(capsys):
    assert checks.diagnose(answers()) == 7
    assert checks.diagnose(dict.fromkeys(answers(), "?")) == 0
    for letter, truth in answers().items():
        wrong = checks.HEALTHY if truth != checks.HEALTHY else "divergence"
        assert checks.diagnose(answers() | {letter: wrong}) == 6
    assert not any(truth in capsys.readouterr().out for truth in answers().values())


def test_each_name_of_the_quiz_is_needed_and_healthy_runs_are_among_them():
    assert set(answers().values()) == set(checks._HINTS)
    assert list(answers().values()).count(checks.HEALTHY) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"A": "healthy"}, "answers are for A; give one each for A, B"),
        (dict.fromkeys("ABCDEFG", "sick"), "'sick' is no name for A; choose one of healthy"),
        ("healthy", "give a dict"),
    ],
)
def test_diagnoses_that_cannot_be_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        checks.diagnose(given)


def test_the_gallery_is_drawn_from_recorded_measurements():
    for history in checks.gallery().values():
        assert {len(values) for values in history.values()} in ({len(history["step"])},)
        assert history.keys() >= {"discriminator_loss", "generator_loss", "diversity"}


def test_every_run_of_the_command_is_stored_with_todays_recipe(lesson):
    for part, key, _ in TOOL.tasks(lesson):
        assert any(key.items() <= run.items() for run in RECORD[part]), f"{part}: {key} is not recorded"
    stale = {run["recipe"] for part in RECORD.values() for run in part} - {lesson["digest"]}
    assert not stale, "the lesson's recipes have changed; remove data/reference_runs/05_training_stability.json, record"


def test_the_penalty_by_hand_is_the_packages(lesson, rng):
    critic = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    real, fake = (tf.constant(rng.normal(size=(16, 2)).astype("float32")) for _ in range(2))
    by_hand, ours = (penalty(critic, real, fake) for penalty in (lesson["gradient_penalty"], losses.GradientPenalty()))
    np.testing.assert_allclose(by_hand, ours, rtol=1e-5)


def test_closeness_by_hand_is_what_minibatch_discrimination_appends(lesson, rng):
    layer = lesson["layers"].MinibatchDiscrimination(3, 4)
    features = rng.normal(size=(6, 8)).astype("float32")
    appended = layer(features)[:, 8:]
    np.testing.assert_allclose(lesson["closeness"](features, layer.kernel, 3), appended, rtol=1e-4, atol=1e-6)


def test_the_distance_of_shifted_points_is_their_shift(lesson, rng):
    points = rng.normal(size=(40, 2))
    assert lesson["earth_movers_distance"](points, points[::-1] + np.array([0.3, 0.4])) == pytest.approx(0.5)
