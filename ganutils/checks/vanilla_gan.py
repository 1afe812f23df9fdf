"""Checks of assignment 01: value function, best discriminator, loss from logits, training step; and task 5."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from .expectations import expect, tensor
from .feedback import Wrong, check
from .tell_tale import lowest_loss, repaired_discriminator  # noqa: F401 - task 5

VALUE = "lesson 01, *The value function, and where it comes from*"
BEST = "lesson 01, *The best discriminator*"
LOGITS = "lesson 01, *From formulas to logits*"
STEP = "lesson 01, *The training step, by hand*"
TRAP = "lesson 01, *The trap: a loop that trains the wrong network*"
SATURATION = "lesson 01, *Two losses for the generator*"


def _of_unequal_numbers(answer, real, fake, *others, what, read):
    """Return an answer for two kinds of images that are not equally many."""
    try:
        return answer(real, fake, *others)
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        if not any(sign in str(error) for sign in ("broadcast", "Incompatible shapes")):
            raise
        came = f"{type(error).__name__}, since {len(real)} and {len(fake)} entries cannot be added"
        raise Wrong(what, came, "each kind needs a mean of its own *before* the two are added", read) from None


@check("1 · The value function", VALUE)
def value_function(answer, seed=0):
    """`answer(real_probabilities, fake_probabilities)`: two arrays in (0, 1), (n,) and (m,), to V(D, G)."""
    rng = np.random.default_rng(seed)
    real, fake = rng.uniform(0.6, 0.95, 6), rng.uniform(0.1, 0.4, 3)
    log_real, log_right = np.log(real), np.log(1 - fake)
    value = log_real.mean() + log_right.mean()
    together = np.concatenate([log_real, log_right])
    expect(
        "V for six real and three generated images",
        _of_unequal_numbers(answer, real, fake, what="V for six real and three generated images", read=VALUE),
        value,
        VALUE,
        [
            (together.mean(), "one mean over all images: V has a mean for each kind, whatever their numbers"),
            (together.sum(), "a sum over images: the value function is made of two means"),
            (value / 2, "the sum of the two means, not their mean"),
            (-value, "this is the discriminator's loss, -V; here V itself is asked for"),
            (log_real.mean() + np.log(fake).mean(), "log D(G(z)) for generated images; it is log(1 - D(G(z)))"),
            (log_real.mean() - np.log(fake).mean(), "minus log D(G(z)) for generated images; it is log(1 - D(G(z)))"),
            (np.log(1 - real).mean() + np.log(fake).mean(), "the two kinds have changed places"),
            (value / np.log(2), "a logarithm to base 2; all logarithms of the course are natural"),
            (value / np.log(10), "a logarithm to base 10; all logarithms of the course are natural"),
        ],
    )
    half = np.full(4, 0.5)
    expect("V where D is one half everywhere", answer(half, half), -2 * np.log(2), VALUE)


@check("2 · The best discriminator for uneven batches", BEST)
def best_discriminator(answer, seed=0):
    """`answer(data_density, generator_density, real_share)`: two arrays (n,) and a number, to D* (n,)."""
    rng = np.random.default_rng(seed)
    data_density, generator_density = rng.uniform(0.1, 2.0, (2, 5))
    tried = np.linspace(0.0005, 0.9995, 1000)[:, None]
    for share in (0.5, 0.8):
        value = share * data_density * np.log(tried) + (1 - share) * generator_density * np.log(1 - tried)
        best = tried[value.argmax(axis=0), 0]
        a, swapped = share * data_density, (1 - share) * data_density
        swapped = swapped / (swapped + share * generator_density)
        expect(
            f"the D with the highest value at five points, with a share of real images of {share}",
            answer(data_density, generator_density, share),
            best,
            BEST,
            [
                (1 - best, "the two densities have changed places: D is the probability of *real*"),
                (data_density / (data_density + generator_density), "the share of real images has no effect here"),
                (
                    a / (a + generator_density),
                    "the share belongs to real images, and what is left of 1 to generated ones",
                ),
                (swapped, "the share has gone to the generated images"),
                (data_density / generator_density, "a ratio of the two; D* is the part of real images in the sum"),
                (a / ((1 - share) * generator_density), "a ratio of the two; D* is the part of real images in the sum"),
            ],
            otherwise="set the derivative of the value at one point to zero, and solve for D",
            rtol=0,
            atol=2e-3,
        )


@check("3 · A loss from logits", LOGITS)
def discriminator_loss(answer, seed=0):
    """`answer(real_logits, fake_logits, smoothing)`: tensors (n, 1), (m, 1), a number in [0, 0.5), to a scalar."""
    rng = np.random.default_rng(seed)
    real, fake = rng.normal(1, 1, (6, 1)).astype("float32"), rng.normal(-1, 1, (4, 1)).astype("float32")
    for smoothing in (0.0, 0.1):
        on_real, on_fake = _losses(real, 1 - smoothing), _losses(fake, 0)
        both = np.concatenate([on_real, on_fake])
        flipped = _losses(real, smoothing).mean() + _losses(fake, 1).mean()
        what = f"the loss of six real and four fake logits with a smoothing of {smoothing}"
        tensors = ops.convert_to_tensor(real), ops.convert_to_tensor(fake)
        entropy = keras.losses.BinaryCrossentropy()  # of probabilities
        as_probabilities = entropy(np.full_like(real, 1 - smoothing), real) + entropy(np.zeros_like(fake), fake)
        expect(
            what,
            _of_unequal_numbers(answer, *tensors, smoothing, what=what, read=LOGITS),
            on_real.mean() + on_fake.mean(),
            LOGITS,
            [
                (as_probabilities, "logits were taken for probabilities: is `from_logits=True` missing?"),
                (flipped, "the targets are flipped: real images are 1, generated ones 0"),
                (_losses(real, 0).mean() + _losses(fake, 1).mean(), "the targets are flipped: real images are 1"),
                (both.mean(), "one mean over all logits; each kind has a mean of its own"),
                ((on_real.mean() + on_fake.mean()) / 2, "the loss is the sum of the two means, not their mean"),
                (both.sum(), "a sum over the batch: the loss would grow with the batch size"),
                (on_real.mean(), "generated images are missing"),
                (on_fake.mean(), "real images are missing"),
                (_losses(real, 1).mean() + on_fake.mean(), "the smoothing has no effect"),
                (
                    _losses(real, 1 - smoothing / 2).mean() + _losses(fake, smoothing / 2).mean(),
                    "Keras' label_smoothing moves both targets, each by half of it; here only the real one moves",
                ),
                (on_real.mean() + _losses(fake, smoothing).mean(), "both targets are smoothed; only the real one is"),
                (
                    (1 - smoothing) * _losses(real, 1).mean() + on_fake.mean(),
                    "with a target of 1 - s, the other s goes to the loss of calling a real image generated",
                ),
            ],
            otherwise="write it for one real logit first, with both terms of the cross-entropy",
        )
    _loss_is_stable(answer)


def _losses(logits, target):
    """Return the binary cross-entropy of each logit with one target, in float64."""
    logits = logits.astype("float64")
    return target * np.logaddexp(0, -logits) + (1 - target) * np.logaddexp(0, logits)


def _loss_is_stable(answer):
    through = (
        "the loss goes through a probability, which rounds to 0 or 1, or through exp of a large number, which "
        "overflows; which function takes the logit directly?"
    )
    # Not at 0: there, right answers with a maximum or an absolute value have no gradient, or another one.
    real, fake = tf.constant([[100.0], [-200.0]]), tf.constant([[100.0], [-1.0]])
    doubt = 1 / (1 + np.exp(1.0))
    for smoothing in (0.0, 0.1):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([real, fake])
            loss = answer(real, fake, smoothing)
        tensor(loss, "the loss", LOGITS)
        where = f"at logits of 100 and -200 for real and of 100 and -1 for generated images, smoothing {smoothing}"
        expected = _losses(real.numpy(), 1 - smoothing).mean() + _losses(fake.numpy(), 0).mean()
        expect(f"the loss {where}", loss, expected, LOGITS, otherwise=through)
        slopes = [tape.gradient(loss, logits) for logits in (real, fake)]
        if slopes[0] is None or slopes[1] is None:
            because = "on its way to the loss a logit leaves TensorFlow, through NumPy say"
            raise Wrong("a gradient with respect to the logits", "None", because, LOGITS)
        on_real, on_fake = [[smoothing / 2], [(smoothing - 1) / 2]], [[0.5], [doubt / 2]]
        expect(f"the gradient with respect to the real logits {where}", slopes[0], on_real, LOGITS, otherwise=through)
        expect(f"the gradient with respect to the fake logits {where}", slopes[1], on_fake, LOGITS, otherwise=through)


# Different ones, so that it shows whose optimizer moved whose weights; and no mistake halves or doubles a step by them.
GENERATOR_RATE, DISCRIMINATOR_RATE = 0.03, 0.1
OUTSIDE = "generated images made outside the tape: then no gradient finds its way back to the generator"


def _players(seed):
    keras.utils.set_random_seed(seed)
    generator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="tanh")])
    discriminator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, "tanh"), keras.layers.Dense(1)])
    rng = np.random.default_rng(seed)
    real_images, latents = (ops.convert_to_tensor(rng.standard_normal((8, size)).astype("float32")) for size in (4, 3))
    return generator, discriminator, real_images, latents


def _moves(generator, discriminator, real_images, latents):
    """Return what one plain gradient step adds to the players' weights, for right and for wrong losses."""
    with tf.GradientTape(persistent=True) as tape:
        fake_logits = discriminator(generator(latents))
        real_logits = discriminator(real_images)
        right = ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))
        flipped = ops.mean(ops.softplus(real_logits)) + ops.mean(ops.softplus(-fake_logits))
        fooling = ops.mean(ops.softplus(-fake_logits))
        caught = ops.mean(ops.softplus(fake_logits))

    def move(loss, network, rate):
        gradients = tape.gradient(loss, network.trainable_weights)
        return np.concatenate([-rate * ops.convert_to_numpy(gradient).ravel() for gradient in gradients])

    caught_move = move(caught, generator, GENERATOR_RATE)
    return {
        "discriminator": {
            "right": move(right, discriminator, DISCRIMINATOR_RATE),
            "flipped": move(flipped, discriminator, DISCRIMINATOR_RATE),
            "swapped": move(right, discriminator, GENERATOR_RATE),
        },
        "generator": {
            "right": move(fooling, generator, GENERATOR_RATE),
            "caught": caught_move,
            "minimax": -caught_move,
            "swapped": move(fooling, generator, DISCRIMINATOR_RATE),
        },
        "meddling": move(fooling, discriminator, GENERATOR_RATE),
    }


