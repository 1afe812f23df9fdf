import contextlib
import itertools
import linecache
import os
import re
import subprocess
import sys
import time
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganutils import checks, models, training
from ganutils.checks import conditional_gan, dcgan, evaluation, expectations, feedback, race, vanilla_gan
from tests.exercises.assignments import STUBBORN
from tests.test_tools import HUNG, ROOT


@pytest.fixture
def shown(monkeypatch):
    found = []
    monkeypatch.setattr(feedback, "display", found.append)
    return found


@checks.check("7 · Double it", "lesson 01, *Doubling*", seconds=1)
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
    assert re.search(r"see: +lesson 01, \*Doubling\*", repr(shown[0]))


def test_where_an_error_is_names_the_students_line_and_no_other(shown):
    source = "import json\n\ndef answer(x):\n    return json.loads('no JSON')\n"
    names = {}
    exec(compile(source, "/tmp/ipykernel_1/12345.py", "exec"), names)
    linecache.cache["/tmp/ipykernel_1/12345.py"] = len(source), None, source.splitlines(True), "12345.py"
    assert double(names["answer"]) == 0
    assert re.search(r"where: +line 4 of the cell: return json.loads\('no JSON'\)", repr(shown[0]))


def test_those_who_pass_may_get_a_remark(shown):
    assert feedback.judge("8", lambda: "only just", ()).lines == [("remark", "only just")]
    assert feedback.judge("8", lambda: None, ()).lines == []


def test_an_endless_loop_ends_with_a_message(shown):
    def endless(x):
        while True:
            with contextlib.suppress(Exception):
                sum(range(1000))

    assert double(endless) == 0
    assert shown[0].state == "not graded"
    assert "no answer within 1 seconds of computing: does a loop never end?" in repr(shown[0])
    assert "lesson 01, *Doubling*" in repr(shown[0])


def test_other_programs_do_not_end_a_check(shown, monkeypatch):
    """A machine that is so busy that an answer takes five times its limit on the clock, and no time of its own."""
    now = itertools.count(0.0, 0.5)
    monkeypatch.setattr(feedback.time, "monotonic", lambda: next(now))

    def waits(x):
        for _ in range(3):
            time.sleep(1.1)  # and the check looks at its clock
        return 2 * x

    assert double(waits) == 1
    monkeypatch.setattr(feedback.time, "monotonic", lambda: 10 * next(now))
    assert double(waits) == 0, "but it does not wait for ever"


def test_many_processors_do_not_end_a_check_early(shown, monkeypatch):
    """TensorFlow computes in all of them, and their times add up."""
    taken, passed = itertools.count(0.0, 10.0), itertools.count(0.0, 0.5)
    monkeypatch.setattr(feedback.time, "process_time", lambda: next(taken))
    monkeypatch.setattr(feedback.time, "monotonic", lambda: next(passed))

    def computes(x):
        for _ in range(3):
            time.sleep(0.5)  # and the check looks at its clock
        return 2 * x

    assert feedback.judge("9", lambda: computes(1), (), seconds=3).state == "passed"


def test_who_waits_for_nothing_does_not_keep_a_class_waiting(shown, monkeypatch):
    monkeypatch.setattr(feedback, "IDLE", 1)

    def asleep():
        time.sleep(1000)

    found = feedback.judge("9", asleep, (), seconds=1000)
    assert found.state == "not graded"
    assert "no answer within 1 seconds without computing" in repr(found)


def test_a_loop_that_swallows_some_alarms_ends_too(shown):
    def stubborn(x):
        for _ in range(3):
            with contextlib.suppress(BaseException):
                while True:
                    pass

    assert double(stubborn) == 0


def test_a_loop_that_swallows_all_alarms_ends_its_process_while_grading():
    code = f"""
from ganutils.checks import feedback
feedback.PATIENCE = 1

def stubborn():
{STUBBORN}

feedback.judge("9", stubborn, (), seconds=0.1)
"""
    environment = {**os.environ, "NBGRADER_EXECUTION": "autograde"}
    finished = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, timeout=HUNG)
    assert finished.returncode == 1


def test_warnings_do_not_reach_standard_error(shown, capfd):
    """nbgrader takes a cell with anything on standard error for failed."""

    def warns(x):
        warnings.warn("a student's warning", stacklevel=1)
        print("a student's remark", file=sys.stderr)
        return 2 * x

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert double(warns) == 1
    assert capfd.readouterr().err == ""
    assert caught == []


