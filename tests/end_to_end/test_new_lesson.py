"""A lesson in two places: what a notebook and an entry in lessons.toml become, in a copy of the course."""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from ganutils import lessons
from tests.test_tools import ROOT

ENTRY = """
[99_toy]
title = "Toy"
part = 2
objectives = "play"
minutes = 15
reference_runs = false
smoke = { images = 64, epochs = 1, batch_size = 64, samples = 1, precision = "float32", width = 2 }
laptop = { images = 64, epochs = 2, batch_size = 64, samples = 1, precision = "float32", width = 3 }
gpu = { images = 64, epochs = 3, batch_size = 64, samples = 1, precision = "float32", width = 4 }
"""
TITLE = """# 99 · Toy

[![Open in Binder](b)](https://mybinder.org/v2/gh/a/b/HEAD?labpath=notebooks/04_evaluation.ipynb)"""
CHECKED = {"tags": ["nbval-check-output"]}


def write_notebook(path):
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    cells = [
        text(TITLE),
        code('PROFILE = "laptop"', metadata={"tags": ["parameters"]}),
        code('from ganutils import lessons\n\nlesson = lessons.Lesson("99_toy", PROFILE)'),
        code("print(6 * 7)", id="right", metadata=CHECKED),
        code("print(6 * 8)", id="broken", metadata=CHECKED),
        code("lesson.close(width=lesson.profile.width)"),
        text("## Summary"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the course with one lesson more, which was executed and recorded, and what this printed."""
    folder = tmp_path_factory.mktemp("new") / "course"
    for name in ("ganutils", "notebooks", "tools", "exercises", "instructor", "benchmarks", "data"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for name in ("README.md", "pyproject.toml", "lessons.toml"):
        shutil.copy(ROOT / name, folder)
    with open(folder / "lessons.toml", "a", encoding="utf-8") as file:
        file.write(ENTRY)
    write_notebook(folder / "notebooks" / "99_toy.ipynb")
    recorded = call(folder, "tools/run_notebooks.py", "--profile", "laptop", "--only", "99", "--record")
    assert recorded.returncode == 0, recorded.stderr[-3000:]
    taken = call(folder, "tools/clean_notebooks.py", "--take-outputs", "build/notebooks")
    assert taken.returncode == 0, taken.stderr
    return folder


def call(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_the_readmes_have_a_row_with_time_and_memory(course):
    readme = (course / "README.md").read_text(encoding="utf-8")
    row = r"\| \[99 · Toy\]\(notebooks/99_toy\.ipynb\) \| play \| \d+ s \| \d\.\d GB \| 15 min \|"
    assert re.search(rf"### Part two · architectures\n\n.*\n.*\n(?:\|.*\n)*{row}\n", readme)
    assert "[99 · Toy](../notebooks/99_toy.ipynb) | 15 | – | – |" in (course / "instructor/README.md").read_text(
        "utf-8"
    )
    costs = json.loads((course / "data" / "reference_runs" / "costs.json").read_text())["lessons"]
    assert costs["99_toy laptop"]["metrics"] == {"width": 3.0}
    before = json.loads((ROOT / "data" / "reference_runs" / "costs.json").read_text())["lessons"]
    assert {name: row for name, row in costs.items() if name != "99_toy laptop"} == before


def test_the_lesson_before_leads_to_it_and_it_ends_the_course(course):
    def text(name, i):
        return nbformat.read(course / "notebooks" / f"{name}.ipynb", as_version=4).cells[i].source

    assert text(list(lessons.LESSONS)[-1], -1).startswith("Next: [99 · Toy](99_toy.ipynb)")
    assert (text("99_toy", -2), text("99_toy", -1)) == ("## Summary", "This was the last lesson.")
    assert "labpath=notebooks/99_toy.ipynb)" in text("99_toy", 0)


def test_nothing_is_out_of_date_afterwards(course):
    checked = call(course, "tools/clean_notebooks.py", "--check")
    assert checked.returncode == 0, checked.stdout


def test_nbval_compares_the_checked_cells(course, tmp_path):
    """The tags are nbval's, so that a lesson can be checked by hand: `pytest --nbval-lax notebooks/99_toy.ipynb`."""
    notebook = nbformat.read(course / "notebooks" / "99_toy.ipynb", as_version=4)
    (broken,) = (cell for cell in notebook.cells if cell.id == "broken")
    assert broken.outputs[0].text == "48\n"
    broken.outputs[0].text = "49\n"
    notebook.cells = [cell for cell in notebook.cells if "lesson" not in cell.source]  # which import TensorFlow
    nbformat.write(notebook, tmp_path / "toy.ipynb")
    options = ("--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-rf")
    finished = call(course, "-m", "pytest", *options, str(tmp_path / "toy.ipynb"))
    assert re.search(r"1 failed, 2 passed", finished.stdout), finished.stdout
    assert "print(6 * 8)" in finished.stdout
