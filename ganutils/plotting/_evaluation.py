"""Figures of lessons 04 and 04b: how generated samples lie among real ones, and report cards."""

import matplotlib
import numpy as np
from matplotlib.patches import Circle, Ellipse

from ganutils import validation
from ganutils.plotting._page import BLUE, GREY, LINES, ORANGE, Figure, finish


def neighbour_balls(real, fake, k=3):
    """Draw what precision and recall count in two dimensions, after Kynkäänniemi et al. 2019, figure 2.

    Left, balls around the real points, each reaching to its k-th nearest real neighbour, and the generated points;
    right the other way round. Points in at least one ball are filled.

    Args:
        real, fake: points (n, 2) and (m, 2), more than k of each.
        k: the neighbour that a ball reaches to.
    """
    k, real, fake = validation.whole_number(k, "k", 1), _points(real, "real"), _points(fake, "fake")
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"{len(real)} real and {len(fake)} generated points for k={k}; give more than k of each")
    figure = Figure(figsize=(9, 4.6), layout="tight")
    kinds = {"real": (real, BLUE, "o"), "generated": (fake, ORANGE, "^")}
    radii = {name: np.sort(np.linalg.norm(x[:, None] - x, axis=-1), axis=1)[:, k] for name, (x, *_) in kinds.items()}
    ends = [x + side * radii[name][:, None] for name, (x, *_) in kinds.items() for side in (-1, 1)]
    (left, bottom), (right, top) = np.min(np.concatenate(ends), axis=0), np.max(np.concatenate(ends), axis=0)
    panels = zip(figure.subplots(1, 2), ("precision", "recall"), (list(kinds), list(kinds)[::-1]), strict=True)
    for axes, name, (of, other) in panels:
        (centres, colour, marker), (points, other_colour, other_marker) = kinds[of], kinds[other]
        inside = (np.linalg.norm(points[:, None] - centres, axis=-1) <= radii[of]).any(axis=1)
        for centre, radius in zip(centres, radii[of], strict=True):
            axes.add_patch(Circle(centre, radius, color=colour, alpha=0.12, linewidth=0))
        axes.plot(*centres.T, marker, color=colour, markersize=4, alpha=0.6, label=of)
        axes.plot(*points[inside].T, other_marker, color=other_colour, markersize=8, label=f"{other}, in a ball")
        hollow = {"color": other_colour, "markersize": 8, "markerfacecolor": "none", "markeredgewidth": 1.6}
        axes.plot(*points[~inside].T, other_marker, **hollow, label=f"{other}, in none")
        axes.set_title(f"{name}: {inside.sum()} of {len(points)} {other} points")
        axes.set(aspect="equal", xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "ncols": 3, "frameon": False, "fontsize": 10}
        axes.legend(**below, handletextpad=0.2, columnspacing=0.8)
    return figure


