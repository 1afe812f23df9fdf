"""The whole way of a course, with nbgrader's own commands: hand out, collect, autograde, feedback, export.

Takes some minutes; `make test-full` runs it.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.exercises import answers_01
from tests.exercises.assignments import SOURCE, STUBBORN, cells, kind
from tests.test_tools import ROOT

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
EXPERIMENT = {"output_type": "stream", "name": "stdout", "text": ["the output of a long experiment\n"]}


def submission(released, answers, prose=None):
    """Return a released notebook with some answers put in, as text."""
    notebook = json.loads(released)
    for cell in notebook["cells"]:
        if cell["id"] in answers:
            cell["source"] = answers[cell["id"]]
        elif kind(cell) == "manual" and prose:
            cell["source"] = prose
        if cell["id"] == "experiment" and prose:
            cell["source"] = "raise RuntimeError('an experiment is not run again')"
            cell["outputs"] = [EXPERIMENT]
    return json.dumps(notebook)


def reference():
    return {cell_id: cell["source"] for cell_id, cell in cells(NAME).items() if kind(cell) == "solution"}


def skipped(released):
    """Return a released notebook all of whose code cells have the tag that keeps a cell from being executed."""
    notebook = json.loads(released)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["metadata"]["tags"] = ["skip-execution"]
    return json.dumps(notebook)


def submissions(released):
    """Return {student with the time of handing in: notebook}."""
    wrong = {task: answers[0][0] for task, answers in answers_01.WRONG.items()}
    return {
        "right_20261201T100000": submission(released, reference(), "Both explanations, and the experiment."),
        "wrong_20261201T100000": submission(released, wrong),
        "stub_20261201T100000": released,
        "late_20261205T100000": submission(released, {**reference(), "value-function": ENDLESS}),
        "stubborn_20261201T100000": submission(
            released, {**reference(), "value-function": f"{answers_01.VALUE}{STUBBORN.lstrip()}"}
        ),
        "stuck_20261201T100000": submission(released, {**reference(), "value-function": "while True:\n    pass"}),
        "intruder_20261201T100000": submission(released, {"value-function": INTRUDER}),
        "skipped_20261201T100000": skipped(released),
        "torn_20261201T100000": released[: len(released) // 2],
    }


@pytest.fixture
def course(tmp_path):
    """A fork of what grading needs, as an instructor has it."""
    root = tmp_path / "fork"
    instructor = root / "instructor"
    shutil.copytree(SOURCE / NAME, instructor / "source" / NAME)
    shutil.copy(ROOT / "instructor" / "nbgrader_config.py", instructor)
    for part in ("ganutils", "data"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    return instructor


def nbgrader(course, *arguments, environment=None, code=0):
    command = [sys.executable, "-m", "nbgrader", *arguments]
    # nbgrader calls `alembic` by its name alone; an instructor has activated the environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, **(environment or {})}
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, timeout=1500)
    assert done.returncode == code, done.stderr[-4000:]
    return done.stderr


@pytest.fixture
def sandbox(course, tmp_path):
    """The environment of a grader who uses the sandbox."""
    if not shutil.which("bwrap") or not shutil.which("prlimit"):
        missing = "no bubblewrap here (apt install bubblewrap): the sandbox is not tested"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    kernels = tmp_path / "jupyter" / "kernels"
    shutil.copytree(ROOT / "instructor" / "sandbox", kernels / "gan-course-sandbox")
    return {"GAN_COURSE_SANDBOX": str(course), "JUPYTER_PATH": str(kernels.parent)}


def hand_out_and_collect(course, chosen=None):
    nbgrader(course, "generate_assignment", NAME)
    nbgrader(course, "db", "assignment", "add", NAME, "--duedate", "2026-12-02 00:00:00 UTC")
    released = (course / "release" / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8")
    archive = course / "downloaded" / NAME / "archive"
    archive.mkdir(parents=True)
    for student, notebook in submissions(released).items():
        if chosen is None or student.split("_")[0] in chosen:
            if student.startswith("stub"):  # the folder as JupyterLab keeps it, in a zip
                with zipfile.ZipFile(archive / f"{student}.zip", "w") as packed:
                    packed.writestr(f"{NAME}/{NAME}.ipynb", notebook)
                    packed.writestr(f"{NAME}/.ipynb_checkpoints/{NAME}-checkpoint.ipynb", "{}")
            else:
                (archive / student).mkdir()
                (archive / student / f"{NAME}.ipynb").write_text(notebook, encoding="utf-8")
    nbgrader(course, "zip_collect", NAME)


def points(*without):
    """Return what tests give for the reference solutions, but for some tasks: visible test and hidden one."""
    tests = {
        cell["id"]: cell["metadata"]["nbgrader"]["points"] for cell in cells(NAME).values() if kind(cell) == "test"
    }
    return sum(tests.values()) - sum(tests[f"test-{task}"] + 1 for task in without)


def grades(course):
    nbgrader(course, "generate_feedback", NAME)
    nbgrader(course, "export", "--to", "grades.csv")
    with open(course / "grades.csv", encoding="utf-8") as file:
        return {row["student_id"]: row for row in csv.DictReader(file)}


def test_from_handing_out_to_a_table_of_grades(course):
    hand_out_and_collect(course, ("right", "wrong", "stub", "late", "stuck", "skipped", "torn", "intruder"))
    # One is no notebook at all: nbgrader says so at the end, and has graded the others.
    messages = nbgrader(course, "autograde", NAME, code=1)
    assert "'torn'" in messages
    found = grades(course)
    # The points of tests alone; the others come from an instructor who reads prose.
    scores = {student: float(row["raw_score"]) for student, row in found.items() if student != "torn"}
    late = points("value-function")
    # Why the guide asks for a sandbox: without one, a submission finds the hidden tests, and leaves files behind.
    assert scores.pop("intruder") > 0
    assert list(course.parent.glob(f"{MARK}.txt")) != []
    assert scores == {"right": points(), "wrong": 0, "stub": 0, "late": late, "stuck": late, "skipped": 0}
    assert all(float(row["max_score"]) == 20 for row in found.values())
    assert [name for name, row in found.items() if row["timestamp"] > row["duedate"]] == ["late"]

    texts = {
        student: (course / "feedback" / student / NAME / f"{NAME}.html").read_text(encoding="utf-8")
        for student in scores
    }
    assert "one mean over all images" in texts["wrong"]
    assert "not attempted" in texts["stub"]
    assert "does a loop never end?" in texts["late"]
    assert "the output of a long experiment" in texts["right"]


def test_a_sandbox_keeps_a_submission_in(course, sandbox):
    hand_out_and_collect(course, ("right", "late", "stubborn", "intruder"))
    messages = nbgrader(course, "autograde", NAME, environment=sandbox, code=1)
    assert "'stubborn'" in messages  # it ended its kernel
    found = {student: float(row["raw_score"] or 0) for student, row in grades(course).items() if student != "stubborn"}
    assert found == {"right": points(), "late": points("value-function"), "intruder": 0}
    assert list(course.parent.rglob(f"{MARK}.*")) == []
