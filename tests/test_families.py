"""Four families, each in at most twenty lines on the trunk, and what the trunk owes to each of them."""

import functools
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from ganutils import callbacks, data, keras_workarounds, losses, plotting, training
from tests.conftest import Interrupt, assert_equal, changed, small_digits, snapshot, unchanged_by


class CycleGAN(training.AdversarialModel):
    """Two generators and two discriminators over unpaired images (Zhu et al. 2017)."""

    measures = ("cycle_loss",)

    def __init__(self, to_b, to_a, judge_a, judge_b, cycle_weight=10.0):
        super().__init__({"judge_a": judge_a, "judge_b": judge_b, "to_b": to_b, "to_a": to_a}, averages={"to_b": 0.9})
        self.cycle_weight = cycle_weight

    def losses(self, batch):
        a, b = batch
        fake_a, fake_b = self.run("to_a", b), self.run("to_b", a)
        cycle = ops.mean(ops.abs(self.run("to_a", fake_b) - a)) + ops.mean(ops.abs(self.run("to_b", fake_a) - b))
        self.record(cycle_loss=cycle)
        found = {}
        for side, real, fake in (("a", a, fake_a), ("b", b, fake_b)):
            real_logits, fake_logits = self.run(f"judge_{side}", real), self.run(f"judge_{side}", fake)
            found[f"judge_{side}"] = self.adversarial_loss.discriminator(real_logits, fake_logits)
            found[f"to_{side}"] = self.adversarial_loss.generator(fake_logits) + self.cycle_weight * cycle
        return found

    def call(self, images, training=False):
        return self.run("to_b", images)


class PackedGAN(training.GAN):
    """A GAN whose discriminator judges several images at once (PacGAN, Lin et al. 2018)."""

    def __init__(self, *networks, pack=2, **kwargs):
        super().__init__(*networks, **kwargs)
        self.pack = pack

    def discriminate(self, images, condition=None):
        return self.run("discriminator", ops.concatenate(ops.split(images, self.pack), axis=-1))


class GrowingGAN(training.GAN):
    """A GAN that draws small images, and after some steps fades in a layer that doubles them (Karras et al. 2018)."""

    def __init__(self, *networks, grow_after=4, fade=8, **kwargs):
        super().__init__(*networks, **kwargs)
        self.grow_after, self.fade = grow_after, fade

    def blend(self, small, large):
        step = ops.cast(self.optimizers["generator"].iterations, "float32")
        alpha = ops.clip((step - self.grow_after) / self.fade, 0.0, 1.0)
        return (1 - alpha) * ops.repeat(ops.repeat(small, 2, axis=1), 2, axis=2) + alpha * large

    def generate(self, latents, condition=None):
        return self.blend(*self.run("generator", latents))

    def losses(self, real_images):
        return super().losses(self.blend(ops.average_pool(real_images, 2), real_images))

    def draw_samples(self, latents):
        small, large = self.run("generator", latents)
        return small if self.optimizers["generator"].iterations <= self.grow_after else self.blend(small, large)


class SuperResolution(training.AdversarialModel):
    """Large images from small ones (Ledig et al. 2017, with a content loss by pixels)."""

    measures = ("psnr",)

    def __init__(self, generator, discriminator, adversarial_weight=1e-3):
        super().__init__({"discriminator": discriminator, "generator": generator})
        self.adversarial_weight = adversarial_weight

    def losses(self, batch):
        small, large = batch
        drawn = self.run("generator", small)
        real_logits, fake_logits = self.run("discriminator", large), self.run("discriminator", drawn)
        fooled = self.adversarial_weight * self.adversarial_loss.generator(fake_logits)
        judged = self.adversarial_loss.discriminator(real_logits, fake_logits)
        return {"discriminator": judged, "generator": ops.mean((drawn - large) ** 2) + fooled}

    def validate(self, batch):
        return {"psnr": tf.image.psnr(self(batch[0]), batch[1], max_val=2.0)}

    def call(self, small, training=False):
        return self.run("generator", small)


def translator():
    hidden = layers.Conv2D(4, 3, padding="same", activation="leaky_relu")
    return keras.Sequential([keras.Input((8, 8, 1)), hidden, layers.Conv2D(1, 3, padding="same", activation="tanh")])


