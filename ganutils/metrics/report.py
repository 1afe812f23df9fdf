"""All measures of one generator at once: a row of the report cards of lessons 04 and 04b."""

from ganutils.metrics import _checks, copies, distributions, diversity, neighbours

_LEAST = 10  # of each kind; neighbours and subsets need some


def evaluate(real, fake, train=None):
    """Measure generated samples against real ones, in features of one network, and class probabilities if it has them.

    Args:
        real: `features.Features` of n real images that the generator has not seen, or features (n, d).
        fake: the same of n generated images; or of n other real images of the same kind for the floor, which is what a
            perfect generator would score.
        train: features (m, d) of images that the generator has seen, to look for copies in, or None.

    Returns:
        Dict from a measure's name to a float: frechet_distance, kernel_distance, inception_score, precision,
        recall, density, coverage, nearest_neighbour_accuracy, classes_covered, class_divergence,
        vendi_score and, with `train`, copies (share of samples nearer to a training image than 99% of new
        real images are). Without class probabilities there are no measures of classes, nor an inception score.
    """
    both = _checks.feature_sets(real=getattr(real, "features", real), fake=getattr(fake, "features", fake))
    n = len(both[0])
    if len(both[1]) != n:
        raise ValueError(
            f"{n} real and {len(both[1])} generated samples; give as many of both: most measures depend on the number"
        )
    if n < _LEAST:
        raise ValueError(f"{n} samples of each kind are too few for a report card; give {_LEAST} or more")
    score, classes = {}, {}
    if hasattr(real, "probabilities") and hasattr(fake, "probabilities"):
        # A class counts from one sample in a hundred on: fewer may be the classifier's mistakes.
        modes = diversity.mode_coverage(fake.probabilities, real.probabilities.argmax(axis=1), max(1, n // 100))
        classes = {"classes_covered": float(modes.covered), "class_divergence": modes.divergence}
        score = {"inception_score": distributions.inception_score(fake.probabilities).mean}
    found = {
        "frechet_distance": distributions.frechet_distance(*both),
        "kernel_distance": distributions.kernel_distance(*both, subsets=1, subset_size=n).mean,
        **score,
        **neighbours.precision_recall(*both)._asdict(),
        **neighbours.density_coverage(*both)._asdict(),
        "nearest_neighbour_accuracy": copies.nearest_neighbour_accuracy(*both).accuracy,
        **classes,
        "vendi_score": diversity.vendi_score(both[1]),
    }
    if train is not None:
        found["copies"] = copies.memorisation(both[1], train, both[0]).share
    return found
