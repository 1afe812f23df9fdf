import json
import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import recipes
from keras import layers

from ganutils import backup, data, lessons, models
from tests.conftest import tiny_networks

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import common  # noqa: E402
import peers  # noqa: E402
import published  # noqa: E402
import quality  # noqa: E402
import report  # noqa: E402
import startup  # noqa: E402


def values(weights):
    return [[weight.numpy() for weight in part] for part in weights]


def moved(before, after):
    """Largest change in each part's weights."""
    return [
        max(float(np.abs(a - b).max()) for a, b in zip(*parts, strict=True))
        for parts in zip(before, after, strict=True)
    ]


@pytest.fixture
def tiny():
    """A generator, a discriminator, and the weights of each that training should move."""
    generator, discriminator = tiny_networks()
    # As lists of their own: `trainable` takes them out of a network's.
    return generator, discriminator, [list(generator.trainable_weights), list(discriminator.trainable_weights)]


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
    peer.step(next(iter(peer.batches)) if name == "ganutils" else peer.next_batch())
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
    states = [values(weights)]
    peer.discriminator.train_on_batch(images, np.ones((16, 1)))
    states.append(values(weights))
    peer.stacked.train_on_batch(np.zeros((16, 5)), np.ones((16, 1)))
    states.append(values(weights))
    assert [change > 0 for change in moved(*states[:2])] == [False, True]
    assert [change > 0 for change in moved(*states[1:])] == [True, False]


def known_networks():
    """Networks without chance: the generator gives zeros whatever the latents, nothing is dropped."""
    generator, discriminator = tiny_networks(dropout=0.0)
    images = keras.Input((8, 8, 1))
    discriminator = keras.Model(images, layers.Dense(1)(layers.Flatten()(images)))
    discriminator.layers[-1].bias.assign([0.3])
    first = next(layer for layer in generator.layers if isinstance(layer, layers.Dense))
    first.kernel.assign(np.zeros(first.kernel.shape))
    return generator, discriminator


def losses_by_hand(discriminator, real_images):
    real_logits = np.asarray(discriminator(real_images), "float64")
    return np.log1p(np.exp(-real_logits)).mean(), math.log1p(math.exp(0.3)), math.log1p(math.exp(-0.3))


@pytest.mark.parametrize("name", ["ganutils", "tutorial_loop"])
def test_first_losses_agree_with_a_computation_by_hand(name, digits):
    generator, discriminator = known_networks()
    real_images = data.scale(digits)
    real_loss, fake_loss, generator_loss = losses_by_hand(discriminator, real_images)
    losses = peers.LOOPS[name](generator, discriminator).step(real_images)
    np.testing.assert_allclose([float(loss) for loss in losses], [real_loss + fake_loss, generator_loss], rtol=1e-5)


def test_first_losses_of_the_keras_example_agree_up_to_its_noisy_labels(digits):
    generator, discriminator = known_networks()
    real_images = data.scale(digits)
    real_logits = np.asarray(discriminator(real_images), "float64")
    # It calls real images 0 and generated ones 1; a label's noise u in [0, 0.05] adds -u times the logit.
    exact = (np.log1p(np.exp(real_logits)).mean() + math.log1p(math.exp(-0.3))) / 2
    room = 0.05 * (np.abs(real_logits).mean() + 0.3) / 2
    discriminator_loss, _ = peers.KerasExample(generator, discriminator).step(real_images)
    assert abs(float(discriminator_loss) - exact) <= room + 1e-6
    assert abs(float(discriminator_loss) - exact) > 1e-4, "there is noise"


def test_first_losses_of_the_stack_agree_with_a_computation_by_hand(digits):
    generator, discriminator = known_networks()
    real_images = np.asarray(data.scale(digits))
    real_loss, *_ = losses_by_hand(discriminator, real_images)
    rate = 1e-6  # the loss on generated images is taken after the update on real ones
    optimizers = keras.optimizers.SGD(rate), keras.optimizers.SGD(rate)
    discriminator_loss, generator_loss = peers.PredictTrainOnBatch(generator, discriminator, optimizers).step(
        real_images
    )
    _, fake_loss, by_hand = losses_by_hand(discriminator, real_images)
    np.testing.assert_allclose(discriminator_loss, 0.5 * (real_loss + fake_loss), rtol=1e-4)
    np.testing.assert_allclose(generator_loss, by_hand, rtol=1e-4)


@pytest.mark.parametrize("name", common.ARCHITECTURES)
def test_architectures_are_those_of_ganutils(name):
    shapes = common.ARCHITECTURES[name]
    kernel_size, filters = shapes["kernel_size"], shapes["generator_filters"]
    built = [
        models.dcgan_generator(
            shapes["latent_dim"], filters, kernel_size, shapes["generator_strides"], shapes["hidden"]
        ),
        models.dcgan_discriminator(shapes["discriminator_filters"], kernel_size, shapes["dropout"], shapes["hidden"]),
    ]
    for ours, theirs in zip(built, peers.networks(name)[:2], strict=True):
        assert [(type(layer), layer.output.shape) for layer in ours.layers] == [
            (type(layer), layer.output.shape) for layer in theirs.layers
        ]
        assert [weight.shape for weight in ours.weights] == [weight.shape for weight in theirs.weights]


@pytest.mark.parametrize(
    ("build", "generator_weights", "discriminator_weights"),
    [
        # The sources print or imply these numbers in their summaries.
        (published.tutorial_networks, 2_330_944, 212_865),
        (published.keras_example_networks, 1_339_905, 74_625),
        (published.keras_gan_dcgan_networks, 856_193, 393_729),
        (published.keras_gan_vanilla_networks, 1_493_520, 533_505),
    ],
)
def test_published_networks_have_their_number_of_weights(build, generator_weights, discriminator_weights):
    generator, discriminator = build()
    assert generator.count_params() == generator_weights
    assert discriminator.count_params() == discriminator_weights