def _weights(network):
    return np.concatenate([weight.ravel() for weight in network.get_weights()])


@check("4 · Repair the training step", STEP)
def training_step(answer, seed=0):
    """`answer(generator, discriminator, both optimizers, real_images, latents)`: the discriminator's step is first."""
    generator, discriminator, real_images, latents = _players(seed)
    moves = _moves(generator, discriminator, real_images, latents)
    before = {network.name: _weights(network) for network in (generator, discriminator)}
    optimizers = keras.optimizers.SGD(GENERATOR_RATE), keras.optimizers.SGD(DISCRIMINATOR_RATE)
    trainable = [len(network.trainable_weights) for network in (generator, discriminator)]
    try:
        answer(generator, discriminator, *optimizers, real_images, latents)
    except ValueError as error:
        if "No gradients" not in str(error):
            raise
        # The discriminator's step comes first: if it was taken, the generator's gradient is missing.
        taken = int(ops.convert_to_numpy(optimizers[1].iterations))
        because = OUTSIDE if taken else "the discriminator's loss is computed outside the tape, or from other weights"
        raise Wrong("a gradient for each player", f"ValueError: {error}", because, STEP) from None
    if [len(network.trainable_weights) for network in (generator, discriminator)] != trainable:
        because = "a network was frozen and never thawed: from the second step on it would not train"
        raise Wrong("networks that are as trainable as before", "`trainable = False` was left on", because, TRAP)
    generator_move, discriminator_move = (
        _weights(network) - before[network.name] for network in (generator, discriminator)
    )
    if not discriminator_move.any():
        because = "no gradient by the discriminator's weights was applied"
        raise Wrong("the discriminator's weights move", "they do not", because, STEP)
    if not generator_move.any():
        raise Wrong("the generator's weights move", "they do not", OUTSIDE, STEP)
    right, flipped = moves["discriminator"]["right"], moves["discriminator"]["flipped"]
    after_the_generator = {generator.name: before[generator.name] + moves["generator"]["right"]}
    moved_generator = _with_weights(generator, after_the_generator)
    untouched = _with_weights(discriminator, before)
    too_late = _moves(moved_generator, untouched, real_images, latents)["discriminator"]["right"]
    meddling = "the generator's loss moves the discriminator too: ask for gradients by the generator's weights only"
    labels = "the targets are flipped: its loss is small where it calls real images generated"
    expect(
        "how far a gradient step moves the discriminator's weights",
        discriminator_move,
        right,
        STEP,
        [
            (flipped, labels),
            (flipped + moves["meddling"], f"{labels}. And {meddling}"),
            (right + moves["meddling"], meddling),
            (right / 2, "half of the loss: one mean over both kinds of images; each kind has a mean of its own"),
            (moves["discriminator"]["swapped"], "the two optimizers have changed places"),
            (too_late, "the generator's step was taken first"),
        ],
        otherwise="its step is not the gradient of its loss by its own weights, or not taken once",
        rtol=1e-3,
    )
    # Whoever makes a second pass meets the discriminator after its step; both orders are in use.
    second_pass = _moves(_with_weights(generator, before), discriminator, real_images, latents)["generator"]
    first_pass = moves["generator"]
    if np.allclose(generator_move, second_pass["right"], rtol=1e-3, atol=1e-5):
        return
    mistakes = []
    for wrong in (first_pass, second_pass):
        mistakes += [
            (wrong["caught"], "the generator learns to be *recognised*: its loss has the wrong sign"),
            (wrong["minimax"], f"this is the minimax loss, which saturates ({SATURATION})"),
            (wrong["swapped"], "the generator's weights are moved by the discriminator's optimizer"),
        ]
    expect(
        "how far a gradient step moves the generator's weights",
        generator_move,
        first_pass["right"],
        STEP,
        mistakes,
        otherwise="its step is not the gradient of its loss by its own weights, or not taken once",
        rtol=1e-3,
    )


def _with_weights(network, weights):
    """Return a copy of a network as it was, from its flat weights."""
    copy = keras.models.clone_model(network)
    shapes = [weight.shape for weight in network.get_weights()]
    pieces = np.split(weights[network.name], np.cumsum([np.prod(shape) for shape in shapes])[:-1])
    copy.set_weights([piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)])
    return copy
