import keras
import numpy as np
import pytest
import tensorflow as tf

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


def test_the_shipped_classifier_is_small():
    assert (checkpoints.FOLDER / "digit_classifier.weights.h5").stat().st_size < 2e6


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
        (np.zeros((28, 28, 1), "uint8"), r"images have the shape \(28, 28, 1\); give \(n, height"),
        (np.zeros((0, 28, 28, 1), "uint8"), "with n at least 1"),
        (np.full((2, 28, 28, 1), 255.0), "float from 255 to 255, but"),
        (np.full((2, 28, 28, 1), np.nan), "contain NaN"),
        (np.zeros((2, 28, 28, 1), int), "images are int64; give uint8"),
        (np.zeros((2, 8, 8, 1), "uint8"), r"shape \(8, 8, 1\); this classifier takes \(28, 28, 1\)"),
        (np.zeros((2, 28, 28, 3), "uint8"), r"shape \(28, 28, 3\); this classifier takes \(28, 28, 1\)"),
    ],
)
def test_bad_images_are_named(classifier, images, message):
    with pytest.raises(ValueError, match=message):
        classifier(images)


def test_training_a_classifier_learns_from_a_few_hundred_digits(test_digits):
    images, labels = data.load_dataset()
    trained = features.train_classifier(images[:400], labels[:400], epochs=6, batch_size=32)
    accuracy = np.mean(trained(test_digits.images[:500]).probabilities.argmax(axis=1) == test_digits.labels[:500])
    assert accuracy > 0.6


def test_training_a_classifier_depends_on_its_seed_alone(test_digits):
    images, labels = test_digits.images[:64], test_digits.labels[:64]
    first = features.train_classifier(images, labels, epochs=1, batch_size=32, seed=1)
    keras.utils.set_random_seed(99)
    same = features.train_classifier(data.scale(images).numpy(), labels, epochs=1, batch_size=32, seed=1)
    for one, other in zip(first.network.get_weights(), same.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    # Fewer images than a batch has, and fewer classes.
    other = features.train_classifier(images[:7], np.arange(7) % 3, epochs=1, classes=3, seed=2)
    assert other(images[:5]).probabilities.shape == (5, 3)
    # One step of Adam moves no weight as far as another seed does.
    assert np.abs(first.network.get_weights()[0] - other.network.get_weights()[0]).max() > 0.1


def test_labels_of_another_number_are_refused(test_digits):
    with pytest.raises(ValueError, match="9 labels for 10 images; give one label an image"):
        features.train_classifier(test_digits.images[:10], test_digits.labels[:9])


class Recorder:
    """Stands in for Inception v3: its features are the prepared images, so that they can be looked at."""

    def __init__(self, **options):
        self.options = options
        self.shapes = []

    def __call__(self, images, training):
        assert not training
        self.shapes.append(tuple(images.shape))
        return tf.reshape(images, (tf.shape(images)[0], -1))


@pytest.fixture
def recorded(monkeypatch):
    """Function that makes an extractor over a `Recorder`, and returns both."""
    made = []
    monkeypatch.setattr(
        keras.applications, "InceptionV3", lambda **options: made.append(Recorder(**options)) or made[0]
    )
    return lambda: (features.inception(), made[0])


def prepared(extract, images):
    return extract(images).reshape(-1, 299, 299, 3)


def test_inception_has_its_published_features(rng):
    extract = features.inception(weights=None)
    images = rng.uniform(-1, 1, (2, 40, 30, 3)).astype("float32")
    found = extract(images)
    assert found.shape == (2, 2048)
    assert found.dtype == np.float32
    assert np.abs(found[0] - found[1]).max() > 0


def test_inception_asks_for_the_mean_of_the_last_maps(recorded):
    assert recorded()[1].options == {"include_top": False, "weights": "imagenet", "pooling": "avg"}


def test_inception_keeps_the_range_and_the_colours(recorded):
    extract, network = recorded()
    colours = np.array([[-1, 0.25, 1], [1, -1, 0.5]], "float32")
    found = prepared(extract, np.tile(colours[:, None, None], (1, 32, 24, 1)))
    assert network.shapes == [(2, 299, 299, 3)]
    np.testing.assert_allclose(found, np.broadcast_to(colours[:, None, None], found.shape), atol=1e-6)


def test_inception_repeats_grey_in_three_channels(recorded, test_digits):
    extract, network = recorded()
    found = prepared(extract, test_digits.images[:3])
    assert network.shapes[0][1:] == (299, 299, 3)
    np.testing.assert_array_equal(found, np.repeat(found[..., :1], 3, axis=-1))
    assert found.min() == -1
    assert 0.9 < found.max() <= 1
    np.testing.assert_array_equal(found, prepared(extract, data.scale(test_digits.images[:3]).numpy()))


def test_inception_enlarges_along_straight_lines(recorded):
    """Centres of pixels stay where they are: pixel i of 299 lies at (i + 0.5) 13 / 299 - 0.5 of 13, or 23 to one."""
    extract, _ = recorded()
    ramp = np.linspace(-1, 1, 13)
    images = np.broadcast_to(ramp[None, None, :, None], (1, 13, 13, 1))
    row = prepared(extract, images)[0, 150, :, 0]
    np.testing.assert_allclose(row, np.interp((np.arange(299) + 0.5) / 23 - 0.5, np.arange(13), ramp), atol=1e-5)


def test_inception_shrinks_without_aliasing(recorded):
    extract, _ = recorded()
    squares = np.indices((897, 897)).sum(axis=0) % 2 * 2.0 - 1
    found = prepared(extract, squares[None, :, :, None])
    assert np.abs(found).max() < 0.2, "one pixel in nine would be either black or white"


def test_inception_takes_any_number_of_images(monkeypatch):
    class Mean(Recorder):
        def __call__(self, images, training):
            return tf.reduce_mean(super().__call__(images, training), axis=1, keepdims=True)

    monkeypatch.setattr(keras.applications, "InceptionV3", Mean)
    levels = np.linspace(-1, 1, 51)
    found = features.inception()(np.ones((51, 2, 2, 1)) * levels[:, None, None, None])
    np.testing.assert_allclose(found[:, 0], levels, atol=1e-4)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 9, 9, 2), "uint8"), "images have 2 channels; Inception v3 takes 1 or 3"),
        (np.full((1, 9, 9, 3), 200.0), "float from 200 to 200"),
        (np.zeros((9, 9, 3), "uint8"), r"images have the shape \(9, 9, 3\)"),
    ],
)
def test_bad_images_for_inception_are_named(recorded, images, message):
    with pytest.raises(ValueError, match=message):
        recorded()[0](images)


def test_a_failed_download_says_where_to_put_the_weights(monkeypatch):
    def fails(**options):
        raise Exception("URL fetch failure on https://storage.googleapis.com: no network")

    monkeypatch.setattr(keras.applications, "InceptionV3", fails)
    with pytest.raises(FileNotFoundError, match=r"no network\. Without a network.*put it into ~/\.keras/models"):
        features.inception()


def test_a_missing_file_of_weights_is_named(tmp_path):
    path = str(tmp_path / "notop.h5")
    with pytest.raises(FileNotFoundError, match=r"notop\.h5\) cannot be had"):
        features.inception(weights=path)
