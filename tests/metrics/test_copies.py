import numpy as np
import pytest

from ganutils import metrics
from ganutils.metrics import copies, neighbours
from tests.metrics.helpers import distances, radii


@pytest.mark.parametrize("size", [3, 7, 40, 100])
def test_nearest_images_are_those_of_a_full_search(rng, monkeypatch, size):
    monkeypatch.setattr(copies, "_REFERENCES_AT_ONCE", size)  # several pieces, the last one incomplete
    queries = rng.integers(0, 256, (25, 6, 5, 1), "uint8")
    references = rng.integers(0, 256, (40, 6, 5, 1), "uint8")
    found = metrics.nearest_images(queries, references, k=4)
    expected = distances(queries.reshape(25, -1) / 255, references.reshape(40, -1) / 255)
    np.testing.assert_array_equal(found.indices, np.argsort(expected, axis=1)[:, :4])
    np.testing.assert_allclose(found.distances, np.sort(expected, axis=1)[:, :4], rtol=1e-6)


def test_bad_images_are_named(digits):
    with pytest.raises(ValueError, match=r"references \(4, 8, 1\)"):
        metrics.nearest_images(digits, digits[:, :4])
    with pytest.raises(ValueError, match="queries are float"):
        metrics.nearest_images(digits / 127.5 - 1, digits)
    with pytest.raises(ValueError, match=r"queries have the shape \(0, 8, 8, 1\)"):
        metrics.nearest_images(digits[:0], digits)
    with pytest.raises(ValueError, match="k=65 is not allowed; choose a whole number, from 1 to 64"):
        metrics.nearest_images(digits, digits, k=65)


def test_two_equal_sets_are_hardly_told_apart(rng):
    real, fake = rng.standard_normal((2, 2000, 4))
    found = metrics.nearest_neighbour_accuracy(real, fake)
    assert found.accuracy == pytest.approx(0.5, abs=3.5 * 0.5 / np.sqrt(2000))
    assert found.accuracy == pytest.approx((found.real + found.fake) / 2)


def test_accuracy_is_that_of_a_full_search(rng):
    real, fake = rng.standard_normal((31, 3)), rng.standard_normal((31, 3)) + 0.5
    between = distances(real, fake)
    of_real = np.mean(between.min(axis=1) > radii(real, 1))
    of_fake = np.mean(between.min(axis=0) > radii(fake, 1))
    assert metrics.nearest_neighbour_accuracy(real, fake) == pytest.approx(((of_real + of_fake) / 2, of_real, of_fake))


def test_accuracy_at_its_ends(rng):
    real = rng.standard_normal((300, 8)) + 1000
    assert metrics.nearest_neighbour_accuracy(real, real[::-1]) == (0, 0, 0)
    assert metrics.nearest_neighbour_accuracy(real, real + 100) == (1, 1, 1)
    # Nothing speaks for a sample's own set where the other one has a copy of it just as well.
    twice = np.repeat(real, 2, axis=0)
    assert metrics.nearest_neighbour_accuracy(twice, twice) == (0, 0, 0)
    # A generator that always draws the same point: it is told from the data, and its copies are alike.
    collapsed = np.repeat(real[:1] + 0.1, 300, axis=0)
    found = metrics.nearest_neighbour_accuracy(real, collapsed)
    assert found.fake == 1
    assert found.real > 0.9


def test_memorisation_gap_of_new_samples_and_of_copies(rng):
    train, test, fresh = rng.standard_normal((3, 1000, 4))
    new = metrics.memorisation_gap(train, test, fresh)
    assert abs(new.gap) < 0.06
    copied = metrics.memorisation_gap(train, test, train[rng.permutation(1000)])
    assert copied.train == 0
    assert copied.gap == pytest.approx(0.5, abs=0.05)
    half = metrics.memorisation_gap(train, test, np.concatenate([train[:500], fresh[:500]]))
    assert new.gap + 0.1 < half.gap < copied.gap - 0.1


