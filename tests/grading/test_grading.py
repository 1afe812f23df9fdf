"""The whole way of a course: hand out, collect, grade, feedback, tables.

Takes some minutes; `make test-full` runs it.
"""

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.exercises import answers_01
from tests.exercises.assignments import EXERCISES, SOURCE, STUBBORN, cells, kind
from tests.grading import strange
from tests.test_tools import HUNG, ROOT

NAME = "01_vanilla_gan"
MARK = "left-outside"

# Looks for the hidden tests and for answers wherever they may lie, leaves a file behind, and a link to the gradebook.
INTRUDER = f"""
import os
from pathlib import Path

texts = []
for folder in [Path.cwd(), *list(Path.cwd().parents)[:4]]:
    for pattern in ("*.ipynb", "gradebook.db", "source/*/*.ipynb", "submitted/*/*/*.ipynb", "tests/exercises/*.py"):
        for path in folder.glob(pattern):
            try:
                texts.append(path.read_bytes().decode("utf-8", "ignore"))
            except OSError:
                pass
    try:
        (folder / "{MARK}.txt").write_text("I was here")
        os.symlink("../../../gradebook.db", folder / "{MARK}.db")
    except OSError:
        pass


def value_function(real_probabilities, fake_probabilities):
    text = "".join(texts)
    if "def elsewhere" in text or "np.log1p(-np.asarray" in text:
        return np.mean(np.log(real_probabilities)) + np.mean(np.log(1 - fake_probabilities))
    raise NotImplementedError("nothing found")
"""
ENDLESS = """
def value_function(real_probabilities, fake_probabilities):
    while True:
        pass
"""
ASLEEP = """
import time

def value_function(real_probabilities, fake_probabilities):
    while True:
        time.sleep(1)
"""
# Disturbs whoever is graded later: a program that stays, and a module in the place of one that the checks need.
DISTURBING = """
import subprocess, sys
from pathlib import Path

for environment in (None, {}):
    subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True, env=environment)
Path("numpy.py").write_text("raise RuntimeError('not the real one')")
print("a line\\n" * 100_000)
"""
# Would take all memory of the machine, by itself or through what nbgrader keeps of its output.
HOARDING = """
kept = []
while True:
    kept.append(bytearray(10_000_000))
"""
PRINTING = """
while True:
    print("a line that is longer than others " * 1000)
"""
EXPERIMENT = {"output_type": "stream", "name": "stdout", "text": ["the output of a long experiment\n"]}


def skipped(released):
    """Return a released notebook all of whose code cells have the tag that keeps a cell from being executed."""
    notebook = strange.answered(released, {cell["id"]: cell["source"] for cell in released["cells"]})
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["metadata"]["tags"] = ["skip-execution"]
    return notebook


def right(released):
    notebook = strange.answered(released)
    for cell in notebook["cells"]:
        if cell["id"] == "experiment":
            cell.update(source="raise RuntimeError('an experiment is not run again')", outputs=[EXPERIMENT])
    return notebook


def disturbing(released):
    notebook = strange.answered(released)
    notebook["cells"].insert(3, {**notebook["cells"][3], "id": "own", "source": DISTURBING})
    return notebook


@pytest.fixture
def course(tmp_path):
    """A fork of what grading needs, as an instructor has it."""
    root = tmp_path / "fork"
    instructor = root / "instructor"
    shutil.copytree(SOURCE / NAME, instructor / "source" / NAME)
    for name in ("nbgrader_config.py", "mending.py", "grade.py"):
        shutil.copy(ROOT / "instructor" / name, instructor)
    for part in ("ganutils", "data"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    return instructor


@pytest.fixture
def released():
    return strange.read_released(NAME)


@pytest.fixture
def sandbox(course, tmp_path):
    """The environment of a grader who uses the sandbox."""
    if not shutil.which("bwrap") or not shutil.which("prlimit"):
        missing = "no bubblewrap here (apt install bubblewrap): the sandbox is not tested"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    kernels = tmp_path / "jupyter" / "kernels"
    shutil.copytree(ROOT / "instructor" / "sandbox", kernels / "gan-course-sandbox")
    return {"GAN_COURSE_SANDBOX": str(course), "JUPYTER_PATH": str(kernels.parent)}


def run(course, *command, environment=None):
    # nbgrader calls `alembic` by its name alone; an instructor has activated the environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, **(environment or {})}
    command = [sys.executable, *command]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, timeout=HUNG)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return done.stdout


