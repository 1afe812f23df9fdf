import gc
import inspect
import textwrap
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganutils import callbacks, data, keras_workarounds, losses, models, training
from ganutils.adversarial import AdversarialModel
from tests.conftest import assert_equal, changed, snapshot, tiny_networks, unchanged_by

PLAYERS = ("discriminator", "generator")


def set_optimizer(gan, player, optimizer):
    gan.optimizers[player] = keras_workarounds.prepare_optimizer(optimizer, gan.networks[player])


@pytest.fixture
def real(digits):
    return data.scale(digits[:16])


@pytest.mark.parametrize("players", [("discriminator",), ("generator",), PLAYERS])
@pytest.mark.parametrize("graph", [False, True])
def test_a_step_moves_all_state_of_its_players_and_none_of_the_other(make_gan, real, players, graph):
    gan = make_gan()
    before = {name: snapshot(getattr(gan, name)) for name in PLAYERS}
    (tf.function(gan.adversarial_step) if graph else gan.adversarial_step)(real, players=players)
    for name in PLAYERS:
        moved = changed(before[name], getattr(gan, name))
        assert all(moved) if name in players else not any(moved), name


def test_trainable_is_not_what_decides_who_trains(make_gan, real):
    """The flag that the widespread loop toggles: frozen layers stay, and nothing else is frozen with them."""
    gan = make_gan()
    gan.discriminator.layers[0].trainable = False
    set_optimizer(gan, "discriminator", keras.optimizers.SGD(0.1))
    frozen, generator = snapshot(gan.discriminator.layers[0]), snapshot(gan.generator)
    gan.adversarial_step(real)
    assert not any(changed(frozen, gan.discriminator.layers[0]))
    assert all(changed(generator, gan.generator))


def test_one_step_is_the_step_written_out(make_gan, digits):
    """The reference is two separate tapes and two separate forward passes, as in Goodfellow's algorithm 1."""
    gan = make_gan()
    keras.utils.set_random_seed(7)
    generator, discriminator = tiny_networks()
    optimizers = keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3)
    real = data.scale(digits[:16])
    latents = keras.random.normal((16, 5), seed=keras.random.SeedGenerator(7))
    with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
        fake = generator(latents, training=True)
        probability_real = tf.sigmoid(discriminator(real, training=True))
        probability_fake = tf.sigmoid(discriminator(fake, training=True))
        generator_loss = -tf.reduce_mean(tf.math.log(probability_fake))
        discriminator_loss = -tf.reduce_mean(tf.math.log(probability_real)) - tf.reduce_mean(
            tf.math.log(1 - probability_fake)
        )
    for tape, loss, network, optimizer in (
        (generator_tape, generator_loss, generator, optimizers[0]),
        (discriminator_tape, discriminator_loss, discriminator, optimizers[1]),
    ):
        optimizer.apply_gradients(
            zip(tape.gradient(loss, network.trainable_weights), network.trainable_weights, strict=True)
        )

    logs = gan.train_on_batch(data.scale(digits[:16]).numpy(), return_dict=True)
    assert logs["generator_loss"] == pytest.approx(float(generator_loss), rel=1e-5)
    assert logs["discriminator_loss"] == pytest.approx(float(discriminator_loss), rel=1e-5)
    assert logs["real_accuracy"] == pytest.approx(np.mean(probability_real > 0.5))
    assert logs["fake_accuracy"] == pytest.approx(np.mean(probability_fake < 0.5))
    for ours, theirs in ((gan.generator, generator), (gan.discriminator, discriminator)):
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_batch_that_cannot_be_cut_is_refused(make_gan, digits):
    gan = make_gan(discriminator_steps=3)
    with pytest.raises(ValueError, match="16 images cannot be split into 3 equal parts"):
        gan.train_step(data.scale(digits[:16]))
    uneven = tf.data.Dataset.from_tensor_slices(digits[:16]).batch(15)  # whose last batch has one image
    unchanged_by(gan, lambda: gan.fit(uneven, verbose=0), "drop_remainder=True")


