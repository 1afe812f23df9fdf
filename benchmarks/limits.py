"""What the arithmetic and the memory of this machine allow a training step at best.

    python benchmarks/limits.py      both pairs of networks, rates of this machine

Operations are counted from the layers' shapes, two for a multiplication and its addition (as LINPACK and Goodfellow,
Bengio and Courville 2016, chapter 6, count them). A dense layer from a to b numbers takes 2 a b operations an image,
a convolution 2 · taps · a · b, where a and b are its channels and taps the number of pairs of an output pixel and a
kernel pixel (Dumoulin and Visin 2016). A transposed convolution is the gradient of the convolution that leads back,
and takes as many. The gradient by the inputs and the gradient by the weights cost each as much as the layer itself.

Taps that fall on padding multiply zeros. They are counted in `padded` and left out of `needed`.
"""

import ganutils  # noqa: F401  # isort: skip  (before Keras, to keep TensorFlow quiet)

import argparse
import math
import time

import common
import keras
import tensorflow as tf

FLOAT_BYTES = 4

# How often a training step goes at least through each network, per image of a batch. "image" is the gradient that
# leaves the discriminator through its first layer; "backward" are the other gradients by inputs, "weights" those by
# weights. Both losses give an image's logit a gradient, and everything below the logit is proportional to it as long
# as images do not mix. So one pass back for generated images serves both players, and nothing can do with less.
PASSES = {
    "generator": {"forward": 1, "backward": 1, "weights": 1, "image": 0},
    "discriminator": {"forward": 2, "backward": 2, "weights": 2, "image": 1},
}


def taps(size, kernel, stride):
    """Return the pairs of output pixel and kernel pixel of a "same" convolution along one axis: (needed, padded).

    The padding is TensorFlow's: ceil(size / stride) outputs, half the missing pixels before, the rest after.
    """
    outputs = math.ceil(size / stride)
    before = max((outputs - 1) * stride + kernel - size, 0) // 2
    positions = [output * stride + tap - before for output in range(outputs) for tap in range(kernel)]
    return sum(0 <= position < size for position in positions), len(positions)


def layer_operations(layer):
    """Return the operations of a layer's forward pass for one image: {"needed": …, "padded": …}.

    Convolutions are "same". Layers without a kernel count as 0: memory bounds them; see `layer_bytes`.
    """
    if isinstance(layer, keras.layers.Dense):
        return dict.fromkeys(("needed", "padded"), 2 * math.prod(layer.kernel.shape))
    if not isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
        return {"needed": 0, "padded": 0}
    back = isinstance(layer, keras.layers.Conv2DTranspose)
    large = (layer.output if back else layer.input).shape[1:3]
    rows, columns = (taps(*axis) for axis in zip(large, layer.kernel_size, layer.strides, strict=True))
    channels = math.prod(layer.kernel.shape[2:])
    return {"needed": 2 * rows[0] * columns[0] * channels, "padded": 2 * rows[1] * columns[1] * channels}


def step_operations(generator, discriminator, batch_size):
    """Return the operations of one training step: {"needed": …, "padded": …}."""
    total = {"needed": 0, "padded": 0}
    for role, network in (("generator", generator), ("discriminator", discriminator)):
        passes = PASSES[role]
        layers = [layer for layer in network.layers if layer_operations(layer)["padded"]]
        for layer in layers:
            back = passes["image"] if layer is layers[0] else passes["backward"]
            for kind, operations in layer_operations(layer).items():
                total[kind] += batch_size * operations * (passes["forward"] + passes["weights"] + back)
    return total


def layer_bytes(layer):
    """Return the bytes that a layer without a kernel must move for one image: (forward, backward).

    Each array is read or written once wherever it is needed, float32, n numbers of 4 bytes:

    - activations: read n, write n; back: read the gradient and the output, write a gradient;
    - dropout: read n, write n and a mask of 1 byte each; back: read the gradient and the mask, write a gradient;
    - batch normalisation: read n for the mean and the variance and again to normalise, write n; back: read inputs
      and gradients for their sums and again for the result, write it (Ioffe and Szegedy 2015, section 3).

    Code that fuses neighbours moves less. Reshaping moves nothing.
    """
    n = math.prod(layer.output.shape[1:])
    whole = FLOAT_BYTES * n
    if isinstance(layer, keras.layers.BatchNormalization):
        return 3 * whole, 5 * whole
    if isinstance(layer, keras.layers.Dropout):
        return (2 * whole + n, 2 * whole + n) if layer.rate else (0, 0)
    activation = getattr(layer, "activation", None)
    if isinstance(layer, keras.layers.LeakyReLU | keras.layers.ReLU) or activation not in (
        None,
        keras.activations.linear,
    ):
        return 2 * whole, 3 * whole
    return 0, 0


