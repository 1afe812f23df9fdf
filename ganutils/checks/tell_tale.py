"""Check 5 of assignment 01: a discriminator that ends in a sigmoid although the loss expects logits."""

import keras
import numpy as np
from keras import ops

from .expectations import expect
from .feedback import Wrong, check

LOGITS = "lesson 01, *From formulas to logits*"
ACCURACY = "lesson 01, *Reading the losses*"


def _softplus(logit):
    return np.logaddexp(0, logit)


def _sigmoid(logit):
    return np.exp(-_softplus(-logit))


@check("5 · The lowest loss", LOGITS)
def lowest_loss(answer, seed=0):
    """`answer()`: the value below which the loss of a discriminator that ends in a sigmoid cannot go."""
    on_real, on_fake = _softplus(-1.0), _softplus(0.0)
    mistakes = [
        (0.0, "the loss is 0 only for logits without limits; which outputs can this network give?"),
        (2 * _softplus(-1.0), "an output of -1 for generated images, which a sigmoid cannot give"),
        (2 * on_fake, "an output of 0 for every image; real images can have up to 1"),
        (_softplus(-0.5) + _softplus(0.5), "a network that is undecided, with an output of 0.5 for every image"),
        (_softplus(0.0) + _softplus(1.0), "the *highest* loss: the outputs for the two kinds have changed places"),
        ((on_real + on_fake) / 2, "the loss is the sum of the two means, not their mean"),
        (on_real, "generated images are missing: at their best output, 0, they have a loss as well"),
        (on_fake, "real images are missing: at their best output, 1, they have a loss as well"),
    ]
    otherwise = "put the best output for each kind into the formula of the loss, as if it were a logit"
    what = "the value below which the discriminator's loss cannot go"
    expect(what, answer(), on_real + on_fake, LOGITS, mistakes, otherwise, secret=True, atol=2e-3)


def _discriminator(activation):
    """Return the discriminator of the task, ending in an activation."""
    hidden = [keras.layers.Dense(32, "leaky_relu"), keras.layers.Dense(32, "leaky_relu")]
    return keras.Sequential([keras.Input((2,)), *hidden, keras.layers.Dense(1, activation)])


@check("5 · The repaired discriminator", LOGITS)
def repaired_discriminator(answer, seed=0):
    """`answer()`: a new network like the broken one, with the same weights, that gives logits."""
    keras.utils.set_random_seed(seed)
    right, repaired = _discriminator(None), answer()
    if not isinstance(repaired, keras.Model):
        got = f"an object of type {type(repaired).__name__}"
        raise Wrong("a keras.Model", got, "the function does not return its network", LOGITS)
    shapes = [[weight.shape for weight in network.get_weights()] for network in (right, repaired)]
    if shapes[0] != shapes[1]:
        because = "only the end of the network is at fault: keep its layers, with their sizes, and change no other one"
        raise Wrong(f"weights of the shapes {shapes[0]}", f"{shapes[1]}", because, LOGITS)
    # Weights so large that some logits are near 50: their sigmoids round to 0 and 1.
    right.set_weights([4 * weight for weight in right.get_weights()])
    repaired.set_weights(right.get_weights())
    points = ops.convert_to_tensor(np.random.default_rng(seed).normal(0, 2, (200, 2)).astype("float32"))
    logits, got = (ops.convert_to_numpy(network(points)).astype("float64") for network in (right, repaired))
    if not np.isfinite(got).all():
        because = "the logit is computed from the probability, which has rounded to 0 or 1; leave the sigmoid out"
        raise Wrong("finite logits", "infinite ones, or NaN", because, LOGITS)
    narrow = "so that a logit cannot say how sure the network is"
    expect(
        "the outputs for 200 points, with the weights of the broken network",
        got,
        logits,
        LOGITS,
        [
            (
                _sigmoid(logits),
                f"there is still a sigmoid: every output is above 0, so counted as *real* ({ACCURACY})",
            ),
            (np.ones_like(logits), "a softmax over a single number is always 1"),
            (np.tanh(logits), f"a tanh: all outputs lie between -1 and 1, {narrow}"),
            (2 * _sigmoid(logits) - 1, f"a sigmoid that is stretched to [-1, 1], {narrow}"),
            (_sigmoid(logits) - 0.5, f"a sigmoid that is moved to [-0.5, 0.5], {narrow}"),
            (np.maximum(logits, 0), "a ReLU: no output is below 0, so that no image is counted as generated"),
            (_softplus(logits), "a softplus: every output is above 0, and counted as *real*"),
            (
                -_softplus(-logits),
                "a logarithm of the sigmoid: no output is above 0, so none is counted as *real*",
            ),
            (-logits, "the sign is wrong: a high logit means *real*"),
        ],
        otherwise="the layers before the last one must do what they did",
        rtol=1e-3,
        atol=1e-3,
    )
