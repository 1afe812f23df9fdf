"""The few numbers that differ between a quick test, a laptop and a GPU."""

import dataclasses
import os

NAMES = ("smoke", "laptop", "gpu")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class Profile:
    """How large a run is.

    Attributes:
        name: "smoke" (seconds, for tests), "laptop" (the default, two CPU cores) or "gpu" (the full run).
        images: number of training images, at least 1.
        epochs: passes over these images, at least 1.
        batch_size: images in one training step, at least 1.
        precision: name of a Keras dtype policy, one of `PRECISIONS`.
        samples: generated images that a lesson's measurements look at, at least 1.
        demo_steps: training steps of a lesson's short side experiments, at least 1.
        demo_seconds: seconds of training that a comparison on the clock gives each side, above 0.
        clocked_seconds: seconds of the lesson that end by the clock, on any machine, at least 0.
        head_start: discriminator steps before the generator's first, where a lesson shows that, at least 1.

    Raises:
        ValueError: a number that is not positive, or an unknown name or precision.
    """

    name: str
    images: int
    epochs: int
    batch_size: int
    precision: str = "float32"
    samples: int = 1000
    demo_steps: int = 300
    head_start: int = 200
    demo_seconds: float = 20.0
    clocked_seconds: float = 0.0

    def __post_init__(self):
        if self.name not in NAMES:
            raise ValueError(f"unknown profile {self.name!r}; choose one of {', '.join(NAMES)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"unknown precision {self.precision!r}; choose one of {', '.join(PRECISIONS)}")
        for field in ("images", "epochs", "batch_size", "samples", "demo_steps", "head_start"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{field}={value!r} is not allowed; give a whole number of at least 1")
        if self.batch_size > self.images:
            raise ValueError(f"batch_size={self.batch_size} is not allowed; choose at most {self.images}, the images")
        if not self.demo_seconds > 0:
            raise ValueError(f"demo_seconds={self.demo_seconds!r} is not allowed; give a number above 0")
        if not self.clocked_seconds >= 0:
            raise ValueError(f"clocked_seconds={self.clocked_seconds!r} is not allowed; give a number of at least 0")

    @property
    def steps_per_epoch(self):
        """Training steps in one epoch; an incomplete last batch is dropped."""
        return max(1, self.images // self.batch_size)

    @property
    def steps(self):
        """Training steps of the whole run."""
        return self.epochs * self.steps_per_epoch


_SMOKE = {
    "images": 256,
    "epochs": 2,
    "batch_size": 64,
    "samples": 100,
    "demo_steps": 3,
    "head_start": 3,
    "demo_seconds": 0.2,
}
_GPU = {"images": 60_000, "precision": "mixed_float16", "samples": 10_000}

LESSONS = {
    "00_start_here": {
        "smoke": {**_SMOKE, "demo_seconds": 1.0},
        "laptop": {"images": 10_000, "epochs": 1, "batch_size": 64, "demo_seconds": 6.0, "clocked_seconds": 6.0},
        "gpu": {**_GPU, "epochs": 1, "batch_size": 64, "demo_seconds": 10.0, "clocked_seconds": 10.0},
    },
    "01_vanilla_gan": {
        "smoke": _SMOKE,
        "laptop": {"images": 60_000, "epochs": 4, "batch_size": 64},
        "gpu": {"images": 60_000, "epochs": 60, "batch_size": 64, "samples": 10_000},
    },
    "02_dcgan": {
        "smoke": _SMOKE,
        "laptop": {
            "images": 60_000,
            "epochs": 2,
            "batch_size": 64,
            "demo_steps": 200,
            "demo_seconds": 10.0,
            "clocked_seconds": 20.0,
        },
        "gpu": {**_GPU, "epochs": 60, "batch_size": 64, "demo_steps": 600, "clocked_seconds": 40.0},
    },
    "03_conditional_gan": {
        "smoke": _SMOKE,
        "laptop": {"images": 60_000, "epochs": 1, "batch_size": 64, "demo_steps": 300},
        "gpu": {"images": 60_000, "epochs": 20, "batch_size": 64, "samples": 10_000, "demo_steps": 1000},
    },
    # No GAN is trained; `samples` is the size of each of five sets, and the test set's 10,000 images its limit.
    "04_evaluation": {
        "smoke": {**_SMOKE, "samples": 160},
        "laptop": {"images": 10_000, "epochs": 1, "batch_size": 64, "samples": 2000, "demo_steps": 150},
        "gpu": {"images": 10_000, "epochs": 1, "batch_size": 64, "samples": 2000, "demo_steps": 1000},
    },
}


def load(name, lesson, **changes):
    """Return the numbers of one lesson in one profile.

    Args:
        name: "smoke", "laptop" or "gpu". The environment variable GANUTILS_PROFILE, where it is set,
            overrides it.
        lesson: name of a notebook without its ending, such as "02_dcgan".
        **changes: fields of `Profile` to replace, such as `epochs=20`.

    Returns:
        A `Profile`.

    Raises:
        ValueError: an unknown profile, lesson or field, or a number that is not positive.
    """
    name = os.environ.get("GANUTILS_PROFILE") or name
    if name not in NAMES:
        raise ValueError(
            f"unknown profile {name!r}; choose one of {', '.join(NAMES)} "
            "(in the notebook's parameters cell or in the environment variable GANUTILS_PROFILE)"
        )
    if lesson not in LESSONS:
        raise ValueError(f"unknown lesson {lesson!r}; choose one of {', '.join(LESSONS)}")
    allowed = {field.name for field in dataclasses.fields(Profile)} - {"name"}
    if unknown := set(changes) - allowed:
        raise ValueError(f"unknown {', '.join(sorted(unknown))}; a profile has {', '.join(sorted(allowed))}")
    return Profile(name=name, **{**LESSONS[lesson][name], **changes})
