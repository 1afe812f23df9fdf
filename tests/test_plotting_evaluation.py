import numpy as np
import pytest

from ganutils import metrics, plotting
from ganutils.metrics.distributions import FrechetLimit

LIMITS = {
    "dcgan": FrechetLimit(1.25, 5000.0, (5000, 2000, 1000), (2.25, 3.75, 6.25)),
    "real": FrechetLimit(-0.1, 5000.0, (5000, 2000, 1000), (0.9, 2.4, 4.9)),
}


def test_balls_count_what_precision_and_recall_count(rng):
    real, fake = rng.normal(0, 1, (30, 2)), rng.normal(0.8, 1, (25, 2))
    left, right = plotting.neighbour_balls(real, fake, k=3).axes
    precision, recall = metrics.precision_recall(real, fake, k=3)
    assert left.get_title() == f"precision: {round(25 * precision)} of 25 generated points"
    assert right.get_title() == f"recall: {round(30 * recall)} of 30 real points"
    # A ball reaches to the third of the others, and so holds four points of its own kind with its centre.
    for axes, centres in ((left, real), (right, fake)):
        assert len(axes.patches) == len(centres)
        for ball, centre in zip(axes.patches, centres, strict=True):
            np.testing.assert_allclose(ball.center, centre)
            assert np.sum(np.linalg.norm(centres - centre, axis=1) <= ball.radius + 1e-12) == 4
    assert left.get_xlim() == right.get_xlim(), "both panels have one scale"


def test_balls_need_more_points_than_k():
    with pytest.raises(ValueError, match="3 real and 5 generated points for k=3; give more than k of each"):
        plotting.neighbour_balls(np.zeros((3, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"fake have the shape \(5, 3\); give finite points \(n, 2\)"):
        plotting.neighbour_balls(np.zeros((9, 2)), np.zeros((5, 3)))


def test_clouds_have_ellipses_of_two_standard_deviations(rng):
    turn = np.array([[np.cos(0.5), np.sin(0.5)], [-np.sin(0.5), np.cos(0.5)]])
    wide = (rng.normal(0, 1, (20_000, 2)) * (3, 1)) @ turn + (5, 0)
    (axes,) = plotting.feature_clouds(rng.normal(0, 1, (20_000, 2)), {"dcgan": wide}).axes
    circle, ellipse = axes.patches
    assert axes.get_title() == "dcgan"
    assert sorted([circle.width, circle.height]) == pytest.approx([4, 4], rel=0.05)
    assert sorted([ellipse.width, ellipse.height]) == pytest.approx([4, 12], rel=0.05)
    along = ellipse.angle + 90 * (ellipse.height > ellipse.width)
    assert along % 180 == pytest.approx(np.degrees(0.5), abs=2)
    np.testing.assert_allclose(ellipse.center, (5, 0), atol=0.1)


def test_lines_over_one_over_n_are_drawn_down_to_their_limits():
    (axes,) = plotting.distance_limits(LIMITS).axes
    fitted = [line for line in axes.lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in fitted] == ["dcgan: 1.25 at n = ∞", "real: -0.10 at n = ∞"]
    for line, found in zip(fitted, LIMITS.values(), strict=True):
        assert line.get_xdata()[0] == 0
        assert line.get_ydata()[0] == found.limit
        assert line.get_ydata()[-1] == pytest.approx(found.limit + found.slope / 1000)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["∞", "5,000", "1,667", "1,000"]
    assert axes.get_ylim()[0] == -0.1, "a limit below zero is in the picture"
    with pytest.raises(ValueError, match="5 lines cannot be told apart"):
        plotting.distance_limits({str(i): LIMITS["real"] for i in range(5)})


def test_a_report_card_is_white_at_the_floor_and_darkest_where_it_is_farthest():
    report = {
        "real": {"fid": np.array([1.0, 3.0]), "recall": 0.9},
        "good": {"fid": np.array([3.0, 3.0]), "recall": 0.9},
        "bad": {"fid": np.array([100.0, 104.0]), "recall": 0.95},
    }
    columns = {"fid": ("FID ↓", 1), "recall": ("recall ↑", 2)}
    (axes,) = plotting.report_card(report, columns, floor="real").axes
    darkness = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(darkness[:, 0], [0, np.sqrt(1 / 100), 1])
    np.testing.assert_allclose(darkness[:, 1], [0, 0, 1], err_msg="either side of the floor is away from it")
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["2.0\n±1.4", "0.90", "3.0\n±0.0", "0.90", "102.0\n±2.8", "0.95"]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(report)
    with pytest.raises(ValueError, match="floor='digits' is no row of the report; choose one of real, good, bad"):
        plotting.report_card(report, columns, floor="digits")
