"""Parzen-window likelihood, kept to show why it is no longer used."""

from collections import namedtuple

import numpy as np
from scipy import special, stats
from sklearn.metrics import pairwise_distances_chunked

from ganutils import validation
from ganutils.metrics import _checks

BANDWIDTHS = tuple(float(width) for width in np.logspace(-1, 0, 10))
_MEGABYTES_AT_ONCE = 64

ParzenLikelihood = namedtuple("ParzenLikelihood", ["mean", "standard_error", "bandwidth"])


def parzen_log_likelihood(fake, test, bandwidth=None, validation=None, features=None):
    """Mean log-likelihood of test samples under a mixture of normal distributions around generated samples.

    Goodfellow et al. 2014, section 5: the log of the mean over generated x of N(t; x, h²), with the bandwidth h
    that maximises the likelihood of validation samples. Theis, van den Oord and Bethge 2016, section 3.3, show that it
    says little about images: in many dimensions no number of samples is enough, and centres of k-means score
    above true data. It depends on the scale of the values; compare it only at the same scale.

    Args:
        fake: features (n, d); or images, whose pixels in [0, 1] are used if `features` is None.
        test: features (m, d) or images of real samples, at least 2.
        bandwidth: a number above 0, or several to choose from; None means 10 from 0.1 to 1, which suit pixels.
        validation: features (v, d) or images of other real samples, to choose a bandwidth; None if only one is given.

    Returns:
        `ParzenLikelihood`: mean in nats per sample, its standard error over the test samples, the bandwidth.
    """
    bandwidths = np.atleast_1d(BANDWIDTHS if bandwidth is None else bandwidth)
    if (
        bandwidths.dtype.kind not in "iuf"
        or bandwidths.ndim != 1
        or not bandwidths.size
        or not (np.isfinite(bandwidths) & (bandwidths > 0)).all()
    ):
        raise ValueError(f"bandwidth={bandwidth} is not allowed; choose numbers above 0")
    if len(bandwidths) > 1 and validation is None:
        raise ValueError("validation is None; give validation samples to choose a bandwidth, or one bandwidth")
    fake, test = _rows(fake, "fake", features), _rows(test, "test", features, 2, "a standard error needs two")
    _checks.same_width(fake=fake, test=test)
    if len(bandwidths) > 1:
        validation = _rows(validation, "validation", features)
        _checks.same_width(fake=fake, validation=validation)
        bandwidths = bandwidths[[_log_likelihoods(fake, validation, bandwidths).mean(axis=1).argmax()]]
    values = _log_likelihoods(fake, test, bandwidths)[0]
    return ParzenLikelihood(float(values.mean()), float(stats.sem(values)), float(bandwidths[0]))


def _rows(values, name, features, least=1, reason="a mean needs one"):
    values = validation.as_array(values, name)
    if features is None and values.ndim == 4:
        values = _checks.to_unit_range(validation.check_images(values, name))
        values = values.reshape(len(values), -1)
    return _checks.extracted(values, name, features, least, reason)


def _log_likelihoods(centres, points, bandwidths):
    """Return log-likelihoods (bandwidths, points).

    Not with scikit-learn's KernelDensity: its trees are far slower than a matrix product in hundreds of dimensions,
    and inaccurate for such small densities (scikit-learn's issue 7492; on MNIST by hundreds of nats).
    """
    columns = []
    options = {"metric": "euclidean", "squared": True, "working_memory": _MEGABYTES_AT_ONCE}
    for squares in pairwise_distances_chunked(points, centres, **options):
        columns.append([special.logsumexp(squares / (-2 * width**2), axis=1) for width in bandwidths])
    normaliser = np.log(len(centres)) + centres.shape[1] * np.log(np.sqrt(2 * np.pi) * bandwidths)
    return np.concatenate(columns, axis=1) - normaliser[:, None]
