"""What users may hand in by mistake, at every door: a clear error before a weight has moved."""

import json
import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganutils import (
    callbacks,
    data,
    evaluation,
    features,
    losses,
    metrics,
    models,
    plotting,
    training,
    validation,
    widgets,
)
from tests.conftest import assert_equal, tiny_networks, unchanged_by
from tests.test_tools import ROOT
from tests.test_training import conditional_networks

LABELS = np.arange(64) % 10
GREY = np.full((4, 8, 8, 1), 99, "uint8")
WRONG_LABELS = {
    "a class too many": (np.arange(64) % 11, "hold 10; give whole numbers, from 0 to 9"),
    "negative": (LABELS - 1, "hold -1; give whole numbers, from 0 to 9"),
    "fractions": (LABELS / 2, "hold 0.5"),
    "NaN": (np.where(LABELS == 3, np.nan, LABELS), "values that are NaN"),
    "a column": (LABELS[:, None], r"labels\[:, 0\] makes them"),
    "one-hot": (np.eye(10)[LABELS], r"labels\.argmax\(axis=1\), if its rows are one-hot"),
    "words": (LABELS.astype(str), r"np\.unique\(words, return_inverse=True\)"),
}


@pytest.fixture
def conditional():
    gan = training.ConditionalGAN(*conditional_networks(classes=10), seed=7)
    gan.compile("adam", "adam")
    return gan


@pytest.mark.parametrize("kind", WRONG_LABELS)
@pytest.mark.parametrize("door", ["arrays", "pipeline", "dataset"])
def test_labels_that_cannot_be_are_refused_before_training(conditional, digits, kind, door):
    labels, message = WRONG_LABELS[kind]
    fit = {
        "arrays": lambda: conditional.fit(digits, labels, verbose=0),
        "pipeline": lambda: conditional.fit(data.pipeline(digits, labels, batch_size=16), verbose=0),
        "dataset": lambda: conditional.fit(tf.data.Dataset.from_tensor_slices((digits, labels)).batch(16), verbose=0),
    }[door]
    unchanged_by(conditional, fit, message)


@pytest.mark.parametrize("kind", WRONG_LABELS)
@pytest.mark.parametrize("door", ["__call__", "predict"])
def test_labels_that_cannot_be_draw_nothing(conditional, kind, door):
    labels, message = WRONG_LABELS[kind]
    with pytest.raises(ValueError, match=message):
        getattr(conditional, door)([np.zeros((64, 5), "float32"), labels])
    with pytest.raises(ValueError, match="labels: 3 for 64 latents"):
        getattr(conditional, door)([np.zeros((64, 5), "float32"), np.arange(3)])


@pytest.mark.parametrize("kind", WRONG_LABELS)
@pytest.mark.parametrize("door", ["__call__", "predict"])
@pytest.mark.parametrize("build", [models.conditional_generator, models.conditional_discriminator])
def test_the_conditional_networks_themselves_refuse_labels_too(build, door, kind):
    labels, message = WRONG_LABELS[kind]
    network = keras.models.clone_model(build())
    given = np.zeros((64, *network.inputs[0].shape[1:]), "float32")
    with pytest.raises(ValueError, match=message):
        getattr(network, door)([given, labels])
    assert getattr(network, door)([given, LABELS]).shape[0] == 64


def test_labels_that_a_gan_would_ignore_are_refused(make_gan, digits):
    for fit in (
        lambda gan: gan.fit(digits, LABELS, verbose=0),
        lambda gan: gan.fit(data.pipeline(digits, LABELS, batch_size=16), verbose=0),
    ):
        gan = make_gan()
        unchanged_by(gan, lambda gan=gan, fit=fit: fit(gan), "would ignore labels")


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (lambda: keras.callbacks.ModelCheckpoint("gan.keras"), r"save_weights_only=True"),
        (lambda: keras.callbacks.BackupAndRestore("folder"), r"fit\(\.\.\., backup="),
        (lambda: keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3), "keras.optimizers.schedules"),
        (lambda: keras.callbacks.ReduceLROnPlateau("generator_loss", mode="min"), "keras.optimizers.schedules"),
        (lambda: keras.callbacks.SwapEMAWeights(), "average=0.99"),
        (lambda: callbacks.Curves, "is not a callback; give instances"),
        (lambda: print, "is not a callback"),
    ],
)
def test_callbacks_for_another_kind_of_model_are_refused(make_gan, digits, callback, message):
    gan = make_gan()
    unchanged_by(gan, lambda: gan.fit(digits, verbose=0, callbacks=[callback()]), message)


