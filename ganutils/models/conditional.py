"""The conditional networks of lesson 03."""

import math

import keras
import tensorflow as tf
from keras import layers, ops

from ganutils import validation
from ganutils.models.dcgan import fast_dcgan_generator, fast_features, image_features
from ganutils.models.vanilla import IMAGE_SHAPE

LABEL_INPUTS = ("one_hot", "embedding", "projection")


@keras.saving.register_keras_serializable("ganutils")
class Conditional(keras.Model):
    """A network that refuses labels of classes that do not exist; an embedding would use the row of another class.

    It checks labels when it is called with arrays; before a training step, `ConditionalGAN` checks them.
    """

    def __call__(self, inputs, *args, **kwargs):
        if tf.executing_eagerly() and not any(isinstance(part, keras.KerasTensor) for part in inputs):
            self._check(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def predict(self, x, **kwargs):
        """Like `keras.Model.predict`."""
        if not isinstance(x, tf.data.Dataset):
            self._check(x)
        return super().predict(x, **kwargs)

    def _check(self, inputs):
        given, labels = inputs
        validation.check_labels(labels, classes=validation.classes_of(self), rows=len(given), of=self.inputs[0].name)


def conditional_generator(latent_dim=32, classes=10, label_input="one_hot", image_shape=IMAGE_SHAPE):
    """Generator of lesson 03: `fast_dcgan_generator` with a label as second input.

    Args:
        latent_dim: length of a latent vector.
        classes: number of classes.
        label_input: "one_hot" appends the label to the latent as a one-hot vector
            (Mirza and Osindero 2014); "embedding" multiplies the latent by a learned vector for the class;
            anything else raises ValueError.
        image_shape: (height, width, channels) of an image.

    Returns:
        A keras.Model from [latents (n, latent_dim), labels (n,)] to images (n, *image_shape) in [-1, 1].
    """
    latents = keras.Input((validation.whole_number(latent_dim, "latent_dim", 1),), name="latents")
    classes = validation.whole_number(classes, "classes", 1)
    labels = keras.Input((), dtype="int32", name="labels")
    if label_input == "one_hot":
        joined = layers.Concatenate()([latents, ops.one_hot(labels, classes)])
    elif label_input == "embedding":
        joined = latents * layers.Embedding(classes, latent_dim, embeddings_initializer="ones")(labels)
    else:
        raise ValueError(f"label_input={label_input!r} is not allowed; choose one_hot or embedding")
    images = fast_dcgan_generator(joined.shape[-1], image_shape)(joined)
    return Conditional([latents, labels], images, name="conditional_generator")


def conditional_discriminator(classes=10, label_input="projection", image_shape=IMAGE_SHAPE):
    """Discriminator of lesson 03: `fast_dcgan_discriminator` with a label as second input.

    Args:
        classes: number of classes.
        label_input: "one_hot" appends the label to the image as `classes` channels, one of which is 1 everywhere
            (after Mirza and Osindero 2014); "embedding" as one channel, a learned picture for the
            class; "projection" adds to the logit the inner product of the last features
            with a learned vector for the class (Miyato and Koyama 2018, equation 4);
            anything else raises ValueError.
        image_shape: (height, width, channels) of an image.

    Returns:
        A keras.Model from [images (n, *image_shape), labels (n,)] to logits (n, 1).
    """
    options, classes = fast_features(image_shape), validation.whole_number(classes, "classes", 1)
    images = keras.Input(image_shape, name="images")
    labels = keras.Input((), dtype="int32", name="labels")
    maps = None
    if label_input == "one_hot":
        maps = ops.tile(ops.one_hot(labels, classes)[:, None, None, :], (1, *image_shape[:2], 1))
    elif label_input == "embedding":
        maps = layers.Embedding(classes, math.prod(image_shape[:2]))(labels)
        maps = layers.Reshape((*image_shape[:2], 1))(maps)
    elif label_input != "projection":
        raise ValueError(f"label_input={label_input!r} is not allowed; choose one of {', '.join(LABEL_INPUTS)}")
    joined = images if maps is None else layers.Concatenate()([images, maps])
    features = image_features(joined, **options)
    logits = layers.Dense(1, dtype="float32")(features)
    if label_input == "projection":
        class_vectors = layers.Embedding(classes, features.shape[-1], embeddings_initializer="zeros")(labels)
        logits = logits + layers.Dot(axes=1, dtype="float32")([features, class_vectors])
    return Conditional([images, labels], logits, name="conditional_discriminator")
