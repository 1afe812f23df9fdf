"""The shipped weights, their model cards, and the generators that are bad on purpose."""

import contextlib
import hashlib
import json
import math
import platform
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from ganutils import data, folders, models

FOLDER = folders.DATA / "checkpoints"


@contextlib.contextmanager
def in_float32():
    """Build networks in float32, whatever the current dtype policy."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def _card(name):
    """Return the path of a model card, given the name of a shipped checkpoint, or the path of a card or its folder."""
    if not isinstance(name, (str, Path)):
        raise ValueError(f"there is no checkpoint {name!r}; give the name of one, or the path of a model card")
    if Path(name).is_dir():
        return Path(name) / "generator.json"
    return Path(name) if str(name).endswith(".json") else FOLDER / f"{name}.json"


def read_card(name):
    """Return the model card of a checkpoint, a dict with its description, command, builder, seed and metrics.

    Args:
        name: name of a checkpoint in data/checkpoints, or the path of a card that `save_checkpoint` wrote.

    Raises:
        ValueError, FileNotFoundError: an unknown name, a missing card, or a file that is not a card.
    """
    path = _card(name)
    if not path.is_file() and path.parent != FOLDER:
        raise FileNotFoundError(f"{path} is missing; give the .json file that `save_checkpoint` or `train` wrote")
    if not path.is_file():
        known = ", ".join(sorted(card.stem for card in FOLDER.glob("*.json")))
        raise ValueError(f"there is no checkpoint {name!r}, and no folder of that name; choose one of {known}")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        return {**card, "sha256": card["sha256"], "builder": card["builder"], "arguments": dict(card["arguments"])}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is not a model card: {type(error).__name__}, {error}") from None


def load_weights(network, name):
    """Load a checkpoint's weights into a network of the same architecture, and return the network.

    Raises:
        ValueError, FileNotFoundError: an unknown name, or a file that is missing or does not match its card.
    """
    path = _card(name).with_suffix(".weights.h5")
    shipped = f"data/checkpoints/{path.name}" if path.parent == FOLDER else None
    folders.verify(path, read_card(name)["sha256"], shipped)
    network.load_weights(path)
    return network


def load_checkpoint(name):
    """Return a trained generator.

    Args:
        name: one of `FIVE_GENERATORS`, "conditional_gan", "lapgan", "lapgan_faces", or the path of a model card;
            `read_card` describes each.

    Returns:
        A keras.Model from latents (n, latent_dim), or for a conditional generator from [latents, labels (n,)], to
        images in [-1, 1]: digits (n, 28, 28, 1), or faces (n, size, size, 3). Those that draw from coarse to fine give
        a list of images, from small to large.

    Raises:
        ValueError, FileNotFoundError: an unknown name, or damaged or missing weights.
    """
    card = read_card(name)
    build = _BUILDERS.get(card["builder"]) or getattr(models, card["builder"], None)
    if build is None:
        raise ValueError(f"checkpoint {name!r} is not a generator; features.digit_classifier() loads the classifier")
    with in_float32():
        network = build(**card["arguments"])
    return load_weights(network, name)


def save_checkpoint(card, network, *, builder, arguments, command, description, seed, metrics, classes=()):
    """Write a network's model card, NAME.json, and next to it its weights, NAME.weights.h5; return the card's path.

    Args:
        card: path of the card.
        network: keras.Model whose weights are stored.
        builder: name of the function of `ganutils.models` that builds the network.
        arguments: dict of the builder's arguments.
        command: the command that trained it.
        description: one sentence for a reader.
        seed: seed of the training.
        metrics: dict from a metric's name to a dict of its value, tolerance, floor and samples.
        classes: names of the classes of a conditional generator.
    """
    card = Path(card)
    path = card.with_suffix(".weights.h5")
    path.parent.mkdir(parents=True, exist_ok=True)
    network.save_weights(path)
    text = {
        "description": description,
        "command": command,
        "seed": seed,
        "builder": builder,
        "arguments": arguments,
        "parameters": int(sum(math.prod(weight.shape) for weight in network.weights)),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "versions": {
            "Python": platform.python_version(),
            "TensorFlow": tf.__version__,
            "Keras": keras.__version__,
            "NumPy": np.__version__,
        },
        "metrics": metrics,
        **({"classes": list(classes)} if classes else {}),
    }
    card.write_text(json.dumps(text, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return card


class Memory(layers.Layer):
    """Return one of `size` stored images: the one whose code has the largest cosine similarity to the latent."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def build(self, shape):
        self.codes = self.add_weight(shape=(self.size, shape[-1]), initializer="random_normal", trainable=False)
        shape = (self.size, *models.IMAGE_SHAPE)
        self.images = self.add_weight(shape=shape, initializer="zeros", dtype="uint8", trainable=False, autocast=False)

    def call(self, latents):
        directions = self.codes / ops.norm(self.codes, axis=1, keepdims=True)
        nearest = ops.argmax(ops.matmul(latents, ops.transpose(directions)), axis=1)
        return data.scale(ops.take(self.images, nearest, axis=0))


def memorising_generator(latent_dim=32, size=2000):
    """Generator of lesson 04 that returns one of `size` memorised training images.

    A keras.Model from latents (n, latent_dim) to images (n, 28, 28, 1) in [-1, 1].
    """
    latents = keras.Input((latent_dim,), name="latents")
    return keras.Model(latents, Memory(size, name="memory", dtype="float32")(latents), name="memorising_generator")


class PixelNoise(layers.Layer):
    """Add noise, uniform in [-scale/2, scale/2], that depends only on the latent, so that each gives one image."""

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def build(self, shapes):
        latents, images = shapes
        pixels = math.prod(images[1:])
        self.directions = self.add_weight(shape=(latents[-1], pixels), initializer="random_normal", trainable=False)

    def call(self, inputs):
        latents, images = inputs
        # The fractional part of a large sine is a common hash in graphics; in float32 the batch size would change it.
        waves = 1e4 * ops.sin(ops.matmul(ops.cast(latents, "float64"), 100.0 * ops.cast(self.directions, "float64")))
        noise = ops.reshape(ops.cast(waves - ops.floor(waves) - 0.5, images.dtype), ops.shape(images))
        return ops.clip(images + self.scale * noise, -1.0, 1.0)


def noisy_generator(latent_dim=32, scale=0.5):
    """Generator of lesson 04: `fast_dcgan_generator` with uniform noise in [-scale/2, scale/2] added to each pixel."""
    latents = keras.Input((latent_dim,), name="latents")
    clean = models.fast_dcgan_generator(latent_dim)(latents)
    images = PixelNoise(scale, name="noise", dtype="float32")([latents, clean])
    return keras.Model(latents, images, name="noisy_generator")


# What lesson 04 compares: a good generator, and four that are bad on purpose, in the order of their Fréchet distances.
FIVE_GENERATORS = ("dcgan", "memorising", "noisy", "early", "collapsed")
_BUILDERS = {build.__name__: build for build in (memorising_generator, noisy_generator)}
