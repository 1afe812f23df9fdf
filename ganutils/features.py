"""What the metrics look at: the bundled digit classifier.

A feature extractor is any callable that takes images and returns features (n, d), or an object with such
features as `.features`.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from ganutils import checkpoints, data, models

CLASSES = 10
FEATURES = 128
_IMAGES_AT_ONCE = 250


class Features(NamedTuple):
    """Activations before the last layer (n, d) float32, and probabilities (n, classes) float64."""

    features: np.ndarray
    probabilities: np.ndarray


def classifier_network(classes=CLASSES):
    """Return a keras.Model from images (n, 28, 28, 1) in [-1, 1] to features (n, 128) and logits (n, classes)."""
    images = keras.Input(models.IMAGE_SHAPE, name="images")
    x = images
    for filters, strides in ((32, 1), (32, 2), (64, 1), (64, 2), (96, 2)):
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    # Leaky, so that no feature dies and all of them count in a covariance.
    features = layers.LeakyReLU(0.2, name="features")(layers.Dense(FEATURES)(x))
    logits = layers.Dense(classes, name="logits")(layers.Dropout(0.3)(features))
    return keras.Model(images, [features, logits], name="digit_classifier")


def train_classifier(
    images, labels, *, epochs=8, batch_size=128, shift=2, angle=10, seed=0, classes=CLASSES, verbose=0
):
    """Train a `Classifier` of digits from its first weights on; each time an image is seen, it is turned and shifted.

    Args:
        images: uint8 in [0, 255] or float in [-1, 1], (n, 28, 28, 1).
        labels: (n,), whole numbers from 0 to classes - 1.
        epochs: passes over the images.
        batch_size: images in a step; all of them where there are fewer.
        shift: largest shift, in pixels.
        angle: largest turn, in degrees.
        seed: seed of weights, order, dropout and shifts. Sets the global random state of Keras.
        classes: number of classes.
        verbose: as in `keras.Model.fit`.

    Raises:
        ValueError: images of another shape or range, labels out of range or of another number.
    """
    keras.utils.set_random_seed(seed)
    images, labels = data.as_float(images), np.asarray(labels)
    if len(images) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(images)} images; give one label an image")
    if not np.isin(labels, np.arange(classes)).all():
        raise ValueError(f"labels hold other values than the whole numbers from 0 to {classes - 1}")
    network = classifier_network(classes)
    shaken = keras.Sequential(
        [
            layers.RandomRotation(angle / 360, fill_mode="constant", fill_value=-1.0, seed=seed),
            layers.RandomTranslation(shift / 28, shift / 28, fill_mode="constant", fill_value=-1.0, seed=seed + 1),
        ]
    )
    batch_size = min(batch_size, len(images))
    steps = len(images) // batch_size
    trained = keras.Model(network.input, network.outputs[1])
    trained.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, epochs * steps), beta_2=0.99),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    batches = (
        tf.data.Dataset.from_tensor_slices((images, labels))
        .shuffle(len(images), seed=seed)
        .batch(batch_size, drop_remainder=True)
        .map(lambda batch, label: (shaken(batch, training=True), label))
        .prefetch(2)
    )
    trained.fit(batches, epochs=epochs, verbose=verbose, shuffle=False)
    return Classifier(network)


class Classifier:
    """A trained classifier: `network`, a keras.Model from images in [-1, 1] to (features, logits), called on images."""

    def __init__(self, network):
        self.network = network
        self._run = tf.function(lambda images: network(images, training=False), reduce_retracing=True)

    def __call__(self, images):
        """Return `Features` of images (n, 28, 28, 1), uint8 in [0, 255] or float in [-1, 1].

        Raises:
            ValueError: another shape, or values out of range.
        """
        images = np.atleast_1d(images)
        expected = self.network.input_shape[1:]
        if images.ndim == len(expected) + 1 and images.shape[1:] != expected:
            raise ValueError(f"images have the shape {images.shape[1:]}; this classifier takes {expected}")
        # A few at a time are converted as well: as floats, 60,000 images would take four times their memory.
        starts = range(0, len(images) or 1, _IMAGES_AT_ONCE)
        parts = [self._run(data.as_float(images[i : i + _IMAGES_AT_ONCE])) for i in starts]
        features = np.concatenate([part[0] for part in parts])
        logits = np.concatenate([part[1] for part in parts]).astype("float64")
        likelihoods = np.exp(logits - logits.max(axis=1, keepdims=True))
        return Features(features, likelihoods / likelihoods.sum(axis=1, keepdims=True))


def digit_classifier():
    """Return the classifier of MNIST digits that the course ships, called on images.

    Its accuracy on the 10,000 test images stands on its card, `checkpoints.read_card("digit_classifier")`.

    Returns:
        A `Classifier`: images (n, 28, 28, 1), uint8 in [0, 255] or float in [-1, 1], to `Features` with
        features (n, 128) and probabilities (n, 10).

    Raises:
        FileNotFoundError, ValueError: weights that are missing or damaged.
    """
    with checkpoints.in_float32():
        network = classifier_network()
    return Classifier(checkpoints.load_weights(network, "digit_classifier"))
