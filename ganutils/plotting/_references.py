"""A student's run over the recorded reference runs."""

import textwrap

import numpy as np
from matplotlib.figure import Figure

from ganutils import references
from ganutils.plotting._page import BLUE, GREY, ORANGE, finish

_TITLES = {
    "discriminator_loss": "loss of the discriminator",
    "generator_loss": "loss of the generator",
    "real_accuracy": "accuracy on real images",
    "fake_accuracy": "accuracy on generated images",
}


def against_reference(history, lesson, frechet_distance=None, batch_size=None):
    """Draw a run's losses and accuracies over the band of a lesson's reference runs.

    The dark band reaches from their tenth to their ninetieth percentile, the light one to the limits of what
    `references.departures` calls normal. Both belong to smoothed curves, such as the strong line of the run; the
    faint line is what was recorded.

    Args:
        history: dict of lists "step", "generator_loss", "discriminator_loss", "real_accuracy" and
            "fake_accuracy", such as `callbacks.Curves.history`.
        lesson: name of a lesson that has reference runs, such as "02_dcgan".
        frechet_distance: FID (digits) at the run's end, as `references.measure` gives it; a further panel shows
            it beside those of the reference runs and their floor. None leaves the panel out.
        batch_size: images in a step of the run, or None: the number of the reference runs.

    Returns:
        A figure. Below it stands `references.verdict`: where the run leaves the limits, in a sentence.

    Raises:
        ValueError, FileNotFoundError: as in `references.compare`.
    """
    reference = references.load(lesson)
    steps, curves = references.check_history(history)
    panels = [["discriminator_loss", "real_accuracy"], ["generator_loss", "fake_accuracy"]]
    if frechet_distance is not None:
        panels = [[*row, "frechet_distance"] for row in panels]
    figure = Figure(figsize=(9 if frechet_distance is None else 12, 5), layout="constrained")
    axes = figure.subplot_mosaic(panels)
    for name, values in curves.items():
        _draw_curve(axes[name], name, steps, values, reference["runs"])
    for name in ("generator_loss", "fake_accuracy"):
        axes[name].set_xlabel("training step")
    if frechet_distance is not None:
        _draw_distances(axes["frechet_distance"], frechet_distance, steps[-1], reference)
    handles, labels = axes["discriminator_loss"].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9)
    sentence = references.verdict(history, lesson, frechet_distance, batch_size)
    figure.supxlabel("\n".join(textwrap.wrap(sentence, width=13 * int(figure.get_figwidth()))), fontsize=10)
    return figure


def _draw_curve(axes, name, steps, values, runs):
    recorded = np.asarray(runs[0]["step"])
    normal = references.expected(runs, name, recorded)
    axes.fill_between(
        recorded, normal.lowest, normal.highest, color=BLUE, alpha=0.12, linewidth=0, label="still normal"
    )
    axes.fill_between(
        recorded,
        normal.band.low,
        normal.band.high,
        color=BLUE,
        alpha=0.4,
        linewidth=0,
        label=f"{len(runs)} reference runs, 10th to 90th percentile",
    )
    axes.plot(recorded, normal.band.median, color=BLUE, linestyle="--", linewidth=1.2, label="their median")
    finite = np.isfinite(values)
    axes.plot(steps[finite], values[finite], color=ORANGE, linewidth=0.8, alpha=0.4)
    smoothed = references.smooth(steps[finite], values[finite], references.SMOOTHING * recorded[-1])
    # A run of few windows would be an invisible line.
    marker = "o" if len(smoothed) < 5 else None
    axes.plot(steps[finite], smoothed, color=ORANGE, linewidth=2, marker=marker, markersize=4, label="your run")
    if not finite.all():
        step = steps[~finite][0]
        axes.axvline(step, color=ORANGE, linestyle=":")
        axes.annotate(
            "not a number", (step, 0.96), xycoords=("data", "axes fraction"), rotation=90, va="top", fontsize=8
        )
    if name.endswith("accuracy"):
        axes.set_ylim(-0.02, 1.02)
    elif min(values[finite].min(initial=0), normal.band.low.min()) >= 0:
        axes.set_ylim(bottom=0)  # the limits may lie below 0, where such a loss cannot come
    axes.set_title(_TITLES[name], fontsize=10)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_distances(axes, distance, step, reference):
    runs, floor = reference["runs"], reference["floor"]["frechet_distance"]
    measured = np.asarray(runs[0]["measured_step"])
    low, median, high = references.band(runs, "frechet_distance", measured)
    axes.fill_between(measured, low, high, color=BLUE, alpha=0.4, linewidth=0)
    axes.plot(measured, median, color=BLUE, linestyle="--", marker=".", linewidth=1.2, label="reference runs")
    axes.axhline(floor, color=GREY, linestyle=":", label="real images")
    if np.isfinite(distance):
        axes.plot([step], [distance], "o", color=ORANGE, markersize=8, label="your run")
    axes.set(xscale="log", yscale="log", xlabel="training step")
    axes.set_title(f"FID (digits), {reference['samples']:,} samples", fontsize=10)
    finish(axes)
