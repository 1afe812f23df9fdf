"""Measures that ask a classifier: of the intended class, or of real against generated."""

import random
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from scipy import stats

from ganutils import data, models, training
from ganutils.metrics import _checks
from ganutils.metrics.copies import TwoSampleAccuracy

_IMAGES_AT_ONCE = 500


class ClassAccuracy(NamedTuple):
    """Share of samples whose most probable class is their label.

    Attributes:
        accuracy: over all samples.
        per_class: (classes,) over the samples of each label; NaN for a label that no sample has.
    """

    accuracy: float
    per_class: np.ndarray


class ShareRight(NamedTuple):
    """Share of right answers, and the ends of its confidence interval, all in [0, 1]."""

    share: float
    low: float
    high: float


def conditional_fidelity(probabilities, labels):
    """How often a classifier reads the class that a conditional generator was asked for.

    The classifier errs as well: its accuracy on real test images is the ceiling.

    Args:
        probabilities: (n, classes) float, of the generated images, each row summing to 1.
        labels: (n,), whole numbers from 0 to classes - 1, the classes that were asked for.

    Returns:
        `ClassAccuracy`.

    Raises:
        ValueError: bad probabilities, labels out of range or of another number.
    """
    probabilities = _checks.probabilities(probabilities)
    rows, classes = probabilities.shape
    labels = _checks.labels(labels, "labels", classes, rows, "rows of probabilities")
    hits = probabilities.argmax(axis=1) == labels
    counts = np.bincount(labels, minlength=classes)
    per_class = np.full(classes, np.nan)
    np.divide(np.bincount(labels, hits, classes), counts, out=per_class, where=counts > 0)
    return ClassAccuracy(float(hits.mean()), per_class)


def share_right(right, trials, confidence=0.95):
    """Share of right answers, with its confidence interval after Wilson 1927.

    For a person who says of images whether they are real: 0.5 is chance, and a generator that cannot be
    told from the data leaves 0.5 within the interval.

    Args:
        right: number of right answers, from 0 to `trials`.
        trials: number of answers, at least 1.
        confidence: of the interval, above 0 and below 1.

    Returns:
        `ShareRight`.

    Raises:
        ValueError: a number out of range.
    """
    trials = _checks.whole_number(trials, "trials", 1)
    right = _checks.whole_number(right, "right", 0, trials)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} is not allowed; choose a number between 0 and 1")
    interval = stats.binomtest(right, trials).proportion_ci(confidence, method="wilson")
    return ShareRight(right / trials, float(interval.low), float(interval.high))


def gan_train(fake_images, fake_labels, real_images, real_labels, train):
    """Accuracy on real images of a classifier that was trained on generated ones.

    GAN-train of Shmelkov et al. 2018, the classification accuracy score of Ravuri and Vinyals 2019. Low
    where images are unlike real ones, of the wrong class, or too much alike. Compare with a classifier
    that is trained on as many real images.

    Args:
        fake_images: (n, height, width, channels), uint8 in [0, 255] or float in [-1, 1].
        fake_labels: (n,), whole numbers, the classes that were asked for.
        real_images: the same of real images, not seen in training of the generator.
        real_labels: (m,), their classes.
        train: function of images and labels, to a function from images to probabilities (n, classes) or to
            an object with `.probabilities`; such as `features.train_classifier`.

    Returns:
        `ClassAccuracy` on the real images.

    Raises:
        ValueError: another shape or range, labels out of range or of another number, or bad probabilities.
    """
    _check_labelled(fake_images, fake_labels, real_images, real_labels)
    return conditional_fidelity(_checks.predictions(train(fake_images, fake_labels), real_images), real_labels)


def _check_labelled(fake_images, fake_labels, real_images, real_labels):
    for kind, images, labels in (("fake", fake_images, fake_labels), ("real", real_images, real_labels)):
        images = _checks.images(images, f"{kind}_images")
        _checks.labels(labels, f"{kind}_labels", rows=len(images))


def discriminator_accuracy(
    real, fake, build=models.fast_dcgan_discriminator, steps=500, batch_size=64, learning_rate=1e-3, seed=0
):
    """Accuracy of a fresh discriminator on images that it was not trained on.

    The classifier two-sample test of Lopez-Paz and Oquab 2017: half of the real and half of the generated
    images train a discriminator, the others test it. 0.5 is ideal. It finds any difference that a network
    can learn, also those that nobody sees, so well trained generators may still stand near 1. Pass real
    images that the generator has not seen. The global random state stays as it was.

    Args:
        real: images (n, height, width, channels), uint8 in [0, 255] or float in [-1, 1], at least 4.
        fake: images of the same shape, at least 4.
        build: function without arguments, to a keras.Model from images in [-1, 1] to logits (n, 1).
        steps: training steps, each on half real and half generated images.
        batch_size: images in a step, an even number.
        learning_rate: of Adam.
        seed: seed of weights, halves and batches.

    Returns:
        `TwoSampleAccuracy`; its accuracy is the mean over both kinds, so that it is 0.5 for a constant answer.

    Raises:
        ValueError: another shape or range, NaN, too few images, or a number out of range.
    """
    real, fake = _checks.images(real, "real"), _checks.images(fake, "fake")
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"real have the shape {real.shape[1:]} and fake {fake.shape[1:]}; give images of one shape")
    for name, images in (("real", real), ("fake", fake)):
        if len(images) < 4:
            raise ValueError(f"{name} are {len(images)} images; give at least 4, two to train on and two to test on")
    steps = _checks.whole_number(steps, "steps", 1)
    half_batch = _checks.whole_number(batch_size / 2, "half of batch_size", 1)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(images)) for images in (real, fake)]
    halves = [
        (images[o[: len(o) // 2]], images[o[len(o) // 2 :]]) for images, o in zip((real, fake), orders, strict=True)
    ]
    discriminator = _built(build, seed)
    optimizer = training.prepare_optimizer(keras.optimizers.Adam(learning_rate), discriminator)
    targets = tf.concat([tf.ones((half_batch, 1)), tf.zeros((half_batch, 1))], axis=0)

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            logits = tf.cast(discriminator(images, training=True), "float32")
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))
            loss = optimizer.scale_loss(loss)
        variables = discriminator.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    for _ in range(steps):
        batch = [data.as_float(train[rng.integers(len(train), size=half_batch)]) for train, _ in halves]
        step(tf.constant(np.concatenate(batch)))
    of_real, of_fake = (_logits(discriminator, held_out) for _, held_out in halves)
    shares = float(np.mean(of_real > 0)), float(np.mean(of_fake <= 0))
    return TwoSampleAccuracy(sum(shares) / 2, *shares)


def _built(build, seed):
    """Build a network from a seed. Keras draws the seeds of its layers from Python's own generator."""
    state = random.getstate()
    random.seed(seed)
    try:
        return build()
    finally:
        random.setstate(state)


def _logits(discriminator, images):
    starts = range(0, len(images), _IMAGES_AT_ONCE)
    parts = [discriminator(data.as_float(images[i : i + _IMAGES_AT_ONCE]), training=False) for i in starts]
    return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])
