"""Figures that explain one idea each."""

import numpy as np

from ganutils import validation
from ganutils.plotting._page import GREY, LINES, Figure, finish


def optimal_discriminator(generator_mean=-1.0, generator_deviation=1.0):
    """Draw one-dimensional data, a generator's density and the best discriminator between them.

    The data are normal with mean 1 and standard deviation 0.7. The best discriminator is
    p_data / (p_data + p_g), proposition 1 of Goodfellow et al. 2014. The title is the two's Jensen-Shannon divergence.

    Args:
        generator_mean: mean of the generator's normal density.
        generator_deviation: its standard deviation, above 0.
    """
    validation.number(generator_mean, "generator_mean", -12, 12)
    validation.number(generator_deviation, "generator_deviation", 0)
    x = np.linspace(-12, 12, 4801)

    def log_density(mean, deviation):
        return -(((x - mean) / deviation) ** 2) / 2 - np.log(deviation * np.sqrt(2 * np.pi))

    log_data, log_generated = log_density(1.0, 0.7), log_density(generator_mean, generator_deviation)
    log_mixture = np.logaddexp(log_data, log_generated) - np.log(2)
    divergences = [np.sum(np.exp(p) * (p - log_mixture)) * (x[1] - x[0]) for p in (log_data, log_generated)]
    title = f"Jensen-Shannon divergence {max(0.0, np.mean(divergences)):.3f} (at most {np.log(2):.3f})"
    figure = Figure(figsize=(6.5, 3.4), layout="tight")
    axes = figure.subplots()
    for log_p, (colour, style), whose in zip((log_data, log_generated), LINES, ("data", "generator"), strict=False):
        axes.fill_between(x, np.exp(log_p), color=colour, alpha=0.25)
        axes.plot(x, np.exp(log_p), color=colour, linestyle=style, label=f"{whose}'s density")
    axes.plot(x, np.exp(log_data - log_mixture) / 2, color="black", linewidth=2, label="best discriminator")
    axes.axhline(0.5, color=GREY, linewidth=0.8)
    axes.set(xlabel="x", xlim=(-5, 8), ylim=(0, 1.05))
    axes.set_title(title, pad=30)
    finish(axes)
    axes.legend(
        frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1
    )  # above the curves
    return figure


def count_maps(counts):
    """Draw counts, a dict from a title to an array (height, width) of whole numbers, as maps in one scale of colours.

    Each place also shows its number.
    """
    validation.check_named(counts, "counts", "an array (height, width)")
    counts = {title: np.asarray(values) for title, values in counts.items()}
    for title, values in counts.items():
        validation.check_numbers(values, f"counts {title!r}")
    most = max(values.max() for values in counts.values())
    figure = Figure(figsize=(3.6 * len(counts), 3.6), layout="tight")
    for axes, (title, values) in zip(figure.subplots(1, len(counts), squeeze=False)[0], counts.items(), strict=True):
        axes.imshow(values, cmap="cividis", vmin=0, vmax=most)
        for (row, column), value in np.ndenumerate(values):
            colour = "black" if value > most / 2 else "white"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=10, color=colour)
        axes.set(title=title, xticks=[], yticks=[])
    return figure


def joint_and_conditional(values, labels, xlabel):
    """Draw the joint density of a number and a label, and beside it the density given each label.

    Left, the areas of all labels sum to 1; right, each has the area 1.

    Args:
        values: (n,), one number for each image.
        labels: (n,), at most four different ones; more raise ValueError.
        xlabel: what the number is.
    """
    values, labels = np.asarray(values, "float64"), np.asarray(labels)
    if values.ndim != 1 or values.shape != labels.shape or not len(values):
        raise ValueError(f"values have the shape {values.shape}, labels {labels.shape}; give one label a value, (n,)")
    validation.check_numbers(values, "values")
    figure = Figure(figsize=(9, 3.2), layout="tight")
    axes = figure.subplots(1, 2)
    edges = np.linspace(values.min(), values.max(), 41)
    centres = (edges[:-1] + edges[1:]) / 2
    marginal, _ = np.histogram(values, edges, density=True)
    axes[0].plot(centres, marginal, color=GREY, linewidth=3, alpha=0.6, label="sum of all")
    if len(different := np.unique(labels)) > len(LINES):
        raise ValueError(f"{len(different)} different labels cannot be told apart; give at most {len(LINES)}")
    for label, (colour, style) in zip(different, LINES, strict=False):
        share = np.mean(labels == label)
        density, _ = np.histogram(values[labels == label], edges, density=True)
        for panel, height in zip(axes, (share, 1.0), strict=True):
            panel.plot(centres, height * density, color=colour, linestyle=style, label=f"digit {label}")
            panel.fill_between(centres, height * density, color=colour, alpha=0.15)
    for panel, title in zip(axes, ("joint density p(x, y)", "conditional density p(x | y)"), strict=True):
        panel.set(xlabel=xlabel, title=title)
        finish(panel)
    return figure
