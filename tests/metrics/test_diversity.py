import numpy as np
import pytest
import tensorflow as tf

from ganutils import data, metrics


def test_coverage_of_known_shares():
    data_labels = np.repeat(np.arange(4), 25)
    found = metrics.mode_coverage([0, 0, 0, 1], data_labels)
    assert found.covered == 2
    # Three quarters and one quarter against a quarter each.
    assert found.divergence == pytest.approx(0.75 * np.log(3))
    np.testing.assert_allclose(found.shares, [0.75, 0.25, 0, 0])
    assert metrics.mode_coverage([0, 0, 0, 1], data_labels, least=2).covered == 1
    assert metrics.mode_coverage(data_labels[::-1], data_labels)[:2] == (4, 0)
    assert metrics.mode_coverage([2], data_labels).divergence == pytest.approx(np.log(4))


def test_coverage_of_a_class_that_the_data_lack():
    found = metrics.mode_coverage([0, 1, 5], [0, 1, 2])
    assert found.covered == 2
    assert found.divergence == np.inf


def test_coverage_of_probabilities(rng):
    labels = rng.integers(4, size=50)
    probabilities = 0.4 * np.eye(4)[labels] + 0.15
    by_probability = metrics.mode_coverage(probabilities, labels)
    by_label = metrics.mode_coverage(labels, labels)
    assert by_probability[:2] == by_label[:2] == (4, 0)


def test_modes_of_a_mixture(rng):
    centres = np.array([[0.0, 0], [4, 0], [0, 4], [4, 4]])
    deviation = 0.1
    samples = centres[rng.integers(4, size=20_000)] + deviation * rng.standard_normal((20_000, 2))
    found = metrics.mixture_modes(samples, centres, deviation)
    inside = 1 - np.exp(-(3**2) / 2)  # of a normal distribution in the plane within 3 standard deviations
    assert found.modes == 4
    assert found.high_quality == pytest.approx(inside, abs=3.5 * np.sqrt(inside * (1 - inside) / 20_000))
    assert found.counts.sum() == round(found.high_quality * 20_000)
    lost = metrics.mixture_modes([[0.0, 0.0], [0.25, 0.0], [4.0, 0.31], [2.0, 2.0]], centres, deviation)
    assert lost[:2] == (1, 0.5)
    np.testing.assert_array_equal(lost.counts, [2, 0, 0, 0])


def test_similarity_of_identical_images_is_one(rng):
    image = rng.integers(0, 256, (1, 28, 28, 1), "uint8")
    assert metrics.pairwise_similarity(np.repeat(image, 5, axis=0)).overall == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "filter_size", "scales"),
    [((28, 28, 1), 7, 3), ((28, 28, 1), 11, 2), ((176, 180, 1), 11, 5), ((8, 8, 1), 7, 1), ((13, 30, 3), 7, 2)],
)
def test_similarity_is_that_of_tensorflow(rng, shape, filter_size, scales):
    """With as many scales as the filter fits into; sides of 13 pixels are halved to 7."""
    first = rng.integers(0, 80, shape)  # dark enough for the constants to matter
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales])
    for second in (np.clip(first + rng.normal(10, 20, shape), 0, 255), 80 - first):
        pair = np.stack([first, second]).astype("uint8")
        one, other = (tf.constant(image / 255, "float32") for image in pair)
        expected = float(tf.image.ssim_multiscale(one, other, 1.0, weights / weights.sum(), filter_size))
        found = metrics.pairwise_similarity(pair, 3, filter_size=filter_size)
        assert found.overall == pytest.approx(expected, abs=1e-5)
        assert 0.5 < expected < 0.95 or expected == 0, "images and their negatives have no similarity"


def test_similarity_of_real_digits():
    images, labels = data.load_dataset("mnist", split="test")
    images, labels = images[:2000], labels[:2000]
    found = metrics.pairwise_similarity(images, 300, labels)
    assert 0 < found.overall < found.within < 0.7
    assert found.within == pytest.approx(np.mean(list(found.per_class.values())))
    assert list(found.per_class) == list(range(10))
    assert max(found.per_class, key=found.per_class.get) == 1, "ones are the most alike"
    assert found == metrics.pairwise_similarity(images, 300, labels)
    assert found.overall != metrics.pairwise_similarity(images, 300, seed=1).overall
    # uint8 and the same images as floats in [-1, 1].
    scaled = metrics.pairwise_similarity(data.scale(images).numpy(), 300)
    assert scaled.overall == pytest.approx(found.overall, rel=1e-4)


