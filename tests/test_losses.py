import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganutils import data, losses, models
from tests.conftest import assert_survives_a_kill, changed, snapshot, tiny_gan

LOGITS = np.array([[-3.0], [-0.5], [0.0], [2.0]], "float32")


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype("float64")))


def test_logistic_losses_are_the_formulas_on_probabilities():
    probabilities = sigmoid(LOGITS)
    real, fake = LOGITS, LOGITS[::-1] * 0.5
    value = np.mean(np.log(sigmoid(real))) + np.mean(np.log(1 - sigmoid(fake)))
    of_generator = {"minimax": np.mean(np.log(1 - probabilities)), "non_saturating": -np.mean(np.log(probabilities))}
    for name, expected in of_generator.items():
        assert float(losses.get(name).discriminator(real, fake)) == pytest.approx(-value, rel=1e-5)
        assert float(losses.get(name).generator(LOGITS)) == pytest.approx(expected, rel=1e-5)


REAL, FAKE = np.array([[2.0], [-0.5], [0.25]], "float32"), np.array([[-3.0], [0.0], [1.5]], "float32")
# By hand, from the papers' formulas, for the logits above: the discriminator's loss and the generator's.
BY_HAND = {
    "least_squares": ((1 + 2.25 + 0.5625) / 6 + (9 + 0 + 2.25) / 6, (16 + 1 + 0.25) / 6),
    "hinge": ((0 + 1.5 + 0.75) / 3 + (0 + 1 + 2.5) / 3, 0.5),
    "wasserstein": (-0.5 - 1.75 / 3, 0.5),
    "relativistic": tuple(np.mean(np.log1p(np.exp(sign * np.array([-5, 0.5, 1.25])))) for sign in (1, -1)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_losses_of_known_logits(name):
    found = losses.get(name)
    values = found.discriminator(REAL, FAKE), found.generator(FAKE, REAL)
    np.testing.assert_allclose([float(value) for value in values], BY_HAND[name], rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("non_saturating", (2 * np.log(2), np.log(2))),
        ("minimax", (2 * np.log(2), -np.log(2))),
        ("least_squares", (0.5, 0.5)),
        ("hinge", (2, 0)),
        ("wasserstein", (0, 0)),
        ("relativistic", (np.log(2), np.log(2))),
    ],
)
def test_losses_of_a_discriminator_that_always_answers_0(name, expected):
    zeros, loss = np.zeros((5, 1), "float32"), losses.get(name)
    assert float(loss.discriminator(zeros, zeros)) == pytest.approx(expected[0], abs=1e-6)
    assert float(loss.generator(zeros, zeros)) == pytest.approx(expected[1], abs=1e-6)


@pytest.mark.parametrize("name", ["wasserstein", "relativistic"])
def test_a_constant_added_to_all_logits_changes_nothing_of_what_the_discriminator_minimises(name):
    loss = losses.get(name)
    shifted = float(loss.discriminator(REAL + 7, FAKE + 7))
    assert shifted == pytest.approx(float(loss.discriminator(REAL, FAKE)), rel=1e-5)
    of_generator = float(loss.generator(FAKE + 7, REAL + 7)) - float(loss.generator(FAKE, REAL))
    assert of_generator == pytest.approx({"wasserstein": -7, "relativistic": 0}[name], abs=1e-5)


def slope(function, logit):
    """The derivative of a loss by the one logit that it is given."""
    logits = tf.constant([[logit]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = function(logits)
    return float(tape.gradient(loss, logits)[0, 0])


def test_gradients_where_the_discriminator_is_sure():
    """Only the minimax generator starves; hinge and least squares know where real images have been told enough."""
    other = tf.constant([[20.0]])
    slopes = {name: slope(lambda x, name=name: losses.get(name).generator(x, other), -20.0) for name in losses.LOSSES}
    assert slopes["minimax"] == pytest.approx(-sigmoid(np.array(-20.0)), rel=1e-4)
    assert slopes.pop("minimax") > -1e-8
    assert slopes.pop("least_squares") == pytest.approx(-21.0), "it pulls the harder, the farther from 1"
    assert slopes == pytest.approx(dict.fromkeys(slopes, -1.0)), "all others have their steepest slope there"
    for name, of_real in (("hinge", 0.0), ("least_squares", 1.0), ("wasserstein", -1.0), ("non_saturating", 0.0)):
        judged = losses.get(name).discriminator
        fake = tf.constant([[0.0]])
        assert slope(lambda x, judged=judged, fake=fake: judged(x, fake), 2.0) == pytest.approx(of_real, abs=0.2), name


def test_smoothing_pulls_a_sure_logit_back_to_that_of_the_target():
    judged = losses.smoothed(0.9).discriminator
    fake = tf.constant([[-30.0]])
    best = np.log(0.9 / 0.1)
    assert slope(lambda x: judged(x, fake), float(best)) == pytest.approx(0, abs=1e-6)
    assert slope(lambda x: judged(x, fake), 30.0) == pytest.approx(0.1, rel=1e-4), "and not beyond"
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)
    assert float(judged(np.float32([[best]]), fake)) == pytest.approx(entropy, rel=1e-5)
    plain = losses.get("non_saturating")
    assert float(losses.smoothed(1).discriminator(REAL, FAKE)) == pytest.approx(float(plain.discriminator(REAL, FAKE)))
    for logit in (-3.0, 0.0, 3.0):
        one_sided = slope(lambda x: judged(tf.constant([[0.0]]), x), logit)
        assert one_sided == pytest.approx(sigmoid(np.array(logit)), rel=1e-4), "labels of generated images stay 0"
    with pytest.raises(ValueError, match=r"target=0.3 is not allowed; choose a number from 0.5 to 1"):
        losses.smoothed(0.3)


def test_pairs_need_both_kinds():
    with pytest.raises(ValueError, match="call generator\\(fake_logits, real_logits\\)"):
        losses.get("relativistic").generator(FAKE)
    with pytest.raises(ValueError, match="are no pairs"):
        losses.get("relativistic").discriminator(REAL[:2], FAKE)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_extreme_logits_stay_finite_also_in_half_precision(name):
    logits = tf.constant([[-60000.0], [60000.0]], "float16")
    loss = losses.get(name)
    for value in (loss.discriminator(logits, logits[::-1]), loss.generator(logits, logits[::-1])):
        assert value.dtype == tf.float32
        assert np.isfinite(float(value))


def test_get_takes_a_loss_or_its_name():
    own = losses.AdversarialLoss("own", lambda real, fake: 0.0, lambda fake, real: 0.0)
    assert losses.get(own) is own
    for generator in (lambda fake: 0.0, 1.0):
        with pytest.raises(ValueError, match="'own' needs a generator that takes two arrays of logits"):
            losses.get(own._replace(generator=generator))
    with pytest.raises(ValueError, match="unknown loss 'hinged'; choose one of non_saturating, minimax, least_squares"):
        losses.get("hinged")


def test_r1_averages_over_images_and_looks_at_real_ones_only():
    """For D(x) = Σ x² / 2 the gradient is x itself, so the penalty is weight · mean |x|² / 2."""
    real = tf.random.stateless_normal((8, 4, 4, 1), seed=(1, 0))
    penalty = losses.R1(0.5)(lambda x: tf.reduce_sum(x**2, axis=(1, 2, 3))[:, None] / 2, real, 100 * real)
    expected = 0.25 * np.mean(np.sum(real.numpy() ** 2, axis=(1, 2, 3)))
    assert float(penalty) == pytest.approx(expected, rel=1e-5)


WEIGHTS = np.linspace(-1, 1.5, 48).reshape(4, 4, 3).astype("float32")
LENGTH = float(np.sqrt(np.sum(WEIGHTS**2)))


def linear_critic(images):
    """A plane of the slope `WEIGHTS` at every image, in all of its pixels and channels."""
    return tf.tensordot(images, WEIGHTS, 3)[:, None]


PENALTIES = {
    "R1": (losses.R1(0.5), 0.25 * LENGTH**2),
    "R2": (losses.R2(0.5), 0.25 * LENGTH**2),
    "R1 and R2": (losses.R1AndR2(0.5), 0.5 * LENGTH**2),
    "WGAN-GP": (losses.GradientPenalty(10.0), 10 * (LENGTH - 1) ** 2),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_of_a_linear_critic(name):
    """The slope is w whatever the images are: weight / 2 · |w|² and weight · (|w| - 1)²."""
    penalty, expected = PENALTIES[name]
    real, fake = tf.random.stateless_normal((2, 6, 4, 4, 3), seed=(1, 0))
    assert float(penalty(linear_critic, real, fake)) == pytest.approx(expected, rel=1e-5)


def test_each_penalty_looks_at_its_own_images():
    """For D(x) = Σ x² / 2 the slope is x itself."""
    real, fake = tf.random.stateless_normal((2, 8, 5), seed=(1, 0)) * [[[1.0]], [[3.0]]]

    def judge(x):
        return tf.reduce_sum(x**2, axis=1, keepdims=True) / 2

    squares = [np.mean(np.sum(x.numpy() ** 2, axis=1)) for x in (real, fake)]
    assert float(losses.R1(1.0)(judge, real, fake)) == pytest.approx(squares[0] / 2, rel=1e-5)
    assert float(losses.R2(1.0)(judge, real, fake)) == pytest.approx(squares[1] / 2, rel=1e-5)
    assert float(losses.R1AndR2(1.0)(judge, real, fake)) == pytest.approx(sum(squares) / 2, rel=1e-5)
    shares = (np.arange(8)[:, None] + 0.5) / 8  # one for each image, and all of [0, 1] in a batch
    lengths = np.linalg.norm(shares * real + (1 - shares) * fake, axis=1)
    between = float(losses.GradientPenalty()(judge, real, fake))
    assert between == pytest.approx(10 * np.mean((lengths - 1) ** 2), rel=1e-5)


def test_the_gradient_penalty_of_a_flat_critic_has_a_finite_gradient():
    weight = tf.Variable(0.0)
    images = tf.ones((2, 3))
    with tf.GradientTape() as tape:
        charge = losses.GradientPenalty()(lambda x: weight * tf.reduce_sum(x, axis=1, keepdims=True), images, images)
    assert float(charge) == pytest.approx(10, rel=1e-4)
    assert np.isfinite(float(tape.gradient(charge, weight)))


def test_a_critic_that_ignores_its_images_is_refused():
    with pytest.raises(ValueError, match="do not depend on the images"):
        losses.R1(1.0)(lambda x: tf.ones((2, 1)), tf.ones((2, 3)), None)


DISCRIMINATORS = {
    "vanilla": models.vanilla_discriminator,
    "small DCGAN": models.fast_dcgan_discriminator,
    "baseline DCGAN": models.dcgan_discriminator,
    **{
        f"conditional, {kind}": lambda kind=kind: models.conditional_discriminator(label_input=kind)
        for kind in models.LABEL_INPUTS
    },
}


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_penalties_reach_every_kernel_of_every_discriminator(kind, rng):
    network = DISCRIMINATORS[kind]()
    for variable in network.trainable_variables:  # nothing is zero by initialisation
        variable.assign(variable + 0.02 * tf.random.stateless_normal(variable.shape, seed=(2, 0)))
    real, fake = tf.constant(rng.uniform(-1, 1, (2, 12, 28, 28, 1)).astype("float32"))
    labels = tf.range(12) % 10  # every class, so that each row of a table is in use
    inputs = (lambda x: [x, labels]) if len(network.inputs) == 2 else (lambda x: x)
    # A learned picture of the class is an input: it moves no slope of a network that is linear in pieces.
    tables = [] if kind == "conditional, embedding" else ["embeddings"]
    kernels = [variable for variable in network.trainable_variables if variable.name in ["kernel", *tables]]
    assert len(kernels) >= 3
    for name, (penalty, _) in PENALTIES.items():
        with tf.GradientTape() as tape:
            charge = penalty(lambda x: network(inputs(x), training=True), real, fake)
        assert float(charge) > 0, name
        for kernel, gradient in zip(kernels, tape.gradient(charge, kernels), strict=True):
            found = tf.convert_to_tensor(gradient)
            assert np.isfinite(found).all(), (name, kernel.path)
            assert np.abs(found).max() > 0, (name, kernel.path)


@pytest.mark.parametrize("every", [1, 4])
def test_a_lazy_penalty_is_charged_at_its_steps_and_as_much_in_all(every, digits):
    """On a critic that plain descent hardly moves, four steps of one penalty a step are one of four times as much."""
    rate, found = 1e-6, {}
    for penalty in (None, losses.GradientPenalty(10.0, every=every)):
        gan = tiny_gan(dropout=0.0, penalty=penalty, loss="wasserstein")
        gan.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate), loss="wasserstein")
        before = gan.discriminator.get_weights()[0]
        for _ in range(4):
            gan.train_on_batch(digits[:16])
        found[penalty] = (gan.discriminator.get_weights()[0] - before) / rate
    plain, penalised = found.values()
    reference = tiny_gan(dropout=0.0, penalty=losses.GradientPenalty(10.0, every=1), loss="wasserstein")
    reference.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate), loss="wasserstein")
    before = reference.discriminator.get_weights()[0]
    for _ in range(4):
        reference.train_on_batch(digits[:16])
    expected = (reference.discriminator.get_weights()[0] - before) / rate - plain
    assert np.abs(penalised - plain).max() > 0
    assert np.linalg.norm(penalised - plain - expected) < 0.2 * np.linalg.norm(expected)


