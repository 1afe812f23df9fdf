import random
from typing import NamedTuple

import keras
import numpy as np
import pytest

from ganutils import evaluation


class Answer(NamedTuple):
    probabilities: np.ndarray


def nearest_mean(images, labels):
    """Train a classifier that takes the class whose mean image is nearest."""
    means = np.array([images[labels == label].mean(axis=0) for label in range(3)])

    def predict(images):
        return Answer(np.eye(3)[((images[:, None] - means[None]) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)])

    return predict


@pytest.fixture
def draw(rng):
    patterns = rng.uniform(-0.8, 0.8, (3, 4, 4, 1))

    def draw(n, noise=0.3):
        labels = np.arange(n) % 3
        return np.clip(patterns[labels] + noise * rng.standard_normal((n, 4, 4, 1)), -1, 1), labels

    return draw


def test_gan_train_sees_wrong_classes(draw):
    real, good = draw(300), draw(300)
    swapped = good[0], (good[1] + 1) % 3
    assert evaluation.gan_train(*good, *real, nearest_mean).accuracy > 0.95
    assert evaluation.gan_train(*swapped, *real, nearest_mean).accuracy < 0.05


def test_gan_train_trains_on_generated_and_tests_on_real_images(draw):
    (real, real_labels), (fake, fake_labels) = draw(30), draw(60)
    trained_on = []

    def train(images, labels):
        trained_on.append((len(images), len(labels)))
        return lambda images: np.eye(3)[np.zeros(len(images), int)]

    assert evaluation.gan_train(fake, fake_labels, real, np.zeros(30, int), train).accuracy == 1
    found = evaluation.gan_train(fake, fake_labels, real, real_labels, train)
    assert trained_on == [(60, 60)] * 2
    assert found.accuracy == pytest.approx(1 / 3)
    np.testing.assert_array_equal(found.per_class, [1, 0, 0])


def small_discriminator():
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])


def test_discriminator_tells_kinds_apart_that_differ_and_no_others(rng):
    real, same = rng.uniform(-1, 1, (2, 2000, 8, 8, 1))
    other = np.clip(same + 0.3, -1, 1)
    options = {"build": small_discriminator, "steps": 1500}
    equal = evaluation.discriminator_accuracy(real, same, **options)
    # Half of each set is tested; a discriminator that has learned by heart gains nothing by it.
    assert equal.accuracy == pytest.approx(0.5, abs=3.5 * 0.5 / np.sqrt(2000))
    different = evaluation.discriminator_accuracy(real, other, **options)
    assert different.accuracy > 0.9
    assert different.accuracy == pytest.approx((different.real + different.fake) / 2)
    assert evaluation.discriminator_accuracy(real, other, **options, seed=1) != different


def test_discriminator_answers_for_each_kind(rng):
    def always_real():
        constant = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer="ones", trainable=False)
        return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1), constant])

    images = rng.integers(0, 256, (40, 8, 8, 1), "uint8")
    assert evaluation.discriminator_accuracy(images, images[:9], always_real, steps=1) == (0.5, 1, 0)


def test_discriminator_depends_on_its_seed_alone_and_leaves_the_random_state(rng):
    real, fake = rng.integers(0, 256, (2, 60, 8, 8, 1), "uint8")

    def measure():
        return evaluation.discriminator_accuracy(real, fake // 2, small_discriminator, steps=20)

    keras.utils.set_random_seed(1)
    first = measure()
    drawn = random.random(), float(keras.random.normal(()))
    keras.utils.set_random_seed(1)
    assert drawn == (random.random(), float(keras.random.normal(())))
    keras.utils.set_random_seed(2)
    random.random()
    assert measure() == first


def test_default_discriminator_sees_digits():
    images = np.zeros((8, 28, 28, 1), "uint8")
    assert evaluation.discriminator_accuracy(images, 255 - images, steps=5, batch_size=4).accuracy == 1


def train_on(images, probabilities):
    """Score a classifier that answers with these probabilities whatever it sees."""
    return evaluation.gan_train(images, range(8), images, range(8), lambda *_: lambda images: probabilities)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: evaluation.gan_train(i, range(9), i, range(8), None), "fake_labels: 9 for 8 images"),
        (lambda i: evaluation.gan_train(i, range(8), i * 1.0, range(8), None), "real_images are float"),
        (lambda i: train_on(i, np.ones((8, 8))), "probabilities in row 0 sum to 8"),
        (lambda i: train_on(i, np.eye(8)[:5]), "labels: 8 for 5 rows of probabilities"),
        (lambda i: evaluation.discriminator_accuracy(i, i[:, :4]), r"real have the shape \(8, 8, 1\) and fake"),
        (lambda i: evaluation.discriminator_accuracy(i, i[:3]), "fake are 3 images; give at least 4"),
        (lambda i: evaluation.discriminator_accuracy(i, i, steps=0), "steps=0 is not allowed"),
        (
            lambda i: evaluation.discriminator_accuracy(i, i, batch_size=5),
            "batch_size=5 is not allowed; choose an",
        ),
        (lambda i: evaluation.discriminator_accuracy(i / 1.0, i), "real are float from 0"),
        (lambda i: evaluation.discriminator_accuracy(i, i / 255), "fake are float from 0"),
    ],
)
def test_bad_input_is_named(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(rng.integers(0, 256, (8, 8, 8, 1), "uint8"))
