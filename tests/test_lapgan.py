"""The Laplacian pyramid: nothing is lost in it, and each level is trained on real pictures alone."""

import keras
import numpy as np
import pytest

from ganutils import callbacks, data, health, losses
from ganutils.models import lapgan
from ganutils.models.sizes import double, halve, repeat_pixels
from tests.conftest import Interrupt, assert_equal


def by_blocks(images):
    n, height, width, channels = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


def level(noise=0.0, **options):
    keras.utils.set_random_seed(3)
    found = lapgan.Level(*lapgan.level_networks((8, 8, 1), latent_dim=4, filters=6, maps=2), noise=noise, **options)
    found.compile(*(keras.optimizers.Adam(1e-3, beta_1=0.0) for _ in range(2)))
    return found


def test_halves_and_doubles(rng):
    images = rng.uniform(-1, 1, (3, 8, 6, 2)).astype("float32")
    np.testing.assert_allclose(halve(images), by_blocks(images), atol=1e-6)
    np.testing.assert_array_equal(halve(repeat_pixels(images)), images)
    for wrong in (images[..., 0], images[:, :7]):
        with pytest.raises(ValueError, match="of even height and width"):
            halve(wrong)
    np.testing.assert_array_equal(double(np.full((2, 4, 4, 1), 0.3, "float32")), np.float32(0.3))
    ramp = np.tile(np.arange(4, dtype="float32")[None, :, None, None], (1, 1, 4, 1))
    expected = [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    np.testing.assert_allclose(double(ramp)[0, :, 0, 0], expected, atol=1e-6, err_msg="linear, but at the ends")


def test_a_pyramid_holds_all_of_a_picture(rng):
    images = rng.uniform(-1, 1, (5, 16, 16, 3)).astype("float32")
    pictures, details = [images], []
    for _ in range(2):
        pictures.append(halve(pictures[-1]))
        details.append(pictures[-2] - double(pictures[-1]))
    rebuilt = pictures[-1]
    for detail in reversed(details):
        rebuilt = lapgan.add_detail(rebuilt, detail)
    np.testing.assert_allclose(rebuilt, images, atol=1e-6)


def test_no_detail_changes_the_coarse_picture(rng):
    coarse, detail = (rng.normal(size=(4, side, side, 3)).astype("float32") for side in (8, 16))
    images = lapgan.add_detail(coarse, detail)
    np.testing.assert_allclose(halve(images), coarse, atol=1e-5)
    np.testing.assert_allclose(images, lapgan.add_detail(coarse, detail + repeat_pixels(coarse)), atol=1e-5)
    assert np.abs(images - lapgan.add_detail(coarse, 2 * detail)).max() > 1


def test_a_level_gives_each_real_picture_a_generated_one_of_the_same_half(digits, monkeypatch):
    gan, judged = level(), []
    monkeypatch.setattr(gan, "discriminate", lambda x, condition=None: judged.append(x) or np.ones((16, 1), "float32"))
    real = data.as_float(digits[:16])
    gan.losses(real)
    np.testing.assert_array_equal(judged[0], real)
    np.testing.assert_allclose(halve(judged[1]), by_blocks(real), atol=1e-6)
    assert np.abs(judged[1] - real).max() > 0.5


def test_noise_is_on_what_the_generator_sees_in_training_alone(digits, monkeypatch):
    gan, seen = level(noise=0.5), []
    run = gan.run
    monkeypatch.setattr(gan, "run", lambda player, x: seen.append(x) or run(player, x))
    real = data.as_float(digits)
    gan.losses(real)
    difference = np.asarray(seen[0][1] - halve(real))
    deviations = difference.std(axis=(1, 2, 3))
    assert 0 < deviations.min() < 0.1
    assert 0.35 < deviations.max() < 0.6
    np.testing.assert_array_equal(seen[1], real)
    latents, coarse = np.zeros((3, 4), "float32"), np.asarray(halve(real[:3]))
    np.testing.assert_array_equal(gan([latents, coarse]), gan([latents, coarse]))
    np.testing.assert_array_equal(seen[-1][1], coarse)


def test_a_health_check_sees_a_level_s_images_and_not_its_detail(digits):
    found = level()
    images = data.as_float(digits[:16])
    found.generator.set_weights([0 * weight for weight in found.generator.get_weights()])
    without_detail = lapgan.add_detail(halve(images), np.zeros_like(images))
    shares = [health._diversity(np.asarray(each))[0] for each in (without_detail, images)]
    expected = shares[0] / shares[1]
    assert health.measure(found, digits[:16])["generator: variance"] == pytest.approx(expected, rel=0.02)


def test_a_killed_level_ends_as_if_it_had_not_been(digits, tmp_path):
    def train(name, *extra):
        gan = level(noise=0.2, average=0.9, penalty=losses.R1(1.0, every=2))
        batches, backup = data.pipeline(digits, batch_size=16), callbacks.Backup(tmp_path / name)
        gan.fit(batches, epochs=2, verbose=0, callbacks=list(extra), backup=backup)
        return gan

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("part", Interrupt(1))
    assert_equal(whole, train("part"))


def test_joined_networks_draw_what_they_draw_one_after_another(rng):
    base, _ = lapgan.base_networks((4, 4, 1), latent_dim=3, units=8)
    levels = [level(), None]
    levels[1] = lapgan.Level(*lapgan.level_networks((16, 16, 1), latent_dim=5, filters=4))
    latents = rng.standard_normal((6, 12)).astype("float32")
    small, middle, large = lapgan.join(base, *(one.generator for one in levels))(latents)
    np.testing.assert_array_equal(small, base(latents[:, :3]))
    np.testing.assert_allclose(middle, levels[0]([latents[:, 3:7], small]), atol=1e-6)
    np.testing.assert_allclose(large, levels[1]([latents[:, 7:], middle]), atol=1e-6)
    assert np.abs(large).max() <= 1


def test_bytes_are_scaled_and_mistakes_are_named(digits):
    gan, latents = level(), np.zeros((4, 4), "float32")
    coarse = digits[:4, ::2, ::2]
    np.testing.assert_array_equal(gan([latents, coarse]), gan([latents, data.as_float(coarse)]))
    for inputs, match in (
        (latents, "give \\[latents, coarse images\\]"),
        ([latents, digits[:4]], "of shape \\(4, 4, 1\\)"),
        ([latents, coarse[:3]], "4 latents and coarse images \\(3, 4, 4, 1\\)"),
        ([latents, coarse / 255.0 * 3], "coarse images"),
        ([latents * np.nan, coarse], "latents"),
    ):
        for call in (gan, gan.predict):
            with pytest.raises(ValueError, match=match):
                call(inputs)
    with pytest.raises(ValueError, match="give it coarse ones"):
        gan.sample(4)
    with pytest.raises(ValueError, match="noise=-1"):
        level(noise=-1)
    with pytest.raises(ValueError, match="base_generator has 1 input"):
        lapgan.Level(*lapgan.base_networks((8, 8, 1)))
    with pytest.raises(ValueError, match="this level makes"):
        gan.fit(digits[:, ::2, ::2], batch_size=16, verbose=0)
    with pytest.raises(ValueError, match="leave the labels out"):
        gan.fit(digits, np.zeros(64, int), batch_size=16, verbose=0)
    with pytest.raises(ValueError, match="must be even"):
        lapgan.level_networks((7, 8, 1))
    with pytest.raises(ValueError, match="cannot be halved 3 times"):
        lapgan.lapgan_generator((28, 28, 1), depth=3)
    with pytest.raises(ValueError, match="or networks of these shapes"):
        lapgan.Level(lapgan.level_networks((8, 8, 1))[0], lapgan.level_networks((16, 16, 1))[1])