def test_callbacks_of_keras_that_fit_do_what_they_do(make_gan, digits, tmp_path):
    gan, given = make_gan(), keras.callbacks
    path = tmp_path / "gan.weights.h5"
    kept = [
        given.ModelCheckpoint(path, save_weights_only=True),
        given.EarlyStopping("generator_loss", mode="min", min_delta=100.0),
        given.CSVLogger(tmp_path / "log.csv"),
        given.TerminateOnNaN(),
    ]
    assert len(gan.fit(digits, epochs=5, verbose=0, callbacks=kept).epoch) == 2, "EarlyStopping has stopped it"
    assert "generator_loss" in (tmp_path / "log.csv").read_text()
    again = make_gan()
    again.load_weights(path)
    for one, other in zip(gan.networks.values(), again.networks.values(), strict=True):
        for weight, same in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, same)


def test_one_cannot_save_or_export_several_players_as_one(make_gan, tmp_path):
    for name in ("save", "export"):
        with pytest.raises(ValueError, match=r"use save_weights"):
            getattr(make_gan(), name)(tmp_path / "gan.keras")


def test_there_must_be_latents_to_draw_from(make_gan):
    with pytest.raises(ValueError, match="n at least 1"):
        make_gan().predict(np.zeros((0, 5), "float32"))


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_keras_json_of_the_users_own_changes_nothing(tmp_path, backend):
    """Weights that the course ships are loaded all the same, and a loss stays finite."""
    settings = {"backend": "jax", "floatx": "float16", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    script = (
        "import ganutils; from ganutils import checkpoints; g = checkpoints.load_checkpoint('dcgan');"
        "print(g.output_shape, g.weights[0].dtype, g.compute_dtype)"
    )
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, cwd=ROOT)
    if backend == "jax":
        assert "Keras runs on jax here, but this course needs TensorFlow" in done.stderr
    else:
        assert "this course uses channels_last and float32" in done.stdout
        assert "(None, 28, 28, 1) float32 float32" in done.stdout


@pytest.mark.parametrize("ending", ["sigmoid", "softmax", keras.layers.Activation("sigmoid")])
def test_a_discriminator_that_gives_probabilities_is_refused(ending):
    generator, discriminator = tiny_networks()
    last = keras.layers.Dense(1, ending) if isinstance(ending, str) else ending
    with pytest.raises(ValueError, match="losses take logits"):
        training.GAN(generator, keras.Sequential([discriminator, last]))


@pytest.mark.parametrize(
    "ending", ["sigmoid", "relu", "exponential", keras.layers.ReLU(), keras.layers.Activation("sigmoid")]
)
def test_a_generator_that_cannot_draw_black_is_refused(ending):
    generator, discriminator = tiny_networks()
    last = keras.layers.Activation(ending) if isinstance(ending, str) else ending
    with pytest.raises(ValueError, match="images range from -1 to 1; use tanh in its last layer"):
        training.GAN(keras.Sequential([generator, last]), discriminator)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (lambda x: x / 255, "to 2 x - 1"),
        (lambda x: x.astype("float32"), "data.scale"),
        (lambda x: x * np.nan, "NaN"),
        (lambda x: x // 255, "uint8 up to 1, nearly black"),
        (lambda x: x[..., [0, 0]], "2 channels"),
        (lambda x: x[:0], "the shape"),
        (lambda x: x[0, 0], "the shape"),
        (lambda x: x.astype(str), "images are"),
    ],
)
def test_pictures_that_would_come_out_wrong_are_not_drawn(digits, images, message):
    digits[0] = 255
    with pytest.raises(ValueError, match=message):
        plotting.image_grid(images(digits))


