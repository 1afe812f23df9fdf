import numpy as np
import pytest

from ganutils import checkpoints, data, faces, features


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


def test_the_shipped_reader_of_faces_reads_what_its_card_says():
    reader = features.face_reader(32)
    images, attributes = faces.load(2000, 32, seed=5, split="test")
    found = reader(images)
    card = checkpoints.read_card("face_reader_32")["metrics"]
    assert found.features.shape == (2000, features.FEATURES)
    assert list(found.probabilities) == list(card) == list(faces.ATTRIBUTES)
    for (name, probabilities), row in zip(found.probabilities.items(), attributes.T, strict=True):
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
        assert probabilities.shape == (2000, len(faces.VALUES[name]))
        accuracy = np.mean(probabilities.argmax(axis=1) == row)
        assert accuracy == pytest.approx(card[name]["value"], abs=0.015)
    assert set(faces.ATTRIBUTES) - set(reader.readable) == {"mouth"}, "at 32 pixels it can be read in 97% only"
    sure = reader.fidelity(found, dict(zip(faces.ATTRIBUTES, attributes.T, strict=True)))
    assert sure.share > 0.98
    assert not sure.missing
    assert sure.new < 0.01, "they are compared with themselves"
    for name, share in {"mouth": sure.share, "beard": 0}.items():
        doubted = found.probabilities | {name: np.full_like(found.probabilities[name], 1 / len(faces.VALUES[name]))}
        assert reader.fidelity(found._replace(probabilities=doubted)).share == share, "the mouth does not count"


def test_mixed_faces_leave_the_reader_in_doubt():
    reader = features.face_reader(32)
    one, other = (data.as_float(faces.load(500, 32, seed=seed, split="test").images) for seed in (6, 7))
    assert reader.fidelity(reader((one + other) / 2)).share < 0.2


def test_faces_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="faces are read at 32 or 64 pixels"):
        features.face_reader(28)
    with pytest.raises(ValueError, match=r"takes \(32, 32, 3\)"):
        features.face_reader(32)(np.zeros((2, 64, 64, 3), "uint8"))
