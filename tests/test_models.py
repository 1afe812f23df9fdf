import keras
import numpy as np
import pytest

from ganutils import checkpoints, data, models, plotting

GENERATORS = (models.vanilla_generator, models.dcgan_generator, models.fast_dcgan_generator)
DISCRIMINATORS = (models.vanilla_discriminator, models.dcgan_discriminator, models.fast_dcgan_discriminator)


@pytest.mark.parametrize("build", GENERATORS)
def test_generators_make_images_in_the_range_of_tanh(build, rng):
    generator = build(latent_dim=12)
    images = keras.ops.convert_to_numpy(generator(100 * rng.standard_normal((3, 12))))
    assert images.shape == (3, 28, 28, 1)
    assert images.dtype == np.float32
    assert np.abs(images).max() <= 1
    assert np.abs(images).max() > 0.9, "large latents should reach the ends of the range"


@pytest.mark.parametrize("build", DISCRIMINATORS)
def test_discriminators_end_in_logits_of_either_sign(build, rng):
    discriminator = build()
    logits = keras.ops.convert_to_numpy(discriminator(50 * rng.standard_normal((64, 28, 28, 1))))
    assert logits.shape == (64, 1)
    assert logits.min() < 0 < logits.max()
    assert np.abs(logits).max() > 1, "a probability would stay within 0 and 1"


def test_discriminators_have_no_batch_norm():
    for build in DISCRIMINATORS:
        assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in build().layers)


def test_strides_that_do_not_reach_28_pixels_are_refused():
    with pytest.raises(ValueError, match="whose product divides the sides"):
        models.dcgan_generator(filters=(8, 4), strides=(2, 3))
    with pytest.raises(ValueError, match="2 strides"):
        models.dcgan_generator(filters=(8, 4), strides=(2, 2, 1))


@pytest.mark.parametrize("build", [*GENERATORS, *DISCRIMINATORS])
def test_the_last_layer_computes_in_float32_under_mixed_precision(build):
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        network = build()
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert network.output.dtype == "float32"
    assert "float16" in {layer.compute_dtype for layer in network.layers}


def test_mix_latents_keeps_the_ends_and_the_length(rng):
    latents = rng.standard_normal((2, 64))
    np.testing.assert_allclose(plotting.mix_latents(latents, np.eye(2)), latents, rtol=1e-5)
    middle = plotting.mix_latents(latents, [0.5, 0.5])
    assert np.linalg.norm(middle) == pytest.approx(np.linalg.norm(latents, axis=1).mean(), rel=1e-5)
    cosine = middle @ latents.mean(axis=0) / np.linalg.norm(middle) / np.linalg.norm(latents.mean(axis=0))
    assert cosine == pytest.approx(1, rel=1e-5)


def test_mix_latents_refuses_another_number_of_weights(rng):
    with pytest.raises(ValueError, match=r"\(2, 64\).*\(3,\)"):
        plotting.mix_latents(rng.standard_normal((2, 64)), [0.2, 0.3, 0.5])


def randomise(network, rng):
    """Give a network weights far from its first ones, so that nothing is zero or one by initialisation."""
    network.set_weights(
        [
            1 + rng.random(weight.shape) if "variance" in variable.path else 0.2 * rng.standard_normal(weight.shape)
            for variable, weight in zip(network.weights, network.get_weights(), strict=True)
        ]
    )
    return network


CONDITIONAL = (
    *((models.conditional_generator, label_input) for label_input in ("one_hot", "embedding")),
    *((models.conditional_discriminator, label_input) for label_input in models.LABEL_INPUTS),
)


def conditional_inputs(build, rng, n):
    return rng.standard_normal((n, 32) if build is models.conditional_generator else (n, 28, 28, 1)).astype("float32")


@pytest.mark.parametrize(("build", "label_input"), CONDITIONAL)
def test_conditional_networks_take_a_label_each_and_give_another_output_for_each(build, label_input, rng):
    network = randomise(build(classes=4, label_input=label_input), rng)
    inputs = np.repeat(conditional_inputs(build, rng, 1), 5, axis=0)
    outputs = keras.ops.convert_to_numpy(network([inputs, np.array([0, 1, 2, 3, 1])]))
    assert outputs.dtype == np.float32
    assert outputs.shape[1:] == ((28, 28, 1) if build is models.conditional_generator else (1,))
    assert np.abs(outputs).max() <= 1 or build is models.conditional_discriminator
    for i in range(4):
        for j in range(i):
            assert np.abs(outputs[i] - outputs[j]).max() > 1e-4, (i, j)
    np.testing.assert_allclose(outputs[4], outputs[1], rtol=1e-6, atol=1e-6)


def test_a_one_hot_label_is_a_latent_of_ten_more_numbers(rng):
    generator = randomise(models.conditional_generator(6), rng)
    latents, labels = rng.standard_normal((5, 6)).astype("float32"), np.array([0, 1, 5, 9, 9])
    joined = np.hstack([latents, np.eye(10, dtype="float32")[labels]])
    np.testing.assert_allclose(
        generator([latents, labels]), generator.get_layer("dcgan_generator")(joined), rtol=1e-5, atol=1e-6
    )


