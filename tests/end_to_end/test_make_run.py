"""What `make run` does, in the smoke profile and as a process of its own."""

import json
import os
import re
import subprocess
import sys

import bs4
import nbformat
import pytest

from ganutils import lessons
from tests.end_to_end import browser as browsers
from tests.test_tools import ROOT, load_tool

RUNNER = str(ROOT / "tools" / "run_notebooks.py")
LESSONS = list(lessons.LESSONS)


def run(*arguments):
    return subprocess.run([sys.executable, RUNNER, *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build")
    # GANUTILS_PROFILE stays unset here: the runner's own option must be enough.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GANUTILS")}
    finished = subprocess.run(
        [sys.executable, RUNNER, "--profile", "smoke", "--part", "all", "--build", str(folder)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return folder, finished.stdout


def test_summary_has_a_row_for_each_notebook(build):
    folder, printed = build
    rows = json.loads((folder / "summary.json").read_text())
    assert [row["notebook"] for row in rows] == LESSONS
    for row in rows:
        assert row["profile"] == "smoke"
        assert row["seconds"] > 0
        # The aim of each lesson; more processors have more threads, each with memory of its own.
        assert 200 < row["peak_mb"] < (1200 if os.cpu_count() <= 4 else 1500)
        assert row["metrics"], row["notebook"]
    table = (folder / "summary.md").read_text()
    assert table.strip() in printed
    assert str(folder / "notebooks") in printed


def changed_outputs(committed, executed):
    """Return the ids of the cells tagged `nbval-check-output` whose outputs in an executed notebook are other ones."""
    clean = load_tool("clean_notebooks").clean
    before, after = clean(committed)["cells"], clean(committed, executed)["cells"]
    return [cell["id"] for cell, new in zip(before, after, strict=True) if cell.get("outputs") != new.get("outputs")]


@pytest.mark.parametrize("lesson", LESSONS)
def test_checked_cells_print_what_is_in_git(build, lesson):
    committed = json.loads((ROOT / "notebooks" / f"{lesson}.ipynb").read_text(encoding="utf-8"))
    executed = json.loads((build[0] / "notebooks" / f"{lesson}.ipynb").read_text(encoding="utf-8"))
    changed = changed_outputs(committed, executed)
    assert not changed, (
        f"{lesson}: the output of {', '.join(changed)} is not the one in git. To take the new ones: `make run "
        f"PROFILE=smoke ONLY={lesson.partition('_')[0]}`, `python tools/clean_notebooks.py --take-outputs "
        "build/notebooks`, and look at the difference"
    )


def test_another_output_of_a_checked_cell_is_found_and_chance_cuts_are_not():
    def notebook(*texts):
        outputs = [{"output_type": "stream", "name": "stdout", "text": text.splitlines(True)} for text in texts]
        cell = {"cell_type": "code", "source": [], "outputs": outputs}
        checked, free = {"id": "a", "metadata": {"tags": ["nbval-check-output"]}}, {"id": "b", "metadata": {}}
        return {"cells": [{**cell, **checked}, {**cell, **free}]}

    assert changed_outputs(notebook("one\ntwo\n"), notebook("one\n", "two\n")) == []
    assert changed_outputs(notebook("one\ntwo\n"), notebook("one\n", "three\n")) == ["a"]
    assert changed_outputs(notebook("one\n"), notebook()) == ["a"]


@pytest.mark.parametrize("lesson", LESSONS)
def test_executed_notebooks_show_no_warnings_or_log_noise(build, lesson):
    notebook = nbformat.read(build[0] / "notebooks" / f"{lesson}.ipynb", as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", output["text"]
            text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
            assert not re.search(r"warning|deprecat|I0000|oneDNN", text, re.IGNORECASE), text


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_picture_has_an_alternative_text(build, lesson):
    html = (build[0] / "notebooks" / f"{lesson}.html").read_text()
    images = re.findall(r"<img\b[^>]*>", html)
    assert images
    for image in images:
        alternative = re.search(r'alt="([^"]+)"', image)
        assert alternative, image[:200]
        assert alternative[1] != "No description has been provided for this image", image[-200:]


@pytest.mark.parametrize("lesson", LESSONS)
def test_pages_hold_their_pictures(build, lesson):
    html = (build[0] / "notebooks" / f"{lesson}.html").read_text()
    assert 'src="pictures/' not in html, "the picture at the top should be embedded"


@pytest.fixture(scope="module")
def browser():
    with browsers.launched() as browser:
        yield browser


@pytest.mark.parametrize("lesson", LESSONS)
def test_executed_pages_fit_every_screen_and_ask_for_nothing(build, browser, lesson):
    browsers.check_layout(browser, build[0] / "notebooks" / f"{lesson}.html")


def test_links_of_executed_pages_lead_to_pages(build):
    assert browsers.check_links(build[0] / "notebooks") >= 2 * len(LESSONS)


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_cell_is_there_once_with_the_profile_of_the_run(build, lesson):
    path = f"notebooks/{lesson}.ipynb"
    written, executed = (nbformat.read(folder / path, as_version=4).cells for folder in (ROOT, build[0]))
    sources = [re.sub('^PROFILE = "laptop"', 'PROFILE = "smoke"', cell.source) for cell in written]
    assert [cell.source for cell in executed] == sources
    page = bs4.BeautifulSoup((build[0] / path).with_suffix(".html").read_text(encoding="utf-8"), "html.parser")
    shown = [tag.text.strip() for tag in page.select(".cell > .highlight")]
    assert shown == [cell.source.strip() for cell in executed if cell.cell_type == "code"]


@pytest.mark.parametrize("lesson", LESSONS)
def test_outputs_are_shown_and_not_described(build, lesson):
    page = bs4.BeautifulSoup((build[0] / "notebooks" / f"{lesson}.html").read_text(encoding="utf-8"), "html.parser")
    for output in page.select(".output"):
        assert output.text.strip() or output.img, output
        assert not re.match(r"\s*(<\w|\w+\(\w+=)", output.pre.text if output.pre else ""), output.text[:100]
    cells = nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4).cells
    widgets = len(re.findall(r"^widgets\.", "\n".join(cell.source for cell in cells), re.MULTILINE))
    assert page.main.text.count("A still picture. In a running notebook,") == widgets


def small_notebook(folder, name, *sources):
    cells = [nbformat.v4.new_code_cell('PROFILE = "laptop"', metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / name)


def test_a_failing_notebook_stops_the_run_and_keeps_what_was_done(tmp_path):
    small_notebook(tmp_path, "00_good.ipynb", "print(PROFILE)")
    small_notebook(tmp_path, "01_bad.ipynb", "print('before')", "value = 1\nvalue / 0", "print('after')")
    small_notebook(tmp_path, "02_never.ipynb", "print('never')")
    finished = run("--profile", "smoke", "--notebooks", str(tmp_path), "--build", str(tmp_path / "build"))
    assert finished.returncode == 1
    assert "01_bad.ipynb failed in cell" in finished.stderr
    assert "value / 0" in finished.stderr
    assert "ZeroDivisionError: division by zero" in finished.stderr
    executed = tmp_path / "build" / "notebooks"
    assert "smoke" in (executed / "00_good.html").read_text()
    partial = (executed / "01_bad.ipynb").read_text()
    assert "before" in partial
    assert (executed / "01_bad.html").is_file()
    assert not (executed / "02_never.ipynb").exists()
    rows = json.loads((tmp_path / "build" / "summary.json").read_text())
    assert [row["notebook"] for row in rows] == ["00_good"]


def test_what_was_executed_before_the_kernel_died_is_kept(tmp_path):
    small_notebook(tmp_path, "01_dead.ipynb", "print('before')", "import os\nos._exit(9)", "print('after')")
    finished = run("--profile", "smoke", "--notebooks", str(tmp_path), "--build", str(tmp_path / "build"))
    assert finished.returncode == 1
    assert "01_dead.ipynb: the kernel died" in finished.stderr
    executed = nbformat.read(tmp_path / "build" / "notebooks" / "01_dead.ipynb", as_version=4)
    assert [cell.outputs[0].text for cell in executed.cells if cell.get("outputs")] == ["before\n"]


def test_an_unknown_profile_or_part_is_refused(monkeypatch, capsys):
    for option, allowed in (("--profile", "smoke"), ("--part", "all")):
        monkeypatch.setattr("sys.argv", ["run_notebooks.py", option, "huge"])
        with pytest.raises(SystemExit) as ended:
            load_tool("run_notebooks").main()
        assert ended.value.code != 0
        assert allowed in capsys.readouterr().err