def test_memorisation_counts_copies(rng):
    train, test = rng.standard_normal((2, 2000, 4))
    fresh = rng.standard_normal((1000, 4))
    new = metrics.memorisation(fresh, train, test, quantile=0.05)
    assert new.share == pytest.approx(0.05, abs=3.5 * np.sqrt(0.05 * 0.95 * (1 / 1000 + 1 / 2000)))
    assert new.closer == pytest.approx(0.5, abs=0.05)
    rows = rng.choice(2000, 300, replace=False)
    mixed = metrics.memorisation(np.concatenate([train[rows], fresh[:700]]), train, test)
    assert mixed.share == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(mixed.indices[:300], rows)
    assert np.all(mixed.distances[:300] == 0)
    assert metrics.memorisation(train[rows], train, test).closer == 1
    assert metrics.memorisation(fresh * 3, train, test).closer < 0.3
    expected = distances(fresh, train)
    np.testing.assert_array_equal(new.indices, expected.argmin(axis=1))
    np.testing.assert_allclose(new.distances, expected.min(axis=1))
    assert new.threshold == pytest.approx(np.quantile(distances(test, train).min(axis=1), 0.05))


def test_memorisation_of_images_is_that_of_their_pixels(rng):
    train, test, fake = (rng.integers(0, 256, (n, 5, 5, 1), "uint8") for n in (60, 100, 30))
    fake[7] = train[11]
    by_image = metrics.memorisation(fake, train, test)
    by_feature = metrics.memorisation(fake, train, test, features=lambda images: images.reshape(len(images), -1) / 255)
    assert by_image.indices[7] == 11
    assert by_image.distances[7] == 0
    np.testing.assert_array_equal(by_image.indices, by_feature.indices)
    np.testing.assert_allclose(by_image.distances, by_feature.distances, rtol=1e-6)
    assert 0 < by_image.share == by_feature.share < 0.1
    assert by_image.closer == by_feature.closer


def test_memorisation_refuses_a_test_set_that_overlaps_the_training_set(rng):
    train, others = rng.standard_normal((200, 3)), rng.standard_normal((100, 3))
    with pytest.raises(ValueError, match="100% of the test samples are among the training samples"):
        metrics.memorisation(train, train, train)
    with pytest.raises(ValueError, match="50% of the test samples are among the training samples"):
        metrics.memorisation(train[:100], train, np.concatenate([others, train[:100]]))


@pytest.mark.parametrize("k", [1, 2])
def test_nearest_tells_a_copy_from_its_neighbours(rng, k):
    # Expanding |a - b|² alone would mix these up, and give copies a distance above 0.
    points = rng.standard_normal((50, 6))
    references = np.concatenate([points + 3e-9, points + 1e-9, points, points - 2e-9])
    indices, squares = neighbours.nearest(points, references, k)
    np.testing.assert_array_equal(indices[:, 0], np.arange(100, 150))
    assert np.all(squares[:, 0] == 0)
    if k == 2:
        np.testing.assert_array_equal(indices[:, 1], np.arange(50, 100))
        np.testing.assert_allclose(squares[:, 1], 6e-18, rtol=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: metrics.nearest_neighbour_accuracy(f, f[:9]), "real have 150 rows and fake 9; give equal numbers"),
        (lambda f: metrics.nearest_neighbour_accuracy(f[:1], f[:1]), "real have 1 rows; give at least 2"),
        (lambda f: metrics.memorisation_gap(f, f, f[:9]), "train have 150 rows and fake 9; give equal numbers"),
        (lambda f: metrics.memorisation_gap(f, f[:9], f), "test have 9 rows and fake 150; give equal numbers"),
        (lambda f: metrics.memorisation_gap(f, f[:, :2], f), "train have 3 features per row and test 2"),
        (lambda f: metrics.memorisation(f, f, f, quantile=0), "quantile=0 is not allowed"),
        (lambda f: metrics.memorisation(f, f, f[:99]), "test has 99 rows; for quantile=0.01 give at least 100"),
        (lambda f: metrics.memorisation(f[:, :2], f, f), "train have 3 features per row and fake 2"),
        (lambda f: metrics.memorisation(f * np.inf, f, f), "fake hold .* NaN or infinite"),
    ],
)
def test_bad_features_are_named(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(rng.standard_normal((150, 3)))
