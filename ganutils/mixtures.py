"""Mixtures of normal distributions in the plane, whose truth is known: where mode collapse can be seen and counted."""

import dataclasses
import itertools
from collections import namedtuple

import numpy as np
from scipy import special

from ganutils import metrics, validation

# Modes found; share of samples within 3 standard deviations of a centre; reverse KL divergence in nats.
Coverage = namedtuple("Coverage", "modes high_quality reverse_kl")


@dataclasses.dataclass(frozen=True, eq=False)
class Mixture:
    """Equally likely round normal distributions of one standard deviation.

    Args:
        centres: (modes, d), finite.
        deviation: standard deviation of each in every direction, above 0, in units of the centres.

    Raises:
        ValueError: centres of another shape, or a deviation out of range.
    """

    centres: np.ndarray
    deviation: float

    def __post_init__(self):
        centres = validation.as_array(self.centres, "centres")
        if centres.ndim != 2 or not centres.size:
            raise ValueError(f"centres have the shape {centres.shape}; give (modes, d)")
        validation.check_numbers(centres, "centres")
        object.__setattr__(self, "centres", centres.astype("float64"))
        validation.number(self.deviation, "deviation", 0)

    def sample(self, n, seed=0):
        """Return n points (n, d), float32; the same seed gives the same. `data.pipeline` makes batches of them."""
        rng, n = validation.generator(seed), validation.whole_number(n, "n", 1)
        chosen = self.centres[rng.integers(len(self.centres), size=n)]
        return (chosen + self.deviation * rng.standard_normal(chosen.shape)).astype("float32")

    def density(self, points):
        """Return the exact probability density (n,), float64, at points (n, d); over all of space it adds up to 1."""
        points = self._points(points)
        squares = np.sum((points[:, None] - self.centres) ** 2, axis=-1) / self.deviation**2
        norm = points.shape[1] / 2 * np.log(2 * np.pi * self.deviation**2) + np.log(len(self.centres))
        return np.exp(special.logsumexp(-squares / 2, axis=1) - norm)

    def coverage(self, points):
        """Return the `Coverage` of generated points (n, d), as PacGAN reports it (Lin et al. 2018, section 4.1).

        A point is of high quality within 3 standard deviations of its nearest centre, and such a point finds the mode.
        The reverse divergence is KL(generated ‖ equal shares) of the high-quality points' shares of the modes, as in
        the authors' code: 0 where all modes are equally frequent, ln(modes) where there is only one, and NaN where no
        point is near any. The paper takes 2,500 points. A perfect generator in the plane has a share of
        1 - exp(-9/2), 98.9%, and for n points a divergence of about (modes - 1) / (2 n).
        """
        found = metrics.mixture_modes(self._points(points), self.centres, self.deviation)
        if not found.modes:
            return Coverage(0, 0.0, float("nan"))
        shares = found.counts / found.counts.sum()
        return Coverage(found.modes, found.high_quality, float(special.rel_entr(shares, 1 / len(shares)).sum()))

    def _points(self, points):
        points = validation.as_array(points, "points")
        if points.ndim != 2 or points.shape[1] != self.centres.shape[1] or not len(points):
            raise ValueError(f"points have the shape {points.shape}; give (n, {self.centres.shape[1]}), n at least 1")
        validation.check_numbers(points, "points")
        return points.astype("float64")


def ring(modes=8, radius=1.0, deviation=0.01):
    """Return a `Mixture` on a circle around 0, the first centre at (radius, 0); by default PacGAN's 2D-ring.

    Args:
        modes: number of centres, at least 1, at equal distances.
        radius: of the circle, above 0; the unit of the plane.
        deviation: standard deviation of each mode, above 0, in the same unit.
    """
    angles = 2 * np.pi * np.arange(validation.whole_number(modes, "modes", 1)) / modes
    radius = validation.number(radius, "radius", 0)
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), deviation)


def grid(side=5, spacing=2.0, deviation=0.05):
    """Return a `Mixture` on a square grid around 0; by default PacGAN's 2D-grid of 25, from -4 to 4.

    Args:
        side: centres in a row and in a column, at least 1.
        spacing: distance of neighbours, above 0.
        deviation: standard deviation of each mode, above 0, in the same unit.
    """
    places = validation.number(spacing, "spacing", 0) * (
        np.arange(validation.whole_number(side, "side", 1)) - (side - 1) / 2
    )
    return Mixture(np.array(list(itertools.product(places, places))), deviation)