def judge(channels=1):
    """A discriminator with all that carries state: batch norm and dropout."""
    parts = [layers.Conv2D(4, 3, 2), layers.BatchNormalization(), layers.LeakyReLU(), layers.Dropout(0.2)]
    return keras.Sequential([keras.Input((8, 8, channels)), *parts, layers.Flatten(), layers.Dense(1)])


def artist():
    return keras.Sequential([keras.Input((5,)), layers.Dense(64, activation="tanh"), layers.Reshape((8, 8, 1))])


def growing_artist():
    latents = keras.Input((5,))
    body = layers.Reshape((4, 4, 4))(layers.Dense(64, activation="leaky_relu")(latents))
    small = layers.Conv2D(1, 1, activation="tanh")(body)
    return keras.Model(latents, [small, layers.Conv2DTranspose(1, 4, 2, padding="same", activation="tanh")(body)])


def enlarger():
    grown = layers.Conv2DTranspose(1, 4, 2, padding="same", activation="tanh")
    return keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(4, 3, padding="same"), grown])


LATENTS = np.random.default_rng(0).standard_normal((3, 5)).astype("float32")
PENALTY = losses.R1(1.0, every=2)
# Networks, data from digits (64, 8, 8, 1), what samples are drawn from, and a setting that a backup must know.
FAMILIES = {
    "cycle": (
        lambda **kw: CycleGAN(translator(), translator(), judge(), judge(), **kw),
        lambda x: data.unpaired(x, x[:24, ::-1], batch_size=8),
        lambda x: data.as_float(x[:3]),
        {"cycle_weight": 3.0},
    ),
    "packed": (
        lambda penalty=PENALTY: PackedGAN(artist(), judge(2), average=0.9, penalty=penalty),
        lambda x: data.pipeline(x, batch_size=8),
        lambda x: LATENTS,
        {"penalty": losses.R1(1.0, every=3)},
    ),
    "growing": (
        lambda **kw: GrowingGAN(growing_artist(), judge(), average=0.9, **kw),
        lambda x: data.pipeline(x, batch_size=8),
        lambda x: LATENTS,
        {"fade": 5},
    ),
    "super-resolution": (
        lambda **kw: SuperResolution(enlarger(), judge(), **kw),
        lambda x: data.pipeline(x[:, ::2, ::2], x, batch_size=8),
        lambda x: data.as_float(x[:3, ::2, ::2]),
        {"adversarial_weight": 1e-2},
    ),
}


def compiled(name, **settings):
    keras.utils.set_random_seed(3)
    model = FAMILIES[name][0](**settings)
    optimizers = {player: keras.optimizers.Adam(1e-2) for player in model.networks}
    if isinstance(model, training.GAN):
        model.compile(optimizers["generator"], optimizers["discriminator"])
    else:
        model.compile(optimizers)
    return model


def train(name, digits, path, extra=(), **settings):
    model = compiled(name, **settings)
    _, make_data, make_inputs, _ = FAMILIES[name]
    curves, samples = callbacks.Curves(every=3), callbacks.Samples(make_inputs(digits))
    used, backup = [curves, samples, *extra], callbacks.Backup(path)
    history = model.fit(make_data(digits), epochs=4, verbose=0, callbacks=used, backup=backup).history
    return model, curves, samples, history


@pytest.fixture(scope="module")
def whole_runs(tmp_path_factory):
    """Function from a family's name to a run that nothing interrupted, and its backup; each is trained once."""

    @functools.cache
    def run(name):
        path = tmp_path_factory.mktemp(name) / "run"
        return *train(name, small_digits(), path), path

    return run


@pytest.mark.parametrize("family", [CycleGAN, PackedGAN, GrowingGAN, SuperResolution])
def test_a_family_takes_at_most_twenty_lines(family):
    assert len([line for line in inspect.getsource(family).splitlines() if line.strip()]) <= 20


