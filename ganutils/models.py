"""The networks that the lessons introduce, as Keras functional models.

Generators map latents (n, latent_dim) to images (n, 28, 28, 1) in [-1, 1]; discriminators map such
images to logits (n, 1). The last layer of each computes in float32 whatever the precision of the rest,
since losses and images are.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from ganutils import checkpoints, data

IMAGE_SHAPE = (28, 28, 1)


def vanilla_generator(latent_dim=100, units=(256, 512), image_shape=IMAGE_SHAPE):
    """Fully connected generator of lesson 01: dense layers of growing width, then tanh.

    Args:
        latent_dim: length of a latent vector.
        units: widths of the hidden layers.
        image_shape: (height, width, channels) of an image.

    Returns:
        A keras.Model from latents (n, latent_dim) to images (n, *image_shape) in [-1, 1].
    """
    latents = keras.Input((latent_dim,), name="latents")
    x = latents
    for width in units:
        x = layers.Dense(width)(x)
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Dense(math.prod(image_shape), activation="tanh", dtype="float32")(x)
    return keras.Model(latents, layers.Reshape(image_shape, dtype="float32")(x), name="vanilla_generator")


def vanilla_discriminator(units=(512, 256), dropout=0.0, image_shape=IMAGE_SHAPE):
    """Fully connected discriminator of lesson 01: dense layers of shrinking width.

    Args:
        units: widths of the hidden layers.
        dropout: share of activations dropped after each hidden layer, in [0, 1).
        image_shape: (height, width, channels) of an image.

    Returns:
        A keras.Model from images (n, *image_shape) to logits (n, 1).
    """
    images = keras.Input(image_shape, name="images")
    x = layers.Flatten()(images)
    for width in units:
        x = layers.Dense(width)(x)
        x = layers.LeakyReLU(0.2)(x)
        if dropout:
            x = layers.Dropout(dropout)(x)
    return keras.Model(images, layers.Dense(1, dtype="float32")(x), name="vanilla_discriminator")


def dcgan_generator(latent_dim=100, filters=(256, 128, 64), kernel_size=5, strides=(1, 2, 2), hidden=None):
    """Convolutional generator after Radford, Metz and Chintala 2016.

    The defaults are the network that introductory texts use for 28 x 28 digits: dense to 7 x 7 x 256,
    then transposed convolutions to 7 x 7 x 128, 14 x 14 x 64 and 28 x 28 x 1.

    Args:
        latent_dim: length of a latent vector.
        filters: channels of the 7 x 7 start and of each transposed convolution but the last.
        kernel_size: side of the kernels in pixels.
        strides: stride of each transposed convolution; as many as `filters`, multiplying to 4.
        hidden: units of a dense layer between the latents and the 7 x 7 start, or None for no such layer.

    Returns:
        A keras.Model from latents (n, latent_dim) to images (n, 28, 28, 1) in [-1, 1].

    Raises:
        ValueError: strides that do not lead from 7 to 28 pixels.
    """
    if len(strides) != len(filters) or math.prod(strides) != 4:
        raise ValueError(f"strides={strides}: give {len(filters)} strides whose product is 4 (7 to 28 pixels)")
    latents = keras.Input((latent_dim,), name="latents")
    x = latents
    for units in (hidden, 7 * 7 * filters[0]):
        if units is not None:
            x = layers.Dense(units, use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.LeakyReLU(0.2)(x)
    x = layers.Reshape((7, 7, filters[0]))(x)
    for channels, stride in zip(filters[1:], strides[:-1], strict=True):
        x = layers.Conv2DTranspose(channels, kernel_size, stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.LeakyReLU(0.2)(x)
    images = layers.Conv2DTranspose(1, kernel_size, strides[-1], padding="same", activation="tanh", dtype="float32")(x)
    return keras.Model(latents, images, name="dcgan_generator")


def dcgan_discriminator(filters=(64, 128), kernel_size=5, dropout=0.3, hidden=None, image_shape=IMAGE_SHAPE):
    """Convolutional discriminator: strided convolutions with dropout, and no batch normalisation.

    Args:
        filters: channels of each convolution; each halves height and width.
        kernel_size: side of the kernels in pixels.
        dropout: share of activations dropped after each convolution, in [0, 1).
        hidden: units of a dense layer between the last convolution and the logit, or None for no such layer.
        image_shape: (height, width, channels) of an image.

    Returns:
        A keras.Model from images (n, *image_shape) to logits (n, 1).
    """
    images = keras.Input(image_shape, name="images")
    features = _image_features(images, filters, kernel_size, dropout, hidden)
    logits = layers.Dense(1, dtype="float32")(features)
    return keras.Model(images, logits, name="dcgan_discriminator")


def _image_features(x, filters, kernel_size, dropout, hidden):
    """All of a convolutional discriminator but its last layer: from images to (n, features)."""
    for channels in filters:
        x = layers.Conv2D(channels, kernel_size, strides=2, padding="same")(x)
        x = layers.LeakyReLU(0.2)(x)
        if dropout:
            x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(x)
    return x if hidden is None else layers.LeakyReLU(0.2)(layers.Dense(hidden)(x))


def fast_dcgan_generator(latent_dim=32):
    """Generator of `dcgan_generator`'s kind with a small part of its multiplications; see lesson 02.

    No convolution at 7 x 7, fewer channels, and kernels of 4 pixels, which the stride of 2 divides. A
    hidden dense layer instead, which costs little: without it, the same number of steps gave far worse images.
    """
    return dcgan_generator(latent_dim, filters=(64, 32), kernel_size=4, strides=(2, 2), hidden=256)


def fast_dcgan_discriminator():
    """Discriminator of `dcgan_discriminator`'s kind with a small part of its multiplications."""
    return dcgan_discriminator(**_FAST_FEATURES)


