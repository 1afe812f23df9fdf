"""Metrics of generated images: functions from arrays to numbers.

Conventions of all functions:

- Samples (`real`, `fake`, `train`, `test`, `samples`) are float features, one row per sample. If `features` is given,
  they are images instead, and `features` maps them to features (n, d), or to an object with these as
  `.features`, such as `ganutils.features.digit_classifier()`.
- Images are (n, height, width, channels), uint8 in [0, 255] or float in [-1, 1].
- Labels are (n,), whole numbers from 0. Probabilities are (n, classes) float, each row summing to 1.
- The same `seed` gives the same result.
- ValueError is raised for arrays of a wrong shape, type or range, with NaN or infinity, with too few rows or
  mismatched lengths or widths, and for numbers out of range. Docstrings mention only other errors.
"""

# ruff: noqa: F401 - imported to be used as metrics.frechet_distance and so on
from ganutils.metrics.classification import attribute_fidelity, binomial_interval, conditional_fidelity
from ganutils.metrics.copies import memorisation, memorisation_gap, nearest_images, nearest_neighbour_accuracy
from ganutils.metrics.distributions import (
    cautions,
    frechet_distance,
    frechet_distance_limit,
    inception_score,
    inception_score_ceiling,
    kernel_distance,
)
from ganutils.metrics.diversity import mixture_modes, mode_coverage, pairwise_similarity, vendi_score
from ganutils.metrics.likelihood import parzen_log_likelihood
from ganutils.metrics.neighbours import density_coverage, precision_recall
from ganutils.metrics.paths import perceptual_path_length
from ganutils.metrics.report import evaluate
