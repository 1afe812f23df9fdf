"""What a submission becomes before it is graded, without running anything."""

import io
import json
import sys
import zipfile

import nbformat
import pytest

from tests.exercises.assignments import NAMES, cells, kind
from tests.grading import strange
from tests.test_tools import ROOT

sys.path.insert(0, str(ROOT / "instructor"))
import grade
import mending


@pytest.fixture(params=NAMES)
def released(request):
    return strange.read_released(request.param)


def mended(submission, released):
    original = nbformat.from_dict({key: value for key, value in released.items() if key != "name"})
    content = json.dumps(submission).encode()
    return mending.mend(grade.read_notebook(content), original)


def answers(notebook):
    return {cell.id: cell.source.split() for cell in notebook.cells if kind(cell) in ("solution", "manual")}


def test_an_untouched_notebook_stays_as_it_is(released):
    found = mended(released, released)
    assert [(c.id, c.source) for c in found.cells] == [(c["id"], c["source"]) for c in released["cells"]]


@pytest.mark.parametrize("change", strange.RIGHT)
def test_answers_come_back_into_their_cells(released, change):
    found = mended(change(released), released)
    ids = [cell.id for cell in found.cells]
    handed_out = [cell["id"] for cell in released["cells"]]
    assert [name for name in ids if name in handed_out] == handed_out, "each cell once, in its order"
    # What each test will see: of all cells before it, the last one that defines the function.
    for name, right in answers(nbformat.from_dict(strange.answered(released))).items():
        cell = next(cell for cell in released["cells"] if cell["id"] == name)
        if kind(cell) == "manual":
            assert change is strange.bare or answers(found)[name] == right
            continue
        (function,) = mending.binds(cell["source"])
        test = next(i for i in range(ids.index(name), len(ids)) if kind(found.cells[i]) == "test")
        imported = ids.index("imports")
        seen = [c.source for c in found.cells[imported:test] if function in mending.binds(c.source)]
        right = " ".join(right)
        if change is strange.lambdas:
            right = right.replace(f"def {function}(", "def mine(")
        assert right in " ".join(seen[-1].split()), (name, seen)


@pytest.mark.parametrize("change", strange.RIGHT)
def test_a_submission_looks_the_same_each_time_it_is_read(released, change):
    content = json.dumps(change(released)).encode()
    assert grade.read_notebook(content) == grade.read_notebook(content)


def test_the_answer_that_the_students_own_test_saw_counts(released):
    """Copies behind the test are trials, and stay behind it."""
    name = next(cell["id"] for cell in released["cells"] if kind(cell) == "solution")
    notebook = strange.answered(released)
    notebook["cells"].append(
        {**next(c for c in notebook["cells"] if c["id"] == name), "id": "copy", "source": "def trial():\n    pass"}
    )
    found = mended(notebook, released)
    assert found.cells[-1].source == "def trial():\n    pass"
    assert answers(found)[name] == cells(released["name"])[name]["source"].split()


def test_of_two_versions_the_one_that_is_python_counts(released):
    name = next(cell["id"] for cell in released["cells"] if kind(cell) == "solution")
    notebook = strange.answered(released)
    at = [cell["id"] for cell in notebook["cells"]].index(name)
    notebook["cells"].insert(at, {**notebook["cells"][at], "id": "copy", "source": "def trial(:\n    not yet"})
    assert answers(mended(notebook, released))[name] == cells(released["name"])[name]["source"].split()


@pytest.mark.parametrize("change", strange.RIGHT)
def test_of_several_notebooks_the_one_of_this_assignment_with_answers_is_taken(released, change):
    original = nbformat.from_dict({key: value for key, value in released.items() if key != "name"})
    other = next(name for name in NAMES if name != released["name"])
    files = [
        ("other.ipynb", json.dumps(strange.answered(strange.read_released(other))).encode()),
        (f"{released['name']}.ipynb", json.dumps(original).encode()),
        ("copy (1).ipynb", json.dumps(change(released)).encode()),
        ("notes.txt", b"some notes"),
    ]
    path, _ = grade.choose(files, original)
    assert path == "copy (1).ipynb"
    with pytest.raises(grade.NotGraded, match=r"other.ipynb holds no answer to this assignment; it begins"):
        grade.choose([files[0], files[3]], original)


