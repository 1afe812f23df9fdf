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


def test_the_answers_of_exercises_are_those_of_their_runs():
    cells = json.loads(TOOL.NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    (lesson_text,) = ("".join(cell["source"]) for cell in cells if "## Exercises" in "".join(cell["source"]))

    def values(what, part="exercises", seeds=(0, 1, 2), **key):
        runs = [run for run in RECORD[part] if key.items() <= run.items() and run["seed"] in seeds]
        assert len(runs) == len(seeds)
        return sorted(run[what] for run in runs)

    for what, name, scale, text in (
        ("on_blobs", "packs of 4", 100, "Packs of 4: {:.0f} to {:.0f}% of the points"),
        ("modes", "packs of 4", 1, "of the points, {:.1f} to {:.1f} modes;"),
        ("on_blobs", "packs of 2, R1", 100, "Packs of 2 and R1: {:.0f} to {:.0f}%"),
    ):
        least, _, most = values(what, cure=name)
        assert text.format(scale * least, scale * most) in lesson_text
    least, _, most = values("on_blobs", "collapse", cure="packs of 2")
    assert f"{100 * least:.0f} to {100 * most:.0f}% of the points onto blobs, in the stored runs" in lesson_text
    bug, right = (values("slope", norm_over=axes) for axes in ("the last axis", "all axes"))
    assert f"{bug[0]:,.0f} to {bug[2]:,.0f} with the bug, {right[0]:.1f} to {right[2]:.1f} without" in lesson_text
    assert values("said", name="non-saturating, R1") == ["", "", ""]
    assert values("said", name="non-saturating") == ["", "discriminator too strong", "discriminator too strong"]
    _, *steps = values("first", name="non-saturating")
    assert "at step {} and at step {}".format(*steps) in lesson_text
    low, high, third = values("least", name="non-saturating")
    assert f"down to {high:.1g} and {low:.1g} times" in lesson_text
    assert f"In the third seed it went down to {third:.1g}," in lesson_text
    least, _, most = values("least", name="non-saturating, R1")
    assert f"the lowest were {least:.1g} to {most:.2g}." in lesson_text


def test_what_the_lesson_says_of_the_literatures_tables_is_what_they_hold():
    runs = {
        name: json.loads((TOOL.NOTEBOOK.parents[1] / "benchmarks" / "results" / f"{name}.json").read_text())["runs"]
        for name in ("mixtures", "stacked_mnist")
    }

    def values(name, what, *configuration):
        found = [(run["seed"], run[what]) for run in runs[name] if run["configuration"] == list(configuration)]
        return [value for _, value in sorted(found)]

    modes = {(data, k): values("mixtures", "modes", data, k) for data in ("ring", "grid") for k in (1, 2, 4)}
    assert modes["ring", 1] == modes["ring", 2] == [8] * 5
    assert 0.2 < 1 - np.mean(modes["grid", 1]) / 25 < 0.4
    assert modes["grid", 2] == [25] * 5
    assert (min(modes["grid", 4]), max(modes["grid", 4])) == (22, 25)
    assert sum(share < 0.5 for share in values("mixtures", "high_quality", "grid", 4)) == 4
    for (data, k), theirs in zip(modes, (0.982, 0.956, None, 0.948, 0.913, 0.936), strict=True):
        assert theirs is None or np.mean(values("mixtures", "high_quality", data, k)) < theirs
    found = {
        name: values("stacked_mnist", "modes", name)
        for name in {run["configuration"][0] for run in runs["stacked_mnist"]}
    }
    assert found["plain, D a half"] == found["plain, D a quarter"] == [1] * 3
    assert 600 < np.mean(found["plain, D a quarter, G with batch norm"]) < 800
    packs = sorted(found["packs of 2, D a half"] + found["packs of 2, D a quarter"])
    assert packs[3] == 41
    assert packs[4] > 200
    assert max(found["non-saturating + R1"]) < 100
    pairs = zip(found["relativistic + R1 + R2"], found["non-saturating + R1 + R2"], strict=True)
    assert all(relativistic > plain > 600 for relativistic, plain in pairs)
    assert min(found["this course's recipe"]) >= 990


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
