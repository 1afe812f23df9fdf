"""Is a student's run normal? The recorded reference runs of a lesson, and a verdict on a run compared with them.

`tools/record_reference_runs.py` writes `data/reference_runs/LESSON.json`: the lesson's recipe, trained
with several seeds, none of which is the lessons' default seed.
"""

import collections
import json

import numpy as np

from ganutils import folders
from ganutils.plotting import BLUE, GREY, ORANGE, Figure, finish

FOLDER = folders.DATA / "reference_runs"
# Curves are compared after a moving median over this share of a reference run; shorter excursions are ignored.
SMOOTHING = 0.05
# Half of all new runs would leave the band from the 10th to the 90th percentile of five runs somewhere. Widened by two
# and a half times its height on both sides, few do. The height is the median over a fifth of a run, since the runs
# may cross at a single step; the margin is at least 0.05, in units of the loss or the accuracy.
MARGIN, HEIGHTS, LEAST_MARGIN = 2.5, 0.2, 0.05

# Where the curves of a GAN go if the discriminator is too strong. Models with other players get no hint.
_STRONG = {("discriminator_loss", "below"), ("generator_loss", "above")}
_STRONG |= {("real_accuracy", "above"), ("fake_accuracy", "above")}
_HINTS = {
    "strong": "is too strong: it tells real and generated images apart so easily that the generator learns little. "
    "Check the generator's optimizer, then the discriminator's learning rate.",
    "weak": "is too weak, or does not learn at all, so that the generator learns little from it. Check whether its "
    "weights change, then its learning rate.",
    "all real": "calls nearly every image real. Look for a sigmoid before a loss that expects logits, and for swapped "
    "labels.",
    "all generated": "calls nearly every image generated. Check whether the real images are scaled to [-1, 1], and "
    "whether labels are swapped.",
}


# A smoothed curve that leaves the normal range on a side ("above" or "below"): its first step outside, and the share
# of steps outside.
Departure = collections.namedtuple("Departure", "curve side step share")
# The result of a comparison: whether the run is normal (None: too short to tell), its departures in order of their
# steps, the step of the first NaN or infinite value of each curve that has one, the likely cause (a key of _HINTS, or
# None), and a sentence for students.
Verdict = collections.namedtuple("Verdict", "normal departures not_finite hint sentence")


