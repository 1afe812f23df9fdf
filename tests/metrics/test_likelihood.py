import numpy as np
import pytest
from scipy import stats

from ganutils import metrics
from ganutils.metrics import likelihood


def test_likelihood_under_one_normal_distribution(rng):
    centre, test = rng.standard_normal((1, 5)), rng.standard_normal((40, 5))
    values = stats.multivariate_normal(centre[0], 0.3**2 * np.eye(5)).logpdf(test)
    found = metrics.parzen_log_likelihood(centre, test, 0.3)
    assert found == pytest.approx((values.mean(), values.std(ddof=1) / np.sqrt(40), 0.3))


@pytest.mark.parametrize("megabytes", [0.001, 64])
def test_likelihood_is_the_log_of_a_mean(rng, monkeypatch, megabytes):
    monkeypatch.setattr(likelihood, "_MEGABYTES_AT_ONCE", megabytes)
    fake, test = rng.standard_normal((30, 3)), rng.standard_normal((41, 3))
    densities = [np.mean([stats.multivariate_normal(c, 0.25 * np.eye(3)).pdf(t) for c in fake]) for t in test]
    assert metrics.parzen_log_likelihood(fake, test, 0.5).mean == pytest.approx(np.log(densities).mean(), rel=1e-10)


def test_likelihood_of_far_samples_does_not_underflow(rng):
    fake, test = rng.standard_normal((2, 10, 784))
    assert -1e9 < metrics.parzen_log_likelihood(fake, test, 0.01).mean < -1e6


def test_bandwidth_is_the_best_for_the_validation_samples(rng):
    fake, validation, test = rng.standard_normal((3, 400, 2))
    bandwidths = [0.01, 0.3, 3.0]
    found = metrics.parzen_log_likelihood(fake, test, bandwidths, validation)
    assert found.bandwidth == 0.3
    assert found == metrics.parzen_log_likelihood(fake, test, 0.3)
    chosen = metrics.parzen_log_likelihood(fake, test, validation=validation)
    assert chosen.bandwidth in likelihood.BANDWIDTHS
    on_validation = [metrics.parzen_log_likelihood(fake, validation, width).mean for width in likelihood.BANDWIDTHS]
    assert chosen.bandwidth == likelihood.BANDWIDTHS[np.argmax(on_validation)]


def test_images_are_taken_as_pixels_from_0_to_1(rng):
    fake, test = rng.integers(0, 256, (2, 12, 4, 4, 1), "uint8")
    expected = metrics.parzen_log_likelihood(fake.reshape(12, -1) / 255, test.reshape(12, -1) / 255, 0.2)
    assert metrics.parzen_log_likelihood(fake, test, 0.2) == pytest.approx(expected)
    assert metrics.parzen_log_likelihood(fake / 127.5 - 1, test, 0.2) == pytest.approx(expected)


def test_cluster_centres_beat_true_samples(rng):
    # Why the measure is not used any more: here the blurred mean is more likely than samples of the truth.
    fake, test = rng.standard_normal((2, 200, 100))
    means = np.zeros((200, 100))
    assert (
        metrics.parzen_log_likelihood(means, test, 1.0).mean > metrics.parzen_log_likelihood(fake, test, 1.0).mean + 20
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: metrics.parzen_log_likelihood(np.full((2, 4, 4, 1), 9.0), f, 0.1), "fake are float from 9"),
        (lambda f: metrics.parzen_log_likelihood(f, f), "validation is None"),
        (lambda f: metrics.parzen_log_likelihood(f, f, [0.1, 0.2]), "validation is None"),
        (lambda f: metrics.parzen_log_likelihood(f, f, 0), "bandwidth=0 is not allowed"),
        (lambda f: metrics.parzen_log_likelihood(f, f, [np.nan, 1.0]), "bandwidth=.* is not allowed"),
        (lambda f: metrics.parzen_log_likelihood(f, f[:1], 0.1), "test have 1 rows; give at least 2"),
        (lambda f: metrics.parzen_log_likelihood(f, f[:, :2], 0.1), "fake have 3 features per row and test 2"),
        (lambda f: metrics.parzen_log_likelihood(f, f, validation=f[:, :2]), "fake have 3 .* and validation 2"),
    ],
)
def test_bad_input_is_named(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(rng.standard_normal((20, 3)))