def step_bytes(generator, discriminator, batch_size):
    """Return the bytes that layers without arithmetic and Adam must move in one training step.

    Adam reads weight, gradient and two moments and writes weight and moments (Kingma and Ba 2015, algorithm 1):
    7 numbers a weight.
    """
    total = 0
    for role, network in (("generator", generator), ("discriminator", discriminator)):
        passes = PASSES[role]
        for layer in network.layers:
            forward, backward = layer_bytes(layer)
            total += batch_size * (forward * passes["forward"] + backward * passes["backward"])
        total += 7 * FLOAT_BYTES * sum(math.prod(weight.shape) for weight in network.trainable_weights)
    return total


def _best_seconds(function, seconds):
    function()
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


# Squares, and what a convolution of the familiar networks comes to when its windows are laid out as rows.
MATMUL_SHAPES = ((512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (6272, 1600, 128), (6272, 3200, 64))


def matmul_rate(seconds):
    """Return the most operations a second that tf.matmul reaches here: 2 m k n for (m, k) times (k, n).

    Args:
        seconds: spent on each of `MATMUL_SHAPES`; the best single product counts.
    """
    product = tf.function(tf.matmul)
    rates = []
    for m, k, n in MATMUL_SHAPES:
        left, right = tf.random.normal((m, k)), tf.random.normal((k, n))
        rates.append(2 * m * k * n / _best_seconds(lambda a=left, b=right: product(a, b), seconds))
    return max(rates)


def bandwidth(seconds, megabytes=(0.5, 2, 8, 32, 256)):
    """Return the most bytes a second of a triad or a copy, over arrays of several sizes.

    The triad a ← a - s b reads two arrays and writes one in place (McCalpin 1995, STREAM); the copy (the negative,
    since TensorFlow copies no tensor) reads one and writes a new one, as layers do. Small arrays stay in caches,
    as the activations of small networks do.
    """
    rates = []
    for size in megabytes:
        numbers = int(size * 1e6 / FLOAT_BYTES)
        triad, copy, source = _triad(numbers), tf.function(tf.negative), tf.ones(numbers)
        rates.append(FLOAT_BYTES * numbers * 3 / _best_seconds(triad, seconds))
        rates.append(FLOAT_BYTES * numbers * 2 / _best_seconds(lambda copy=copy, x=source: copy(x), seconds))
    return max(rates)


def _triad(numbers):
    variable, other = tf.Variable(tf.zeros(numbers)), tf.ones(numbers)

    @tf.function
    def step():
        tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=1e-9, delta=other)

    return step


def step_limit(operations, moved, operations_a_second, bytes_a_second):
    """Return the least seconds of a step: (for its arithmetic alone, with the memory traffic after it)."""
    arithmetic = operations / operations_a_second
    return arithmetic, arithmetic + moved / bytes_a_second


def measure(seconds=0.1):
    """Return this machine's rates at this moment, as a dict."""
    return {"float32 operations/s": matmul_rate(seconds), "bytes/s": bandwidth(seconds)}


def count(architecture):
    """Return operations and bytes of a step of "familiar" or "fast"."""
    import peers

    networks = peers.networks(architecture)
    return {**step_operations(*networks), "bytes": step_bytes(*networks), "batch": networks[-1]}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each measurement of a rate")
    return parser.parse_args(arguments)


def main():
    rates = measure(parse().seconds)
    print(", ".join(f"{common.number(rate / 1e9)} · 10⁹ {name}" for name, rate in rates.items()))
    rows = []
    for architecture in common.ARCHITECTURES:
        work = count(architecture)
        least = step_limit(work["needed"], work["bytes"], *rates.values())
        numbers = work["needed"] / 1e9, work["padded"] / 1e9, work["bytes"] / 1e6, *(work["batch"] / s for s in least)
        rows.append([architecture, *map(common.number, numbers)])
    headings = ["networks", "10⁹ needed", "10⁹ padded", "MB", "images/s", "with memory"]
    print("\nOne step at that rate:\n" + common.table(headings, rows))


if __name__ == "__main__":
    main()
