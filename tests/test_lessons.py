import itertools
import json
import re
import tomllib

import keras
import psutil
import pytest
import recipes

from ganutils import lessons
from tests.test_tools import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))
ENTRIES = tomllib.loads((ROOT / "lessons.toml").read_text(encoding="utf-8"))
COMMON = {"images", "epochs", "batch_size", "samples", "precision"}
OPTIONAL = {"assignment_minutes", "recipe"}
ADD = "CONTRIBUTING.md says how to add a lesson"


@pytest.fixture(autouse=True)
def no_profile_from_outside(monkeypatch):
    monkeypatch.delenv("GANUTILS_PROFILE", raising=False)


# lessons.toml


def test_each_notebook_has_an_entry_in_the_same_order_and_each_entry_a_notebook():
    assert list(ENTRIES) == [path.stem for path in NOTEBOOKS], f"lessons.toml and notebooks/ differ; {ADD}"


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_says_all_that_tables_and_profiles_need(name):
    entry = ENTRIES[name]
    assert entry.keys() - OPTIONAL == {
        *("title", "part", "objectives", "minutes", "reference_runs"),
        *lessons.PROFILES,
    }
    assert entry["part"] in (1, 2, 3)
    assert entry["minutes"] > 0
    for profile in lessons.PROFILES:
        assert entry[profile].keys() >= COMMON, f"{name}: {profile} lacks a common key"
        own, same = (entry[each].keys() - {"fixed_seconds"} for each in (profile, "laptop"))
        assert own == same, f"{name}: {profile} and laptop have not the same keys"
        lessons.Profile(name, profile)  # raises where a number is not positive
        keras.dtype_policies.get(entry[profile]["precision"])  # raises where it is unknown
    work = [lessons.Profile(name, profile).steps for profile in lessons.PROFILES]
    assert work[0] < work[1] <= work[2], f"{name}: training steps are {work}; smoke takes fewest, gpu as many or more"
    assert entry["reference_runs"] <= ("recipe" in entry), "reference runs are trained by a recipe"
    if "recipe" in entry:
        assert callable(getattr(recipes, entry["recipe"]))


@pytest.mark.parametrize("name", ENTRIES)
def test_an_assignment_has_its_minutes_answers_and_checks(name):
    there = (ROOT / "instructor" / "source" / name / f"{name}.ipynb").is_file()
    assert ("assignment_minutes" in ENTRIES[name]) == there, name
    if there:
        assert (ROOT / "tests" / "exercises" / f"answers_{name[:2]}.py").is_file()
        assert (ROOT / "ganutils" / "checks" / f"{name[3:]}.py").is_file()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_formula_breaks_the_line_instead_of_naming_a_symbol(path):
    """To LaTeX, two backslashes before a name end the line."""
    prose = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "markdown"]
    found = [match for cell in prose for match in re.findall(r".{20}\\\\[a-z,!;].{5}", "".join(cell["source"]))]
    assert not found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_opens_its_own_lesson_under_its_own_title(path):
    cells = ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    title = f"# {path.stem.partition('_')[0]} · {ENTRIES[path.stem]['title']}"
    assert cells[0].startswith(title), (
        f"the notebook begins with {cells[0].splitlines()[0]!r}, lessons.toml has {title!r}"
    )
    for call in (f'lesson = lessons.Lesson("{path.stem}", PROFILE)', "lesson.save_picture(", "lesson.close("):
        assert any(call in cell for cell in cells), f"no cell of {path.stem} has `{call}`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_is_recorded_and_shows_its_picture(path):
    command = "python tools/run_notebooks.py --profile laptop --record --only"
    record = f"run `{command} {path.stem.partition('_')[0]}` on an idle machine"
    costs = json.loads(lessons.RECORD.read_text(encoding="utf-8"))["lessons"]
    assert f"{path.stem} laptop" in costs, f"no time and memory of {path.stem} are recorded; {record}"
    picture = f"pictures/{path.stem}.png"
    assert (ROOT / "notebooks" / picture).is_file(), f"notebooks/{picture} is missing; {record}"
    title = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    assert f"]({picture})" in title, f"the title cell lacks ![what the picture shows]({picture})"