def test_average_is_the_exponential_moving_average_of_all_weights(make_gan, real):
    gan = make_gan(average=0.8)
    expected = [weight.copy() for weight in gan.generator.get_weights()]
    for _ in range(5):
        gan.adversarial_step(real)
        gan.adversarial_step(real, players=("discriminator",))  # which must not move the average
        for mean, weight in zip(expected, gan.generator.get_weights(), strict=True):
            mean += 0.2 * (weight - mean)
    for mean, weight in zip(gan.averaged_generator.get_weights(), expected, strict=True):
        np.testing.assert_allclose(mean, weight, rtol=1e-4, atol=1e-6)
    assert len(gan.trainable_variables) == len(make_gan().trainable_variables), "it does not train"
    statistics = [v for v in gan.averaged_generator.non_trainable_variables if "moving" in v.path]
    assert statistics
    assert all(np.abs(v.numpy() - initial).max() > 0 for v, initial in zip(statistics, (0, 1), strict=True))


def test_fit_records_the_four_metrics_and_nothing_else(make_gan, digits, recwarn):
    history = make_gan().fit(data.pipeline(digits, batch_size=16), epochs=2, verbose=0)
    assert set(history.history) == {"generator_loss", "discriminator_loss", "real_accuracy", "fake_accuracy"}
    assert all(len(values) == 2 for values in history.history.values())
    assert not recwarn.list, "Keras should have nothing to warn about"


def test_fit_takes_bytes_and_floats_alike(make_gan, digits):
    """Bytes are scaled by the step itself: they would otherwise be fed to the networks as 0 to 255."""
    floats, dataset = data.scale(digits).numpy(), tf.data.Dataset.from_tensor_slices
    pairs = [
        ((digits,), (floats,)),
        ((dataset(digits).batch(64),), (dataset(floats).batch(64),)),
    ]
    for pair in pairs:
        options = {"batch_size": 64} if isinstance(pair[0][0], np.ndarray) else {}
        one, other = (make_gan().fit(*given, verbose=0, **options).history for given in pair)
        for name, values in one.items():
            assert values == pytest.approx(other[name], rel=1e-5), name


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_and_keeps_float32_weights(make_gan, digits, precision):
    keras.mixed_precision.set_dtype_policy(precision)
    try:
        gan = make_gan(average=0.9)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    scales = isinstance(gan.optimizers["generator"], keras.optimizers.LossScaleOptimizer)
    assert scales == (precision == "mixed_float16")
    # float16 starts with a loss scale that overflows, and is halved until it fits.
    before = {name: snapshot(getattr(gan, name)) for name in PLAYERS}
    history = gan.fit(data.pipeline(digits, batch_size=16), epochs=8, verbose=0).history
    for name, states in before.items():
        assert any(changed(states, getattr(gan, name)))
    assert all(weight.dtype == np.float32 for weight in gan.get_weights())
    assert all(np.isfinite(weight).all() for weight in gan.get_weights())
    assert np.isfinite(history["generator_loss"]).all()


