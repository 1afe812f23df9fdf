"""What users may hand in by mistake, at every door: a clear error before a weight has moved."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganutils import callbacks, data, plotting, training, validation
from tests.conftest import assert_equal, tiny_networks, unchanged_by
from tests.test_training import conditional_networks

LABELS = np.arange(64) % 10
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
    with pytest.raises(ValueError, match="labels are 3 for 64 latents"):
        getattr(conditional, door)([np.zeros((64, 5), "float32"), np.arange(3)])


@pytest.mark.parametrize("ending", ["sigmoid", "softmax", keras.layers.Activation("sigmoid")])
def test_a_discriminator_that_gives_probabilities_is_refused(ending):
    generator, discriminator = tiny_networks()
    last = keras.layers.Dense(1, ending) if isinstance(ending, str) else ending
    with pytest.raises(ValueError, match="losses take logits"):
        training.GAN(generator, keras.Sequential([discriminator, last]))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (lambda x: x / 255, "map x to 2 x - 1"),
        (lambda x: x.astype("float32"), "data.scale"),
        (lambda x: x * np.nan, "NaN"),
        (lambda x: x // 255, "bytes of 0 and 1 alone"),
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
    assert "Training stops in epoch 3" in said
    assert "The weights are those of the end of epoch 2" in said
    if with_backup:
        assert callbacks.Backup(tmp_path / "run").epoch == 2
