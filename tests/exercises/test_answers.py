"""Every task of every assignment: its reference, its stub, another style, and wrong answers with their message."""

import importlib
import re

import numpy as np
import pytest

from ganutils.checks import dcgan
from tests.exercises.assignments import EXERCISES, NAMES, Assignment, cells

ANSWERS = {name: importlib.import_module(f"tests.exercises.answers_{name[:2]}") for name in NAMES}
UNSEEN = "unseen"


@pytest.fixture(scope="module")
def assignments():
    """The assignments, each made when it is first asked for."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = Assignment(name, skip=("five-curves",))
        return made[name]

    return get


def wrong_answers():
    for name, answers in ANSWERS.items():
        for solution, wrong in answers.WRONG.items():
            for i, (code, message) in enumerate(wrong):
                yield pytest.param(name, solution, code, message, id=f"{name[:2]}-{solution}-{i}")


@pytest.mark.parametrize("name", ANSWERS)
def test_the_reference_gets_all_points(assignments, name, monkeypatch):
    assignment = assignments(name)
    names = assignment.names()
    for test in assignment.ids("test"):
        value, shown = assignment.run(test, names, monkeypatch)
        assert value == assignment.points(test), shown
        assert ": passed" in shown


@pytest.mark.parametrize("name", ANSWERS)
def test_an_untouched_notebook_gets_nothing_and_no_traceback(assignments, name, monkeypatch):
    assignment = assignments(name)
    names = assignment.names(reference=cells(name, EXERCISES))
    for test in assignment.ids("test"):
        value, shown = assignment.run(test, names, monkeypatch)
        assert value == 0
        assert ": not yet" in shown if test == UNSEEN else re.fullmatch(r"○ .*: not attempted\n.*", shown)


@pytest.mark.parametrize("name", ANSWERS)
def test_another_style_gets_all_points(assignments, name, monkeypatch):
    """The checks look at what code does, and not at its letters."""
    assignment = assignments(name)
    names = assignment.names(ANSWERS[name].OTHER_STYLE)
    for test in assignment.ids("test"):
        value, shown = assignment.run(test, names, monkeypatch)
        assert value == assignment.points(test), shown


@pytest.mark.parametrize(("name", "solution", "code", "message"), list(wrong_answers()))
def test_a_wrong_answer_gets_nothing_and_the_message_it_needs(assignments, name, solution, code, message, monkeypatch):
    assignment = assignments(name)
    names = assignment.names({solution: code})
    value, shown = assignment.run(f"test-{solution}", names, monkeypatch)
    assert value == 0
    assert ": not yet" in shown
    assert re.search(message, shown), shown
    assert re.search("see: |where: ", shown), shown


@pytest.mark.parametrize("name", [name for name, answers in ANSWERS.items() if answers.HARD_CODED])
def test_an_answer_for_the_visible_test_alone_loses_points_elsewhere(assignments, name, monkeypatch):
    assignment = assignments(name)
    for solution, code in ANSWERS[name].HARD_CODED.items():
        names = assignment.names({solution: code})
        value, shown = assignment.run(f"test-{solution}", names, monkeypatch)
        assert value == assignment.points(f"test-{solution}"), shown
        assert assignment.run(UNSEEN, names, monkeypatch)[0] < assignment.points(UNSEEN)


@pytest.mark.parametrize("name", ANSWERS)
def test_every_task_has_answers_to_test_it_with(assignments, name):
    solutions = assignments(name).ids("solution")
    assert set(ANSWERS[name].WRONG) == set(solutions)
    # A diagnosis has one right form only.
    assert set(ANSWERS[name].OTHER_STYLE) == set(solutions) - {"diagnosis"}
    assert all(len(wrong) >= 3 for wrong in ANSWERS[name].WRONG.values())


def test_a_diagnosis_that_is_wrong_in_two_letters_gets_half(assignments, monkeypatch):
    assignment = assignments("02_dcgan")
    right = assignment.names()["diagnosis"]()
    letters = list(right)
    swapped = {**right, letters[0]: right[letters[1]], letters[1]: right[letters[0]]}
    shown = []
    monkeypatch.setattr(dcgan, "display", shown.append)
    value, _ = assignment.run(
        UNSEEN, assignment.names({"diagnosis": f"def diagnosis():\n    return {swapped}"}), monkeypatch
    )
    assert value == assignment.points(UNSEEN) - 2
    # Feedback says what the named fault looks like, for the two wrong letters, and does not name the right one.
    (feedback,) = shown
    assert [heading for heading, _ in feedback.lines] == [f"{letter}, {swapped[letter]}" for letter in letters[:2]]
    assert len({text for _, text in feedback.lines}) == 2


def test_the_curves_show_the_faults_that_the_reference_names(assignments):
    """Whoever records other curves may forget to change the letters."""
    assignment = assignments("02_dcgan")
    fault_of = assignment.names()["diagnosis"]()
    assert "RIGHT = {" in assignment.cells[UNSEEN]["source"]
    assert all(f'"{letter}": "{fault}"' in assignment.cells[UNSEEN]["source"] for letter, fault in fault_of.items())
    ends = {
        fault_of[letter]: {name: np.mean(values[-4:]) for name, values in history.items()}
        for letter, history in dcgan.loss_curves().items()
    }
    assert len(ends) == 5
    rest = ends["one sigmoid too many"]
    assert rest["discriminator_loss"] == pytest.approx(2 * np.log(2), abs=0.01)
    assert (rest["real_accuracy"], rest["fake_accuracy"]) == pytest.approx((1, 0), abs=0.01)
    assert ends["discriminator never trains"]["discriminator_loss"] > 2
    assert ends["discriminator never trains"]["fake_accuracy"] < 0.05
    ahead, flipped, healthy = (ends[name] for name in ("discriminator far ahead", "targets flipped", "healthy"))
    assert ahead["discriminator_loss"] < 0.2 < 3 < ahead["generator_loss"]
    assert min(ahead["real_accuracy"], ahead["fake_accuracy"]) > 0.95
    assert flipped["discriminator_loss"] < 0.2
    assert max(flipped["real_accuracy"], flipped["fake_accuracy"]) < 0.05
    assert 0.5 < healthy["discriminator_loss"] < 1.4
    assert all(0.3 < healthy[name] < 0.99 for name in ("real_accuracy", "fake_accuracy"))
