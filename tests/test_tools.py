import functools
import importlib
import importlib.util
import json
import pkgutil
import re
import subprocess
from pathlib import Path

import nbformat
import pytest

import ganutils

ROOT = Path(__file__).resolve().parents[1]
HUNG = 10_000  # seconds after which a test takes a process for hung; far beyond what any needs, on the busiest machine


def load_tool(name, folder="tools"):
    """Return a script as a new module, which a test may patch."""
    spec = importlib.util.spec_from_file_location(name, ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / folder)  # a script finds its neighbours
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


def test_two_cells_of_one_id_are_refused(cleaner, tmp_path, monkeypatch):
    cells = [{"cell_type": "markdown", "id": name, "metadata": {}, "source": []} for name in ("a", "b", "a")]
    path = tmp_path / "twice.ipynb"
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["clean_notebooks", "--check", str(path)])
    with pytest.raises(SystemExit, match=r"twice\.ipynb: more than one cell has the id a;"):
        cleaner.main()


def test_a_notebook_of_another_program_is_read_all_the_same(cleaner, tmp_path, monkeypatch):
    """With a byte-order mark, and without the ids that cells of older formats do not have."""
    cells = [code('PROFILE = "laptop"', "parameters"), code("print(PROFILE)")]
    for cell in cells:
        del cell["id"]
    path = tmp_path / "00_old.ipynb"
    path.write_text(json.dumps(notebook(*cells) | {"nbformat_minor": 4}), encoding="utf-8-sig")
    cleaned = json.loads(cleaner.generate(path, path.read_text(encoding="utf-8"), {}))
    assert [cell["id"] for cell in cleaned["cells"]] == ["cell-000", "cell-001"]
    runner = load_tool("run_notebooks")
    runner.execute(path, tmp_path / "executed.ipynb", "smoke")
    executed = nbformat.read(tmp_path / "executed.ipynb", as_version=4)
    assert executed.cells[1].outputs[0].text == "smoke\n"


def test_check_finds_dirt_and_cleaning_removes_it(cleaner, tmp_path, monkeypatch, capsys):
    path = tmp_path / "dirty.ipynb"
    path.write_text(json.dumps(notebook(code("1", outputs=[printed("noise")]))))
    before = path.read_text()
    monkeypatch.setattr("sys.argv", ["clean_notebooks", "--check", str(path)])
    assert cleaner.main() == 1
    assert f"out of date: {path}" in capsys.readouterr().out
    assert path.read_text() == before, "--check must change nothing"
    monkeypatch.setattr("sys.argv", ["clean_notebooks", str(path)])
    assert cleaner.main() == 0
    monkeypatch.setattr("sys.argv", ["clean_notebooks", "--check", str(path)])
    assert cleaner.main() == 0


def test_the_address_is_written_everywhere():
    with_address = load_tool("address").with_address
    text = (
        'REPOSITORY = "https://old.example/a/b" '
        "https://mybinder.org/v2/gh/a/b/HEAD?labpath=x "
        "https://colab.research.google.com/github/a/b/blob/HEAD/notebooks/x "
        "(https://old.example/a/b/blob/HEAD/notebooks/y)"
    )
    new = with_address(text, "https://github.com/group/course")
    assert 'REPOSITORY = "https://github.com/group/course"' in new
    assert with_address("git clone https://x/y", "https://z/w") == "git clone https://z/w"
    assert with_address("`git clone --bare https://x/y`, then", "https://z/w") == "`git clone --bare https://z/w`, then"
    assert with_address("git clone https://x/y\ncd y\n", "https://z/w") == "git clone https://z/w\ncd w\n"
    assert "mybinder.org/v2/gh/group/course/HEAD?labpath=x" in new
    assert "colab.research.google.com/github/group/course/blob/HEAD/notebooks/x" in new
    assert "(https://github.com/group/course/blob/HEAD/notebooks/y)" in new
    assert with_address(with_address(text, "https://gitlab.com/c/d"), "https://github.com/group/course") == new


@pytest.mark.parametrize(
    ("cloned_from", "page"),
    [
        ("https://github.com/owner/name", "https://github.com/owner/name"),
        ("https://github.com/owner/name.git\n", "https://github.com/owner/name"),
        ("https://someone:secret@gitlab.com/group/part/gan.course.git/", "https://gitlab.com/group/part/gan.course"),
        ("git@github.com:owner/name.git", "https://github.com/owner/name"),
        ("git@codeberg.org:owner/name", "https://codeberg.org/owner/name"),
        ("ssh://git@example.org:2222/owner/name.git", "https://example.org/owner/name"),
        ("/srv/git/owner/name.git", None),
        ("../name", None),
        ("file:///srv/git/name", None),
        ("https://example.org/name", None),
        ("", None),
    ],
)
def test_the_web_address_of_what_was_cloned(cloned_from, page):
    assert load_tool("address").web_address(cloned_from) == page


