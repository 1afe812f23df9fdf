"""`python -m ganutils`, as somebody uses it who has pictures and no notebook."""

import json
import platform
import re

import keras
import numpy as np
import pytest
from PIL import Image

from ganutils import __main__ as command_line
from ganutils import checkpoints, data, doctor, features, metrics, plotting


@pytest.fixture
def digits(tmp_path):
    """Two files of real digits, and a folder of pictures in colour."""
    images = data.load_dataset(split="test").images[np.random.default_rng(0).permutation(600)]
    np.save(tmp_path / "real.npy", images[:400])
    np.save(tmp_path / "others.npy", images[400:])
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1), "uint8"))
    folder = tmp_path / "pictures"
    for i, image in enumerate(images[:80]):
        (folder / str(i % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).convert("RGB").save(folder / str(i % 2) / f"{i}.png")
    return tmp_path


def run(*arguments):
    return command_line.main([str(argument) for argument in arguments])


def test_other_real_images_reach_the_floor_and_noise_does_not(digits, capsys):
    found = {}
    for name in ("others", "noise"):
        assert run("evaluate", digits / "real.npy", digits / f"{name}.npy", "--features", "digits", "--json") == 0
        found[name] = json.loads(capsys.readouterr().out)
    assert (found["others"]["samples"], found["others"]["fake"]) == (200, str(digits / "others.npy"))
    distance = {name: result["measures"]["frechet_distance"] for name, result in found.items()}
    assert distance["others"]["value"] < 1.3 * distance["others"]["floor"] < 0.1 * distance["noise"]["value"]
    assert distance["others"]["floor"] == distance["noise"]["floor"]
    assert "with 200 images and 128 features" in found["others"]["cautions"][0]


def test_a_table_for_any_pictures_has_no_measures_of_classes(digits, capsys):
    assert run("evaluate", digits / "pictures", digits / "pictures", "--size", 32) == 0
    table = capsys.readouterr().out
    assert re.search("40 images of .*pictures against 40 of .*pictures, in `untrained` features", table)
    assert re.search(r"frechet distance +lower +\d", table)
    assert re.search(r"precision +higher +\d", table)
    assert "classes" not in table
    assert "Caution: 40 images are too few for 64 features" in table


def test_training_on_a_folder_goes_on_and_leaves_a_generator_to_draw_from(digits, capsys):
    out = digits / "mine"
    for passes in (1, 2):
        assert run("train", digits / "pictures", "--minutes", 1e-4, "--out", out) == 0
        card = checkpoints.read_card(out / "generator.json")
        assert f"after {passes} steps" in card["description"], "80 pictures are one batch of 64"
    assert {path.name for path in out.iterdir()} >= {
        "samples.png",
        "backup.npz",
        "generator.weights.h5",
        "pass-0001.png",
    }
    assert run("sample", out / "generator.json", "-n", 9, "--out", out / "nine.png") == 0
    assert Image.open(out / "nine.png").size > (100, 100)
    for target in ("drawn", "drawn.npy"):
        assert run("sample", out / "generator.json", "-n", 20, "--out", out / target) == 0
    np.testing.assert_array_equal(data.load_folder(out / "drawn", 32).images, np.load(out / "drawn.npy"))
    assert run("evaluate", digits / "pictures", out / "drawn") == 0
    assert checkpoints.load_checkpoint(out / "generator.json").output_shape == (None, 32, 32, 3)


def test_subfolders_are_classes_of_a_conditional_gan_and_name_the_rows_of_its_grid(digits, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        plotting,
        "class_grid",
        lambda *given, real=plotting.class_grid, **named: drawn.append(named) or real(*given, **named),
    )
    assert run("train", digits / "pictures", "--minutes", 1e-4, "--by-class", "--out", digits / "mine") == 0
    assert checkpoints.read_card(digits / "mine" / "generator.json")["classes"] == ["0", "1"]
    assert run("sample", digits / "mine" / "generator.json", "-n", 6, "--out", digits / "six.png") == 0
    assert drawn[-1]["labels"].tolist() == [0, 1, 0, 1, 0, 1]
    assert (list(drawn[-1]["names"]), drawn[-1]["columns"]) == (["0", "1"], 3)
    assert run("sample", digits / "mine", "-n", 6, "--out", digits / "six") == 0
    assert data.load_folder(digits / "six", 32).files[:3] == ["0/00000.png", "0/00002.png", "0/00004.png"]


def test_another_run_in_the_same_folder_is_refused_in_words_of_the_command_line(digits, capsys):
    out = digits / "mine"
    assert run("train", digits / "pictures", "--minutes", 1e-4, "--out", out) == 0
    kept = (out / "generator.weights.h5").read_bytes()
    capsys.readouterr()
    assert run("train", digits / "pictures", "--minutes", 1e-4, "--out", out, "--seed", 1) == 2
    said = capsys.readouterr().err
    assert "another run: data: seed was 0 and is 1" in said
    assert said.endswith(f"Choose another --out, or delete {out}.\n")
    assert (out / "generator.weights.h5").read_bytes() == kept


def test_the_same_seed_draws_the_same_picture_and_another_one_another(digits):
    drawn = []
    for seed in (0, 0, 1):
        assert run("sample", "conditional_gan", "-n", 20, "--out", digits / "drawn.png", "--seed", seed) == 0
        drawn.append((digits / "drawn.png").read_bytes())
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "none", "none"), "none is missing; give a folder of pictures, or an .npy"),
        (("evaluate", "none.npy", "none.npy"), "none.npy is missing; give a folder"),
        (("evaluate", "real.npy", "pictures"), r"real.npy has images of shape \(28, 28, 1\)"),
        (("evaluate", "few.npy", "few.npy"), "are too few; give at least 20 and 10"),
        (("evaluate", "pictures", "pictures", "--features", "digits"), "this classifier takes"),
        (("sample", "biggan"), "no checkpoint 'biggan'"),
        (("sample", "none/generator.json"), "none/generator.json is missing; give the .json file that"),
        (("sample", "pictures"), "pictures/generator.json is missing"),
        (("sample", "torn.json"), "torn.json is not a model card"),
        (("sample", "list.json"), "list.json is not a model card"),
        (("sample", "dcgan", "--out", "pictures"), "pictures is not empty"),
        (("sample", "dcgan", "--out", "real.npy"), "real.npy already exists"),
        (("evaluate", "torn.npy", "real.npy"), "torn.npy does not hold an array of numbers; save one with numpy.save"),
        (("evaluate", "objects.npy", "real.npy"), "objects.npy does not hold an array of numbers"),
        (("evaluate", "one.npy", "real.npy"), r"one.npy have the shape \(\)"),
        (("train", "alpha.npy"), "images have 4 channels"),
        (("train", "real.npy", "--most", "-3"), "--most=-3 is not allowed"),
        (("train", "pictures", "--out", "torn.json"), "--out torn.json is a file"),
        (("sample", "dcgan", "-n", "0"), "-n=0 is not allowed"),
        (("sample", "dcgan", "--out", "drawn.jpg"), "give a .png or .npy file, or a folder"),
        (("train", "pictures", "--minutes", "0"), "--minutes=0.0 is not allowed"),
        (
            ("train", "pictures/0", "--by-class"),
            "--by-class needs all pictures in two or more subfolders of pictures/0, but 0.png is in none",
        ),
        (("train", "pictures", "--minutes", "1e300"), r"--minutes=1e\+300 is not allowed"),
        (("train", "pictures", "--minutes", "nan"), "--minutes=nan is not allowed"),
    ],
)
def test_mistakes_get_a_sentence_and_an_exit_code(digits, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(digits)
    np.save("few.npy", data.load_dataset().images[:5])
    np.save("one.npy", 3.0)
    np.save("objects.npy", np.array([None, "a"]), allow_pickle=True)
    np.save("alpha.npy", np.full((30, 32, 32, 4), 99, "uint8"))
    for name, text in {"torn.npy": "words", "torn.json": '{"sha256": ', "list.json": "[1]"}.items():
        (digits / name).write_text(text)
    assert run(*arguments) == 2
    printed = capsys.readouterr()
    assert re.search(message, printed.err), printed.err
    assert "Traceback" not in printed.err


def test_the_doctor_finds_what_is_missing(capsys, monkeypatch, tmp_path):
    assert run("doctor") == 0
    said = capsys.readouterr().out
    assert "NOT READY" not in said
    assert said.endswith("This machine is ready.\n")
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    monkeypatch.setattr(data, "_MNIST_FILE", tmp_path / "mnist.npz")
    assert run("doctor") == 1
    said = capsys.readouterr().out
    assert "NOT READY  data: " in said
    assert "git checkout" in said
    assert said.endswith("This machine is not ready: see the lines that say so.\n")


@pytest.mark.parametrize(
    ("of", "name", "value", "message"),
    [
        (platform, "python_version", lambda: "3.10.4", "NOT READY  Python: 3.10.4; the course needs 3.11, 3.12 or"),
        (keras, "__version__", "2.15.0", "NOT READY  TensorFlow and Keras: Keras 2.15.0 on tensorflow"),
        (doctor, "MEMORY_GB", 1e6, "close other programs"),
        (doctor.os, "access", lambda *_: False, "set GANUTILS_BUILD to a folder that is"),
    ],
)
def test_the_doctor_says_what_is_not_ready_and_what_to_do(of, name, value, message, capsys, monkeypatch):
    monkeypatch.setattr(of, name, value)
    assert not doctor.is_ready()
    assert message in capsys.readouterr().out


def test_help_names_all_commands(capsys):
    with pytest.raises(SystemExit) as ended:
        run("--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("evaluate", "sample", "train", "doctor"))


def test_untrained_features_are_the_same_each_time_and_tell_noise_from_digits(digits):
    real, others, noise = (np.load(digits / f"{name}.npy")[:200] for name in ("real", "others", "noise"))
    extract, again = (features.untrained((28, 28, 1)) for _ in range(2))
    np.testing.assert_array_equal(extract(real), again(real))
    assert extract(real).shape == (200, 64)
    near, far = (metrics.frechet_distance(real, other, features=extract) for other in (others, noise))
    assert far > 10 * near
