"""Run the cells of an assignment in this process, with any answers in the place of the reference solutions."""

import ast
import json

from ganutils.checks import feedback
from tests.test_tools import ROOT

SOURCE = ROOT / "instructor" / "source"
EXERCISES = ROOT / "exercises"
NAMES = sorted(path.parent.name for path in SOURCE.glob("*/*.ipynb"))
# The body of a function that swallows every alarm of a check, and the interrupt of nbgrader.
STUBBORN = """\
    while True:
        try:
            while True:
                pass
        except:
            pass"""


def cells(name, folder=SOURCE):
    """Return {id: cell} of an assignment."""
    notebook = json.loads((folder / name / f"{name}.ipynb").read_text(encoding="utf-8"))
    return {cell["id"]: cell | {"source": "".join(cell["source"])} for cell in notebook["cells"]}


def kind(cell):
    """Return "solution", "test", "manual" or "plain"."""
    marks = cell["metadata"].get("nbgrader", {})
    if marks.get("solution"):
        return "manual" if marks["grade"] else "solution"
    return "test" if marks.get("grade") else "plain"


class Assignment:
    """One assignment's cells, and the names that its plain cells define.

    Args:
        name: such as "01_vanilla_gan".
        skip: ids of plain cells that are not run: they only show something.
    """

    def __init__(self, name, skip=()):
        self.name = name
        self.cells = cells(name)
        self.plain = {}
        for cell in self.cells.values():
            if cell["cell_type"] == "code" and kind(cell) == "plain" and cell["id"] not in skip:
                exec(compile(cell["source"], f"<{name}: {cell['id']}>", "exec"), self.plain)

    def ids(self, of_kind):
        return [name for name, cell in self.cells.items() if kind(cell) == of_kind]

    def points(self, test):
        """Return what a test gives at most."""
        return self.cells[test]["metadata"]["nbgrader"]["points"]

    def names(self, answers=None, reference=None):
        """Return the names after all solution cells, with some answers in the place of the reference.

        Args:
            answers: dict from ids of solution cells to code.
            reference: another version of the assignment's cells, such as the students', or None.
        """
        names = dict(self.plain)
        for solution in self.ids("solution"):
            code = (answers or {}).get(solution) or (reference or self.cells)[solution]["source"]
            exec(compile(code, f"<{solution}>", "exec"), names)
        return names

    def run(self, test, names, monkeypatch):
        """Run one test cell; return its value and what it showed, as text."""
        shown = []
        with monkeypatch.context() as patch:
            patch.setattr(feedback, "display", shown.append)
            tree = ast.parse(self.cells[test]["source"])
            last = ast.Expression(tree.body.pop().value)
            exec(compile(tree, f"<{test}>", "exec"), names)
            value = eval(compile(last, f"<{test}>", "eval"), names)
        return value, "\n".join(map(repr, shown))
