import contextlib
import errno
import functools
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganutils import callbacks, data, fingerprint, losses, models, training
from tests.conftest import Interrupt, assert_equal, small_digits, tiny_gan, tiny_networks
from tests.strategies_worker import plain_networks
from tests.test_tools import HUNG, ROOT

LATENTS = np.random.default_rng(0).standard_normal((4, 5)).astype("float32")


def train(gan, batches, path, epochs=4, extra=(), **options):
    curves, samples = callbacks.Curves(every=3), callbacks.Samples(LATENTS)
    used, kept = [curves, samples, *extra], callbacks.Backup(path)
    history = gan.fit(batches, epochs=epochs, verbose=0, callbacks=used, backup=kept, **options)
    return history.history, curves, samples


def pipeline(digits, **options):
    return data.pipeline(digits, **{"batch_size": 8, **options})


def own_dataset(digits):
    """A dataset that the package did not make, shuffled anew at each pass."""
    return tf.data.Dataset.from_tensor_slices(digits).shuffle(64, seed=1).batch(8, drop_remainder=True)


WAYS = {
    "a pass an epoch": (pipeline, {}, 8),
    "less than a pass": (pipeline, {"steps_per_epoch": 5}, 5),
    "more than a pass": (pipeline, {"steps_per_epoch": 11}, 11),
    "an array": (lambda digits: digits, {"batch_size": 8}, 8),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupted_run_ends_as_if_it_had_not_been(make_gan, digits, tmp_path, way):
    make_data, options, steps = WAYS[way]
    whole = make_gan(average=0.9)
    history, curves, samples = train(whole, make_data(digits), tmp_path / "whole", **options)

    batches = make_data(digits)  # one object for both parts, as in a notebook whose cell is executed again
    with pytest.raises(KeyboardInterrupt):
        train(make_gan(average=0.9), batches, tmp_path / "part", extra=[Interrupt(epoch=2)], **options)
    assert callbacks.Backup(tmp_path / "part").epoch == 2, "at most the epoch under way may be lost"
    resumed = make_gan(average=0.9)
    resumed.set_weights([weight + 1 for weight in resumed.get_weights()])  # all must come from the backup
    again = train(resumed, batches, tmp_path / "part", **options)

    assert_equal(whole, resumed)
    assert int(resumed.optimizers["generator"].iterations) == 4 * steps
    assert again[0] == history
    assert resumed.history.epoch == whole.history.epoch == [0, 1, 2, 3]
    for name in ("step", "generator_loss"):
        assert again[1].history[name] == curves.history[name]
    assert again[2].epochs == samples.epochs == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(again[2].images, samples.images)


def test_an_epoch_that_was_stopped_is_not_kept(make_gan, digits, tmp_path, capsys, monkeypatch):
    """It would count as a whole one, and the resumed run would have fewer steps than the other."""
    monkeypatch.setenv("GANUTILS_PROGRESS", "lines")

    class Stop(Interrupt):
        def on_train_batch_end(self, batch, logs=None):
            if (self.epoch, batch) == self.at:
                self.model.stop_training = True

    whole, resumed = make_gan(), make_gan()
    train(whole, pipeline(digits), tmp_path / "whole")
    train(make_gan(), pipeline(digits), tmp_path / "part", extra=[Stop(1, batch=2)])
    assert "Epoch 2 was stopped after 3 of 8 steps; the backup keeps epoch 1" in capsys.readouterr().out
    train(make_gan(), pipeline(digits), tmp_path / "part", extra=[Stop(2, batch=7)])
    assert callbacks.Backup(tmp_path / "part").epoch == 3, "a stop at an epoch's end loses nothing"
    train(resumed, pipeline(digits), tmp_path / "part")
    assert_equal(whole, resumed)


def test_a_first_epoch_that_was_interrupted_begins_again(make_gan, digits, tmp_path):
    """Else a student who stops the first epoch and runs the cell once more trains on from weights that have moved."""
    whole, gan = make_gan(), make_gan()
    train(whole, pipeline(digits), tmp_path / "whole", epochs=2)
    with pytest.raises(KeyboardInterrupt):
        train(gan, pipeline(digits), tmp_path / "run", epochs=2, extra=[Interrupt(epoch=0)])
    train(gan, pipeline(digits), tmp_path / "run", epochs=2)
    assert_equal(whole, gan)


def test_weights_that_have_moved_are_told(make_gan, digits, tmp_path, capsys, monkeypatch):
    """A student who deletes a backup, as it advises, and runs the cell again trains the trained networks on."""
    monkeypatch.setenv("GANUTILS_PROGRESS", "lines")
    gan = make_gan()
    train(gan, pipeline(digits), tmp_path / "run", epochs=1)
    (tmp_path / "run.npz").unlink()
    train(gan, pipeline(digits), tmp_path / "run", epochs=1)
    assert "the model has already taken 8 steps" in capsys.readouterr().out
    broken = make_gan()
    broken.set_weights([weight * np.nan if weight.dtype.kind == "f" else weight for weight in broken.get_weights()])
    with pytest.raises(ValueError, match="NaN or infinite before training"):
        broken.fit(pipeline(digits), verbose=0, backup=callbacks.Backup(tmp_path / "broken"))


def test_all_images_of_a_run_are_of_the_same_latents(make_gan, digits, tmp_path):
    """Also where the cell that draws them was run again, with another state of the seed, before training went on."""
    gan = make_gan()
    with pytest.raises(KeyboardInterrupt):
        train(gan, pipeline(digits), tmp_path / "run", extra=[Interrupt(epoch=1)])
    again = callbacks.Samples(gan.draw_latents(4))
    used = [callbacks.Curves(every=3), again]
    gan.fit(pipeline(digits), epochs=2, verbose=0, callbacks=used, backup=callbacks.Backup(tmp_path / "run"))
    np.testing.assert_array_equal(again.inputs, LATENTS)
    np.testing.assert_array_equal(again.images[-1], data.unscale(gan(LATENTS)))


def test_a_step_is_traced_once_by_each_fit_with_a_backup(digits, tmp_path):
    """What Keras trains is what the backup knows, also after a cell with a helper was changed and run again."""
    traced, factors = [], [1.0]

    def thing():
        traced.append(0)
        return factors[-1] * keras.ops.mean(gan.generator.trainable_weights[0])

    gan = Careless(*tiny_networks(), thing=thing)
    gan.compile("adam", "adam")
    gan.fit(pipeline(digits), verbose=0)
    before = gan.generator.trainable_weights[0].numpy()
    factors.append(1e6)  # Adam's steps then have the sign of this part of the gradient
    gan.fit(pipeline(digits), verbose=0, backup=callbacks.Backup(tmp_path / "run"))
    assert (gan.generator.trainable_weights[0].numpy() < before).all()
    factors.append(2e6)
    with pytest.raises(ValueError, match=r"another run.*what a step computes"):
        gan.fit(pipeline(digits), epochs=2, verbose=0, backup=callbacks.Backup(tmp_path / "run"))
    assert len(traced) == 3, "Keras and the backup take the same function"


def test_a_validation_that_comes_or_goes_is_refused(digits, kept):
    with pytest.raises(ValueError, match=r"another run.*validation was None and is \{"):
        train(from_notebook(NOTEBOOK), pipeline(digits), kept, validation_data=digits)
    with pytest.raises(ValueError, match=r"another run.*validation was None and is _TakeDataset"):
        train(from_notebook(NOTEBOOK), pipeline(digits), kept, validation_data=pipeline(digits).take(2))


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
    with pytest.raises(ValueError, match="holds 2 epochs, but 1 are requested"):
        train(make_gan(), pipeline(digits), tmp_path / "run", epochs=1)


def test_a_finished_run_may_be_continued(make_gan, digits, tmp_path):
    whole, parts = make_gan(), make_gan()
    train(whole, pipeline(digits), tmp_path / "whole")
    batches, kept = pipeline(digits), callbacks.Backup(tmp_path / "part")
    for epochs in (2, 4):  # one object of each, in one session
        parts.fit(batches, epochs=epochs, verbose=0, backup=kept)
    assert_equal(whole, parts)


def test_there_is_no_other_way_to_resume(make_gan, digits, tmp_path):
    kept, gan = callbacks.Backup(tmp_path / "run"), make_gan()
    before = gan.get_weights()
    with pytest.raises(KeyboardInterrupt):
        make_gan().fit(pipeline(digits), verbose=0, callbacks=[Interrupt(0)], backup=kept)
    with pytest.raises(ValueError, match=r"as fit\(\.\.\., backup=backup\)"):
        gan.fit(pipeline(digits), verbose=0, callbacks=[kept])
    for options in ({"backup": kept}, {}):
        with pytest.raises(ValueError, match="initial_epoch alone does not resume a run"):
            gan.fit(pipeline(digits), verbose=0, epochs=2, initial_epoch=1, **options)
    for batches in (own_dataset(digits), own_dataset(digits).repeat(), pipeline(digits).take(3)):
        with pytest.raises(ValueError, match="order can be repeated: give arrays"):
            gan.fit(batches, steps_per_epoch=3, verbose=0, backup=kept)
    with pytest.raises(ValueError, match="cannot save the state of EarlyStopping"):
        gan.fit(pipeline(digits), verbose=0, callbacks=[keras.callbacks.EarlyStopping()], backup=kept)
    for old, new in zip(before, gan.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("content", ["junk", "other arrays", "empty", "two epochs", "torn history", "no dict"])
def test_a_file_that_is_no_backup_is_named(tmp_path, content):
    path = tmp_path / "run.npz"
    whole = {"epoch": 3, "history": "{}", "run": "{}"}
    wrong = {"two epochs": {"epoch": [1, 2]}, "torn history": {"history": '{"loss": [0.'}, "no dict": {"run": "[1]"}}
    if content == "other arrays":
        np.savez(path, weights=np.zeros(3))
    elif content in wrong:
        np.savez(path, **whole | wrong[content])
    else:
        path.write_bytes(b"not a zip file" if content == "junk" else b"")
    with pytest.raises(ValueError, match=r"run\.npz is not a backup\. Delete it"):
        callbacks.Backup(tmp_path / "run")


def interrupted(gan, batches, path):
    with pytest.raises(KeyboardInterrupt):
        train(gan, batches, path, extra=[Interrupt(epoch=1)])


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with the backup of a usual run that was interrupted, for tests that do not go on with it."""
    folder = tmp_path_factory.mktemp("kept")
    interrupted(tiny_gan(), pipeline(small_digits()), folder / "run")
    return folder / "run"


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


def test_of_two_kernels_the_one_behind_overwrites_nothing(make_gan, digits, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GANUTILS_PROGRESS", "")

    class Other(keras.callbacks.Callback):
        """Trains the same run to its end, in the middle of the first epoch of this one."""

        def on_train_batch_end(self, batch, logs=None):
            if batch == 1 and not (tmp_path / "done").exists():
                (tmp_path / "done").touch()
                make_gan().fit(digits, epochs=3, verbose=0, backup=callbacks.Backup(tmp_path / "run"))

    gan, backup = make_gan(), callbacks.Backup(tmp_path / "run")
    gan.fit(digits, epochs=3, verbose=0, callbacks=[Other()], backup=backup)
    assert "Another kernel has already trained this run to epoch 3" in capsys.readouterr().out
    assert backup.epoch == callbacks.Backup(tmp_path / "run").epoch == 3


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
    "global seed": lambda make, x: (make(seed=7), keras.utils.set_random_seed(8), pipeline(x))[::2],
    "settings: discriminator_steps": lambda make, x: (make(discriminator_steps=2), pipeline(x)),
    "settings: loss: generator": lambda make, x: (make(loss="minimax"), pipeline(x)),
    "optimizers: generator: learning_rate": lambda make, x: (make(rate=2e-3), pipeline(x)),
    "networks: discriminator": lambda make, x: (make(dropout=0.3), pipeline(x)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_backup_of_another_run_is_refused(make_gan, digits, kept, change):
    """Else a student who changes a lesson and runs it again gets the old weights, and is not told."""
    gan, batches = CHANGES[change](make_gan, digits)
    with pytest.raises(
        ValueError,
        match=f"another run.*{change} (was|is different).*To train from scratch, delete .*run.npz and build",
    ):
        train(gan, batches, kept)


def test_other_callbacks_are_refused(make_gan, digits, kept):
    again = callbacks.Backup(kept)
    for change, used in {
        "callbacks: 0 Curves was": [],
        "callbacks: 0 Curves: every was 3 and is 4": [callbacks.Curves(4), callbacks.Samples(LATENTS)],
        "callbacks: 1 Samples: epochs was None and is": [callbacks.Curves(3), callbacks.Samples(LATENTS, [1, 2])],
    }.items():
        with pytest.raises(ValueError, match=change):
            make_gan().fit(pipeline(digits), epochs=4, verbose=0, callbacks=used, backup=again)


NOTEBOOK = """
WEIGHT, TARGETS = 2.0, {"bright": (1, 2)}
TABLE = tf.constant([0.5, 0.5])

def brightness(images, scale=3.0):
    return keras.ops.mean(images * scale) * TARGETS["bright"][1]

@tf.function
def doubled(x):
    return 2 * x

class Blur(keras.layers.Layer):
    def call(self, images):
        return 0.5 * images

class Family(training.GAN):
    "A GAN whose generator pays for brightness."
    powers = (1, 2)

    def losses(self, batch):
        "Add to the losses."
        found = super().losses(batch)
        bright = brightness(self.generate(self.draw_latents(4)))
        charge = doubled((lambda x: WEIGHT * x)(bright)) + TABLE[0]
        found["generator"] += charge ** self.powers[1]
        return found

    def validate(self, batch):
        return {"real_accuracy": 0.0}
"""


@pytest.fixture(scope="module")
def notebook_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("notebook") / "run"
    train(from_notebook(NOTEBOOK), pipeline(small_digits()), path, epochs=1)
    return path


def from_notebook(source, activation=lambda x: keras.ops.tanh(x)):
    names = {"keras": keras, "tf": tf, "training": training, "__name__": "__main__"}
    exec(source, names)
    keras.utils.set_random_seed(7)
    generator, _ = tiny_networks()
    judge = [keras.Input((8, 8, 1)), names["Blur"](), keras.layers.Dense(3, activation)]
    discriminator = keras.Sequential([*judge, keras.layers.Flatten(), keras.layers.Dense(1)])
    gan = names["Family"](generator, discriminator)
    gan.compile("adam", "adam")
    return gan


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("WEIGHT, TARGETS = 2.0", "WEIGHT, TARGETS = 3.0"),
        ("(1, 2)}", "(1, 3)}"),
        ("[0.5, 0.5]", "[0.6, 0.5]"),
        ("scale=3.0", "scale=4.0"),
        ("mean(images", "max(images"),
        ("return 2 * x", "return 3 * x"),
        ("powers = (1, 2)", "powers = (1, 4)"),
        ('found["generator"] +=', 'found["generator"] -='),
        ("0.5 * images", "0.6 * images"),
        ("tanh", "sigmoid"),
    ],
)
def test_a_change_of_what_the_familys_code_computes_is_refused(digits, notebook_run, before, after):
    if before == "tanh":
        gan = from_notebook(NOTEBOOK, lambda x: keras.ops.sigmoid(x))
    else:
        assert before in NOTEBOOK
        gan = from_notebook(NOTEBOOK.replace(before, after))
    what = "networks: discriminator" if before == "tanh" else "what a step computes .*"
    with pytest.raises(ValueError, match=f"another run.*{what} (was|is different)"):
        train(gan, pipeline(digits), notebook_run, epochs=1)


def test_a_change_that_computes_the_same_is_none(digits, notebook_run):
    words = {"pays for brightness": "pays", "\n    def losses": "\n    # a comment\n    def losses", "doubled": "twice"}
    changed = NOTEBOOK
    for before, after in (words | {'"real_accuracy": 0.0': '"real_accuracy": 1.0'}).items():
        assert before in changed
        changed = changed.replace(before, after)
    train(from_notebook(changed), pipeline(digits), notebook_run, epochs=1)


def table(value):
    initial = tf.lookup.KeyValueTensorInitializer(tf.constant([0]), tf.constant([value]))
    return tf.lookup.StaticHashTable(initial, 0.0)


class Careless(training.GAN):
    """A GAN whose step depends on what no backup can keep."""

    def __init__(self, *networks, thing=None):
        super().__init__(*networks)
        self.thing = thing

    def losses(self, batch):
        found = super().losses(batch)
        return {**found, "generator": found["generator"] + self.thing()}


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: lambda: tf.reduce_mean(tf.random.normal((4,))), "RandomStandardNormal"),
        (lambda: lambda: tf.cond(tf.constant(True), lambda: tf.random.uniform(()), lambda: 0.0), "RandomUniform"),
        (lambda: lambda: keras.ops.mean(keras.random.normal((4,))), "seed_generator_state"),
        (lambda: functools.partial(tf.identity, tf.Variable(1.0, name="total")), "total"),
        (lambda: functools.partial(tf.random.Generator.from_seed(1).normal, ()), "StateVar"),
        (lambda: lambda: tf.reshape(tf.numpy_function(lambda: np.float32(1), [], tf.float32), ()), "PyFunc"),
        (lambda: functools.partial(table(2.0).lookup, tf.constant(0)), "a table"),
    ],
)
def test_a_state_that_cannot_be_kept_is_refused(digits, tmp_path, make, named):
    gan = Careless(*tiny_networks(), thing=make())
    gan.compile("adam", "adam")
    with pytest.raises(ValueError, match=f"a training step uses .*{named}.*which a backup cannot keep"):
        train(gan, pipeline(digits), tmp_path / "run")


def loop(first, second):
    return lambda: tf.while_loop(lambda a, b: a + b < 9, lambda a, b: (a + first, b + second), (0.0, 0.0))[0]


def printed(text):
    def thing():
        tf.print(text)
        return 1.0

    return thing


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (loop(1.0, 2.0), loop(2.0, 1.0), False),
        (lambda: tf.strings.to_number("1.5"), lambda: tf.strings.to_number("2.5"), False),
        (lambda: 1.0, printed("a loss"), True),
        (loop(1.0, 2.0), loop(1.0, 2.0), True),
    ],
)
def test_steps_are_told_apart_by_what_they_compute(one, other, same):
    found = []
    for thing in (one, other):
        gan = Careless(*tiny_networks(), thing=thing)
        gan.compile("adam", "adam")
        found.append(fingerprint.describe_step(gan, tf.TensorSpec((8, 8, 8, 1), "float32")))
    assert (found[0] == found[1]) == same


def test_a_frozen_network_that_a_step_looks_through_belongs_to_it(digits, tmp_path):
    """As the features of a content loss do: other weights would make it another training."""

    def gan_with(seed):
        gan = Careless(*tiny_networks())
        gan.teacher = teacher(seed)
        keras.utils.set_random_seed(7)
        gan.thing = lambda: keras.ops.mean(gan.teacher(keras.ops.ones((1, 3)), training=False))
        gan.compile("adam", "adam")
        return gan

    train(gan_with(1), pipeline(digits), tmp_path / "run", epochs=1)
    train(gan_with(1), pipeline(digits), tmp_path / "run", epochs=1)
    with pytest.raises(ValueError, match=r"another run.*what a step computes"):
        train(gan_with(2), pipeline(digits), tmp_path / "run", epochs=1)


def teacher(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


class Charge:
    """An object with attributes, one of which leads back to itself."""

    def __init__(self, weight):
        self.parts, self.owner = {"weight": np.float32(weight)}, self


@pytest.mark.parametrize(
    "make",
    [
        Charge,
        lambda k: np.arange(k, k + 5),
        lambda k: tf.range(k, k + 5),
        lambda k: [1, {"a": (k,)}],
        lambda k: keras.losses.Huber(delta=float(k)),
        lambda k: losses.R1(float(k)),
    ],
)
def test_settings_of_every_kind_are_told_apart_in_words_that_repeat(make):
    def described(k):
        gan = Careless(*tiny_networks(), thing=make(k))
        gan.compile("adam", "adam")
        return json.dumps(fingerprint.describe(gan)["settings"]["thing"])

    assert described(1) == described(1) != described(2)
    assert "0x" not in described(1), "a place in memory"


KILLED = """
import os, sys
from tests import test_backup

class Die(test_backup.Interrupt):
    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            os._exit(9)

test_backup.train_process(sys.argv[1], [Die(2)] if sys.argv[2] == "die" else [])
"""


def train_process(path, extra=()):
    keras.utils.set_random_seed(7)
    gan = training.GAN(*tiny_networks(), average=0.9)
    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    train(gan, pipeline(small_digits()), path, extra=extra)
    np.savez(f"{path}-weights.npz", *gan.get_weights())
    return gan


def test_a_process_that_is_killed_is_resumed_by_another_one(tmp_path):
    whole = train_process(tmp_path / "whole")
    for how, code in (("die", 9), ("live", 0)):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "run"), how]
        # Sets and dicts of another process have another order.
        environment = {**os.environ, "PYTHONHASHSEED": str(code)}
        assert subprocess.run(command, cwd=ROOT, env=environment, timeout=HUNG).returncode == code
    with np.load(tmp_path / "run-weights.npz", allow_pickle=False) as arrays:
        for ours, theirs in zip(whole.get_weights(), arrays.values(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_what_another_version_of_the_libraries_writes_is_not_compared(make_gan, digits, tmp_path, monkeypatch):
    for library, what in ((tf, "describe_step"), (keras, "digest")):
        interrupted(make_gan(), pipeline(digits), tmp_path / what)
        monkeypatch.setattr(fingerprint, what, lambda *_: "written otherwise")
        with pytest.raises(ValueError, match=r"was .* and is written otherwise"):
            train(make_gan(), pipeline(digits), tmp_path / what)
        monkeypatch.setattr(library, "__version__", "3.99.0")
        train(make_gan(), pipeline(digits), tmp_path / what)
        with pytest.raises(ValueError, match="average"):
            train(make_gan(average=0.9), pipeline(digits), tmp_path / what)


def test_a_schedule_of_ones_own_goes_on_in_the_same_session(digits, tmp_path):
    class Decay(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 1e-3 / (1.0 + keras.ops.cast(step, "float32"))

    gan = training.GAN(*tiny_networks())
    gan.compile(keras.optimizers.Adam(Decay()), "adam")
    for epochs in (1, 2):
        gan.fit(pipeline(digits), epochs=epochs, verbose=0, backup=callbacks.Backup(tmp_path / "run"))
    assert int(gan.optimizers["generator"].iterations) == 16


def test_a_long_step_can_be_described():
    """Deeper than Python may call itself."""

    def long(x):
        for _ in range(400):
            x = tf.sin(x) + 1.0
        return x

    gan = Careless(*tiny_networks(), thing=lambda: tf.reduce_mean(long(tf.zeros(()))))
    gan.compile("adam", "adam")
    assert len(fingerprint.describe_step(gan, tf.TensorSpec((8, 8, 8, 1), "float32"))) == 12


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
    for what in ("digest", "describe_step"):
        monkeypatch.setattr(fingerprint, what, lambda *_: "the same")
    interrupted(make_gan(), pipeline(digits), tmp_path / "run")
    other = training.GAN(*plain_networks(), seed=7)
    other.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    with pytest.raises(ValueError, match="other shapes"):
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
    first = fingerprint.digest(changed())
    keras.layers.Dense(3)  # Keras counts the names of layers on
    keras.utils.set_random_seed(11)
    assert fingerprint.digest(changed()) == first
    for build in (models.vanilla_generator, models.conditional_generator, models.conditional_discriminator):
        assert fingerprint.digest(build()) == fingerprint.digest(build())
    sequential = [tiny_networks()[1] for _ in range(2)]
    assert fingerprint.digest(sequential[0]) == fingerprint.digest(sequential[1])


@pytest.mark.parametrize(
    "change",
    [{"interpolation": "bilinear"}, {"groups": 4}, {"dilation": 2}, {"initializer": "ones"}, {"features": False}],
    ids=str,
)
def test_the_digest_of_a_network_sees_settings_initializers_and_joints(change):
    assert changed().count_params() == changed(**change).count_params()
    assert fingerprint.digest(changed()) != fingerprint.digest(changed(**change))


@pytest.mark.parametrize(
    "change", [{"clipnorm": 1.0}, {"weight_decay": 1e-4}, {"beta_2": 0.9}, {"amsgrad": True}], ids=str
)
def test_the_description_of_an_optimizer_sees_every_setting(change):
    described = [fingerprint.describe_optimizer(keras.optimizers.Adam(1e-3, **changes)) for changes in ({}, {}, change)]
    assert described[0] == described[1] == {"optimizer": "Adam", "learning_rate": 1e-3}
    assert described[2] == {**described[0], **change}
