"""The benchmark of lesson 08 on few digits and for a second: what comes from which start, and what is measured."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from ganutils import data, features

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tools")]
import super_resolution  # noqa: E402


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Let it see 300 digits, and take the shipped classifier for the second judge."""
    digits = {
        split: data.LabelledImages(*(part[:300] for part in data.load_dataset(split=split))) for split in data.SPLITS
    }
    monkeypatch.setattr(data, "load_dataset", lambda split="train": digits[split])
    monkeypatch.setattr(super_resolution, "BUILD", tmp_path)
    monkeypatch.setattr(super_resolution, "second_judge", features.digit_classifier)
    return tmp_path


def test_the_truth_is_measured_as_the_truth(few):
    digits, classes = data.load_dataset(split="test")
    real = data.as_float(digits)
    found = super_resolution.measure(real, real, classes)
    assert found["psnr"] > 100
    assert found["ssim"] == pytest.approx(1, abs=1e-4)
    assert found["frechet_distance"] == pytest.approx(0, abs=1e-2)
    assert found["kept"] > 0.97
    assert found["kept"] == found["kept_second"], "the second judge is the first one here"
    assert super_resolution.interpolated(4)["psnr"] < super_resolution.interpolated(7)["psnr"] < 16


def test_runs_go_on_from_one_pre_training(few):
    found = super_resolution.run("adversarial 0.1", 0, 0.2)
    (start,) = few.glob("*.weights.h5")
    written = start.stat().st_mtime_ns
    assert found["steps"] > 0
    assert 5 < found["psnr"] < 20
    super_resolution.run("pixel error", 0, 0.2)
    assert start.stat().st_mtime_ns == written, "the pre-training is not repeated"
    super_resolution.run("without pre-training", 1, 0.1)
    assert [path.name for path in few.glob("*.weights.h5")] == [start.name], "it has none"


def test_a_trial_replaces_nothing_and_finished_runs_are_kept(few, monkeypatch):
    taken = []
    monkeypatch.setattr(super_resolution, "run", lambda *run: taken.append(run) or {"psnr": 1.0})
    monkeypatch.setattr(super_resolution, "interpolated", lambda size: {"psnr": 0.0})
    monkeypatch.setattr(super_resolution, "RECORD", few / "record.json")
    super_resolution.main(["--seconds", "1"])
    super_resolution.main(["--seconds", "1"])
    assert len(taken) == super_resolution.SEEDS * len(super_resolution.RECIPES)
    assert not (few / "record.json").exists()
    super_resolution.main([])
    record = json.loads((few / "record.json").read_text(encoding="utf-8"))
    assert [run["seed"] for run in record["runs"]] == sorted(
        list(range(super_resolution.SEEDS)) * len(super_resolution.RECIPES)
    )


def test_satellite_pieces_are_compared_with_interpolation(monkeypatch):
    from ganutils import earth

    load = earth.load
    monkeypatch.setattr(earth, "load", lambda n, **options: load(40, **options))
    found = super_resolution.satellite(0, 0.2)
    assert 20 < found["psnr_bicubic"] < 40
    assert np.isfinite(found["psnr"])