@pytest.mark.parametrize(
    ("images", "message"), [(np.full((2, 3), np.nan), "NaN"), (np.full((2, 3), 200.0), "like"), (LABELS, "already")]
)
def test_unscale_takes_what_scale_gives(images, message):
    with pytest.raises(ValueError, match=message):
        validation.unscale(images)


class Poison(keras.callbacks.Callback):
    """Puts NaN into the generator at the end of a step."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            kernel = self.model.generator.trainable_weights[0]
            kernel.assign(np.nan * kernel)


@pytest.mark.parametrize("batch", [0, 6])
@pytest.mark.parametrize("with_backup", [False, True])
def test_a_run_that_meets_nan_stops_with_the_last_good_state(make_gan, digits, tmp_path, capsys, batch, with_backup):
    good, gan = make_gan(), make_gan()
    good.fit(digits, batch_size=8, epochs=2, verbose=0)
    backup = callbacks.Backup(tmp_path / "run") if with_backup else None
    samples = callbacks.Samples(np.zeros((4, 5), "float32"))
    gan.fit(digits, batch_size=8, epochs=5, verbose=0, callbacks=[Poison(2, batch), samples], backup=backup)
    assert_equal(good, gan)
    for one, other in zip(good.state(), gan.state(), strict=True):
        np.testing.assert_array_equal(one, other)
    said = capsys.readouterr().out
    assert "Training stopped in epoch 3" in said
    assert "The weights are restored to those after epoch 2" in said
    if with_backup:
        assert callbacks.Backup(tmp_path / "run").epoch == 2


def test_fewer_images_than_features_get_a_warning_with_their_distance(rng):
    real, fake = rng.standard_normal((2, 50, 64))
    with pytest.warns(UserWarning, match="50 images are too few for 64 features"):
        metrics.frechet_distance(real, fake)
    with pytest.warns(UserWarning, match="50 images are too few"):
        metrics.evaluate(real, fake)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.frechet_distance(*rng.standard_normal((2, 65, 64)))


def test_features_with_probabilities_are_not_taken_for_an_array():
    both = features.Features(np.zeros((3, 2), "float32"), np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match=r"give their `\.features`"):
        metrics.frechet_distance(both, both)


def stream(*batches):
    """Return a dataset of unknown length."""
    spec = tf.nest.map_structure(lambda part: tf.TensorSpec((None, *part.shape[1:]), part.dtype), batches[0])
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)


@pytest.mark.parametrize("epochs", [1, 2])
def test_nan_is_met_in_a_run_of_unknown_length_too(make_gan, digits, capsys, epochs):
    gan = make_gan()
    before = [np.copy(variable) for variable in gan.state()]
    gan.fit(stream(*[digits[:16]] * 4), epochs=epochs, verbose=0, callbacks=[Poison(0, 2)])
    assert "Training stopped in epoch 1" in capsys.readouterr().out
    for one, other in zip(before, gan.state(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("compiled", [False, True], ids=["", "XLA"])
@pytest.mark.parametrize("bad", [lambda x: 300 * x, lambda x: np.nan * x], ids=["range", "NaN"])
def test_a_later_batch_of_a_dataset_is_looked_at_too(make_gan, digits, bad, compiled):
    """`fit` looks at the first images beforehand; later ones are known when they come. XLA drops assertions."""
    images, gan = data.as_float(digits), make_gan(compile_options={"jit_compile": compiled})
    batches = [images[:16]] * 8 + [bad(images[:16])]
    unchanged_by(gan, lambda: gan.fit(stream(*batches), verbose=0), "a batch of the dataset holds images with NaN")
    gan.fit(stream(*batches[:8]), verbose=0)


def test_a_later_label_of_a_dataset_is_looked_at_too(conditional, digits):
    images, labels = data.as_float(digits[:16]), LABELS[:16].astype("int32")
    for wrong in (labels + 4, labels - 1):
        batches = [(images, labels)] * 8 + [(images, wrong)]
        unchanged_by(conditional, lambda: conditional.fit(stream(*batches), verbose=0), "whole numbers from 0 to 9")  # noqa: B023
    floats = labels.astype("float32")
    batches = stream(*[(images, floats)] * 8, (images, floats + 0.5))
    unchanged_by(conditional, lambda: conditional.fit(batches, verbose=0), "whole numbers from 0 to 9")
    latents = np.zeros((16, 5), "float32")
    given = tf.data.Dataset.from_tensors(((latents, labels + 4),))
    with pytest.raises(ValueError, match="whole numbers from 0 to 9"):
        conditional.predict(given, verbose=0)


def test_one_draws_as_with_keras(make_gan, conditional):
    latents = np.zeros((6, 5), "float32")
    np.testing.assert_allclose(make_gan().predict(latents, 2), make_gan().predict(latents, verbose=0), atol=1e-6)
    assert conditional.predict([latents.tolist(), [0, 1, 2, 3, 4, 5]], verbose=0).shape[0] == 6
    assert make_gan().predict(tf.constant(latents), verbose=0).shape[0] == 6
    with pytest.raises(ValueError, match="latents hold 5 values that are NaN"):
        make_gan().predict(latents[:1] * np.nan)
    for labels, message in ((1, "give whole numbers"), ([1], "1 for 3 images"), ([1, 2, 10], "from 0 to 9")):
        with pytest.raises(ValueError, match=message):
            conditional.sample(3, labels=labels)


class Halving(keras.callbacks.ReduceLROnPlateau):
    pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"callbacks": [Halving("generator_loss", mode="min")]}, "Halving is for a model with one optimizer"),
        ({"backup": "run"}, "backup='run' is not allowed; give one such as callbacks.Backup"),
        ({"backup": True}, "backup=True is not allowed"),
        ({"sample_weight": np.zeros(64)}, "sample_weight has no meaning"),
        ({"class_weight": {}}, "class_weight has no meaning"),
        ({"batch_size": 2.5}, "batch_size=2.5 is not allowed"),
        ({"backup": callbacks.Backup}, "is not allowed; give one such as callbacks.Backup"),
        ({"callbacks": keras.callbacks.CallbackList([Halving("generator_loss")])}, "Halving is for a model with one"),
    ],
)
def test_arguments_of_fit_that_would_do_nothing_or_harm(make_gan, digits, options, message):
    gan = make_gan()
    unchanged_by(gan, lambda: gan.fit(digits, verbose=0, **options), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discriminator_steps": "a"}, "discriminator_steps='a' is not allowed"),
        ({"discriminator_steps": np.inf}, "discriminator_steps=inf is not allowed"),
        ({"average": "a"}, "average of 'generator' with decay 'a'"),
        ({"penalty": losses.R1}, "give an instance such as losses.R1"),
    ],
)
def test_settings_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        training.GAN(*tiny_networks(), **options)


def test_whole_numbers_may_be_written_as_floats(make_gan, digits):
    gan = make_gan(average=np.float64(0.9), compile_options={"steps_per_execution": 2.0})
    gan.fit(data.pipeline(digits, batch_size=16), epochs=2.0, steps_per_epoch=2.0, verbose=0)
    assert int(gan.optimizers["generator"].iterations) == 4


def test_layers_that_two_players_share_are_refused():
    generator, discriminator = tiny_networks()
    images = keras.Input((8, 8, 1))
    body = keras.layers.Dense(64)
    one = keras.Sequential([generator, keras.layers.Flatten(), body, keras.layers.Reshape((8, 8, 1))])
    other = keras.Model(images, keras.layers.Dense(1)(body(keras.layers.Flatten()(images))))
    with pytest.raises(ValueError, match=r"two players train .*kernel; give each player its own layers"):
        training.GAN(one, other).compile("adam", "adam")
    with pytest.raises(ValueError, match=r"the generator makes images of shape \(1,\)"):
        training.GAN(keras.Sequential([generator, discriminator]), discriminator)
    training.GAN(generator, discriminator).compile("adam", "adam")


@pytest.mark.parametrize("player", [0, 1])
def test_several_outputs_are_refused_in_words(digits, player):
    networks = list(tiny_networks())
    x = networks[player].inputs[0]
    networks[player] = keras.Model(x, [networks[player](x), networks[player](x)])
    gan = training.GAN(*networks)
    gan.compile("adam", "adam")
    unchanged_by(gan, lambda: gan.fit(digits, verbose=0), "has several outputs; give it one, or override")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"loss": losses.AdversarialLoss("no mean", lambda r, f: r - f, lambda f, r: -f)},
            r"has the shape \(.*, 1\); return",
        ),
        ({"penalty": lambda discriminate, real, fake: keras.ops.sum(real**2, axis=(1, 2, 3))}, "return a scalar"),
        (
            {"loss": losses.AdversarialLoss("number", lambda r, f: 1.0, lambda f, r: 1.0)},
            "does not depend on its weights",
        ),
    ],
)
def test_what_is_no_scalar_is_no_loss(make_gan, digits, options, message):
    gan = make_gan(**options)
    unchanged_by(gan, lambda: gan.fit(digits, verbose=0), message)


def test_networks_of_other_classes_or_labels_first_are_refused():
    generator, discriminator = conditional_networks(classes=10)
    with pytest.raises(ValueError, match="the generator has 10 classes, and the discriminator 5"):
        training.ConditionalGAN(generator, conditional_networks(classes=5)[1])
    latents, labels = (keras.Input(of.shape[1:], dtype=of.dtype) for of in generator.inputs)
    turned = keras.Model([labels, latents], generator([latents, labels]))
    with pytest.raises(ValueError, match="takes labels first"):
        training.ConditionalGAN(turned, discriminator)


def test_a_conditional_gan_draws_from_two_arrays(conditional):
    for call in (conditional, conditional.predict):
        with pytest.raises(ValueError, match=r"give \[latents, labels\]"):
            call(np.zeros((2, 5), "float32"))


def test_single_batches_are_looked_at_as_well(make_gan, conditional, digits):
    gan = make_gan()
    for wrong, message in (
        (digits.astype("float32"), "like|is expected"),
        (digits / 255, "hardly any pixel"),
    ):
        unchanged_by(gan, lambda wrong=wrong: gan.train_on_batch(wrong), message)
    unchanged_by(gan, lambda: gan.train_on_batch(digits, sample_weight=np.ones(64)), "sample_weight has no meaning")
    unchanged_by(conditional, lambda: conditional.train_on_batch(digits, LABELS + 1), "hold 10; give whole numbers")
    before = gan.get_weights()
    gan.train_on_batch(digits)
    assert not np.array_equal(before[0], gan.get_weights()[0])


@pytest.mark.parametrize(
    "bad", [lambda x: x / 255, lambda x: x * 1.0, lambda x: x * np.nan], ids=["[0, 1]", "255", "NaN"]
)
def test_a_single_step_looks_at_its_images_too(make_gan, digits, bad):
    gan = make_gan()
    with pytest.raises(ValueError, match="images"):
        gan.adversarial_step(bad(digits[:16]).astype("float32"))
    of_bytes, of_floats = make_gan(), make_gan()
    of_bytes.adversarial_step(digits[:16])
    of_floats.adversarial_step(data.scale(digits[:16]))
    assert_equal(of_bytes, of_floats)


def test_networks_of_other_sizes_or_in_the_wrong_order_are_named():
    generator, discriminator = tiny_networks()
    larger = keras.Sequential([keras.Input((9, 9, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"makes images of shape \(8, 8, 1\), and the discriminator takes \(9, 9, 1\)"):
        training.GAN(generator, larger)
    with pytest.raises(ValueError, match="in the wrong order"):
        training.GAN(discriminator, generator)


def test_images_that_were_scaled_twice_or_are_of_another_type_are_named(make_gan, digits):
    for images in (digits / 255, digits.astype("int64")):
        with pytest.raises(ValueError, match="give uint8 in"):
            data.scale(images)
    with pytest.raises(ValueError, match="nearly black; have they been scaled twice"):
        make_gan().fit((digits / 255 / 127.5 - 1).astype("float32"), verbose=0)


def test_rates_and_times_that_would_spoil_a_run_are_refused(make_gan, digits):
    with pytest.raises(ValueError, match=r"a learning rate of -0\.1 would make its loss larger"):
        make_gan().compile(keras.optimizers.SGD(-0.1), keras.optimizers.SGD(0.1))
    gan = make_gan()
    samples = callbacks.Samples(gan.draw_latents(2), epochs=[1, 5])
    with pytest.raises(ValueError, match=r"epochs=\[1.0, 5.0\] go beyond the run, which ends with epoch 2"):
        gan.fit(data.pipeline(digits, batch_size=8), epochs=2, verbose=0, callbacks=[samples])


def test_a_health_check_looks_at_its_batch(digits):
    with pytest.raises(ValueError, match="batch are float from 0 to 1, but"):
        callbacks.HealthCheck(digits / 255)


def test_a_dataset_that_gives_its_batches_only_once_is_refused(make_gan, digits):
    once = iter([data.as_float(digits[:16])] * 4)
    spec = tf.TensorSpec((16, 8, 8, 1))
    gan = make_gan()
    for dataset in (
        tf.data.Dataset.from_generator(lambda: once, output_signature=spec),
        tf.data.Dataset.from_generator(lambda: iter(()), output_signature=spec),
    ):
        unchanged_by(
            gan, lambda dataset=dataset: gan.fit(dataset, verbose=0), "holds no batch, or can be read only once"
        )
    sizes = tf.data.Dataset.from_generator(
        lambda: (np.zeros((2, size, 8, 1), "float32") - 1 for size in (8, 9)),
        output_signature=tf.TensorSpec((2, None, 8, 1)),
    )
    unchanged_by(gan, lambda: gan.fit(sizes, verbose=0), "differ in size from batch to batch")


@pytest.mark.parametrize("steps", [0, 2.5, -1, "'auto'"])
def test_steps_per_execution_is_a_whole_number(steps):
    steps = steps.strip("'") if isinstance(steps, str) else steps
    with pytest.raises(ValueError, match=f"steps_per_execution={steps!r} is not allowed"):
        training.GAN(*tiny_networks()).compile("adam", "adam", steps_per_execution=steps)


@pytest.mark.parametrize(
    "end",
    [
        lambda x: keras.layers.Reshape((1,))(keras.layers.Activation("sigmoid")(x)),
        lambda x: keras.layers.Activation("linear")(keras.layers.Dense(1, "sigmoid")(x)),
        lambda x: keras.ops.sigmoid(x),
        lambda x: keras.layers.Dense(1, "softplus")(x),
        lambda x: keras.layers.Dense(1, "exponential")(x),
        lambda x: keras.layers.Dense(1, "hard_tanh")(x),
        lambda x: keras.layers.Dense(1, lambda x: tf.sigmoid(x))(x),
        lambda x: keras.ops.cast(keras.ops.log_sigmoid(x), "float32"),
    ],
)
def test_a_bounded_end_of_a_discriminator_is_seen_through_what_changes_nothing(end):
    generator, discriminator = tiny_networks()
    images = keras.Input(discriminator.input_shape[1:])
    network = keras.Model(images, end(discriminator(images)))
    with pytest.raises(ValueError, match="losses take logits"):
        training.GAN(generator, network)
    with pytest.raises(ValueError, match="losses take logits"):
        training.GAN(generator, keras.Sequential([keras.Input(discriminator.input_shape[1:]), network]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plotting.mix_latents(np.array([[1.0, 0], [-1, 0]]), np.array([0.5, 0.5])), "opposites"),
        (lambda: plotting.mix_latents(np.eye(2), np.array([2.0, -1.0])), "each row must sum to 1"),
        (lambda: plotting.class_point(lambda x: x, np.ones((1, 2)), -1, 3, 0.5), "first, second hold -1"),
        (lambda: plotting.class_point(lambda x: x, np.ones((1, 2)), 1, 10, 0.5), "first, second hold 10"),
        (lambda: plotting.class_point(lambda x: x, np.ones((1, 2)), 1, 3, 7), "mix=7 is not allowed"),
        (lambda: plotting.class_shares([-1.0, 2.0]), "are not allowed"),
        (lambda: widgets.class_explorer(lambda x: x, 4, classes=1), "classes=1 is not allowed"),
        (lambda: widgets.blind_test(GREY, np.zeros((4, 4, 4, 3), "uint8")), "give equal ones"),
        (lambda: metrics.frechet_distance(1e200 * np.eye(3), np.eye(3)), "whose square overflows"),
        (lambda: metrics.evaluate(np.eye(3), np.eye(3)), "too few for a report card; give 10"),
        (lambda: metrics.frechet_distance(GREY, GREY, features="digits"), "features='digits' is not allowed"),
        (lambda: metrics.frechet_distance(GREY, GREY, features=lambda x: 3.0), r"features have the shape \(\)"),
        (lambda: features.untrained((7, 8, 1)), "must be at least 8 pixels"),
        (lambda: features.untrained(28), "image_shape=28 is not allowed"),
        (lambda: evaluation.measure(tiny_networks()[0]), "give a training.GAN, and not its generator"),
        (lambda: evaluation.discriminator_accuracy(GREY, GREY, build=None), "build=None is not allowed"),
        (
            lambda: evaluation.discriminator_accuracy(
                GREY, GREY, lambda: keras.Sequential([tiny_networks()[1], keras.layers.Activation("sigmoid")])
            ),
            "the discriminator ends in a sigmoid",
        ),
        (
            lambda: metrics.perceptual_path_length(
                conditional_networks(classes=10)[0], lambda x: x.reshape(len(x), -1), samples=4, labels=[1, 22]
            ),
            "labels hold 22",
        ),
        (lambda: data.unpaired(GREY, np.arange(4), batch_size=2), r"give \(n, height, width, channels\)"),
        (lambda: callbacks.Backup("folder/"), "give the path of a file"),
        (lambda: callbacks.Backup(""), "give the path of a file"),
        (lambda: plotting.optimal_discriminator(0, 0), "generator_deviation=0 is not allowed"),
        (lambda: plotting.optimal_discriminator(np.nan), "generator_mean=nan is not allowed"),
        (lambda: plotting.points({"a": [np.nan]}, "x"), "give finite numbers"),
        (lambda: plotting.points({"a": 3.0}, "x"), "give finite numbers"),
        (lambda: plotting.lines([([1], [1])], "x", "y"), "give a dict from a name"),
        (lambda: plotting.compare_grids(GREY), "give a dict from a name"),
        (lambda: plotting.image_grid(GREY, 2, column_labels="abc"), "3 column_labels for 2"),
        (lambda: plotting.image_grid(GREY, tile_inches=0), "tile_inches=0 is not allowed"),
        (lambda: plotting.class_grid(GREY, np.arange(4), names=10), "give a list with the name of each class"),
        (lambda: plotting.joint_and_conditional([1.0, 2.0], [1], "x"), "give one label a value"),
        (lambda: plotting.sample_animation([], []), "at least one"),
        (lambda: plotting.show(None, "a caption"), "give a Matplotlib figure"),
        (lambda: plotting.show_table({}, "a caption"), "give a dict from a name"),
        (lambda: data.load_folder(".", (8, 8, 3)), "give 2 whole numbers"),
        (lambda: data.load_folder(None, 8), "path=None is not allowed"),
        (lambda: data.load_folder(".", 8, channels=True), "channels=True is not allowed"),
    ],
)
def test_what_has_no_sensible_result_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
