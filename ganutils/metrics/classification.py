"""Accuracies: of a classifier on generated images, and of a person who judges them."""

from collections import namedtuple

import numpy as np
from scipy import stats

from ganutils import validation
from ganutils.metrics import _checks

ClassAccuracy = namedtuple("ClassAccuracy", ["accuracy", "per_class"])
AttributeFidelity = namedtuple("AttributeFidelity", ["share", "missing", "new"])
BinomialInterval = namedtuple("BinomialInterval", ["share", "low", "high"])


def conditional_fidelity(probabilities, labels):
    """Return how often a classifier recognises the class that a conditional generator was asked for.

    The classifier errs as well: compare with its accuracy on real test images. Returns `ClassAccuracy`: over all
    samples, and `per_class` (classes,) over those of each label, NaN for a label without any.

    Args:
        probabilities: (n, classes), the classifier's for the generated images.
        labels: (n,), from 0 to classes - 1, the requested classes.
    """
    probabilities = _checks.probabilities(probabilities)
    rows, classes = probabilities.shape
    labels = validation.check_labels(labels, "labels", classes, rows, "rows of probabilities")
    hits = probabilities.argmax(axis=1) == labels
    counts = np.bincount(labels, minlength=classes)
    per_class = np.full(classes, np.nan)
    np.divide(np.bincount(labels, hits, classes), counts, out=per_class, where=counts > 0)
    return ClassAccuracy(float(hits.mean()), per_class)


def attribute_fidelity(probabilities, training=None, sure=0.9):
    """Return on which share of images a reader is sure of every attribute, and which values the images lack.

    Blurred or mixed attributes leave a reader in doubt. It doubts some real images, too: compare with their share.
    Returns `AttributeFidelity`: `share`; `missing`, a dict from an attribute to the numbers of those of its values that
    the reader is sure of in no image, of attributes that have any; and `new`, among the images of `share`, the share
    of combinations that `training` does not have: 0 for copies. `new` is NaN if the reader is sure of no image, or
    without `training`.

    Args:
        probabilities: dict from an attribute to probabilities (n, values), such as those of `features.face_reader()`;
            leave out attributes that the reader cannot read.
        training: dict from the same attributes to their values (m,) in the images that the generator has seen, or None.
        sure: what the largest probability must exceed, in [0.5, 1).

    Raises:
        ValueError: no probabilities, unequal numbers of rows, other attributes in `training`, or a number out of range.

    The measure is this course's own.
    """
    validation.check_named(probabilities, "probabilities", "probabilities (n, values)")
    if validation.number(sure, "sure", 0.5, 1, open_ends=False) == 1:
        raise ValueError("sure=1 is not allowed, since no probability exceeds it; choose such as 0.9")
    found = {name: _checks.probabilities(rows, name) for name, rows in probabilities.items()}
    if len({len(rows) for rows in found.values()}) > 1:
        raise ValueError(f"probabilities have {', '.join(str(len(rows)) for rows in found.values())} rows; give one n")
    certain = {name: rows.max(axis=1) > sure for name, rows in found.items()}
    values = {name: rows.argmax(axis=1) for name, rows in found.items()}
    lacking = {n: np.setdiff1d(np.arange(rows.shape[1]), values[n][certain[n]]).tolist() for n, rows in found.items()}
    whole = np.all(list(certain.values()), axis=0)
    new = np.nan
    if training is not None:
        validation.check_named(training, "training", "values (m,)")
        if set(training) != set(found):
            raise ValueError(f"training has {', '.join(training)}; give the values of {', '.join(found)}")
        counts = [rows.shape[1] for rows in found.values()]
        known = [
            validation.check_labels(training[name], name, classes, len(next(iter(training.values()))))
            for name, classes in zip(found, counts, strict=True)
        ]
        seen = np.ravel_multi_index(known, counts)
        drawn = np.ravel_multi_index([values[name][whole] for name in found], counts)
        new = float(1 - np.isin(drawn, seen).mean()) if len(drawn) else np.nan
    return AttributeFidelity(float(whole.mean()), {name: gone for name, gone in lacking.items() if gone}, new)


def binomial_interval(successes, trials):
    """Return a `BinomialInterval`: the share of successes, and its 95% confidence interval (Wilson 1927).

    For a person who judges whether images are real, 0.5 is chance. If generated images cannot be told from real
    ones, the interval contains 0.5 in 95% of tests.

    Args:
        successes: number of correct answers, from 0 to `trials`.
        trials: number of answers, at least 1.
    """
    trials = validation.whole_number(trials, "trials", 1)
    successes = validation.whole_number(successes, "successes", 0, trials)
    interval = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return BinomialInterval(successes / trials, float(interval.low), float(interval.high))
