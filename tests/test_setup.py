"""The ways to install the course: pip, conda, Binder and Colab."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement

from tests.test_tools import HUNG, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))
ADDRESS = PROJECT["urls"]["Repository"]

COLAB = {"keras": "3.13.2", "numpy": "2.1.3", "matplotlib": "3.10.0", "ipywidgets": "7.7.1", "tensorflow": "2.20.0"}


def test_colabs_versions_meet_the_floors_and_tensorflow_is_no_core_dependency():
    core = {requirement.name: requirement for requirement in map(Requirement, PROJECT["dependencies"])}
    assert not [name for name in core if name.startswith("tensorflow")]
    for name in set(COLAB) & set(core):
        assert COLAB[name] in core[name].specifier, name
    extras = [Requirement(r) for extra in ("cpu", "gpu") for r in PROJECT["optional-dependencies"][extra]]
    assert all(COLAB["tensorflow"] in requirement.specifier for requirement in extras)


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "x86_64", "tensorflow-cpu"),
        ("win32", "AMD64", "tensorflow-cpu"),
        ("linux", "aarch64", "tensorflow"),
        ("darwin", "arm64", "tensorflow"),
    ],
)
def test_the_smaller_tensorflow_where_it_exists(system, machine, expected):
    chosen = [
        requirement.name
        for requirement in map(Requirement, PROJECT["optional-dependencies"]["cpu"])
        if Marker(str(requirement.marker)).evaluate({"sys_platform": system, "platform_machine": machine})
    ]
    assert chosen == [expected]


def test_every_dependency_is_pinned():
    pins = {
        Requirement(line).name.lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    wanted = PROJECT["dependencies"] + [
        r for extra in ("cpu", "notebooks", "test") for r in PROJECT["optional-dependencies"][extra]
    ]
    assert {Requirement(requirement).name.lower() for requirement in wanted} <= pins


def test_conda_gives_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, lines = environment["dependencies"]
    assert re.fullmatch(r"python=3\.1[1-3]", python)
    assert pip == "pip"
    assert lines["pip"] == ["-c constraints.txt", "-e .[cpu,notebooks,test]"]


@pytest.fixture(scope="module")
def binder():
    if sys.platform == "win32":
        pytest.skip("repo2docker does not run on Windows")
    finished = subprocess.run(
        ["jupyter-repo2docker", "--no-build", "--debug", str(ROOT)],
        capture_output=True,
        text=True,
        timeout=HUNG,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout + finished.stderr


def test_binder_installs_our_package_with_pins_under_a_pinned_python(binder):
    assert "binder/requirements.txt" in binder
    assert re.search(r"pip install .*-r \"?binder/requirements\.txt", binder)
    assert re.search(r"environment(-2e|\.)py(-2d|-)3(-2e|\.)12", binder), "Python must be pinned"
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-c ../constraints.txt", "-e .[cpu,notebooks]"]
    # The package itself has to be there when pip reads "-e .", so it must not be a step before the copy.
    assert binder.index("COPY --chown") < binder.index("pip install --no-cache-dir -r")


def setup_source(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    (cell,) = (cell for cell in cells if "setup" in cell["metadata"].get("tags", []))
    return "".join(cell["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_set_up_cell_is_the_first_and_the_same_everywhere(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    first = next(cell for cell in cells if cell["cell_type"] == "code")
    assert first["metadata"]["tags"] == ["setup"]
    assert "".join(first["source"]) == setup_source(NOTEBOOKS[0])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_checked_cell_has_an_output_to_be_compared_with(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    checked = [cell for cell in cells if "nbval-check-output" in cell["metadata"].get("tags", [])]
    assert len(checked) >= 3
    for cell in checked:
        assert cell["outputs"], "".join(cell["source"])


COLAB_SCRIPT = """
import sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
before = set(sys.modules)
exec(sys.argv[1])
import ganutils
print(ganutils.__file__)
"""


def run_set_up_cell(script, folder, settings=None):
    """Run the set-up cell in another folder, with the repository's address leading to this one."""
    settings = settings or {f"url.{ROOT.as_uri()}.insteadOf": ADDRESS, "safe.directory": "*"}
    environment = {**os.environ, "GIT_CONFIG_COUNT": str(len(settings))}
    for i, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{i}": key, f"GIT_CONFIG_VALUE_{i}": value}
    return subprocess.run(
        [sys.executable, "-c", script, setup_source(NOTEBOOKS[0])],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HUNG,
    )


def test_on_colab_the_set_up_cell_clones_and_installs_nothing(tmp_path):
    for _ in range(2):  # a second run of the cell must not fail on the folder that is there
        finished = run_set_up_cell(COLAB_SCRIPT, tmp_path)
        assert finished.returncode == 0, finished.stderr[-2000:]
        assert finished.stdout.strip() == str(tmp_path / "gan-course" / "ganutils" / "__init__.py")
        assert finished.stderr == "", "importing TensorFlow should leave no log lines"
    assert "pip" not in setup_source(NOTEBOOKS[0]), "nothing may replace Colab's TensorFlow"


