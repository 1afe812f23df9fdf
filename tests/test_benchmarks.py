import ast
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from ganutils import data, lessons, models, recipes
from tests.conftest import tiny_networks

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import common  # noqa: E402
import cost  # noqa: E402
import limits  # noqa: E402
import peers  # noqa: E402
import published  # noqa: E402
import quality  # noqa: E402
import report  # noqa: E402
import startup  # noqa: E402
import throughput  # noqa: E402


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


# Operations and bytes


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "needed", "padded"),
    [
        (5, 3, 1, 13, 15),  # one pixel of padding at each end
        (28, 5, 2, 67, 70),  # one before, two after
        (28, 4, 2, 54, 56),  # one and one
        (7, 1, 1, 7, 7),
        (4, 2, 2, 4, 4),  # none
    ],
)
def test_taps_leave_out_those_on_padding(size, kernel, stride, needed, padded):
    assert limits.taps(size, kernel, stride) == (needed, padded)


def test_taps_are_what_a_convolution_of_ones_adds_up():
    for size, kernel, stride in ((28, 5, 2), (14, 4, 2), (7, 5, 1), (9, 3, 2)):
        image, window = tf.ones((1, size, size, 1)), tf.ones((kernel, kernel, 1, 1))
        assert (
            float(tf.reduce_sum(tf.nn.conv2d(image, window, stride, "SAME")))
            == limits.taps(size, kernel, stride)[0] ** 2
        )


def test_operations_of_layers_agree_with_closed_forms():
    images = keras.Input((28, 28, 3))
    convolution = layers.Conv2D(8, 4, 2, padding="same")
    back = layers.Conv2DTranspose(5, 4, 2, padding="same")
    dense = layers.Dense(7)
    dense(layers.Flatten()(back(convolution(images))))
    assert limits.layer_operations(convolution) == {"needed": 2 * 54**2 * 3 * 8, "padded": 2 * (14 * 4) ** 2 * 3 * 8}
    assert limits.layer_operations(back) == {"needed": 2 * 54**2 * 8 * 5, "padded": 2 * (14 * 4) ** 2 * 8 * 5}
    assert limits.layer_operations(dense) == {"needed": 2 * 28 * 28 * 5 * 7, "padded": 2 * 28 * 28 * 5 * 7}


def test_valid_convolutions_are_refused():
    layer = layers.Conv2D(2, 3)
    layer(keras.Input((8, 8, 1)))
    with pytest.raises(ValueError, match="same"):
        limits.layer_operations(layer)


@pytest.mark.parametrize("architecture", ["familiar", "fast"])
def test_padded_operations_are_those_that_tensorflow_counts(architecture):
    generator, discriminator, _ = peers.networks(architecture)
    for network in (generator, discriminator):
        shape = (1, *network.inputs[0].shape[1:])
        function = tf.function(lambda x, network=network: network(x)).get_concrete_function(tf.TensorSpec(shape))
        options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        options["output"] = "none"
        kinds = {"Conv2D", "Conv2DBackpropInput", "MatMul"}
        profile = tf.compat.v1.profiler.profile(function.graph, options=options, cmd="scope")
        nodes = {node.name: node.type for node in function.graph.get_operations()}
        counted = sum(node.total_float_ops for node in profile.children if nodes.get(node.name) in kinds)
        assert counted == sum(limits.layer_operations(layer)["padded"] for layer in network.layers)


def dense_networks():
    latents = keras.Input((2,))
    generator = keras.Model(latents, layers.LeakyReLU(0.2)(layers.Dense(3)(latents)))
    images = keras.Input((3,))
    hidden = layers.Dropout(0.5)(layers.BatchNormalization()(layers.Dense(4)(images)))
    return generator, keras.Model(images, layers.Dense(1)(hidden))


def test_a_step_counts_each_pass():
    generator, discriminator = dense_networks()
    # Generator: forward and weights. First discriminator layer: 2 forward, 2 weights, 1 to the image; last: 2 back.
    least = 10 * 2 * (2 * 3 * 2 + 3 * 4 * 5 + 4 * 1 * 6)
    assert limits.step_operations(generator, discriminator, 10)["needed"] == least
    shared = least + 10 * 2 * 4 * 1  # one more gradient through the last layer
    assert limits.step_operations(generator, discriminator, 10, "shared pass")["needed"] == shared


