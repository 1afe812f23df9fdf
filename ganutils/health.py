"""Is a training going wrong, and how? Measurements of any `AdversarialModel`, their diagnosis in words, a callback.

A *critic* is a player whose network is asked about real and about generated images, such as a discriminator; a *maker*
is one whose network gives what has the shape of a part of the batch. Which is which is read off a step.
"""

from collections import namedtuple

import numpy as np
import tensorflow as tf
from scipy.spatial import distance

from ganutils import fitting, guards, validation

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


def measure(model, batch, classifier=None):
    """Return measurements of a model on a batch, as a dict from "player: what" to numbers. Nothing moves by it.

    Of a critic: "separation", the probability that a real image has the larger logit than a generated one (0.5 to a
    coin, 1 to a discriminator that is always right); "left", its adversarial loss as a share of that of always
    answering 0; "slope", by how much the generator's loss falls for each unit of logit; "gap" between mean logits.
    Of a maker: "variance" and "nearest", the distance to the nearest neighbour, of its images when they are scaled to
    a mean square of 1, as shares of the real ones'; with a classifier "classes", likewise.

    Args:
        model: a compiled `AdversarialModel`.
        batch: as its dataset has it, at least 8 images.
        classifier: function from images to an object with `.probabilities`, such as `features.digit_classifier()`.
    """
    return _in_numbers(model, *_seen(model, tf.nest.map_structure(tf.convert_to_tensor, batch)), classifier)


