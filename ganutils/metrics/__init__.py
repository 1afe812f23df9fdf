"""Measures of how good generated images are: arrays in, numbers out.

What most functions share, so that their own docstrings do not repeat it:

- Samples (`real`, `fake`, `train`, `test`, `samples`) are float features, a row each. They are images where
  `features` is given: a function from images to features (n, d), or to an object that holds those as
  `.features`, such as `ganutils.features.digit_classifier()`.
- Images are (n, height, width, channels), uint8 in [0, 255] or float in [-1, 1].
- Labels are (n,), whole numbers from 0 on. Probabilities are (n, classes) float, each row summing to 1.
- The same `seed` gives the same result.
- They raise ValueError for arrays of another shape, type or range, with NaN or infinity, with too few rows or
  whose lengths or widths do not fit together, and for numbers out of range. Docstrings name only what else they refuse.
"""

# ruff: noqa: F401 - imported to be used as metrics.frechet_distance and so on
from ganutils.metrics.classification import binomial_interval, conditional_fidelity
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
