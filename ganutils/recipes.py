"""The training recipes of lessons 01 to 03: networks, optimizers and penalty, as they stand in the lessons.

The shipped weights, the reference runs and the benchmarks train with these; a test compares each with the
cell of its lesson.
"""

import keras

from ganutils import losses, models, training


def vanilla_gan(seed=0):
    """Return the compiled, untrained GAN of lesson 01.

    Args:
        seed: seed of the weights, of dropout and of the latents.
    """
    keras.utils.set_random_seed(seed)
    gan = training.GAN(models.vanilla_generator(), models.vanilla_discriminator(), seed=seed)
    gan.compile(_adam(2e-4, 0.5, 0.999), _adam(2e-4, 0.5, 0.999))
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


RECIPES = {"01_vanilla_gan": vanilla_gan, "02_dcgan": dcgan, "03_conditional_gan": conditional_gan}


def _with_r1(kind, networks, seed, average, steps):
    gan = kind(*networks, average=average, penalty=losses.R1(1.0), penalty_every=8, seed=seed)
    rate = 2e-3 if steps is None else keras.optimizers.schedules.CosineDecay(2e-3, steps)
    gan.compile(_adam(rate, 0.0, 0.99), _adam(rate, 0.0, 0.99))
    return gan


def _adam(rate, beta_1, beta_2):
    return keras.optimizers.Adam(rate, beta_1=beta_1, beta_2=beta_2)


def describe(gan):
    """Return what makes up a compiled `training.GAN`, as numbers and words that JSON can hold.

    It holds what a lesson chooses: layers and their settings, optimizers' rates and momenta, loss, penalty,
    average. It does not hold what Keras chooses where nobody asks otherwise, such as initializers.

    Raises:
        ValueError: a GAN that is not compiled.
    """
    if not gan.compiled:
        raise ValueError("the GAN is not compiled, so it has no optimizers yet")
    return {
        "generator": [_describe_layer(layer) for layer in _layers(gan.generator)],
        "discriminator": [_describe_layer(layer) for layer in _layers(gan.discriminator)],
        "generator_optimizer": _describe_optimizer(gan.generator_optimizer),
        "discriminator_optimizer": _describe_optimizer(gan.discriminator_optimizer),
        **gan.settings(),
    }


_LAYER_SETTINGS = (
    *("units", "filters", "kernel_size", "strides", "padding", "use_bias", "activation", "negative_slope"),
    *("momentum", "epsilon", "rate", "target_shape", "input_dim", "output_dim"),
)


def _layers(network):
    for layer in network.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def _describe_layer(layer):
    config = layer.get_config()
    settings = {name: _plain(config[name]) for name in _LAYER_SETTINGS if name in config}
    return {"layer": type(layer).__name__, "weights": layer.count_params(), **settings}


def _plain(value):
    return list(value) if isinstance(value, (tuple, list)) else value if isinstance(value, (int, float)) else str(value)


def _describe_optimizer(optimizer):
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss for float16
    config = optimizer.get_config()
    names = ("learning_rate", "beta_1", "beta_2", "epsilon", "momentum")
    # A rate is stored in float32; what was given has fewer digits.
    found = {name: config[name] for name in names if name in config}
    found = {name: round(value, 9) if isinstance(value, float) else _plain(value) for name, value in found.items()}
    return {"optimizer": type(optimizer).__name__, **found}
