"""The recorded runs, and what is measured in them."""

import json
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganutils import data, features, metrics

_ROOT = Path(__file__).resolve().parents[2]
FOLDER = _ROOT / "data" / "reference_runs"
_ENTRIES = tomllib.loads((_ROOT / "lessons.toml").read_text(encoding="utf-8"))
LESSONS = tuple(name for name, lesson in _ENTRIES.items() if lesson["reference_runs"])
CURVES = ("discriminator_loss", "generator_loss", "real_accuracy", "fake_accuracy")
MEASURES = ("frechet_distance", "coverage")
SAMPLES = 2000
_IMAGES_AT_ONCE = 500


class Band(NamedTuple):
    """Tenth, fiftieth and ninetieth percentile of several runs, each (steps,)."""

    low: np.ndarray
    median: np.ndarray
    high: np.ndarray


class Quality(NamedTuple):
    """FID (digits), at least 0, and coverage in [0, 1]; both NaN where a generator's images are not finite."""

    frechet_distance: float
    coverage: float


def load(lesson):
    """Return the recorded runs of a lesson.

    Args:
        lesson: one of `LESSONS`.

    Returns:
        A dict: "command", "recipe" (`recipes.describe`), "profile" (name, images, epochs, batch_size), "every"
        (steps in a window of the curves), "classifier" (start of its weights' sha256), "machine" (versions and
        machine), "samples" (that FID and coverage look at), "floor" (both of real images), and "runs": a list of
        dicts of lists. A run's "step", "seconds" and `CURVES` belong together, and so do its "measured_step",
        "measured_seconds" and `MEASURES`.
        Seconds are those of training since the end of the first step.

    Raises:
        ValueError: an unknown lesson.
        FileNotFoundError: no runs of it are recorded.
    """
    if lesson not in LESSONS:
        raise ValueError(f"unknown lesson {lesson!r}; choose one of {', '.join(LESSONS)}")
    path = FOLDER / f"{lesson}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; run `python tools/record_reference_runs.py {lesson}`")
    reference = json.loads(path.read_text(encoding="utf-8"))
    shared = {name: reference.pop(name) for name in ("step", "measured_step")}
    return {**reference, "runs": [{**shared, **run} for run in reference["runs"]]}


def band(runs, name, steps):
    """Return percentiles of one quantity over several runs, interpolated between their steps.

    Args:
        runs: list of dicts, as `load` returns.
        name: one of `CURVES` or `MEASURES`, or "seconds".
        steps: (n,), at which to look.

    Returns:
        A `Band`; NaN outside of the recorded steps.

    Raises:
        ValueError: an unknown name.
    """
    if name not in (*CURVES, *MEASURES, "seconds"):
        raise ValueError(f"unknown quantity {name!r}; choose one of {', '.join((*CURVES, *MEASURES, 'seconds'))}")
    at = "measured_step" if name in MEASURES else "step"
    values = [np.interp(steps, run[at], run[name], left=np.nan, right=np.nan) for run in runs]
    return Band(*np.percentile(values, [10, 50, 90], axis=0))


def measure(gan, classifier=None, samples=SAMPLES):
    """Return FID (digits) and coverage of a GAN, as they were measured in the reference runs.

    The images are compared with test images chosen at random, always the same. Latents are always the same
    too, so that two moments of a run differ by its training alone. A conditional GAN is asked for the digits of
    those test images.

    Args:
        gan: a `training.GAN` of digits (n, 28, 28, 1); called on latents, it uses the averaged generator where
            there is one.
        classifier: what `features.digit_classifier` returns; None loads it.
        samples: number of generated and of real images, at most 5,000. Both figures depend on it.

    Returns:
        A `Quality`.
    """
    classifier = classifier or features.digit_classifier()
    images, labels, _ = _real_images(samples)
    latents = np.random.default_rng(1).standard_normal((samples, gan.latent_dim)).astype("float32")
    parts = [slice(i, i + _IMAGES_AT_ONCE) for i in range(0, samples, _IMAGES_AT_ONCE)]
    conditional = len(gan.generator.inputs) == 2
    drawn = [gan([latents[part], labels[part]] if conditional else latents[part]) for part in parts]
    drawn = np.concatenate([np.asarray(part) for part in drawn])
    if not np.isfinite(drawn).all():
        return Quality(np.nan, np.nan)
    return _quality(classifier(images).features, classifier(drawn).features)


def floor(classifier=None, samples=SAMPLES):
    """Return the `Quality` of real images in the place of generated ones; arguments as in `measure`.

    These are test images too, other ones.
    """
    classifier = classifier or features.digit_classifier()
    images, _, others = _real_images(samples)
    return _quality(classifier(images).features, classifier(others).features)


def _real_images(samples):
    """Return test images, their labels, and as many others; the order in the data set is not random."""
    images, labels = data.load_dataset(split="test")
    if not 2 <= samples <= len(images) // 2:
        raise ValueError(f"samples={samples} is not allowed; choose from 2 to {len(images) // 2:,}")
    order = np.random.default_rng(0).permutation(len(images))
    chosen, others = order[:samples], order[samples : 2 * samples]
    return images[chosen], labels[chosen], images[others]


def _quality(real, fake):
    return Quality(metrics.frechet_distance(real, fake), metrics.density_coverage(real, fake).coverage)
