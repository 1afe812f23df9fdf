"""Feature extractors for the metrics: the shipped readers of digits and of faces, and an untrained network."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from ganutils import checkpoints, data, faces, metrics, models, validation

CLASSES, FEATURES = 10, 128
_IMAGES_AT_ONCE = 125
_DIGITS = ((32, 1), (32, 2), (64, 1), (64, 2), (96, 2))  # channels and strides of the convolutions
_FACES = {32: _DIGITS, 64: ((32, 2), *_DIGITS[1:])}
READABLE = 0.99  # of the test faces at least, so that an attribute counts as one that can be read


class Features(NamedTuple):
    """A classifier's activations before the last layer, (n, d) float32, and probabilities (n, classes) float64.

    Of a reader of faces, the probabilities are a dict from each attribute's name to (n, values).
    """

    features: np.ndarray
    probabilities: np.ndarray | dict


def classifier_network(classes=CLASSES):
    """Return a small network from images (n, 28, 28, 1) in [-1, 1] to features (n, 128) and logits (n, classes)."""
    return _network("digit_classifier", models.IMAGE_SHAPE, _DIGITS, classes)


def reader_network(size=32):
    """Return a network from faces (n, size, size, 3) to features (n, 128) and the logits of all attributes (n, 55)."""
    if size not in _FACES:
        raise ValueError(f"size={size!r} is not allowed; faces are read at {' or '.join(map(str, _FACES))} pixels")
    return _network(f"face_reader_{size}", (size, size, 3), _FACES[size], sum(map(len, faces.VALUES.values())))


def _network(name, image_shape, convolutions, outputs):
    x = images = keras.Input(image_shape, name="images")
    for filters, strides in convolutions:
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    # Leaky, so that no feature is constantly 0, which would make covariances singular.
    features = layers.LeakyReLU(0.2, name="features")(layers.Dense(FEATURES)(x))
    logits = layers.Dense(outputs, name="logits")(layers.Dropout(0.3)(features))
    return keras.Model(images, [features, logits], name=name)


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
        """Return `Features` of images (n, height, width, channels), uint8 in [0, 255] or float in [-1, 1].

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
        return Features(features, self.probabilities(logits))

    def probabilities(self, logits):
        """Return what belongs into `Features`, of logits (n, outputs)."""
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)


class FaceReader(Classifier):
    """A trained reader of composed faces; `readable` are the attributes to count on, by default all."""

    def __init__(self, network, readable=faces.ATTRIBUTES):
        super().__init__(network)
        self.readable = tuple(readable)

    def probabilities(self, logits):
        """Return a dict from each attribute's name to probabilities (n, values)."""
        ends = np.cumsum(list(map(len, faces.VALUES.values())))[:-1]
        parts = zip(faces.ATTRIBUTES, np.split(logits, ends, axis=1), strict=True)
        return {attribute: super(FaceReader, self).probabilities(part) for attribute, part in parts}

    def fidelity(self, read, training=None):
        """Return `metrics.attribute_fidelity` of `Features` that this reader found, in the readable attributes alone.

        Args:
            read: what calling the reader on faces has returned.
            training: dict from attributes, the readable ones at least, to their values (m,) in training faces, or None.
        """
        if training is not None:
            training = {name: values for name, values in training.items() if name in self.readable}
        return metrics.attribute_fidelity({name: read.probabilities[name] for name in self.readable}, training)


def digit_classifier():
    """Return the shipped `Classifier` of MNIST digits, with 128 features and 10 probabilities.

    Its model card, `checkpoints.read_card("digit_classifier")`, has its accuracy on the 10,000 test images.

    Raises:
        FileNotFoundError, ValueError: missing or damaged weights.
    """
    with checkpoints.in_float32():
        network = classifier_network()
    return Classifier(checkpoints.load_weights(network, "digit_classifier"))


def face_reader(size=32):
    """Return the shipped `FaceReader` of composed faces of 32 or 64 pixels, with 128 features.

    Its model card, `checkpoints.read_card("face_reader_32")`, has its accuracy in each attribute on 5,000 test faces.
    Those of 99% or more are its `readable` ones.

    Raises:
        ValueError, FileNotFoundError: another size, or missing or damaged weights.
    """
    with checkpoints.in_float32():
        network = reader_network(size)
    accuracies = {name: row["value"] for name, row in checkpoints.read_card(network.name)["metrics"].items()}
    readable = [name for name in faces.ATTRIBUTES if accuracies[name] >= READABLE]
    return FaceReader(checkpoints.load_weights(network, network.name), readable)