def test_answers_are_counted_and_not_cells_and_the_plain_name_wins(released):
    original = nbformat.from_dict({key: value for key, value in released.items() if key != "name"})
    right = strange.answered(released)
    task = next(cell for cell in right["cells"] if kind(cell) == "solution")
    scratch = [{"cell_type": "code", "metadata": {}, "source": f"print({i})", "id": f"own-{i}"} for i in range(9)]
    one = strange.answered(released, {cell["id"]: cell["source"] for cell in released["cells"]})
    one["cells"] = [*one["cells"], {**task, "id": "own"}, *scratch]
    older = strange.answered(released, {task["id"]: f"{task['source']}\n# an older one"})
    files = {"01-Copy1.ipynb": older, "01.ipynb": right, "00.ipynb": one}
    files = [(path, json.dumps(notebook).encode()) for path, notebook in files.items()]
    numbers = ("log.json", b'{"cells": ' + b"1" * 5000 + b"}")
    assert grade.choose([*files, numbers], original)[0] == "01.ipynb"
    assert grade.choose(files[::2], original)[0] == "01-Copy1.ipynb"


def test_files_are_not_read_beyond_the_limit(tmp_path, monkeypatch, released):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(grade, "MOST_MEGABYTES", 1)
    folder = tmp_path / "downloaded" / released["name"] / "ada"
    folder.mkdir(parents=True)
    (folder / "a.ipynb").write_text(json.dumps(strange.answered(released)))
    for i in range(4):
        (folder / f"b{i}.bin").write_bytes(bytes(300_000))
    original = nbformat.from_dict({key: value for key, value in released.items() if key != "name"})
    read, files = [], grade.files_in
    monkeypatch.setattr(
        grade, "files_in", lambda name, content, budget: read.append(len(content)) or files(name, content, budget)
    )
    ((student, entries),) = grade.handed_in(released["name"]).items()
    grade.collect(student, entries, released["name"], original)
    assert sum(read) < 2**20


@pytest.mark.parametrize("line", ["%time 1", "a?", "x = !ls"])
def test_a_cell_of_many_magics_is_read_at_once(line):
    assert mending.binds(f"{line}\n" * 600 + "def f():\n    pass\n" + "a = 1\n" * 20_000) >= {"f"}
    assert mending.binds(f"{line}\ndef f():\n    pass") >= {"f"}


def test_a_copy_that_is_timed_is_joined_without_its_clock(released):
    notebook = strange.answered(released)
    first = next(cell for cell in notebook["cells"] if kind(cell) == "solution")
    place = notebook["cells"].index(first)
    older = {**first, "source": "def f():\n    return -1", "id": first["id"]}
    notebook["cells"][place : place + 1] = [older, {**first, "source": f"%%time\n{first['source']}", "id": "own"}]
    (cell,) = [cell for cell in mended(notebook, released).cells if cell.id == first["id"]]
    assert cell.source == f"{older['source']}\n{first['source']}".rstrip()


def test_imports_are_made_again_before_a_test_that_needs_them(released):
    cells = mended(strange.rebound(released), released).cells
    tests = [i for i, cell in enumerate(cells) if kind(cell) == "test"]
    assert all(cells[i - 1].source.startswith(mending.AGAIN) for i in tests)
    assert all("import numpy as np" in cells[i - 1].source for i in tests)
    untouched = mended(strange.answered(released), released).cells
    assert not any(cell.source.startswith(mending.AGAIN) for cell in untouched)


def test_nothing_is_installed_while_a_class_is_graded(released):
    notebook = strange.answered(released)
    notebook["cells"].insert(
        3,
        {
            **notebook["cells"][2],
            "cell_type": "code",
            "source": "%pip install x\nif True:\n    !pip install y",
            "id": "own",
        },
    )
    sources = "\n".join(cell.source for cell in mended(notebook, released).cells)
    assert "\n    pass  # Nothing is installed while a class is graded: !pip install y" in sources
    assert "\n%pip" not in sources


