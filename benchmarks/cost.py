"""How time and memory grow: of training with images, image size and batch, of metrics with samples.

    python benchmarks/cost.py                              all four
    python benchmarks/cost.py --only images batch --seconds 2 --json cost.json

Each point is measured in a process of its own, in several passes over all points of a sweep; what is shown are
medians over the passes. Training is that of lesson 02's fast DCGAN through `fit`, in float32; `growth` is by how much
the peak of the process' memory rises from before the images are made or the networks built.

The exponents are fits of y = factor · x^exponent by least squares of the logarithms: 1 means that twice as much costs
twice as much. They belong to the larger half of the points, since a fixed part hides the growth among the smaller ones.
The memory of training has a large fixed part, and so gets a straight line instead. How time falls with devices is
measured by scaling.py.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import common

IMAGES = (1_000, 10_000, 60_000, 300_000)
SIZES = (14, 28, 56, 112)
BATCHES = (16, 32, 64, 128, 256, 512)
SAMPLES = (1_000, 2_500, 5_000, 10_000)
FEATURES = 128
METRICS = (
    "frechet_distance",
    "kernel_distance",
    "precision_recall",
    "density_coverage",
    "nearest_neighbour_accuracy",
)


def networks(size, latent_dim=32, kernel_size=4):
    """Return a generator and a discriminator of the fast DCGAN's kind for images of another size.

    As in Radford, Metz and Chintala 2016, channels double whenever height and width are halved: 32 at half of the
    image's size, up to the layer of 7 x 7. For 28 x 28 these are `models.fast_dcgan_generator` and its opponent.

    Args:
        size: height and width, 7 times a power of 2.

    Raises:
        ValueError: another size.
    """
    import keras
    from keras import layers

    from ganutils import models

    levels = (size // 7).bit_length() - 1
    if levels < 1 or size != 7 * 2**levels:
        raise ValueError(f"size={size} is not allowed; give 7 times a power of 2, such as {', '.join(map(str, SIZES))}")
    filters = [32 * 2**level for level in range(levels)]
    latents = keras.Input((latent_dim,))
    x = latents
    for units in (256, 7 * 7 * filters[-1]):
        x = layers.Dense(units, use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Reshape((7, 7, filters[-1]))(x)
    for channels in filters[-2::-1]:
        x = layers.Conv2DTranspose(channels, kernel_size, 2, padding="same", use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
    images = layers.Conv2DTranspose(1, kernel_size, 2, padding="same", activation="tanh")(x)
    discriminator = models.dcgan_discriminator(filters, kernel_size, 0.0, hidden=256, image_shape=(size, size, 1))
    return keras.Model(latents, images), discriminator


def train(n, size, batch_size, seconds):
    """Train on n random images in a worker; returns a dict of seconds a step and memory."""
    import numpy as np
    import peers

    from ganutils import lessons

    rng = np.random.default_rng(0)
    before_images = lessons.peak_memory_mb()
    images = np.empty((n, size, size, 1), "uint8")
    for row in range(0, n, 1000):
        images[row : row + 1000] = rng.integers(0, 256, images[row : row + 1000].shape, "uint8")
    before_training = lessons.peak_memory_mb()
    peer = peers.Ganutils(*networks(size))
    peer.load(images, batch_size)
    clock = common.Clock(seconds, warm_up=5)
    peer.train(clock.tick)
    peak = lessons.peak_memory_mb()
    step = clock.elapsed / clock.steps
    return {
        "seconds a step": step,
        "seconds an epoch": step * (n // batch_size),
        "images/s": batch_size / step,
        "array MB": images.nbytes / 1e6,
        "peak MB": peak,
        "growth MB": peak - before_images,
        "training MB": peak - before_training,
    }


def evaluate(metric, samples, repetitions):
    """Compute a metric of random features in a worker; returns median seconds and the growth of memory."""
    import numpy as np

    from ganutils import lessons, metrics

    real, fake = np.random.default_rng(0).standard_normal((2, samples, FEATURES))
    before, seconds = lessons.peak_memory_mb(), []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        getattr(metrics, metric)(real, fake)
        seconds.append(time.perf_counter() - start)
    # The first call also loads libraries.
    return {"seconds": statistics.median(seconds[1:]), "growth MB": lessons.peak_memory_mb() - before}


def sweep(name, values, passes, **arguments):
    """Return the medians over some passes of a worker's function for each value, as {value: dict}."""
    function, parameter = {"images": ("train", "n"), "samples": ("evaluate", "samples")}.get(name, ("train", name))
    found = {value: [] for value in values}
    for _ in range(passes):
        for value in values:
            found[value].append(common.once(Path(__file__), function, **{**arguments, parameter: value})[0])
        print(f"  {name} {', '.join(f'{value:,}' for value in values)}: done", flush=True)
    return {
        value: {quantity: statistics.median(row[quantity] for row in rows) for quantity in rows[0]}
        for value, rows in found.items()
    }


