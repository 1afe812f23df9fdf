"""Progressive growing: what α mixes, what a phase trains, and that one backup serves the whole run."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganutils import callbacks, data, diagnosis, health, losses
from ganutils.models import progressive
from tests.conftest import Interrupt, assert_equal, snapshot

SIZES, CHANNELS = (4, 8, 16), (6, 5, 4)
LATENTS = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")


@pytest.fixture
def images():
    return np.random.default_rng(7).integers(0, 256, (64, 16, 16, 3), "uint8")


def networks():
    generator = progressive.progressive_generator(SIZES, CHANNELS, latent_dim=4)
    return generator, progressive.progressive_discriminator(SIZES, CHANNELS, hidden=8)


def growing(steps=(4, 4, 4), **options):
    keras.utils.set_random_seed(3)
    gan = progressive.ProgressiveGAN(*networks(), steps=steps, **options)
    gan.compile(*(keras.optimizers.Adam(1e-2, beta_1=0.0) for _ in range(2)))
    return gan


def alpha(network):
    return network.get_layer("fade").alpha


def twice(images):
    return images.repeat(2, axis=1).repeat(2, axis=2)


def test_at_alpha_0_the_picture_is_the_old_one_and_at_1_it_does_not_depend_on_it():
    generator, _ = networks()
    alpha(generator).assign(0.0)
    faded = [picture.numpy() for picture in generator(LATENTS)]
    alpha(generator).assign(1.0)
    whole = [picture.numpy() for picture in generator(LATENTS)]
    np.testing.assert_array_equal(faded[0], whole[0])
    for i in (1, 2):
        np.testing.assert_array_equal(faded[i], twice(whole[i - 1]))
        assert np.abs(whole[i] - faded[i]).max() > 0.01
    alpha(generator).assign(0.25)
    np.testing.assert_allclose(generator(LATENTS)[2], 0.75 * faded[2] + 0.25 * whole[2], atol=1e-6)
    to_rgb = _colour_layers(generator)[1]
    to_rgb.kernel.assign(to_rgb.kernel + 1.0)
    assert np.abs(generator(LATENTS)[2] - 0.75 * faded[2] - 0.25 * whole[2]).max() > 0.1
    alpha(generator).assign(1.0)
    np.testing.assert_array_equal(generator(LATENTS)[2], whole[2])


def test_at_alpha_0_the_discriminator_judges_the_halved_picture(rng):
    _, discriminator = networks()
    alpha(discriminator).assign(0.0)
    large = rng.uniform(-1, 1, (6, 16, 16, 3)).astype("float32")
    small = large.reshape(6, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    smallest = small.reshape(6, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    of_smallest, of_small, of_large = discriminator([smallest, small, large])
    np.testing.assert_allclose(of_small, of_smallest, atol=1e-5)
    alpha(discriminator).assign(1.0)
    np.testing.assert_allclose(of_large, _with_halved(discriminator, small), atol=1e-5)
    at_one = discriminator([smallest, small, large])[2].numpy()
    assert np.abs(at_one - of_large).max() > 1e-3
    from_rgb = _colour_layers(discriminator)[1]
    from_rgb.kernel.assign(from_rgb.kernel + 1.0)
    np.testing.assert_array_equal(discriminator([smallest, small, large])[2], at_one)


def _with_halved(discriminator, small):
    """The old discriminator's logits: that of the size before, all of it."""
    return keras.Model(discriminator.inputs[1], discriminator.outputs[1])(small)


def moved(before, network):
    return {v.path for v, old in zip(network.variables, before, strict=True) if not np.array_equal(v.numpy(), old)}


def test_a_phase_trains_the_layers_of_its_size_alone(images):
    gan = growing(penalty=losses.R1(1.0, every=2), average=0.9)
    batches = data.pipeline(images, batch_size=16)
    used = {}
    for phase in range(3):
        before = {player: snapshot(network) for player, network in gan.networks.items()}
        gan.fit(batches, epochs=1, verbose=0)
        used[phase] = {player: moved(before[player], network) for player, network in gan.networks.items()}
    sees = [layer.kernel.path for layer in _colour_layers(gan.discriminator)]
    makes = [layer.kernel.path for layer in _colour_layers(gan.generator)]
    for paths, player in ((sees, "discriminator"), (makes, "generator")):
        shown = [[path in used[phase][player] for path in paths] for phase in range(3)]
        # While a size is faded in, the one before still counts.
        assert shown == [[True, False, False], [True, True, False], [False, True, True]], player