def test_bytes_agree_with_hand_counts():
    generator, discriminator = dense_networks()
    activation, normalisation, dropout = generator.layers[-1], discriminator.layers[-3], discriminator.layers[-2]
    assert limits.layer_bytes(activation) == (2 * 4 * 3, 3 * 4 * 3)
    assert limits.layer_bytes(normalisation) == (3 * 4 * 4, 5 * 4 * 4)
    assert limits.layer_bytes(dropout) == (2 * 4 * 4 + 4, 2 * 4 * 4 + 4)
    assert limits.layer_bytes(discriminator.layers[-1]) == (0, 0)
    layers_bytes = 10 * (24 + 36 + 2 * (48 + 80) + 2 * (36 + 36))
    weights = 7 * 4 * ((2 * 3 + 3) + (3 * 4 + 4) + 2 * 4 + (4 + 1))
    assert limits.step_bytes(generator, discriminator, 10) == layers_bytes + weights


def test_gradients_of_both_losses_by_an_image_are_proportional():
    """What lets the schedule "least" do with one pass back for generated images."""
    discriminator = models.fast_dcgan_discriminator()
    images = tf.random.normal((3, 28, 28, 1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        logits = discriminator(images)
        for_discriminator = tf.reduce_mean(tf.nn.softplus(logits))
        for_generator = tf.reduce_mean(tf.nn.softplus(-logits))
    one, other = (tape.gradient(loss, images) for loss in (for_discriminator, for_generator))
    ratio = tf.sigmoid(-logits) / -tf.sigmoid(logits)
    np.testing.assert_allclose(one * ratio[..., None, None], other, atol=1e-7)


def test_limit_adds_memory_to_arithmetic():
    assert limits.step_limit(6e9, 2e9, 3e9, 4e9) == (2.0, 2.5)


# Peers


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


# Recipes


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


def test_unknown_recipes_are_refused(digits):
    with pytest.raises(ValueError, match="tensorflow_tutorial"):
        published.make("cyclegan", digits)


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


def test_torch_recipe_trains_and_draws(torch_python, rng):
    recipe = published.make("pytorch_gan_dcgan", rng.integers(0, 256, (128, 28, 28, 1), "uint8"), torch_python)
    recipe.build(seed=0)
    first = recipe.generate(5)
    assert recipe.train(0.1) >= 1
    second = recipe.generate(5)
    recipe.close()
    assert first.shape == (5, 28, 28, 1)
    assert second.dtype == np.uint8
    assert (first != second).any()


@pytest.mark.skipif(sys.platform == "win32", reason="makes a shell script")
def test_without_torch_a_line_says_what_to_do(capsys, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    assert common.torch_python(python) is None
    assert "--torch-python" in capsys.readouterr().out


# Workers, clocks, tables, exponents

SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import common

def double(x):
    print("something that a library prints")
    return 2 * x

def fail():
    raise ValueError("on purpose")

def leave():
    sys.exit(3)

common.serve(dict(double=double, fail=fail, leave=leave))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(folder=str(BENCHMARKS)), encoding="utf-8")
    return path


def test_workers_answer_sleep_and_end(script):
    with common.Worker(script) as worker:
        assert worker.call("double", x=21) == 42
        with pytest.raises(RuntimeError, match="on purpose"):
            worker.call("fail")
        assert worker.call("double", x=[1]) == [1, 1], "it goes on after an error"
        assert 1 < worker.peak_memory_mb() < 500
        before = worker.cpu_seconds()
        time.sleep(0.3)
        assert worker.cpu_seconds() - before < 0.05
    assert worker.process.poll() == 0


def test_a_worker_that_leaves_is_reported(script):
    with common.Worker(script) as worker:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="code 3"):
                worker.call("leave")


def test_clock_leaves_the_first_steps_out(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(common.time, "perf_counter", lambda: now[0])
    clock = common.Clock(5.0, warm_up=2)
    for seconds, goes_on, steps in ((60.0, True, 0), (60.0, True, 0), (2.0, True, 3), (4.0, False, 6)):
        now[0] += seconds
        assert clock.tick(3 if steps else 1) is goes_on
        assert clock.steps == steps
    assert clock.elapsed == 6.0


def test_power_law_finds_the_exponent():
    x = [1, 2, 5, 10]
    assert common.power_law(x, [3 * value**2 for value in x]) == pytest.approx((2, 3))
    assert common.power_law(x, [7] * 4) == pytest.approx((0, 7))
    with pytest.raises(ValueError, match="above 0"):
        common.power_law(x, [1, 2, 3, 0])


def test_table_aligns_numbers_right():
    text = common.table([["a", 12345.6, 0.25], ["long name", None, 1.0]], ["", "x", "y"])
    assert text.splitlines() == ["                x     y", "a          12,346  0.25", "long name       –     1"]


# Scripts


def test_cost_builds_the_fast_networks_at_every_size():
    for ours, theirs in zip(cost.networks(28), peers.networks("fast")[:2], strict=True):
        assert [weight.shape for weight in ours.weights] == [weight.shape for weight in theirs.weights]
    for size in cost.SIZES:
        generator, discriminator = cost.networks(size)
        assert generator.output_shape == discriminator.input_shape == (None, size, size, 1)
    with pytest.raises(ValueError, match="power of 2"):
        cost.networks(30)


def test_cost_fits_exponents_and_memory():
    results = {n: {"seconds": 2e-3 * n**1.5, "growth MB": 50 + 784e-6 * n} for n in (1_000, 10_000, 60_000)}
    assert cost.exponent(results, "seconds") == pytest.approx(1.5)
    assert cost.exponent(results, "seconds", x=lambda n: n**2) == pytest.approx(0.75)
    assert cost.memory_line(results, "growth MB") == pytest.approx((50, 784e-6))
    # A fixed part among the smaller half of the points must not hide the growth.
    results = {n: {"seconds": max(1.0, n / 1000)} for n in (1, 10, 100, 2_000, 4_000, 8_000)}
    assert cost.exponent(results, "seconds") == pytest.approx(1)
    results[8_000]["seconds"] = 0
    assert cost.exponent(results, "seconds") is None


def test_cost_takes_medians_over_passes_that_take_turns(monkeypatch):
    taken = []

    def once(script, name, n, **arguments):
        taken.append(n)
        return {"seconds": n * (100 if len(taken) <= 2 else 1)}, 0.0  # a slow minute at the start

    monkeypatch.setattr(common, "once", once)
    results = cost.sweep("images", (10, 20), 3, size=28)
    assert taken == [10, 20] * 3
    assert results == {10: {"seconds": 10}, 20: {"seconds": 20}}


def test_startup_times_the_recipe_of_lesson_02():
    names = {}
    for stage in ("import the lesson's modules", "load data", "build"):
        exec(startup.STAGES[stage], names)
    assert recipes.describe(names["gan"]) == recipes.describe(recipes.dcgan())
    assert names["batches"].element_spec.shape[0] == lessons.Profile("02_dcgan", "laptop").batch_size


def test_settings_that_are_stored_hold_no_paths():
    arguments = throughput.parse(["--torch-python", "/home/someone/python", "--json", "/home/someone/results.json"])
    assert "someone" not in json.dumps(common.settings(arguments))


def test_startup_adds_up_its_stages():
    names = list(startup.STAGES)

    def run(code):
        assert len(code) == len(names) + 3
        return 10.0, f"noise\nMARKS [[11.0, {', '.join(str(12.0 + i) for i in range(len(names)))}], 0.25]\n"

    seconds = startup.measure(run)
    assert list(seconds)[:-2] == ["start", *names]
    assert seconds["until the first step is done"] == 1 + len(names)
    assert seconds["a later step"] == 0.25


def test_throughput_measures_in_processes_that_end(tmp_path, rng, capsys, monkeypatch):
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (256, 28, 28, 1), "uint8"))
    arguments = throughput.parse(["--repetitions", "2", "--seconds", "0.1", "--limit-seconds", "0.01"])
    started, launch = [], common.Worker
    monkeypatch.setattr(common, "Worker", lambda *command: started.append(launch(*command)) or started[-1])
    results = throughput.compete("fast", ["ganutils"], tmp_path / "images.npy", arguments)
    assert len(started) == 2
    assert all(worker.process.poll() is not None for worker in started)
    for row in results["contestants"].values():
        assert len(row["images/s"]) == 2
        assert 0 < row["share"] < row["share with memory"]
        assert 100 < row["peak MB"] < 3000
    ours = results["contestants"]["ganutils"]
    half = {"images/s": [value / 2 for value in ours["images/s"]], "median": ours["median"] / 2}
    results["contestants"]["half as fast"] = {**ours, **half}
    throughput.report("fast", results)
    printed = capsys.readouterr().out
    assert [line.split()[-1] for line in re.findall(r"^.*?(?= ×)", printed, re.MULTILINE)] == ["1.00", "2.00"]
    with pytest.raises(SystemExit):
        throughput.parse(["--contestants", "nobody"])


