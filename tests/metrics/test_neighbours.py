import numpy as np
import pytest
from sklearn.metrics import pairwise_distances_chunked

from ganutils import metrics
from ganutils.metrics import neighbours
from tests.metrics.helpers import distances, radii


def naive(real, fake, k):
    """Precision, recall, density and coverage from all distances at once."""
    between = distances(real, fake)
    in_real = between <= radii(real, k)[:, None]
    in_fake = between <= radii(fake, k)[None]
    return (
        in_real.any(axis=0).mean(),
        in_fake.any(axis=1).mean(),
        in_real.sum() / (k * len(fake)),
        in_real.any(axis=1).mean(),
    )


@pytest.mark.parametrize("megabytes", [0.001, 0.01, 64])
@pytest.mark.parametrize(("n", "m", "k"), [(31, 47, 3), (101, 53, 5), (6, 7, 1)])
def test_blocks_of_any_size_give_what_all_distances_give(rng, monkeypatch, megabytes, n, m, k):
    monkeypatch.setattr(neighbours, "_MEGABYTES_AT_ONCE", megabytes)
    real, fake = rng.standard_normal((n, 5)), rng.standard_normal((m, 5)) * 0.8 + 0.2
    found = *metrics.precision_recall(real, fake, k), *metrics.density_coverage(real, fake, k)
    assert found == pytest.approx(naive(real, fake, k), rel=1e-12)
    assert 0 < found[0] < 1.01


@pytest.mark.parametrize("offset", [0, 1e5])
@pytest.mark.parametrize("megabytes", [0.001, 64])
def test_points_on_the_rim_of_a_ball_are_inside(rng, monkeypatch, megabytes, offset):
    # Copies of the data lie on the rims of each other's balls, where rounding would decide.
    monkeypatch.setattr(neighbours, "_MEGABYTES_AT_ONCE", megabytes)
    real = rng.standard_normal((60, 4)) + offset
    fake = real[rng.permutation(60)[:40]]
    found = *metrics.precision_recall(real, fake, 3), *metrics.density_coverage(real, fake, 3)
    assert found == pytest.approx(naive(real, fake, 3), rel=1e-12)


def test_a_small_cloud_far_from_zero(rng):
    real, fake = 1e4 + 1e-4 * rng.standard_normal((2, 90, 4))
    found = *metrics.precision_recall(real, fake, 3), *metrics.density_coverage(real, fake, 3)
    assert found == pytest.approx(naive(real, fake, 3), rel=1e-12)


def test_copies_of_one_point_reach_that_point_alone(rng):
    real = rng.standard_normal((100, 4)) + 50
    collapsed = np.repeat(real[:1], 100, axis=0)
    found = metrics.precision_recall(real, collapsed)
    assert found == (1.0, 0.01)
    assert metrics.precision_recall(collapsed, collapsed + 1e-3) == (0, 0)


def test_identical_sets(rng):
    samples = rng.standard_normal((80, 3))
    assert metrics.precision_recall(samples, samples) == (1, 1)
    density, coverage = metrics.density_coverage(samples, samples, k=4)
    assert density == pytest.approx(1.25)  # each ball holds its centre and k neighbours
    assert coverage == 1


@pytest.mark.parametrize("k", [1, 3, 5])
def test_density_and_coverage_of_equal_distributions(k):
    found = []
    for seed in range(20):
        real, fake = np.random.default_rng(seed).standard_normal((2, 400, 3))
        found.append(metrics.density_coverage(real, fake, k))
    error = np.std(found, axis=0) / np.sqrt(len(found))
    density, coverage = np.mean(found, axis=0)
    assert abs(density - 1) < 3.5 * error[0]
    # Missed when the k nearest of the 399 other real and 400 generated points are all real; about 2⁻ᵏ.
    missed = np.prod([(399 - i) / (799 - i) for i in range(k)])
    assert abs(coverage - (1 - missed)) < 3.5 * error[1]
    assert missed == pytest.approx(2.0**-k, rel=0.05)
    assert error[0] < 0.02
    assert error[1] < 0.01


def test_no_block_exceeds_its_megabytes(rng, monkeypatch):
    blocks = []

    def recorded(*arguments, **options):
        for block in pairwise_distances_chunked(*arguments, **options):
            blocks.append(block.shape)
            yield block

    monkeypatch.setattr(neighbours, "pairwise_distances_chunked", recorded)
    real, fake = rng.standard_normal((2, 6000, 2))
    metrics.precision_recall(real, fake)
    assert len(blocks) > 6
    assert max(rows * columns * 8 for rows, columns in blocks) <= neighbours._MEGABYTES_AT_ONCE * 2**20


def test_images_are_mapped_to_features(rng):
    images = rng.integers(0, 256, (40, 4, 4, 1), "uint8")

    class Features:
        def __init__(self, images):
            self.features = images.reshape(len(images), -1) / 255

    expected = metrics.density_coverage(Features(images[:20]).features, Features(images[20:]).features)
    assert metrics.density_coverage(images[:20], images[20:], features=Features) == expected
    assert metrics.density_coverage(images[:20], images[20:], features=lambda x: Features(x).features) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: metrics.precision_recall(f[:3], f), "real have 3 rows; give at least 4, since each needs k=3"),
        (lambda f: metrics.precision_recall(f, f, k=0), "k=0 is not allowed; choose a whole number, 1 or more"),
        (lambda f: metrics.precision_recall(f, f, k=1.5), "k=1.5 is not allowed"),
        (lambda f: metrics.density_coverage(f[:5], f), "real have 5 rows; give at least 6"),
        (lambda f: metrics.density_coverage(f, f[:, 1:]), "real have 3 features per row and fake 2"),
    ],
)
def test_bad_input_is_named(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(rng.standard_normal((20, 3)))