def feature_clouds(real, fakes):
    """Draw a panel for each generator: its points over those of real images, with ellipses of means and covariances.

    An ellipse reaches two standard deviations from the mean in each direction: it is what a Fréchet distance sees.

    Args:
        real: points (n, 2), such as the first two principal components of features.
        fakes: dict from a name to the points (m, 2) of a generator.
    """
    validation.check_named(fakes, "fakes", "points (m, 2)")
    real = _points(real, "real")
    figure = Figure(figsize=(3.3 * len(fakes), 3.4), layout="tight")
    panels = figure.subplots(1, len(fakes), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (name, fake) in zip(panels, fakes.items(), strict=True):
        fake = _points(fake, name)
        axes.plot(*real.T, ".", color=GREY, markersize=3, alpha=0.35, label="real", zorder=1)
        axes.plot(*fake.T, "+", color=ORANGE, markersize=4, alpha=0.5, label="generated", zorder=2)
        for points, colour, style in ((real, "black", "--"), (fake, ORANGE, "-")):
            values, vectors = np.linalg.eigh(np.cov(points, rowvar=False))
            width, height = 4 * np.sqrt(np.clip(values, 0, None))
            angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
            look = {"fill": False, "edgecolor": colour, "linestyle": style, "linewidth": 2.2, "zorder": 3}
            axes.add_patch(Ellipse(points.mean(axis=0), width, height, angle=angle, **look))
        axes.set_title(name)
        axes.set(xticks=[], yticks=[])
    return figure


def distance_limits(limits):
    """Draw Fréchet distances over 1/n with their fitted lines, down to n = ∞ where these are read off.

    Args:
        limits: dict from a name to what `metrics.frechet_distance_limit` returns; at most four.
    """
    validation.check_named(limits, "limits", "what metrics.frechet_distance_limit returns")
    if len(limits) > len(LINES):
        raise ValueError(f"{len(limits)} lines cannot be told apart; give at most {len(LINES)}")
    figure = Figure(figsize=(6.5, 3.8))
    axes = figure.subplots()
    for (name, found), (colour, style), marker in zip(limits.items(), LINES, "os^D", strict=False):
        x = 1 / np.array(found.sizes)
        axes.plot(x, found.distances, marker, color=colour, markersize=6)
        line = found.limit + found.slope * np.array([0, x.max()])
        label = f"{name}: {found.limit:.2f} at n = ∞"
        axes.plot([0, x.max()], line, style, color=colour, marker=marker, markevery=[0], markersize=11, label=label)
        axes.lines[-1].set(markerfacecolor="white", markeredgewidth=1.8, clip_on=False)
    most, least = max(found.sizes), min(found.sizes)
    shown = [most, round(2 / (1 / most + 1 / least)), least]
    axes.set_xticks([0, *(1 / n for n in shown)], ["∞", *(f"{n:,}" for n in shown)])
    axes.set(xlabel="number of samples n, in equal steps of 1/n", ylabel="FID (digits)")
    axes.set_ylim(bottom=min(0, *(found.limit for found in limits.values())))
    finish(axes)
    return figure


def report_card(report, columns, floor):
    """Draw measures of generators as a heat map: in each column from the floor, white, to the row farthest from it.

    Darkness is the root of a value's distance to the floor, whichever side it lies on, over the largest in its column.

    Args:
        report: dict from a row's name to a dict from a measure's key to a number or repeated measurements (n,), of
            which mean and standard deviation (with n - 1) are written.
        columns: dict from the key of a measure to the title of its column and the digits after the point.
        floor: name of the row of real images.
    """
    validation.check_named(report, "report", "a dict of measures")
    if floor not in report:
        raise ValueError(f"floor={floor!r} is no row of the report; choose one of {', '.join(report)}")
    if missing := [f"{name}: {key}" for name, row in report.items() for key in columns if key not in row]:
        raise ValueError(f"the report has no {missing[0]}; give each row a number for each column")
    means = np.array([[np.mean(row[key]) for key in columns] for row in report.values()])
    if not np.isfinite(means).all():
        raise ValueError("the report holds numbers that are not finite; leave such rows out")
    away = np.abs(means - means[list(report).index(floor)])
    darkness = np.sqrt(away / np.where(away.max(axis=0) > 0, away.max(axis=0), 1))
    figure = Figure(figsize=(1.3 + 0.82 * len(columns), 0.7 + 0.56 * len(report)))
    axes = figure.subplots()
    axes.imshow(darkness, cmap=matplotlib.colormaps["Blues"], vmin=0, vmax=1.1, aspect="auto")
    for row, measured in enumerate(report.values()):
        for column, (key, (_, digits)) in enumerate(columns.items()):
            text = f"{means[row, column]:.{digits}f}".replace("-", "−")
            if np.size(measured[key]) > 1:
                text += f"\n±{np.std(measured[key], ddof=1):.{digits}f}"
            colour = "white" if darkness[row, column] > 0.6 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=11, color=colour, linespacing=1.0)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(columns)), [title for title, _ in columns.values()])
    axes.set_yticks(range(len(report)), list(report))
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(report) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    return figure


def _points(values, name):
    values = validation.as_array(values, name)
    finite = values.dtype.kind in "fiu" and np.isfinite(values).all()
    if values.ndim != 2 or values.shape[1] != 2 or len(values) < 2 or not finite:
        raise ValueError(f"{name} have the shape {values.shape}; give finite points (n, 2), n at least 2")
    return values