def test_a_remote_that_differs_is_named_and_others_are_silent(cleaner, tmp_path, monkeypatch, capsys):
    address = load_tool("address")
    git = ["git", "-C", str(tmp_path)]
    assert address.remote(tmp_path) is None, "no repository"
    subprocess.run([*git, "init", "--quiet"], check=True)
    assert address.remote(tmp_path) is None, "no remote"
    subprocess.run([*git, "remote", "add", "origin", "git@github.com:me/mine.git"], check=True)
    assert address.remote(tmp_path) == "https://github.com/me/mine"
    path = tmp_path / "clean.md"
    path.write_text("nothing to write\n")
    monkeypatch.setattr("sys.argv", ["clean_notebooks", "--check", str(path)])
    for origin, printed in ((address.repository(), ""), (None, ""), ("https://github.com/me/mine", "make address")):
        monkeypatch.setattr(cleaner, "remote", lambda origin=origin: origin)
        assert cleaner.main() == 0
        output = capsys.readouterr().out
        assert printed in output
        assert bool(output) == bool(printed)


# What is made from lessons.toml

LESSONS = {
    "01_one": {"title": "One", "part": 1, "objectives": "count", "minutes": 95, "assignment_minutes": 150},
    "02_two": {"title": "Two", "part": 1, "objectives": "add", "minutes": 120},
    "03_three": {"title": "Three", "part": 3, "objectives": "multiply", "minutes": 20},
}


@pytest.fixture
def tables():
    return load_tool("tables")


def test_the_table_of_lessons_shows_what_was_recorded(tables):
    costs = {
        "01_one laptop": {"seconds": 150.0, "peak_mb": 1234.0, "steps_per_second": 20.3},
        "02_two laptop": {"seconds": 60.2, "peak_mb": 900.0, "steps_per_second": 20.3},
    }
    text = tables.lessons_by_part(LESSONS, costs)
    one, three = text.split("### Part three")
    assert "| [01 · One](notebooks/01_one.ipynb) | count | 2.5 min | 1.2 GB | 95 min |" in one
    assert "| [02 · Two](notebooks/02_two.ipynb) | add | 60 s | 0.9 GB | 2 h |" in one
    assert "| [03 · Three](notebooks/03_three.ipynb) | multiply | – | – | 20 min |" in three
    assert "Part two" not in text
    assert "an idle machine that takes 20 of lesson 00's training steps a second." in text


def test_tables_of_assignments_show_those_that_are_there(tables):
    assert tables.assignments(LESSONS).splitlines()[2:] == ["| [01 · One](exercises/01_one/01_one.ipynb) | 2.5 h |"]
    rows = tables.minutes(LESSONS).splitlines()[2:]
    assert rows[0] == "| [01 · One](../notebooks/01_one.ipynb) | 95 | [01_one](source/01_one/01_one.ipynb) | 150 |"
    assert rows[1] == "| [02 · Two](../notebooks/02_two.ipynb) | 120 | – | – |"


def test_a_table_goes_between_its_marks(tables):
    text = "before <!-- a --> old <!-- /a --> after <!-- b --><!-- /b -->"
    new = tables.fill(text, "a", "new")
    assert new == "before <!-- a -->\n\nnew\n\n<!-- /a --> after <!-- b --><!-- /b -->"
    assert tables.fill(new, "a", "new") == new
    with pytest.raises(SystemExit, match="<!-- c -->"):
        tables.fill(text, "c", "new")


def markdown(*lines):
    return {"cell_type": "markdown", "id": "m", "metadata": {}, "source": [f"{line}\n" for line in lines]}


@pytest.mark.parametrize(
    ("name", "end", "expected"),
    [
        ("01_one", "the summary", ["the summary\n", "Next: [02 · Two](02_two.ipynb)."]),
        ("01_one", "Next: [99 · Old](99_old.ipynb), where it was.", ["Next: [02 · Two](02_two.ipynb)."]),
        ("01_one", "Next: [02 · Two](02_two.ipynb), twice.", ["Next: [02 · Two](02_two.ipynb), twice.\n"]),
        ("01_one", "This was the last lesson. Bye.", ["Next: [02 · Two](02_two.ipynb). Bye."]),
        ("03_three", "Next: [02 · Two](02_two.ipynb).", ["This was the last lesson."]),
        ("03_three", "This was the last lesson. Bye.", ["This was the last lesson. Bye.\n"]),
    ],
)
def test_the_last_cell_leads_to_the_next_lesson(tables, name, end, expected):
    badge = (
        "[![Open in Binder](b)](https://x/HEAD?labpath=notebooks/old.ipynb) (https://y/blob/HEAD/notebooks/old.ipynb)"
    )
    cells = tables.with_links([markdown("# title", badge), markdown("text"), markdown(end)], name, LESSONS)
    assert cells[0]["source"] == ["# title\n", f"{badge.replace('old', name)}\n"]
    assert ["".join(cell["source"]) for cell in cells[2:]] == expected
    assert tables.with_links(cells, name, LESSONS) == cells
    with pytest.raises(SystemExit, match=r"98_none\.ipynb has no entry in lessons\.toml"):
        tables.with_links(cells, "98_none", LESSONS)