def test_loss_scaling_does_not_change_the_step(make_gan, real):
    """The scale is a power of two and is divided out again, so plain and scaled steps agree."""
    plain, scaled = make_gan(), make_gan()
    for name in PLAYERS:
        set_optimizer(scaled, name, keras.optimizers.LossScaleOptimizer(scaled.optimizers[name], initial_scale=1024.0))
    plain.adversarial_step(real)
    scaled.adversarial_step(real)
    for a, b in zip(plain.get_weights(), scaled.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_steps_per_execution_gives_the_same_training(make_gan, digits):
    def train(**options):
        gan = make_gan(compile_options=options)
        return gan.fit(data.pipeline(digits, batch_size=8), epochs=2, verbose=0).history

    one, several = train(), train(steps_per_execution=4)
    for name, values in one.items():
        assert several[name] == pytest.approx(values, rel=1e-4)


@pytest.mark.parametrize("players", [(), ("generater",)])
def test_unknown_players_are_refused(make_gan, real, players):
    with pytest.raises(ValueError, match="choose from discriminator, generator"):
        make_gan().adversarial_step(real, players=players)


def test_weights_survive_saving(make_gan, digits, tmp_path):
    gan = make_gan(average=0.9)
    gan.fit(data.pipeline(digits, batch_size=16), verbose=0)
    gan.save_weights(tmp_path / "gan.weights.h5")
    other = make_gan(average=0.9, seed=8)
    other.load_weights(tmp_path / "gan.weights.h5")
    latents = gan.draw_latents(4)
    np.testing.assert_array_equal(gan(latents), other(latents))


def compile_as(generator, discriminator, *arguments, **options):
    training.GAN(generator, discriminator).compile(*arguments, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g, d: training.GAN(g, d, discriminator_steps=0), "discriminator_steps=0"),
        (lambda g, d: training.GAN(g, d, discriminator_steps=1.5), r"discriminator_steps=1\.5"),
        (lambda g, d: training.GAN(g, d, average=1.0), r"average of 'generator' with decay 1\.0"),
        (lambda g, d: training.GAN(g, d, penalty=10), "penalty=10 is not allowed; give an instance such as"),
        (lambda g, d: training.GAN(keras.Sequential(), d), r"generator is not a built keras\.Model"),
        (lambda g, d: training.GAN(g, g), "share a network"),
        (lambda g, d: compile_as(g, d, 1e-3, "adam"), r"generator: 0\.001 is not an optimizer"),
        (lambda g, d: compile_as(g, d, "adam", "adam", loss="wgan"), "unknown loss 'wgan'"),
        (lambda g, d: compile_as(g, d, *[keras.optimizers.Adam()] * 2), "its own optimizer"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*tiny_networks())


def test_a_frozen_player_is_refused():
    generator, discriminator = tiny_networks()
    discriminator.trainable = False
    with pytest.raises(ValueError, match="discriminator has no weights to train"):
        training.GAN(generator, discriminator).compile("adam", "adam")


def test_networks_and_data_that_do_not_fit_are_refused(make_gan, rng):
    """By calling them, so that a family may change images before its discriminator sees them."""
    other = rng.integers(0, 256, (16, 6, 6, 1), "uint8")
    gan = make_gan()
    unchanged_by(gan, lambda: gan.fit(other, verbose=0), "8, 8, 1|6, 6, 1")
    generator, discriminator = tiny_networks()
    ten = keras.Sequential([discriminator, keras.layers.Dense(10)])
    gan = training.GAN(generator, ten)
    gan.compile("adam", "adam")
    unchanged_by(gan, lambda: gan.fit(rng.integers(0, 256, (16, 8, 8, 1), "uint8"), verbose=0), "returns 10 numbers")


@pytest.mark.parametrize("kind", ["array", "dataset", "small batches", "evaluate"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x / 255, r"to 2 x - 1"),
        (lambda x: np.where(np.arange(x.size).reshape(x.shape) % 2000 == 0, -0.1, x / 255), r"to 2 x - 1"),
        (lambda x: x.astype("float32"), r"use data\.scale"),
        (lambda x: x * np.nan, "contain NaN"),
        (lambda x: x.astype("int64"), "images are int64"),
    ],
)
def test_images_of_another_range_or_type_are_refused(make_gan, digits, kind, change, message, monkeypatch):
    wrong = change(digits)
    wrong = wrong.astype("float32") if wrong.dtype.kind == "f" else wrong
    gan = make_gan()
    batches = {"dataset": 16, "small batches": 1}
    if kind == "evaluate":
        monkeypatch.setattr(training.GAN, "validate", lambda self, batch: {})
        unchanged_by(gan, lambda: gan.evaluate(wrong, verbose=0), message)
        unchanged_by(gan, lambda: gan.fit(digits, validation_data=(wrong, digits), verbose=0), message)
    else:
        x = tf.data.Dataset.from_tensor_slices(wrong).batch(batches[kind]) if kind in batches else wrong
        unchanged_by(gan, lambda: gan.fit(x, verbose=0), message)


def test_a_dark_image_among_others_is_no_mistake(make_gan, digits):
    """Single batches may hold nothing below 0: what is judged are many images together."""
    images = data.as_float(digits)
    images[3] = np.abs(images[3])
    make_gan().fit(tf.data.Dataset.from_tensor_slices(images).batch(1), steps_per_epoch=2, verbose=0)


