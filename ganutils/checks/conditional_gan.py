"""Checks of assignment 03: the share of right labels, projection, a condition that gets lost, fidelity by class."""

import numpy as np
import tensorflow as tf
from keras import ops

from .expectations import expect, number, tensor
from .feedback import Wrong, check

WRONG_LABELS = "lesson 03, *Wrong labels*"
PROJECTION = "lesson 03, *Three ways to feed a label*, way 3"
STEP = "lesson 03, *The training step*"
FIDELITY = "lesson 03, *Does it draw what it was asked for?*"


@check("1 · The share of right labels", WRONG_LABELS)
def share_of_right_labels(answer):
    """`answer(share, classes)`: the share of labels drawn at random, and the number of classes, to a share."""
    for share, classes in ((0.4, 10), (0.5, 2), (1.0, 4)):
        expect(
            f"the share of right labels where a share of {share} is drawn at random from {classes} classes",
            answer(share, classes),
            1 - share * (classes - 1) / classes,
            WRONG_LABELS,
            [
                (1 - share, "a label drawn at random may be right by chance"),
                (share / classes, "the labels that were left alone are missing"),
                (1 - share + 1 / classes, "only the redrawn labels can be right by chance"),
                (1 - share / classes, "a random label is *right* with probability 1 / classes, not wrong"),
                (share, "this is the share of redrawn labels"),
            ],
        )


@check("2 · Projection", PROJECTION)
def projection_logit(answer, seed=0):
    """`answer(features, labels, weights, bias, class_vectors)`: (n, d), (n,), (d,), scalar, (c, d), to logits (n,)."""
    rng = np.random.default_rng(seed)
    n, d, c = 4, 3, 5
    features, weights, vectors = (rng.standard_normal(shape).astype("float32") for shape in ((n, d), (d,), (c, d)))
    labels, bias = rng.permutation(c)[:n].astype("int32"), np.float32(0.7)
    if (labels == np.arange(n)).all():
        labels = labels[::-1].copy()
    plain, own = features @ weights, (features * vectors[labels]).sum(axis=1)
    tensors = [ops.convert_to_tensor(value) for value in (features, labels, weights, bias, vectors)]
    with tf.GradientTape() as tape:
        tape.watch(tensors[-1])
        logits = answer(*tensors)
    tensor(logits, "the logits", PROJECTION)
    by_row = (features * vectors[:n]).sum(axis=1)
    everything = features @ vectors.T
    expect(
        f"the logits of four images with the labels {labels.tolist()}",
        logits,
        plain + bias + own,
        PROJECTION,
        [
            (own, "this is only the class's part; *does it look real?* is missing"),
            (own + bias, "*does it look real?*, the product with the weights, is missing"),
            (plain + bias, "the label does not affect the logit"),
            (plain + own, "the bias is missing"),
            (plain + bias + by_row, "image 0 was paired with vector 0, image 1 with 1: look up its *label's* vector"),
            (plain + bias + everything.sum(axis=1), "a sum over all classes: only the label's own vector counts"),
            (plain + bias + own.sum(), "a sum over the batch: one image's logit depends on the others"),
            (plain[:, None] + bias + everything, "a logit for every class; look up the label's own vector"),
            (plain[:, None] + bias + own, "arrays of shape (n, 1) and (n,) were added, which gives a table (n, n)"),
            (plain + bias + own[:, None], "arrays of shape (n, 1) and (n,) were added, which gives a table (n, n)"),
            ((plain + bias + own)[:, None], "one axis too many: the logits should have the shape (n,)"),
            (
                plain + bias + features @ vectors[labels].T,
                "every image was paired with the vectors of all labels in the batch",
            ),
            (
                plain[:, None] + bias + features @ vectors[labels].T,
                "every image was paired with the vectors of all labels in the batch",
            ),
        ],
        otherwise="w · φ(x) + b + e_y · φ(x), for each image with the row of its own label",
    )
    slopes = tape.gradient(logits, tensors[-1])
    if slopes is None:
        because = "on its way to the logits the table leaves TensorFlow, for example through NumPy"
        raise Wrong("a gradient with respect to the class vectors", "None", because, PROJECTION)
    moved = np.flatnonzero(np.abs(ops.convert_to_numpy(ops.convert_to_tensor(slopes))).sum(axis=1) > 0)
    if moved.tolist() != sorted(labels.tolist()):
        came = f"rows {moved.tolist()}"
        because = "classes that are not in the batch affect the logits"
        raise Wrong(f"a gradient in rows {sorted(labels.tolist())} of the class vectors", came, because, PROJECTION)


