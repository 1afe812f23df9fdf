import json
import re
import shutil
import zipfile

import pytest

from tests.exercises.assignments import EXERCISES, NAMES, SOURCE, cells, kind
from tests.test_tools import ROOT, load_tool


@pytest.fixture(scope="module")
def tool():
    return load_tool("release_exercises")


@pytest.fixture(scope="module")
def made(tool):
    """What nbgrader makes of the sources now."""
    return tool.generate()


def test_the_student_versions_are_those_of_the_sources(tool, made):
    there = tool.committed()
    assert sorted(there) == sorted(made)
    for name, content in made.items():
        assert there[name] == content, f"exercises/{name} is out of date; run `make release`"


def test_nothing_leaks_into_what_students_get(tool, made, tmp_path, monkeypatch):
    committed = {f"exercises/{name}": content.decode("utf-8") for name, content in tool.committed().items()}
    assert len(committed) > len(NAMES)
    assert tool.leaks(committed) == []
    monkeypatch.setattr(tool, "EXERCISES", tmp_path / "exercises")
    monkeypatch.setattr(tool, "ZIPS", tmp_path / "zips")
    tool.write(made)
    texts = tool.published()
    assert {f"{name}.zip: {name}/{name}.ipynb" for name in NAMES} <= set(texts)
    assert tool.leaks(texts) == []


@pytest.mark.parametrize("cell_id", ["training-step", "in-your-own-words", "unseen"])
def test_a_leak_into_a_lesson_is_found(tool, cell_id):
    source = (SOURCE / "01_vanilla_gan" / "01_vanilla_gan.ipynb").read_text(encoding="utf-8")
    (cell,) = (cell for cell in json.loads(source)["cells"] if cell["id"] == cell_id)
    inner = [line for line in "".join(cell["source"]).splitlines() if "###" not in line]
    lesson = {"cells": [{"cell_type": "code", "source": ["# before\n", "\n".join(inner)], "outputs": []}]}
    assert any(cell_id in line for line in tool.leaks({"lesson.ipynb": json.dumps(lesson)}))


@pytest.mark.parametrize("cell_id", ["in-your-own-words", "unseen"])
def test_a_leak_into_an_output_is_found(tool, cell_id):
    lines = [line for line in cells("01_vanilla_gan")[cell_id]["source"].splitlines() if "###" not in line]
    stored = {"cells": [{"cell_type": "code", "source": [], "outputs": [{"text": line} for line in lines]}]}
    assert any(cell_id in line for line in tool.leaks({"stored.ipynb": json.dumps(stored)}))


def line_of(name, cell_id, beginning):
    return next(line for line in cells(name)[cell_id]["source"].splitlines() if line.strip().startswith(beginning))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (line_of("01_vanilla_gan", "unseen", "SEEDS"), "01_vanilla_gan, cell unseen"),
        (line_of("02_dcgan", "diagnosis", '"E"'), "02_dcgan, cell "),
        ("One sentence. The GAN has seen the same 200 images as the classifier. Another.", "03_conditional_gan"),
        (
            "values = 3\nweights = generator.trainable_weights\n"
            "generator_optimizer.apply_gradients(zip(tape.gradient(generator_loss, weights), weights, strict=True))",
            "01_vanilla_gan, cell training-step",
        ),
    ],
)
def test_a_part_of_a_secret_is_a_leak(tool, text, where):
    found = tool.leaks({"exercises/a.py": text})
    assert any(where in line for line in found), found


def test_a_mark_alone_is_a_leak(tool):
    assert tool.leaks({"a.py": "x = 1\n### BEGIN HIDDEN TESTS\n"}) == ["a.py contains a mark: ### BEGIN HIDDEN TESTS"]