def test_what_a_student_prints_is_no_verdict():
    printed = {"output_type": "stream", "name": "stdout", "text": "1: not graded"}
    shown = {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "? 1: not graded"}}
    cell = nbformat.v4.new_code_cell("f()", outputs=[nbformat.from_dict(printed), nbformat.from_dict(shown)])
    assert mending.said(cell).split("\n")[-1] == "? 1: not graded"
    assert "1: not graded" not in mending.said(nbformat.v4.new_code_cell("f()", outputs=cell.outputs[:1]))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_notebooks_of_any_encoding_are_read(encoding):
    content = '{"cells": [{"cell_type": "markdown", "source": ["Größe ", "2"]}]}'.encode(encoding)
    assert grade.read_notebook(content).cells[0].source == "Größe 2"


def test_outputs_are_kept_but_for_those_that_no_notebook_may_have(released):
    right, wrong = {"output_type": "stream", "name": "stdout", "text": "seen"}, {"output_type": "song", "text": 3}
    notebook = strange.answered(released)
    for cell in notebook["cells"]:
        if "skip-execution" in cell["metadata"].get("tags", []):
            cell["outputs"] = [wrong, right]
    experiments = [
        cell for cell in mended(notebook, released).cells if "skip-execution" in cell.metadata.get("tags", [])
    ]
    assert experiments
    assert all(cell.outputs == [right] for cell in experiments)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x01", b"<html>", b"[]", b"3", b'{"a": 1}', b"%PDF-1.7", "Größe".encode("utf-16")],
)
def test_what_is_no_notebook_is_none(content):
    assert grade.read_notebook(content) is None


@pytest.mark.parametrize(
    "content",
    [
        b'{"cells": [{"cell_type": "code", "source": ["a',
        b'{"cells": [{"cell_type": "code", "source": "' + b"x" * 1_000_001 + b'"}]}',
        b'{"cells": 3}',
        b'{"cells": [3]}',
        b'<<<<<<< HEAD\n{"cells": [{"cell_type": "code"}]}',
    ],
)
def test_a_notebook_that_cannot_be_read_says_so(content):
    with pytest.raises(grade.NotGraded, match=r"not (valid JSON|a valid notebook): "):
        grade.read_notebook(content)


def test_archives_of_any_shape_are_opened_in_memory():
    files = dict(grade.files_in("ada.tar.gz", strange.packed("01", "{}"), [10**6]))
    assert files["my work/01 (2).ipynb"] == b"{}"
    for content in (b"", b"PK\x03\x04 torn", strange.packed("01", "{}")[:40]):
        ((name, reason),) = grade.files_in("ada.zip", content, [10**6])
        assert name == "ada.zip"
        assert "cannot be opened as an archive" in str(reason)


def test_an_archive_that_swells_is_not_opened():
    """Neither one with a large file, nor one with many that hold large ones together."""
    packed, together = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large.ipynb", bytes(2**21))
    assert len(packed.getvalue()) < 10_000
    ((_, reason),) = grade.files_in("ada.zip", packed.getvalue(), [2**20])
    assert "more than 200 MB were handed in" in str(reason)
    with zipfile.ZipFile(together, "w") as archive:
        for i in range(9):
            archive.writestr(f"{i}.zip", packed.getvalue())
    found = [content for _, content in grade.files_in("ada.zip", together.getvalue(), [2**23])]
    assert sum(isinstance(content, bytes) for content in found) == 3
    assert sum(isinstance(content, grade.NotGraded) for content in found) == 6


def test_a_broken_archive_beside_a_notebook_takes_nothing_from_it(released):
    original = nbformat.from_dict({key: value for key, value in released.items() if key != "name"})
    notebook = json.dumps(strange.answered(released)).encode()
    files = [*grade.files_in("old.zip", b"torn", [100]), ("./01.ipynb", notebook), ("../up.ipynb", b"{}")]
    assert grade.choose(files, original)[0] == "./01.ipynb"
    with pytest.raises(grade.NotGraded, match=r"old\.zip: cannot be opened"):
        grade.choose(files[:1], original)


