"""What is wrong with a run, in words: the diagnosis of recorded losses, accuracies and what `health.measure` gives."""

from collections import namedtuple

import numpy as np

# What is wrong with whom, from which step on, the figure that says so, and what to try; all in words but the step.
Finding = namedtuple("Finding", "name player step figure advice")

PATIENCE = 3  # so many looks in a row must say the same; limits are far from what healthy runs of lessons 01 to 03 show
WON = 0.1  # of the loss of a discriminator that always answers 0, which healthy runs have 0.5 to 1.7 times
ACCURATE = 0.98
STARVED = 0.05  # derivative of the generator's loss by the logit; 1 is the steepest of all but least squares
ALIKE = 0.12  # distance to the nearest neighbour of generated images, as a share of real ones'
ONE_IMAGE = 0.02  # variance, likewise
FEW_CLASSES = 0.5  # likewise
APART = 60.0  # between the mean logits of real and generated images
EXPLODED = 30.0  # a loss, in absolute value
SWINGS, SWUNG, LOW, HIGH = 3, 12, 0.5, 1.3  # from below LOW to above HIGH of the loss of always 0, and back

ADVICE = {  # what is the more likely cause comes first
    "not a number": "Lower the learning rates; look for a logarithm or a division of your own that meets a zero.",
    "divergence": "Lower the learning rates, at first to a tenth. A Wasserstein critic needs a bound on its slopes: "
    "losses.GradientPenalty(), layers.SpectralNormalization or layers.Clip.",
    "oscillation": "Set Adam's beta_1 to 0 or SGD's momentum to 0, lower both learning rates, add a penalty such as "
    "losses.R1(1.0), and keep an average of the generator's weights.",
    "vanishing generator gradient": "Use the non-saturating loss; then lower the discriminator's rate or penalise it.",
    "discriminator too strong": "Lower its learning rate or give it fewer weights, add a penalty such as "
    "losses.R1(1.0), or smooth its labels; see that the generator learns from the first step on.",
    "mode collapse": "Look whether the latents reach the images; then let the discriminator see several images at once "
    "(layers.Pack, layers.MinibatchDiscrimination), or lower the generator's learning rate.",
}


def diagnose(history):
    """Return what is wrong with a run: a list of `Finding`, in the order in which they begin; empty for a healthy one.

    Args:
        history: dict of lists of equal length, "step" and what is known at each: losses as "player_loss",
            "real_accuracy" and "fake_accuracy", such as in `callbacks.Curves.history`, and what `measure` returns.

    Raises:
        ValueError: lists of different lengths, or no steps.
    """
    if "step" not in history or len({np.shape(values) for values in history.values()}) > 1:
        raise ValueError("give a history with a list of steps and lists as long, such as callbacks.Curves.history")
    known = {name: np.asarray(values, "float64") for name, values in history.items()}
    found = {}
    for name, player, bad, text, values in _signs(known):
        if name not in _AT_ONCE:
            bad = np.array([bad[max(i + 1 - PATIENCE, 0) : i + 1].sum() == PATIENCE for i in range(len(bad))])
        if bad.any():
            at = np.argmax(bad)
            finding = Finding(name, player, int(known["step"][at]), text.format(values[at]), ADVICE[name])
            key = name if name == "not a number" else (name, player)  # which spreads to all players at once
            if finding.step < found.get(key, finding._replace(step=np.inf)).step:
                found[key] = finding
    return sorted(found.values(), key=lambda finding: (finding.step, list(ADVICE).index(finding.name)))


_AT_ONCE = ("not a number", "oscillation")  # the latter looks back by itself


def _signs(known):
    """Yield what may be wrong, with whom, at which looks its sign shows (looks,), and in words and numbers (looks,)."""
    unknown = np.full(len(known["step"]), np.nan)
    for name, values in known.items():
        player, _, what = name.partition(": ")
        if name.endswith("_loss"):
            player = name.removesuffix("_loss")
            yield "not a number", player, np.isnan(values) | np.isinf(values), "its loss is {}", values
            if f"{player}: gap" in known or not any(name.endswith(": gap") for name in known):
                # A critic may add any constant to a maker's loss; alone, as a curve, it is all that is known.
                yield "divergence", player, np.abs(values) > EXPLODED, "its loss is {:.3g}", values
        elif what == "left":
            slope, gap = known.get(f"{player}: slope", unknown), known.get(f"{player}: gap", unknown)
            yield "discriminator too strong", player, values < WON, f"its loss is {{:.2g}} times {_USUAL}", values
            text = "the generator's loss changes by {:.2g} with a unit of logit, where 1 is steep"
            yield "vanishing generator gradient", player, (slope < STARVED) & (values < LOW), text, slope
            text = "its mean logits of real and of generated images are {:.3g} apart"
            yield "divergence", player, gap > APART, text, gap
            yield from _oscillation(player, values)
        elif what in _LEAST:
            text = f"{_DIVERSITY[what]} {{:.2g}} times that of real ones"
            yield "mode collapse", player, values < _LEAST[what], text, values
    if not any(name.endswith(": left") for name in known) and {"real_accuracy", "fake_accuracy"} <= known.keys():
        least = np.minimum(known["real_accuracy"], known["fake_accuracy"])
        text = "it is right about {:.0%} of real images, and of generated ones"
        yield "discriminator too strong", "discriminator", least > ACCURATE, text, least
        if "discriminator_loss" in known:  # of the logistic losses
            yield from _oscillation("discriminator", known["discriminator_loss"] / (2 * np.log(2)))


_USUAL = "that of a discriminator whose logits are all 0"
_LEAST = {"variance": ONE_IMAGE, "nearest": ALIKE, "classes": FEW_CLASSES}
_DIVERSITY = {
    "variance": "the variance of its images, relative to their mean square, is",
    "nearest": "the distance of its images to their nearest neighbours, relative to their size, is",
    "classes": "the number of classes among its images is",
}


def _oscillation(player, left):
    """Yield where a discriminator's loss keeps going from far below that of always answering 0 to far above it."""
    side, sides = 0, []
    for value in left:
        side = -1 if value < LOW else 1 if value > HIGH else side
        sides.append(side)
    turns = np.abs(np.diff(sides, prepend=sides[:1])) == 2
    swings = np.convolve(turns, np.ones(SWUNG))[: len(turns)]
    text = f"its loss went {{:.0f}} times from below {LOW} to above {HIGH} times {_USUAL}, or back, in {SWUNG} looks"
    yield "oscillation", player, swings >= SWINGS, text, swings
