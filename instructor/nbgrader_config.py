"""nbgrader's settings for this course, which it reads when it runs in this folder."""

import os
import re
import sys
import tempfile

from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearOutput,
    ClearSolutions,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mending import Mend, said


class NamedStubs(ClearSolutions):
    """Replace each solution with a stub that names its task."""

    def preprocess_cell(self, cell, resources, cell_index):
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        self.code_stub = {"python": f'raise NotImplementedError("{name}: your code goes here")'}
        return super().preprocess_cell(cell, resources, cell_index)


class ClearWhatIsRunAgain(ClearOutput):
    """Keep the output of experiments, which take minutes, are graded by people and are not run again."""

    def preprocess_cell(self, cell, resources, cell_index):
        if "skip-execution" in cell.metadata.get("tags", []):
            return cell, resources
        return super().preprocess_cell(cell, resources, cell_index)


class SaveWhatIsGraded(SaveAutoGrades):
    """Leave tests that ran into a limit to a person: their points are missing, not 0."""

    def preprocess(self, nb, resources):
        self.stopped = self.stopped_before = False
        return super().preprocess(nb, resources)

    def preprocess_cell(self, cell, resources, cell_index):
        if any(output.get("ename") == "KeyboardInterrupt" for output in cell.get("outputs", [])):
            self.stopped = self.stopped_before = True
        return super().preprocess_cell(cell, resources, cell_index)

    def _add_score(self, cell, resources):
        super()._add_score(cell, resources)
        if cell.cell_type != "code":
            return
        # The test after a cell that was stopped, and the tests on other inputs, which use all answers.
        name = cell.metadata.nbgrader["grade_id"]
        stopped, self.stopped = self.stopped or (self.stopped_before and name == "unseen"), False
        marks = name, self.notebook_id, self.assignment_id, self.student_id
        grade = self.gradebook.find_grade(*marks)
        full = float(cell.metadata.nbgrader["points"])
        if re.search(r": not graded$", said(cell), re.MULTILINE) or (stopped and (grade.auto_score or 0) < full):
            grade.auto_score, grade.needs_manual_grade = grade.auto_score or None, True
            self.gradebook.db.commit()


def seconds_for(cell):
    """Return a cell's time limit in seconds. Checks have their own limits, on computing time."""
    if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade"):
        return 3600
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 1
    return 120 * max(1, round(2 * load / os.cpu_count()))  # longer on a busy machine


def replaced(converter, preprocessors, old, new):
    """Return a converter's preprocessors with one of them replaced."""
    usual = converter.class_traits()[preprocessors].default()
    return [new if step is old else step for step in usual]


c = get_config()  # noqa: F821  (nbgrader defines it)
c.CourseDirectory.course_id = "gan-course"
# A student's module next to the notebook would be imported instead of those that the checks need.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.py", "*.so", "*.pyc", "__pycache__", ".DS_Store"]
c.GenerateAssignment.preprocessors = replaced(GenerateAssignment, "preprocessors", ClearSolutions, NamedStubs)
c.NamedStubs.text_stub = "*Your answer goes here.*"
c.Autograde.sanitize_preprocessors = [Mend, ClearWhatIsRunAgain, OverwriteKernelspec, OverwriteCells, CheckCellMetadata]
c.Autograde.autograde_preprocessors = replaced(Autograde, "autograde_preprocessors", SaveAutoGrades, SaveWhatIsGraded)
c.Execute.timeout_func = seconds_for
c.LimitOutput.max_lines = 1000
c.LimitOutput.max_traceback = 100
# Kernels in a sandbox, see README.md. They have no network: nbgrader talks to them through files in a separate folder.
if os.environ.get("GAN_COURSE_SANDBOX"):
    c.Execute.kernel_name = "gan-course-sandbox"
    c.KernelManager.transport = "ipc"
    c.KernelManager.connection_file = os.path.join(tempfile.mkdtemp(prefix="gan-course-"), "kernel.json")