@pytest.mark.parametrize("layout", ["ada/01.ipynb", "Ada [2]/x/y/01.ipynb", "ada.ipynb", "ada_20261201T120000.ipynb"])
def test_whatever_a_platform_hands_out_becomes_one_submission(tmp_path, monkeypatch, released, layout):
    monkeypatch.chdir(tmp_path)
    name = released["name"]
    original = nbformat.from_dict({key: value for key, value in released.items() if key != "name"})
    path = tmp_path / "downloaded" / name / "archive" / layout
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(strange.answered(released)))
    (path.parent.parent / ".DS_Store").touch()
    ((student, entries),) = grade.handed_in(name).items()
    assert student == ("Ada _2_" if "[" in layout else "ada")
    for new in (True, False):
        assert grade.collect(student, entries, name, original)[0] == new
    stamp = tmp_path / "submitted" / student / name / "timestamp.txt"
    assert stamp.is_file() == ("2026" in layout)
    assert nbformat.read(stamp.with_name(f"{name}.ipynb"), as_version=4).cells[0].id == "title"


def test_of_two_submissions_the_later_one_counts_and_that_is_said(tmp_path, monkeypatch, released):
    monkeypatch.chdir(tmp_path)
    name = released["name"]
    for time, notebook in (("20261203T100000", strange.answered(released)), ("20261201T100000", released)):
        path = tmp_path / "downloaded" / name / "archive" / f"ada_{time}" / f"{name}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({key: value for key, value in notebook.items() if key != "name"}))
    ((student, entries),) = grade.handed_in(name).items()
    original = nbformat.from_dict({key: value for key, value in released.items() if key != "name"})
    assert grade.collect(student, entries, name, original) == (True, "the newest of 2 was used")
    assert strange.PROSE in (tmp_path / "submitted" / "ada" / name / f"{name}.ipynb").read_text()


@pytest.mark.parametrize(
    ("name", "student", "time"),
    [
        ("ada", "ada", None),
        ("ada_20261201T120000", "ada", "20261201T120000"),
        ("ada_lovelace.zip", "ada_lovelace", None),
        ("ada.tar.gz", "ada", None),
        ("ada_20261201T120000.ipynb", "ada", "20261201T120000"),
        ("Ada Lovelace_1234_assignsubmission_file_", "Ada Lovelace", None),
        ("lovelaceada_LATE_1234_5678_01_vanilla_gan.ipynb", "lovelaceada", None),
        ("lovelaceada_1234_5678_01_vanilla_gan-1.ipynb", "lovelaceada", None),
        ("ada.TAR.GZ", "ada", None),
        ("ada.txz", "ada", None),
        ("two\nlines.zip", "two\nlines", None),
        ("team_1_2_ada.ipynb", "team_1_2_ada", None),
    ],
)
def test_a_students_name_is_read_off_what_platforms_make_of_it(name, student, time):
    found = grade.STUDENT.fullmatch(name)
    assert (found["student"], found["time"]) == (student, time)


def test_people_of_one_name_and_names_that_cannot_be_printed_stay_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = tmp_path / "downloaded" / "01" / "archive"
    names = [
        "lab_11_2026_ada.ipynb",
        "lab_11_2026_bob.ipynb",
        "'eve'",
        "Ada L_11_assignsubmission_file_",
        "Ada L_12_assignsubmission_file_",
        "x [1]",
        "x _1_",
        "two\nlines",
        " .zip",
    ]
    for name in [*names, b"Jos\xe9".decode("utf-8", "surrogateescape")]:
        (archive / name).mkdir(parents=True)
    found = grade.handed_in("01")
    assert set(found) == {
        "lab_11_2026_ada.ipynb",
        "lab_11_2026_bob.ipynb",
        "eve",
        "Ada L (11)",
        "Ada L (12)",
        "x _1_ (1)",
        "x _1_ (2)",
        "two_lines",
        "_",
        "Jos_",
    }
    assert all(len(entries) == 1 for entries in found.values())


