import itertools

import numpy as np
import pytest
from scipy import linalg

from ganutils import metrics
from tests.metrics.helpers import exact_normal, random_covariance


def closed_form(first_mean, first_covariance, second_mean, second_covariance):
    root = linalg.sqrtm(first_covariance @ second_covariance).real
    return np.sum((first_mean - second_mean) ** 2) + np.trace(first_covariance + second_covariance - 2 * root)


def test_frechet_distance_of_two_normal_distributions(rng):
    means, covariances = rng.standard_normal((2, 6)), [random_covariance(rng, 6) for _ in range(2)]
    real, fake = (exact_normal(rng, n, *of) for n, *of in zip((300, 400), means, covariances, strict=True))
    expected = closed_form(means[0], covariances[0], means[1], covariances[1])
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-10)
    assert metrics.frechet_distance(fake, real) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("n", "d"), [(100, 8), (10, 64), (2, 30)])
def test_frechet_distance_of_a_set_and_its_shift(rng, n, d):
    samples = rng.standard_normal((n, d)) * 10
    assert metrics.frechet_distance(samples, samples) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(samples, samples[::-1] + 0.5) == pytest.approx(d / 4, rel=1e-9)


def test_frechet_distance_of_singular_covariances(rng):
    # In a plane of 64 dimensions everything is as it is in two.
    plane = np.linalg.qr(rng.standard_normal((64, 64)))[0][:2]
    means, covariances = rng.standard_normal((2, 2)), [random_covariance(rng, 2) for _ in range(2)]
    real, fake = (exact_normal(rng, 30, *of) @ plane for of in zip(means, covariances, strict=True))
    expected = closed_form(means[0], covariances[0], means[1], covariances[1])
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_keeps_small_differences_of_float32_features_with_a_large_mean(rng):
    real = exact_normal(rng, 500, np.zeros(3), np.eye(3))
    shifted = (real + 1000).astype("float32")
    assert metrics.frechet_distance(shifted, (real + 1000.1).astype("float32")) == pytest.approx(0.03, rel=1e-3)


def test_frechet_distance_of_one_feature(rng):
    samples = exact_normal(rng, 40, np.zeros(1), np.eye(1))
    assert metrics.frechet_distance(samples, 3 * samples + 2) == pytest.approx(4 + (3 - 1) ** 2)


def test_frechet_distance_is_biased_and_its_limit_hardly(rng):
    d, n = 16, 1000
    real, fake = rng.standard_normal((2, n, d))
    at_n = metrics.frechet_distance(real, fake)
    limit = metrics.frechet_distance_limit(real, fake)
    # 2d/n from two means, and a quarter of E|S₁ - S₂|² = 2d(d + 1)/n from two covariances near the identity.
    assert at_n == pytest.approx(2 * d / n + d * (d + 1) / (2 * n), rel=0.25)
    assert abs(limit.limit) < at_n / 5
    assert limit.sizes[0] == n
    assert limit.sizes[-1] == n // 5
    assert limit.distances[0] == pytest.approx(at_n)
    assert limit.slope == pytest.approx(n * at_n, rel=0.3)
    assert limit.distances[-1] > 4 * limit.distances[0]


def test_frechet_limit_finds_a_true_distance(rng):
    real, fake = rng.standard_normal((2, 3000, 10)) * np.array([[[1.0]], [[1.3]]])
    true = 10 * 0.3**2
    limit = metrics.frechet_distance_limit(real, fake).limit
    assert abs(limit - true) < 0.06


def test_frechet_limit_depends_on_its_seed_alone(rng):
    real, fake = rng.standard_normal((2, 200, 4))
    assert metrics.frechet_distance_limit(real, fake, seed=3) == metrics.frechet_distance_limit(real, fake, seed=3)
    assert metrics.frechet_distance_limit(real, fake, seed=3) != metrics.frechet_distance_limit(real, fake, seed=4)


def naive_discrepancy(real, fake):
    def kernel(x, y):
        return (x @ y / len(x) + 1) ** 3

    m, n = len(real), len(fake)
    within_real = sum(kernel(real[i], real[j]) for i, j in itertools.permutations(range(m), 2)) / (m * (m - 1))
    within_fake = sum(kernel(fake[i], fake[j]) for i, j in itertools.permutations(range(n), 2)) / (n * (n - 1))
    between = sum(kernel(x, y) for x in real for y in fake) / (m * n)
    return within_real + within_fake - 2 * between


def test_kernel_distance_is_that_of_a_double_loop(rng):
    real, fake = rng.standard_normal((2, 12, 5))
    found = metrics.kernel_distance(real, fake + 0.3, subsets=3, subset_size=12)
    assert found.mean == pytest.approx(naive_discrepancy(real, fake + 0.3), rel=1e-10)
    assert found.std == pytest.approx(0, abs=1e-12)  # every subset is the whole set


