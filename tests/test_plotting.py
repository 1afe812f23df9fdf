import base64
import itertools
import re

import matplotlib.style
import numpy as np
import pytest

from ganutils import plotting
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
    with pytest.raises(ValueError, match=r"\(28, 28\); give \(n, height"):
        plotting.image_grid(np.zeros((28, 28)))


def test_a_class_grid_has_a_row_for_each_class_by_its_name():
    images = 40 * np.arange(6, dtype="uint8").reshape(6, 1, 1, 1) * np.ones((1, 4, 4, 3), "uint8")
    axes = plotting.class_grid(images, [1, 2, 1, 2, 1, 1], ["cat", "dog", "owl"], columns=3).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["dog", "owl"]
    canvas = np.asarray(axes.get_images()[0].get_array())
    assert canvas[[0, 0, 0, 6, 6, 6], [0, 6, 12] * 2, 0].tolist() == [0, 80, 160, 40, 120, 255], (
        "missing ones stay white"
    )
    for labels, message in (([0, 3], "from 0 to 2"), ([0], "1 for 2 images"), ([[0], [1]], "make")):
        with pytest.raises(ValueError, match=message):
            plotting.class_grid(images[4:], labels, ["cat", "dog", "owl"])


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
    for times in (4, 9):
        strip = plotting.sample_strip(images[:times], list(range(times)), n=1)
        assert 4 < strip.get_figwidth() <= 6.5, "as large as a page lets them be"


def test_a_film_leaves_its_texts_and_pictures_as_they_are(monkeypatch):
    monkeypatch.setattr(_images, "png_bytes", lambda figure, part: bytes(16) + (384).to_bytes(4, "big"))
    html = plotting.film([plotting.Figure()] * 3, "A CAPTION with STEPS and SOURCE.", alt="From <0> to STEPS").data
    picture = base64.b64encode(bytes(16) + (384).to_bytes(4, "big")).decode()
    assert html.count(picture) == 3
    assert "<em>A CAPTION with STEPS and SOURCE.</em>" in html
    assert 'alt="From &lt;0&gt; to STEPS"' in html
    assert 'width="192"' in html, "half of the picture's pixels"
    with pytest.raises(ValueError, match="at least one"):
        plotting.film([], "Nothing")


def test_a_film_shows_its_last_picture_until_it_is_started():
    images = [np.full((4, 6, 6, 1), value, "uint8") for value in (0, 100, 200)]
    html = plotting.sample_animation(images, [0, 1, 2], n=4).data
    assert html.count("data:image/png;base64") == 3
    last = plotting.sample_animation(images[2:], [2], n=4).data
    source = re.search('src="(.*?)"', html)[1]
    assert source == re.search('src="(.*?)"', last)[1]
    assert 'max="2" value="2"' in html
    assert ">Play</button>" in html
    assert "http" not in html, "it must work without a network"


def test_pictures_of_a_film_have_one_size():
    figures = [plotting.lines({"y": ([0, 1], [0, value])}, "x", "y") for value in (1, 10_000)]
    sources = re.findall('base64,(.*?)["]', plotting.film(figures, "Two").data)
    sizes = {base64.b64decode(source)[16:24] for source in sources}
    assert (len(sources), len(sizes)) == (2, 1), "else it would jump"


def test_a_chase_shows_data_generated_numbers_and_the_discriminators_curve(rng):
    real, fake, x = rng.normal(1, 0.5, (4000, 1)), rng.normal(-1, 0.1, (2000, 1)), np.linspace(-3, 3, 25)[:, None]
    probabilities = 1 / (1 + np.exp(-x))
    first, second = plotting.chase({0: (fake, probabilities), 90: (real, probabilities)}, real, x).axes
    assert [axes.get_title("left") for axes in (first, second)] == ["step 0", "step 90"]
    line = next(line for line in first.lines if line.get_label() == "D(x)")
    np.testing.assert_allclose(line.get_xydata(), np.hstack([x, probabilities]))
    heights = [bar.get_height() for bar in second.patches[:60]]
    assert sum(heights) * 0.1 == pytest.approx(1, abs=0.01), "a density"