def _colour_layers(network):
    """The layers that take or make colours, from small to large."""
    found = [getattr(layer, "layer", layer) for layer in network.layers]
    found = [layer for layer in found if 3 in getattr(getattr(layer, "kernel", None), "shape", ())[2:]]
    found = [layer for layer in found if layer.kernel.shape[2] == 3]
    return (
        found if "discriminator" in network.name else [x for x in found if isinstance(x, keras.layers.Conv2DTranspose)]
    )


def test_at_once_is_what_a_grown_network_has_become():
    """With the weights of a grown one, whose α is 1, it gives the same, without the layers of smaller pictures."""
    pictures = [np.random.default_rng(1).uniform(-1, 1, (4, size, size, 3)).astype("float32") for size in SIZES]
    at_once = (
        progressive.progressive_generator(SIZES, CHANNELS, latent_dim=4, at_once=True),
        progressive.progressive_discriminator(SIZES, CHANNELS, hidden=8, at_once=True),
    )
    for grown, plain, inputs in zip(networks(), at_once, (LATENTS, pictures), strict=True):
        assert alpha(grown) == 1
        idle = {id(weight) for layer in _colour_layers(grown)[:-1] for weight in layer.weights} | {id(alpha(grown))}
        assert len(idle) == 5, "two layers from or to colours, and α"
        by_shape = {tuple(weight.shape): weight.numpy() for weight in grown.weights if id(weight) not in idle}
        assert len(by_shape) == len(plain.weights) == len(grown.weights) - len(idle)
        plain.set_weights([by_shape[tuple(weight.shape)] for weight in plain.weights])
        expected = grown(inputs)[-1]
        np.testing.assert_allclose(plain(inputs[-1] if isinstance(inputs, list) else inputs), expected, atol=1e-5)


def test_a_bounded_generator_clips_the_same_pictures():
    generator = networks()[0]
    for plain, bounded in zip(
        generator(3 * LATENTS), progressive.bounded_generator(generator)(3 * LATENTS), strict=True
    ):
        assert np.abs(plain).max() > 1
        np.testing.assert_array_equal(bounded, np.clip(plain, -1, 1))
    arguments = {"sizes": SIZES, "channels": CHANNELS, "latent_dim": 4}
    assert progressive.bounded_generator(**arguments).count_params() == generator.count_params()


def test_alpha_goes_from_0_to_1_in_each_phase_but_the_first(images):
    gan, seen = growing(steps=(2, 8, 8), fading=0.5, average=0.9), []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(
            [float(alpha(network).numpy()) for network in (*gan.networks.values(), gan.averaged_generator)]
        )
    )
    gan.fit(data.pipeline(images, batch_size=16), epochs=5, verbose=0, callbacks=[look])
    ramp = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]
    np.testing.assert_allclose(seen, np.tile(np.array([1, *ramp, *ramp, 1, 1, 1])[:, None], 3), atol=1e-6)


def test_optimizers_begin_anew_with_each_phase(images):
    gan, counted = growing(steps=(3, 3, 3)), []
    optimizer = gan.optimizers["generator"]
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: counted.append(int(optimizer.iterations.numpy()))
    )
    gan.fit(data.pipeline(images, batch_size=16), steps_per_epoch=6, verbose=0, callbacks=[look])
    assert counted == [1, 2, 0, 1, 2, 0]
    rest = [variable for variable in optimizer.variables if variable is not optimizer.learning_rate]
    assert len(rest) > 10
    assert all(np.all(variable.numpy() == 0) for variable in rest)
    assert float(optimizer.learning_rate) == pytest.approx(1e-2)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_nothing_jumps_where_a_phase_begins(images, precision):
    keras.mixed_precision.set_dtype_policy(precision)
    try:
        gan = growing(steps=(4, 4, 4), average=0.5)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    scale = [getattr(optimizer, "initial_scale", None) for optimizer in gan.optimizers.values()]
    assert all(scale) == (precision != "float32")
    gan.fit(data.pipeline(images, batch_size=16), epochs=1, verbose=0)
    drawn = gan.predict(LATENTS, verbose=0)
    np.testing.assert_array_equal(drawn, twice(twice(drawn[:, ::4, ::4])), err_msg="still as small as it has learnt")
    history = gan.fit(data.pipeline(images, batch_size=16), epochs=2, verbose=0).history
    assert np.isfinite(history["generator_loss"]).all()


