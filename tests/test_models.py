import keras
import numpy as np
import pytest

from ganutils import models

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


def test_layer_sizes_of_the_vanilla_networks():
    def widths(network):
        return [layer.units for layer in network.layers if isinstance(layer, keras.layers.Dense)]

    assert widths(models.vanilla_generator()) == [128, 256, 512, 1024, 784]
    assert widths(models.vanilla_discriminator()) == [1024, 512, 256, 128, 1]


def test_the_familiar_networks_have_their_published_shapes():
    shapes = [tuple(layer.output.shape[1:]) for layer in models.dcgan_generator().layers if "transpose" in layer.name]
    assert shapes == [(7, 7, 128), (14, 14, 64), (28, 28, 1)]
    shapes = [tuple(layer.output.shape[1:]) for layer in models.dcgan_discriminator().layers if "conv2d" in layer.name]
    assert shapes == [(14, 14, 64), (7, 7, 128)]


def test_discriminators_have_no_batch_norm():
    for build in DISCRIMINATORS:
        assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in build().layers)


def test_strides_that_do_not_reach_28_pixels_are_refused():
    with pytest.raises(ValueError, match="product is 4"):
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
    np.testing.assert_allclose(models.mix_latents(latents, np.eye(2)), latents, rtol=1e-5)
    middle = models.mix_latents(latents, [0.5, 0.5])
    assert np.linalg.norm(middle) == pytest.approx(np.linalg.norm(latents, axis=1).mean(), rel=1e-5)
    cosine = middle @ latents.mean(axis=0) / np.linalg.norm(middle) / np.linalg.norm(latents.mean(axis=0))
    assert cosine == pytest.approx(1, rel=1e-5)


def test_mix_latents_refuses_another_number_of_weights(rng):
    with pytest.raises(ValueError, match=r"\(2, 64\).*\(3,\)"):
        models.mix_latents(rng.standard_normal((2, 64)), [0.2, 0.3, 0.5])