def test_a_chase_in_the_plane_knows_where_the_discriminator_says_what(rng):
    grid = np.linspace(-1, 1, 9)
    places = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    sure_on_the_right = (places[:, :1] > 0).astype(float)
    points = rng.uniform(-1, 1, (50, 2))
    (axes,) = plotting.chase({3: (points, sure_on_the_right)}, points, places).axes
    drawn = {line.get_label(): line.get_xydata() for line in axes.lines}
    np.testing.assert_allclose(drawn["data"], points)
    np.testing.assert_allclose(drawn["generated"], points)
    boundary = axes.collections[-1].get_paths()[0].vertices
    assert (np.abs(boundary[:, 0]) < 0.3).all(), "one half is crossed where x changes its sign"


@pytest.mark.parametrize(
    ("side", "directions", "message"),
    [
        (9, [np.full((81, 2), np.nan)], "give finite ones"),
        (9, [np.zeros((80, 2))], r"directions \(80, 2\); give finite ones \(81, 2\)"),
        (9, [np.zeros((81, 2))] * 2, "give them once"),
        (3, [np.zeros((9, 2))], "at least 5 x 5 places"),
    ],
)
def test_directions_that_cannot_be_drawn_are_refused(side, directions, message):
    places = np.stack(np.meshgrid(*[np.linspace(-2, 2, side)] * 2), axis=-1).reshape(-1, 2)
    moment = np.zeros((5, 2)), np.full((side**2, 1), 0.4), *directions
    with pytest.raises(ValueError, match=message):
        plotting.chase({"one": moment}, np.zeros((5, 2)), places)


def test_a_chase_of_names_has_small_panels_and_arrows_where_points_are_pushed():
    grid = np.linspace(-2, 2, 9)
    places = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    to_the_right = np.stack([np.ones(81), np.zeros(81)], axis=1)
    moment = np.zeros((5, 2)), np.full((81, 1), 0.4), to_the_right
    figure = plotting.chase({"one": moment, "two": moment, "three": moment}, np.zeros((5, 2)), places, columns=2)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "two", "three", ""]
    (arrows,) = [artist for artist in figure.axes[0].collections if type(artist).__name__ == "Quiver"]
    np.testing.assert_array_equal(arrows.V, 0)
    assert (arrows.U > 0).all()


@pytest.mark.parametrize(
    ("fake", "probabilities", "real", "message"),
    [
        ((5, 2), (7, 1), (9, 1), r"step 0 has generated points \(5, 2\).*give \(n, 1\) and \(7, 1\)"),
        ((5, 1), (6, 1), (9, 1), r"probabilities \(6, 1\)"),
        ((5, 1), (7, 1), (9, 3), r"data \(9, 3\) and places \(7, 1\): give \(k, 1\) and \(m, 1\), or"),
    ],
)
def test_a_chase_refuses_what_does_not_fit(fake, probabilities, real, message):
    with pytest.raises(ValueError, match=message):
        plotting.chase({0: (np.zeros(fake), np.zeros(probabilities))}, np.zeros(real), np.linspace(0, 1, 7)[:, None])


def test_pixel_slopes_are_blue_where_brighter_is_more_real_and_orange_where_darker_is():
    images, slopes = np.zeros((2, 2, 2, 1), "uint8"), np.zeros((2, 2, 2, 1))
    slopes[0, 0, 0], slopes[0, 1, 1] = 5.0, -5.0
    canvas = pixels(plotting.pixel_slopes(images, slopes, images + 255))
    assert canvas.shape == (3 * 4 - 2, 2 * 4 - 2, 3)
    red, _, blue = canvas[4, 0]
    assert blue > red
    red, _, blue = canvas[5, 1]
    assert blue < red
    assert canvas[4:6, 4:6].min() >= 254, "no slope at all is white"
    assert canvas[8, 0].tolist() == [255] * 3
    for wrong, message in ((slopes[:1], "as many slopes"), (slopes * np.nan, "NaN")):
        with pytest.raises(ValueError, match=message):
            plotting.pixel_slopes(images, wrong, images)


HISTORY = {
    "step": [1, 2],
    "generator_loss": [0.7, 0.8],
    "discriminator_loss": [1.4, 1.2],
    "real_accuracy": [0.5, 0.6],
    "fake_accuracy": [0.5, 0.7],
}


def test_training_curves_of_one_point_can_be_seen():
    one = {name: values[:1] for name, values in HISTORY.items()}
    for axes in plotting.training_curves(one, equilibrium={}).axes:
        assert [line.get_marker() for line in axes.lines[:2]] == ["o", "o"]