def test_an_array_is_a_pipeline(make_gan, digits):
    """One way of reading data: the same order, epochs of whole batches, and the checks that belong to it."""
    one, other = make_gan(), make_gan()
    one.fit(digits[:50], batch_size=16, epochs=2, verbose=0)
    other.fit(data.pipeline(digits[:50], batch_size=16), epochs=2, verbose=0)
    assert_equal(one, other)
    assert int(one.optimizers["generator"].iterations) == 6
    gan = make_gan()
    gan.fit(digits[:10], verbose=0)
    assert int(gan.optimizers["generator"].iterations) == 1, "fewer images than Keras' usual batch of 32"
    unchanged_by(gan, lambda: gan.fit(digits, shuffle=False, verbose=0), "arrays are shuffled")
    several = make_gan(compile_options={"steps_per_execution": 4})
    unchanged_by(several, lambda: several.fit(digits, batch_size=10, verbose=0), "6 batches an epoch are not a m.*n=4;")


def test_fit_refuses_what_has_no_meaning_here(make_gan, digits):
    gan, weights = make_gan(), np.ones(64)
    for name, value in {"class_weight": {0: 1.0}, "sample_weight": weights, "validation_split": 0.1}.items():
        unchanged_by(gan, lambda name=name, value=value: gan.fit(digits, verbose=0, **{name: value}), name)
    unchanged_by(gan, lambda: gan.fit([digits, digits], verbose=0), "x is a list")
    unchanged_by(gan, lambda: gan.fit(data.pipeline(digits, batch_size=8), weights, verbose=0), "y is for arrays")
    pipeline = data.pipeline(digits, batch_size=8)
    for options, message in (
        ({"x": pipeline, "batch_size": 8}, "batch_size is for arrays"),
        ({"x": digits, "batch_size": 0}, "batch_size=0 is not allowed"),
        ({"x": pipeline, "epochs": 0}, "epochs=0 is not allowed"),
        ({"x": pipeline, "steps_per_epoch": -1}, "steps_per_epoch=-1 is not allowed"),
        ({"x": pipeline.repeat()}, "never ends"),
        ({"x": pipeline.take(0)}, "holds no batch"),
        ({"x": tf.data.Dataset.range(5)}, "holds single numbers"),
    ):
        unchanged_by(gan, lambda options=options: gan.fit(verbose=0, **options), message)
    three = tf.data.Dataset.from_tensor_slices((digits, weights, weights)).batch(16)
    unchanged_by(gan, lambda: gan.fit(three, verbose=0), "3 parts")
    unchanged_by(gan, lambda: gan.save("gan.keras"), "save_weights")
    with pytest.raises(ValueError, match="not compiled"):
        training.GAN(*tiny_networks()).fit(digits)


def test_an_epoch_may_be_longer_than_the_data(make_gan, digits):
    gan = make_gan()
    gan.fit(data.pipeline(digits, batch_size=16), steps_per_epoch=10, epochs=2, verbose=0)
    assert int(gan.optimizers["generator"].iterations) == 20


def resizing(resize, skip=False):
    """A discriminator that resizes its features, and may have a path around that, so that no kernel is missed."""
    layers = keras.layers
    images = keras.Input((8, 8, 1))
    features = layers.Conv2D(4, 3, padding="same", activation="leaky_relu")(images)
    x = layers.AveragePooling2D(2)(layers.UpSampling2D(2, interpolation=resize)(features))
    return keras.Model(images, layers.Dense(1)(layers.Flatten()(x + features if skip else x)))


@pytest.mark.parametrize("skip", [False, True], ids=["", "skip"])
@pytest.mark.parametrize("resize", ["bilinear", "bicubic", "nearest"])
def test_a_penalty_that_misses_a_part_of_the_slopes_is_refused(digits, resize, skip):
    """Bilinear resizing has no second derivative, and TensorFlow says nothing: R1 would train half a network."""
    gan = training.GAN(tiny_networks()[0], resizing(resize, skip), penalty=losses.R1(1.0))
    gan.compile("adam", "adam")
    if resize == "nearest":
        gan.fit(digits, batch_size=16, verbose=0)
    else:
        unchanged_by(gan, lambda: gan.fit(digits, batch_size=16, verbose=0), "second derivative: use nearest")
        without = training.GAN(tiny_networks()[0], resizing(resize, skip))
        without.compile("adam", "adam")
        without.fit(digits, batch_size=16, verbose=0)


