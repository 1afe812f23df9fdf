"""The student versions, executed in a kernel as students do it: from top to bottom, before anything is solved."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.exercises.assignments import EXERCISES, NAMES, kind


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_notebook_runs_through_and_says_not_attempted(name):
    notebook = nbformat.read(EXERCISES / name / f"{name}.ipynb", as_version=4)
    # No `allow_errors`: a cell that raises fails this test.
    folder = {"metadata": {"path": str(EXERCISES / name)}}
    NotebookClient(notebook, kernel_name="python3", resources=folder).execute()
    tests = [cell for cell in notebook.cells if kind(cell) == "test" and cell.id != "unseen"]
    assert len(tests) >= 4
    for cell in tests:
        shown, value = cell.outputs
        assert ": not attempted" in shown["data"]["text/plain"]
        assert "not attempted" in shown["data"]["text/html"]
        assert value["data"]["text/plain"] == "0"