def test_similarity_is_the_mean_over_pairs_of_different_images(rng):
    images, labels = rng.integers(0, 256, (12, 8, 8, 1), "uint8"), np.repeat([0, 1, 4], [6, 5, 1])
    images[labels == 0] = images[:1] * 0.8 + images[labels == 0] * 0.2
    every = np.array([[metrics.pairwise_similarity(images[[i, j]], 1).overall for i in range(12)] for j in range(12)])
    found = metrics.pairwise_similarity(images, 20_000, labels)
    assert found.overall == pytest.approx(every[~np.eye(12, dtype=bool)].mean(), rel=0.02)
    for label, n in ((0, 6), (1, 5)):
        block = every[np.ix_(labels == label, labels == label)]
        assert found.per_class[label] == pytest.approx(block[~np.eye(n, dtype=bool)].mean(), rel=0.02)
    assert set(found.per_class) == {0, 1}, "a class of one image has no pairs"
    assert found.within == pytest.approx(np.mean(list(found.per_class.values())))
    assert metrics.pairwise_similarity(images).within is None


def test_vendi_score_of_known_sets(rng):
    assert metrics.vendi_score(np.eye(12)) == pytest.approx(12)
    assert metrics.vendi_score(np.eye(12)[:5]) == pytest.approx(5)
    assert metrics.vendi_score(np.repeat(rng.standard_normal((1, 8)), 20, axis=0)) == pytest.approx(1, abs=1e-9)
    assert metrics.vendi_score(np.repeat(np.eye(3), 7, axis=0)) == pytest.approx(3)
    # Shares of a half, a quarter and a quarter: exp of their entropy.
    assert metrics.vendi_score(np.eye(3)[[0, 0, 1, 2]]) == pytest.approx(2**1.5)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (6, 40), (9, 9)])
def test_vendi_score_is_that_of_the_whole_kernel(rng, n, d):
    samples = rng.standard_normal((n, d)) + 1
    unit = samples / np.linalg.norm(samples, axis=1, keepdims=True)
    eigenvalues = np.linalg.eigvalsh(unit @ unit.T / n)
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    expected = np.exp(-np.sum(eigenvalues * np.log(eigenvalues)))
    assert metrics.vendi_score(samples) == pytest.approx(expected, rel=1e-9)
    assert metrics.vendi_score(samples * rng.uniform(1, 9, (n, 1))) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i, f: metrics.mode_coverage([0, 3], [0, -1]), "data_labels hold -1"),
        (lambda i, f: metrics.mode_coverage(np.eye(3), [0, 3]), "data_labels hold 3; give whole numbers, from 0 to 2"),
        (lambda i, f: metrics.mode_coverage(np.ones((2, 2)), [0]), "generated in row 0 sum to 2"),
        (lambda i, f: metrics.mode_coverage([0], [0], least=0), "least=0 is not allowed"),
        (lambda i, f: metrics.mixture_modes(f, f[:, :2], 1), "samples have 3 features per row and centres 2"),
        (lambda i, f: metrics.mixture_modes(f, f, 0), "deviation=0 is not allowed"),
        (lambda i, f: metrics.pairwise_similarity(f), r"images have the shape \(10, 3\)"),
        (lambda i, f: metrics.pairwise_similarity(i[:1]), "there is 1 image; give at least 2"),
        (lambda i, f: metrics.pairwise_similarity(i.astype(float)), "images are float from 0"),
        (lambda i, f: metrics.pairwise_similarity(i, filter_size=9), "filter_size=9 is not allowed; .* from 2 to 8"),
        (lambda i, f: metrics.pairwise_similarity(i, labels=[0]), "labels: 1 for 10 images"),
        (lambda i, f: metrics.pairwise_similarity(i, labels=range(10)), "no class has two images"),
        (lambda i, f: metrics.pairwise_similarity(i, pairs=0), "pairs=0 is not allowed"),
        (lambda i, f: metrics.vendi_score(f * (np.arange(10) != 4)[:, None]), "samples have only zeros in row 4"),
        (lambda i, f: metrics.vendi_score(i), "samples have the shape .* of images"),
    ],
)
def test_bad_input_is_named(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(rng.integers(0, 256, (10, 8, 8, 1), "uint8"), rng.standard_normal((10, 3)))
