import contextlib
import errno

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganutils import backup, callbacks, data, losses, models, training
from tests.conftest import tiny_networks
from tests.strategies_worker import plain_networks


class Interrupt(keras.callbacks.Callback):
    """Stops a run in the middle of an epoch, as an interrupted kernel does."""

    def __init__(self, epoch, batch=1):
        super().__init__()
        self.at = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


LATENTS = np.random.default_rng(0).standard_normal((4, 5)).astype("float32")


def train(gan, batches, path, epochs=4, extra=(), settings=None, **options):
    curves, samples = callbacks.Curves(every=3), callbacks.Samples(LATENTS)
    used, kept = [curves, samples, *extra], callbacks.Backup(path, settings)
    history = gan.fit(batches, epochs=epochs, verbose=0, callbacks=used, backup=kept, **options)
    return history.history, curves, samples


def pipeline(digits, **options):
    return data.pipeline(digits, **{"batch_size": 8, **options})


def own_dataset(digits):
    """A dataset that the package did not make, shuffled anew at each pass."""
    return tf.data.Dataset.from_tensor_slices(digits).shuffle(64, seed=1).batch(8, drop_remainder=True)


def assert_equal(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make_data", [pipeline, own_dataset, lambda x: own_dataset(x).repeat()])
def test_an_interrupted_run_ends_as_if_it_had_not_been(make_gan, digits, tmp_path, make_data):
    options = {"steps_per_epoch": 8} if int(make_data(digits).cardinality()) < 0 else {}
    whole = make_gan(average=0.9)
    history, curves, samples = train(whole, make_data(digits), tmp_path / "whole", **options)

    with pytest.raises(KeyboardInterrupt):
        train(make_gan(average=0.9), make_data(digits), tmp_path / "part", extra=[Interrupt(epoch=2)], **options)
    assert callbacks.Backup(tmp_path / "part").epoch == 2, "at most the epoch under way may be lost"
    resumed = make_gan(average=0.9)
    resumed.set_weights([weight + 1 for weight in resumed.get_weights()])  # all must come from the backup
    again = train(resumed, make_data(digits), tmp_path / "part", **options)

    assert_equal(whole, resumed)
    assert int(resumed.optimizers["generator"].iterations) == 32
    assert again[0] == history
    for name in ("step", "generator_loss"):
        assert again[1].history[name] == curves.history[name]
    assert again[2].epochs == samples.epochs == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(again[2].images, samples.images)


def test_a_look_at_the_data_does_not_change_a_run_with_a_backup(make_gan, digits, tmp_path):
    one, other = make_gan(), make_gan()
    train(one, pipeline(digits), tmp_path / "one")
    batches = pipeline(digits)
    next(iter(batches))
    train(other, batches, tmp_path / "other")
    assert_equal(one, other)


def test_a_finished_run_is_not_trained_again_and_says_so(make_gan, digits, tmp_path, capsys, monkeypatch):
    """A kernel that dies after training must not have lost it."""
    monkeypatch.setenv("GANUTILS_PROGRESS", "lines")
    gan, again = make_gan(), make_gan()
    history, curves, _ = train(gan, pipeline(digits), tmp_path / "run", epochs=2)
    same_history, same_curves, _ = train(again, pipeline(digits), tmp_path / "run", epochs=2)
    assert same_history == history
    assert same_curves.history == curves.history
    assert_equal(gan, again)
    said = capsys.readouterr().out
    assert "nothing is trained now" in said
    assert str(tmp_path / "run.npz") in said, "which file to delete"
    with pytest.raises(ValueError, match="holds 2 epochs, and 1 are asked for"):
        train(make_gan(), pipeline(digits), tmp_path / "run", epochs=1)


def test_a_finished_run_may_be_continued(make_gan, digits, tmp_path):
    whole, parts = make_gan(), make_gan()
    train(whole, pipeline(digits), tmp_path / "whole")
    batches, kept = pipeline(digits), callbacks.Backup(tmp_path / "part")
    for epochs in (2, 4):  # one object of each, in one session
        parts.fit(batches, epochs=epochs, verbose=0, backup=kept)
    assert_equal(whole, parts)


def test_there_is_no_other_way_to_resume(make_gan, digits, tmp_path):
    kept = callbacks.Backup(tmp_path / "run")
    with pytest.raises(ValueError, match=r"as fit\(\.\.\., backup=backup\)"):
        make_gan().fit(pipeline(digits), verbose=0, callbacks=[kept])
    with pytest.raises(ValueError, match="initial_epoch=1 and a backup"):
        make_gan().fit(pipeline(digits), verbose=0, initial_epoch=1, backup=kept)
    with pytest.raises(ValueError, match="order can be repeated"):
        make_gan().fit(digits, verbose=0, backup=kept)
    with pytest.raises(ValueError, match="length is not known"):
        make_gan().fit(own_dataset(digits).repeat(), verbose=0, backup=kept)


@pytest.mark.parametrize("content", ["junk", "other arrays", "empty"])
def test_a_file_that_is_no_backup_is_named(tmp_path, content):
    path = tmp_path / "run.npz"
    if content == "other arrays":
        np.savez(path, weights=np.zeros(3))
    else:
        path.write_bytes(b"not a zip file" if content == "junk" else b"")
    with pytest.raises(ValueError, match=r"run\.npz is not a backup\. Delete it"):
        callbacks.Backup(tmp_path / "run")


def interrupted(gan, batches, path, settings=None):
    with pytest.raises(KeyboardInterrupt):
        train(gan, batches, path, extra=[Interrupt(epoch=1)], settings=settings)


def test_a_full_disk_keeps_the_last_backup(make_gan, digits, tmp_path, monkeypatch):
    interrupted(make_gan(), pipeline(digits), tmp_path / "run")
    savez = np.savez

    def full_disk(file, **arrays):
        savez(file, epoch=arrays["epoch"])  # some bytes are written before it fails
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        train(make_gan(), pipeline(digits), tmp_path / "run", extra=[Interrupt(epoch=9)])
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"], "nothing half-written may be left"
    assert callbacks.Backup(tmp_path / "run").epoch == 1


def test_a_state_that_is_not_finite_is_never_kept(make_gan, digits, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GANUTILS_PROGRESS", "lines")

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                kernel = self.model.generator.trainable_weights[0]
                kernel.assign(np.nan * kernel)

    gan = make_gan()
    gan.fit(pipeline(digits), epochs=5, verbose=0, callbacks=[Break()], backup=callbacks.Backup(tmp_path / "run"))
    assert int(gan.optimizers["generator"].iterations) == 24, "training stops at once"
    assert callbacks.Backup(tmp_path / "run").epoch == 2
    assert "the backup keeps epoch 2" in capsys.readouterr().out
    healthy = make_gan()
    healthy.fit(pipeline(digits), epochs=3, verbose=0, backup=callbacks.Backup(tmp_path / "run"))
    assert all(np.isfinite(weight).all() for weight in healthy.get_weights())


CHANGES = {
    "data: sha256": lambda make, x: (make(), pipeline(255 - x)),
    "data: batch_size": lambda make, x: (make(), pipeline(x, batch_size=16)),
    "data: seed": lambda make, x: (make(), pipeline(x, seed=1)),
    "data: rows": lambda make, x: (make(), pipeline(x, n=40)),
    "settings: seed": lambda make, x: (make(seed=8), pipeline(x)),
    "settings: average": lambda make, x: (make(average=0.9), pipeline(x)),
    "settings: penalty": lambda make, x: (make(penalty=losses.R1(1.0)), pipeline(x)),
    "settings: discriminator_steps": lambda make, x: (make(discriminator_steps=2), pipeline(x)),
    "settings: loss": lambda make, x: (make(loss="minimax"), pipeline(x)),
    "optimizers: generator: learning_rate": lambda make, x: (make(rate=2e-3), pipeline(x)),
    "networks: discriminator": lambda make, x: (make(dropout=0.3), pipeline(x)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_backup_of_another_run_is_refused(make_gan, digits, tmp_path, change):
    """Else a student who changes a lesson and runs it again gets the old weights, and is not told."""
    interrupted(make_gan(), pipeline(digits), tmp_path / "run")
    gan, batches = CHANGES[change](make_gan, digits)
    with pytest.raises(ValueError, match=f"another run.*{change} was.*run.npz to train from the start"):
        train(gan, batches, tmp_path / "run")


def test_other_settings_and_callbacks_are_refused(make_gan, digits, tmp_path):
    interrupted(make_gan(), pipeline(digits), tmp_path / "run", settings={"lesson": 1})
    with pytest.raises(ValueError, match="settings: lesson was 1 and is 2"):
        train(make_gan(), pipeline(digits), tmp_path / "run", settings={"lesson": 2})
    with pytest.raises(ValueError, match="callbacks was"):
        make_gan().fit(pipeline(digits), epochs=4, verbose=0, backup=callbacks.Backup(tmp_path / "run", {"lesson": 1}))


def test_a_network_of_another_keras_is_not_compared(make_gan, digits, tmp_path, monkeypatch):
    interrupted(make_gan(), pipeline(digits), tmp_path / "run")
    monkeypatch.setattr(keras, "__version__", "3.99.0")
    monkeypatch.setattr(backup, "digest", lambda network: "written otherwise")
    train(make_gan(), pipeline(digits), tmp_path / "run")
    with pytest.raises(ValueError, match="average"):
        train(make_gan(average=0.9), pipeline(digits), tmp_path / "run")


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_changed_optimizer_is_refused(make_gan, digits, tmp_path, precision):
    with precision_of(precision):
        interrupted(make_gan(), pipeline(digits), tmp_path / "run")
        for changes in ({"learning_rate": 5e-3}, {"beta_1": 0.5}, {"clipnorm": 1.0}):
            gan = make_gan()
            gan.compile(keras.optimizers.Adam(**{"learning_rate": 1e-3, **changes}), keras.optimizers.Adam(1e-3))
            with pytest.raises(ValueError, match=next(iter(changes))):
                train(gan, pipeline(digits), tmp_path / "run")


@contextlib.contextmanager
def precision_of(policy):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def test_a_backup_of_another_model_is_refused(make_gan, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "digest", lambda network: "the same")
    interrupted(make_gan(), pipeline(digits), tmp_path / "run")
    other = training.GAN(*plain_networks(), seed=7)
    other.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    with pytest.raises(ValueError, match="another shape"):
        train(other, pipeline(digits), tmp_path / "run")


def changed(interpolation="nearest", groups=2, dilation=1, initializer="zeros", features=True):
    """A discriminator whose parts can be joined and set in other ways, with as many weights each time."""
    layers = keras.layers
    image, label = keras.Input((8, 8, 4)), keras.Input((), dtype="int32")
    x = layers.Conv2D(4, 3, dilation_rate=dilation, padding="same")(image)
    x = layers.GroupNormalization(groups)(layers.UpSampling2D(2, interpolation=interpolation)(x))
    one, other = (layers.Dense(8)(layers.Flatten()(x)) for _ in range(2))
    vector = layers.Embedding(10, 8, embeddings_initializer=initializer)(label)
    joined = layers.Dot(axes=1)([one if features else other, vector])
    return keras.Model([image, label], layers.Dense(1)(one) + layers.Dense(1)(other) + joined)


def test_the_digest_of_a_network_is_the_same_for_the_same_network():
    first = backup.digest(changed())
    keras.layers.Dense(3)  # Keras counts the names of layers on
    keras.utils.set_random_seed(11)
    assert backup.digest(changed()) == first
    for build in (models.vanilla_generator, models.conditional_generator, models.conditional_discriminator):
        assert backup.digest(build()) == backup.digest(build())
    sequential = [tiny_networks()[1] for _ in range(2)]
    assert backup.digest(sequential[0]) == backup.digest(sequential[1])


@pytest.mark.parametrize(
    "change",
    [{"interpolation": "bilinear"}, {"groups": 4}, {"dilation": 2}, {"initializer": "ones"}, {"features": False}],
    ids=str,
)
def test_the_digest_of_a_network_sees_settings_initializers_and_joints(change):
    assert changed().count_params() == changed(**change).count_params()
    assert backup.digest(changed()) != backup.digest(changed(**change))


@pytest.mark.parametrize(
    "change", [{"clipnorm": 1.0}, {"weight_decay": 1e-4}, {"beta_2": 0.9}, {"amsgrad": True}], ids=str
)
def test_the_description_of_an_optimizer_sees_every_setting(change):
    described = [backup.describe_optimizer(keras.optimizers.Adam(1e-3, **changes)) for changes in ({}, {}, change)]
    assert described[0] == described[1] == {"optimizer": "Adam", "learning_rate": 1e-3}
    assert described[2] == {**described[0], **change}