# Profile


@pytest.fixture
def toy(monkeypatch):
    sizes = {"images": 130, "epochs": 3, "batch_size": 64, "samples": 10, "precision": "float32", "width": 2.5}
    monkeypatch.setitem(lessons.LESSONS, "99_toy", {"smoke": sizes, "laptop": sizes})
    return "99_toy"


def test_a_profile_has_the_sizes_of_lessons_toml(toy):
    profile = lessons.Profile(toy, "smoke")
    assert (profile.name, profile.images, profile.precision, profile.width) == ("smoke", 130, "float32", 2.5)
    assert (profile.steps_per_epoch, profile.steps) == (2, 6), "an incomplete last batch is dropped"
    changed = lessons.Profile(toy, "smoke", epochs=5)
    assert (changed.steps, profile.steps) == (10, 6)


def test_what_is_unknown_is_answered_with_what_is_allowed(toy, monkeypatch):
    with pytest.raises(ValueError, match="unknown profile 'huge'; choose one of smoke, laptop, gpu"):
        lessons.Profile(toy, "huge")
    with pytest.raises(ValueError, match="unknown lesson '98_none'; choose one of 00_start_here"):
        lessons.Profile("98_none", "laptop")
    with pytest.raises(ValueError, match=r"unknown depth; 99_toy has images, epochs, .*width"):
        lessons.Profile(toy, "laptop", depth=3)
    monkeypatch.setitem(lessons.LESSONS[toy], "smoke", {**lessons.LESSONS[toy]["smoke"], "steps": 9})
    with pytest.raises(ValueError, match="steps: a profile has an attribute of that name"):
        lessons.Profile(toy, "smoke")
    with pytest.raises(AttributeError, match=r"'depth'.*lessons\.toml has images, epochs, .*width"):
        lessons.Profile(toy, "laptop").depth  # noqa: B018


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 0}, {"images": -1}, {"batch_size": 1.5}, {"samples": True}, {"width": 0}, {"batch_size": 131}],
    ids=str,
)
def test_numbers_that_are_not_positive_or_do_not_fit_are_refused(toy, changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        lessons.Profile(toy, "laptop", **changes)


# Estimates


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    path = tmp_path / "costs.json"
    row = {"seconds": 100.0, "peak_mb": 900.0, "steps_per_second": 40.0}
    path.write_text(json.dumps({"lessons": {"02_dcgan laptop": row}}))
    monkeypatch.setattr(lessons, "RECORD", path)
    monkeypatch.setattr(lessons.folders, "BUILD", tmp_path / "build")
    monkeypatch.setattr(lessons, "_SPEED", tmp_path / "build" / "speed.json")
    return path


def test_a_machine_of_half_the_speed_takes_twice_as_long(recorded):
    profile = lessons.Profile("02_dcgan", "laptop")
    assert lessons.estimate(profile) == (100.0, 900.0, 40.0)
    # The seconds of the race against the clock stay what they are.
    assert profile.fixed_seconds == 16
    assert lessons.estimate(profile, 20.0) == (184.0, 900.0, 40.0)


def test_an_unrecorded_profile_is_scaled_by_its_images(recorded):
    laptop, gpu = (lessons.Profile("02_dcgan", name) for name in ("laptop", "gpu"))
    seconds, _, _ = lessons.estimate(gpu, 40.0)
    assert gpu.images * gpu.epochs == 45 * laptop.images * laptop.epochs
    # Of the recorded 100 s, 16 do not depend on the machine; this profile has 40 of those.
    assert (laptop.fixed_seconds, gpu.fixed_seconds) == (16, 40)
    assert seconds == pytest.approx(40 + 84 * 45)


def test_without_a_record_there_is_no_estimate(recorded):
    assert lessons.estimate(lessons.Profile("01_vanilla_gan", "laptop")) is None
    recorded.unlink()
    assert lessons.estimate(lessons.Profile("02_dcgan", "laptop")) is None


def test_a_lesson_prints_the_recorded_time_until_lesson_00_has_measured_the_machine(recorded, monkeypatch, capsys):
    lessons.Lesson("02_dcgan", "laptop")
    assert "about 2 min and 0.9 GB of memory on an idle machine that takes 40 of lesson 00's" in capsys.readouterr().out
    monkeypatch.setattr(lessons, "measure_steps_per_second", lambda seconds: {0.2: 4.0, 6.0: 20.0}[seconds])
    assert lessons.Lesson("00_start_here", "smoke").measure_machine(0.2) == 4.0
    assert lessons.stored_speed() is None, "a smoke run has no time to measure well"
    assert lessons.Lesson("00_start_here", "laptop").measure_machine(6.0) == 20.0
    assert lessons.stored_speed() == 20.0
    capsys.readouterr()
    lessons.Lesson("02_dcgan", "laptop")
    assert "about 3 min and 0.9 GB of memory on this machine" in capsys.readouterr().out
    lessons.Lesson("01_vanilla_gan", "laptop")
    assert "No run of it has been recorded" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"steps_per_second": 3}', '{"machine": {}, "steps_per_second": 3}']
)
def test_what_is_no_speed_of_this_machine_is_not_used(recorded, content):
    lessons._SPEED.parent.mkdir()
    lessons._SPEED.write_text(content)
    assert lessons.stored_speed() is None


