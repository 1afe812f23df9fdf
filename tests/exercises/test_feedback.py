import contextlib
import re
import time
import warnings

import numpy as np
import pytest

from ganutils import checks
from ganutils.checks import conditional_gan, dcgan, evaluation, feedback, vanilla_gan
from tests.test_tools import ROOT


@pytest.fixture
def shown(monkeypatch):
    found = []
    monkeypatch.setattr(feedback, "display", found.append)
    return found


@checks.check("7 · Double it", seconds=1)
def double(answer):
    checks.expect("twice 3", answer(3), 6, "lesson 01, *Summary*", [(9, "a square")], otherwise="add it to itself")


def test_passed_not_yet_and_not_attempted_are_told_apart(shown):
    def stub(x):
        raise NotImplementedError("double: your code goes here")

    assert [double(lambda x: 2 * x, points=3), double(lambda x: x**2, points=3), double(stub, points=3)] == [3, 0, 0]
    assert [found.state for found in shown] == ["passed", "not yet", "not attempted"]
    assert "a square" in repr(shown[1])
    assert "expected:      twice 3: 6" in repr(shown[1])
    assert "<b>likely cause:</b> a square" in shown[1]._repr_html_()
    assert "NotImplementedError" in repr(shown[2])
    assert "Traceback" not in repr(shown[2])


def test_another_not_implemented_error_is_no_stub(shown):
    """TensorFlow raises one where a graph meets NumPy, and Keras where a model has no `call`."""

    def raises(x):
        raise NotImplementedError("Cannot convert a symbolic tf.Tensor to a numpy array")

    assert double(raises) == 0
    assert shown[0].state == "not yet"
    assert "Cannot convert" in repr(shown[0])


def test_an_error_in_a_students_code_becomes_a_part_of_the_feedback(shown):
    source = "def answer(x):\n    return x.upper()"
    names = {}
    exec(compile(source, "<ipython-input-3>", "exec"), names)
    assert double(names["answer"]) == 0
    assert "AttributeError: 'int' object has no attribute 'upper'" in repr(shown[0])


def test_an_endless_loop_ends_with_a_message(shown):
    def endless(x):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)

    start = time.monotonic()
    assert double(endless) == 0
    assert time.monotonic() - start < 20
    assert "does a loop never end?" in repr(shown[0])


def test_a_loop_that_swallows_everything_ends_too(shown):
    def stubborn(x):
        for _ in range(3):
            with contextlib.suppress(BaseException):
                time.sleep(5)

    start = time.monotonic()
    assert double(stubborn) == 0
    assert time.monotonic() - start < 10


def test_warnings_do_not_reach_standard_error(shown, capfd):
    """nbgrader takes a cell with anything on standard error for failed."""

    def warns(x):
        warnings.warn("a student's warning", stacklevel=1)
        return 2 * x

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert double(warns) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("came", "message"),
    [
        (None, "is there a `return`"),
        ("six", "an object of type str"),
        ([6.0, 6.0], r"the shape \(2,\)"),
        (float("nan"), "add it to itself"),
        (7.0, "add it to itself"),
    ],
)
def test_what_is_no_right_number_is_said_in_words(shown, came, message):
    assert double(lambda x: came) == 0
    assert re.search(message, repr(shown[0]))


def test_tests_that_are_not_seen_count_each_for_itself(shown):
    def wrong():
        raise AssertionError

    tests = {"a": (1, lambda: None), "b": (2, wrong), "c": (4, lambda: 0.5), "d": (1, lambda: undefined)}  # noqa: F821
    assert checks.unseen(tests) == 3
    text = repr(shown[0])
    assert ": not yet" in text
    assert [line.split()[-3:] for line in text.splitlines()[1:]] == [
        ["1", "of", "1"],
        ["0", "of", "2"],
        ["2", "of", "4"],
        ["0", "of", "1"],
    ]


def test_html_does_not_run_what_a_student_returns(shown):
    assert double(lambda x: "<script>") == 0
    assert "<script" not in shown[0]._repr_html_()


def test_where_to_read_exists():
    """Each lesson and section that a check names."""
    for module in (vanilla_gan, dcgan, conditional_gan, evaluation):
        named = [value for value in vars(module).values() if isinstance(value, str) and value.startswith("lesson ")]
        assert named
        for text in named:
            number, section = re.match(r"lesson (\d\d), \*(.*?)\*", text).groups()
            (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
            assert re.search(
                rf"#+ {re.escape(section)}\\n|#+ {re.escape(section)}\"", path.read_text(encoding="utf-8")
            ), text


def test_examples_of_generators_are_what_their_names_say():
    real = evaluation.example("real", n=200)
    assert real.features.shape == (200, 128)
    assert len(np.unique(evaluation.example("two classes", n=200).probabilities.argmax(axis=1))) <= 4
    assert np.ptp(evaluation.example("one image", n=50).features, axis=0).max() < np.ptp(real.features, axis=0).max()
    # Each caller gets arrays of its own.
    evaluation.example("one image", n=50).features[:] = 0
    assert evaluation.example("one image", n=50).features.max() > 0
    with pytest.raises(ValueError, match="unknown kind 'ugly'; choose one of real"):
        evaluation.example("ugly")