@pytest.mark.parametrize("name", ["keras_gan_vanilla_repaired", "keras_example"])
def test_recipes_train_and_draw(name, rng):
    images = rng.integers(0, 256, (128, 28, 28, 1), "uint8")
    recipe = published.make(name, images)
    drawn = []
    for _ in range(2):
        recipe.build(seed=3)
        first = recipe.generate(20)
        recipe.train_step()
        assert recipe.train(0) == 1
        drawn.append(recipe.generate(20))
        assert drawn[-1].shape == (20, 28, 28, 1)
        assert drawn[-1].dtype == np.uint8
        assert np.abs(drawn[-1].astype(int) - first).max() > 0
        # Before training the middle of the range: 0 for tanh, 1/2 for a sigmoid.
        assert 90 < first.mean() < 165
    np.testing.assert_array_equal(*drawn)
    recipe.close()


@pytest.fixture
def torch_python():
    path = common.torch_python(os.environ.get("TORCH_PYTHON"))
    return path or pytest.skip("no interpreter with PyTorch; TORCH_PYTHON may name one")


def test_torch_networks_have_as_many_weights_and_train(torch_python, tmp_path, rng):
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (256, 28, 28, 1), "uint8"))
    with common.Worker(BENCHMARKS / "torch_peers.py", "--serve", python=torch_python) as worker:
        images = str(tmp_path / "images.npy")
        options = {"architecture": "fast", "images": images, "threads": 2}
        channels_last = worker.call("channels_last_is_quicker", steps=2, **options)
        assert isinstance(channels_last, bool)
        said = worker.call("build", contestant="pytorch_eager", channels_last=channels_last, **options)
        ours = [sum(int(np.prod(w.shape)) for w in net.trainable_weights) for net in peers.networks("fast")[:2]]
        assert said["weights"] == ours
        steps, _ = worker.call("measure", seconds=0, warm_up=1)
        assert steps == 1


def test_startup_times_the_recipe_of_lesson_02():
    names = {}
    for stage in ("import the lesson's modules", "load data", "build"):
        exec(startup.STAGES[stage], names)
    assert backup.describe(names["gan"]) == backup.describe(recipes.dcgan())
    assert names["batches"].element_spec.shape[0] == lessons.Profile("02_dcgan", "laptop").batch_size


def test_quality_measures_at_the_marks_and_writes_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "SAMPLES", 100)
    path = tmp_path / "samples.npy"
    found = quality.run("dcgan", 0.4, 0, (0.2, 30), samples=path)
    assert found["seconds"] == [0.2, 0.4]
    assert 1 <= found["steps"][0] < found["steps"][1]
    # After a few steps nothing looks like a digit. So few real digits stand at some tens.
    assert min(found["frechet_distance"]) > 300
    samples = np.load(path, allow_pickle=False)
    assert samples.dtype == np.uint8
    assert samples.shape == (100, 28, 28, 1)
    with pytest.raises(ValueError, match="unknown recipe 'nobody'"):
        quality.run("nobody", 1, 0, ())


def test_quality_resumes_and_sums_up(tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(quality, "RESULTS", tmp_path / "results")
    distances = {("dcgan", 0): 6.0, ("dcgan", 1): 8.0, ("dcgan", 2): 1.0, ("keras_example", 1): 50.0}
    trained = []

    def run(command, check):
        recipe, seed = command[command.index("--recipe") + 1], int(command[command.index("--seed") + 1])
        if (recipe, seed) == ("keras_example", 0) and not trained.count((recipe, seed)):
            trained.append((recipe, seed))
            raise subprocess.CalledProcessError(1, command)
        trained.append((recipe, seed))
        found = {"recipe": recipe, "seed": seed, "seconds": [15, 300], "steps": [10 + seed, 200]}
        found["frechet_distance"] = [90.0, distances.get((recipe, seed), 70.0)]
        path = command[command.index("--json") + 1]
        Path(path).write_text(json.dumps(found), encoding="utf-8")

    monkeypatch.setattr(subprocess, "run", run)
    seeds = {"dcgan": 3, "keras_example": 2}
    with pytest.raises(subprocess.CalledProcessError):
        quality.run_all(seeds, 300, None)
    first = json.loads((tmp_path / "results" / "quality.json").read_text(encoding="utf-8"))["runs"]
    assert [(entry["recipe"], entry["seed"]) for entry in first] == [("dcgan", 0)]
    quality.run_all(seeds, 300, None)
    assert trained.count(("dcgan", 0)) == 1
    assert ("keras_example", 2) not in trained
    runs = json.loads((tmp_path / "results" / "quality.json").read_text(encoding="utf-8"))["runs"]
    summary = quality.summarise(runs)
    assert summary["dcgan"] == {15: (90.0, 90.0, 90.0, 11), 300: (6.0, 1.0, 8.0, 200)}
    assert summary["keras_example"][300][:3] == (60.0, 50.0, 70.0)
    assert (tmp_path / "results" / "quality.png").stat().st_size > 1000


def test_a_run_belongs_to_its_code(tmp_path, monkeypatch):
    before = quality.digest()
    assert quality.digest() == before
    for name in quality.CODE:
        (tmp_path / name).write_bytes((common.FOLDER / name).read_bytes())
    monkeypatch.setattr(quality, "__file__", str(tmp_path / "quality.py"))
    assert quality.digest() == before
    (tmp_path / "peers.py").write_text("# another", encoding="utf-8")
    assert quality.digest() != before


def test_readme_shows_the_results():
    text = report.README.read_text(encoding="utf-8")
    assert report.fill(text) == text, "run `python benchmarks/report.py`"
