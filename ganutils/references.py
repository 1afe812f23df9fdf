"""Is a student's run normal? The recorded reference runs of a lesson, and a verdict on a run next to them.

`tools/record_reference_runs.py` makes `data/reference_runs/LESSON.json`: the lesson's own recipe, trained
with several seeds. The lessons' default seed is none of them.
"""

import collections
import json
import textwrap

import numpy as np

from ganutils import folders
from ganutils.plotting import BLUE, GREY, ORANGE, Figure, finish

FOLDER = folders.DATA / "reference_runs"
# Curves are judged after a moving median over this share of a reference run, and an excursion shorter than
# the same share is no departure.
SMOOTHING = 0.05
# Every other new run would leave the tenth to ninetieth percentile of five runs somewhere. With two and a half times
# their distance on both sides, few do. That distance is the median over a fifth of a run, since runs may just be
# crossing at one step, and at least a twentieth, in units of a loss or as a share of images.
MARGIN, HEIGHTS, LEAST_MARGIN = 2.5, 0.2, 0.05

# Where the curves of two players go when the discriminator is too strong. Other players get no hint.
_STRONG = {("discriminator_loss", "below"), ("generator_loss", "above")}
_STRONG |= {("real_accuracy", "above"), ("fake_accuracy", "above")}
_HINTS = {
    "strong": "is too strong: it tells the two kinds of images apart so easily that the generator learns little. Look "
    "at the generator's optimizer, then at the discriminator's learning rate.",
    "weak": "is too weak, or does not learn at all, so that it teaches the generator little. See whether its weights "
    "change, then look at its learning rate.",
    "all real": "calls nearly every image real. Look for a sigmoid before a loss that expects logits, and for labels "
    "that are swapped.",
    "all generated": "calls nearly every image generated. See whether the real images are scaled to [-1, 1], and "
    "whether labels are swapped.",
}


# A smoothed curve "above" or "below" what is normal: from which step on, and in which share of the steps.
Departure = collections.namedtuple("Departure", "curve side step share")
# What is said of a run: whether it is normal (None: too short to tell), its departures in the order in which they
# happen, the step of the first NaN or infinite value of each curve that has one, a common cause (a key of _HINTS, or
# None), and all of it in a sentence for students.
Verdict = collections.namedtuple("Verdict", "normal departures not_finite hint sentence")


def load(lesson):
    """Return the recorded runs of a lesson, dicts of lists under "runs", and how they were made.

    Raises:
        FileNotFoundError: no runs of it are recorded.
    """
    path = FOLDER / f"{lesson}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; run `python tools/record_reference_runs.py {lesson}`")
    return json.loads(path.read_text(encoding="utf-8"))


def smooth(steps, values, width):
    """Return the median (n,) of all values (n,) within width / 2 of each of the increasing steps (n,)."""
    first = np.searchsorted(steps, np.asarray(steps) - width / 2, "left")
    last = np.searchsorted(steps, np.asarray(steps) + width / 2, "right")
    return np.array([np.median(values[i:j]) for i, j in zip(first, last, strict=True)])


def limits(reference, name):
    """Return percentiles 10, 50 and 90 of the smoothed reference runs and the two ends of what is normal, (5, steps).

    What is normal is that band, widened by `MARGIN` times its height around the step (median over `HEIGHTS` of a
    run), or times its median height over the whole run where that is more, and at least by `LEAST_MARGIN`.
    """
    steps = np.asarray(reference["step"])
    smoothed = [smooth(steps, run[name], SMOOTHING * steps[-1]) for run in reference["runs"]]
    low, median, high = np.percentile(smoothed, [10, 50, 90], axis=0)
    heights = np.maximum(smooth(steps, high - low, HEIGHTS * steps[-1]), np.median(high - low))
    margin = np.maximum(MARGIN * heights, LEAST_MARGIN)
    return np.array([low, median, high, low - margin, high + margin])


