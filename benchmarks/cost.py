"""How time and memory grow: of training with images, image size and batch, of metrics with samples.

    python benchmarks/cost.py                              all four
    python benchmarks/cost.py --only images batch --seconds 2 --json cost.json

Each point is measured in a process of its own, in several passes over all points of a sweep; what is shown are
medians over the passes. Training is that of lesson 02's fast DCGAN through `fit`, in float32; `growth` is by how much
the peak of the process' memory rises from before the images are made or the networks built.

The exponents are fits of y = factor · x^exponent by least squares of the logarithms: 1 means that twice as much costs
twice as much. They belong to the larger half of the points, since a fixed part hides the growth among the smaller ones.
The memory of training has a large fixed part, and so gets a straight line instead.
"""

import argparse
import math
import statistics
import sys
import time

import common
import report

FEATURES = 128
METRICS = ["frechet_distance", "kernel_distance", "precision_recall", "density_coverage", "nearest_neighbour_accuracy"]


def networks(size, latent_dim=32, kernel_size=4):
    """Return a generator and a discriminator of the fast DCGAN's kind for images of another size.

    As in Radford, Metz and Chintala 2016, channels double whenever height and width are halved: 32 at half of the
    image's size, up to the layer of 7 x 7. For 28 x 28 these are `models.fast_dcgan_generator` and its opponent.

    Args:
        size: height and width, 7 times a power of 2.
    """
    import keras
    from keras import layers

    from ganutils import models

    filters = [32 * 2**level for level in range((size // 7).bit_length() - 1)]
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
    peak, step = lessons.peak_memory_mb(), clock.elapsed / clock.steps
    return {
        "seconds a step": step,
        "seconds an epoch": step * (n // batch_size),
        "images/s": batch_size / step,
        "array MB": images.nbytes / 1e6,
        "growth MB": peak - before_images,
        "training MB": peak - before_training,
    }


def evaluate(metric, samples):
    """Compute a metric of random features in a worker; returns seconds and the growth of memory."""
    import numpy as np

    from ganutils import lessons, metrics

    real, fake = np.random.default_rng(0).standard_normal((2, samples, FEATURES))
    before = lessons.peak_memory_mb()
    for _ in range(2):  # the first call also loads libraries
        start = time.perf_counter()
        getattr(metrics, metric)(real, fake)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "growth MB": lessons.peak_memory_mb() - before}


def sweep(function, parameter, values, passes, **arguments):
    """Return the medians over some passes of a worker's function for each value, as {value: dict}."""
    found = {value: [] for value in values}
    for _ in range(passes):
        for value in values:
            with common.Worker(__file__) as worker:
                found[value].append(worker.call(function, **{**arguments, parameter: value}))
        print(f"  {parameter} {', '.join(f'{value:,}' for value in values)}: done", flush=True)
    return {
        value: {quantity: statistics.median(row[quantity] for row in rows) for quantity in rows[0]}
        for value, rows in found.items()
    }


def exponent(results, quantity, power=1):
    """Return the exponent with which a quantity of `sweep` grows with value**power over the larger half of the points.

    None where a value is not above 0: nothing grew.
    """
    larger = sorted(results)[-max(2, len(results) // 2) :]
    values = [results[key][quantity] for key in larger]
    if min(values) <= 0:
        return None
    return statistics.linear_regression([power * math.log(key) for key in larger], list(map(math.log, values))).slope


def memory_line(results, quantity="training MB", power=1):
    """Return the straight line of a memory over value**power: (megabytes at 0, megabytes for each one more)."""
    values = [row[quantity] for row in results.values()]
    slope, fixed = statistics.linear_regression([key**power for key in results], values)
    return fixed, slope


def images(values, seconds, passes):
    """Measure training against the number of images of 28 x 28."""
    results = sweep("train", "n", values, passes, size=28, batch_size=64, seconds=seconds)
    exponents = {name: exponent(results, name) for name in ("seconds a step", "seconds an epoch")}
    slope = 1e6 * memory_line(results, "growth MB")[1]
    return {"points": results, "exponents": exponents, "bytes an image": slope}


def size(values, seconds, passes):
    """Measure training against height and width, with 1,000 images."""
    results = sweep("train", "size", values, passes, n=1000, batch_size=64, seconds=seconds)
    exponents = {"seconds a step by pixels": exponent(results, "seconds a step", power=2)}
    fixed, slope = memory_line(results, power=2)
    memory = {"fixed MB": fixed, "MB a thousand pixels": 1000 * slope}
    return {"points": results, "exponents": exponents, "memory": memory}


def batch(values, seconds, passes):
    """Measure training against the batch, with 2,048 images of 28 x 28."""
    results = sweep("train", "batch_size", values, passes, n=2048, size=28, seconds=seconds)
    exponents = {"seconds a step": exponent(results, "seconds a step")}
    fixed, slope = memory_line(results)
    return {"points": results, "exponents": exponents, "memory": {"fixed MB": fixed, "MB an image": slope}}


def metrics(values, seconds, passes):
    """Measure the metrics against the number of samples, as many real as generated ones."""
    found = {}
    for metric in METRICS:
        results = sweep("evaluate", "samples", values, passes, metric=metric)
        exponents = {name: exponent(results, name) for name in ("seconds", "growth MB")}
        found[metric] = {"points": results, "exponents": exponents}
    return found


# What is measured, and at which numbers of it; those of the metrics are 1,000 at least, the size of the kernel
# distance's subsets.
PARTS = {
    images: (1_000, 10_000, 60_000, 300_000),
    size: (14, 28, 56, 112),
    batch: (16, 32, 64, 128, 256, 512),
    metrics: (1_000, 2_500, 5_000, 10_000),
}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [part.__name__ for part in PARTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--passes", type=int, default=3, help="over all points of a sweep")
    parser.add_argument("--points", type=int, default=9, help="of each sweep, the first ones; at least 2")
    parser.add_argument("--seconds", type=float, default=3.0, help="of training for each point and pass")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args(arguments)


def main():
    arguments = parse()
    results = {
        part.__name__: part(values[: arguments.points], arguments.seconds, arguments.passes)
        for part, values in PARTS.items()
        if part.__name__ in arguments.only
    }
    found = {"settings": common.settings(arguments), "results": results}
    print("\n" + report.cost(found))
    common.write_json(arguments.json, found)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        common.serve({"train": train, "evaluate": evaluate})
    else:
        main()
