import keras
import numpy as np
import pytest
from scipy import special

from ganutils import checkpoints, metrics, models

LATENT_DIM = 6


@pytest.fixture
def linear(rng):
    """A linear generator of small images, and its matrix (latent_dim, pixels)."""
    matrix = rng.standard_normal((LATENT_DIM, 16)) / 100

    def generator(latents):
        return (latents @ matrix).reshape(-1, 4, 4, 1)

    return generator, matrix


def flat(images):
    return images.reshape(len(images), -1)


def measure(generator, features=flat, samples=2000, latent_dim=LATENT_DIM, lower=0, upper=1, **options):
    return metrics.perceptual_path_length(
        generator, features, samples, latent_dim=latent_dim, lower=lower, upper=upper, **options
    )


def each_length(generator, samples, epsilon=1e-4, latent_dim=LATENT_DIM):
    """The length of each path, from the features of its two ends, which are asked for in turn."""
    seen = []

    def features(images):
        seen.append(flat(images))
        return seen[-1]

    measure(generator, features, samples, latent_dim, epsilon=epsilon)
    return np.sum((np.concatenate(seen[::2]) - np.concatenate(seen[1::2])) ** 2, axis=1) / epsilon**2


@pytest.mark.parametrize("epsilon", [1e-1, 1e-2, 1e-4])
def test_straight_path_through_a_linear_generator(linear, epsilon):
    generator, matrix = linear
    # The difference of two normal latents has the covariance 2 I.
    lengths = each_length(generator, 4000, epsilon)
    error = lengths.std() / np.sqrt(len(lengths))
    assert lengths.mean() == pytest.approx(2 * np.trace(matrix @ matrix.T), abs=3.5 * error)
    assert error < 0.02 * lengths.mean()
    # One straight line is as fast everywhere, so the step's length does not matter.
    np.testing.assert_allclose(lengths, each_length(generator, 4000, 0.05), rtol=0.02)


def test_a_path_is_the_line_between_its_latents(monkeypatch):
    monkeypatch.setattr(metrics.paths, "_PAIRS_AT_ONCE", 300)
    seen = []

    def generator(latents):
        seen.append(latents)
        return np.tanh(latents / 100).reshape(-1, 2, 2, 1)

    measure(generator, flat, 300, 4, epsilon=0.05)
    here, there = seen
    lengths = np.linalg.norm(here, axis=1)
    # Half-way it is shorter than its ends, which have the length of normal latents.
    assert lengths.mean() < special.gamma(2.5) / special.gamma(2) * np.sqrt(2) - 0.15
    assert here.dtype == there.dtype == np.float32


def test_clipping_leaves_out_the_ends(linear):
    generator, _ = linear
    lengths = np.sort(each_length(generator, 1000))
    assert measure(generator, samples=1000) == pytest.approx(lengths.mean())
    # The 1 % quantile of 1,000 values lies between the 10th and 11th; the code of the paper keeps both.
    assert measure(generator, samples=1000, lower=0.01, upper=0.99) == pytest.approx(lengths[9:991].mean())
    assert metrics.perceptual_path_length(generator, flat, 1000, latent_dim=LATENT_DIM) == pytest.approx(
        lengths[9:991].mean()
    )
    assert measure(generator, samples=1000, upper=0.5) < measure(generator, samples=1000, lower=0.5)


def test_seed_and_size_of_a_batch(linear, monkeypatch):
    generator, _ = linear
    assert measure(generator, samples=101) == measure(generator, samples=101)
    assert measure(generator, samples=101, seed=1) != measure(generator, samples=101)
    at_once = measure(generator, samples=101)
    monkeypatch.setattr(metrics.paths, "_PAIRS_AT_ONCE", 7)
    assert measure(generator, samples=101) == pytest.approx(at_once, rel=1e-9)