def compare(history, lesson, frechet_distance=None, batch_size=None):
    """Compare a run, step by step, with the reference runs of a lesson.

    Args:
        history: dict of lists "step" and the curves of the lesson, such as `callbacks.Curves.history`.
        lesson: name of a lesson that has reference runs, such as "02_dcgan".
        frechet_distance: FID (digits) at the run's end, as `evaluation.measure` gives it, or None.
        batch_size: images in a step of the run, or None: the number of the reference runs.

    Returns:
        A `Verdict`. Only steps that both have are compared, up to the first value that is not finite.

    Raises:
        ValueError: a history that is empty, lacks a curve, or has steps that do not increase.
    """
    reference = load(lesson)
    steps, curves = _checked(history, reference["curves"])
    recorded = np.asarray(reference["step"])
    not_finite = {name: int(steps[~np.isfinite(v)][0]) for name, v in curves.items() if not np.isfinite(v).all()}
    width = SMOOTHING * recorded[-1]
    sound = (steps < min(not_finite.values(), default=np.inf)) & (recorded[0] <= steps) & (steps <= recorded[-1])
    # A window stands for the steps since the one before it.
    lengths, compared = np.diff(steps, prepend=0)[sound], steps[sound]
    enough, found = len(compared) > 0 and compared[-1] >= width, []
    for name in curves if enough else ():
        values = smooth(compared, curves[name][sound], width)
        *_, lowest, highest = (np.interp(compared, recorded, limit) for limit in limits(reference, name))
        for side, outside in (("above", values > highest), ("below", values < lowest)):
            edges = np.flatnonzero(np.diff(np.concatenate([[False], outside, [False]]).astype(int))).reshape(-1, 2)
            if starts := [start for start, stop in edges if lengths[start:stop].sum() >= width]:
                share = float(lengths[outside].sum() / lengths.sum())
                found.append(Departure(name, side, int(compared[starts[0]]), share))
    found.sort(key=lambda departure: departure.step)
    hint, normal = _hint(found), not found and not not_finite if enough or not_finite else None
    text = [*_about_curves(found, not_finite, hint, enough, len(reference["runs"]))]
    if not not_finite and steps[-1] != recorded[-1]:
        share, what = _percent(steps[-1] / recorded[-1]), "only these were compared" if enough else "too few to tell"
        text.append(f"Your run has {steps[-1]:,} steps, {share} of the {recorded[-1]:,} of a reference run: {what}.")
    usual = reference["profile"]["batch_size"]
    if batch_size is not None and batch_size != usual:
        text.append(f"Its batch size is {batch_size}, theirs {usual}: equal steps are compared, not equal images.")
    if frechet_distance is not None:
        text.append(_about_distance(frechet_distance, steps[-1], reference))
    return Verdict(normal, found, not_finite, hint, " ".join(text))


def _checked(history, names):
    if not len(history.get("step", [])):
        raise ValueError("the history is empty: nothing was trained with this `callbacks.Curves`")
    if missing := [name for name in names if len(history.get(name, [])) != len(history["step"])]:
        raise ValueError(f"the history has no {', '.join(missing)} of all its steps; give that of `callbacks.Curves`")
    steps = np.asarray(history["step"])
    if steps[0] < 1 or (np.diff(steps) <= 0).any():
        raise ValueError("the history's steps do not increase from 1 or more on; give the history of one run")
    return steps, {name: np.asarray(history[name], "float64") for name in names}


def _hint(found):
    sides = {(departure.curve, departure.side) for departure in found}
    if not found or {curve for curve, _ in sides} - {curve for curve, _ in _STRONG}:
        return None
    if {("real_accuracy", "above"), ("fake_accuracy", "below")} <= sides:
        return "all real"
    if {("real_accuracy", "below"), ("fake_accuracy", "above")} <= sides:
        return "all generated"
    longest = max(found, key=lambda departure: departure.share)
    return "strong" if (longest.curve, longest.side) in _STRONG else "weak"


def _about_curves(found, not_finite, hint, enough, runs):
    if not_finite:
        name, step = min(not_finite.items(), key=lambda item: item[1])
        yield f"Your {_words(name)} is not a finite number from step {step:,} on, and the run is lost."
        yield "Commonly a learning rate is too high, or a logarithm meets a zero."
    if enough and not found:
        yield f"{'Before, your' if not_finite else 'Your'} run stays within the normal range of {runs} reference runs."
    for i, (curve, side, step, share) in enumerate(found):
        what = f"the normal range of {runs} reference runs" if i == 0 else "it"
        where = f"at step {step:,} and is {side} it for {_percent(share)} of the steps"
        yield f"Your {_words(curve)} leaves {what} {where}."
    if hint:
        yield f"This commonly means that the discriminator {_HINTS[hint]}"