def test_throughput_goes_on_where_pytorch_cannot_compile(monkeypatch, capsys):
    class Idle:
        def __init__(self, *_):
            self.closed = False

        def call(self, name, **_):
            return {"least": {"needed": 1e9, "bytes": 1e6, "batch": 64}} if name == "limit_counts" else [10, 1.0]

        def cpu_seconds(self):
            return 0.0

        def peak_memory_mb(self):
            return 100.0

        def close(self):
            self.closed = True

    def prepare(name, *_):
        if name in broken:
            raise RuntimeError(f"in the other process:\n{message}\n\nSet TORCHDYNAMO_VERBOSE=1 for the stack trace")
        return {"weights": [1, 2], "note": ""}

    monkeypatch.setattr(common, "Worker", Idle)
    monkeypatch.setattr(throughput, "launch", Idle)
    monkeypatch.setattr(throughput, "prepare", prepare)
    monkeypatch.setattr(throughput, "quicker_format", lambda *_: {})
    rate = {"float32 operations/s": 1e11, "bytes/s": 1e10}
    monkeypatch.setattr(throughput, "repeat", lambda workers, *_: ({name: [10.0] for name in workers}, [rate], []))
    arguments = throughput.parse(["--repetitions", "1"])
    broken, message = ("pytorch_compile",), "InvalidCxxCompiler: No working C++ compiler found"
    found = throughput.compete("fast", ["ganutils", "pytorch_compile"], Path("images.npy"), arguments)
    assert list(found["contestants"]) == ["ganutils"]
    assert found["skipped"] == {"pytorch_compile": message}
    assert f"pytorch_compile is skipped: {message}" in capsys.readouterr().out
    broken = ("ganutils",)
    with pytest.raises(RuntimeError, match="No working"):
        throughput.compete("fast", ["ganutils", "pytorch_compile"], Path("images.npy"), arguments)
    broken, message = ("pytorch_compile",), "another failure"
    with pytest.raises(RuntimeError, match="another failure"):
        throughput.compete("fast", ["ganutils", "pytorch_compile"], Path("images.npy"), arguments)


