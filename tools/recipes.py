"""The recipes of the lessons that train a GAN: networks, optimizers and penalty.

The shipped weights, the reference runs and the benchmarks use these; a test compares each with the
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
        seed: seed of the weights and of the latents.
        average: decay of the moving average of the generator's weights.
        steps: number of steps in which a cosine schedule decays the learning rates to zero; None keeps them constant.
        build_generator, build_discriminator: functions without arguments that build the networks.
    """
    keras.utils.set_random_seed(seed)
    networks = build_generator(), build_discriminator()
    return _with_r1(training.GAN, networks, seed, average, steps)


def conditional_gan(seed=0, average=0.99, steps=None):
    """Return the compiled, untrained conditional GAN of lesson 03; the arguments are those of `dcgan`."""
    keras.utils.set_random_seed(seed)
    networks = models.conditional_generator(), models.conditional_discriminator()
    return _with_r1(training.ConditionalGAN, networks, seed, average, steps)


def lapgan(seed=0, image_shape=(28, 28, 1), depth=2, noise=0.0, average=0.99, steps=None):
    """Return the compiled, untrained GANs of lesson 06 from small to large, a base and `depth` levels.

    Args:
        seed: seed of the weights and of the latents.
        image_shape: (height, width, channels) of the largest images.
        noise: on the coarse images in training, as in `lapgan.Level`.
        average: decay of the moving averages of the generators' weights.
        steps: steps of each GAN, in which the learning rates decay to zero; None keeps them constant.
    """
    keras.utils.set_random_seed(seed)
    height, width, colours = image_shape
    gans = []
    for i in range(depth + 1):
        size = (height >> depth - i, width >> depth - i, colours)
        options = {"average": average, "penalty": losses.R1((size[0] / 28) ** 2, every=8), "seed": seed}
        if i:
            gans.append(models.lapgan.Level(*models.lapgan.level_networks(size), noise=noise, **options))
        else:
            gans.append(training.GAN(*models.lapgan.base_networks(size), **options))
        rates = (2e-3, 1e-3)
        if steps is not None:
            rates = [keras.optimizers.schedules.CosineDecay(rate, steps[i]) for rate in rates]
        gans[-1].compile(*(_adam(rate, 0.0, 0.99) for rate in rates), steps_per_execution=10)
    return gans


RECIPES = {
    name: getattr(sys.modules[__name__], lesson["recipe"])
    for name, lesson in lessons.LESSONS.items()
    if "recipe" in lesson
}


def _with_r1(kind, networks, seed, average, steps):
    gan = kind(*networks, average=average, penalty=losses.R1(1.0, every=8), seed=seed)
    rate = 2e-3 if steps is None else keras.optimizers.schedules.CosineDecay(2e-3, steps)
    gan.compile(_adam(rate, 0.0, 0.99), _adam(rate, 0.0, 0.99))
    return gan


def _adam(rate, beta_1, beta_2):
    return keras.optimizers.Adam(rate, beta_1=beta_1, beta_2=beta_2)
