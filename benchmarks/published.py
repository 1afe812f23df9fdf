"""Published recipes for 28 x 28 digits: their networks, losses, batch sizes, rates and latents.

    recipe = published.Recipe("tensorflow_tutorial", images)     one of RECIPES; uint8 images (n, 28, 28, 1)
    recipe = published.TorchRecipe(images, python)               PyTorch-GAN's DCGAN, in another interpreter
    recipe.build(seed=0)                                         takes the first step as well
    steps = recipe.train(seconds)
    samples = recipe.generate(1000)                              uint8 (1000, 28, 28, 1)

Facts were taken from the sources on 2026-11-22 and reimplemented. "Repaired" are recipes whose discriminator would
otherwise not train under Keras 3: see `peers.PredictTrainOnBatch`.
"""

import peers  # isort: skip  (before Keras, to keep TensorFlow quiet)

import functools
import math
import tempfile
import time
from pathlib import Path

import common
import keras
import numpy as np
from keras import layers


def _network(inputs, *stack):
    return keras.Sequential([keras.Input(inputs), *stack])


def _adam(generator_rate, discriminator_rate, **options):
    return (keras.optimizers.Adam(generator_rate, **options), keras.optimizers.Adam(discriminator_rate, **options))


def tutorial_networks():
    """TensorFlow's DCGAN tutorial, tensorflow.org/tutorials/generative/dcgan (github.com/tensorflow/docs).

    The familiar networks, but with Keras' default slope (0.3) and momentum (0.99), and no bias at the end.
    """
    options = {"padding": "same", "use_bias": False}
    generator = _network(
        (100,),
        layers.Dense(7 * 7 * 256, use_bias=False),
        *(layers.BatchNormalization(), layers.LeakyReLU(), layers.Reshape((7, 7, 256))),
        *(layers.Conv2DTranspose(128, 5, 1, **options), layers.BatchNormalization(), layers.LeakyReLU()),
        *(layers.Conv2DTranspose(64, 5, 2, **options), layers.BatchNormalization(), layers.LeakyReLU()),
        layers.Conv2DTranspose(1, 5, 2, activation="tanh", **options),
    )
    discriminator = _network(
        (28, 28, 1),
        *(layers.Conv2D(64, 5, 2, padding="same"), layers.LeakyReLU(), layers.Dropout(0.3)),
        *(layers.Conv2D(128, 5, 2, padding="same"), layers.LeakyReLU(), layers.Dropout(0.3)),
        *(layers.Flatten(), layers.Dense(1)),
    )
    return generator, discriminator


def keras_example_networks():
    """Keras' guide keras.io/guides/custom_train_step_in_tensorflow, which trains on MNIST.

    They are also those of keras.io/examples/generative/dcgan_overriding_train_step in its first form, of 2020,
    and (with labels) of conditional_gan; today that example trains on faces of 64 x 64 pixels.
    """
    generator = _network(
        (128,),
        *(layers.Dense(7 * 7 * 128), layers.LeakyReLU(0.2), layers.Reshape((7, 7, 128))),
        *(layers.Conv2DTranspose(128, 4, 2, padding="same"), layers.LeakyReLU(0.2)),
        *(layers.Conv2DTranspose(128, 4, 2, padding="same"), layers.LeakyReLU(0.2)),
        layers.Conv2D(1, 7, padding="same", activation="sigmoid"),
    )
    discriminator = _network(
        (28, 28, 1),
        *(layers.Conv2D(64, 3, 2, padding="same"), layers.LeakyReLU(0.2)),
        *(layers.Conv2D(128, 3, 2, padding="same"), layers.LeakyReLU(0.2)),
        *(layers.GlobalMaxPooling2D(), layers.Dense(1)),
    )
    return generator, discriminator


def keras_gan_dcgan_networks():
    """github.com/eriklindernoren/Keras-GAN, dcgan/dcgan.py, as of its last change, in 2018."""
    generator = _network(
        (100,),
        *(layers.Dense(128 * 7 * 7, activation="relu"), layers.Reshape((7, 7, 128)), layers.UpSampling2D()),
        *(layers.Conv2D(128, 3, padding="same"), layers.BatchNormalization(momentum=0.8), layers.ReLU()),
        layers.UpSampling2D(),
        *(layers.Conv2D(64, 3, padding="same"), layers.BatchNormalization(momentum=0.8), layers.ReLU()),
        layers.Conv2D(1, 3, padding="same", activation="tanh"),
    )
    stack = [layers.Conv2D(32, 3, 2, padding="same"), layers.LeakyReLU(0.2), layers.Dropout(0.25)]
    for channels, stride in ((64, 2), (128, 2), (256, 1)):
        stack.append(layers.Conv2D(channels, 3, stride, padding="same"))
        if channels == 64:
            stack.append(layers.ZeroPadding2D(((0, 1), (0, 1))))
        stack += [layers.BatchNormalization(momentum=0.8), layers.LeakyReLU(0.2), layers.Dropout(0.25)]
    return generator, _network((28, 28, 1), *stack, layers.Flatten(), layers.Dense(1))


