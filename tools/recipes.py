"""The recipes of the lessons that train a GAN: networks, optimizers and penalty.

The shipped weights, the reference runs and the benchmarks use these; a test compares those that lessons.toml names
with the cell of their lesson.
"""

import sys

import keras

from ganutils import features, lessons, losses, models, training


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


def lapgan(seed=0, image_shape=(28, 28, 1), depth=2, average=0.99, steps=None):
    """Return the compiled, untrained GANs of lesson 06 from small to large, a base and `depth` levels.

    Args:
        seed: seed of the weights and of the latents.
        image_shape: (height, width, channels) of the largest images.
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
            gans.append(models.lapgan.Level(*models.lapgan.level_networks(size), **options))
        else:
            gans.append(training.GAN(*models.lapgan.base_networks(size), **options))
        rates = (2e-3, 1e-3)
        if steps is not None:
            rates = [keras.optimizers.schedules.CosineDecay(rate, steps[i]) for rate in rates]
        gans[-1].compile(*(_adam(rate, 0.0, 0.99) for rate in rates), steps_per_execution=10)
    return gans


FACES_GENERATOR = {
    "latent_dim": 32,
    "filters": (128, 64, 32),
    "kernel_size": 4,
    "strides": (2, 2, 2),
    "hidden": 256,
    "image_shape": (32, 32, 3),
}
FACES_AT_ONCE = 16  # images in a batch
EQUALISED_RATE = 0.01  # weights begin at about 1, and Adam moves them by this much
GROWING = (1, 2, 3, 6)  # shares of the time that GANs of 8, 16, 32 and 64 pixels get, as far as they grow


def pggan(seed=0, size=64, steps=(500, 500, 500, 500), average=0.995, decay=False):
    """Return the compiled, untrained GAN of lesson 07, which grows from 8 pixels to `size`.

    Args:
        seed: seed of the weights and of the latents.
        size: 16, 32 or 64.
        steps: of each phase, of which as many count as there are sizes.
        average: decay of the moving average of the generator's weights.
        decay: whether the learning rates decay to zero in the last phase's steps.
    """
    keras.utils.set_random_seed(seed)
    steps, options = steps[: len(sizes_to(size))], {"average": average, "penalty": losses.R1(1.0, every=8)}
    gan = models.progressive.ProgressiveGAN(*_progressive(size), steps=steps, seed=seed, **options)
    return _compiled(gan, steps[-1] if decay else None, EQUALISED_RATE)


def _progressive(size, at_once=False):
    sizes = sizes_to(size)
    builders = models.progressive_generator, models.progressive_discriminator
    return [build(sizes, models.progressive.CHANNELS[: len(sizes)], at_once=at_once) for build in builders]


def pggan_at_once(seed=0, size=64, average=0.995, steps=None):
    """Return the compiled, untrained GAN that `pggan` ends with, all of whose layers are there from the first step on.

    The parts that only growing needs are not: it is as fast as it can be.

    Args:
        steps: in which the learning rates decay to zero; None keeps them constant. The others as in `pggan`.
    """
    keras.utils.set_random_seed(seed)
    gan = training.GAN(*_progressive(size, at_once=True), average=average, penalty=losses.R1(1.0, every=8), seed=seed)
    return _compiled(gan, steps, EQUALISED_RATE)


def dcgan_faces(seed=0, average=0.995, steps=None):
    """Return the compiled, untrained DCGAN of lesson 02 for composed faces of 32 pixels; arguments as in `dcgan`.

    It is the small one, but begins at 4 x 4 pixels: at equal time that is better than a wider start at 8 x 8.
    """
    filters, shape = FACES_GENERATOR["filters"][::-1], FACES_GENERATOR["image_shape"]
    return dcgan(
        seed,
        average,
        steps,
        build_generator=lambda: models.dcgan_generator(**FACES_GENERATOR),
        build_discriminator=lambda: models.dcgan_discriminator(filters, 4, 0.0, 256, shape),
    )


def super_resolution(
    seed=0,
    small=(4, 4),
    image_shape=(28, 28, 1),
    *,
    adversarial=0.0,
    content=0.0,
    average=0.998,
    steps=None,
    start=None,
):
    """Return the compiled `SuperResolution` of lesson 08.

    Args:
        seed: seed of the weights.
        small: height and width of the small images.
        image_shape: (height, width, channels) of the large images.
        adversarial, content: weights of these errors; content is compared in features of the digit classifier.
        average: decay of the moving average of the generator's weights.
        steps: in which the learning rates decay to zero; None keeps them constant.
        start: path of the generator's first weights, or None.
    """
    keras.utils.set_random_seed(seed)
    generator, more = models.sr_generator(image_shape, small), {"average": average, "seed": seed}
    if start is not None:
        generator.load_weights(start)
    judge = None
    if adversarial:
        filters = (32, 64) if image_shape[0] < 64 else (32, 64, 128)
        judge = models.dcgan_discriminator(filters, 4, 0.0, 128, image_shape)
        more |= {"adversarial": adversarial, "penalty": losses.R1(1.0, every=8)}
    if content:
        network = features.digit_classifier().network
        more |= {"content": content, "features": keras.Model(network.input, network.outputs[0])}
    model = models.srgan.SuperResolution(generator, judge, **more)
    rates = {"generator": 1e-3, "discriminator": 2e-3}
    momenta = {"generator": 0.5 if adversarial else 0.9, "discriminator": 0.0}
    if steps is not None:
        rates = {player: keras.optimizers.schedules.CosineDecay(rate, steps) for player, rate in rates.items()}
    model.compile({player: _adam(rates[player], momenta[player], 0.99) for player in model.networks})
    return model


def sizes_to(size):
    """Return the sides of the pictures through which a GAN grows to this one."""
    if size not in models.progressive.SIZES[1:]:
        raise ValueError(f"size={size!r} is not allowed; choose one of {models.progressive.SIZES[1:]}")
    return [each for each in models.progressive.SIZES if each <= size]


def _compiled(gan, steps, rate=2e-3):
    rate = rate if steps is None else keras.optimizers.schedules.CosineDecay(rate, steps)
    gan.compile(_adam(rate, 0.0, 0.99), _adam(rate, 0.0, 0.99))
    return gan


RECIPES = {
    name: getattr(sys.modules[__name__], lesson["recipe"])
    for name, lesson in lessons.LESSONS.items()
    if "recipe" in lesson
}


def _with_r1(kind, networks, seed, average, steps):
    return _compiled(kind(*networks, average=average, penalty=losses.R1(1.0, every=8), seed=seed), steps)


def _adam(rate, beta_1, beta_2):
    return keras.optimizers.Adam(rate, beta_1=beta_1, beta_2=beta_2)
