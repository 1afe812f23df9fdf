import numpy as np
import pytest

from ganutils import data, metrics


def brute_force(queries, references, k):
    differences = queries[:, None].astype("float64") / 255 - references[None].astype("float64") / 255
    distances = np.sqrt((differences**2).sum(axis=(2, 3, 4)))
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(distances, indices, axis=1)


@pytest.mark.parametrize("size", [3, 7, 40, 100])
def test_nearest_images_are_those_of_a_full_search(rng, monkeypatch, size):
    monkeypatch.setattr(metrics, "_REFERENCES_AT_ONCE", size)  # several pieces, the last one incomplete
    queries = rng.integers(0, 256, (25, 6, 5, 1), "uint8")
    references = rng.integers(0, 256, (40, 6, 5, 1), "uint8")
    indices, distances = metrics.nearest_images(queries, references, k=4)
    expected_indices, expected_distances = brute_force(queries, references, k=4)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-6)


def test_a_copy_has_distance_zero():
    images, _ = data.load_dataset("mnist", split="test")
    indices, distances = metrics.nearest_images(images[50:60], images[:100], k=1)
    np.testing.assert_array_equal(indices[:, 0], np.arange(50, 60))
    assert distances.max() == 0


def test_neighbours_read_real_digits():
    images, labels = data.load_dataset("mnist")
    test_images, test_labels = data.load_dataset("mnist", split="test")
    indices, _ = metrics.nearest_images(test_images[:300], images, k=3)
    votes = np.array([np.bincount(row, minlength=10).argmax() for row in labels[indices]])
    assert np.mean(votes == test_labels[:300]) > 0.95


def test_bad_input_is_named(digits):
    with pytest.raises(ValueError, match="queries are float32"):
        metrics.nearest_images(digits.astype("float32"), digits)
    with pytest.raises(ValueError, match=r"references \(4, 8, 1\)"):
        metrics.nearest_images(digits, digits[:, :4])
    with pytest.raises(ValueError, match="no queries"):
        metrics.nearest_images(digits[:0], digits)
    with pytest.raises(ValueError, match="k=65 is not allowed; choose from 1 to 64"):
        metrics.nearest_images(digits, digits, k=65)