def test_training_curves_mark_where_the_losses_rest():
    left, right = plotting.training_curves(HISTORY).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in left.lines + right.lines}
    assert drawn["generator loss"] == [0.7, 0.8]
    assert drawn["on generated images"] == [0.5, 0.7]
    levels = sorted(line.get_ydata()[0] for line in left.lines if line.get_label().startswith("_"))
    assert levels == pytest.approx([np.log(2), 2 * np.log(2)])
    assert not any(
        line.get_label().startswith("_") for line in plotting.training_curves(HISTORY, equilibrium={}).axes[0].lines
    )


def test_distances_have_a_panel_of_their_own():
    *_, last = plotting.training_curves(HISTORY, distances=([0, 2], [350.0, 20.0])).axes
    assert last.get_title().startswith("FID (digits)")
    assert last.lines[0].get_xydata().tolist() == [[0, 350.0], [2, 20.0]]


def test_lines_differ_in_more_than_colour():
    for axes in plotting.training_curves(HISTORY).axes:
        styles = [line.get_linestyle() for line in axes.lines if not line.get_label().startswith("_")]
        assert len(set(styles)) == len(styles)


def curve(axes, label):
    line = next(line for line in axes.lines if line.get_label() == label)
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def test_optimal_discriminator_agrees_with_closed_forms():
    figure = plotting.optimal_discriminator(generator_mean=1.0, generator_deviation=0.7)
    assert "divergence 0.000" in figure.axes[0].get_title()
    np.testing.assert_allclose(curve(figure.axes[0], "best discriminator")[1], 0.5, atol=1e-12)
    # Two normal densities of the same width: the ratio is a logistic function of x.
    figure = plotting.optimal_discriminator(generator_mean=-1.0, generator_deviation=0.7)
    x, best = curve(figure.axes[0], "best discriminator")
    np.testing.assert_allclose(best, 1 / (1 + np.exp(-2 * x / 0.49)), atol=1e-9)
    far = plotting.optimal_discriminator(generator_mean=-9.0, generator_deviation=0.3)
    assert f"divergence {np.log(2):.3f}" in far.axes[0].get_title()


def linear_generator(latents):
    """Four pixels that are the first four numbers of the latent."""
    return np.clip(np.asarray(latents)[:, :4].reshape(-1, 2, 2, 1) / 4, -1, 1)


def test_a_plane_has_its_latents_in_the_corners(rng):
    corners = rng.standard_normal((4, 9))
    plane, _ = plotting.latent_point(linear_generator, corners, 0.5, 0.5, size=5).axes
    canvas = np.asarray(plane.images[0].get_array())
    expected = pixels(plotting.image_grid(linear_generator(corners), columns=1))
    for i, (row, column) in enumerate(((0, 0), (0, 16), (16, 0), (16, 16))):
        np.testing.assert_array_equal(canvas[row : row + 2, column : column + 2], expected[4 * i : 4 * i + 2])


def body(joined):
    """Four pixels, the means of the labels before and after the fifth and of the latent's two numbers."""
    latents, labels = np.split(np.asarray(joined), [2], axis=1)
    found = np.stack([labels @ np.arange(10) / 9, labels.max(axis=1), *latents.T / 4], axis=1)
    return np.clip(found, -1, 1).reshape(-1, 2, 2, 1)


def test_class_point_goes_from_one_class_to_the_other(rng):
    latents = rng.standard_normal((3, 2))
    left, right = plotting.class_point(body, latents, 3, 8, 0.25, steps=5).axes
    assert (left.get_title(), right.get_title()) == ("from 3 to 8", "mix 0.25")
    mixed, chosen = (np.asarray(axes.images[0].get_array()) for axes in (left, right))
    assert mixed.shape == (3 * 4 - 2, 5 * 4 - 2)
    assert chosen.shape == (3 * 4 - 2, 2)
    np.testing.assert_array_equal(chosen, mixed[:, 4:6], "a quarter of the way, the second of five columns")
    for i, mix in enumerate(np.linspace(0, 1, 5)):
        label = (1 - mix) * np.eye(10)[3] + mix * np.eye(10)[8]
        expected = pixels(plotting.image_grid(body(np.hstack([latents, [label] * 3])), columns=1))
        np.testing.assert_array_equal(mixed[:, 4 * i : 4 * i + 2], expected)