def test_kernel_distance_is_unbiased(rng):
    values = [
        metrics.kernel_distance(*rng.standard_normal((2, 20, 4)), subsets=1, subset_size=20).mean for _ in range(600)
    ]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3.5 * error
    # The biased estimate would differ by the mean of k(x, x) - k(x, y) over n / 2, many times that error.
    assert error < 0.05


def test_kernel_distance_of_subsets(rng):
    real, fake = rng.standard_normal((2, 500, 8))
    near = metrics.kernel_distance(real, fake, subsets=20, subset_size=100)
    far = metrics.kernel_distance(real, fake + 0.5, subsets=20, subset_size=100)
    assert far.mean > near.mean + 5 * near.std
    assert far.std > 0
    assert far == metrics.kernel_distance(real, fake + 0.5, subsets=20, subset_size=100)
    assert far != metrics.kernel_distance(real, fake + 0.5, subsets=20, subset_size=100, seed=1)


def test_inception_score_of_known_probabilities():
    one_hot = np.tile(np.eye(10), (3, 1))
    assert metrics.inception_score(one_hot) == pytest.approx((10, 0))
    assert metrics.inception_score(np.full((20, 10), 0.1)) == pytest.approx((1, 0))
    assert metrics.inception_score(np.tile(np.eye(10)[3], (20, 1))) == pytest.approx((1, 0))
    # Two classes told apart with the certainty 0.9: exp of the mutual information.
    pair = np.tile([[0.9, 0.1], [0.1, 0.9]], (4, 1))
    expected = np.exp(0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5))
    assert metrics.inception_score(pair).mean == pytest.approx(expected)


def test_rounded_probabilities_are_made_to_sum_to_one():
    # float16 sums to one within some 1e-4 only.
    assert metrics.inception_score(np.eye(10) * 0.9995).mean == pytest.approx(10, rel=1e-9)


def test_inception_score_of_splits(rng):
    probabilities = np.eye(4)[np.sort(rng.integers(4, size=800))]
    split = metrics.inception_score(probabilities, splits=10)
    assert split.mean > 3.5, "rows sorted by class must be dealt out"
    assert split.std > 0
    assert split.mean < metrics.inception_score(probabilities).mean
    assert split == metrics.inception_score(probabilities, splits=10)


def test_inception_score_reaches_its_ceiling_and_not_more(rng):
    labels = rng.choice(3, size=300, p=[0.5, 0.3, 0.2])
    ceiling = metrics.inception_score_ceiling(labels)
    assert metrics.inception_score(np.eye(3)[labels]).mean == pytest.approx(ceiling)
    assert metrics.inception_score(0.8 * np.eye(3)[labels] + 0.2 / 3).mean < ceiling
    assert metrics.inception_score_ceiling([0, 1, 2, 7]) == pytest.approx(4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: metrics.frechet_distance(f[:1], f), "real have 1 rows; give at least 2, since a covariance"),
        (lambda f: metrics.frechet_distance(f, f[:, :2]), "real have 3 features per row and fake 2"),
        (lambda f: metrics.frechet_distance(f, f * np.nan), "fake hold 60 values that are NaN"),
        (lambda f: metrics.frechet_distance(f, f[0]), r"fake are float64 \(3,\), expected float features"),
        (lambda f: metrics.frechet_distance(f, f.astype(int)), r"fake are int64 \(20, 3\), expected float"),
        (
            lambda f: metrics.frechet_distance(np.zeros((4, 8, 8, 1)), f),
            "real have the shape .* of images; give their features",
        ),
        (lambda f: metrics.frechet_distance(np.full((4, 8, 8, 1), 255.0), f, np.ravel), "real are float from 255"),
        (lambda f: metrics.frechet_distance_limit(f[:19], f), "too few; give at least 20"),
        (
            lambda f: metrics.kernel_distance(f, f),
            "subset_size=1000 is not allowed; .* from 2 to 20, since there are 20",
        ),
        (lambda f: metrics.kernel_distance(f, f, subsets=0), "subsets=0 is not allowed"),
        (lambda f: metrics.inception_score(f), "reach down to .* not logits"),
        (lambda f: metrics.inception_score(f**2), "in row .* sum to"),
        (lambda f: metrics.inception_score(np.eye(3)[:2]), "2 rows for 1 splits; give 3"),
        (lambda f: metrics.inception_score(np.eye(3), splits=2), "3 rows for 2 splits; give 6"),
        (lambda f: metrics.inception_score(np.full((4, 4), np.nan)), "probabilities hold 16 values that are NaN"),
        (lambda f: metrics.inception_score_ceiling([0, -1]), "labels hold -1; give whole numbers, from 0"),
        (lambda f: metrics.inception_score_ceiling([0.5]), "labels hold 0.5"),
    ],
)
def test_bad_input_is_named(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(rng.standard_normal((20, 3)))