def test_elsewhere_the_set_up_cell_does_nothing(tmp_path):
    finished = run_set_up_cell("import sys\nexec(sys.argv[1])\nprint(ganutils.__file__)", tmp_path)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert list(tmp_path.iterdir()) == []
    assert Path(finished.stdout.strip()).parent == ROOT / "ganutils"


def test_without_a_network_the_set_up_cell_says_what_to_do(tmp_path):
    """As on Kaggle, where a notebook has none at first."""
    script = "import os, sys\nos.environ['KAGGLE_KERNEL_RUN_TYPE'] = 'Interactive'\nexec(sys.argv[1])"
    for path in (tmp_path / "none", ROOT):  # the second time there is one
        settings = {f"url.{path.as_uri()}.insteadOf": ADDRESS, "safe.directory": "*"}
        finished = run_set_up_cell(script, tmp_path, settings)
        if path == ROOT:
            assert finished.returncode == 0, finished.stderr[-2000:]
        else:
            assert "RuntimeError: the course could not be fetched" in finished.stderr
            assert "Internet" in finished.stderr


READ_ONLY = """
import os
from ganutils import lessons
lesson = lessons.Lesson("00_start_here", "smoke")
lesson.measure_machine(0.1)
print(lesson.folder)
"""


def test_a_course_in_a_folder_that_cannot_be_written_still_runs(tmp_path):
    """The folder is mounted read-only, as on some servers: then a temporary folder takes what lessons write."""
    if not shutil.which("bwrap"):
        missing = "no bubblewrap here (apt install bubblewrap): a read-only folder is not tested"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    course = tmp_path / "course"
    shutil.copytree(ROOT / "ganutils", course / "ganutils", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "data", course / "data")
    shutil.copy(ROOT / "lessons.toml", course)
    sandbox = ["bwrap", "--bind", "/", "/", "--dev", "/dev", "--ro-bind", course, course]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for chosen in (None, tmp_path / "mine"):
        more = {"PYTHONPATH": str(course), "TMPDIR": str(tmp_path)} | (
            {"GANUTILS_BUILD": str(chosen)} if chosen else {}
        )
        command = [*map(str, sandbox), sys.executable, "-c", READ_ONLY]
        done = subprocess.run(command, env=environment | more, capture_output=True, text=True, cwd=course)
        assert done.returncode == 0, done.stderr[-2000:]
        where = Path(done.stdout.splitlines()[-1])
        assert where.is_relative_to(chosen or tmp_path / "gan-course")
        assert where.is_dir()


def test_an_install_without_data_says_what_is_missing_and_works_with_them_elsewhere(tmp_path):
    """`pip install .` copies the package alone."""
    shutil.copytree(ROOT / "ganutils", tmp_path / "ganutils", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for code in ("from ganutils import lessons", "from ganutils import data; data.load_dataset()"):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
        assert "pip install -e ." in done.stderr
        assert "GANUTILS_DATA" in done.stderr
        elsewhere = environment | {"GANUTILS_DATA": str(ROOT / "data")}
        assert subprocess.run(command, env=elsewhere, capture_output=True, cwd=tmp_path).returncode == 0


def test_the_address_stands_in_one_place():
    owner_and_name = "/".join(ADDRESS.split("/")[-2:])
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"mybinder.org/v2/gh/{owner_and_name}/" in readme
    for path in NOTEBOOKS:
        text = path.read_text(encoding="utf-8")
        assert f"mybinder.org/v2/gh/{owner_and_name}/HEAD?labpath=notebooks/{path.name}" in text
        assert f"colab.research.google.com/github/{owner_and_name}/blob/HEAD/notebooks/{path.name}" in text


def test_without_tensorflow_the_import_says_what_to_do(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('no such thing')")
    finished = subprocess.run(
        [sys.executable, "-c", "import ganutils"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=HUNG,
    )
    assert finished.returncode != 0
    assert 'pip install -c constraints.txt -e ".[cpu,notebooks]"' in finished.stderr


def test_another_keras_backend_is_named():
    finished = subprocess.run(
        [sys.executable, "-c", "import keras, types; keras.backend.backend = lambda: 'jax'; import ganutils"],
        capture_output=True,
        text=True,
        timeout=HUNG,
    )
    assert "ImportError: Keras runs on jax here" in finished.stderr


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN is for these processors")
@pytest.mark.parametrize(("given", "expected"), [(None, "True"), ("1", "True"), ("0", "False")])
def test_onednn_is_on_unless_the_user_says_otherwise(given, expected):
    environment = {key: value for key, value in os.environ.items() if key != "TF_ENABLE_ONEDNN_OPTS"}
    if given is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = given
    # TensorFlow has no public way to ask.
    code = "import ganutils; from tensorflow.python.util import _pywrap_util_port as p; print(p.IsMklEnabled())"
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == expected
