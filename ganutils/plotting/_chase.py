"""A GAN of one or two numbers, where data, generated points and the discriminator fit into one frame."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from ganutils import validation
from ganutils.plotting._page import BLUE, GREY, ORANGE, Figure, finish

# Sure of generated, undecided, sure of real.
CERTAINTY = LinearSegmentedColormap.from_list("certainty", [ORANGE, "white", BLUE])


def chase(moments, real, places, columns=None):
    """Draw how generated numbers, or points of a plane, chase the data, a panel for each moment.

    Args:
        moments: dict from a training step, or a name, to a pair of generated points (n, 1 or 2) and the
            discriminator's probabilities (m, 1) at `places`; or, in a plane, to a triple: points, heights in [0, 1]
            of a surface, and directions (m, 2) in which points at these places are pushed. Arrows show them on a scale
            of each panel's own.
        real: data (k, 1 or 2).
        places: (m, 1), in increasing order, or (m, 2), the m = s² crossings of a square grid from
            `np.meshgrid`, row by row; with directions, s is at least 5.
        columns: so many small panels in a row, without axes, in one picture; None makes all stand in one row, which
            `show` cuts into panels.

    Raises:
        ValueError: no moment, or arrays that do not fit together.
    """
    validation.check_named(moments, "moments", "generated points and probabilities")
    real, places = np.asarray(real), np.asarray(places)
    if real.ndim != 2 or real.shape[1] not in (1, 2) or places.shape[1:] != real.shape[1:]:
        raise ValueError(f"data {real.shape} and places {places.shape}: give (k, 1) and (m, 1), or (k, 2) and (m, 2)")
    draw, size = (_draw_line, (4.2, 3.2)) if real.shape[1] == 1 else (_draw_plane, (3.6, 3.9))
    small = columns is not None
    size = (2.1, 2.3) if small else size
    columns = validation.whole_number(len(moments) if columns is None else columns, "columns", 1)
    rows = -(-len(moments) // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.15 if rows == 1 else 0.04)  # `show` cuts between the panels of a row
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(moments) :]:
        axes.set_axis_off()
    for axes, (step, (fake, probabilities, *push)) in zip(panels, moments.items(), strict=False):
        fake, probabilities = np.asarray(fake), np.asarray(probabilities)
        if fake.shape[1:] != real.shape[1:] or probabilities.shape != (len(places), 1):
            raise ValueError(
                f"step {step} has generated points {fake.shape} and probabilities {probabilities.shape}; give "
                f"(n, {real.shape[1]}) and {(len(places), 1)}"
            )
        if not (np.isfinite(fake).all() and np.min(probabilities) >= 0 and np.max(probabilities) <= 1):
            raise ValueError(f"step {step} has points that are not finite, or no probabilities in [0, 1] but logits")
        if push and (len(push) > 1 or places.shape[1] == 1 or len(places) < 25):
            raise ValueError(
                f"step {step} has directions; give them once, in a plane, on a grid of at least 5 x 5 places"
            )
        if push and (np.shape(push[0]) != (len(places), 2) or not np.isfinite(push[0]).all()):
            raise ValueError(f"step {step} has directions {np.shape(push[0])}; give finite ones ({len(places)}, 2)")
        draw(axes, real, fake, places, probabilities, *push)
        axes.set_title(step if isinstance(step, str) else f"step {step:,}", loc="left")
        if small:
            axes.set(xticks=[], yticks=[])
            continue
        finish(axes)
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.02, 0.99), ncols=3, **_CLOSE)
    return figure


_CLOSE = {"handlelength": 1.4, "columnspacing": 0.8, "handletextpad": 0.4, "borderpad": 0.0}


def _draw_arrows(axes, places, directions):
    side = round(len(places) ** 0.5)
    some = np.arange(len(places)).reshape(side, side)[2::4, 2::4].ravel()
    lengths = np.linalg.norm(directions[some], axis=1, keepdims=True)
    longest = max(np.percentile(lengths, 90), 1e-12)  # a few arrows near a cliff would make all others dots
    shown = directions[some] * np.minimum(1, longest / np.maximum(lengths, 1e-12)) / longest
    axes.quiver(*places[some].T, *shown.T, color="black", alpha=0.6, scale=side / 3.5, width=0.006)


def _draw_line(axes, real, fake, places, probabilities):
    edges = np.linspace(places.min(), places.max(), 61)
    axes.hist(real[:, 0], edges, density=True, color=BLUE, alpha=0.3, label="data")
    axes.hist(fake[:, 0], edges, density=True, histtype="step", color=ORANGE, linewidth=1.8, label="generated")
    axes.plot(places[:, 0], probabilities[:, 0], color="black", linestyle="--", label="D(x)")
    axes.axhline(0.5, color=GREY, linewidth=0.8)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.05), xlabel="x")


def _draw_plane(axes, real, fake, places, probabilities, push=None):
    side = round(len(places) ** 0.5)
    x, y, surface = (values.reshape(side, side) for values in (*places.T, probabilities))
    axes.contourf(x, y, surface, levels=np.linspace(0, 1, 21), cmap=CERTAINTY)
    if push is None:  # heights that are no probabilities have no place where D is undecided
        axes.contour(x, y, surface, levels=[0.5], colors="black", linewidths=0.8)
    else:
        _draw_arrows(axes, places, np.asarray(push))
    axes.plot(*real.T, ".", color="black", markersize=2, label="data")
    axes.plot(*fake.T, "x", color="#7A2F00", markersize=3.5, markeredgewidth=0.8, label="generated")
    axes.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()), aspect="equal")