# Quality over time


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


def test_quality_trains_one_recipe_from_the_command_line(tmp_path, monkeypatch, rng):
    """The labels of a conditional recipe included."""
    monkeypatch.setattr(quality, "SAMPLES", 60)
    monkeypatch.setattr(quality, "MARKS", ())
    monkeypatch.setattr(data, "load_dataset", smaller(data.load_dataset))
    path, results = tmp_path / "samples.npy", tmp_path / "one.json"
    command = ["quality.py", "--recipe", "conditional_gan", "--seconds", "0.1", "--seed", "3"]
    monkeypatch.setattr(sys, "argv", [*command, "--samples", str(path), "--json", str(results)])
    quality.main()
    assert np.load(path, allow_pickle=False).shape == (60, 28, 28, 1)
    found = json.loads(results.read_text(encoding="utf-8"))
    assert (found["recipe"], found["seed"], found["seconds"]) == ("conditional_gan", 3, [0.1])


def smaller(load):
    def loaded(*args, **kwargs):
        images, labels = load(*args, **kwargs)
        return data.LabelledImages(images[:500], labels[:500])

    return loaded


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "nobody"], "unknown recipe 'nobody'; choose one of"),
        (["--recipe", "dcgan", "--samples", "nowhere/samples.npy"], "no such folder"),
        (["--recipe", "dcgan", "--json", "nowhere/run.json"], "no such folder"),
        (["--recipe", "dcgan", "--seconds", "0"], "above 0"),
        (["--recipe", "dcgan", "--seeds", "2"], "--seeds cannot go with --recipe"),
        (["--all", "--seed", "1", "--samples", "samples.npy"], "--seed, --samples cannot go with --all"),
        (["--all", "--seeds", "0"], "above 0"),
        ([], "required"),
    ],
)
def test_quality_refuses_what_would_lose_a_training(arguments, message, capsys):
    with pytest.raises(SystemExit):
        quality.parse(arguments)
    assert message in capsys.readouterr().err