def test_a_penalty_need_not_reach_what_the_loss_does_not_use(digits):
    """The last blocks of a network that is to grow rest at first; a class head beside the logit is no such part."""

    class Part(training.GAN):
        def discriminate(self, images, condition=None):
            return self.run("discriminator", images)[0]

        def losses(self, batch):
            found = super().losses(batch)
            if self.uses_head:
                found["discriminator"] += keras.ops.mean(self.run("discriminator", batch)[1] ** 2)
            return found

    for uses_head in (False, True):
        images = keras.Input((8, 8, 1))
        features = keras.layers.Dense(4, "relu")(keras.layers.Flatten()(images))
        heads = [keras.layers.Dense(1)(features), keras.layers.Dense(3, name="classes")(features)]
        gan = Part(tiny_networks()[0], keras.Model(images, heads), penalty=losses.R1(1.0))
        gan.uses_head = uses_head
        gan.compile("adam", "adam")
        if uses_head:
            unchanged_by(gan, lambda gan=gan: gan.fit(digits, verbose=0), "does not reach classes/kernel")
        else:
            gan.fit(digits, verbose=0)


def test_regularisers_of_weights_count(make_gan, real):
    """What layers add to the loss of their network, as Keras' own fit takes it."""
    plain, regularised = make_gan(dropout=0.0), make_gan(dropout=0.0)
    before = regularised.discriminator.layers[-1].kernel.numpy()
    regularised.discriminator.layers[-1].kernel.regularizer = keras.regularizers.L2(0.5)
    for gan in (plain, regularised):
        set_optimizer(gan, "discriminator", keras.optimizers.SGD(0.1))
        gan.adversarial_step(real)
    difference = plain.discriminator.layers[-1].kernel.numpy() - regularised.discriminator.layers[-1].kernel.numpy()
    np.testing.assert_allclose(difference, 0.1 * before, rtol=1e-3, atol=1e-6)
    assert_equal(plain.generator, regularised.generator)


def test_a_penalty_reaches_every_kernel_of_the_courses_discriminators(rng):
    real = tf.constant(rng.uniform(-1, 1, (4, 28, 28, 1)).astype("float32"))
    networks = [models.vanilla_discriminator(), models.dcgan_discriminator(), models.fast_dcgan_discriminator()]
    networks += [models.conditional_discriminator(label_input=name) for name in models.LABEL_INPUTS]
    for network in networks:
        judge = network if len(network.inputs) == 1 else lambda x, network=network: network([x, tf.range(4)])
        if network.name.startswith("conditional") and "dot" in str([layer.name for layer in network.layers]):
            network.set_weights([w if w.any() else w + 0.1 for w in network.get_weights()])  # class vectors begin at 0
        with tf.GradientTape() as tape:
            penalty = losses.R1(1.0)(judge, real, None)
        kernels = [weight for weight in network.trainable_weights if weight.name == "kernel"]
        for kernel, gradient in zip(kernels, tape.gradient(penalty, kernels), strict=True):
            assert np.abs(gradient).max() > 0, (network.name, kernel.path)


class Stretch:
    """A penalty of the generator: how much images change with their latents."""

    every = 2

    def __call__(self, generate, latents):
        with tf.GradientTape() as tape:
            tape.watch(latents)
            total = keras.ops.sum(generate(latents))
        return keras.ops.mean(tape.gradient(total, latents) ** 2)


def test_the_generator_may_have_a_penalty_too(make_gan, real):
    plain, penalised = make_gan(), make_gan(generator_penalty=Stretch())
    for gan in (plain, penalised):
        set_optimizer(gan, "generator", keras.optimizers.SGD(0.1))
        gan.adversarial_step(real)
    assert_equal(plain.discriminator, penalised.discriminator)
    first, second = (gan.generator.layers[0].get_weights()[0] for gan in (plain, penalised))
    assert np.abs(first - second).max() > 0


def test_a_relativistic_loss_sees_the_real_logits(make_gan, real):
    def discriminator(real_logits, fake_logits):
        return keras.ops.mean(keras.ops.softplus(fake_logits - real_logits))

    def generator(fake_logits, real_logits):
        return keras.ops.mean(keras.ops.softplus(real_logits - fake_logits))

    gan = make_gan(loss=losses.AdversarialLoss("relativistic", discriminator, generator), dropout=0.0)
    gan.discriminator.layers[-1].set_weights([np.zeros((64, 1)), np.zeros(1)])
    logs = gan.train_on_batch(real.numpy(), return_dict=True)
    assert logs["generator_loss"] == pytest.approx(np.log(2)), "ln 2 for each pair of equal logits"
    assert logs["discriminator_loss"] == pytest.approx(np.log(2))


