import numpy as np
import pytest
import tensorflow as tf

from ganutils import losses

LOGITS = np.array([[-3.0], [-0.5], [0.0], [2.0]], "float32")


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype("float64")))


def test_losses_are_the_formulas_on_probabilities():
    probabilities = sigmoid(LOGITS)
    real, fake = LOGITS, LOGITS[::-1] * 0.5
    value = np.mean(np.log(sigmoid(real))) + np.mean(np.log(1 - sigmoid(fake)))
    of_generator = {"minimax": np.mean(np.log(1 - probabilities)), "non_saturating": -np.mean(np.log(probabilities))}
    for name, expected in of_generator.items():
        assert float(losses.get(name).discriminator(real, fake)) == pytest.approx(-value, rel=1e-5)
        assert float(losses.get(name).generator(LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_only_the_minimax_gradient_vanishes_where_the_discriminator_is_sure():
    slopes = {}
    for name in losses.LOSSES:
        logits = tf.constant([[-20.0]])
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = losses.get(name).generator(logits)
        slopes[name] = float(tape.gradient(loss, logits)[0, 0])
    assert slopes["minimax"] == pytest.approx(-sigmoid(np.array(-20.0)), rel=1e-4)
    assert slopes["non_saturating"] == pytest.approx(-1.0)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_extreme_logits_stay_finite_also_in_half_precision(name):
    logits = tf.constant([[-60000.0], [60000.0]], "float16")
    loss = losses.get(name)
    for value in (loss.discriminator(logits, logits), loss.generator(logits)):
        assert value.dtype == tf.float32
        assert np.isfinite(float(value))


def test_get_takes_a_loss_or_its_name():
    own = losses.AdversarialLoss("own", lambda real, fake: 0.0, lambda fake: 0.0)
    assert losses.get(own) is own
    with pytest.raises(ValueError, match="unknown loss 'hinged'; choose one of non_saturating, minimax"):
        losses.get("hinged")


def test_r1_averages_over_images_and_looks_at_real_ones_only():
    """For D(x) = Σ x² / 2 the gradient is x itself, so the penalty is weight · mean |x|² / 2."""
    real = tf.random.stateless_normal((8, 4, 4, 1), seed=(1, 0))
    penalty = losses.R1(0.5)(lambda x: tf.reduce_sum(x**2, axis=(1, 2, 3))[:, None] / 2, real, 100 * real)
    expected = 0.25 * np.mean(np.sum(real.numpy() ** 2, axis=(1, 2, 3)))
    assert float(penalty) == pytest.approx(expected, rel=1e-5)


def test_r1_refuses_a_weight_that_is_not_positive():
    for weight in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="choose a number above 0"):
            losses.R1(weight)
