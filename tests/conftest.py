import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))  # for the lessons' recipes
os.environ["GANUTILS_PROGRESS"] = "silent"
# As in a lesson, which imports ganutils before TensorFlow: other libraries round otherwise.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import matplotlib as mpl
import numpy as np
import pytest

from ganutils import callbacks, data, training

mpl.use("agg")


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(7)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def small_digits():
    """Random uint8 images of a small size, so that networks on them are quick."""
    return np.random.default_rng(7).integers(0, 256, (64, 8, 8, 1), "uint8")


@pytest.fixture
def digits():
    return small_digits()


# What may happen to a file: function from its bytes to those that are found.
DAMAGES = {
    "truncated": lambda content: content[:-1000],
    "corrupted": lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
    "empty": lambda content: b"",
}


class Interrupt(keras.callbacks.Callback):
    """Ends a run in the middle of an epoch, as a killed kernel does."""

    def __init__(self, epoch, batch=1):
        super().__init__()
        self.at = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


def assert_equal(one, other):
    """Assert that two models have the same weights to the last bit."""
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def assert_survives_a_kill(make_gan, digits, folder):
    """Assert that a run of two epochs that is killed in the second one and resumed ends as one that is not killed."""

    def train(name, *extra):
        gan = make_gan()
        backup = callbacks.Backup(folder / name)
        gan.fit(data.pipeline(digits, batch_size=16), epochs=2, verbose=0, callbacks=list(extra), backup=backup)
        return gan

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("part", Interrupt(1))
    assert_equal(whole, train("part"))


def snapshot(network):
    """All state of a network: weights, batch-norm statistics and random state."""
    return [keras.ops.convert_to_numpy(variable.value).copy() for variable in network.variables]


def changed(before, network):
    return [not np.array_equal(old, new) for old, new in zip(before, snapshot(network), strict=True)]


def unchanged_by(gan, call, match):
    """Assert that a call is refused in words before a weight has moved."""
    before = gan.get_weights()
    with pytest.raises(ValueError, match=match):
        call()
    for old, new in zip(before, gan.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def tiny_networks(dropout=0.2):
    """A generator and a discriminator with every kind of layer that carries state: batch norm and dropout."""
    layers = keras.layers
    generator = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(16, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.LeakyReLU(0.2),
            layers.Dense(64, activation="tanh", dtype="float32"),
            layers.Reshape((8, 8, 1), dtype="float32"),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 4, 2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.LeakyReLU(0.2),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(1, dtype="float32"),
        ]
    )
    return generator, discriminator


def tiny_gan(loss="non_saturating", seed=7, rate=1e-3, dropout=0.2, compile_options=None, **options):
    """A compiled GAN of tiny networks, always with the same weights for the same seed."""
    keras.utils.set_random_seed(seed)
    gan = training.GAN(*tiny_networks(dropout), seed=seed, **options)
    gan.compile(keras.optimizers.Adam(rate), keras.optimizers.Adam(rate), loss=loss, **(compile_options or {}))
    return gan


@pytest.fixture
def make_gan():
    return tiny_gan
