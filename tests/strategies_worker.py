"""What tests/test_strategies.py runs in processes of its own: `python -m tests.strategies_worker MODE FOLDER`.

TensorFlow's devices and workers are settled once in a process, before its first operation.
"""

import json
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ganutils import callbacks, data, keras_workarounds, losses, strategies, training
from ganutils.models import progressive
from tests.conftest import tiny_networks

IMAGES = np.random.default_rng(7).integers(0, 256, (64, 8, 8, 1), "uint8")
LABELS = np.random.default_rng(8).integers(0, 3, 64).astype("int32")
BATCH_SIZE = 16


def plain_networks():
    """Networks without batch norm and dropout: every number is then that of one process."""
    layers = keras.layers
    generator = keras.Sequential([keras.Input((5,)), layers.Dense(64, "tanh"), layers.Reshape((8, 8, 1))])
    hidden = layers.Dense(16, "leaky_relu")
    return generator, keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), hidden, layers.Dense(1)])


def synchronized_networks():
    """A generator whose batch norm counts over all replicas, so that they agree with one process again."""
    layers = keras.layers
    generator = [keras.Input((5,)), layers.Dense(32), layers.BatchNormalization(momentum=0.9, synchronized=True)]
    generator += [layers.LeakyReLU(0.2), layers.Dense(64, "tanh"), layers.Reshape((8, 8, 1))]
    return keras.Sequential(generator), plain_networks()[1]


def conditional_networks():
    """Networks that look at a label through a table of vectors, whose gradients come as rows."""
    layers = keras.layers
    plain_generator, plain_discriminator = plain_networks()
    latents, images, label = keras.Input((5,)), keras.Input((8, 8, 1)), keras.Input((), dtype="int32")
    drawn = plain_generator(latents + layers.Embedding(3, 5)(label))
    judged = plain_discriminator(images * layers.Reshape((8, 8, 1))(layers.Embedding(3, 64)(label)))
    return keras.Model([latents, label], drawn), keras.Model([images, label], judged)


def train(strategy, networks=plain_networks, epochs=2, seed=7, backup=None, extra=(), clip=None, discriminator_steps=1):
    """Train by plain gradient descent, whose steps show how gradients are scaled, as Adam's do not.

    Args:
        clip: largest norm of all gradients of a network, or None.
    """
    keras.utils.set_random_seed(seed)
    conditional = networks is conditional_networks
    with strategy.scope():
        gan = (training.ConditionalGAN if conditional else training.GAN)(
            *networks(),
            average=0.9,
            penalty=losses.R1(1.0, every=2),
            discriminator_steps=discriminator_steps,
            seed=seed,
        )
        gan.compile(*[keras.optimizers.SGD(0.1, global_clipnorm=clip) for _ in range(2)])
    latents = np.zeros((2, 5), "float32")
    samples = callbacks.Samples([latents, LABELS[:2]] if conditional else latents)
    batches = data.pipeline(IMAGES, LABELS if conditional else None, batch_size=BATCH_SIZE, seed=seed)
    backup = None if backup is None else callbacks.Backup(backup)
    gan.fit(batches, epochs=epochs, verbose=0, callbacks=[samples, *extra], backup=backup)
    return gan


def train_growing(strategy):
    """Train a GAN that grows, for two steps of its last size; its fading and its optimizers change within steps."""
    keras.utils.set_random_seed(7)
    with strategy.scope():
        sizes, channels = (4, 8), (6, 5)
        networks = (
            progressive.progressive_generator(sizes, channels, latent_dim=4, colours=1, hidden=8),
            progressive.progressive_discriminator(sizes, channels, colours=1, hidden=8),
        )
        gan = progressive.ProgressiveGAN(*networks, steps=(6, 6), average=0.9, penalty=losses.R1(1.0, every=2), seed=7)
        gan.compile(*(keras.optimizers.Adam(1e-2, beta_1=0.0) for _ in range(2)))
    gan.fit(data.pipeline(IMAGES, batch_size=BATCH_SIZE, seed=7), epochs=2, verbose=0)
    return gan


def on_each(gan):
    """Return a dict from the path of each of a model's variables to its values on the replicas."""
    return {variable.path: [value.numpy() for value in variable.value.values] for variable in gan.variables}


def record(gan):
    """Return a run's numbers: recorded metrics, weights, and what the samples looked like."""
    history = gan.history.history
    assert all(isinstance(value, float) or np.ndim(value) == 0 for values in history.values() for value in values)
    return {
        "history": json.dumps({name: [float(value) for value in values] for name, values in history.items()}),
        **{f"weight_{i:03}": weight for i, weight in enumerate(gan.get_weights())},
    }


def refusal(function):
    try:
        function()
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was refused"


