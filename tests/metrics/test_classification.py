import random
from typing import NamedTuple

import keras
import numpy as np
import pytest

from ganutils import metrics


def test_fidelity_of_known_predictions():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.4, 0.5, 0.1], [0.9, 0.1, 0]])
    found = metrics.conditional_fidelity(probabilities, [0, 1, 0, 0])
    assert found.accuracy == 0.75
    np.testing.assert_allclose(found.per_class, [2 / 3, 1, np.nan])


def test_fidelity_of_a_generator_that_ignores_its_label(rng):
    labels = np.arange(1000) % 10
    ignored = metrics.conditional_fidelity(np.eye(10)[rng.integers(10, size=1000)], labels)
    assert ignored.accuracy == pytest.approx(0.1, abs=3.5 * np.sqrt(0.09 / 1000))
    assert metrics.conditional_fidelity(np.eye(10)[labels], labels).accuracy == 1


@pytest.mark.parametrize(("right", "trials"), [(0, 20), (1, 20), (13, 20), (50, 100), (99, 100), (7, 7), (1, 1)])
@pytest.mark.parametrize(("confidence", "z"), [(0.95, 1.959963984540054), (0.99, 2.5758293035489004)])
def test_share_right_has_the_interval_of_wilson(right, trials, confidence, z):
    """The shares p whose distance to the share found is at most z standard errors, at p itself: a square equation."""
    found = metrics.share_right(right, trials, confidence)
    share = right / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    assert found == pytest.approx((share, centre - half, centre + half), abs=1e-9)
    assert 0 <= found.low <= found.share <= found.high <= 1


def test_share_right_is_as_sure_as_it_says(rng):
    """Of many students who guess, about 95 % have one half in their interval; of 40 trials exactly 96.2 %."""
    known = [metrics.share_right(right, 40) for right in range(41)]
    answers = [known[right] for right in rng.binomial(40, 0.5, 4000)]
    assert np.mean([answer.low <= 0.5 <= answer.high for answer in answers]) == pytest.approx(0.9615, abs=0.011)


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
    assert metrics.gan_train(*good, *real, nearest_mean).accuracy > 0.95
    assert metrics.gan_train(*swapped, *real, nearest_mean).accuracy < 0.05


def test_gan_train_trains_on_generated_and_tests_on_real_images(draw):
    (real, real_labels), (fake, fake_labels) = draw(30), draw(60)
    trained_on = []

    def train(images, labels):
        trained_on.append((len(images), len(labels)))
        return lambda images: np.eye(3)[np.zeros(len(images), int)]

    assert metrics.gan_train(fake, fake_labels, real, np.zeros(30, int), train).accuracy == 1
    found = metrics.gan_train(fake, fake_labels, real, real_labels, train)
    assert trained_on == [(60, 60)] * 2
    assert found.accuracy == pytest.approx(1 / 3)
    np.testing.assert_array_equal(found.per_class, [1, 0, 0])


def small_discriminator():
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])


def test_discriminator_tells_kinds_apart_that_differ_and_no_others(rng):
    real, same = rng.uniform(-1, 1, (2, 2000, 8, 8, 1))
    other = np.clip(same + 0.3, -1, 1)
    options = {"build": small_discriminator, "steps": 150, "learning_rate": 1e-2}
    equal = metrics.discriminator_accuracy(real, same, **options)
    # Half of each set is tested; a discriminator that has learned by heart gains nothing by it.
    assert equal.accuracy == pytest.approx(0.5, abs=3.5 * 0.5 / np.sqrt(2000))
    different = metrics.discriminator_accuracy(real, other, **options)
    assert different.accuracy > 0.9
    assert different.accuracy == pytest.approx((different.real + different.fake) / 2)
    assert metrics.discriminator_accuracy(real, other, **options, seed=1) != different


def test_discriminator_answers_for_each_kind(rng):
    def always_real():
        constant = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer="ones", trainable=False)
        return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1), constant])

    images = rng.integers(0, 256, (40, 8, 8, 1), "uint8")
    assert metrics.discriminator_accuracy(images, images[:9], always_real, steps=1) == (0.5, 1, 0)


def test_discriminator_depends_on_its_seed_alone_and_leaves_the_random_state(rng):
    real, fake = rng.integers(0, 256, (2, 60, 8, 8, 1), "uint8")

    def measure():
        return metrics.discriminator_accuracy(real, fake // 2, small_discriminator, steps=20)

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
    assert metrics.discriminator_accuracy(images, 255 - images, steps=5, batch_size=4).accuracy == 1


def fidelity(p=None, labels=(0, 1)):
    return metrics.conditional_fidelity(np.eye(2) if p is None else p, labels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: fidelity(labels=[0, 2]), "labels hold 2; give whole numbers, from 0 to 1"),
        (lambda i: fidelity(labels=[0]), "labels are 1 for 2 rows of probabilities"),
        (lambda i: fidelity(labels=[0, 0.5]), "labels hold 0.5"),
        (lambda i: fidelity(labels=[0, np.nan]), "labels hold 1 values that are NaN"),
        (lambda i: fidelity(labels=["0", "1"]), "labels are <U1"),
        (lambda i: fidelity(np.array([[2.0, -1], [0, 1]])), "probabilities reach down to -1"),
        (lambda i: fidelity(np.array([[0.5, 0.4], [0, 1]])), "probabilities in row 0 sum to 0.9"),
        (lambda i: metrics.share_right(21, 20), "right=21 is not allowed; choose a whole number, from 0 to 20"),
        (lambda i: metrics.share_right(-1, 20), "right=-1 is not allowed"),
        (lambda i: metrics.share_right(0.65, 20), r"right=0\.65 is not allowed"),
        (lambda i: metrics.share_right(0, 0), "trials=0 is not allowed; choose a whole number, 1 or more"),
        (lambda i: metrics.share_right(1, 2, 95), "confidence=95 is not allowed; choose a number between 0 and 1"),
        (lambda i: metrics.gan_train(i, range(9), i, range(8), None), "fake_labels are 9 for 8 images"),
        (
            lambda i: metrics.gan_train(i, range(8), i * 1.0, range(8), None),
            r"real_images are .* looks like",
        ),
        (
            lambda i: metrics.gan_train(i, range(8), i, range(8), lambda *_: lambda x: np.ones((8, 8))),
            "the predictor's probabilities in row 0 sum to 8",
        ),
        (
            lambda i: metrics.gan_train(i, range(8), i, range(8), lambda *_: lambda x: np.eye(8)[:5]),
            r"probabilities have the shape \(5, 8\) for 8 images",
        ),
        (lambda i: metrics.discriminator_accuracy(i, i[:, :4]), r"real have the shape \(8, 8, 1\) and fake"),
        (lambda i: metrics.discriminator_accuracy(i, i[:3]), "fake are 3 images; give at least 4"),
        (lambda i: metrics.discriminator_accuracy(i, i, steps=0), "steps=0 is not allowed"),
        (lambda i: metrics.discriminator_accuracy(i, i, batch_size=5), "half of batch_size=2.5 is not allowed"),
        (lambda i: metrics.discriminator_accuracy(i / 1.0, i), r"real are floats .* looks like \[0, 255\]"),
        (lambda i: metrics.discriminator_accuracy(i, i / 255), r"fake are floats .* looks like \[0, 1\]"),
    ],
)
def test_bad_input_is_named(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(rng.integers(0, 256, (8, 8, 8, 1), "uint8"))
