import numpy as np
import pytest

from ganutils import models, plotting
from ganutils.plotting import _images


def pixels(figure):
    """The image that an image grid shows."""
    return np.asarray(figure.axes[0].images[0].get_array())


def test_image_grid_puts_images_row_by_row():
    images = np.stack([np.full((4, 3, 1), value, "uint8") for value in (10, 20, 30, 40, 50)])
    canvas = pixels(plotting.image_grid(images, columns=2))
    assert canvas.shape == (3 * 6 - 2, 2 * 5 - 2)
    assert canvas[0, 0] == 10
    assert canvas[0, 5] == 20
    assert canvas[6, 0] == 30
    assert canvas[12, 0] == 50
    assert canvas[12, 5] == 255, "a missing image is white"


def test_image_grid_takes_floats_from_minus_one_to_one():
    images = np.array([-1.0, 0.0, 1.0]).reshape(3, 1, 1, 1) * np.ones((3, 2, 2, 1))
    canvas = pixels(plotting.image_grid(images, columns=3))
    assert [canvas[0, column] for column in (0, 4, 8)] == [0, 128, 255]


def test_image_grid_keeps_colour():
    images = np.zeros((2, 4, 4, 3), "uint8")
    images[1, :, :, 0] = 200
    assert tuple(pixels(plotting.image_grid(images))[0, 6]) == (200, 0, 0)


def test_image_grid_refuses_what_is_no_batch():
    with pytest.raises(ValueError, match=r"\(28, 28\), expected \(n, height"):
        plotting.image_grid(np.zeros((28, 28)))


def test_sample_strip_has_a_row_for_each_latent_and_keeps_first_and_last():
    images = [np.stack([np.full((2, 2, 1), 10 * time + row, "uint8") for row in range(3)]) for time in range(20)]
    figure = plotting.sample_strip(images, list(range(20)), n=3, most=4)
    canvas = pixels(figure)
    assert canvas.shape == (3 * 4 - 2, 4 * 4 - 2)
    assert canvas[0, 0] == 0
    assert canvas[0, 12] == 190
    assert canvas[8, 12] == 192
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels[0] == "epoch 0"
    assert labels[-1] == "19"


def test_sample_animation_leaves_its_pictures_as_they_are(monkeypatch):
    monkeypatch.setattr(_images, "png", lambda figure: "LASTPICTURESLAST")
    html = plotting.sample_animation([np.zeros((1, 2, 2, 1), "uint8")] * 2, [0, 1]).data
    assert html.count("base64,LASTPICTURESLAST") == 2
    assert 'max="1"' in html


def test_sample_animation_has_every_frame_and_a_button():
    images = [np.full((4, 6, 6, 1), value, "uint8") for value in (0, 100, 200)]
    html = plotting.sample_animation(images, [0, 1, 2], n=4).data
    assert html.count("data:image/png;base64") == 3
    assert ">Play</button>" in html
    assert "http" not in html, "it must work without a network"


HISTORY = {
    "step": [1, 2],
    "generator_loss": [0.7, 0.8],
    "discriminator_loss": [1.4, 1.2],
    "real_accuracy": [0.5, 0.6],
    "fake_accuracy": [0.5, 0.7],
}


def test_training_curves_mark_where_the_losses_rest():
    left, right = plotting.training_curves(HISTORY).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in left.lines + right.lines}
    assert drawn["generator loss"] == [0.7, 0.8]
    assert drawn["on fake images"] == [0.5, 0.7]
    levels = sorted(line.get_ydata()[0] for line in left.lines if line.get_label().startswith("_"))
    assert levels == pytest.approx([np.log(2), 2 * np.log(2)])
    assert not any(
        line.get_label().startswith("_")
        for line in plotting.training_curves(HISTORY, losses_at_rest=False).axes[0].lines
    )


def test_lines_differ_in_more_than_colour():
    for axes in plotting.training_curves(HISTORY).axes:
        styles = [line.get_linestyle() for line in axes.lines if not line.get_label().startswith("_")]
        assert len(set(styles)) == len(styles)


def test_optimal_discriminator_agrees_with_closed_forms():
    figure = plotting.optimal_discriminator(generator_mean=1.0, generator_deviation=0.7)
    assert "divergence 0.000" in figure.axes[0].get_title()
    curve = next(line for line in figure.axes[0].lines if line.get_label() == "best discriminator")
    np.testing.assert_allclose(curve.get_ydata(), 0.5, atol=1e-12)
    # Two normal densities of the same width: the ratio is a logistic function of x.
    figure = plotting.optimal_discriminator(generator_mean=-1.0, generator_deviation=0.7)
    curve = next(line for line in figure.axes[0].lines if line.get_label() == "best discriminator")
    x = np.asarray(curve.get_xdata())
    np.testing.assert_allclose(curve.get_ydata(), 1 / (1 + np.exp(-2 * x / 0.49)), atol=1e-9)
    far = plotting.optimal_discriminator(generator_mean=-9.0, generator_deviation=0.3)
    assert f"divergence {np.log(2):.3f}" in far.axes[0].get_title()


def linear_generator(latents):
    """Four pixels that are the first four numbers of the latent."""
    return np.clip(np.asarray(latents)[:, :4].reshape(-1, 2, 2, 1) / 4, -1, 1)


def test_latent_plane_has_its_latents_in_the_corners(rng):
    corners = rng.standard_normal((4, 9))
    canvas = pixels(plotting.latent_plane(linear_generator, corners, size=5))
    expected = pixels(plotting.image_grid(linear_generator(corners), columns=1))
    for i, (row, column) in enumerate(((0, 0), (0, 16), (16, 0), (16, 16))):
        np.testing.assert_array_equal(canvas[row : row + 2, column : column + 2], expected[4 * i : 4 * i + 2])


def test_latent_interpolation_begins_and_ends_at_its_latents(rng):
    starts, ends = rng.standard_normal((2, 3, 9))
    canvas = pixels(plotting.latent_interpolation(linear_generator, starts, ends, steps=6))
    middle = models.mix_latents([starts[1], ends[1]], [0.6, 0.4])
    wanted = np.stack([starts[1], middle, ends[1]])
    tiles = pixels(plotting.image_grid(linear_generator(wanted), columns=3))
    np.testing.assert_array_equal(canvas[4:6, :2], tiles[:, :2])
    np.testing.assert_array_equal(canvas[4:6, 8:10], tiles[:, 4:6])
    np.testing.assert_array_equal(canvas[4:6, 20:22], tiles[:, 8:10])


def test_class_shares_are_the_bars():
    shares = np.array([0.5, 0.25, 0.25])
    bars = plotting.class_shares(shares).axes[0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx(shares)


def test_count_maps_write_the_numbers():
    axes = plotting.count_maps({"a": np.array([[1, 2], [3, 4]]), "b": np.array([[5]])}).axes
    assert [text.get_text() for text in axes[0].texts] == ["1", "2", "3", "4"]
    assert axes[1].get_title() == "b"


def test_show_gives_caption_and_alternative_text(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda content, raw: shown.append(content))
    plotting.show(plotting.image_grid(np.zeros((1, 2, 2, 1))), "What to <b>see</b>.", alt='A "black" square')
    page = shown[0]["text/html"]
    assert shown[0]["text/plain"] == "What to <b>see</b>."
    assert 'alt="A &quot;black&quot; square"' in page
    assert "<figcaption><em>What to <b>see</b>.</em></figcaption>" in page
    assert "data:image/png;base64,iVBOR" in page, "the beginning of every PNG, in base64"