def test_what_is_no_longer_made_is_removed_and_zips_do_not_change(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "EXERCISES", tmp_path / "exercises")
    monkeypatch.setattr(tool, "ZIPS", tmp_path / "zips")
    tool.write({"a/a.ipynb": b"{}", "b/b.ipynb": b"{}"})
    before = (tmp_path / "zips" / "a.zip").read_bytes()
    tool.write({"a/a.ipynb": b"{}"})
    assert [path.name for path in (tmp_path / "exercises").iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "zips").iterdir()] == ["a.zip"]
    assert (tmp_path / "zips" / "a.zip").read_bytes() == before
    assert zipfile.ZipFile(tmp_path / "zips" / "a.zip").namelist() == ["a/a.ipynb"]


def test_an_assignment_that_nbgrader_refuses_stops_the_release(tool, tmp_path):
    shutil.copytree(SOURCE / "01_vanilla_gan", tmp_path / "01_vanilla_gan")
    path = tmp_path / "01_vanilla_gan" / "01_vanilla_gan.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("### END SOLUTION", "", 1), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"could not make 01_vanilla_gan"):
        tool.generate(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_stubs_name_their_task(name):
    for cell in cells(name, EXERCISES).values():
        if kind(cell) == "solution":
            assert f'raise NotImplementedError("{cell["id"]}: your code goes here")' in cell["source"]
            assert cell["source"].count("raise NotImplementedError") == 1
        if kind(cell) == "manual":
            assert cell["source"] == "*Your answer goes here.*"


@pytest.mark.parametrize("name", NAMES)
def test_an_assignment_has_what_it_promises(name):
    found = cells(name)
    text = "\n".join(cell["source"] for cell in found.values())
    tasks = re.findall(r"^## (\d) · ", text, re.MULTILINE)
    assert tasks == [str(i + 1) for i in range(len(tasks))]
    assert 4 <= len(tasks) <= 7
    points = {
        cell_id: cell["metadata"]["nbgrader"]["points"]
        for cell_id, cell in found.items()
        if kind(cell) in ("test", "manual")
    }
    assert sum(points.values()) == 20
    # Points in headings and in the table at the top are those of nbgrader.
    table = dict(re.findall(r"^\| (.+?) \| (\d+) \|$", found["title"]["source"], re.MULTILINE))
    assert sum(map(int, table.values())) == 20
    in_headings = dict(re.findall(r"^## (.*?)(?: \((\d+) points?\))?$", text, re.MULTILINE))
    assert {heading: points for heading, points in in_headings.items() if points} == table
    assert re.search(r"\*\*20 points, about (two hours|\d+ minutes)\.\*\*", text)
    for cell in found.values():
        if kind(cell) == "manual":
            rubric = re.findall(r"^- (\d) points?: ", cell["source"].partition("**Rubric**")[2], re.MULTILINE)
            assert sum(map(int, rubric)) == cell["metadata"]["nbgrader"]["points"]
    hints = text.count("<details><summary>Hint 1</summary>")
    assert hints == len([c for c in found.values() if kind(c) == "solution"])
    assert [text.count(f"<details><summary>Hint {i}</summary>") for i in (2, 3)] == [hints, hints]


@pytest.mark.parametrize("name", NAMES)
def test_a_tasks_heading_names_the_points_of_its_cells(name):
    """The cells between two headings give as many points as the first heading says."""
    promised, given = [], []
    for cell in cells(name).values():
        if heading := re.match(r"## .*?(?:\((\d+) points?\))?\n", cell["source"]):
            promised.append(int(heading[1] or 0))
            given.append(0)
        if kind(cell) in ("test", "manual"):
            given[-1] += cell["metadata"]["nbgrader"]["points"]
    assert given == promised


@pytest.mark.parametrize("name", NAMES)
def test_badges_lead_to_the_student_version(name):
    text = (EXERCISES / name / f"{name}.ipynb").read_text(encoding="utf-8")
    path = f"exercises/{name}/{name}.ipynb"
    assert f"?labpath={path})" in text
    assert f"/blob/HEAD/{path})" in text
    # Whoever has only a zip of it must reach the lesson, too.
    assert re.search(rf"\]\(https://github\.com/[^)]*/blob/HEAD/notebooks/{name}\.ipynb\)", text)
    assert (ROOT / "notebooks" / f"{name}.ipynb").is_file()
    assert "](../" not in text