class TwoLatents(training.GAN):
    """Latents that are two tensors, as style mixing needs them."""

    def draw_latents(self, n):
        return [super(TwoLatents, self).draw_latents(n) for _ in range(2)]

    def generate(self, latents, condition=None):
        return self.run("generator", (latents[0] + latents[1]) / 2**0.5)


def test_latents_may_be_more_than_one_tensor(digits):
    gan = TwoLatents(*tiny_networks(), average=0.9)
    gan.compile("adam", "adam")
    assert gan.optimizers["generator"] is not gan.optimizers["discriminator"], "though both have one name"
    latents = [np.ones((3, 5), "float32"), np.zeros((3, 5), "float32")]
    samples = callbacks.Samples(latents)
    gan.fit(digits, batch_size=16, verbose=0, callbacks=[samples])
    expected = data.unscale(gan.averaged_generator(latents[0] / 2**0.5))
    np.testing.assert_array_equal(samples.images[-1], expected)


def test_the_example_of_the_docstring_trains(digits):
    text = inspect.cleandoc(AdversarialModel.__doc__).split("::\n", 1)[1].split("A step draws")[0]
    generator, discriminator = tiny_networks()
    names = {"keras": keras, "ops": keras.ops, "AdversarialModel": AdversarialModel}
    exec(textwrap.dedent(text), names | {"generator": generator, "discriminator": discriminator}, names)
    gan, before = names["gan"], snapshot(names["gan"])
    logs = gan.fit(digits, batch_size=16, verbose=0).history
    assert set(logs) == {"discriminator_loss", "generator_loss"}
    assert any(changed(before, gan))
    assert gan.predict(np.ones((2, 5), "float32"), verbose=0).shape == (2, 8, 8, 1)


def test_a_family_that_forgets_a_player_is_told(make_gan, real):
    gan = make_gan()
    gan.losses = lambda batch: {"discriminator": tf.constant(1.0)}
    with pytest.raises(ValueError, match="return one for each of discriminator, generator"):
        gan.adversarial_step(real)
    gan.losses = lambda batch: {"discriminator": tf.constant(1.0), "generator": tf.constant(1.0)}
    with pytest.raises(ValueError, match="does not depend on its weights"):
        gan.adversarial_step(real)
    with pytest.raises(ValueError, match="'sharpness' is not among the measures of GAN"):
        gan.record(sharpness=1.0)
    with pytest.raises(ValueError, match="metrics: the model lists its own metrics"):
        gan.compile("adam", "adam", metrics=["mae"])


def test_the_widespread_loop_trains_the_wrong_network(real):
    """The trap of lesson 01, so that a Keras that changes this again is noticed."""
    generator, discriminator = tiny_networks()
    discriminator.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    discriminator.trainable = False
    stacked = keras.Sequential([generator, discriminator])
    stacked.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))

    def weights_moved(step):
        before = snapshot(discriminator.layers[0])
        step()
        return any(changed(before, discriminator.layers[0]))

    def own_step():
        discriminator.train_on_batch(real, np.ones((16, 1)))

    def stacked_step():
        stacked.train_on_batch(np.random.default_rng(0).standard_normal((16, 5)), np.ones((16, 1)))

    with pytest.warns(UserWarning, match="trainable"):
        assert not weights_moved(own_step)
    discriminator.trainable = True
    assert weights_moved(stacked_step)


class Recorder(keras.layers.Layer):
    """Passes on what it is given, and remembers it when it is called on values."""

    seen = None

    def call(self, inputs):
        if self.seen is not None:
            self.seen.append([np.array(value) for value in inputs])
        return inputs


def conditional_networks(classes=64):
    """The two of `tiny_networks`, which multiply their input by something learned about the label."""
    latents, images = keras.Input((5,)), keras.Input((8, 8, 1))
    labels = [keras.Input((), dtype="int32") for _ in range(2)]
    networks = []
    for network, inputs, label, size in zip(tiny_networks(), (latents, images), labels, (5, 64), strict=True):
        recorded, label_seen = Recorder(name="recorder")([inputs, label])
        vectors = keras.layers.Embedding(classes, size, embeddings_initializer="ones", name="classes")(label_seen)
        joined = recorded * keras.layers.Reshape(inputs.shape[1:])(vectors)
        networks.append(keras.Model([inputs, label], network(joined)))
    return networks