@pytest.mark.parametrize(
    ("came", "message"),
    [
        (None, "is a `return` missing"),
        ("six", "an object of type str"),
        ("6", "an object of type str"),
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


def test_a_test_that_is_not_seen_and_does_not_end_is_not_graded(shown):
    def endless():
        while True:
            pass

    def wrong():
        raise AssertionError

    assert checks.unseen({"a": (1, lambda: None), "b": (2, endless), "c": (1, wrong)}, seconds=0.2) == 1
    assert repr(shown[0]).splitlines()[0].endswith(": not graded")
    assert "b:  not graded, no answer within 0.2 seconds of computing" in repr(shown[0])
    assert "c:  0 of 1" in repr(shown[0])


def test_html_does_not_run_what_a_student_returns(shown):
    def raises(x):
        raise ValueError("<script>alert(1)</script>")

    assert double(raises) == 0
    assert "&lt;script&gt;" in shown[0]._repr_html_()
    assert "<script" not in shown[0]._repr_html_()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("look up the vector of its *label*", "vector of its <em>label</em>"),
        ("is there a `return`?", "a <code>return</code>?"),
        ("`*` and np.sqrt; whose *square* it is", "<code>*</code> and np.sqrt; whose <em>square</em> it is"),
        ("2 * x * y is x**2", "2 * x * y is x**2"),
        ("`a<b`", "<code>a&lt;b</code>"),
    ],
)
def test_messages_are_marked_up(text, html):
    assert html in feedback.Feedback("a", "not yet", [("came", text)])._repr_html_()


def test_where_to_read_exists():
    """Each lesson and section that a check names."""
    for module in (vanilla_gan, dcgan, race, conditional_gan, evaluation):
        named = [value for value in vars(module).values() if isinstance(value, str) and value.startswith("lesson ")]
        assert named
        for text in named:
            number, section = re.match(r"lesson (\d\d\w?), \*(.*?)\*", text).groups()
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


def test_who_exits_loses_one_answer_and_not_all(shown):
    tests = {"a": (1, lambda: sys.exit(0)), "b": (2, lambda: None)}
    assert checks.unseen(tests) == 2


def test_numbers_that_differ_look_different(shown):
    with pytest.raises(feedback.Wrong, match="expected a count: 12345678, got 12345679") as wrong:
        expectations.expect("a count", 12345679, 12345678, "lesson 02", rtol=0, atol=0)
    assert wrong.value.got != wrong.value.expected


def test_the_right_numbers_in_another_shape_are_told_from_other_numbers(shown):
    double(lambda x: np.array([6.0]))
    double(lambda x: np.array([7.0]))
    assert "one axis too many" in repr(shown[0])
    assert "over the wrong axes" in repr(shown[1])


@pytest.mark.parametrize(("every", "share"), [(1, 1.0), (4, 0.25)])
def test_the_race_counts_the_multiplications_of_every_pass(every, share):
    """Of a dense layer from 784 to 1, and of one from 3 to 784, with 64 images."""

    class Slopes:
        def __call__(self, discriminate, real_images, fake_images):
            with tf.GradientTape() as tape:
                tape.watch(real_images)
                total = tf.reduce_sum(discriminate(real_images) ** 2)
            return tf.reduce_mean(tape.gradient(total, real_images) ** 2)

    def multiplications(penalty):
        latents, images = keras.Input((3,)), keras.Input((28, 28, 1))
        generator = keras.Model(latents, keras.layers.Reshape((28, 28, 1))(keras.layers.Dense(784)(latents)))
        discriminator = keras.Model(images, keras.layers.Dense(1)(keras.layers.Flatten()(images)))
        gan = training.GAN(generator, discriminator, penalty=penalty)
        gan.compile("adam", "adam")
        return race.multiplications_of_a_step(gan)

    dense = 64 * 784
    # The generator there and back to its kernel; the discriminator for real and generated images there and back to its
    # kernel, and once back to the generated pixels.
    plain = dense * (3 + 3 + 2 + 2 + 1)
    assert multiplications(None) == plain
    penalty = Slopes()
    penalty.every = every
    # There, back to the pixels, and for the gradient of that: back to the kernel along both ways, and to the logits.
    assert multiplications(penalty) - plain == pytest.approx(share * 5 * dense)


def test_the_budget_is_that_of_the_baseline():
    assert race.multiplications_of_a_step(race.baseline()) == race.MULTIPLICATIONS_OF_THE_BASELINE


def test_a_trained_gan_is_not_raced_again(monkeypatch):
    gan = race.baseline()
    gan.optimizers["generator"].iterations.assign(1)
    with pytest.raises(ValueError, match="already trained"):
        race.race(lambda: gan)