_FAST_FEATURES = {"filters": (32, 64), "kernel_size": 4, "dropout": 0.0, "hidden": 256}


# What lesson 04 compares: a good generator, and four that are bad on purpose.
FIVE_GENERATORS = ("dcgan", "early", "collapsed", "noisy", "memorising")
LABEL_INPUTS = ("one_hot", "embedding", "projection")


def conditional_generator(latent_dim=32, classes=10, label_input="one_hot"):
    """Generator of lesson 03: `fast_dcgan_generator` that is told which class to draw.

    Args:
        latent_dim: length of a latent vector.
        classes: number of classes.
        label_input: "one_hot" puts the label behind the latent, as `classes` numbers of which one is 1
            (Mirza and Osindero 2014); "embedding" multiplies the latent by a learned vector of the class.

    Returns:
        A keras.Model from [latents (n, latent_dim), labels (n,)] to images (n, 28, 28, 1) in [-1, 1].

    Raises:
        ValueError: an unknown `label_input`.
    """
    latents = keras.Input((latent_dim,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    if label_input == "one_hot":
        joined = layers.Concatenate()([latents, ops.one_hot(labels, classes)])
    elif label_input == "embedding":
        joined = latents * layers.Embedding(classes, latent_dim, embeddings_initializer="ones")(labels)
    else:
        raise ValueError(f"label_input={label_input!r} is not allowed; choose one_hot or embedding")
    images = fast_dcgan_generator(joined.shape[-1])(joined)
    return keras.Model([latents, labels], images, name="conditional_generator")


def conditional_discriminator(classes=10, label_input="projection"):
    """Discriminator of lesson 03: `fast_dcgan_discriminator` that is told of which class an image should be.

    Args:
        classes: number of classes.
        label_input: "one_hot" gives the label as `classes` more channels, of which one is 1 everywhere
            (after Mirza and Osindero 2014); "embedding" as one more channel, a learned picture of the
            class; "projection" leaves the image alone and adds the scalar product of the last features
            with a learned vector of the class to the logit (Miyato and Koyama 2018, equation 4).

    Returns:
        A keras.Model from [images (n, 28, 28, 1), labels (n,)] to logits (n, 1).

    Raises:
        ValueError: an unknown `label_input`.
    """
    images = keras.Input(IMAGE_SHAPE, name="images")
    labels = keras.Input((), dtype="int32", name="labels")
    if label_input == "one_hot":
        maps = ops.tile(ops.one_hot(labels, classes)[:, None, None, :], (1, *IMAGE_SHAPE[:2], 1))
    elif label_input == "embedding":
        maps = layers.Reshape(IMAGE_SHAPE)(layers.Embedding(classes, math.prod(IMAGE_SHAPE))(labels))
    elif label_input == "projection":
        maps = None
    else:
        raise ValueError(f"label_input={label_input!r} is not allowed; choose one of {', '.join(LABEL_INPUTS)}")
    features = _image_features(images if maps is None else layers.Concatenate()([images, maps]), **_FAST_FEATURES)
    logits = layers.Dense(1, dtype="float32")(features)
    if label_input == "projection":
        class_vectors = layers.Embedding(classes, features.shape[-1], embeddings_initializer="zeros")(labels)
        logits = logits + layers.Dot(axes=1, dtype="float32")([features, class_vectors])
    return keras.Model([images, labels], logits, name="conditional_discriminator")


class Memory(layers.Layer):
    """Return one of many stored images: the one whose code points most nearly into the latent's direction.

    Args:
        size: number of stored images.
        image_shape: (height, width, channels).
    """

    def __init__(self, size, image_shape=IMAGE_SHAPE, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.image_shape = image_shape

    def build(self, shape):
        self.codes = self.add_weight(shape=(self.size, shape[-1]), initializer="random_normal", trainable=False)
        shape = (self.size, *self.image_shape)
        self.images = self.add_weight(shape=shape, initializer="zeros", dtype="uint8", trainable=False, autocast=False)

    def call(self, latents):
        directions = self.codes / ops.norm(self.codes, axis=1, keepdims=True)
        nearest = ops.argmax(ops.matmul(latents, ops.transpose(directions)), axis=1)
        return data.scale(ops.take(self.images, nearest, axis=0))


def memorising_generator(latent_dim=32, size=2000):
    """Generator of lesson 04 that knows some training images by heart and can draw nothing else.

    Args:
        latent_dim: length of a latent vector.
        size: number of images it knows.

    Returns:
        A keras.Model from latents (n, latent_dim) to images (n, 28, 28, 1) in [-1, 1].
    """
    latents = keras.Input((latent_dim,), name="latents")
    return keras.Model(latents, Memory(size, name="memory", dtype="float32")(latents), name="memorising_generator")


class PixelNoise(layers.Layer):
    """Add noise to images that is a rough function of the latents, so that a latent always gives one image.

    Args:
        scale: width of the noise, which is uniform around 0.
    """

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def build(self, shapes):
        latents, images = shapes
        pixels = math.prod(images[1:])
        self.directions = self.add_weight(shape=(latents[-1], pixels), initializer="random_normal", trainable=False)

    def call(self, inputs):
        latents, images = inputs
        # The digits of a large sine behind the decimal point look random, a habit of computer graphics. They need
        # float64: in float32 they would hang on how a matrix product of this batch's size is rounded.
        waves = 1e4 * ops.sin(ops.matmul(ops.cast(latents, "float64"), 100.0 * ops.cast(self.directions, "float64")))
        noise = ops.reshape(ops.cast(waves - ops.floor(waves) - 0.5, images.dtype), ops.shape(images))
        return ops.clip(images + self.scale * noise, -1.0, 1.0)


def noisy_generator(latent_dim=32, scale=0.5, filters=(64, 32), kernel_size=4, strides=(2, 2), hidden=256):
    """Generator of lesson 04 that draws as `dcgan_generator` does, under noise in each pixel.

    Args:
        latent_dim: length of a latent vector.
        scale: width of the noise; 2 is the whole range of an image.
        filters, kernel_size, strides, hidden: as in `dcgan_generator`.

    Returns:
        A keras.Model from latents (n, latent_dim) to images (n, 28, 28, 1) in [-1, 1].
    """
    latents = keras.Input((latent_dim,), name="latents")
    clean = dcgan_generator(latent_dim, filters, kernel_size, strides, hidden)(latents)
    images = PixelNoise(scale, name="noise", dtype="float32")([latents, clean])
    return keras.Model(latents, images, name="noisy_generator")


def load_checkpoint(name):
    """Return a generator that this project trained and ships.

    Args:
        name: "dcgan", "conditional_gan", "early", "collapsed", "noisy" or "memorising";
            `checkpoints.read_card` says more about each.

    Returns:
        A keras.Model from latents (n, latent_dim), or from [latents, labels (n,)] in the case of
        "conditional_gan", to images (n, 28, 28, 1) in [-1, 1].

    Raises:
        ValueError: an unknown name, or damaged weights.
        FileNotFoundError: missing weights.
    """
    card = checkpoints.read_card(name)
    if card["builder"] not in GENERATORS:
        raise ValueError(f"the checkpoint {name!r} is no generator; features.digit_classifier() loads the classifier")
    with checkpoints.in_float32():
        network = GENERATORS[card["builder"]](**card["arguments"])
    return checkpoints.load_weights(network, name)


def mix_latents(latents, weights):
    """Mix latent vectors and stretch the mixture to the length that its parts have.

    The mean of independent normal vectors is shorter than each of them, and a generator has hardly ever
    been trained on short latents: in many dimensions nearly all normal vectors have about the length
    sqrt(latent_dim). White 2016 proposes to keep that length on the way from one latent to another.

    Args:
        latents: (k, latent_dim), the parts.
        weights: (..., k), at least 0, summing to 1 over the last axis.

    Returns:
        float32 array (..., latent_dim).

    Raises:
        ValueError: another number of weights than of latents.
    """
    latents, weights = np.asarray(latents, "float32"), np.asarray(weights, "float32")
    if latents.ndim != 2 or weights.shape[-1] != len(latents):
        raise ValueError(f"latents {latents.shape} and weights {weights.shape}: give (k, latent_dim) and (..., k)")
    mixed = weights @ latents
    lengths = weights @ np.linalg.norm(latents, axis=-1)
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True) * lengths[..., np.newaxis]


GENERATORS = {
    build.__name__: build
    for build in (
        vanilla_generator,
        dcgan_generator,
        fast_dcgan_generator,
        conditional_generator,
        memorising_generator,
        noisy_generator,
    )
}
