"""The training recipes of the lessons that train a GAN: networks, optimizers and penalty, as the lessons have them.

The shipped weights, the reference runs and the benchmarks train with these; a test compares each with the
cell of its lesson.
"""

import sys

import keras

from ganutils import lessons, losses, models, training


def vanilla_gan(seed=0):
    """Return the compiled, untrained GAN of lesson 01.

    Args:
        seed: seed of the weights and of the latents.
    """
    keras.utils.set_random_seed(seed)
    gan = training.GAN(models.vanilla_generator(), models.vanilla_discriminator(), seed=seed)
    gan.compile(_adam(1e-3, 0.0, 0.99), _adam(1e-3, 0.0, 0.99))
    return gan


def dcgan(
    seed=0,
    average=0.99,
    steps=None,
    build_generator=models.fast_dcgan_generator,
    build_discriminator=models.fast_dcgan_discriminator,
):
    """Return the compiled, untrained DCGAN of lesson 02.

    Args:
        seed: as in `vanilla_gan`.
        average: decay of the average of generator weights.
        steps: let the learning rates fall to zero along a cosine in so many steps; None keeps them.
        build_generator, build_discriminator: functions without arguments that make other networks.
    """
    keras.utils.set_random_seed(seed)
    networks = build_generator(), build_discriminator()
    return _with_r1(training.GAN, networks, seed, average, steps)


def conditional_gan(seed=0, average=0.99, steps=None):
    """Return the compiled, untrained conditional GAN of lesson 03; the arguments as in `dcgan`."""
    keras.utils.set_random_seed(seed)
    networks = models.conditional_generator(), models.conditional_discriminator()
    return _with_r1(training.ConditionalGAN, networks, seed, average, steps)


RECIPES = {
    name: getattr(sys.modules[__name__], lesson["recipe"])
    for name, lesson in lessons.LESSONS.items()
    if "recipe" in lesson
}


def _with_r1(kind, networks, seed, average, steps):
    gan = kind(*networks, average=average, penalty=losses.R1(1.0), penalty_every=8, seed=seed)
    rate = 2e-3 if steps is None else keras.optimizers.schedules.CosineDecay(2e-3, steps)
    gan.compile(_adam(rate, 0.0, 0.99), _adam(rate, 0.0, 0.99))
    return gan


def _adam(rate, beta_1, beta_2):
    return keras.optimizers.Adam(rate, beta_1=beta_1, beta_2=beta_2)


def describe(gan):
    """Return what makes up a compiled `training.GAN`, as numbers and words that JSON can hold.

    It holds what a lesson chooses: layers and how they are joined, their settings and initializers, optimizers,
    loss, penalty, average.

    Raises:
        ValueError: a GAN that is not compiled.
    """
    if not gan.compiled:
        raise ValueError("the GAN is not compiled, so it has no optimizers yet")
    return {
        "generator": _describe_network(gan.generator),
        "discriminator": _describe_network(gan.discriminator),
        "generator_optimizer": training.describe_optimizer(gan.generator_optimizer),
        "discriminator_optimizer": training.describe_optimizer(gan.discriminator_optimizer),
        **gan.settings(),
    }


_LAYER_SETTINGS = (
    *("units", "filters", "kernel_size", "strides", "padding", "use_bias", "activation", "negative_slope"),
    *("momentum", "epsilon", "rate", "target_shape", "input_dim", "output_dim", "axes", "num_classes"),
)


def _describe_network(network):
    """Return a row for each layer or operation; "from" has the numbers of the rows whose outputs it takes."""
    if isinstance(network, keras.Sequential):
        operations = network.layers
        inputs = [[i - 1] if i else [] for i in range(len(operations))]
    else:
        nodes = [node for _, level in sorted(network._nodes_by_depth.items(), reverse=True) for node in level]
        operations = [node.operation for node in nodes]
        numbers = {id(operation): i for i, operation in enumerate(operations)}
        inputs = [[numbers[id(tensor._keras_history.operation)] for tensor in node.input_tensors] for node in nodes]
    rows = []
    for operation, sources in zip(operations, inputs, strict=True):
        inner = (
            {"network": _describe_network(operation)} if hasattr(operation, "layers") else _describe_layer(operation)
        )
        rows.append({**inner, "from": sources})
    return rows


def _describe_layer(layer):
    config = layer.get_config()
    settings = {name: _plain(config[name]) for name in _LAYER_SETTINGS if name in config}
    for name, value in config.items():
        if name.endswith("initializer") and value:
            chosen = {key: part for key, part in value["config"].items() if key != "seed" and part is not None}
            settings[name] = [value["class_name"], *(f"{key}={part}" for key, part in chosen.items())]
    weights = {"weights": layer.count_params()} if isinstance(layer, keras.layers.Layer) else {}
    return {"layer": type(layer).__name__, **weights, **settings}


def _plain(value):
    return list(value) if isinstance(value, (tuple, list)) else value if isinstance(value, (int, float)) else str(value)