def keras_gan_vanilla_networks():
    """github.com/eriklindernoren/Keras-GAN, gan/gan.py, as of its last change, in 2018."""
    hidden = [
        layer
        for width in (256, 512, 1024)
        for layer in (layers.Dense(width), layers.LeakyReLU(0.2), layers.BatchNormalization(momentum=0.8))
    ]
    generator = _network(
        (100,), *hidden, layers.Dense(math.prod((28, 28, 1)), activation="tanh"), layers.Reshape((28, 28, 1))
    )
    discriminator = _network(
        (28, 28, 1),
        layers.Flatten(),
        *(layers.Dense(512), layers.LeakyReLU(0.2), layers.Dense(256), layers.LeakyReLU(0.2), layers.Dense(1)),
    )
    return generator, discriminator


def _tutorial(seed):
    return peers.TutorialLoop(*tutorial_networks(), _adam(1e-4, 1e-4), seed=seed), 256


def _keras_example(seed):
    # The source also trains on the 10,000 test images, which a measurement of quality must keep apart.
    options = {"scale": lambda images: images.astype("float32") / 255.0, "seed": seed}
    return peers.KerasExample(*keras_example_networks(), _adam(3e-4, 3e-4), **options), 64


def _keras_gan(build_networks, reuse_latents, seed):
    # Discriminators end in a sigmoid there; logits with the matching cross-entropy are the same function.
    optimizers = _adam(2e-4, 2e-4, beta_1=0.5)
    return peers.PredictTrainOnBatch(*build_networks(), optimizers, reuse_latents=reuse_latents, seed=seed), 32


RECIPES = {
    "tensorflow_tutorial": _tutorial,
    "keras_example": _keras_example,
    "keras_gan_dcgan_repaired": functools.partial(_keras_gan, keras_gan_dcgan_networks, True),
    "keras_gan_vanilla_repaired": functools.partial(_keras_gan, keras_gan_vanilla_networks, False),
}


class Recipe:
    """A published recipe in this process; see the module."""

    def __init__(self, name, images):
        self.name, self.images = name, images

    def build(self, seed):
        """Make networks and optimizers, with new weights, and take the first step."""
        keras.utils.set_random_seed(seed)
        self.peer, batch_size = RECIPES[self.name](seed)
        self.peer.load(self.images, batch_size)
        self.peer.step(self.peer.next_batch())

    def train(self, seconds):
        """Train for some seconds, and return the number of steps."""
        steps, end = 0, time.perf_counter() + seconds
        while not steps or time.perf_counter() < end:
            self.peer.step(self.peer.next_batch())
            steps += 1
        return steps

    def generate(self, n):
        """Return n images, uint8 (n, 28, 28, 1), always of the same latents."""
        latents = np.random.default_rng(n).standard_normal((n, self.peer.latent_dim)).astype("float32")
        images = self.peer.generator.predict(latents, batch_size=500, verbose=0)
        darkest = float(self.peer.scale(np.zeros(1, "uint8"))[0])
        return np.rint((images - darkest) / (1.0 - darkest) * 255).clip(0, 255).astype("uint8")


class TorchRecipe:
    """The same for the recipe in PyTorch's interpreter, which ends with this process."""

    def __init__(self, images, python):
        self._folder = tempfile.TemporaryDirectory()
        self._images = Path(self._folder.name) / "images.npy"
        np.save(self._images, images)
        self._worker = common.Worker(common.FOLDER / "torch_peers.py", python)

    def build(self, seed):
        self._worker.call("build_recipe", images=str(self._images), seed=seed)
        self.train(0)

    def train(self, seconds):
        return self._worker.call("train_recipe", seconds=seconds)

    def generate(self, n):
        path = Path(self._folder.name) / "samples.npy"
        self._worker.call("generate", n=n, path=str(path))
        return np.load(path, allow_pickle=False)