class _Spies:
    """A generator and a discriminator that record which label each image was generated for and shown with.

    An image (2 + d,) is the label it was generated for, whether it is generated, and d pixels. Each network has one
    weight.
    """

    def __init__(self):
        self.shown, self.modes = [], []
        self.weights = {name: tf.Variable(1.0) for name in ("generator", "discriminator")}

    def generator(self, inputs, training=None):
        latents, labels = inputs
        self.modes.append(training)
        labels = ops.cast(ops.reshape(labels, (-1, 1)), "float32")
        pixels = self.weights["generator"] * ops.cast(latents, "float32")
        return ops.concatenate([labels, ops.ones_like(labels), pixels], axis=1)

    def discriminator(self, inputs, training=None):
        images, labels = inputs
        self.modes.append(training)
        labels = ops.cast(ops.reshape(labels, (-1, 1)), "float32")
        logits = ops.sum(images[:, 2:], axis=1, keepdims=True) - ops.square(images[:, :1] - labels) / 10
        logits = self.weights["discriminator"] * logits
        self.shown.append([ops.convert_to_numpy(part) for part in (images, labels, logits)])
        return logits


@check("3 · A condition that gets lost", STEP)
def conditional_losses(answer, seed=0):
    """`answer(generator, discriminator, real_images, labels, wrong_labels, latents)`, to both losses.

    The losses of Reed et al. 2016, algorithm 1 (GAN-CLS): real images with wrong labels also count as generated.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(10).astype("int32")
    # One label for nearly all images: a generator that uses the wrong labels does not draw all ten digits.
    often = rng.integers(10)
    wrong = np.where(labels == often, (often + 1) % 10, often).astype("int32")
    latents = rng.standard_normal((10, 3)).astype("float32")
    real = np.hstack([labels[:, None], np.zeros((10, 1)), rng.standard_normal((10, 3))]).astype("float32")
    spies = _Spies()
    tensors = [ops.convert_to_tensor(value) for value in (real, labels, wrong, latents)]
    with tf.GradientTape(persistent=True) as tape:
        came = answer(spies.generator, spies.discriminator, *tensors)
    if not isinstance(came, (tuple, list)) or len(came) != 2:
        raise Wrong(
            "two losses", f"an object of type {type(came).__name__}", "return both, the discriminator's first", STEP
        )
    if not spies.shown:
        raise Wrong("logits of the discriminator", "it was never called", "the networks are not used", STEP)
    images, shown_with, logits = (np.concatenate(parts) for parts in zip(*spies.shown, strict=True))
    generated, own = images[:, 1] == 1, np.abs(images[:, 0] - shown_with[:, 0]) < 0.5
    drawn_for = set(images[generated, 0].astype(int).tolist())
    if generated.any() and drawn_for != set(range(10)):
        because = (
            "the generator is not told which digit is wanted, so it cannot learn to obey its labels"
            if len(drawn_for) == 1
            else "the generator gets other labels than those of the real images, `labels`"
        )
        raise Wrong("images for each of the ten labels", f"images for {sorted(drawn_for)}", because, STEP)
    if generated.any() and not own[generated].all():
        because = (
            "generated images are shown with other labels than they were generated for, so the generator is judged by "
            "a label that it never saw"
        )
        count = (~own[generated]).sum()
        raise Wrong("each generated image with the label it was generated for", f"{count} are not", because, STEP)
    kinds = {
        "real images with their own labels": ~generated & own,
        "real images with wrong labels": ~generated & ~own,
        "generated images": generated,
    }
    for kind, rows in kinds.items():
        if rows.sum() == 0 or rows.sum() % 10:  # generated images may be shown twice, once for each player
            because = "the discriminator is shown three kinds of pairs, ten of each"
            raise Wrong(f"10 {kind}", f"{rows.sum()}", because, "the text of this task")
    if not all(mode is True for mode in spies.modes):
        because = "`training=True` is missing in a call: batch normalisation would not use the batch"
        raise Wrong("networks in training mode", "at least one call without it", because, STEP)
    of_real, of_mismatched, of_fake = (logits[rows] for rows in kinds.values())
    accepting = {name: np.logaddexp(0, -part).mean() for name, part in (("m", of_mismatched), ("f", of_fake))}
    on_real, refused_m, refused_f = (np.logaddexp(0, part).mean() for part in (-of_real, of_mismatched, of_fake))
    expect(
        "the discriminator's loss",
        came[0],
        on_real + (refused_m + refused_f) / 2,
        STEP,
        [
            (on_real + refused_m + refused_f, "the two kinds to be rejected count one half each"),
            (on_real + refused_f, "real images with wrong labels are missing from it"),
            (on_real + refused_f / 2, "real images with wrong labels are missing from it"),
            (on_real + (accepting["m"] + refused_f) / 2, "real images with wrong labels are accepted: reject them"),
            (accepting["f"], "the two losses are swapped"),
        ],
        otherwise="the loss of the real pairs, plus half the loss of each of the two kinds of false pairs",
    )
    mistakes = [
        (refused_f, "the generator's loss has the wrong sign"),
        (-refused_f, "this is the minimax loss, which saturates"),
    ]
    expect("the generator's loss", came[1], accepting["f"], STEP, mistakes)
    for loss, player in zip(came, ("discriminator", "generator"), strict=True):
        if not tf.is_tensor(loss) or tape.gradient(loss, spies.weights[player]) is None:
            because = "the gradient is cut off, by NumPy or by a `stop_gradient` in the wrong place"
            expected = f"a gradient of the {player}'s loss with respect to the {player}'s weights"
            raise Wrong(expected, "None", because, STEP)


@check("4 · Which digit is ignored?", FIDELITY)
def fidelity_by_class(answer, seed=0):
    """`answer(asked, read, classes)`: two integer arrays (n,) and a number, to shares (classes,) or NaN."""
    rng = np.random.default_rng(seed)
    asked = rng.choice([0, 0, 0, 1, 1, 2, 4], 60)
    read = np.where(rng.random(60) < 0.6, asked, rng.integers(0, 5, 60))
    table = np.zeros((5, 5))
    np.add.at(table, (asked, read), 1)
    hits = np.diag(table)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected, by_read = hits / table.sum(axis=1), hits / table.sum(axis=0)
    came = number(answer(asked, read, 5), "the shares", FIDELITY)
    mistakes = [
        (by_read, "divided by how often a digit was *read*; divide by how often it was *asked for*"),
        (hits, "these are counts; divide each by how often its digit was asked for"),
        (hits / 60, "divided by the number of all samples"),
        (np.nan_to_num(expected), "0 for a digit that was never asked for; it has no share, so return NaN"),
        (np.full(5, hits.sum() / 60), "one number for all classes: the question is which class is ignored"),
        (hits.sum() / 60, "one number for all classes: the question is which class is ignored"),
        (expected[np.isfinite(expected)], "the digit that was never asked for is missing; return NaN for it"),
    ]
    if came.shape == (5,) and np.isnan(came[3]) and np.isfinite(np.delete(came, 3)).all():
        present = [0, 1, 2, 4]
        mistakes = [(value[present], because) for value, because in mistakes if np.shape(value) == (5,)]
        came, expected = came[present], expected[present]
    expect("the share of right samples, for each digit asked for", came, expected, FIDELITY, mistakes)
