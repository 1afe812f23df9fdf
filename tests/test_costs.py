import itertools
import json

import psutil
import pytest

from ganutils import costs, profiles


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    monkeypatch.delenv("GANUTILS_PROFILE", raising=False)
    path = tmp_path / "costs.json"
    row = {"seconds": 100.0, "peak_mb": 900.0, "steps_per_second": 40.0}
    path.write_text(json.dumps({"lessons": {"02_dcgan laptop": row}}))
    monkeypatch.setattr(costs, "RECORD", path)
    return path


def test_a_machine_of_half_the_speed_takes_twice_as_long(recorded):
    profile = profiles.load("laptop", "02_dcgan")
    assert costs.estimate("02_dcgan", profile, 40.0) == (100.0, 900.0)
    # The twenty seconds of the race against the clock stay what they are.
    assert profile.clocked_seconds == 20
    assert costs.estimate("02_dcgan", profile, 20.0) == (180.0, 900.0)


def test_an_unrecorded_profile_is_scaled_by_its_images(recorded):
    laptop, gpu = profiles.load("laptop", "02_dcgan"), profiles.load("gpu", "02_dcgan")
    seconds, _ = costs.estimate("02_dcgan", gpu, 40.0)
    assert gpu.images * gpu.epochs == 30 * laptop.images * laptop.epochs
    # Of the recorded 100 s, 20 were on the clock; this profile has 40 of those.
    assert (laptop.clocked_seconds, gpu.clocked_seconds) == (20, 40)
    assert seconds == pytest.approx(40 + 80 * 30)


def test_without_a_record_there_is_no_estimate(recorded):
    assert costs.estimate("01_vanilla_gan", profiles.load("laptop", "01_vanilla_gan"), 40.0) is None
    recorded.unlink()
    assert costs.estimate("02_dcgan", profiles.load("laptop", "02_dcgan"), 40.0) is None


def test_peak_memory_counts_what_was_freed():
    before = psutil.Process().memory_info().rss / 1e6
    block = bytearray(300_000_000)
    for i in range(0, len(block), 4096):
        block[i] = 1
    del block
    assert costs.peak_memory_mb() > before + 290


def test_the_measurement_counts_steps(monkeypatch):
    # Each look at this clock takes half a second, so that ten steps do.
    clock = itertools.count(0.0, 0.5)
    monkeypatch.setattr(costs.time, "perf_counter", lambda: next(clock))
    assert costs.measure_steps_per_second(seconds=0.01, batch_size=2) == 20.0
    for function in (costs.measure_steps_per_second, costs.steps_per_second):
        with pytest.raises(ValueError, match="seconds=0"):
            function(seconds=0)


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """Measurements that take no time; returns the list of their seconds."""
    monkeypatch.setattr(costs, "_ROOT", tmp_path)
    measured = []

    def measure(seconds):
        measured.append(seconds)
        return 10.0 * len(measured)

    monkeypatch.setattr(costs, "measure_steps_per_second", measure)
    return measured


def test_a_speed_is_remembered(counted):
    assert [costs.steps_per_second(2.0) for _ in range(3)] == [10, 10, 10]
    assert costs.steps_per_second(0.2) == 10, "measured for longer than asked"
    assert costs.steps_per_second(5.0) == 20, "measured for less than asked"
    assert costs.steps_per_second(2.0) == 20
    assert costs.steps_per_second(2.0, anew=True) == 30
    assert counted == [2.0, 5.0, 2.0]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"machine": 1}', "\xff"])
def test_what_is_no_remembered_speed_is_measured_anew(counted, tmp_path, content):
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "speed.json").write_text(content, encoding="latin-1")
    assert costs.steps_per_second(2.0) == 10
    assert costs.steps_per_second(2.0) == 10


def test_a_speed_is_forgotten(counted, monkeypatch, tmp_path):
    now = 1e9
    monkeypatch.setattr(costs.time, "time", lambda: now)
    costs.steps_per_second()
    now += 12 * 3600 - 1
    assert costs.steps_per_second() == 10
    now += 1
    assert costs.steps_per_second() == 20, "twelve hours old"
    now -= 3600
    assert costs.steps_per_second() == 30, "from the future: a clock was set back"
    monkeypatch.setattr(costs, "machine", lambda: {"processor": "another"})
    assert costs.steps_per_second() == 40, "another machine shares this folder"
    (tmp_path / "build" / "speed.json").write_text('{"machine": ')
    assert costs.steps_per_second() == 50, "the file was torn"


@pytest.mark.parametrize(("seconds", "words"), [(40, "40 s"), (150, "2 min"), (300, "5 min"), (9000, "2.5 h")])
def test_durations_in_words(seconds, words):
    assert costs.in_words(seconds) == words


def test_a_lesson_leaves_its_result_for_the_summary(recorded, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(costs, "_ROOT", tmp_path)
    monkeypatch.setattr(costs, "steps_per_second", lambda seconds: 20.0)
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda content, raw: shown.append(content))
    lesson = costs.Lesson("02_dcgan", "laptop")
    assert "about 3 min and 0.9 GB" in capsys.readouterr().out
    assert lesson.folder == tmp_path / "build" / "lessons" / "02_dcgan-laptop"
    (lesson.folder / "backup.npz").write_bytes(b"")
    lesson.close(generator_loss=0.5)
    assert not list(lesson.folder.glob("*.npz")), "the next run should train anew"
    result = shown[0][costs.MIME_TYPE]
    assert result["metrics"] == {"generator_loss": 0.5}
    assert result["steps_per_second"] == 20.0
    assert result["peak_mb"] > 0
    assert "generator loss: 0.5" in shown[0]["text/plain"]
