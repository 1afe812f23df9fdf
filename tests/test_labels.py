"""Figures of what a conditional generator was asked for, against what was read."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from ganutils import metrics, plotting, widgets


def texts(axes):
    return {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}


def test_a_confusion_picture_leaves_zeros_out_and_sets_the_diagonal_apart():
    table = np.array([[90, 0, 10], [0, 100, 0], [3, 0, 97]])
    left, right = plotting.confusion({"one": table, "other": np.diag([5, 5, 5])}).axes
    assert texts(left) == {(0, 0): "90", (0, 2): "10", (1, 1): "100", (2, 0): "3", (2, 2): "97"}
    assert texts(right) == {(i, i): "5" for i in range(3)}
    assert (left.get_xlabel(), left.get_ylabel(), left.get_title()) == ("read as", "asked for", "one")
    shown = np.asarray(left.images[0].get_array())
    np.testing.assert_array_equal(
        shown, [[0, 0, 10], [0, 0, 0], [3, 0, 0]], "the diagonal takes no part in the colours"
    )
    assert {patch.get_xy() for patch in left.patches} == {(i - 0.5, i - 0.5) for i in range(3)}


def test_the_colours_of_errors_are_those_of_the_most_frequent_one_in_all_panels():
    few, many = np.array([[9, 1], [0, 9]]), np.array([[5, 0], [4, 5]])
    images = [axes.images[0] for axes in plotting.confusion({"few": few, "many": many}).axes]
    assert images[0].get_clim() == images[1].get_clim()
    lightness = [np.mean(image.cmap(image.norm(np.max(image.get_array())))[:3]) for image in images]
    assert lightness[0] > lightness[1]
    assert to_hex(images[0].cmap(images[0].norm(0))) == "#ffffff"


@pytest.mark.parametrize("table", [np.ones((2, 3)), np.ones(4), np.array([[1, -1], [0, 1]]), np.full((2, 2), np.nan)])
def test_a_confusion_picture_refuses_what_are_no_counts(table):
    with pytest.raises(ValueError, match=r"give \(classes, classes\), from 0 on"):
        plotting.confusion({"a": table})


def frames(axes):
    """Columns and rows of the images of 4 x 4 pixels that have a frame."""
    return {(round((p.get_x() + 1) / 6), round((p.get_y() + 1) / 6)) for p in axes.patches if isinstance(p, Rectangle)}


def test_a_grid_frames_what_is_read_as_another_class():
    asked = np.arange(6) % 3
    read = np.array([0, 2, 2, 0, 1, 0])
    images = np.zeros((6, 4, 4, 1), "uint8")
    (axes,) = plotting.asked_grid(images, asked, read, columns=3, row_labels=["a", "b"]).axes
    assert frames(axes) == {(1, 0), (2, 1)}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    with pytest.raises(ValueError, match="ask for the same ones in each"):
        plotting.asked_grid(images, asked[::-1], read, columns=4)
    with pytest.raises(ValueError, match="read: 5 for 6 images"):
        plotting.asked_grid(images, asked, read[:5], columns=3)


@pytest.fixture
def draws():
    """What three GANs drew: one obeys always, one half the time, and one never."""
    asked = np.arange(40) % 2
    reads = {0.0: asked, 0.5: np.where(np.arange(40) < 20, asked, 1 - asked), 1.0: 1 - asked}
    return {share: (np.full((40, 4, 4, 1), int(200 * share), "uint8"), asked, read) for share, read in reads.items()}


def test_label_noise_draws_the_chosen_images_and_all_fidelities(draws):
    above, below = plotting.label_noise(draws, 1.0).axes
    assert np.asarray(above.images[0].get_array())[0, 0] == 200
    assert frames(above) == {(column, row) for column in (0, 1) for row in range(4)}
    line, points, ring = below.lines[0], *[line for line in below.lines if line.get_marker() == "o"]
    assert list(line.get_ydata()) == [1, 0.5], "with two classes, half of the random labels are right"
    assert (list(points.get_xdata()), list(points.get_ydata())) == ([0, 0.5, 1], [1, 0.5, 0])
    assert (np.ravel(ring.get_xdata())[0], np.ravel(ring.get_ydata())[0]) == (1, 0)
    (bars,) = below.collections
    score = metrics.binomial_interval(20, 40)
    np.testing.assert_allclose(bars.get_segments()[1][:, 1], [score.low, score.high])
    with pytest.raises(ValueError, match=r"share=0\.3 was not recorded; choose one of 0\.0, 0\.5, 1\.0"):
        plotting.label_noise(draws, 0.3)


def test_the_explorer_of_label_noise_draws_what_the_plot_draws(draws):
    box = widgets.label_noise_explorer(draws, share=0.5)
    slider, picture = box.children
    assert picture.value == plotting.png_bytes(plotting.label_noise(draws, 0.5))
    slider.value = 1.0
    assert picture.value == plotting.png_bytes(plotting.label_noise(draws, 1.0))
    assert "A still picture" in box._repr_mimebundle_()["text/html"]
