import numpy as np


def exact_normal(rng, n, mean, covariance):
    """Samples (n, d) whose mean and covariance, with n - 1, are exactly the given ones."""
    samples = rng.standard_normal((n, len(mean)))
    samples -= samples.mean(axis=0)
    whitening = np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(samples, rowvar=False))))
    return samples @ whitening.T @ np.linalg.cholesky(covariance).T + mean


def random_covariance(rng, d):
    root = rng.standard_normal((d, d))
    return root @ root.T / d + np.eye(d) / 10


def distances(first, second):
    """All Euclidean distances (n, m), by differences."""
    return np.sqrt(((first[:, None].astype("float64") - second[None]) ** 2).sum(axis=-1))


def radii(samples, k):
    """Distance of each sample to its k-th nearest neighbour, itself not counted."""
    return np.sort(distances(samples, samples), axis=1)[:, k]