def _about_distance(distance, step, reference):
    if not np.isfinite(distance):
        return "Its images are not finite numbers, so there is no FID (digits)."
    first, *_, last = reference["measured_step"]
    text = f"Its FID (digits) is {_number(distance)}"
    if step >= first:
        at = min(step, last)
        there = [np.interp(at, reference["measured_step"], run["frechet_distance"]) for run in reference["runs"]]
        text += f"; the reference runs had {_number(min(there))} to {_number(max(there))} at step {at:,}"
    floor = _number(reference["floor"]["frechet_distance"])
    return f"{text}; two sets of real images have {floor} (each of {reference['samples']:,} images)."


def _words(name):
    kinds = {"real_accuracy": "accuracy on real images", "fake_accuracy": "accuracy on generated images"}
    return kinds.get(name, name.replace("_", " "))


def _number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _percent(share):
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1g} %"


def figure(history, lesson, distances=None, batch_size=None):
    """Return a figure of a run over the reference runs, and its `Verdict`; errors and other arguments as in `compare`.

    `distances` is a pair of training steps and the FID (digits) there, the last at the run's end, or None.

    The dark band reaches from their tenth to their ninetieth percentile, the light one to the limits of what is
    normal; both belong to smoothed curves, such as the strong line of the run. The verdict is written below.
    """
    last = None if distances is None else distances[1][-1]
    reference, verdict = load(lesson), compare(history, lesson, last, batch_size)
    steps, curves = _checked(history, reference["curves"])
    names = [*curves, *["."] * (len(curves) % 2)]
    panels = [names[row::2] + ["FID"] * (distances is not None) for row in (0, 1)]
    drawn = Figure(figsize=(4.2 * len(panels[0]), 5), layout="constrained")
    axes = drawn.subplot_mosaic(panels)
    for name, values in curves.items():
        _draw_curve(axes[name], reference, name, steps, values)
    handles, labels = axes[names[0]].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    if distances is not None:
        low, median, high = np.percentile([run["frechet_distance"] for run in reference["runs"]], [10, 50, 90], axis=0)
        axes["FID"].fill_between(reference["measured_step"], low, high, color=BLUE, alpha=0.4, linewidth=0)
        axes["FID"].plot(reference["measured_step"], median, color=BLUE, linestyle="--", label="reference runs")
        axes["FID"].axhline(reference["floor"]["frechet_distance"], color=GREY, linestyle=":", label="real images")
        axes["FID"].plot(*distances, "o-", color=ORANGE, markersize=7, label="your run")
        axes["FID"].set(xscale="log", yscale="log", xlabel="training step")
        axes["FID"].set_title(f"FID (digits), {reference['samples']:,} samples")
        finish(axes["FID"])
    drawn.supxlabel("\n".join(textwrap.wrap(verdict.sentence, width=11 * int(drawn.get_figwidth()))))
    return drawn, verdict


def _draw_curve(axes, reference, name, steps, values):
    recorded, kept = np.asarray(reference["step"]), np.isfinite(values)
    low, median, high, lowest, highest = limits(reference, name)
    band = f"{len(reference['runs'])} reference runs, 10th to 90th percentile"
    axes.fill_between(recorded, lowest, highest, color=BLUE, alpha=0.12, linewidth=0, label="still normal")
    axes.fill_between(recorded, low, high, color=BLUE, alpha=0.4, linewidth=0, label=band)
    axes.plot(recorded, median, color=BLUE, linestyle="--", linewidth=1.2, label="their median")
    axes.plot(steps[kept], values[kept], color=ORANGE, linewidth=0.8, alpha=0.4)
    smoothed = smooth(steps[kept], values[kept], SMOOTHING * recorded[-1])
    marker = "o" if len(smoothed) < 5 else None  # a run of few windows would be an invisible line
    axes.plot(steps[kept], smoothed, color=ORANGE, linewidth=2, marker=marker, markersize=4, label="your run")
    if not kept.all():
        axes.axvline(steps[~kept][0], color=ORANGE, linestyle=":", label="not a number")
    if name.endswith("accuracy"):
        axes.set_ylim(-0.02, 1.02)
    elif min(values[kept].min(initial=0), low.min()) >= 0:
        axes.set_ylim(bottom=0)  # the limits may lie below 0, where such a loss cannot come
    axes.set(xlabel="training step")
    axes.set_title(_words(name))
    axes.grid(alpha=0.25)
