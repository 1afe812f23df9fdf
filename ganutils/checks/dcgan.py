"""Checks of assignment 02: multiplications, R2 penalty, drawing, diagnosis of curves, a race against a baseline."""

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from IPython.display import display
from keras import ops

from ganutils import losses

from .expectations import expect, number, tensor
from .feedback import NOT_YET, Feedback, Wrong, check
from .race import COUNT, TASK, multiplications_of_a_step, race, recipe  # noqa: F401 - task 6

PENALTY = "lesson 02, *A leash for the discriminator*"
TRAPS = "lesson 02, *Batch normalisation and its three traps*"
RANGE = "lesson 01, *The two networks*"
READING = "lesson 01, *Reading the losses*"

CURVES_FILE = "loss_curves.json"
FAULTS = (
    "healthy",
    "one sigmoid too many",
    "discriminator never trains",
    "discriminator far ahead",
    "targets flipped",
    "mode collapse",
)


@check("1 · Count before you wait", COUNT)
def multiplications(answer):
    """`answer(height, width, channels_in, channels_out, kernel_size, stride, transposed)`, to a whole number."""
    cases = ((28, 28, 1, 32, 4, 2), (7, 5, 64, 16, 3, 2), (28, 10, 3, 8, 5, 3), (8, 6, 4, 2, 3, 1))
    for height, width, channels_in, channels_out, kernel, stride in cases:
        for transposed in (False, True):
            here = height * width
            there = here * stride**2 if transposed else -(-height // stride) * -(-width // stride)
            weights = kernel**2 * channels_in * channels_out
            positions, others = (here, there) if transposed else (there, here)
            kind = "transposed convolution" if transposed else "convolution"
            expect(
                f"{kind} from {height} × {width} × {channels_in} to {channels_out} channels, kernel {kernel}, "
                f"stride {stride}",
                answer(height, width, channels_in, channels_out, kernel, stride, transposed),
                weights * positions,
                COUNT,
                [
                    (
                        weights * others,
                        "counted at the wrong side: a convolution at its output, a transposed one at its input",
                    ),
                    (weights, "these are the weights; each is used once for every position of the kernel"),
                    (weights * positions // kernel, "a kernel has two sides: its size enters squared"),
                    (weights // channels_in * positions, "each output channel looks at all channels of the input"),
                    (weights // channels_out * positions, "this is for one output channel only"),
                    (height * width // stride**2 * weights, "the output has as many pixels as fit, rounded up"),
                    (weights * -(-height * width // stride), "the stride shrinks height *and* width"),
                ],
                otherwise="the number of weights of the kernel, times the number of its positions",
                rtol=1e-9,
            )


@check("2 · The R2 penalty", PENALTY)
def r2_penalty(answer, seed=0):
    """`answer(discriminator, generator, latents, gamma)`: models, latents (n, d) and a number, to a scalar."""
    keras.utils.set_random_seed(seed)
    generator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(16, "tanh"), keras.layers.Reshape((4, 4, 1))])
    latents = tf.random.stateless_normal((6, 3), (seed, 1))
    linear = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    kernel = linear.layers[-1].kernel
    with tf.GradientTape(persistent=True) as tape:
        try:
            penalty = answer(linear, generator, latents, 0.5)
        except (TypeError, ValueError) as error:
            if not any(
                sign in str(error) for sign in ("'NoneType'", "None values not supported", "convert a value (None)")
            ):
                raise
            because = (
                "the tape was not told to watch the images, or they are cut off between there and the discriminator: "
                "then there are no slopes"
            )
            raise Wrong("a slope for each pixel", f"{type(error).__name__}: {error}"[:150], because, PENALTY) from None
    tensor(penalty, "the penalty", PENALTY)
    slope = ops.convert_to_numpy(kernel).ravel().astype("float64")
    squared, length = slope @ slope, np.linalg.norm(slope)
    by_weights = ops.convert_to_numpy(ops.sum(generator(latents), axis=0)).ravel()
    expect(
        "the penalty of a linear discriminator, γ = 0.5",
        penalty,
        squared / 4,
        PENALTY,
        [
            (squared / 2, "the factor one half is missing"),
            (length / 4, "the norm of the slope is not squared"),
            (length / 2, "the norm of the slope is not squared, and the factor one half is missing"),
            (squared / 64, "a mean over pixels; the squared norm is their sum"),
            (squared / 4 * 6, "a sum over images; the penalty is their mean"),
            (
                squared / 4 / 36,
                "the gradient of the *mean* logit: each image's slope is then divided by the batch size",
            ),
            ((length - 1) ** 2 / 4, "a pull towards slopes of length 1: that is another penalty, of Wasserstein GANs"),
            ((length - 1) ** 2 / 2, "a pull towards slopes of length 1: that is another penalty, of Wasserstein GANs"),
            (
                by_weights @ by_weights / 4,
                "the gradient with respect to the discriminator's weights; it is with respect to the *images*",
            ),
            (
                _squared_slopes_by_latents(linear, generator, latents) / 4,
                "the gradient with respect to the latents; it is with respect to the *images*",
            ),
        ],
        otherwise="γ/2, times the mean over images of the sum over pixels of the squared gradient",
    )
    by_kernel = tape.gradient(penalty, kernel)
    if by_kernel is None:
        because = "the slopes leave TensorFlow, or a `stop_gradient` cuts *them* off: then the penalty trains nothing"
        raise Wrong("a gradient of the penalty with respect to the discriminator's weights", "None", because, PENALTY)
    expect("that gradient, for the linear discriminator", ops.reshape(by_kernel, (16,)), 0.5 * slope, PENALTY)
    curved = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    curved.build((None, 4, 4, 1))
    expected = losses.R1(2.0)(curved, generator(latents), None)
    with tf.GradientTape() as tape:
        penalty = answer(curved, generator, latents, 2.0)
    expect("the penalty of a network with a hidden layer, γ = 2", penalty, expected, PENALTY)
    reached = tape.gradient(penalty, generator.trainable_weights)
    if any(gradient is not None and np.abs(ops.convert_to_numpy(gradient)).max() > 0 for gradient in reached):
        because = "the images are still tied to the generator: cut them loose before you take the slopes"
        raise Wrong(
            "no gradient with respect to the generator's weights: the penalty is the discriminator's",
            "one",
            because,
            PENALTY,
        )


def _squared_slopes_by_latents(discriminator, generator, latents):
    with tf.GradientTape() as tape:
        tape.watch(latents)
        total = ops.sum(discriminator(generator(latents)))
    return float(ops.mean(ops.sum(tape.gradient(total, latents) ** 2, axis=1)))


def _small_generator(seed):
    """Return a generator with batch normalisation whose moving averages differ from those of a batch."""
    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(16),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Activation("tanh"),
            keras.layers.Reshape((4, 4, 1)),
        ]
    )
    network.layers[1].set_weights([np.linspace(0.5, 2, 16), np.linspace(-1, 1, 16), np.full(16, 0.3), np.full(16, 2.0)])
    return network


@check("3 · Repair the drawing", RANGE)
def draw(answer, seed=0):
    """`answer(generator, latents)`: a model to [-1, 1] and latents (n, d), to uint8 images (n, h, w, 1)."""
    generator = _small_generator(seed)
    latents = np.random.default_rng(seed).standard_normal((12, 3)).astype("float32")
    before = [weight.copy() for weight in generator.get_weights()]
    drawn = answer(generator, latents)
    number(drawn, "images", RANGE)
    came = np.asarray(ops.convert_to_numpy(drawn))
    if came.dtype != np.uint8:
        raise Wrong("images of type uint8", str(came.dtype), "the last step, to whole numbers, is missing", RANGE)
    if came.shape != (12, 4, 4, 1):
        raise Wrong("images of the shape (12, 4, 4, 1)", str(came.shape), "an axis was lost or added", RANGE)
    grey = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, use_bias=True), keras.layers.Reshape((2, 2, 1))])
    grey.layers[0].set_weights([np.zeros((3, 4)), np.array([-1.0, -0.5, 0.0, 1.0])])
    levels = np.asarray(ops.convert_to_numpy(answer(grey, latents)), "float64")[0].ravel()
    wrapped = np.array([-1.0, -0.5, 0.0, 1.0]) * 255
    expect(
        "the grey values for outputs of -1, -0.5, 0 and 1",
        levels,
        [0, 64, 127.5, 255],
        RANGE,
        [
            (wrapped % 256 // 1, "tanh's -1 to 1 was taken for 0 to 1; negative numbers wrap round in uint8"),
            (wrapped.clip(0), "tanh's -1 to 1 was taken for 0 to 1; all dark greys are lost"),
            ([0, 127, 255, 254], "the range is moved but not scaled: x + 1 goes up to 2"),
            ([0, 127.5, 255, 255], "the range is moved but not scaled: x + 1 goes up to 2"),
        ],
        otherwise="map -1 to 0 and 1 to 255",
        rtol=0,
        atol=1.01,
    )
    alone = np.asarray(ops.convert_to_numpy(answer(generator, latents[:1])), "float64")
    if np.abs(alone[0] - came[0]).max() > 1:
        because = "batch normalisation in training mode uses the statistics of the batch: draw with training=False"
        raise Wrong("the same image for a latent vector, alone or in a batch", "two different ones", because, TRAPS)
    if any((old != new).any() for old, new in zip(before, generator.get_weights(), strict=True)):
        because = "in training mode each call moves the moving averages"
        raise Wrong("drawing changes nothing in the generator", "its moving averages have moved", because, TRAPS)


def loss_curves():
    """Return five recorded trainings, "A" to "E": dicts of lists as in `callbacks.Curves.history`.

    `instructor/record_loss_curves.py` made them. They are next to the notebook, or else in the course's folder.

    Raises:
        FileNotFoundError: they are in neither place.
    """
    course = Path(__file__).resolve().parents[2] / "exercises" / "02_dcgan"
    path = next((folder / CURVES_FILE for folder in (Path(), course) if (folder / CURVES_FILE).is_file()), None)
    if path is None:
        raise FileNotFoundError(
            f"{CURVES_FILE} is missing: it came with this notebook, and must be in the same folder; unpack both again"
        )
    return json.loads(path.read_text(encoding="utf-8"))["curves"]


@check("4 · Five trainings", READING)
def diagnosis(answer):
    """`answer()`: a dict from each letter to one of `FAULTS`. Only the form is checked here, not the answers."""
    given = answer()
    form = "the form is right; whether the answers are, the tests on other inputs say"
    letters = list(loss_curves())
    if not isinstance(given, dict):
        because = "the function returns something else, or nothing"
        raise Wrong("a dict of letters and faults", f"an object of type {type(given).__name__}", because, TASK)
    if sorted(map(str, given)) != letters:
        raise Wrong(
            f"the letters {', '.join(letters)}",
            ", ".join(map(str, given)) or "none",
            "one is missing, or too many, or is no capital letter",
            TASK,
        )
    for letter, fault in given.items():
        if fault not in FAULTS:
            raise Wrong(
                f"one of {', '.join(FAULTS)}", f"{letter}: {fault!r}", "a fault must be written as in the list", TASK
            )
    return form


def share_of_right_diagnoses(given, right, signs):
    """Return the share of points for a diagnosis: all for five right letters, none for one.

    For each wrong letter it shows what the fault that was named looks like, and not which one is right.

    Args:
        given, right: dicts from letters to `FAULTS`.
        signs: dict from `FAULTS` to what the curves show.
    """
    wrong = [letter for letter, fault in right.items() if given.get(letter) != fault]
    if wrong:
        signs = [(f"{letter}, {given.get(letter)}", signs.get(given.get(letter), "no such fault")) for letter in wrong]
        display(Feedback("What the faults that you have named would look like", NOT_YET, signs))
    return max(0, len(right) - len(wrong) - 1) / (len(right) - 1)