def test_joint_densities_share_one_area_and_conditional_ones_have_one_each(rng):
    labels = rng.choice([1, 4, 7], 900, p=[0.6, 0.3, 0.1])
    values = rng.standard_normal(900) + labels
    joint, conditional = plotting.joint_and_conditional(values, labels, "ink").axes
    areas = []
    for label in (1, 4, 7):
        x, density = curve(joint, f"digit {label}")
        area = density.sum() * (x[1] - x[0])
        assert area == pytest.approx(np.mean(labels == label))
        areas.append(area)
        x, given_label = curve(conditional, f"digit {label}")
        assert given_label.sum() * (x[1] - x[0]) == pytest.approx(1)
        np.testing.assert_allclose(density, area * given_label)
        assert x @ given_label / given_label.sum() == pytest.approx(values[labels == label].mean(), abs=0.1)
    assert sum(areas) == pytest.approx(1)
    total = sum(curve(joint, f"digit {label}")[1] for label in (1, 4, 7))
    np.testing.assert_allclose(curve(joint, "sum of all")[1], total)
    assert joint.get_xlabel() == conditional.get_xlabel() == "ink"
    styles = [line.get_linestyle() for line in conditional.lines]
    assert len(set(styles)) == len(styles) == 3


def test_points_draw_each_value_and_the_mean():
    results = {"ten digits": [0.5, 0.7, 0.9], "with generated ones": [0.8, 0.82]}
    axes = plotting.points(results, "accuracy").axes[0]
    drawn = [line for line in axes.lines if line.get_marker() == "o"]
    means = [line for line in axes.lines if line.get_marker() != "o"]
    for row, values in enumerate(results.values()):
        np.testing.assert_array_equal(drawn[row].get_xdata(), values)
        np.testing.assert_array_equal(drawn[row].get_ydata(), row)
        np.testing.assert_allclose(means[row].get_xdata(), np.mean(values))
        assert np.mean(means[row].get_ydata()) == row
    assert [text.get_text() for text in axes.texts] == ["0.7", "0.81"]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(results)
    top, bottom = (axes.transData.transform((0, row))[1] for row in (0, 1))
    assert top > bottom, "the first name stands above"
    assert axes.get_xlabel() == "accuracy"