def test_of_several_files_of_one_student_the_notebook_is_taken(tmp_path, monkeypatch, released):
    """As Canvas hands them out."""
    monkeypatch.chdir(tmp_path)
    name = released["name"]
    archive = tmp_path / "downloaded" / name / "archive"
    archive.mkdir(parents=True)
    (archive / f"ada_11_12_{name}.ipynb").write_text(json.dumps(strange.answered(released)))
    (archive / "ada_11_13_notes.pdf").write_bytes(b"%PDF-1.7")
    ((student, entries),) = grade.handed_in(name).items()
    original = nbformat.from_dict({key: value for key, value in released.items() if key != "name"})
    assert grade.collect(student, entries, name, original) == (True, f"ada_11_12_{name}.ipynb was used")


def unhashable(notebook):
    notebook["cells"][0]["metadata"]["nbgrader"] = {"grade_id": ["a"]}


def without_tags(notebook):
    notebook["cells"][0]["metadata"]["tags"] = None


def half_a_sign(notebook):
    notebook["cells"][0]["source"] = "\ud83d"


def very_deep(notebook):
    next(c for c in notebook["cells"] if kind(c) == "solution")["source"] = "x = " + "-" * 200_000 + "1"


def very_long(notebook):
    next(c for c in notebook["cells"] if kind(c) == "solution")["source"] = "x = 1" + "+1" * 100_000


@pytest.mark.parametrize("change", [unhashable, without_tags, half_a_sign, very_deep, very_long])
@pytest.mark.parametrize("released", NAMES[:1], indirect=True)
def test_what_makes_python_stumble_is_read(tmp_path, monkeypatch, released, change):
    monkeypatch.chdir(tmp_path)
    notebook, name = strange.answered(released), released["name"]
    change(notebook)
    path = tmp_path / "downloaded" / name / "archive" / "ada.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(notebook))
    ((student, entries),) = grade.handed_in(name).items()
    original = nbformat.from_dict({key: value for key, value in released.items() if key != "name"})
    grade.collect(student, entries, name, original)
    mended(notebook, released)


@pytest.mark.parametrize("where", ["collect", "grade"])
@pytest.mark.parametrize("released", NAMES[:1], indirect=True)
def test_no_error_over_one_submission_keeps_others_from_being_graded(tmp_path, monkeypatch, released, capsys, where):
    monkeypatch.chdir(tmp_path)
    name, done = released["name"], []
    for folder in ("source", "release"):
        (tmp_path / folder / name).mkdir(parents=True)
    original = {key: value for key, value in released.items() if key != "name"}
    (tmp_path / "release" / name / f"{name}.ipynb").write_text(json.dumps(original))
    for student in ("ada", "bob", "zoe"):
        (tmp_path / "downloaded" / name / student).mkdir(parents=True)
        (tmp_path / "downloaded" / name / student / f"{name}.ipynb").write_text(json.dumps(strange.answered(released)))
    real = grade.collect

    def collect(student, *rest):
        if (student, where) == ("bob", "collect"):
            raise MemoryError("no more")
        return real(student, *rest)

    def graded(student, *_, **limits):
        if (student, where) == ("bob", "grade"):
            raise KeyError("unseen")
        done.append(student)
        return {}

    monkeypatch.setattr(grade, "collect", collect)
    monkeypatch.setattr(grade, "grade", graded)
    monkeypatch.setattr(grade, "table", lambda reasons: None)
    monkeypatch.setattr(sys, "argv", ["grade.py", name])
    assert grade.main() == 0
    assert done == ["ada", "zoe"]
    ((row),) = grade.read_reasons()
    assert (row["student"], row["task"]) == ("bob", "")
    assert row["reason"].startswith(("MemoryError: no more", "KeyError: "))
    assert row["reason"] in capsys.readouterr().out
