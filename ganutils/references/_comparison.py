"""Where a run leaves what is normal."""

from typing import NamedTuple

import numpy as np

from ganutils.references._record import CURVES, Band, band, load

# Curves are judged after a moving median over this share of a reference run, and an excursion shorter than
# the same share is no departure.
SMOOTHING = 0.05
# The tenth and ninetieth percentile of five runs are little more than the second least and the second most:
# every other new run would leave them somewhere. With two and a half times their distance on both sides, few do.
MARGIN = 2.5
# That distance at one step is little more than chance: the runs may just be crossing there. So it is taken as
# the median over this share of a run around the step.
HEIGHTS = 0.2
# In units of a loss, or as a share of images. Runs with nearly equal curves would allow nothing.
LEAST_MARGIN = 0.05


class Expected(NamedTuple):
    """What a normal run does: the `Band` of smoothed reference runs, and the limits (steps,) around it."""

    band: Band
    lowest: np.ndarray
    highest: np.ndarray


class Departure(NamedTuple):
    """A smoothed curve beyond the limits of what is normal.

    Attributes:
        curve: one of `CURVES`.
        side: "above" or "below".
        step: where the first unbroken stretch outside begins.
        share: steps outside on this side as a share of the steps compared, in (0, 1].
    """

    curve: str
    side: str
    step: int
    share: float


class Comparison(NamedTuple):
    """A run beside the reference runs of its lesson.

    Attributes:
        departures: list of `Departure`, the first to happen first.
        not_finite: dict from a curve's name to the step where its first NaN or infinite value stands.
        steps: last step of the run.
        reference_steps: last step of the reference runs.
        long_enough: whether enough steps could be compared: `SMOOTHING` of a reference run.
        runs: number of reference runs.
    """

    departures: list
    not_finite: dict
    steps: int
    reference_steps: int
    long_enough: bool
    runs: int


def smooth(steps, values, width):
    """Return the median (n,) of all values within width / 2 of each step, which single peaks do not move.

    Args:
        steps: (n,), increasing.
        values: (n,), finite.
        width: in steps.
    """
    steps, values = np.asarray(steps), np.asarray(values, "float64")
    first = np.searchsorted(steps, steps - width / 2, "left")
    last = np.searchsorted(steps, steps + width / 2, "right")
    columns = first[:, None] + np.arange(np.max(last - first, initial=0))
    windows = np.where(columns < last[:, None], values[np.minimum(columns, len(values) - 1)], np.nan)
    windows.sort(axis=1)  # NaN, which stands for nothing, comes last
    middles = np.stack([(last - first - 1) // 2, (last - first) // 2], axis=1)
    return np.take_along_axis(windows, middles, axis=1).mean(axis=1)


def expected(runs, name, steps):
    """Return where the smoothed curve of a normal run lies.

    The limits are the band of the smoothed runs, moved outwards by `MARGIN` times its height around that step
    (median over `HEIGHTS` of a run), or times its median height over the whole run where that is more, and at
    least by `LEAST_MARGIN`.

    Args:
        runs: list of dicts, as `load` returns.
        name: one of `CURVES`.
        steps: (n,), at which to look.

    Returns:
        An `Expected`; NaN outside of the recorded steps.

    Raises:
        ValueError: a name that is not among `CURVES`.
    """
    if name not in CURVES:
        raise ValueError(f"unknown curve {name!r}; choose one of {', '.join(CURVES)}")
    recorded, width = np.asarray(runs[0]["step"]), _smoothing_width(runs)
    smoothed = [{**run, name: smooth(recorded, run[name], width)} for run in runs]
    everywhere, found = band(smoothed, name, recorded), band(smoothed, name, steps)
    heights = everywhere.high - everywhere.low
    heights = np.maximum(smooth(recorded, heights, HEIGHTS * recorded[-1]), np.median(heights))
    margin = np.interp(steps, recorded, np.maximum(MARGIN * heights, LEAST_MARGIN))
    return Expected(found, found.low - margin, found.high + margin)


def _smoothing_width(runs):
    return SMOOTHING * runs[0]["step"][-1]


def compare(history, lesson):
    """Compare a run's losses and accuracies, step by step, with those of a lesson's reference runs.

    Args:
        history: dict of lists "step" and `CURVES`, such as `callbacks.Curves.history`.
        lesson: one of `LESSONS`.

    Returns:
        A `Comparison`. Only steps that both have are compared, up to the first value that is not finite.

    Raises:
        ValueError: an unknown lesson, or a history that is empty, lacks a list, has lists of different lengths
            or steps that do not increase.
        FileNotFoundError: no runs of the lesson are recorded.
    """
    runs = load(lesson)["runs"]
    steps, curves = check_history(history)
    not_finite = {name: int(steps[~np.isfinite(values)][0]) for name, values in curves.items() if _broken(values)}
    reference_steps, width = runs[0]["step"][-1], _smoothing_width(runs)
    sound = (steps < min(not_finite.values(), default=np.inf)) & (steps <= reference_steps)
    sound &= steps >= runs[0]["step"][0]
    # A window stands for the steps since the one before it.
    lengths, compared = np.diff(steps, prepend=0)[sound], steps[sound]
    long_enough = len(compared) > 0 and compared[-1] >= width
    found = []
    for name in CURVES if long_enough else ():
        values, limits = smooth(compared, curves[name][sound], width), expected(runs, name, compared)
        for side, outside in (("above", values > limits.highest), ("below", values < limits.lowest)):
            start = _first_stretch(outside, lengths, width)
            if start is not None:
                share = lengths[outside].sum() / lengths.sum()
                found.append(Departure(name, side, int(compared[start]), float(share)))
    found.sort(key=lambda departure: departure.step)
    return Comparison(found, not_finite, int(steps[-1]), reference_steps, bool(long_enough), len(runs))


def departures(history, lesson):
    """Return where a run's smoothed curves leave what is normal; arguments and errors as in `compare`.

    Returns:
        A list of `Departure`, the first to happen first; empty for a normal run.
    """
    return compare(history, lesson).departures


def check_history(history):
    """Return the steps (n,) of a history and a dict of its `CURVES` as float arrays (n,).

    Raises:
        ValueError: a history that is empty, lacks a list, has lists of different lengths or steps that do not
            increase.
    """
    if missing := [name for name in ("step", *CURVES) if name not in history and len(history.get("step", [0]))]:
        raise ValueError(f"the history has no {', '.join(missing)}; give the `history` of a `callbacks.Curves`")
    if not len(history["step"]):
        raise ValueError("the history is empty: nothing was trained with this `callbacks.Curves`")
    lengths = {name: len(history[name]) for name in ("step", *CURVES)}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise ValueError(f"the history's lists have different lengths ({found}); give them as `callbacks.Curves` does")
    steps = np.asarray(history["step"])
    if steps[0] < 1 or (np.diff(steps) <= 0).any():
        raise ValueError("the history's steps do not increase from 1 or more on; give the history of one run")
    return steps, {name: np.asarray(history[name], "float64") for name in CURVES}


def _broken(values):
    return not np.isfinite(values).all()


def _first_stretch(outside, lengths, shortest):
    """Return the index where the first unbroken stretch of at least `shortest` steps begins, or None."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], outside, [False]]).astype(int)))
    for start, end in edges.reshape(-1, 2):
        if lengths[start:end].sum() >= shortest:
            return start
    return None