def test_a_run_belongs_to_its_code_and_its_judge(tmp_path, monkeypatch):
    from ganutils import checkpoints

    before = quality.digest()
    assert quality.digest() == before
    weights = (checkpoints.FOLDER / "digit_classifier.weights.h5").read_bytes()
    (tmp_path / "digit_classifier.weights.h5").write_bytes(weights + b"another")
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    assert quality.digest() != before
    monkeypatch.undo()
    folder = tmp_path / "benchmarks"
    shutil.copytree(common.FOLDER, folder, ignore=shutil.ignore_patterns("results", "__pycache__"))
    with monkeypatch.context() as patch:
        patch.setattr(quality, "__file__", str(folder / "quality.py"))
        assert quality.digest() == before
    for name in quality.CODE:
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(f"{text}\n# another", encoding="utf-8")
        with monkeypatch.context() as patch:
            patch.setattr(quality, "__file__", str(folder / "quality.py"))
            assert quality.digest() != before
        (folder / name).write_text(text, encoding="utf-8")
    for name in quality.CODE:  # and what these import from beside them
        tree = ast.parse((common.FOLDER / name).read_text(encoding="utf-8"))
        imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert {f"{module}.py" for module in imported if (common.FOLDER / f"{module}.py").is_file()} <= set(
            quality.CODE
        )


def test_a_trial_does_not_replace_the_results(monkeypatch):
    written = []
    monkeypatch.setattr(quality, "run_all", lambda seeds, seconds, torch_python, folder: written.append(folder))
    for more in ([], ["--seconds", "10"], ["--seeds", "1"]):
        monkeypatch.setattr(sys, "argv", ["quality.py", "--all", *more])
        quality.main()
    assert written == [quality.RESULTS, quality.RUNS, quality.RUNS]