@pytest.fixture
def make_conditional():
    """Function that makes a compiled conditional GAN, always with the same weights for the same seed."""

    def make(seed=7, **options):
        keras.utils.set_random_seed(seed)
        gan = training.ConditionalGAN(*conditional_networks(), seed=seed, **options)
        gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
        return gan

    return make


def class_vectors(gan):
    return {name: getattr(gan, name).get_layer("classes").get_weights()[0] for name in PLAYERS}


@pytest.mark.parametrize("graph", [False, True])
def test_labels_reach_both_networks(make_conditional, real, graph):
    """Gradients reach the vectors of the classes in the batch, and of no others."""
    gan = make_conditional()
    labels = np.tile([2, 5, 5, 9], 4)
    (tf.function(gan.adversarial_step) if graph else gan.adversarial_step)((real, tf.constant(labels)))
    for name, vectors in class_vectors(gan).items():
        moved = np.flatnonzero(np.any(vectors != 1, axis=1))
        np.testing.assert_array_equal(moved, [2, 5, 9], err_msg=name)


def recorded(gan):
    """What the two networks are given from now on, call by call."""
    calls = {}
    for name in PLAYERS:
        layer = getattr(gan, name).get_layer("recorder")
        layer.seen = []
        calls[name] = layer.seen  # Keras has made a list of its own of it
    return calls


def test_generated_images_have_the_labels_of_the_real_ones(make_conditional, real):
    gan = make_conditional()
    calls, labels = recorded(gan), tf.reverse(tf.range(16), [0])
    gan.adversarial_step((real, labels))
    ((latents, asked_for),) = calls["generator"]
    (images, of_real), (fakes, of_fake) = calls["discriminator"]
    for given in (asked_for, of_real, of_fake):
        np.testing.assert_array_equal(given, labels)
    np.testing.assert_array_equal(images, real)
    assert latents.shape == (16, 5)
    assert fakes.shape == (16, 8, 8, 1)
    assert not np.array_equal(fakes, images)


def test_discriminator_steps_cut_labels_like_images(make_conditional):
    gan = make_conditional(discriminator_steps=4)
    labels = np.random.default_rng(0).permutation(32)
    images = np.broadcast_to(labels[:, None, None, None], (32, 8, 8, 1)).astype("uint8")
    calls = []
    original = gan.adversarial_step
    gan.adversarial_step = lambda part, players: (
        calls.append((data.unscale(part[0]), part[1].numpy(), players)),
        original(part, players),
    )
    gan.train_step((tf.constant(images), tf.constant(labels)))
    for part, of_part, _ in calls:
        np.testing.assert_array_equal(part[:, 0, 0, 0], of_part)
    np.testing.assert_array_equal(np.concatenate([of_part for _, of_part, _ in calls]), labels)
    assert [players for *_, players in calls] == [("discriminator",)] * 3 + [PLAYERS]
    assert [int(gan.optimizers[name].iterations) for name in PLAYERS] == [4, 1]


def test_a_conditional_gan_needs_labels(make_conditional, digits, real):
    gan = make_conditional()
    with pytest.raises(ValueError, match=r"needs labels: give pairs, such as data\.pipeline\(images, labels"):
        gan.adversarial_step(real)
    with pytest.raises(ValueError, match="needs labels"):
        gan.fit(data.pipeline(digits, batch_size=16), verbose=0)


def test_a_network_that_takes_no_label_is_refused():
    plain, conditional = tiny_networks(), conditional_networks()
    for generator, discriminator in ((plain[0], conditional[1]), (conditional[0], plain[1])):
        with pytest.raises(ValueError, match=r"has 1 input\(s\); give it a second one for labels"):
            training.ConditionalGAN(generator, discriminator)


def test_a_conditional_gan_is_called_with_latents_and_labels(make_conditional, real):
    gan = make_conditional(average=0.5)
    gan.adversarial_step((real, tf.range(16)))
    inputs = [gan.draw_latents(6), tf.constant([0, 3, 9, 9, 1, 0])]
    np.testing.assert_array_equal(gan(inputs), gan.averaged_generator(inputs))
    assert not np.array_equal(gan(inputs), gan.generator(inputs))
    assert not np.array_equal(gan(inputs), gan([inputs[0], inputs[1][::-1]]))
    assert class_vectors(gan)["generator"].shape == (64, 5), "the average has a copy of the class vectors, not these"
    assert gan.averaged_generator.get_layer("classes") is not gan.generator.get_layer("classes")


