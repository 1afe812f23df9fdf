"""Evaluation that trains a judge, a classifier on generated images or a fresh discriminator, or draws from a model."""

import random
from collections import namedtuple

import keras
import numpy as np
import tensorflow as tf

from ganutils import data, features, guards, keras_workarounds, metrics, models, validation
from ganutils.metrics.copies import TwoSampleAccuracy

SAMPLES = 2000
_IMAGES_AT_ONCE = 250

Quality = namedtuple("Quality", ["frechet_distance", "coverage"])


def gan_train(fake_images, fake_labels, real_images, real_labels, train):
    """Accuracy on real images of a classifier trained on generated ones, a `metrics.classification.ClassAccuracy`.

    GAN-train of Shmelkov et al. 2018, the classification accuracy score of Ravuri and Vinyals 2019. Low
    where images are unlike real ones, of the wrong class, or too much alike. Compare with a classifier
    that is trained on as many real images.

    Args:
        fake_images: (n, height, width, channels), uint8 in [0, 255] or float in [-1, 1].
        fake_labels: (n,), whole numbers, the classes that were asked for.
        real_images: (m, height, width, channels), not seen in training of the generator.
        real_labels: (m,), their classes.
        train: function of images and labels that returns a function from images to probabilities (n, classes)
            or to an object with `.probabilities`; such as a `features.Classifier`.

    Raises:
        ValueError: another shape or range, labels out of range or of another number, or bad probabilities.
    """
    for kind, images, labels in (("fake", fake_images, fake_labels), ("real", real_images, real_labels)):
        images = data.check_images(images, f"{kind}_images")
        validation.check_labels(labels, f"{kind}_labels", rows=len(images))
    predicted = train(fake_images, fake_labels)(real_images)
    return metrics.conditional_fidelity(getattr(predicted, "probabilities", predicted), real_labels)


def discriminator_accuracy(real, fake, build=models.fast_dcgan_discriminator, steps=500, batch_size=64, seed=0):
    """Accuracy of a fresh discriminator on images that it was not trained on, a `metrics.copies.TwoSampleAccuracy`.

    The classifier two-sample test of Lopez-Paz and Oquab 2017: half of the real and half of the generated
    images train a discriminator, the others test it. 0.5 is ideal, and what a constant answer gets. It finds any
    difference that a network can learn, also those that nobody sees, so well trained generators may still be
    near 1. Pass real images that the generator has not seen. The global random state is left unchanged.

    Args:
        real: images (n, height, width, channels), uint8 in [0, 255] or float in [-1, 1], at least 4.
        fake: images of the same shape, at least 4.
        build: function without arguments that returns a keras.Model from images in [-1, 1] to logits (n, 1).
        steps: training steps, each on half real and half generated images.
        batch_size: images in a step, an even number.
        seed: seed of weights, halves and batches.

    Raises:
        ValueError: another shape or range, NaN, too few images, or a number out of range.
    """
    real, fake = data.check_images(real, "real"), data.check_images(fake, "fake")
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"real have the shape {real.shape[1:]} and fake {fake.shape[1:]}; give images of one shape")
    for name, images in (("real", real), ("fake", fake)):
        if len(images) < 4:
            raise ValueError(f"{name} are {len(images)} images; give at least 4, two to train on and two to test on")
    steps = validation.whole_number(steps, "steps", 1)
    half_batch = validation.whole_number(batch_size, "batch_size", 2) // 2
    if batch_size % 2:
        raise ValueError(f"batch_size={batch_size} is not allowed; choose an even number, half of it for each kind")
    rng = validation.generator(seed)
    if not callable(build) or isinstance(build, keras.Model):
        raise ValueError(f"build={build!r} is not allowed; give a function that returns a new keras.Model")
    halves = []
    for images in (real, fake):
        order, middle = rng.permutation(len(images)), len(images) // 2
        halves.append((images[order[:middle]], images[order[middle:]]))
    state = random.getstate()
    random.seed(seed)  # Keras draws the seeds of its layers from Python's own generator
    try:
        discriminator = build()
    finally:
        random.setstate(state)
    guards.check_discriminator(discriminator)
    optimizer = keras_workarounds.prepare_optimizer(keras.optimizers.Adam(1e-3), discriminator)
    targets = tf.concat([tf.ones((half_batch, 1)), tf.zeros((half_batch, 1))], axis=0)

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            logits = tf.cast(discriminator(images, training=True), "float32")
            loss = optimizer.scale_loss(tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)))
        variables = discriminator.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    for _ in range(steps):
        batch = [data.as_float(train[rng.integers(len(train), size=half_batch)]) for train, _ in halves]
        step(tf.constant(np.concatenate(batch)))
    real_logits, fake_logits = (
        discriminator.predict(data.as_float(held_out), batch_size=_IMAGES_AT_ONCE, verbose=0) for _, held_out in halves
    )
    shares = float(np.mean(real_logits > 0)), float(np.mean(fake_logits <= 0))
    return TwoSampleAccuracy(sum(shares) / 2, *shares)


def measure(gan, classifier=None, samples=SAMPLES):
    """Return FID (digits) and coverage of a GAN, as `Quality`; both are NaN where its images are not finite.

    As in the reference runs, its images are compared with test images chosen at random. Those and the latents are
    always the same, so that two moments of a run differ by its training alone. A conditional GAN is asked for the
    digits of those test images.

    Args:
        gan: a `training.GAN` of digits (n, 28, 28, 1), whose averaged generator is used where there is one.
        classifier: what `features.digit_classifier` returns; None loads it.
        samples: number of generated and of real images, 2 to 5,000. Both figures depend on it.
    """
    if not hasattr(gan, "latent_dim"):
        raise ValueError(f"gan is a {type(gan).__name__}; give a training.GAN, and not its generator alone")
    classifier = classifier or features.digit_classifier()
    images, labels, _ = _real_images(samples)
    latents = np.random.default_rng(1).standard_normal((samples, gan.latent_dim)).astype("float32")
    parts = [slice(i, i + _IMAGES_AT_ONCE) for i in range(0, samples, _IMAGES_AT_ONCE)]
    conditional = len(gan.generator.inputs) == 2
    drawn = [gan([latents[part], labels[part]] if conditional else latents[part]) for part in parts]
    drawn = np.concatenate([np.asarray(part) for part in drawn])
    return _quality(classifier, images, drawn) if np.isfinite(drawn).all() else Quality(np.nan, np.nan)


def floor(classifier=None, samples=SAMPLES):
    """Return the `Quality` of other real images in the place of generated ones; arguments as in `measure`."""
    images, _, others = _real_images(samples)
    return _quality(classifier or features.digit_classifier(), images, others)


def _real_images(samples):
    """Return test images, their labels, and as many others; the order in the data set is not random."""
    images, labels = data.load_dataset(split="test")
    samples = validation.whole_number(samples, "samples", 2, len(images) // 2)
    chosen, others = np.random.default_rng(0).permutation(len(images))[: 2 * samples].reshape(2, samples)
    return images[chosen], labels[chosen], images[others]


def _quality(classifier, *images):
    real, fake = (classifier(each).features for each in images)
    return Quality(metrics.frechet_distance(real, fake), metrics.density_coverage(real, fake).coverage)
