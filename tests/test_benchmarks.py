import importlib
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from ganutils import checkpoints, data
from tests.conftest import tiny_networks

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import coarse_to_fine  # noqa: E402
import common  # noqa: E402
import peers  # noqa: E402
import published  # noqa: E402
import quality  # noqa: E402
import report  # noqa: E402
import throughput  # noqa: E402


def values(weights):
    return [[weight.numpy() for weight in part] for part in weights]


def moved(before, after):
    """Largest change in each part's weights."""
    parts = zip(before, after, strict=True)
    return [max(float(np.abs(a - b).max()) for a, b in zip(*part, strict=True)) for part in parts]


@pytest.fixture
def tiny():
    """A generator, a discriminator, and the weights of each that training should move."""
    generator, discriminator = tiny_networks()
    # As lists of their own: `trainable` takes them out of a network's.
    return generator, discriminator, [list(generator.trainable_weights), list(discriminator.trainable_weights)]


# Training loops


@pytest.mark.parametrize("name", peers.LOOPS)
def test_loops_train_both_networks(name, digits, tiny):
    generator, discriminator, weights = tiny
    peer = peers.LOOPS[name](generator, discriminator)
    peer.load(digits, 16)
    before = values(weights)
    clock = common.Clock(0, warm_up=2)
    peer.train(clock.tick)
    assert clock.steps == 1
    assert min(moved(before, values(weights))) > 1e-5
    before = values(weights)
    losses = peer.step(next(iter(peer.batches)) if name == "ganutils" else peer.next_batch())
    assert np.isfinite([float(loss) for loss in losses]).all()
    assert min(moved(before, values(weights))) > 1e-5


def test_published_stack_never_trains_the_discriminator(digits, tiny):
    generator, discriminator, weights = tiny
    peer = peers.PredictTrainOnBatch(generator, discriminator, as_published=True)
    peer.load(digits, 16)
    before = values(weights)
    with pytest.warns(UserWarning, match="trainable weights"):
        peer.step(peer.next_batch())
    peer.step(peer.next_batch())
    for_generator, for_discriminator = moved(before, values(weights))
    assert for_generator > 1e-5
    assert for_discriminator == 0.0


def test_repaired_stack_trains_one_network_a_call(digits, tiny):
    generator, discriminator, weights = tiny
    peer = peers.PredictTrainOnBatch(generator, discriminator)
    peer.load(digits, 16)
    images = peer.next_batch()
    peer.step(images)
    calls = (peer.discriminator, images, [False, True]), (peer.stacked, np.zeros((16, 5)), [True, False])
    for model, inputs, trained in calls:
        before = values(weights)
        model.train_on_batch(inputs, np.ones((16, 1)))
        assert [change > 0 for change in moved(before, values(weights))] == trained


@pytest.fixture
def known():
    """Networks without chance: the generator gives zeros whatever the latents, the discriminator then 0.3."""
    generator, _ = tiny_networks()
    generator.layers[0].kernel.assign(np.zeros(generator.layers[0].kernel.shape))
    images = keras.Input((8, 8, 1))
    discriminator = keras.Model(images, layers.Dense(1)(layers.Flatten()(images)))
    discriminator.layers[-1].bias.assign([0.3])
    return generator, discriminator


def losses_by_hand(discriminator, real_images):
    """Losses of the discriminator on real and on generated images, and of the generator."""
    real_logits = np.asarray(discriminator(real_images), "float64")
    return np.log1p(np.exp(-real_logits)).mean(), math.log1p(math.exp(0.3)), math.log1p(math.exp(-0.3))


@pytest.mark.parametrize("name", ["ganutils", "tutorial_loop"])
def test_first_losses_agree_with_a_computation_by_hand(name, digits, known):
    real_images = data.scale(digits)
    real_loss, fake_loss, generator_loss = losses_by_hand(known[1], real_images)
    losses = peers.LOOPS[name](*known).step(real_images)
    np.testing.assert_allclose([float(loss) for loss in losses], [real_loss + fake_loss, generator_loss], rtol=1e-5)


def test_first_losses_of_the_keras_example_agree_up_to_its_noisy_labels(digits, known):
    real_images = data.scale(digits)
    real_logits = np.asarray(known[1](real_images), "float64")
    # It calls real images 0 and generated ones 1; a label's noise u in [0, 0.05] adds -u times the logit.
    exact = (np.log1p(np.exp(real_logits)).mean() + math.log1p(math.exp(-0.3))) / 2
    room = 0.05 * (np.abs(real_logits).mean() + 0.3) / 2
    optimizers = keras.optimizers.SGD(1e-6), keras.optimizers.SGD(1e-6)  # the generator's loss comes after an update
    discriminator_loss, generator_loss = peers.KerasExample(*known, optimizers).step(real_images)
    assert 1e-4 < abs(float(discriminator_loss) - exact) <= room + 1e-6
    np.testing.assert_allclose(float(generator_loss), math.log1p(math.exp(0.3)), rtol=1e-4)