def test_keras_generator_tells_its_latent_dim_and_takes_labels(monkeypatch):
    latents, labels = keras.Input((5,)), keras.Input((), dtype="int64")
    of_labels = keras.layers.Embedding(3, 16, embeddings_initializer="ones")(labels)
    of_latents = keras.layers.Dense(16, activation="tanh")(latents)
    images = keras.layers.Reshape((4, 4, 1))(keras.layers.Multiply()([of_labels, of_latents]))
    # Both must run as in inference, though nobody says so.
    images = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(images))
    generator = keras.Model([latents, labels], images)
    found = metrics.perceptual_path_length(generator, flat, 200, labels=[0, 1, 2])
    assert 0 < found < 100
    seen = []

    def recorded(inputs):
        seen.append(inputs[1])
        return generator(inputs, training=False)

    monkeypatch.setattr(metrics.paths, "_PAIRS_AT_ONCE", 50)
    again = metrics.perceptual_path_length(recorded, flat, 200, labels=[0, 1, 2], latent_dim=5)
    assert again == pytest.approx(found, rel=1e-4), "batches of another size are rounded differently"
    np.testing.assert_array_equal(seen[0], seen[1])  # both ends of a path
    assert set(seen[0]) == {0, 1, 2}
    assert np.any(seen[0] != seen[-1]), "each batch has labels of its own"


def test_float32_networks_give_one_length_for_all_small_steps():
    generator = models.fast_dcgan_generator()
    lengths = [metrics.perceptual_path_length(generator, flat, 300, epsilon) for epsilon in (1e-3, 1e-4, 1e-5)]
    assert lengths[0] > 0
    assert lengths == pytest.approx([lengths[0]] * 3, rel=0.01)


def test_half_precision_is_refused():
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        generator = models.fast_dcgan_generator()
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    with pytest.raises(ValueError, match=r"computes in bfloat16, in which a step of epsilon=0\.0001"):
        metrics.perceptual_path_length(generator, flat, 10)


def test_noise_makes_a_path_long_and_repeated_images_make_it_zero():
    noisy, plain = checkpoints.noisy_generator(), models.fast_dcgan_generator()
    memory = checkpoints.memorising_generator(size=3)
    by_noise, by_plain, by_memory = (
        metrics.perceptual_path_length(generator, flat, 200, 1e-3) for generator in (noisy, plain, memory)
    )
    assert by_noise > 1000 * by_plain
    assert by_memory == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 1e-6}, "epsilon=1e-06 is not allowed; choose a number from 1e-05"),
        ({"epsilon": 1}, "epsilon=1 is not allowed"),
        ({"samples": 1}, "samples=1 is not allowed"),
        ({"lower": 0.5, "upper": 0.5}, "lower=0.5 and upper=0.5 are not allowed"),
        ({"latent_dim": None}, "does not show the length of its latents; give latent_dim"),
        ({"labels": [-1]}, "labels hold -1"),
        ({"features": lambda images: flat(images) * np.nan}, "features of generated images hold"),
        ({"features": lambda images: flat(images)[:3]}, r"features have the shape \(3, 16\) for 250 images"),
    ],
)
def test_bad_arguments_are_named(linear, options, message):
    with pytest.raises(ValueError, match=message):
        measure(linear[0], **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: np.abs(images) * 200, r"generated images go from .* like \[0, 255\]"),
        (lambda images: (images > 0).astype("uint8"), "the generator gave uint8"),
        (lambda images: images[:-1], r"the generator gave .* for 250 latents"),
        (lambda images: images * np.nan, "features of generated images hold"),
    ],
)
def test_bad_images_are_named(change, message):
    generator = models.fast_dcgan_generator()
    with pytest.raises(ValueError, match=message):
        metrics.perceptual_path_length(lambda z: change(generator(z).numpy()), flat, 250, latent_dim=32)


def test_a_linear_keras_model_with_unbounded_output_has_its_closed_form():
    generator = keras.Sequential([keras.Input((6,)), keras.layers.Dense(9, use_bias=False)])
    found = metrics.perceptual_path_length(generator, lambda x: x, 4000, 1e-2, lower=0.0, upper=1.0)
    # The step is ε (end - start), whose entries have the variance 2.
    assert found == pytest.approx(2 * np.sum(generator.get_weights()[0] ** 2), rel=0.1)


def test_a_conditional_generator_without_labels_is_told_to_take_them():
    with pytest.raises(ValueError, match="the generator also takes labels; give labels="):
        metrics.perceptual_path_length(models.conditional_generator(), flat, 10)
