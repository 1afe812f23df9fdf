import numpy as np
import pytest

from ganutils import checkpoints, data, features


@pytest.fixture(scope="module")
def classifier():
    return features.digit_classifier()


@pytest.fixture(scope="module")
def test_digits():
    return data.load_dataset(split="test")


def test_the_shipped_classifier_reads_what_its_card_says(classifier, test_digits):
    images, labels = test_digits
    accuracy = np.mean(classifier(images).probabilities.argmax(axis=1) == labels)
    card = checkpoints.read_card("digit_classifier")["metrics"]["accuracy"]
    assert accuracy >= 0.992
    assert card["samples"] == len(labels) == 10_000
    assert accuracy == pytest.approx(card["value"], abs=card["tolerance"])


def test_features_and_probabilities_of_digits(classifier, test_digits):
    found = classifier(test_digits.images[:501])  # the last batch is incomplete
    assert found.features.shape == (501, features.FEATURES) == (501, 128)
    assert found.features.dtype == np.float32
    assert found.probabilities.shape == (501, 10)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-12)
    assert found.probabilities.min() >= 0
    assert np.all(found.features.std(axis=0) > 0), "a feature that is the same for all digits says nothing"


def test_features_are_what_the_probabilities_are_made_of(classifier, test_digits):
    found = classifier(test_digits.images[:50])
    weights, bias = classifier.network.get_layer("logits").get_weights()
    likelihoods = np.exp(found.features @ weights + bias)
    np.testing.assert_allclose(found.probabilities, likelihoods / likelihoods.sum(axis=1, keepdims=True), atol=1e-5)


def test_bytes_and_floats_of_the_same_images_agree(classifier, test_digits):
    images = test_digits.images[:100]
    of_bytes, of_floats = classifier(images), classifier(data.scale(images).numpy())
    np.testing.assert_allclose(of_bytes.features, of_floats.features, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(of_bytes.probabilities, of_floats.probabilities, atol=1e-5)


def test_what_else_is_in_a_batch_does_not_matter(classifier, test_digits):
    images = test_digits.images[:501]
    together = classifier(images).features
    np.testing.assert_allclose(classifier(images[::-1]).features[::-1], together, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(classifier(images[500:]).features, together[500:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 28, 28, 1), 255.0), "float from 255 to 255, but"),
        (np.zeros((2, 8, 8, 1), "uint8"), r"shape \(8, 8, 1\); this classifier takes \(28, 28, 1\)"),
        (np.zeros((2, 28, 28, 3), "uint8"), r"shape \(28, 28, 3\); this classifier takes \(28, 28, 1\)"),
    ],
)
def test_bad_images_are_named(classifier, images, message):
    with pytest.raises(ValueError, match=message):
        classifier(images)
