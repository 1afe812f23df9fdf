"""What a comparison says to a student."""

import numpy as np

from ganutils.references._comparison import compare
from ganutils.references._record import load

_NAMES = {
    "discriminator_loss": "discriminator loss",
    "generator_loss": "generator loss",
    "real_accuracy": "accuracy on real images",
    "fake_accuracy": "accuracy on generated images",
}
_TOO_STRONG = (
    "This commonly means that the discriminator is too strong: it tells the two kinds of images apart so easily "
    "that the generator learns little. Look at the generator's optimizer, then at the discriminator's learning rate."
)
_TOO_WEAK = (
    "This commonly means that the discriminator is too weak, or does not learn at all, so that it teaches the "
    "generator little. See whether its weights change, then look at its learning rate."
)
_SIGNS_OF_STRENGTH = (
    ("discriminator_loss", "below"),
    ("generator_loss", "above"),
    ("real_accuracy", "above"),
    ("fake_accuracy", "above"),
)
_ALL_REAL = (
    "This commonly means that the discriminator calls nearly every image real. Look for a sigmoid before a loss "
    "that expects logits, and for labels that are swapped."
)
_ALL_GENERATED = (
    "This commonly means that the discriminator calls nearly every image generated. See whether the real images "
    "are scaled to [-1, 1], and whether labels are swapped."
)


def _hint(found):
    sides = {(departure.curve, departure.side) for departure in found}
    if {("real_accuracy", "above"), ("fake_accuracy", "below")} <= sides:
        return _ALL_REAL
    if {("real_accuracy", "below"), ("fake_accuracy", "above")} <= sides:
        return _ALL_GENERATED
    longest = max(found, key=lambda departure: departure.share)
    return _TOO_STRONG if (longest.curve, longest.side) in _SIGNS_OF_STRENGTH else _TOO_WEAK


def verdict(history, lesson, frechet_distance=None, batch_size=None):
    """Say in a few sentences whether a run is normal, and where it is not.

    Args:
        history: as in `compare`.
        lesson: one of `LESSONS`.
        frechet_distance: FID (digits) at the run's end, as `measure` gives it, or None.
        batch_size: images in a step of the run, or None: the number of the reference runs.

    Returns:
        A text for students, such as a caption below `plotting.against_reference`.

    Raises:
        ValueError, FileNotFoundError: as in `compare`.
    """
    reference, result = load(lesson), compare(history, lesson)
    sentences = [_about_values(result), *_about_length(result)]
    usual = reference["profile"]["batch_size"]
    if batch_size is not None and batch_size != usual:
        sentences.append(
            f"Your batch size is {batch_size}, that of the reference runs {usual}: equal steps are compared, not "
            "equal numbers of images."
        )
    if frechet_distance is not None:
        sentences.append(_about_distance(frechet_distance, result.steps, reference))
    return " ".join(sentence for sentence in sentences if sentence)


def _about_values(result):
    text = ""
    if result.not_finite:
        name, step = min(result.not_finite.items(), key=lambda item: item[1])
        text = (
            f"Your {_NAMES[name]} is not a finite number from step {step:,} on, and the run is lost. "
            "Commonly a learning rate is too high, or a logarithm meets a zero. "
        )
    if not result.long_enough:
        return text
    # Not "the band": that is the dark one of the figure, and the light one beside it is normal, too.
    what = f"what is normal beside {_in_words(result.runs)} reference runs"
    before = "Before that step, your run" if result.not_finite else "Your run"
    if not result.departures:
        return f"{text}{before} stays within {what}."
    # The first says what is left, the others refer to it.
    clauses = [
        f"your {_NAMES[d.curve]} leaves {what if i == 0 else 'it'} at step {d.step:,} and is {d.side} it for "
        f"{_percent(d.share)} of the steps"
        for i, d in enumerate(result.departures)
    ]
    sentence = "; ".join(clauses)
    return f"{text}{sentence[0].upper()}{sentence[1:]}. {_hint(result.departures)}"


def _about_length(result):
    share = result.steps / result.reference_steps
    if result.not_finite:
        return
    if not result.long_enough:
        yield (
            f"Your run has {result.steps:,} steps, {_percent(share)} of the {result.reference_steps:,} of a "
            "reference run: too few to tell."
        )
    elif share < 1:
        yield (
            f"It has {result.steps:,} steps, {_percent(share)} of the {result.reference_steps:,} of a reference run; "
            "only these were compared."
        )
    elif share > 1:
        yield f"The reference runs end at step {result.reference_steps:,}; what comes later was not compared."


def _about_distance(distance, step, reference):
    floor, samples = reference["floor"]["frechet_distance"], reference["samples"]
    if not np.isfinite(distance):
        return "Its images are not finite numbers, so there is no FID (digits)."
    runs = reference["runs"]
    first, *_, last = runs[0]["measured_step"]
    text = f"Its FID (digits) is {_number(distance)}"
    if step >= first:
        at = min(step, last)
        there = [np.interp(at, run["measured_step"], run["frechet_distance"]) for run in runs]
        text += f"; the reference runs had {_number(min(there))} to {_number(max(there))} at step {at:,}"
    return f"{text}; two sets of real images have {_number(floor)} (each of {samples:,} images)."


def _in_words(number):
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[number] if number < len(words) else f"{number}"


def _number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _percent(share):
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1g} %"
