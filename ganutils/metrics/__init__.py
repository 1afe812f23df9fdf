"""Measures of how good generated images are."""

from ganutils.metrics.classification import (
    ClassAccuracy,
    binomial_interval,
    conditional_fidelity,
)
from ganutils.metrics.copies import (
    Memorisation,
    MemorisationGap,
    Neighbours,
    TwoSampleAccuracy,
    memorisation,
    memorisation_gap,
    nearest_images,
    nearest_neighbour_accuracy,
)
from ganutils.metrics.distributions import (
    FrechetLimit,
    InceptionScore,
    KernelDistance,
    frechet_distance,
    frechet_distance_limit,
    inception_score,
    inception_score_ceiling,
    kernel_distance,
)
from ganutils.metrics.diversity import (
    MixtureModes,
    ModeCoverage,
    PairwiseMean,
    mixture_modes,
    mode_coverage,
    pairwise_similarity,
    vendi_score,
)
from ganutils.metrics.likelihood import (
    ParzenLikelihood,
    parzen_log_likelihood,
)
from ganutils.metrics.neighbours import (
    DensityCoverage,
    PrecisionRecall,
    density_coverage,
    precision_recall,
)
from ganutils.metrics.paths import (
    perceptual_path_length,
)
from ganutils.metrics.report import evaluate

__all__ = [
    "ClassAccuracy",
    "DensityCoverage",
    "FrechetLimit",
    "InceptionScore",
    "KernelDistance",
    "Memorisation",
    "MemorisationGap",
    "MixtureModes",
    "ModeCoverage",
    "Neighbours",
    "PairwiseMean",
    "ParzenLikelihood",
    "PrecisionRecall",
    "TwoSampleAccuracy",
    "binomial_interval",
    "conditional_fidelity",
    "density_coverage",
    "evaluate",
    "frechet_distance",
    "frechet_distance_limit",
    "inception_score",
    "inception_score_ceiling",
    "kernel_distance",
    "memorisation",
    "memorisation_gap",
    "mixture_modes",
    "mode_coverage",
    "nearest_images",
    "nearest_neighbour_accuracy",
    "pairwise_similarity",
    "parzen_log_likelihood",
    "perceptual_path_length",
    "precision_recall",
    "vendi_score",
]