def test_first_losses_of_the_stack_agree_with_a_computation_by_hand(digits, known):
    real_images = np.asarray(data.scale(digits))
    real_loss, fake_loss, by_hand = losses_by_hand(known[1], real_images)
    # The loss on generated images is taken after the update on real ones.
    optimizers = keras.optimizers.SGD(1e-6), keras.optimizers.SGD(1e-6)
    discriminator_loss, generator_loss = peers.PredictTrainOnBatch(*known, optimizers).step(real_images)
    np.testing.assert_allclose(discriminator_loss, 0.5 * (real_loss + fake_loss), rtol=1e-4)
    np.testing.assert_allclose(generator_loss, by_hand, rtol=1e-4)


# Published recipes


@pytest.mark.parametrize(
    ("build", "numbers"),
    [
        # The sources print or imply these numbers in their summaries.
        (published.tutorial_networks, [2_330_944, 212_865]),
        (published.keras_example_networks, [1_339_905, 74_625]),
        (published.keras_gan_dcgan_networks, [856_193, 393_729]),
        (published.keras_gan_vanilla_networks, [1_493_520, 533_505]),
    ],
)
def test_published_networks_have_their_number_of_weights(build, numbers):
    assert [network.count_params() for network in build()] == numbers


def test_recipes_train_and_draw_the_same_from_one_seed(rng):
    recipe = published.Recipe("keras_example", rng.integers(0, 256, (128, 28, 28, 1), "uint8"))
    drawn = []
    for _ in range(2):
        recipe.build(seed=3)
        first = recipe.generate(20)
        assert recipe.train(0) == 1
        drawn.append(recipe.generate(20))
        assert (drawn[-1].shape, drawn[-1].dtype) == ((20, 28, 28, 1), np.uint8)
        assert (drawn[-1] != first).any()
        # Still about the middle of the range: 0 for tanh, 1/2 for a sigmoid.
        assert 90 < first.mean() < 165
    np.testing.assert_array_equal(*drawn)


def test_torch_peers_train(tmp_path, rng):
    python = os.environ.get("TORCH_PYTHON", sys.executable)
    if common.torch_version(python) is None:
        pytest.skip("no interpreter with PyTorch; TORCH_PYTHON may name one")
    images = rng.integers(0, 256, (256, 28, 28, 1), "uint8")
    np.save(tmp_path / "images.npy", images)
    with common.Worker(BENCHMARKS / "torch_peers.py", python) as worker:
        path = str(tmp_path / "images.npy")
        weights = worker.call("build", architecture="fast", images=path, compiled=False)
        ours = [sum(math.prod(w.shape) for w in net.trainable_weights) for net in peers.networks("fast")[:2]]
        assert weights == ours
        assert worker.call("measure", seconds=0, warm_up=1)[0] == 1
    recipe = published.TorchRecipe(images, python)
    recipe.build(seed=0)
    first = recipe.generate(5)
    assert recipe.train(0) == 1
    assert (recipe.generate(5) != first).any()


# Scripts


def test_throughput_from_the_command_line(tmp_path, capsys):
    path = tmp_path / "throughput.json"
    command = "--architectures fast --implementations ganutils --repetitions 1 --seconds 0.1 --images 256 --json"
    throughput.main([*command.split(), str(path)])
    assert "| ganutils | 1.00 |" in capsys.readouterr().out
    text = path.read_text(encoding="utf-8")
    row = json.loads(text)["results"]["fast"][report.ROWS]["ganutils"]
    assert 0 < row["share"] < row["share with memory"]
    assert str(tmp_path) not in text, "paths of a machine are nobody's business"


def test_quality_from_the_command_line(tmp_path, monkeypatch):
    digits = data.load_dataset()
    monkeypatch.setattr(quality, "SAMPLES", 60)
    monkeypatch.setattr(
        data, "load_dataset", lambda split="train": data.LabelledImages(*(part[:500] for part in digits))
    )
    path, samples = tmp_path / "one.json", tmp_path / "samples.npy"
    command = ["--recipe", "conditional_gan", "--seconds", "0.1", "--seed", "3", "--samples", str(samples)]
    quality.main([*command, "--json", str(path)])
    found = json.loads(path.read_text(encoding="utf-8"))
    assert (found["recipe"], found["seed"], found["seconds"]) == ("conditional_gan", 3, [0.1])
    assert found["frechet_distance"][0] > 300, "after a few steps nothing looks like a digit"
    assert np.load(samples, allow_pickle=False).shape == (60, 28, 28, 1)


def test_a_pyramid_is_measured_from_real_pictures_and_from_noise(tmp_path, monkeypatch):
    digits, path = data.load_dataset(), tmp_path / "one.json"
    monkeypatch.setattr(quality, "SAMPLES", 200)
    few = data.LabelledImages(*(part[:640] for part in digits))
    monkeypatch.setattr(data, "load_dataset", lambda split="train": few)
    quality.main(["--recipe", "lapgan", "--seconds", "1", "--json", str(path)])
    found = json.loads(path.read_text(encoding="utf-8"))
    (from_noise,), (given_7,), (given_14,) = (found[name] for name in ("frechet_distance", "given_7", "given_14"))
    assert given_14 < given_7 < from_noise, "the more real pixels are given, the less is left to invent"


