"""Feature extractors for the metrics: the shipped digit classifier, and an untrained network for other images."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from ganutils import checkpoints, data, models, validation

CLASSES, FEATURES = 10, 128
_IMAGES_AT_ONCE = 125


class Features(NamedTuple):
    """A classifier's activations before the last layer, (n, d) float32, and probabilities (n, classes) float64."""

    features: np.ndarray
    probabilities: np.ndarray


def classifier_network(classes=CLASSES):
    """Return a small network from images (n, 28, 28, 1) in [-1, 1] to features (n, 128) and logits (n, classes)."""
    images = keras.Input(models.IMAGE_SHAPE, name="images")
    x = images
    for filters, strides in ((32, 1), (32, 2), (64, 1), (64, 2), (96, 2)):
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    # Leaky, so that no feature is constantly 0, which would make covariances singular.
    features = layers.LeakyReLU(0.2, name="features")(layers.Dense(FEATURES)(x))
    logits = layers.Dense(classes, name="logits")(layers.Dropout(0.3)(features))
    return keras.Model(images, [features, logits], name="digit_classifier")


def untrained(image_shape, seed=0):
    """Return a function from images (n, *image_shape) to features (n, 64) of an untrained network.

    For images unlike those that available networks were trained on; Naeem et al. 2020 use random weights in such
    cases. Numbers are comparable only with the same seed.

    Args:
        image_shape: (height, width, channels), height and width at least 8.
        seed: seed of the weights.
    """
    if min(validation.whole_numbers(image_shape, "image_shape", 3)[:2]) < 8:
        raise ValueError(f"image_shape={image_shape} is not allowed; height and width must be at least 8 pixels")
    seed = validation.whole_number(seed, "seed", 0)
    with checkpoints.in_float32():
        x = images = keras.Input(image_shape)
        for i, filters in enumerate((32, 64, 64)):
            start = keras.initializers.Orthogonal(seed=seed + i)
            x = layers.Conv2D(filters, 4, 2, padding="same", kernel_initializer=start, activation="leaky_relu")(x)
        network = keras.Model(images, layers.GlobalAveragePooling2D()(x))

    def features(pictures):
        return network.predict(data.as_float(pictures), batch_size=_IMAGES_AT_ONCE, verbose=0)

    return features


class Classifier:
    """A trained classifier, called on images; its network maps images in [-1, 1] to (features, logits)."""

    def __init__(self, network):
        self.network = network
        self._run = tf.function(lambda images: network(images, training=False), reduce_retracing=True)

    def __call__(self, images):
        """Return `Features` of images (n, 28, 28, 1), uint8 in [0, 255] or float in [-1, 1].

        Raises:
            ValueError: a different shape, or values out of range.
        """
        images = np.atleast_1d(validation.as_array(images, "images"))
        expected = self.network.input_shape[1:]
        if images.ndim == len(expected) + 1 and images.shape[1:] != expected:
            raise ValueError(f"images have the shape {images.shape[1:]}; this classifier takes {expected}")
        # Converted in batches too: 60,000 images would take four times their memory as floats.
        starts = range(0, len(images) or 1, _IMAGES_AT_ONCE)
        parts = [self._run(data.as_float(images[i : i + _IMAGES_AT_ONCE])) for i in starts]
        features = np.concatenate([part[0] for part in parts])
        logits = np.concatenate([part[1] for part in parts]).astype("float64")
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return Features(features, exponentials / exponentials.sum(axis=1, keepdims=True))


def digit_classifier():
    """Return the shipped `Classifier` of MNIST digits, with 128 features and 10 probabilities.

    Its model card, `checkpoints.read_card("digit_classifier")`, has its accuracy on the 10,000 test images.

    Raises:
        FileNotFoundError, ValueError: missing or damaged weights.
    """
    with checkpoints.in_float32():
        network = classifier_network()
    return Classifier(checkpoints.load_weights(network, "digit_classifier"))
