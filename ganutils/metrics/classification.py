"""Accuracies: of a classifier on generated images, and of a person who judges them."""

from collections import namedtuple

import numpy as np
from scipy import stats

from ganutils import validation
from ganutils.metrics import _checks

ClassAccuracy = namedtuple("ClassAccuracy", ["accuracy", "per_class"])
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