@pytest.mark.parametrize("name", ["dcgan_faces", "pggan_32", "pggan_at_once_32"])
def test_faces_are_measured_in_a_given_time(name, tmp_path, monkeypatch):
    for what, few in {"FACES": 100, "SAMPLES": 150, "TIMED_STEPS": 1}.items():
        monkeypatch.setattr(coarse_to_fine, what, few)
    path, samples = tmp_path / "one.json", tmp_path / "samples.npy"
    quality.main(["--recipe", name, "--seconds", "0.1", "--json", str(path), "--samples", str(samples)])
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["frechet_distance"][0] > 300, "after a few steps nothing looks like a face"
    assert found["sure"][0] < 0.5
    assert found["missing"][0] > 0
    assert np.load(samples, allow_pickle=False).shape == (150, 32, 32, 3)


def test_phases_of_growing_share_the_time(monkeypatch):
    monkeypatch.setattr(coarse_to_fine, "FACES", 100)
    monkeypatch.setattr(coarse_to_fine, "SAMPLES", 10)
    recipe = coarse_to_fine.Faces("pggan_32", 6.0)
    clock = itertools.count(0.0, 0.5)  # so each step seems to take half a second
    recipe.batches = data.pipeline(recipe.images, batch_size=16)
    steps = recipe.steps(lambda: next(clock))
    assert steps == [round(share / 0.5) for share in (1, 2, 3)], "6 seconds, in the shares 1, 2 and 3"


def test_quality_keeps_finished_runs_of_the_same_code_and_judge(tmp_path, monkeypatch):
    trained = []

    def run(command, check):
        trained.append(command)
        found = {"recipe": "dcgan", "seed": 0, "seconds": [300], "steps": [9], "frechet_distance": [5.0]}
        Path(command[command.index("--json") + 1]).write_text(json.dumps(found), encoding="utf-8")

    shutil.copytree(BENCHMARKS, tmp_path / "code", ignore=shutil.ignore_patterns("results", "__pycache__"))
    for judge in ("digit_classifier", "face_reader_32"):
        (tmp_path / f"{judge}.weights.h5").write_bytes(b"one judge")
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    monkeypatch.setattr(quality, "CODE", (tmp_path / "code",))
    monkeypatch.setattr(quality, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(subprocess, "run", run)
    for times, changed in (
        (1, None),
        (1, None),
        (2, "code/peers.py"),
        (3, "digit_classifier.weights.h5"),
        (4, "face_reader_32.weights.h5"),
    ):
        if changed:
            (tmp_path / changed).write_bytes(b"another")
        quality.run_all({"dcgan": 1}, 300, None, tmp_path / "results")
        assert len(trained) == times
    assert report.summarise(json.loads((tmp_path / "results" / "quality.json").read_text())["runs"])


def test_coarse_to_fine_takes_each_recipe_with_its_seconds(tmp_path, monkeypatch):
    taken = []

    def run(command, check):
        name, seconds = (command[command.index(key) + 1] for key in ("--recipe", "--seconds"))
        taken.append((name, float(seconds)))
        Path(command[command.index("--json") + 1]).write_text(json.dumps({"recipe": name}), encoding="utf-8")

    monkeypatch.setattr(quality, "RUNS", tmp_path)
    monkeypatch.setattr(quality, "COARSE", tmp_path / "record.json")
    monkeypatch.setattr(subprocess, "run", run)
    quality.main(["--coarse-to-fine", "--seconds", "5", "--seeds", "1"])
    assert taken == [(name, 5.0) for name in coarse_to_fine.RECIPES]
    assert not (tmp_path / "record.json").exists(), "a trial replaces nothing"
    taken.clear()
    quality.main(["--coarse-to-fine"])
    assert taken[:6] == [(name, 300.0 if "64" in name else 150.0) for name in coarse_to_fine.RECIPES]
    assert taken[18:] == [("pggan_64", 1800.0), ("pggan_at_once_64", 1800.0)]
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert (len(record["runs"]), len(record["long"])) == (18, 2)
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", lambda command, check: (_ for _ in ()).throw(KeyboardInterrupt))
        next(tmp_path.glob("pggan_64_0_1800_*.json")).unlink()
        with pytest.raises(KeyboardInterrupt):
            quality.main(["--coarse-to-fine"])
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert len(record["long"]) == 2, "an interrupted command leaves the old long runs"


@pytest.mark.parametrize("name", ["cost", "limits", "scaling", "startup"])
def test_other_scripts_take_their_arguments(name):
    assert importlib.import_module(name).parse([])


def test_readme_shows_the_results():
    text = report.README.read_text(encoding="utf-8")
    assert report.fill(text) == text, "run `python benchmarks/report.py`"
    for name in report.TABLES:
        table = text.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]
        assert table.count("\n|") > 2, f"the table {name} has no row"


def test_lesson_05_shows_the_results_of_both_published_tables():
    text = report.LESSON.read_text(encoding="utf-8")
    assert report.fill_cells(text) == text, "run `python benchmarks/report.py`"
    assert "<!-- mixtures -->" in text
    assert "<!-- stacked MNIST -->" in text
