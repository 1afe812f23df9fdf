"""Super-resolution: each term of the loss is what it says, and the small picture is the large one's mean."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from ganutils import data, losses
from ganutils.models import srgan
from ganutils.models.sizes import shrink
from tests.conftest import assert_survives_a_kill


def networks(small=(2, 2)):
    generator = srgan.sr_generator((8, 8, 1), small, channels=4, blocks=1)
    layers = [keras.layers.Conv2D(4, 3, 2), keras.layers.LeakyReLU(0.2), keras.layers.Flatten(), keras.layers.Dense(1)]
    return generator, keras.Sequential([keras.Input((8, 8, 1)), *layers])


def model(discriminator=True, small=(2, 2), rate=1e-3, **options):
    keras.utils.set_random_seed(3)
    generator, judge = networks(small)
    found = srgan.SuperResolution(generator, judge if discriminator else None, **options)
    found.compile({player: keras.optimizers.Adam(rate, beta_1=0.0) for player in found.networks})
    return found


@pytest.mark.parametrize("factor", [2, 4, 7])
def test_a_small_picture_has_the_means_of_blocks(rng, factor):
    images = rng.uniform(-1, 1, (3, 28, 28, 2)).astype("float32")
    blocks = images.reshape(3, 28 // factor, factor, 28 // factor, factor, 2).mean(axis=(2, 4))
    if 28 % factor == 0:
        np.testing.assert_allclose(shrink(images, factor), blocks, atol=1e-6)
    with pytest.raises(ValueError, match="multiples of 3"):
        shrink(images, 3)


def test_an_error_of_a_tenth_has_26_decibels(rng):
    images = rng.uniform(-0.9, 0.9, (4, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(srgan.psnr(images, images + 0.1), 20 * np.log10(2 / 0.1), rtol=1e-4)
    np.testing.assert_allclose(srgan.psnr(images, -images), tf.image.psnr(images, -images, 2.0), rtol=1e-4)


@pytest.mark.parametrize("small", [(2, 2), (4, 4), (1, 1)])
def test_without_detail_it_interpolates(rng, small):
    generator, _ = networks(small)
    detail = generator.get_layer("detail")
    detail.set_weights([0 * weight for weight in detail.get_weights()])
    images = rng.uniform(-1, 1, (3, *small, 1)).astype("float32")
    np.testing.assert_allclose(generator(images), tf.image.resize(images, (8, 8)), atol=1e-6)


def test_the_generator_s_loss_is_the_weighted_sum_of_its_terms(digits):
    features = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    images = data.as_float(digits[:16])
    found = model(pixel=2.0, content=3.0, adversarial=0.5, features=features)
    drawn = found.networks["generator"](shrink(images, 4))
    fooled = ops.mean(ops.softplus(-found.networks["discriminator"](drawn)))
    errors = (ops.mean((one - other) ** 2) for one, other in ((drawn, images), (features(drawn), features(images))))
    expected = sum(weight * float(each) for weight, each in zip((2.0, 3.0, 0.5), (*errors, fooled), strict=True))
    before = features.get_weights()
    assert float(found.train_step(tf.constant(images))["generator_loss"]) == pytest.approx(expected, rel=1e-4)
    for one, other in zip(before, features.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_pixel_error_alone_raises_the_ratio_without_a_discriminator(digits):
    found = model(discriminator=False, rate=1e-2)
    assert set(found.networks) == {"generator"}
    before = found.evaluate(digits, verbose=0, return_dict=True)["psnr"]
    found.fit(data.pipeline(digits, batch_size=16), epochs=30, verbose=0)
    after = found.evaluate(digits, verbose=0, return_dict=True)["psnr"]
    assert after > before + 0.1
    drawn = found.predict(shrink(data.as_float(digits), 4), verbose=0)
    assert after == pytest.approx(float(np.mean(srgan.psnr(drawn, data.as_float(digits)))), abs=1e-3)


def test_a_killed_run_ends_as_if_it_had_not_been(digits, tmp_path):
    options = {"adversarial": 0.1, "average": 0.9, "penalty": losses.R1(1.0, every=2)}
    assert_survives_a_kill(lambda: model(**options), digits, tmp_path)


def test_what_does_not_fit_is_named(digits):
    features = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    for options in ({"adversarial": 0.0}, {"discriminator": False, "adversarial": 0.1}):
        with pytest.raises(ValueError, match=r"adversarial=.*give both, or neither"):
            model(**options)
    for options in ({"content": 1.0}, {"features": features}):
        with pytest.raises(ValueError, match=r"content=.*give both, or neither"):
            model(adversarial=0.1, **options)
    with pytest.raises(ValueError, match="pixel=-1"):
        model(adversarial=0.1, pixel=-1)
    with pytest.raises(ValueError, match="one whole factor"):
        model(discriminator=False, small=(3, 3))
    with pytest.raises(ValueError, match="multiples of 4"):
        srgan.sr_generator((30, 30, 1), (7, 7))
    with pytest.raises(ValueError, match="the generator makes"):
        model(discriminator=False).fit(digits[:, ::2, ::2], batch_size=16, verbose=0)
