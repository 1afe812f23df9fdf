"""Curves of training, and numbers as bars, lines and points."""

import numpy as np

from ganutils import validation
from ganutils.plotting._page import BLUE, GREY, LINES, ORANGE, Figure, finish

# Where a discriminator that always answers one half puts the two losses of Goodfellow et al. 2014.
EQUILIBRIUM = {"discriminator_loss": 2 * np.log(2), "generator_loss": np.log(2)}


def training_curves(history, equilibrium=EQUILIBRIUM, distances=None):
    """Draw losses, accuracies and further measures over training steps, by the names that the model gave them.

    Args:
        history: dict of lists, "step" and the metrics of the model, such as `callbacks.Curves.history`. Names that
            end in "loss" share a panel, and so do those that end in "accuracy"; each other one has its own.
        equilibrium: dict from the name of a curve to the value that a thin line marks, by default those of the
            non-saturating loss: ln 2 for the generator and 2 ln 2 for the discriminator.
        distances: a pair of training steps (n,) and the FID (digits) measured there (n,), for a panel of its own.
    """
    history = getattr(history, "history", history)
    validation.check_named(history, "the history's curves", "as many values as `step` has")
    names = [name for name in history if name not in ("step", "seconds")]
    if not names or len({len(history.get(name, [])) for name in ["step", *names]}) != 1:
        raise ValueError("the history needs `step` and curves of as many values; give that of `callbacks.Curves`")
    panels = {"losses": [name for name in names if name.endswith("loss")]}
    if accuracies := [name for name in names if name.endswith("accuracy")]:
        panels["accuracy of the discriminator"] = sorted(accuracies, reverse=True)  # on real images first
    panels |= {_words(name): [name] for name in names if not name.endswith(("loss", "accuracy"))}
    names = [name for shown in panels.values() for name in shown]
    # Pairs of a colour and a style: the four of LINES, and then each colour in the style of another one.
    pairs = [(LINES[i % 4][0], LINES[(i + i // 4) % 4][1]) for i in range(16)]
    marker = "o" if len(history["step"]) < 5 else None  # a line of one point would not be seen
    columns = len(panels) + (distances is not None)
    figure = Figure(figsize=((4.5 if columns < 3 else 3.5) * columns, 3.2), layout="tight")
    row = figure.subplots(1, columns, squeeze=False)[0]
    if distances is not None:
        steps, values = distances
        row[-1].plot(steps, values, color="black", marker="o")
        row[-1].set(xlabel="training step", title="FID (digits): smaller is better", yscale="log")
        row[-1].grid(alpha=0.25, which="both")
    for axes, (title, shown) in zip(row, panels.items(), strict=False):
        for name in shown:
            colour, style = pairs[names.index(name) % len(pairs)]
            kind = name.removesuffix("_accuracy").replace("fake", "generated")
            label = f"on {kind} images" if title.startswith("accuracy") else _words(name)
            axes.plot(history["step"], history[name], color=colour, linestyle=style, label=label, marker=marker)
            if name in equilibrium:
                axes.axhline(equilibrium[name], color=colour, linewidth=0.8, alpha=0.6)
        if title == "losses":
            # Always with 0 and 1.5: losses that rest at zero must look like it, whatever their last digits do.
            bottom, top = axes.get_ylim()
            axes.set_ylim(min(bottom, -0.1), max(top, 1.5))
        elif title.startswith("accuracy"):
            axes.axhline(0.5, color=GREY, linewidth=0.8)
            axes.set_ylim(-0.02, 1.02)
        else:
            axes.set_ylim(bottom=min(axes.get_ylim()[0], 0))
        axes.set(xlabel="training step", title=title)
        finish(axes)
        axes.get_legend().set_visible(len(shown) > 1)  # the title has said it
    return figure


def _words(name):
    return name.replace("_", " ")


def gradient_curves(logits, gradients):
    """Draw the size of gradients, a dict from a generator loss to its derivatives (n,), at logits (n,) of an image.

    More than four curves cannot be told apart, and raise ValueError.
    """
    if not 1 <= len(gradients) <= len(LINES):
        raise ValueError(f"{len(gradients)} curves cannot be told apart in one frame; give 1 to {len(LINES)}")
    figure = Figure(figsize=(6.5, 3))
    axes = figure.subplots()
    for (name, values), (colour, style) in zip(gradients.items(), LINES, strict=False):
        axes.plot(logits, np.abs(values), color=colour, linestyle=style, linewidth=2, label=name.replace("_", "-"))
    axes.set(xlabel="logit: generated for sure  ←  0  →  real for sure", ylabel="size of the gradient")
    finish(axes)
    return figure


def class_shares(shares):
    """Draw the shares of the classes among samples as bars, and a line at an even share.

    Args:
        shares: (classes,), summing to 1; or a dict of several from the name of a judge, drawn side by side.
    """
    judges = shares if isinstance(shares, dict) else {"": shares}
    for each in judges.values():
        if np.ndim(each) != 1 or not len(each) or not abs(np.sum(each) - 1) < 1e-3 or np.min(each) < 0:
            raise ValueError(f"shares={each} are not allowed; give one for each class, summing to 1")
    if len(judges) > len(LINES) or len({len(each) for each in judges.values()}) != 1:
        raise ValueError(f"give the shares of equally many classes, by 1 to {len(LINES)} judges, not {shares}")
    figure = Figure(figsize=(6.5, 2.8))
    axes = figure.subplots()
    places, width = np.arange(len(each)), 0.8 / len(judges)
    on_top = {"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"}  # of the line
    for i, (name, values) in enumerate(judges.items()):
        colour, hatch = LINES[i][0], ("", "///", "...", "xxx")[i]
        at = places + (i - (len(judges) - 1) / 2) * width
        bars = axes.bar(at, np.multiply(100, values), width, color=colour, hatch=hatch, edgecolor="white", label=name)
        size = 11 if len(judges) == 1 else 9
        axes.bar_label(bars, [f"{100 * value:.0f}" for value in values], padding=3, bbox=on_top, fontsize=size)
    axes.axhline(100 / len(places), color=GREY, linestyle="--", zorder=0)
    axes.set(xlabel="digit", ylabel="% of the samples", xticks=places)
    axes.margins(y=0.12)
    if isinstance(shares, dict):
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(judges))
    return figure


def points(results, xlabel):
    """Draw results, a dict from a name to repeated measurements (n,), as rows of points with a bar at their mean."""
    validation.check_named(results, "results", "repeated measurements")
    for name, values in results.items():
        values = np.asarray(values)
        if values.ndim != 1 or not len(values) or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise ValueError(f"the results {name!r} are {values}; give finite numbers (n,), n at least 1")
    figure = Figure(figsize=(5.2, 0.6 + 0.45 * len(results)))
    axes = figure.subplots()
    for row, values in enumerate(results.values()):
        mean = np.round(np.mean(values), 9) + 0.0  # not -1e-17
        axes.plot(values, [row] * len(values), "o", color=BLUE, alpha=0.7)
        axes.plot([mean, mean], [row - 0.3, row + 0.3], color=ORANGE, linewidth=3)
        axes.annotate(f"{mean:.3g}", (1.02, row), xycoords=("axes fraction", "data"), va="center")
    axes.set(xlabel=xlabel, yticks=range(len(results)), yticklabels=list(results))
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.25)
    return figure


def lines(curves, xlabel, ylabel, level=None):
    """Draw named curves in one frame.

    Args:
        curves: dict from a name to a pair of arrays x and y, or to a triple with a half-width around y;
            more than eight cannot be told apart and raise ValueError.
        xlabel, ylabel: what x and y are.
        level: height of a grey line, such as a floor; None draws none.
    """
    validation.check_named(curves, "curves", "a pair of arrays x and y")
    figure = Figure(figsize=(6.5, 3.4))
    axes = figure.subplots()
    more = (("black", "-"), ("#56B4E9", "--"), ("#E69F00", "-."), (GREY, ":"))  # sky blue and orange of Okabe and Ito
    styles = [(*line, marker) for marker, four in (("o", LINES), ("s", more)) for line in four]
    if not 1 <= len(curves) <= len(styles):
        raise ValueError(f"{len(curves)} curves cannot be told apart in one frame; give 1 to {len(styles)}")
    for (name, (x, y, *band)), (colour, style, marker) in zip(curves.items(), styles, strict=False):
        marker = marker if np.size(x) <= 50 else None  # more would run together
        axes.plot(x, y, color=colour, linestyle=style, marker=marker, markersize=4, label=name)
        if band:
            axes.fill_between(x, np.subtract(y, band[0]), np.add(y, band[0]), color=colour, alpha=0.2)
    if level is not None:
        axes.axhline(level, color=GREY, linewidth=1)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    finish(axes)
    if len(curves) > 3:  # there is no place left between them
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2 if len(curves) == 4 else 3)
    return figure