def test_a_penalty_weighs_less_where_there_are_fewer_pixels(images):
    """R1 of a discriminator that looks at the picture's half alone, at α = 0, is that of the smaller size."""
    gan = growing(penalty=losses.R1(2.0, every=1))
    charged = []
    gan._step.players, gan._step.penalties = ("discriminator",), []
    try:
        for taken, level in ((4, 1), (0, 0)):
            gan.steps_taken.assign(taken)
            alpha(gan.discriminator).assign(0.0)
            alpha(gan.generator).assign(0.0)
            gan._step.penalties = []
            gan.losses(data.as_float(images[:8]))
            ((_, penalty, arguments),) = gan._step.penalties
            assert penalty.weight == 2.0 / 4 ** (2 - level)
            charged.append(float(penalty(*arguments)))
        gan.add_penalty("discriminator", losses.GradientPenalty(10.0), *arguments)
        assert gan._step.penalties[-1][1].weight == 10.0, "a slope of 1 is one at every size"
    finally:
        gan._step.players = ()
    assert charged[0] == pytest.approx(charged[1], rel=1e-4)
    assert gan.settings()["penalty"].weight == 2.0


def test_real_images_are_halved_and_faded_as_generated_ones_are(images, monkeypatch):
    gan = growing()
    real = data.as_float(images[:8])
    small = real.reshape(8, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    smallest = twice(small.reshape(8, 4, 2, 4, 2, 3).mean(axis=(2, 4)))
    judged = []
    monkeypatch.setattr(
        gan, "discriminate", lambda x, condition=None: judged.append(x.numpy()) or np.ones((8, 1), "float32")
    )
    alpha(gan.generator).assign(0.25)
    gan.steps_taken.assign(4)
    gan.losses(real)
    np.testing.assert_allclose(judged[0], 0.75 * smallest + 0.25 * small, atol=1e-6)


def test_its_images_have_the_full_size_from_the_start(images):
    gan = growing()
    drawn = gan.predict(LATENTS, verbose=0)
    assert drawn.shape == (5, 16, 16, 3)
    np.testing.assert_array_equal(drawn, twice(twice(drawn[:, ::4, ::4])))
    gan.fit(data.pipeline(images, batch_size=16), epochs=3, verbose=0)
    grown = gan.predict(LATENTS, verbose=0)
    assert np.abs(grown - twice(grown[:, ::2, ::2])).max() > 0.01


def test_one_backup_serves_a_run_through_all_its_sizes(images, tmp_path):
    def train(name, *extra):
        gan = growing(steps=(4, 6, 6), average=0.9, penalty=losses.R1(1.0, every=2))
        samples = callbacks.Samples(LATENTS)
        backup = callbacks.Backup(tmp_path / name)
        batches = data.pipeline(images, batch_size=16, seed=1)
        gan.fit(batches, epochs=4, verbose=0, callbacks=[samples, *extra], backup=backup)
        return gan, samples

    whole, kept = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("part", Interrupt(2))
    resumed, again = train("part")
    assert_equal(whole, resumed)
    np.testing.assert_array_equal(kept.images, again.images)


def test_the_size_is_the_same_from_everywhere(images):
    gan = growing()
    for taken, size in ((0, 4), (4, 8), (8, 16), (0, 4)):
        gan.steps_taken.assign(taken)
        gan.predict(LATENTS, verbose=0)
        assert gan.generate(LATENTS).shape[1] == size
    with pytest.raises(ValueError, match="within at_each_size"):
        tf.function(gan.generate)(LATENTS)


def test_a_health_check_looks_at_the_size_of_the_moment(images):
    """Its graph is traced at one size; a look at another one must not use it."""
    gan, seen = growing((2, 2, 2)), []
    check = callbacks.HealthCheck(images[:16], every=1)
    keeps = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append((gan.stage(), health.measure(gan, images[:16])))
    )
    gan.fit(images, batch_size=32, epochs=3, verbose=0, callbacks=[check, keeps])
    assert [stage for stage, _ in seen] == [0, 1, 1, 2, 2, 2]
    for i, (_, found) in enumerate(seen):
        assert {"generator: variance", "discriminator: left"} < found.keys()
        for name, value in found.items():
            assert check.history[name][i] == pytest.approx(value, rel=1e-3), (i, name)