@pytest.mark.parametrize("name", FAMILIES)
def test_every_player_moves_and_minimises_its_own_loss(name, digits):
    """Each in turn, on one batch and with the others held still: plain descent lowers what it should minimise."""
    batch = next(iter(FAMILIES[name][1](digits)))
    for player in compiled(name).networks:
        model = compiled(name)
        optimizer = keras_workarounds.prepare_optimizer(keras.optimizers.SGD(0.02), model.networks[player])
        model.optimizers[player] = optimizer
        model.draw = lambda function, n, model=model: ops.ones((n, 5))  # the same latents at each step
        before = model.networks[player].get_weights()
        step, found = tf.function(model.adversarial_step), []
        for _ in range(8):
            model.means[f"{player}_loss"].reset_state()
            step(batch, players=(player,))
            found.append(float(model.means[f"{player}_loss"].result()))
        assert np.mean(found[-3:]) < found[0], (player, found)
        kernels = [i for i, weight in enumerate(model.networks[player].weights) if weight.name == "kernel"]
        moved = [(before[i] != model.networks[player].get_weights()[i]).any() for i in kernels]
        assert all(moved) or (name, player) == ("growing", "generator"), "whose second image is not in use yet"
    model, untrained = compiled(name), compiled(name)
    found = model.train_step(batch)
    assert {f"{player}_loss" for player in model.networks} <= set(found)
    for player, network in model.networks.items():
        pairs = zip(network.trainable_weights, untrained.networks[player].trainable_weights, strict=True)
        assert any(np.any(new.numpy() != old.numpy()) for new, old in pairs), player


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_of_one_player_leaves_the_others_alone(name, digits):
    model = compiled(name)
    batch = next(iter(FAMILIES[name][1](digits)))
    for player in model.networks:
        before = {other: snapshot(network) for other, network in model.networks.items()}
        model.adversarial_step(batch, players=(player,))
        for other, network in model.networks.items():
            assert any(changed(before[other], network)) == (other == player), (player, other)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_killed_run_ends_as_if_it_had_not_been(name, digits, tmp_path, whole_runs):
    whole, curves, samples, history, _ = whole_runs(name)
    with pytest.raises(KeyboardInterrupt):
        train(name, digits, tmp_path / "part", extra=[Interrupt(2, batch=3)])
    assert callbacks.Backup(tmp_path / "part").epoch == 2
    resumed, resumed_curves, resumed_samples, resumed_history = train(name, digits, tmp_path / "part")
    assert_equal(whole, resumed)
    assert resumed_history == history
    timeless = [{k: v for k, v in each.history.items() if k != "seconds"} for each in (curves, resumed_curves)]
    assert timeless[0] == timeless[1]
    for a, b in zip(samples.images, resumed_samples.images, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", FAMILIES)
def test_curves_and_samples_are_drawn_with_the_models_own_names(name, whole_runs):
    model, curves, samples, *_ = whole_runs(name)
    figure = plotting.training_curves(curves.history)
    drawn = [line.get_ydata() for axes in figure.axes for line in axes.lines]
    for metric in curves.history.keys() - {"step", "seconds"}:
        assert any(np.array_equal(values, curves.history[metric]) for values in drawn), metric
    assert {f"{player}_loss" for player in model.networks} <= set(curves.history)
    assert plotting.sample_strip(samples.images, samples.epochs, n=3).axes
    assert plotting.sample_animation(samples.images, samples.epochs, n=3).data


def test_samples_of_a_growing_model_grow(whole_runs):
    _, _, samples, *_ = whole_runs("growing")
    assert [images.shape[1] for images in samples.images] == [4, 8, 8, 8, 8]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_changed_setting_is_refused_by_the_backup(name, digits, whole_runs):
    *_, path = whole_runs(name)
    ((setting, value),) = FAMILIES[name][3].items()
    with pytest.raises(ValueError, match=f"settings: {setting}.* was"):
        train(name, digits, path, **{setting: value})


def test_validation_reports_what_the_family_validates(digits):
    model = compiled("super-resolution")
    pairs = data.pipeline(digits[:, ::2, ::2], digits, batch_size=16)
    logs = model.fit(pairs, validation_data=pairs, epochs=1, verbose=0).history
    assert set(logs) == {"discriminator_loss", "generator_loss", "val_psnr"}
    drawn, large = model.predict(data.as_float(digits[:, ::2, ::2]), verbose=0), data.as_float(digits)
    mean_square = np.mean((drawn - large) ** 2, axis=(1, 2, 3))
    expected = np.mean(20 * np.log10(2) - 10 * np.log10(mean_square))
    assert model.evaluate(pairs, return_dict=True, verbose=0)["psnr"] == pytest.approx(expected, rel=1e-4)


def test_a_family_that_validates_nothing_says_so(digits):
    model = compiled("packed")
    pairs = data.pipeline(digits, batch_size=16)
    for call in (lambda: model.evaluate(pairs), lambda: model.fit(pairs, validation_data=pairs, verbose=0)):
        unchanged_by(model, call, "PackedGAN has nothing to validate")