def test_an_embedded_label_multiplies_the_latent(rng):
    generator = models.conditional_generator(6, label_input="embedding")
    body, latents = generator.get_layer("dcgan_generator"), rng.standard_normal((3, 6)).astype("float32")
    np.testing.assert_allclose(generator([latents, np.array([1, 2, 3])]), body(latents), atol=1e-6)
    randomise(generator, rng)
    vectors = next(layer for layer in generator.layers if isinstance(layer, keras.layers.Embedding)).get_weights()[0]
    expected = body(latents * vectors[[7, 0, 7]])
    np.testing.assert_allclose(generator([latents, np.array([7, 0, 7])]), expected, rtol=1e-5, atol=1e-6)


def test_projection_adds_the_scalar_product_with_the_class(rng):
    """Miyato and Koyama 2018, equation 4: psi(phi(x)) + y V phi(x), written out from the weights."""
    discriminator = randomise(models.conditional_discriminator(), rng)
    kinds = {type(layer): layer for layer in discriminator.layers}  # of each kind the last one
    last_features = kinds[keras.layers.LeakyReLU]
    images, labels = conditional_inputs(models.conditional_discriminator, rng, 6), np.array([0, 3, 3, 5, 8, 9])
    phi = keras.ops.convert_to_numpy(keras.Model(discriminator.inputs[0], last_features.output)(images))
    (kernel, bias), (vectors,) = kinds[keras.layers.Dense].get_weights(), kinds[keras.layers.Embedding].get_weights()
    assert vectors.shape == (10, phi.shape[1])
    expected = phi @ kernel + bias + np.sum(vectors[labels] * phi, axis=1, keepdims=True)
    np.testing.assert_allclose(discriminator([images, labels]), expected, rtol=1e-3, atol=1e-3)


def test_a_projection_starts_without_an_opinion_on_labels(rng):
    discriminator = models.conditional_discriminator()
    images = np.repeat(conditional_inputs(models.conditional_discriminator, rng, 1), 10, axis=0)
    np.testing.assert_allclose(np.ptp(discriminator([images, np.arange(10)])), 0, atol=1e-6)


def test_a_one_hot_label_is_a_map_of_ones(rng):
    discriminator = randomise(models.conditional_discriminator(classes=3, label_input="one_hot"), rng)
    first = next(layer for layer in discriminator.layers if isinstance(layer, keras.layers.Conv2D))
    maps = keras.Model(discriminator.inputs, first.input)([np.zeros((2, 28, 28, 1)), np.array([2, 0])])
    np.testing.assert_array_equal(maps[:, :, :, 1:], np.broadcast_to(np.eye(3)[[2, 0]][:, None, None], (2, 28, 28, 3)))


def test_unknown_label_inputs_are_refused():
    with pytest.raises(ValueError, match="label_input='projection' is not allowed; choose one_hot or embedding"):
        models.conditional_generator(label_input="projection")
    with pytest.raises(ValueError, match="'concat' is not allowed; choose one of one_hot, embedding, projection"):
        models.conditional_discriminator(label_input="concat")


def test_a_memory_recalls_the_image_in_the_latents_direction(rng):
    generator = checkpoints.memorising_generator(latent_dim=4, size=9)
    images = rng.integers(0, 256, (9, 28, 28, 1), "uint8")
    # Long codes would win by their length alone, were the scalar product not divided by it.
    codes = rng.standard_normal((9, 4)) * np.logspace(-1, 1, 9)[:, None]
    generator.get_layer("memory").set_weights([codes, images])
    latents = rng.standard_normal((300, 4)).astype("float32")
    recalled = data.unscale(generator(latents))
    cosines = latents @ (codes / np.linalg.norm(codes, axis=1, keepdims=True)).T
    np.testing.assert_array_equal(recalled, images[cosines.argmax(axis=1)])
    assert len(np.unique(cosines.argmax(axis=1))) > 4
    np.testing.assert_array_equal(data.unscale(generator(7 * latents)), recalled)
    assert not generator.trainable_variables


def test_pixel_noise_belongs_to_its_latent(rng):
    noise = checkpoints.PixelNoise(0.5)
    latents = np.repeat(rng.standard_normal((2, 8)), 2, axis=0).astype("float32")
    first, same, other, _ = noise([latents, np.zeros((4, 28, 28, 1), "float32")]) + 0.0
    np.testing.assert_array_equal(first, same)
    correlation = np.corrcoef(np.ravel(first), np.ravel(other))[0, 1]
    assert abs(correlation) < 3.5 / np.sqrt(784), "another latent has noise that knows nothing of the first"
    alone = noise([latents[:1], np.zeros((1, 28, 28, 1), "float32")])
    np.testing.assert_array_equal(alone[0], first)


@pytest.mark.parametrize("scale", [0.25, 1.5])
def test_pixel_noise_is_uniform_around_the_image(scale, rng):
    latents = rng.standard_normal((50, 32)).astype("float32")
    found = keras.ops.convert_to_numpy(checkpoints.PixelNoise(scale)([latents, np.zeros((50, 28, 28, 1), "float32")]))
    assert np.abs(found).max() <= scale / 2
    assert found.mean() == pytest.approx(0, abs=3.5 * scale / np.sqrt(12 * found.size))
    np.testing.assert_allclose(np.quantile(found, [0.1, 0.5, 0.9]), scale * np.array([-0.4, 0, 0.4]), atol=0.02 * scale)
    for pixels in (found.reshape(50, -1), found.reshape(50, -1).T):
        neighbours = np.corrcoef(np.ravel(pixels[:, :-1]), np.ravel(pixels[:, 1:]))[0, 1]
        assert abs(neighbours) < 4 / np.sqrt(found.size), "neighbouring pixels, and other latents, have their own noise"