def _seen(model, batch):
    """Return dicts of what makers made, and of what `measure` says of critics, and the real images; traceable."""
    batch = fitting.prepared(batch)
    parts = [part for part in tf.nest.flatten(batch) if part.shape.rank > 1]
    made, judged, critics = {}, {}, {}
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:

        def watch(player, output):
            if any(part.shape == output.shape for part in parts):
                made.setdefault(player, []).append(output)
            else:
                tape.watch(output)
                judged.setdefault(player, []).append(output)

        found = model.probe(batch, watch)
        pull = sum(tf.cast(found[player], "float32") for player in made)
    for player, calls in judged.items():
        if made and player not in made and len(calls) > 1:
            slopes = [tape.gradient(pull, call) for call in calls]
            # Only a relativistic loss knows of real logits, too; then real ones come first.
            told = [slope is not None for slope in slopes]
            told = [i >= len(calls) // 2 for i in range(len(calls))] if all(told) else told
            kinds = [[call for call, mine in zip(calls, told, strict=True) if mine is kind] for kind in (False, True)]
            if all(kinds):
                logits = (tf.cast(tf.concat(kind, 0), "float32") for kind in kinds)
                critics[player] = _of_critic(model.adversarial_loss, *logits)
    return made, critics, parts


def _in_numbers(model, made, critics, parts, classifier):
    parts = [part.numpy() for part in parts]
    found = {player: _of_maker([one.numpy() for one in each], parts, classifier) for player, each in made.items()}
    found = critics | found
    return {f"{player}: {name}": float(value) for player, values in found.items() for name, value in values.items()}


def _of_critic(adversarial_loss, real, fake):
    real, fake = (tf.reshape(logits, (-1, 1)) for logits in (real, fake))
    n = tf.minimum(tf.shape(real)[0], tf.shape(fake)[0])
    with tf.GradientTape() as tape:
        tape.watch(fake)
        loss = adversarial_loss.generator(fake[:n], real[:n])
    slope, zeros = tape.gradient(loss, fake), tf.zeros_like(fake[:n])
    usual = tf.cast(adversarial_loss.discriminator(zeros, zeros), "float32")
    left = tf.cast(adversarial_loss.discriminator(real[:n], fake[:n]), "float32") / usual
    return {
        "separation": tf.reduce_mean((tf.sign(real - fake[:, 0]) + 1) / 2),
        "left": tf.where(usual > 0, left, np.nan),  # a Wasserstein critic has no such loss
        "slope": 0.0 if slope is None else tf.reduce_sum(tf.abs(slope)),
        "gap": tf.abs(tf.reduce_mean(real) - tf.reduce_mean(fake)),
    }


def _of_maker(outputs, parts, classifier):
    """The least diverse of several outputs, compared with the least diverse of the real parts of their shape."""
    parts = [part for part in parts if part.shape == outputs[0].shape]
    of_real, of_made = (np.min([_diversity(images) for images in each], axis=0) for each in (parts, outputs))
    found = dict(zip(("variance", "nearest"), of_made / np.maximum(of_real, 1e-12), strict=True))
    if classifier is not None:
        counts = [[_classes(classifier, images) for images in each] for each in (outputs, parts)]
        found["classes"] = min(counts[0]) / max(counts[1])
    return found


def _classes(classifier, images):
    return len(np.unique(np.argmax(classifier(images).probabilities, axis=1)))


def _diversity(images):
    rows = images.reshape(len(images), -1).astype("float64")
    rows /= max(np.linalg.norm(rows), 1e-12)  # an untrained generator's images are grey, not alike
    distances = distance.squareform(distance.pdist(rows))
    np.fill_diagonal(distances, np.inf)
    return np.array([rows.var(axis=0).sum(), distances.min(axis=1).mean()])


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


class HealthCheck(guards.LastGoodState):
    """Say in words what goes wrong in a run, with the figure that shows it and what to try, as soon as it is seen.

    Nothing is changed by looking: weights, random numbers and what a backup compares are those of a run without it.
    Each look also keeps the state of weights, optimizers and random numbers, if all are finite. At NaN or infinity,
    training stops with the state kept last, so that fewer than `every` steps are lost. A look costs about one step.

    Args:
        batch: real images, or what else a batch of the dataset holds, such as (images, labels); at least 8 rows, and
            better 64, in no order. They, and the same latents, are looked at each time.
        every: steps between two looks, at least 1; looks stand at multiples of it in each epoch.
        classifier: as in `measure`, or None.

    Attributes:
        history: dict of lists: "step", over all epochs; the losses' means since the look before; what `measure` gives.
        findings: list of each `Finding` so far.

    Raises:
        ValueError: no arrays, fewer than 8 rows, images that `data.check_images` refuses, or a number out of range.
    """

    def __init__(self, batch, every=100, classifier=None):
        super().__init__()
        parts = tf.nest.flatten(batch)
        if any(np.ndim(part) == 0 or len(part) < 8 or np.asarray(part).dtype.kind not in "biuf" for part in parts):
            raise ValueError("batch is no array of rows to compare; give at least 8 images, and what belongs to each")
        if classifier is not None and not callable(classifier):
            raise ValueError(f"classifier={classifier!r} is not allowed; give such as features.digit_classifier()")
        validation.check_parts(parts, "batch")
        self.batch = tf.nest.map_structure(tf.convert_to_tensor, batch)
        self.every = validation.whole_number(every, "every", 1)
        self.classifier, self.history, self._said, self._step = classifier, {"step": []}, set(), 0

    @property
    def findings(self):
        return diagnose(self.history)

    def on_train_begin(self, logs=None):
        self._bad = False
        self._see = tf.function(lambda stage: _seen(self.model, self.batch), autograph=False)

    def on_epoch_begin(self, epoch, logs=None):
        self._before = epoch * (self.params["steps"] or self._step)
        self._seen, self._sums = 0, {}
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self._step // self.every != self._seen // self.every and self._look(logs, True):
            means = {}
            for name, value in (logs or {}).items():
                total = float(value) * self._step  # Keras gives means since the start of the epoch
                means[name] = (total - self._sums.get(name, 0.0)) / (self._step - self._seen)
                self._sums[name] = total
            self._seen = self._step
            self._add(means | _in_numbers(self.model, *self._see(self.model.stage()), self.classifier))

    def _look(self, logs, at_weights):
        is_good = not self._bad and super()._look(logs, at_weights)
        if not is_good and not self._bad:
            self._bad = True
            self._add({f"{player}_loss": np.nan for player in self.model.networks})
        return is_good

    def _add(self, values):
        n = len(self.history["step"])
        for name, value in {"step": self._before + self._step, **values}.items():
            self.history.setdefault(name, [np.nan] * n).append(value)
        for rows in self.history.values():
            rows.extend([np.nan] * (n + 1 - len(rows)))
        for finding in self.findings:
            if (finding.name, finding.player) not in self._said:
                self._said.add((finding.name, finding.player))
                where = f"{finding.name} ({finding.player.replace('_', ' ')})"
                print(f"Step {finding.step:,}: {where}: {finding.figure}. {finding.advice}")

    def get_config(self):
        return {"every": self.every}

    def get_state(self):
        return {name: np.asarray(values) for name, values in self.history.items()}

    def set_state(self, state):
        self.history = {name: values.tolist() for name, values in state.items()}
        self._said = {(finding.name, finding.player) for finding in self.findings}
