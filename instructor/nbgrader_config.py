"""Settings of nbgrader for this course. nbgrader reads them when it runs in this folder."""

import os
import tempfile

from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.preprocessors import ClearOutput, ClearSolutions


class NamedStubs(ClearSolutions):
    """Put a stub that names its task in the place of each solution."""

    def preprocess_cell(self, cell, resources, cell_index):
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        self.code_stub = {"python": f'raise NotImplementedError("{name}: your code goes here")'}
        return super().preprocess_cell(cell, resources, cell_index)


class ClearWhatIsRunAgain(ClearOutput):
    """Leave the output of experiments: they take minutes, and are graded by people. They are not run again."""

    def preprocess_cell(self, cell, resources, cell_index):
        tags = cell.metadata.get("tags", [])
        if "skip-execution" in tags:
            if "nbgrader" not in cell.metadata:
                return cell, resources
            # Jupyter executes no cell with this tag, and nbgrader gives all points for a test without output.
            cell.metadata["tags"] = [tag for tag in tags if tag != "skip-execution"]
        return super().preprocess_cell(cell, resources, cell_index)


def seconds_for(cell):
    """Return how long a cell may take. Checks have limits of their own, of computing, whatever else a machine does."""
    return 3600 if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade") else 120


def replaced(converter, preprocessors, old, new):
    """Return a converter's preprocessors, one of them replaced by another."""
    usual = converter.class_traits()[preprocessors].default()
    return [new if step is old else step for step in usual]


c = get_config()  # noqa: F821  (nbgrader defines it)
c.CourseDirectory.course_id = "gan-course"
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", ".DS_Store"]
c.GenerateAssignment.preprocessors = replaced(GenerateAssignment, "preprocessors", ClearSolutions, NamedStubs)
c.NamedStubs.text_stub = "*Your answer goes here.*"
c.Autograde.sanitize_preprocessors = replaced(Autograde, "sanitize_preprocessors", ClearOutput, ClearWhatIsRunAgain)
c.Execute.timeout_func = seconds_for
c.LimitOutput.max_lines = 1000
c.LimitOutput.max_traceback = 100
# Submissions that a learning platform hands out as one folder or zip for each student: ada/01_vanilla_gan.ipynb, or
# ada_20261201T120000/01_vanilla_gan.ipynb with the time at which it was handed in (UTC). The notebook may lie in
# folders further down, but in none whose name begins with a dot, such as .ipynb_checkpoints.
c.FileNameCollectorPlugin.named_regexp = (
    r".*[/\\]extracted[/\\](?P<student_id>[^/\\]+?)(_(?P<timestamp>\d{8}T\d{6}))?[/\\]"
    r"(?:(?!\.)[^/\\]+[/\\])*(?P<file_id>[^/\\]+)\.ipynb$"
)
# Kernels in a sandbox, see README.md. They have no network: nbgrader talks to them through files in a folder that
# holds nothing else.
if os.environ.get("GAN_COURSE_SANDBOX"):
    c.Execute.kernel_name = "gan-course-sandbox"
    c.KernelManager.transport = "ipc"
    c.KernelManager.connection_file = os.path.join(tempfile.mkdtemp(prefix="gan-course-"), "kernel.json")
