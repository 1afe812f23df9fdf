import keras
import numpy as np
import pytest

from ganutils import data, losses, mixtures, training


def test_the_default_mixtures_are_those_of_the_paper():
    ring, grid = mixtures.ring(), mixtures.grid()
    np.testing.assert_allclose(np.linalg.norm(ring.centres, axis=1), 1)
    gaps = np.linalg.norm(ring.centres - np.roll(ring.centres, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, 2 * np.sin(np.pi / 8))
    assert sorted(map(tuple, grid.centres)) == [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    assert (ring.deviation, grid.deviation) == (0.01, 0.05)


@pytest.mark.parametrize("mixture", [mixtures.ring(deviation=0.1), mixtures.grid(deviation=0.3)], ids=["ring", "grid"])
def test_the_density_adds_up_to_one_and_is_that_of_the_samples(mixture):
    reach = np.abs(mixture.centres).max() + 6 * mixture.deviation
    places, step = np.linspace(-reach, reach, 401, retstep=True)
    plane = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)
    density = mixture.density(plane)
    assert np.sum(density) * step**2 == pytest.approx(1, rel=1e-3)
    inside = plane[:, 0] > 0.6 * reach
    samples = mixture.sample(20_000, seed=3)
    assert np.mean(samples[:, 0] > 0.6 * reach) == pytest.approx(np.sum(density[inside]) * step**2, abs=0.015)


def test_the_density_at_a_lone_centre_is_that_of_one_normal_distribution():
    peak = 1 / (8 * 2 * np.pi * 0.01**2)
    ring = mixtures.ring()
    np.testing.assert_allclose(ring.density(ring.centres), peak, rtol=1e-12)
    np.testing.assert_allclose(ring.density(ring.centres + np.array([0, 0.02])), peak * np.exp(-2), rtol=1e-9)
    assert ring.density([[100.0, 0.0]]).tolist() == [0]


def test_samples_repeat_with_their_seed_and_spread_over_all_modes():
    grid = mixtures.grid()
    first = grid.sample(5000, seed=1)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, grid.sample(5000, seed=1))
    assert not np.array_equal(first, grid.sample(5000, seed=2))
    offsets = first - grid.centres[np.argmin(np.linalg.norm(first[:, None] - grid.centres, axis=-1), axis=1)]
    np.testing.assert_allclose(offsets.std(axis=0), 0.05, rtol=0.05)


def test_coverage_of_perfect_samples_is_at_its_ceiling_and_floor():
    for mixture in (mixtures.ring(), mixtures.grid()):
        found = [mixture.coverage(mixture.sample(2500, seed)) for seed in range(20)]
        modes, share, divergence = np.mean(found, axis=0)
        assert modes == len(mixture.centres)
        assert share == pytest.approx(1 - np.exp(-4.5), abs=0.001)
        assert divergence == pytest.approx((len(mixture.centres) - 1) / 5000, rel=0.25)


def test_coverage_of_samples_that_miss_modes():
    ring = mixtures.ring()
    one = np.repeat(ring.centres[:1], 100, axis=0)
    assert ring.coverage(one) == (1, 1.0, pytest.approx(np.log(8)))
    half = np.concatenate([np.repeat(ring.centres[:2], 50, axis=0), np.zeros((100, 2))])
    assert ring.coverage(half) == (2, 0.5, pytest.approx(np.log(4))), "what is near no mode counts for no divergence"
    just = ring.centres[[0, 1]] * np.array([[1.0299], [1.0301]])
    assert ring.coverage(just).modes == 1, "three standard deviations, and no more"
    nothing = ring.coverage(np.zeros((10, 2)))
    assert nothing[:2] == (0, 0)
    assert np.isnan(nothing.reverse_kl)


def test_a_gan_of_points_trains_through_the_pipeline():
    layers = keras.layers
    ring = mixtures.ring()
    generator = keras.Sequential([keras.Input((2,)), layers.Dense(16, "relu"), layers.Dense(2)])
    discriminator = keras.Sequential([keras.Input((2,)), layers.Dense(16, "relu"), layers.Dense(1)])
    gan = training.GAN(generator, discriminator, penalty=losses.R1(1.0, every=2))
    gan.compile(keras.optimizers.Adam(1e-2), keras.optimizers.Adam(1e-2))
    before = np.linalg.norm(gan.predict(np.ones((1, 2), "float32"), verbose=0))
    gan.fit(data.pipeline(ring.sample(640), batch_size=64), epochs=3, verbose=0)
    points = gan.predict(np.random.default_rng(0).standard_normal((100, 2)).astype("float32"), verbose=0)
    assert points.shape == (100, 2)
    assert np.isfinite(points).all()
    assert before != np.linalg.norm(gan.predict(np.ones((1, 2), "float32"), verbose=0))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"centres have the shape \(2,\); give \(modes, d\)"):
        mixtures.Mixture([0, 1], 0.1)
    with pytest.raises(ValueError, match="deviation=0"):
        mixtures.ring(deviation=0)
    with pytest.raises(ValueError, match="n=0"):
        mixtures.ring().sample(0)
    with pytest.raises(ValueError, match=r"points have the shape \(3, 3\); give \(n, 2\)"):
        mixtures.grid().density(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="points hold 1 values that are NaN"):
        mixtures.grid().coverage([[0.0, np.nan]])
