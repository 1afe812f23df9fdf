"""Perceptual path length: how smoothly images change along a path between latents."""

import numpy as np

from ganutils import validation
from ganutils.metrics import _checks, neighbours

_EPSILONS = 1e-5, 0.1  # a smaller step is lost to rounding in float32
_PAIRS_AT_ONCE = 250


def perceptual_path_length(
    generator, features, samples=10_000, epsilon=1e-4, seed=0, *, lower=0.01, upper=0.99, labels=None, latent_dim=None
):
    """Mean squared change of features per step in latent space; lower is smoother.

    Karras et al. 2019, section 4.1: the mean of d(G(p(t)), G(p(t + ε))) / ε² over paths p between two normal
    latents, t uniform in [0, 1], without the smallest and largest values, as in the paper's code. There
    d is a network trained on human judgements; here it is the squared distance of features, so values are comparable
    only between generators measured with the same features.

    In float32, any ε from 1e-3 to 1e-5 gives a DCGAN the same mean within 1% (tests/metrics/test_paths.py). A smaller
    step is lost to rounding; a larger one cuts corners. For a generator whose images hardly change, only
    rounding errors remain, about (1e-6 |features| / ε)². Half precision has no suitable ε.

    Args:
        generator: keras.Model or function from latents (n, latent_dim) float32, or with `labels` from the list
            [latents, labels], to the input of `features`, usually float images in [-1, 1].
        features: function from such images to features.
        samples: number of pairs.
        epsilon: ε, length of a step; the whole path has length 1.
        seed: seed of latents, labels and t.
        lower, upper: quantiles, 0 ≤ lower < upper ≤ 1; values outside them are dropped.
        labels: (m,), whole numbers to draw labels from, the same for both images of a pair; None for no labels.
        latent_dim: length of a latent; None takes it from the generator's input.

    Returns:
        A float, at least 0.

    Raises:
        ValueError: also for half precision, or if `latent_dim` is None and cannot be read off the generator.
    """
    lower, upper = (
        validation.number(x, name, 0, 1, open_ends=False) for x, name in ((lower, "lower"), (upper, "upper"))
    )
    if not lower < upper:
        raise ValueError(f"lower={lower} and upper={upper} are not allowed; choose 0 <= lower < upper <= 1")
    epsilon = validation.number(epsilon, "epsilon", *_EPSILONS, open_ends=False)
    if half := {layer.compute_dtype for layer in getattr(generator, "layers", ())} & {"float16", "bfloat16"}:
        raise ValueError(
            f"the generator computes in {', '.join(sorted(half))}, in which a step of epsilon={epsilon:g} changes "
            "images in jumps or not at all; build it under the dtype policy float32 and copy the weights"
        )
    samples = validation.whole_number(samples, "samples", 2)
    latent_dim = _latent_dim(generator) if latent_dim is None else validation.whole_number(latent_dim, "latent_dim", 1)
    lengths = []
    # A separate random stream for each kind of number, so that the batch size does not change them.
    normal, uniform, choice = validation.generator(seed).spawn(3)
    if labels is not None:
        classes = validation.classes_of(generator) if hasattr(generator, "operations") else None
        labels = validation.check_labels(labels, classes=classes)
    chosen = None if labels is None else choice.choice(labels, samples)
    for first in range(0, samples, _PAIRS_AT_ONCE):
        n = min(_PAIRS_AT_ONCE, samples - first)
        start, end = normal.standard_normal((n, 2, latent_dim)).swapaxes(0, 1)
        t = uniform.uniform(size=(n, 1))
        classes = None if chosen is None else chosen[first : first + n]
        # The two images of a pair are in the same row of two batches, so that rounding affects both alike.
        here, there = (_features_at(start + (end - start) * x, classes, generator, features) for x in (t, t + epsilon))
        lengths.append(neighbours.squared_distances(here, there) / epsilon**2)
    lengths = np.concatenate(lengths)
    # "lower" and "higher" choose values that occur, as in the paper's code.
    smallest, largest = np.quantile(lengths, lower, method="lower"), np.quantile(lengths, upper, method="higher")
    return float(lengths[(smallest <= lengths) & (lengths <= largest)].mean())


def _features_at(latents, labels, generator, features):
    latents = latents.astype("float32")
    if labels is None and len(getattr(generator, "inputs", [None])) > 1:
        raise ValueError("the generator also takes labels; give labels=range(10), or its own classes")
    images = np.asarray(generator(latents if labels is None else [latents, labels]))
    if images.dtype.kind != "f" or len(images) != len(latents):
        found = f"{images.dtype} {images.shape} for {len(latents)} latents"
        raise ValueError(f"the generator gave {found}; return one float image each: whole numbers hide a small step")
    if images.ndim == 4 and images.min() >= 0 and images.max() > 2:
        raise ValueError(f"generated images go from {images.min():g} to {images.max():g}, like [0, 255]; give [-1, 1]")
    return _checks.features(_checks.call(features, images), "features of generated images")


def _latent_dim(generator):
    shape = getattr(generator, "input_shape", None)
    shape = shape[0] if isinstance(shape, list) else shape
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise ValueError("the generator does not show the length of its latents; give latent_dim")
    return shape[1]