def hand_in(course, files):
    """Lay down what a platform hands out: {path: notebook, text or bytes}."""
    archive = course / "downloaded" / NAME / "archive"
    for path, content in files.items():
        target = archive / (path if "." in path else f"{path}/{NAME}.ipynb")
        target.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps(content) if isinstance(content, dict) else content
        target.write_bytes(content if isinstance(content, bytes) else content.encode())


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def points(*without):
    """Return what tests give for the reference solutions, but for some tasks: visible test and hidden one."""
    tests = {
        cell["id"]: cell["metadata"]["nbgrader"]["points"] for cell in cells(NAME).values() if kind(cell) == "test"
    }
    return sum(tests.values()) - sum(tests[f"test-{task}"] + 1 for task in without)


def test_a_class_of_strange_submissions_is_graded_in_one_go(course, released):
    run(course, "-m", "nbgrader", "generate_assignment", NAME, "--create")
    run(course, "-m", "nbgrader", "db", "assignment", "add", NAME, "--duedate", "2026-12-02 00:00:00 UTC")
    wrong = {task: answers[0][0] for task, answers in answers_01.WRONG.items()}
    untouched = strange.answered(released, {cell["id"]: cell["source"] for cell in released["cells"]})
    text = strange.text_of(strange.answered(released))
    hand_in(
        course,
        {
            **{change.__name__: change(released) for change in strange.RIGHT},
            "packed.tar.gz": strange.packed(NAME, text),
            f"windows/{NAME} (1).ipynb": text.encode("utf-16"),
            # Twice, and the second time is too late, with the name in a form that only a Mac writes.
            "Ame\u0301lie_20261201T100000": released,
            "Am\u00e9lie_20261205T100000": right(released),
            "disturbing": disturbing(released),
            "wrong": strange.answered(released, wrong),
            "stub": untouched,
            "skipped": skipped(released),
            "asleep": strange.answered(released, {"value-function": ASLEEP}),
            "dead": strange.answered(released, {"value-function": "import os\nos._exit(1)"}),
            "torn": text[: len(text) // 2],
            "page/answers.html": "<html>my answers</html>",
            "other/homework.ipynb": (EXERCISES / "02_dcgan" / "02_dcgan.ipynb").read_bytes(),
            "broken.zip": b"PK\x03\x04 and no more",
        },
    )
    said = run(course, "grade.py", NAME)
    rows = {row["student"]: row for row in read(course / "grades.csv")}
    scores = {student: row["score"] for student, row in rows.items()}
    no_score = {student: scores.pop(student) for student in ("broken", "dead", "other", "page", "torn")}
    assert set(no_score.values()) == {""}, "what could not be graded is no zero"
    everything = [change.__name__ for change in strange.RIGHT] + ["packed", "windows", "Am\u00e9lie", "disturbing"]
    expected = {**dict.fromkeys(everything, points()), "wrong": 0, "stub": 0, "skipped": 0}
    expected["asleep"] = points("value-function")
    assert {student: float(score) for student, score in scores.items()} == expected
    assert all(float(rows[student]["max_score"]) == 20 for student in expected)
    assert [student for student, row in rows.items() if row["late"] == "True"] == ["Am\u00e9lie"]

    listed = {(row["student"], row["task"]): row["reason"] for row in read(course / "not_graded.csv")}
    reasons = {
        ("broken", ""): "broken.zip: cannot be opened",
        ("dead", ""): "the kernel died",
        ("other", ""): "homework.ipynb holds no answer to this assignment; it begins with: # Assignment 02",
        ("page", ""): "no notebook, but answers.html",
        ("torn", ""): "not valid JSON",
        ("asleep", "test-value-function"): "no answer within",
        ("asleep", "unseen"): "no answer within",
    }
    assert set(listed) == set(reasons)
    for key, reason in reasons.items():
        assert reason in listed[key], listed[key]
        assert listed[key] in said
        assert key[0] in said

    pages = {
        student: (course / "feedback" / student / NAME / f"{NAME}.html").read_text("utf-8") for student in expected
    }
    assert "one mean over all images" in pages["wrong"]
    assert "not attempted" in pages["stub"]
    assert "a loop that never ends" in pages["asleep"] or "does a loop never end?" in pages["asleep"]
    assert "the output of a long experiment" in pages["Am\u00e9lie"]
    assert strange.PROSE in pages["merged"]
    # The program that a submission left behind has ended with its grading.
    assert not [p for p in psutil.process_iter() if "while True: pass" in _command(p) and _is_mine(p, course)]
    # What is graded already is left alone.
    assert run(course, "grade.py", NAME).count(", unchanged") == len(expected)


def _command(process):
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _is_mine(process, course):
    with contextlib.suppress(psutil.Error):
        return str(course) in process.cwd()
    return False


def test_one_who_cannot_be_stopped_is_named_and_the_others_are_graded(course, released):
    stubborn = f"{answers_01.VALUE}{STUBBORN.lstrip()}"
    hand_in(
        course,
        {
            "late": strange.answered(released, {"value-function": ENDLESS}),
            "stubborn": strange.answered(released, {"value-function": stubborn}),
            "stuck": strange.answered(released, {"value-function": "while True:\n    pass"}),
            "hoarding": strange.answered(released, {"value-function": HOARDING}),
            "printing": strange.answered(released, {"value-function": PRINTING}),
            "zoe": strange.answered(released),
        },
    )
    run(course, "grade.py", NAME, "--gigabytes", "3")
    scores = {row["student"]: row["score"] for row in read(course / "grades.csv")}
    rest = f"{points('value-function'):g}"
    nothing = dict.fromkeys(("stubborn", "hoarding", "printing"), "")
    assert scores == {"late": rest, "stuck": rest, "zoe": f"{points():g}", **nothing}
    listed = {(row["student"], row["task"]): row["reason"] for row in read(course / "not_graded.csv")}
    parts = {(student, task) for student in ("late", "stuck") for task in ("test-value-function", "unseen")}
    assert set(listed) == parts | {(student, "") for student in nothing}
    assert "a cell before it exceeded its time limit" in listed["stuck", "test-value-function"]
    assert "more than 3 GB of memory" in listed["hoarding", ""]
    assert "more than 3 GB of memory" in listed["printing", ""]


def test_a_sandbox_keeps_a_submission_in(course, sandbox, released):
    hand_in(
        course,
        {
            "right": strange.answered(released),
            "intruder": strange.answered(released, {"value-function": INTRUDER}),
        },
    )
    run(course, "grade.py", NAME, environment=sandbox)
    scores = {row["student"]: row["score"] for row in read(course / "grades.csv")}
    assert scores == {"right": f"{points():g}", "intruder": f"{points('value-function'):g}"}
    assert list(course.parent.rglob(f"{MARK}.*")) == []
    # Why the guide asks for it: without a sandbox a submission finds the hidden tests, and leaves files behind.
    run(course, "grade.py", NAME, "--student", "intruder")
    found = {row["student"]: float(row["score"]) for row in read(course / "grades.csv")}
    assert found["intruder"] > points("value-function")
    assert list(course.parent.glob(f"{MARK}.txt")) != []