def on_two_devices(folder):
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = strategies.choose_strategy(["CPU:0", "CPU:1"])
    np.savez(folder / "plain.npz", **record(train(strategy)))
    np.savez(folder / "synchronized.npz", **record(train(strategy, synchronized_networks)))
    np.savez(folder / "clipped.npz", **record(train(strategy, clip=0.01)))
    np.savez(folder / "conditional.npz", **record(train(strategy, conditional_networks)))
    train(strategy, epochs=1, backup=folder / "backup")
    gan = train(strategy, tiny_networks, discriminator_steps=2)
    by_replica, growing = on_each(gan), train_growing(strategy)
    random_states = {path: values for path, values in by_replica.items() if path.endswith("seed_generator_state")}
    dropout = next(layer for layer in gan.discriminator.layers if isinstance(layer, keras.layers.Dropout))
    masks = strategy.run(tf.function(lambda: dropout(tf.ones((1, 64)), training=True)))

    def number_of_replica():
        variable.assign(tf.cast(strategies._replicas()[0], "float32"))
        strategies.average_over_replicas([variable])

    with strategy.scope():
        variable = keras.Variable(0.0)
        inside = training.GAN(*plain_networks())
        inside.compile(keras.optimizers.SGD(), keras.optimizers.SGD())
        several = training.GAN(*plain_networks())
        several.compile(keras.optimizers.SGD(), keras.optimizers.SGD(), steps_per_execution=2)
    strategy.run(tf.function(number_of_replica))
    with strategy.scope():
        network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        scaled = keras_workarounds.prepare_optimizer(
            keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), network
        )
    kernel_before, scale_before = network.get_weights()[0].tolist(), float(scaled.dynamic_scale.numpy())

    def overflow_on_one():
        gradient = tf.fill((1, 1), tf.where(strategies._replicas()[0] == 1, np.inf, 1.0))
        inside.take_step(scaled, [gradient], network.trainable_variables)

    strategy.run(tf.function(overflow_on_one))
    outside = keras.optimizers.SGD()
    outside.build([keras.Variable(0.0)])
    batches = data.pipeline(IMAGES, batch_size=16)
    refusals = {
        "uneven batch": refusal(lambda: inside.fit(data.pipeline(IMAGES, batch_size=7), verbose=0)),
        "unknown batch": refusal(lambda: inside.fit(tf.data.Dataset.from_tensor_slices(IMAGES).batch(8), verbose=0)),
        "several steps": refusal(lambda: several.fit(batches, verbose=0)),
    }
    inside.optimizers["generator"] = outside
    refusals["optimizer outside"] = refusal(lambda: inside.fit(batches, verbose=0))
    result = {
        "differ": [
            path for path, (a, b) in by_replica.items() if path not in random_states and not np.array_equal(a, b)
        ],
        "growing": {
            "differ": [path for path, (a, b) in on_each(growing).items() if not np.array_equal(a, b)],
            "steps": int(growing.steps_taken.numpy()),
            "alpha": float(growing.generator.get_layer("fade").alpha.numpy()),
            "steps of Adam": int(growing.optimizers["generator"].iterations.numpy()),
            "finite": all(np.isfinite(weight).all() for weight in growing.get_weights()),
        },
        "random_states": {path: [value.tolist() for value in values] for path, values in random_states.items()},
        "masks": [mask.numpy().tolist() for mask in masks.values],
        "average": [float(value) for value in variable.value.values],
        "overflow": {
            "kernels": [kernel_before, *[value.numpy().tolist() for value in network.weights[0].value.values]],
            "scales": [scale_before, *[float(value) for value in scaled.dynamic_scale.value.values]],
        },
        "steps": [
            int(gan.optimizers["generator"].iterations.numpy()),
            int(gan.optimizers["discriminator"].iterations.numpy()),
        ],
        "refusals": refusals,
    }
    (folder / "result.json").write_text(json.dumps(result))


class Die(keras.callbacks.Callback):
    """Kills this process in the second epoch, as a machine that fails does: no word to the others."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizers["generator"].iterations.numpy()) == 6:
            os.kill(os.getpid(), signal.SIGKILL)


def as_worker(folder, *, dies=False):
    strategy = strategies.choose_strategy()
    index = int(strategy.cluster_resolver.task_id)
    backup = folder / "backup"
    extra = [Die()] if dies and index == 1 else []
    noisy = train(strategy, tiny_networks, epochs=3, backup=backup, extra=extra)
    np.savez(folder / f"noisy_{index}.npz", **record(noisy))
    return strategy


def as_worker_in_full(folder):
    strategy = as_worker(folder)
    assert strategies.choose_strategy() is strategy, "TensorFlow's server is there already"
    index = int(strategy.cluster_resolver.task_id)
    np.savez(folder / f"plain_{index}.npz", **record(train(strategy)))
    own = folder / f"own_{index}"  # the chief's is written, the other worker's not
    train(strategy, epochs=1, backup=own)
    result = {
        "chief": strategies.is_chief(strategy),
        "refusals": {
            "folder of its own": refusal(lambda: train(strategy, epochs=2, backup=own)),
            "time limit": refusal(lambda: train(strategy, extra=[callbacks.TimeLimit(1)])),
            "different seeds": refusal(lambda: train(strategy, seed=7 + index)),
            "model outside": refusal(lambda: train(tf.distribute.get_strategy())),
        },
    }
    (folder / f"result_{index}.json").write_text(json.dumps(result))


MODES = {
    "two-devices": on_two_devices,
    "worker": as_worker,
    "dying-worker": lambda folder: as_worker(folder, dies=True),
    "worker-in-full": as_worker_in_full,
}

if __name__ == "__main__":
    MODES[sys.argv[1]](Path(sys.argv[2]))