def test_a_health_check_sees_a_collapse_at_every_size(images):
    gan = growing((1, 1, 1))
    for stage in range(3):
        gan.steps_taken.assign(stage)
        assert health.measure(gan, images[:16])["generator: variance"] > 0.2
    first = next(layer for layer in gan.generator.layers if layer.name.startswith("equalized") and layer.weights)
    first.layer.kernel.assign(0 * first.layer.kernel)
    first.layer.bias.assign(np.arange(first.layer.bias.shape[0]))
    for stage in range(3):
        gan.steps_taken.assign(stage)
        assert health.measure(gan, images[:16])["generator: variance"] < diagnosis.ONE_IMAGE


@pytest.mark.parametrize("other", [{"steps": (2, 4, 4)}, {"fading": 0.25}])
def test_a_run_with_other_phases_is_not_resumed(images, tmp_path, other):
    batches, backup = data.pipeline(images, batch_size=16), callbacks.Backup(tmp_path / "run")
    growing(steps=(2, 2, 2)).fit(batches, epochs=1, verbose=0, backup=backup)
    with pytest.raises(ValueError, match=next(iter(other))):
        growing(**{"steps": (2, 2, 2), **other}).fit(batches, epochs=2, verbose=0, backup=backup)


def test_networks_are_saved_and_copied(tmp_path):
    for i, network in enumerate(networks()):
        network.save(tmp_path / f"{i}.keras")
        copy = keras.models.load_model(tmp_path / f"{i}.keras")
        inputs = LATENTS if i == 0 else [np.ones((2, size, size, 3), "float32") for size in SIZES]
        for one, other in zip(network(inputs), copy(inputs), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_does_not_fit_is_named(images):
    with pytest.raises(ValueError, match="steps=\\(4, 4\\) is not allowed; give 3 whole numbers"):
        growing(steps=(4, 4))
    with pytest.raises(ValueError, match="steps=10"):
        growing(steps=10)
    with pytest.raises(ValueError, match="fading=0"):
        growing(fading=0)
    growing(fading=1)
    with pytest.raises(ValueError, match="choose a number from 0 to 1"):
        growing(fading=1.5)
    for name in ("latent_dim", "colours", "hidden"):
        with pytest.raises(ValueError, match=f"{name}=0"):
            progressive.progressive_generator(**{name: 0})
    for sizes, channels in (((7, 14), (2, 2)), ((8, 16, 64), (2, 2, 2))):
        for build in (progressive.progressive_generator, progressive.progressive_discriminator):
            with pytest.raises(ValueError, match="each twice the one before"):
                build(sizes, channels)
    with pytest.raises(ValueError, match="channels="):
        progressive.progressive_generator((8, 16), (2, 2, 2))
    with pytest.raises(ValueError, match="of the same two sizes"):
        progressive.ProgressiveGAN(
            networks()[0], progressive.progressive_discriminator((8, 16), (2, 2)), steps=(1, 1, 1)
        )
    gan = growing()
    with pytest.raises(ValueError, match="this GAN grows to"):
        gan.fit(images[:, ::2, ::2], batch_size=16, verbose=0)
    with pytest.raises(ValueError, match="leave the labels out"):
        gan.fit(images, np.zeros(64, int), batch_size=16, verbose=0)