def test_the_measurement_counts_steps(monkeypatch):
    # Each look at this clock takes half a second, so that ten steps do.
    clock = itertools.count(0.0, 0.5)
    monkeypatch.setattr(lessons.time, "perf_counter", lambda: next(clock))
    assert lessons.measure_steps_per_second(seconds=0.01) == 20.0


def test_peak_memory_counts_what_was_freed():
    before = psutil.Process().memory_info().rss / 1e6
    block = bytearray(300_000_000)
    for i in range(0, len(block), 4096):
        block[i] = 1
    del block
    assert lessons.peak_memory_mb() > before + 290


@pytest.mark.parametrize(("seconds", "words"), [(40, "40 s"), (150, "2 min"), (300, "5 min"), (9000, "2.5 h")])
def test_durations_in_words(seconds, words):
    assert lessons.format_duration(seconds) == words


# Lesson


def test_the_environment_overrides_the_notebook(recorded, monkeypatch):
    monkeypatch.setenv("GANUTILS_PROFILE", "smoke")
    assert lessons.Lesson("02_dcgan", "laptop").profile.name == "smoke"
    monkeypatch.setenv("GANUTILS_PROFILE", "")
    assert lessons.Lesson("02_dcgan", "laptop").profile.name == "laptop"
    monkeypatch.setenv("GANUTILS_PROFILE", "tiny")
    with pytest.raises(ValueError, match="'tiny' in the environment variable GANUTILS_PROFILE"):
        lessons.Lesson("02_dcgan", "laptop")


def test_a_gpu_computes_deterministically(recorded, monkeypatch, capsys):
    switched = []
    monkeypatch.setattr(lessons.tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(lessons.tf.config.experimental, "enable_op_determinism", lambda: switched.append(True))
    lessons.Lesson("01_vanilla_gan", "laptop")
    assert switched == [True]
    assert "deterministically" in capsys.readouterr().out


def test_a_lesson_leaves_its_result_for_the_summary_and_no_backup(recorded, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda content, raw: shown.append(content))
    lesson = lessons.Lesson("02_dcgan", "laptop")
    assert lesson.folder == recorded.parent / "build" / "lessons" / "02_dcgan-laptop"
    for name in ("backup.npz", "mine.npz"):
        (lesson.folder / name).write_bytes(b"")
    lesson.close(generator_loss=0.5)
    left = [path.name for path in lesson.folder.glob("*.npz")]
    assert left == ["mine.npz"], "the next run should train from scratch, and files of the student's own stay"
    result = shown[0][lessons.MIME_TYPE]
    assert result["metrics"] == {"generator_loss": 0.5}
    assert result["peak_mb"] > 0
    assert "at most" in shown[0]["text/plain"]


def test_another_kernel_may_close_the_same_lesson(recorded, monkeypatch):
    monkeypatch.setattr("IPython.display.display", lambda content, raw: None)
    lesson = lessons.Lesson("02_dcgan", "laptop")
    lesson.close()
    lesson.close()