@pytest.mark.parametrize(("name", "penalty"), list(zip(losses.LOSSES, itertools.cycle(PENALTIES))))
def test_every_loss_moves_both_players_in_a_compiled_step(name, penalty, digits):
    gan = tiny_gan(loss=name, penalty=PENALTIES[penalty][0])
    before = {player: snapshot(network) for player, network in gan.networks.items()}
    gan.fit(data.pipeline(digits, batch_size=32), verbose=0)
    for player, network in gan.networks.items():
        pairs = zip(network.variables, changed(before[player], network), strict=True)
        assert all(has_changed for variable, has_changed in pairs if variable.name == "kernel"), player
        assert all(np.isfinite(weight).all() for weight in network.get_weights())


def test_a_killed_run_with_a_gradient_penalty_ends_as_if_it_had_not_been(digits, tmp_path):
    make_gan = functools.partial(tiny_gan, loss="wasserstein", penalty=losses.GradientPenalty())
    assert_survives_a_kill(make_gan, digits, tmp_path)


@pytest.mark.parametrize("kind", [losses.R1, losses.R2, losses.R1AndR2, losses.GradientPenalty])
def test_penalties_refuse_a_weight_that_is_not_positive(kind):
    for weight in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="choose a number above 0"):
            kind(weight)
    with pytest.raises(ValueError, match="every=0"):
        kind(1.0, every=0)