def load(lesson):
    """Return a lesson's record: a dict with its "runs", which are dicts of lists, and how they were made.

    Raises:
        FileNotFoundError: the lesson has no recorded runs.
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
    """Return percentiles 10, 50 and 90 of the smoothed reference runs and the limits of the normal range, (5, steps).

    The normal range is the band from percentile 10 to 90, widened by `MARGIN` times its height around the step (median
    over `HEIGHTS` of a run) or its median height over the whole run, whichever is larger, and at least by
    `LEAST_MARGIN`.
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
        history: dict of lists, "step" and the lesson's curves, such as `callbacks.Curves.history`.
        lesson: name of a lesson that has reference runs, such as "02_dcgan".
        frechet_distance: FID (digits) at the end of the run, from `evaluation.measure`, or None.
        batch_size: batch size of the run; None means that of the reference runs.

    Returns:
        A `Verdict`. Only steps within the reference runs are compared, up to the first value that is not finite.

    Raises:
        ValueError: the history is empty, lacks a curve, or has steps that do not increase.
    """
    reference = load(lesson)
    steps, curves = _checked(history, reference["curves"])
    recorded = np.asarray(reference["step"])
    not_finite = {name: int(steps[~np.isfinite(v)][0]) for name, v in curves.items() if not np.isfinite(v).all()}
    width = SMOOTHING * recorded[-1]
    sound = (steps < min(not_finite.values(), default=np.inf)) & (recorded[0] <= steps) & (steps <= recorded[-1])
    # Each value is a mean over the steps since the previous one.
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
        raise ValueError(f"the history lacks {', '.join(missing)} for all its steps; give that of `callbacks.Curves`")
    steps = np.asarray(history["step"])
    if steps[0] < 1 or (np.diff(steps) <= 0).any():
        raise ValueError("the history's steps do not increase, starting at 1 or more; give the history of one run")
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
        yield "Common causes are a learning rate that is too high, and the logarithm of zero."
    if enough and not found:
        yield f"{'Before, your' if not_finite else 'Your'} run stays within the normal range of {runs} reference runs."
    for i, (curve, side, step, share) in enumerate(found):
        what = f"the normal range of {runs} reference runs" if i == 0 else "it"
        where = f"at step {step:,} and is {side} it for {_percent(share)} of the steps"
        yield f"Your {_words(curve)} leaves {what} {where}."
    if hint:
        yield f"This usually means that the discriminator {_HINTS[hint]}"


def _about_distance(distance, step, reference):
    if not np.isfinite(distance):
        return "Its images are not finite, so there is no FID (digits)."
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
    return f"{100 * share:.0f}%" if share >= 0.01 else f"{100 * share:.1g}%"


def figure(history, lesson, distances=None, batch_size=None):
    """Return a figure of a run over the reference runs, and its `Verdict`; errors and other arguments as in `compare`.

    `distances` is a pair of training steps and the FID (digits) there, the last at the run's end, or None.

    The dark band spans their 10th to 90th percentile, the light one the normal range; both are for smoothed
    curves, like the thick line of the run.
    """
    last = None if distances is None else distances[1][-1]
    reference, verdict = load(lesson), compare(history, lesson, last, batch_size)
    steps, curves = _checked(history, reference["curves"])
    names = [*curves, *(["FID"] if distances is not None else [])]
    drawn = Figure(figsize=(3.4 * len(names), 3.2), layout="constrained")
    axes = dict(zip(names, drawn.subplots(1, len(names), squeeze=False)[0], strict=True))
    for name, values in curves.items():
        _draw_curve(axes[name], reference, name, steps, values)
    axes[names[0]].legend(frameon=False)
    if distances is not None:
        low, median, high = np.percentile([run["frechet_distance"] for run in reference["runs"]], [10, 50, 90], axis=0)
        axes["FID"].fill_between(reference["measured_step"], low, high, color=BLUE, alpha=0.4, linewidth=0)
        axes["FID"].plot(reference["measured_step"], median, color=BLUE, linestyle="--", label="reference runs")
        axes["FID"].axhline(reference["floor"]["frechet_distance"], color=GREY, linestyle=":", label="real images")
        measured = np.asarray(distances, "float64")[:, np.asarray(distances[0]) > 0]  # a logarithmic axis has no 0
        axes["FID"].plot(*measured, "o-", color=ORANGE, markersize=7, label="your run")
        axes["FID"].set(xscale="log", yscale="log", xlabel="training step")
        axes["FID"].set_title(f"FID (digits), {reference['samples']:,} samples")
        finish(axes["FID"])
    return drawn, verdict


def _draw_curve(axes, reference, name, steps, values):
    recorded, kept = np.asarray(reference["step"]), np.isfinite(values)
    low, median, high, lowest, highest = limits(reference, name)
    axes.fill_between(recorded, lowest, highest, color=BLUE, alpha=0.12, linewidth=0, label="still normal")
    axes.fill_between(recorded, low, high, color=BLUE, alpha=0.4, linewidth=0, label="reference runs")
    axes.plot(recorded, median, color=BLUE, linestyle="--", linewidth=1.2, label="their median")
    axes.plot(steps[kept], values[kept], color=ORANGE, linewidth=0.8, alpha=0.4)
    smoothed = smooth(steps[kept], values[kept], SMOOTHING * recorded[-1])
    marker = "o" if len(smoothed) < 5 else None  # a line through few points would be hard to see
    axes.plot(steps[kept], smoothed, color=ORANGE, linewidth=2, marker=marker, markersize=4, label="your run")
    if not kept.all():
        axes.axvline(steps[~kept][0], color=ORANGE, linestyle=":", label="not a number")
    if name.endswith("accuracy"):
        axes.set_ylim(-0.02, 1.02)
    elif min(values[kept].min(initial=0), low.min()) >= 0:
        axes.set_ylim(bottom=0)  # the normal range may extend below 0, but such a loss cannot
    axes.set(xlabel="training step")
    axes.set_title(_words(name))
    axes.grid(alpha=0.25)
