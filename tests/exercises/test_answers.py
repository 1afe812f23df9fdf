"""Every task of every assignment: its reference, its stub, another style, and wrong answers with their message."""

import re

import pytest

from ganutils.checks import dcgan
from tests.exercises import answers_01, answers_02, answers_03, answers_04
from tests.exercises.assignments import EXERCISES, Assignment, cells

ANSWERS = {
    "01_vanilla_gan": answers_01,
    "02_dcgan": answers_02,
    "03_conditional_gan": answers_03,
    "04_evaluation": answers_04,
}
UNSEEN = "unseen"
# Shorter, and the networks are still getting worse before they get better.
SECONDS = 8.0


@pytest.fixture(autouse=True)
def short_race(monkeypatch):
    monkeypatch.setattr(dcgan, "RACE_SECONDS", SECONDS)


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


@pytest.mark.parametrize(("name", "solution", "code", "message"), wrong_answers())
def test_a_wrong_answer_gets_nothing_and_the_message_it_needs(assignments, name, solution, code, message, monkeypatch):
    assignment = assignments(name)
    names = assignment.names({solution: code})
    value, shown = assignment.run(f"test-{solution}", names, monkeypatch)
    assert value == 0
    assert ": not yet" in shown
    assert re.search(message, shown), shown
    assert re.search("read again: |where: ", shown), shown


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
