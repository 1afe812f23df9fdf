"""The quiz of lesson 05: real curves of seven runs, to be named."""

import functools
import json

from ganutils import folders, validation

HEALTHY = "healthy"
# Letter, and the kind and the place of a run in data/health_curves.json, whose entry says what was planted.
_RUNS = {
    "A": ("planted", "minimax"),
    "B": ("healthy", "02_dcgan"),
    "C": ("planted", "momentum"),
    "D": ("planted", "no latents"),
    "E": ("planted", "slow generator"),
    "F": ("healthy", "01_vanilla_gan"),
    "G": ("planted", "high rates"),
}
_CURVES = {
    "step": "step",
    "discriminator_loss": "discriminator_loss",
    "generator_loss": "generator_loss",
    "real_accuracy": "real_accuracy",
    "fake_accuracy": "fake_accuracy",
    "generator: nearest": "diversity",
}
_HINTS = {
    HEALTHY: "nothing leaves its range for long: losses, accuracies and diversity.",
    "discriminator too strong": "look at both accuracies, and at the generator's loss.",
    "vanishing generator gradient": "look at both accuracies, and at where the generator's loss lies.",
    "mode collapse": "look at the third panel, and at the numbers on its axis.",
    "oscillation": "follow the discriminator's loss, and count how often it crosses the thin line, by far.",
    "divergence": "look at the numbers on the axis of the losses.",
}


@functools.cache
def _recorded():
    path = folders.DATA / "health_curves.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {folders.ADVICE}")
    return json.loads(path.read_text(encoding="utf-8"))


def _run(letter):
    kind, name = _RUNS[letter]
    return next(run for run in _recorded()[kind] if run["name"] == name)


def gallery():
    """Return the curves of the quiz: a dict from a letter to a history, as `plotting.training_curves` takes it.

    "diversity" is the distance of generated images to their nearest neighbours, as a share of real images'.
    """
    return {letter: {ours: _run(letter)[key] for key, ours in _CURVES.items()} for letter in _RUNS}


def diagnose(answers):
    """Say of each run whether its diagnosis is right, and where to look if it is not; return how many are right.

    Args:
        answers: dict from each letter to the name of a fault, or "healthy"; "?" where there is none yet.

    Raises:
        ValueError: other letters, or a name that is none of the six.
    """
    validation.check_named(answers, "answers", "the names of faults")
    if set(answers) != set(_RUNS):
        raise ValueError(f"answers are for {', '.join(map(str, answers))}; give one each for {', '.join(_RUNS)}")
    right = 0
    for letter in _RUNS:
        answer, truth = str(answers[letter]).strip().lower(), _run(letter).get("expected", HEALTHY)
        if answer not in {*_HINTS, "?"}:
            raise ValueError(f"{answers[letter]!r} is no name for {letter}; choose one of {', '.join(_HINTS)}")
        right += answer == truth
        text = "no answer yet" if answer == "?" else "right" if answer == truth else f"not yet: {_HINTS[truth]}"
        print(f"{letter}: {text}")
    print(f"{right} of {len(_RUNS)} are right.")
    return right
