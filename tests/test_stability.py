"""Lesson 05: its quiz, its stored runs, and what its code by hand must equal."""

import json

import numpy as np
import pytest

from ganutils.checks import training_stability as checks

from .test_tools import load_tool

TOOL = load_tool("record_stability")
RECORD = json.loads(TOOL.FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lesson():
    """Return the names that all cells of functions define, those of recipes and those by hand."""
    names, digests = TOOL.recipes()
    cells = json.loads(TOOL.NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if cell["id"] == "earth-movers-distance":
            exec("".join(cell["source"]), names)
    return names | {"digests": digests}


ANSWERS = {
    "A": "vanishing generator gradient",
    "B": "healthy",
    "C": "oscillation",
    "D": "mode collapse",
    "E": "discriminator too strong",
    "F": "healthy",
    "G": "divergence",
}


def test_right_diagnoses_are_all_right_and_none_is_given_away(capsys):
    assert checks.diagnose(ANSWERS) == 7
    assert checks.diagnose(dict.fromkeys(ANSWERS, "?")) == 0
    for letter, truth in ANSWERS.items():
        wrong = checks.HEALTHY if truth != checks.HEALTHY else "divergence"
        assert checks.diagnose(ANSWERS | {letter: wrong}) == 6
    assert not any(truth in capsys.readouterr().out for truth in ANSWERS.values())


def test_each_name_of_the_quiz_is_needed():
    assert set(ANSWERS.values()) == set(checks._HINTS)


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
        assert {len(values) for values in history.values()} == {16}, "equal lengths, which give nothing away"
        assert history.keys() >= {"discriminator_loss", "generator_loss", "diversity"}


def test_every_run_of_the_command_is_stored_with_todays_recipe(lesson):
    for part, key, _ in TOOL.tasks(lesson):
        assert any(key.items() <= run.items() for run in RECORD[part]), f"{part}: {key} is not recorded"
    stale = [part for part, runs in RECORD.items() if {run["recipe"] for run in runs} != {lesson["digests"][part]}]
    assert not stale, f"the recipes of {stale} have changed; run `python tools/record_stability.py {' '.join(stale)}`"


def test_a_run_takes_the_place_of_its_predecessor(tmp_path, monkeypatch):
    monkeypatch.setattr(TOOL, "FILE", tmp_path / "runs.json")
    TOOL.add("map", {"seed": 1}, {"modes": 3.0, "recipe": "old"})
    TOOL.add("map", {"seed": 2}, {"modes": 4.0, "recipe": "old"})
    TOOL.add("map", {"seed": 1}, {"modes": 5.0, "recipe": "new"})
    assert sorted(TOOL.stored()["map"], key=lambda run: run["seed"]) == [
        {"seed": 1, "modes": 5.0, "recipe": "new"},
        {"seed": 2, "modes": 4.0, "recipe": "old"},
    ]


def test_the_distance_of_shifted_points_is_their_shift(lesson, rng):
    points = rng.normal(size=(40, 2))
    assert lesson["earth_movers_distance"](points, points[::-1] + np.array([0.3, 0.4])) == pytest.approx(0.5)