def exponent(results, quantity, x=lambda value: value):
    """Return the exponent with which a quantity of `sweep` grows over the larger half of the points.

    None where a value is not above 0: nothing grew.
    """
    larger = sorted(results)[-max(2, len(results) // 2) :]
    values = [results[key][quantity] for key in larger]
    return common.power_law([x(key) for key in larger], values)[0] if min(values) > 0 else None


def memory_line(results, quantity="training MB", x=lambda value: value):
    """Return the straight line of a memory over x, by least squares: (megabytes at 0, megabytes for each x more)."""
    slope, fixed = statistics.linear_regression([x(key) for key in results], [r[quantity] for r in results.values()])
    return fixed, slope


def show(title, results, quantities, exponents):
    """Print a sweep's table and its exponents."""
    print(f"\n{title}")
    print(
        common.table([[f"{key:,}", *(row[q] for q in quantities)] for key, row in results.items()], ["", *quantities])
    )
    texts = (f"{name}: {'–' if value is None else f'{value:.2f}'}" for name, value in exponents.items())
    print("exponents over the larger half: " + ", ".join(texts))


def images(arguments):
    """Measure against the number of images."""
    results = sweep("images", arguments.images, arguments.passes, size=28, batch_size=64, seconds=arguments.seconds)
    exponents = {name: exponent(results, name) for name in ("seconds a step", "seconds an epoch")}
    quantities = ("seconds a step", "seconds an epoch", "array MB", "growth MB", "training MB", "peak MB")
    show("Images of 28 x 28 in batches of 64", results, quantities, exponents)
    slope = 1e6 * memory_line(results, "growth MB")[1]
    print(f"each further image takes {slope:,.0f} bytes of memory; as uint8 it has {28 * 28}: ratio {slope / 784:.2f}")
    return {"points": results, "exponents": exponents, "bytes an image": slope}


def size(arguments):
    """Measure against height and width."""
    results = sweep("size", arguments.sizes, arguments.passes, n=1000, batch_size=64, seconds=arguments.seconds)
    exponents = {"seconds a step by pixels": exponent(results, "seconds a step", x=lambda side: side**2)}
    quantities = ("seconds a step", "images/s", "training MB", "peak MB")
    show("1,000 images of other sizes, in batches of 64", results, quantities, exponents)
    fixed, slope = memory_line(results, x=lambda side: side**2)
    print(f"memory of training: {fixed:.0f} MB, and {1000 * slope:.1f} MB for each 1,000 pixels of an image")
    return {
        "points": results,
        "exponents": exponents,
        "memory": {"fixed MB": fixed, "MB a thousand pixels": 1000 * slope},
    }


def batch(arguments):
    """Measure against the batch."""
    n = max(2048, *arguments.batches)
    results = sweep("batch_size", arguments.batches, arguments.passes, n=n, size=28, seconds=arguments.seconds)
    exponents = {"seconds a step": exponent(results, "seconds a step")}
    quantities = ("seconds a step", "images/s", "training MB", "peak MB")
    show(f"Batches from {n:,} images of 28 x 28", results, quantities, exponents)
    fixed, slope = memory_line(results)
    print(f"memory of training: {fixed:.0f} MB, and {slope:.2f} MB for each image of the batch")
    return {"points": results, "exponents": exponents, "memory": {"fixed MB": fixed, "MB an image": slope}}


def samples(arguments):
    """Measure the metrics against the number of samples in each of both sets."""
    found = {}
    for metric in METRICS:
        results = sweep(
            "samples", arguments.samples, arguments.passes, metric=metric, repetitions=arguments.repetitions
        )
        exponents = {name: exponent(results, name) for name in ("seconds", "growth MB")}
        show(
            f"{metric}, as many real as generated samples of {FEATURES} features",
            results,
            *[("seconds", "growth MB"), exponents],
        )
        found[metric] = {"points": results, "exponents": exponents}
    return found


PARTS = {"images": images, "size": size, "batch": batch, "metrics": samples}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--passes", type=int, default=3, help="over all points of a sweep")
    parser.add_argument("--seconds", type=float, default=3.0, help="of training for each point and pass")
    parser.add_argument("--repetitions", type=int, default=1, help="of each metric in a pass")
    for name, values in (("images", IMAGES), ("sizes", SIZES), ("batches", BATCHES)):
        parser.add_argument(f"--{name}", nargs="+", type=int, default=list(values), metavar="N")
    samples_help = "for the metrics; at least 1,000, the size of the kernel distance's subsets"
    parser.add_argument("--samples", nargs="+", type=int, default=list(SAMPLES), metavar="N", help=samples_help)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    results = {part: PARTS[part](arguments) for part in arguments.only}
    common.write_json(arguments.json, {"settings": common.settings(arguments), "results": results})


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        common.serve({"train": train, "evaluate": evaluate})
    else:
        main()
