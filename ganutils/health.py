"""Is a training going wrong? Measurements of any `AdversarialModel`, and a callback that has `diagnosis` read them.

A *critic* is a player whose network is asked about real and about generated images, such as a discriminator; a *maker*
is one whose network gives what has the shape of a part of the batch. Which is which is read off a step.
"""

import numpy as np
import tensorflow as tf
from scipy.spatial import distance

from ganutils import diagnosis, fitting, guards, validation


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
        classes = [[classifier(images).probabilities.argmax(axis=1) for images in each] for each in (outputs, parts)]
        of_made, of_real = ([len(np.unique(row)) for row in each] for each in classes)
        found["classes"] = min(of_made) / max(of_real)
    return found


def _diversity(images):
    rows = images.reshape(len(images), -1).astype("float64")
    rows /= max(np.linalg.norm(rows), 1e-12)  # an untrained generator's images are grey, not alike
    distances = distance.squareform(distance.pdist(rows))
    np.fill_diagonal(distances, np.inf)
    return np.array([rows.var(axis=0).sum(), distances.min(axis=1).mean()])


class HealthCheck(guards.LastGoodState):
    """Say in words what goes wrong in a run, with the figure that shows it and what to try, as soon as it is seen.

    Looking changes nothing: weights, random numbers and what a backup compares are those of a run without it. Each look
    also keeps the state of weights, optimizers and random numbers, if all are finite. At NaN or infinity, training
    stops with the state kept last, so that fewer than `every` steps are lost.

    Args:
        batch: real images, or what else a batch of the dataset holds, such as (images, labels); 8 to 1,000 rows,
            usually 64, in no order. They, and the same latents, are looked at each time.
        every: steps between two looks, at least 1; looks stand at multiples of it.
        classifier: as in `measure`, or None.

    Attributes:
        history: dict of lists: "step", over all epochs; the losses' means since the look before, within the epoch; what
            `measure` gives. A `fit` that does not resume another one begins anew.
        findings: list of each `Finding` so far.

    Raises:
        ValueError: too few rows, too many or unequally many, NaN, images that `data.check_images` refuses, or a number
            out of range.
    """

    def __init__(self, batch, every=100, classifier=None):
        super().__init__()
        parts = tf.nest.flatten(batch)
        rows, kinds = {(*np.shape(part), 0)[0] for part in parts}, {np.asarray(part).dtype.kind for part in parts}
        if len(rows) != 1 or not 8 <= min(rows) <= 1000 or not kinds <= set("biuf"):
            given = ", ".join(f"{np.asarray(part).dtype} {np.shape(part)}" for part in parts) or "nothing"
            raise ValueError(f"batch holds {given}; give 8 to 1,000 images, such as images[:64], and as many labels")
        if classifier is not None and not callable(classifier):
            raise ValueError(f"classifier={classifier!r} is not allowed; give such as features.digit_classifier()")
        validation.check_parts(parts, "images of the batch")
        self.batch = tf.nest.map_structure(tf.convert_to_tensor, batch)
        self.every = validation.whole_number(every, "every", 1)
        self.classifier, self.history, self._said, self._step = classifier, {"step": []}, set(), 0

    @property
    def findings(self):
        return diagnosis.diagnose(self.history)

    def on_train_begin(self, logs=None):
        self._bad, self._at = False, None
        self._see = tf.function(lambda stage: _seen(self.model, self.batch), autograph=False)

    def on_epoch_begin(self, epoch, logs=None):
        self._before = epoch * (self.params["steps"] or self._step)
        self._seen, self._sums = 0, {}
        if self._at is None:  # the first epoch of this `fit`
            self._at = self._before
            if not epoch:
                self.history, self._said = {"step": []}, set()
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        now = self._before + self._step
        if now // self.every != self._at // self.every and self._look(logs, True):
            self._at, means = now, {}
            for name, value in (logs or {}).items():
                total = float(value) * self._step  # Keras gives means since the start of the epoch
                means[name] = (total - self._sums.get(name, 0.0)) / (self._step - self._seen)
                self._sums[name] = total
            self._seen = self._step
            self._add(means | _in_numbers(self.model, *self._see(self.model.stage()), self.classifier))

    def on_train_end(self, logs=None):
        if self._at is not None and not self.history["step"]:  # a finished run, resumed, has no epoch left
            print(f"HealthCheck has not looked: the run took {self._before + self._step} steps, and every={self.every}")

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
