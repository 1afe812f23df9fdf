"""All measures of one generator at once: a row of the report card of lesson 04."""

from ganutils.metrics import copies, distributions, diversity, neighbours


def evaluate(real, fake, train=None):
    """Measure generated samples against real ones, in features and class probabilities of one classifier.

    Args:
        real: `features.Features` of n real images that the generator has not seen.
        fake: `features.Features` of n generated images.
        train: features (m, d) of images that the generator has seen, to look for copies in, or None.

    Returns:
        Dict from a measure's name to a float: frechet_distance, kernel_distance, inception_score, precision,
        recall, density, coverage, nearest_neighbour_accuracy, classes_covered, class_divergence,
        vendi_score and, with `train`, copies (share of samples nearer to a training image than 99 % of new
        real images are).
    """
    n = len(real.features)
    if len(fake.features) != n:
        numbers = f"{n} real and {len(fake.features)} generated samples"
        raise ValueError(f"{numbers}; give as many of both: most measures depend on the number")
    # A class counts from one sample in a hundred on: fewer may be the classifier's mistakes.
    modes = diversity.mode_coverage(fake.probabilities, real.probabilities.argmax(axis=1), max(1, n // 100))
    found = {
        "frechet_distance": distributions.frechet_distance(real.features, fake.features),
        "kernel_distance": distributions.kernel_distance(real.features, fake.features, 20, min(1000, n // 2)).mean,
        "inception_score": distributions.inception_score(fake.probabilities).mean,
        **neighbours.precision_recall(real.features, fake.features)._asdict(),
        **neighbours.density_coverage(real.features, fake.features)._asdict(),
        "nearest_neighbour_accuracy": copies.nearest_neighbour_accuracy(real.features, fake.features).accuracy,
        "classes_covered": float(modes.covered),
        "class_divergence": modes.divergence,
        "vendi_score": diversity.vendi_score(fake.features),
    }
    if train is not None:
        found["copies"] = copies.memorisation(fake.features, train, real.features).share
    return found