def test_a_conditional_gan_learns_which_class_is_which():
    """Two classes, one bright and one dark: the same latents are drawn bright or dark as the label says."""
    labels = np.arange(256) % 2
    levels = np.broadcast_to(np.array([60, 200], "uint8")[labels][:, None, None, None], (256, 8, 8, 1))
    latents, images, label = keras.Input((5,)), keras.Input((8, 8, 1)), keras.Input((), dtype="int32")
    layers, one_hot = keras.layers, keras.ops.one_hot(label, 2)
    pixels = layers.Dense(64, activation="tanh")(layers.Concatenate()([latents, one_hot]))
    generator = keras.Model([latents, label], layers.Reshape((8, 8, 1))(pixels))
    hidden = layers.Dense(32, activation="leaky_relu")(layers.Concatenate()([layers.Flatten()(images), one_hot]))
    gan = training.ConditionalGAN(generator, keras.Model([images, label], layers.Dense(1)(hidden)), average=0.98)
    gan.compile(*(keras.optimizers.Adam(1e-2, beta_1=0.0) for _ in range(2)))
    gan.fit(data.pipeline(levels, labels, batch_size=32), epochs=60, verbose=0)
    latents = gan.draw_latents(200)
    dark, bright = (gan([latents, tf.fill([200], label)]).numpy().mean() for label in (0, 1))
    assert dark == pytest.approx(60 / 127.5 - 1, abs=0.2)
    assert bright == pytest.approx(200 / 127.5 - 1, abs=0.2)


@pytest.mark.parametrize("graph", [False, True])
def test_the_penalty_adds_its_gradient_where_it_is_due_times_its_interval(make_gan, real, graph):
    plain, penalised = (make_gan(penalty=penalty, dropout=0.0) for penalty in (None, losses.R1(0.7, every=3)))
    for gan in (plain, penalised):
        set_optimizer(gan, "discriminator", keras.optimizers.SGD(0.1))
        set_optimizer(gan, "generator", keras.optimizers.SGD(0.1))
    step = tf.function(penalised.adversarial_step) if graph else penalised.adversarial_step
    for i in range(4):
        for ours, theirs in zip(plain.discriminator.variables, penalised.discriminator.variables, strict=True):
            ours.assign(theirs.value)
        variables = penalised.discriminator.trainable_weights
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(real)
                logits = tf.reduce_sum(penalised.discriminator(real, training=True))
            penalty = 0.35 * tf.reduce_mean(tf.reduce_sum(inner.gradient(logits, real) ** 2, axis=(1, 2, 3)))
        expected = [0.0 if g is None else g.numpy() for g in outer.gradient(penalty, variables)]
        for ours, theirs in zip(plain.discriminator.variables, penalised.discriminator.variables, strict=True):
            theirs.assign(ours.value)
        plain.adversarial_step(real)
        step(real)
        assert any(np.abs(gradient).max() > 1e-4 for gradient in expected)
        for ours, theirs, gradient in zip(plain.discriminator.trainable_weights, variables, expected, strict=True):
            difference = keras.ops.convert_to_numpy(ours.value - theirs.value)
            np.testing.assert_allclose(difference, (i % 3 == 0) * 3 * 0.1 * gradient, rtol=1e-3, atol=1e-5)
    for ours, theirs in zip(plain.generator.get_weights(), penalised.generator.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg="the penalty is the discriminator's")


def test_a_gan_that_is_gone_leaves_no_graph_behind(make_gan, real):
    """TensorFlow's registry of gradients keeps graphs, and with them weights, of whatever Keras sums over replicas."""

    def graphs_after_a_training():
        gan = make_gan(penalty=losses.R1(1.0))
        gan.fit(tf.data.Dataset.from_tensors(real).repeat(), steps_per_epoch=1, verbose=0)
        weights = weakref.ref(gan.generator.weights[0])
        del gan
        gc.collect()
        assert weights() is None
        return sum(isinstance(found, tf.Graph) for found in gc.get_objects())

    assert graphs_after_a_training() == graphs_after_a_training()
