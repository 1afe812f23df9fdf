import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cleaner():
    return load_tool("clean_notebooks")


def notebook(*cells):
    return {"cells": list(cells), "metadata": {"papermill": {"duration": 3}}, "nbformat": 4, "nbformat_minor": 5}


def code(source, *tags, outputs=(), identity="a"):
    return {
        "cell_type": "code",
        "id": identity,
        "metadata": {"tags": list(tags), "execution": {"started": 1}},
        "source": [source],
        "execution_count": 7,
        "outputs": list(outputs),
    }


def printed(text):
    return {"output_type": "stream", "name": "stdout", "text": [text]}


def test_only_checked_outputs_stay(cleaner):
    cleaned = cleaner.clean(
        notebook(
            code("1", outputs=[printed("noise")], identity="a"),
            code("2", "nbval-check-output", outputs=[printed("checked")], identity="b"),
        )
    )
    assert [cell["outputs"] for cell in cleaned["cells"]] == [[], [printed("checked")]]
    assert [cell["execution_count"] for cell in cleaned["cells"]] == [None, 1], "nbval wants a number"
    assert cleaned["cells"][0]["metadata"] == {}
    assert "papermill" not in cleaned["metadata"]


def test_pieces_of_one_stream_are_joined_and_attachments_stay(cleaner):
    pieces = [printed("one\n"), printed("two\n")]
    markdown = {"cell_type": "markdown", "id": "m", "metadata": {}, "source": [""], "attachments": {"a.png": {}}}
    cleaned = cleaner.clean(notebook(code("1", "nbval-check-output", outputs=pieces), markdown))
    assert cleaned["cells"][0]["outputs"] == [{**printed(""), "text": ["one\n", "two\n"]}]
    assert cleaned["cells"][1]["attachments"] == {"a.png": {}}


def test_checked_outputs_are_taken_by_cell(cleaner):
    old = notebook(code("2", "nbval-check-output", outputs=[printed("old")], identity="b"))
    executed = notebook(
        code("parameters", outputs=[printed("injected")], identity="x"),
        code("2", "nbval-check-output", outputs=[printed("new")], identity="b"),
    )
    cleaned = cleaner.clean(old, executed)
    assert len(cleaned["cells"]) == 1
    assert cleaned["cells"][0]["outputs"] == [printed("new")]


def test_check_finds_dirt_and_cleaning_removes_it(cleaner, tmp_path, monkeypatch, capsys):
    path = tmp_path / "dirty.ipynb"
    path.write_text(json.dumps(notebook(code("1", outputs=[printed("noise")]))))
    before = path.read_text()
    monkeypatch.setattr("sys.argv", ["clean_notebooks", "--check", str(path)])
    assert cleaner.main() == 1
    assert f"dirty: {path}" in capsys.readouterr().out
    assert path.read_text() == before, "--check must change nothing"
    monkeypatch.setattr("sys.argv", ["clean_notebooks", str(path)])
    assert cleaner.main() == 0
    monkeypatch.setattr("sys.argv", ["clean_notebooks", "--check", str(path)])
    assert cleaner.main() == 0


def test_the_address_is_written_everywhere(cleaner):
    text = (
        'REPOSITORY = "https://old.example/a/b" '
        "https://mybinder.org/v2/gh/a/b/HEAD?labpath=x https://colab.research.google.com/github/a/b/blob/HEAD/x"
    )
    new = cleaner.with_address(text, "https://github.com/group/course")
    assert 'REPOSITORY = "https://github.com/group/course"' in new
    assert cleaner.with_address("git clone https://x/y", "https://z/w") == "git clone https://z/w"
    assert cleaner.with_address("`git clone --bare https://x/y`, then", "https://z/w") == (
        "`git clone --bare https://z/w`, then"
    )
    assert "mybinder.org/v2/gh/group/course/HEAD?labpath=x" in new
    assert "colab.research.google.com/github/group/course/blob/HEAD/x" in new


def test_the_readme_takes_time_and_memory_from_the_record():
    runner = load_tool("run_notebooks")
    text = "# Title\n\n| [01](notebooks/01_vanilla_gan.ipynb) | players | old | old |\n| other | a | b | c |\n"
    lessons = {"01_vanilla_gan laptop": {"seconds": 150.0, "peak_mb": 1234.0}}
    new = runner.with_costs(text, lessons)
    assert "| [01](notebooks/01_vanilla_gan.ipynb) | players | 2.5 min | 1.2 GB |" in new
    assert "| other | a | b | c |" in new
    assert runner.with_costs(new, lessons) == new


def test_recorded_lessons_stay_in_their_budget():
    lessons = json.loads((ROOT / "data" / "reference_runs" / "costs.json").read_text())["lessons"]
    laptop = {name: row for name, row in lessons.items() if name.endswith(" laptop")}
    assert len(laptop) == len(list((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")))
    for name, row in laptop.items():
        assert row["seconds"] <= 300, name
        assert row["peak_mb"] <= 1500, name


def test_the_readme_shows_the_recorded_costs():
    runner = load_tool("run_notebooks")
    lessons = json.loads((ROOT / "data" / "reference_runs" / "costs.json").read_text())["lessons"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert runner.with_costs(readme, lessons) == readme
    for lesson in lessons:
        name = lesson.split()[0]
        assert (ROOT / "notebooks" / f"{name}.ipynb").is_file()
        assert f"notebooks/{name}.ipynb" in readme