def test_both_times_stand_below_the_badges():
    tables = load_tool("tables")
    badge = "[![Open in Binder](badge)](https://mybinder.org/notebooks/98_toy.ipynb)"
    listed = {"98_toy": {"minutes": 95}}
    first = [markdown(f"# title\n\n{badge}\n\nText.")]
    costs = {"98_toy laptop": {"seconds": 69.4, "peak_mb": 1012, "steps_per_second": 20.3}}
    cells = tables.with_times(first, "98_toy", listed, costs)
    lines = "".join(cells[0]["source"]).split("\n")
    assert lines[2:7] == [badge, "", lines[4], "", "Text."]
    assert lines[4].startswith(
        "**Time:** about 95 min to work through. The cells run in 69 s and take 1.0 GB of memory"
    )
    assert "at 20 training steps a second" in lines[4]
    assert tables.with_times(cells, "98_toy", listed, costs) == cells
    (unrecorded,) = tables.with_times(cells, "98_toy", listed, {})
    assert "**Time:** about 95 min to work through.\n" in "".join(unrecorded["source"])
    with pytest.raises(SystemExit, match=r"98_toy\.ipynb has no line of badges"):
        tables.with_times([markdown("# title")], "98_toy", listed, costs)


def test_the_runner_chooses_by_part_and_by_name(tmp_path, monkeypatch):
    runner = load_tool("run_notebooks")
    monkeypatch.setattr(runner, "LESSONS", LESSONS)
    for name in (*LESSONS, "04_without_entry", "notes"):
        (tmp_path / f"{name}.ipynb").write_text("")

    def chosen(**how):
        return [path.stem for path in runner.find_notebooks(tmp_path, **how)]

    assert chosen() == ["01_one", "02_two", "04_without_entry"]
    assert chosen(part="3") == ["03_three", "04_without_entry"]
    assert chosen(part="all") == [*LESSONS, "04_without_entry"]
    assert chosen(only="03, 01") == ["01_one", "03_three"], "of all parts"
    (tmp_path / "04_without_entry.ipynb").unlink()
    with pytest.raises(SystemExit, match="no notebook belongs to part 2"):
        chosen(part="2")
    with pytest.raises(SystemExit, match="no notebook begins with '07'; choose from 01_one"):
        chosen(only="07")
    for wrong in ("01, 07", "0", ","):
        with pytest.raises(SystemExit, match="no notebook begins with"):
            chosen(only=wrong)
    assert chosen(only="01,") == ["01_one"]
    (tmp_path / "01b_more.ipynb").write_text("")
    assert chosen(only="01") == ["01_one"]
    assert chosen(only="01b") == ["01b_more"]


def test_the_profile_is_written_into_the_cell_of_parameters():
    set_profile = load_tool("run_notebooks").set_profile
    cells = [nbformat.v4.new_code_cell('PROFILE = "huge"')]
    cells += [nbformat.v4.new_code_cell("PROFILE = 'laptop'  # a comment\nSEED = 0", metadata={"tags": ["parameters"]})]
    book = nbformat.v4.new_notebook(cells=cells)
    set_profile(book, "smoke")
    assert [cell.source for cell in book.cells] == ['PROFILE = "huge"', 'PROFILE = "smoke"  # a comment\nSEED = 0']
    book.cells[-1].source = "SEED = 0"
    with pytest.raises(ValueError, match="parameters"):
        set_profile(book, "smoke")


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "data/README.md", "instructor/README.md"])
def test_names_that_the_documents_mention_exist(path):
    modules = "|".join(module.name for module in pkgutil.iter_modules(ganutils.__path__))
    text = (ROOT / path).read_text(encoding="utf-8")
    found = re.findall(rf"`(?:ganutils\.)?({modules})\.((?:\w+\.)*\w+)[`(]", text)
    assert found or path == "instructor/README.md", "else this test sees nothing"
    for module, names in found:
        if names not in ("py", "toml"):  # a file
            functools.reduce(getattr, names.split("."), importlib.import_module(f"ganutils.{module}"))