def test_lines_have_bands_and_a_level():
    x = [100, 1000, 10_000]
    curves = {"FID": (x, [9.0, 5.0, 4.0], [2.0, 1.0, 0.5]), "limit": (x, [3.0, 3.0, 3.0])}
    axes = plotting.lines(curves, "samples", "distance", level=0.7).axes[0]
    for name, (x, y, *_) in curves.items():
        for drawn, given in zip(curve(axes, name), (x, y), strict=True):
            np.testing.assert_array_equal(drawn, given)
    (band,) = axes.collections
    corners = {tuple(vertex) for vertex in band.get_paths()[0].vertices}
    assert corners >= {(100, 7), (100, 11), (1000, 4), (1000, 6), (10_000, 3.5), (10_000, 4.5)}
    assert [list(line.get_ydata()) for line in axes.lines if line.get_label().startswith("_")] == [[0.7, 0.7]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("samples", "distance")
    assert plotting.lines(curves, "samples", "distance").axes[0].get_xscale() == "linear"


def test_eight_lines_differ_in_more_than_colour():
    lines = plotting.lines({str(i): ([0, 1], [i, i]) for i in range(8)}, "x", "y").axes[0].lines
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 8


def test_class_shares_are_the_bars():
    shares = np.array([0.5, 0.25, 0.25])
    bars = plotting.class_shares(shares).axes[0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx(100 * shares), "in percent, as its labels"


def test_class_shares_of_two_judges_stand_side_by_side():
    first, second = np.array([0.5, 0.25, 0.25]), np.array([0.1, 0.2, 0.7])
    axes = plotting.class_shares({"one": first, "other": second}).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "other"]
    bars = sorted(axes.patches, key=lambda bar: bar.get_x())
    assert [bar.get_height() for bar in bars] == pytest.approx([50, 10, 25, 20, 25, 70])
    assert all(left.get_x() + left.get_width() <= right.get_x() + 1e-9 for left, right in itertools.pairwise(bars))
    assert bars[0].get_hatch() != bars[1].get_hatch(), "not by colour alone"
    with pytest.raises(ValueError, match="equally many classes"):
        plotting.class_shares({"one": first, "other": [0.5, 0.5]})


def test_count_maps_write_the_numbers_in_one_scale_of_colours():
    axes = plotting.count_maps({"a": np.array([[1, 2], [3, 4]]), "b": np.array([[5]])}).axes
    assert [text.get_text() for text in axes[0].texts] == ["1", "2", "3", "4"]
    assert axes[1].get_title() == "b"
    assert {panel.images[0].get_clim() for panel in axes} == {(0, 5)}


@pytest.fixture
def shown(monkeypatch):
    """What is displayed in a notebook."""
    found = []
    monkeypatch.setattr("IPython.display.display", lambda content, raw: found.append(content))
    monkeypatch.setattr("IPython.get_ipython", lambda: "a notebook's shell")
    return found


def test_a_script_prints_the_caption_and_no_picture(capsys):
    plotting.show(plotting.image_grid(np.zeros((1, 2, 2, 1))), "What to see.")
    plotting.show_table({"a": {"FID": "1"}}, "Smaller is better.")
    assert capsys.readouterr().out == "What to see.\n   FID\na  1  \nSmaller is better.\n"


def png_sizes(html):
    found = [base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)", html)]
    return [(int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")) for png in found]


def test_panels_of_one_row_may_stand_below_each_other(shown):
    plotting.show(plotting.training_curves(HISTORY), "Two panels.", alt="losses and accuracies")
    page = shown[0]["text/html"]
    (first_width, first_height), (second_width, second_height) = png_sizes(page)
    assert first_height == second_height, "the axes are level where both fit into one row"
    assert 300 < first_width < 900
    assert 300 < second_width < 900
    assert [int(width) for width in re.findall(r'width="([0-9]+)"', page)] == [first_width // 2, second_width // 2]
    assert re.findall(r'alt="([^"]*)"', page) == ["losses and accuracies", "Panel 2"], "read out once"
    figure = plotting.Figure(figsize=(3, 3))
    figure.subplots(2, 2)
    plotting.show(figure, "A square of panels stays one picture.")
    assert len(png_sizes(shown[1]["text/html"])) == 1


def test_a_saved_figure_keeps_its_labels(tmp_path):
    grid = plotting.image_grid(np.zeros((4, 8, 8, 1)), columns=2, row_labels=["a long name of a row", "b"])
    grid.savefig(tmp_path / "grid.png")
    plain = plotting.image_grid(np.zeros((4, 8, 8, 1)), columns=2)
    plain.savefig(tmp_path / "plain.png")
    widths = [int.from_bytes((tmp_path / f"{name}.png").read_bytes()[16:20], "big") for name in ("grid", "plain")]
    assert widths[0] > widths[1] + 150


def test_figures_look_the_same_whatever_the_readers_settings(monkeypatch):
    usual = plotting.png_bytes(plotting.training_curves(HISTORY))
    with matplotlib.style.context("dark_background"), matplotlib.rc_context({"axes.spines.top": True}):
        assert plotting.png_bytes(plotting.training_curves(HISTORY)) == usual


def test_show_gives_caption_and_alternative_text(shown):
    plotting.show(plotting.image_grid(np.zeros((1, 2, 2, 1))), "What to <b>see</b>.", alt='A "black" square')
    page = shown[0]["text/html"]
    assert shown[0]["text/plain"] == "What to <b>see</b>."
    assert 'alt="A &quot;black&quot; square"' in page
    assert "<figcaption><em>What to <b>see</b>.</em></figcaption>" in page
    assert "data:image/png;base64,iVBOR" in page, "the beginning of every PNG, in base64"


def test_show_table_lines_its_columns_up_and_escapes(shown):
    rows = {"early <200 steps>": {"FID": "217.5", "a & b": "1"}, "good": {"FID": "9.1", "a & b": "0.25"}}
    plotting.show_table(rows, "Smaller is <b>better</b>.", first_column="generator")
    assert shown[0]["text/plain"].splitlines() == [
        "generator          FID    a & b",
        "early <200 steps>  217.5  1    ",
        "good               9.1    0.25 ",
        "Smaller is <b>better</b>.",
    ]
    page = shown[0]["text/html"]
    assert "<thead><tr><th>generator</th><th>FID</th><th>a &amp; b</th></tr></thead>" in page
    assert "<tr><td>early &lt;200 steps&gt;</td><td>217.5</td><td>1</td></tr>" in page
    assert "<tr><td>good</td><td>9.1</td><td>0.25</td></tr></tbody></table>" in page
    assert "<em>Smaller is <b>better</b>.</em>" in page