# The report


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Results made up so that some aims are met and others are not."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)

    def contestant(*speeds):
        shares = {"share": 0.5, "share with memory": 0.75}
        return {"images/s": speeds, "median": sorted(speeds)[1], "peak MB": 900.0, **shares}

    contestants = {
        "ganutils": contestant(100, 200, 400),
        "predict_train_on_batch": contestant(25, 50, 50),
        "tutorial_loop": contestant(100, 100, 100),
        "tutorial_loop, oneDNN": contestant(500, 500, 500),
        "pytorch_eager": contestant(80, 180, 390),
    }
    rate = limits.measure(0.001)
    rate |= {"float32 operations/s": 2e9, "bytes/s": 1e7}
    found = {"contestants": contestants, "rates": [rate] * 3, "batch": 64, "work": {"needed": 1e9, "bytes": 1e6}}
    found["not idle"] = ["pytorch_eager"]
    write = {
        "throughput": {"results": {"familiar": found, "fast": found}, "machine": {"CPU": "some"}, "date": "today"},
        "startup": {
            "runs": {
                "lesson": [{"open the lesson": 0.01, "until the first step is done": s} for s in (9, 11, 30)],
            }
        },
        "quality": {
            "runs": [
                {"recipe": name, "seed": 0, "seconds": [60, 300], "steps": [1, 2], "frechet_distance": distances}
                for name, distances in (("dcgan", [29.0, 12.0]), ("keras_example", [300.0, 66.0]))
            ]
        },
    }
    for name, content in write.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_report_says_which_aims_are_met(results):
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in report.targets().splitlines()[2:]]
    found = {row[0]: row[1:] for row in rows}
    # The median of 4, 4 and 8, and the median of 100/80, 200/180 and 400/390; a loop with our setting is no peer's.
    assert found["fast networks: ganutils over `predict` + `train_on_batch`"] == ["at least 3 times", "4 times", "yes"]
    assert found["fast networks: ganutils over the best other loop as it is installed (pytorch_eager)"][1:] == [
        "1.11 times",
        "no",
    ]
    assert found["familiar networks: share of the machine's limit"] == ["at least 60 %", "50 %", "no"]
    assert found["FID (digits) of the DCGAN after 60 s"] == ["at most 30", "29", "yes"]
    assert found["FID (digits) of the DCGAN after 300 s"] == ["at most 10", "12", "no"]
    assert found["best peer's FID over ours after 300 s, without PyTorch"] == ["at least 5 times", "5.5 times", "yes"]
    start = "kernel start to first training step of the DCGAN"
    assert found[f"{start}, lesson"] == ["at most 12 s", "11 s", "yes"]


def test_report_leaves_out_aims_that_were_not_measured(results):
    entry = {"recipe": "dcgan", "seed": 0, "seconds": [60], "steps": [1], "frechet_distance": [29.0]}
    (results / "quality.json").write_text(json.dumps({"runs": [entry]}), encoding="utf-8")
    (results / "startup.json").write_text(json.dumps({"runs": {"process": [{"until the first step is done": 9.0}]}}))
    text = report.targets()
    assert "DCGAN after 60 s" in text
    assert not any(part in text for part in ("after 300 s", "kernel start"))


def test_report_fills_what_has_results_and_leaves_the_rest(results):
    marks = "".join(f"<!-- {name} -->old<!-- /{name} -->" for name in report.TABLES)
    filled = report.fill(marks)
    assert "the best peer, keras example, stands at 5.5 times the FID of our DCGAN" in filled
    # Half a second of arithmetic and a tenth of memory traffic for 64 images.
    assert "| *the limit* |  | 128 | 100% |" in filled
    assert "| *the limit with memory* |  | 107 |  | 100% |" in filled
    assert "500 ms at that rate" in filled
    assert "100 ms at that bandwidth. These took processor time while others were measured: pytorch_eager." in filled
    assert "| open the lesson | 0.01 |" in filled
    assert (
        "![FID (digits) over seconds of training, on logarithmic axes. After 300 s: dcgan 12, keras example 66]("
        in filled
    )
    assert "<!-- cost -->old<!-- /cost -->" in filled
    with pytest.raises(ValueError, match="no place for the table"):
        report.fill(marks.replace("<!-- quality -->", ""))


def test_report_leaves_out_aims_of_contestants_that_did_not_run(results):
    found = json.loads((results / "throughput.json").read_text(encoding="utf-8"))
    fast = found["results"]["fast"]
    fast["contestants"] = {name: fast["contestants"][name] for name in ("ganutils", "tutorial_loop")}
    fast["skipped"] = {"pytorch_compile": "no compiler"}
    found["results"] = {"fast": fast}
    (results / "throughput.json").write_text(json.dumps(found), encoding="utf-8")
    text = report.targets()
    assert "the best other loop as it is installed (tutorial_loop, without PyTorch)" in text
    assert not any(part in text for part in ("predict", "share of the machine"))
    assert "Skipped: pytorch_compile (no compiler)." in report.throughput()


def test_report_names_results_of_another_machine(results):
    assert "Measured elsewhere, or with other versions: quality, startup." in report.machine()


def test_readme_shows_the_results():
    text = report.README.read_text(encoding="utf-8")
    assert report.fill(text) == text, "run `python benchmarks/report.py`"
