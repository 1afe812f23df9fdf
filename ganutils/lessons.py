"""A lesson's sizes, from lessons.toml, and its cost: estimated at the start, measured at the end.

The estimate is a recorded run (`make record`), scaled by the training speed that lesson 00 measures.
"""

import json
import os
import time
import tomllib

import tensorflow as tf

from ganutils import evaluation, folders, plotting, references
from ganutils.hardware import machine, measure_steps_per_second, peak_memory_mb

RECORD = folders.DATA / "reference_runs" / "costs.json"
_SPEED = folders.BUILD / "speed.json"
MIME_TYPE = "application/vnd.ganutils.lesson+json"
if not (folders.ROOT / "lessons.toml").is_file():
    raise FileNotFoundError(f"{folders.ROOT / 'lessons.toml'} is missing. {folders.ADVICE}")
LESSONS = tomllib.loads((folders.ROOT / "lessons.toml").read_text(encoding="utf-8"))
PROFILES = ("smoke", "laptop", "gpu")


class Profile:
    """The sizes of a run of a lesson, as attributes: those in lessons.toml, `steps_per_epoch` and `steps`.

    Args:
        lesson: name of a notebook without its suffix, such as "02_dcgan".
        name: "smoke" (seconds, for tests), "laptop" (two CPU cores) or "gpu" (the full run).
        **changes: sizes to replace, such as `epochs=20`.

    Raises:
        ValueError: an unknown lesson, profile or size, or a number that is not positive.
    """

    def __init__(self, lesson, name, **changes):
        for what, given, allowed in (("lesson", lesson, LESSONS), ("profile", name, PROFILES)):
            if given not in allowed:
                raise ValueError(f"unknown {what} {given!r}; choose one of {', '.join(allowed)}")
        sizes = {**LESSONS[lesson][name], **changes}
        if taken := sizes.keys() & {"lesson", "name", "steps", "steps_per_epoch"}:
            raise ValueError(f"{', '.join(sorted(taken))}: a profile has an attribute of that name; choose another")
        if unknown := sizes.keys() - LESSONS[lesson][name]:
            raise ValueError(f"unknown {', '.join(sorted(unknown))}; {lesson} has {', '.join(LESSONS[lesson][name])}")
        for key, value in sizes.items():
            whole = "whole " if key in ("images", "epochs", "batch_size", "samples") else ""
            number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
            if key != "precision" and not (number and value > 0):
                raise ValueError(f"{key}={value!r} is not allowed; give a positive {whole}number")
        self.lesson, self.name, self._sizes = lesson, name, sizes
        vars(self).update(sizes)
        if self.batch_size > self.images:
            raise ValueError(f"batch_size={self.batch_size} is not allowed; there are {self.images} images")
        self.steps_per_epoch = self.images // self.batch_size  # an incomplete last batch is dropped
        self.steps = self.epochs * self.steps_per_epoch

    def __getattr__(self, key):  # called only for missing attributes
        sizes = ", ".join(self.__dict__.get("_sizes", ()))
        raise AttributeError(f"no {key!r}: for this lesson and profile lessons.toml has {sizes}")


class Lesson:
    """One lesson, from its first cell to its last; creating it prints the expected cost.

    With a GPU it also makes TensorFlow deterministic, and prints so.

    Args:
        name: name of the notebook without its suffix.
        profile: "smoke", "laptop" or "gpu"; the environment variable GANUTILS_PROFILE, if set, overrides it.

    Attributes:
        profile: the lesson's `Profile`.
        folder: folder for the lesson's backup, weights and picture; not in git.
    """

    def __init__(self, name, profile):
        self._start = time.perf_counter()
        chosen = os.environ.get("GANUTILS_PROFILE") or profile
        if chosen not in PROFILES:
            where = "the environment variable GANUTILS_PROFILE" if chosen != profile else "the parameters cell"
            raise ValueError(f"unknown profile {chosen!r} in {where}; choose one of {', '.join(PROFILES)}")
        self.name, self.profile = name, Profile(name, chosen)
        self.folder = folders.BUILD / "lessons" / f"{name}-{chosen}"
        self.folder.mkdir(parents=True, exist_ok=True)
        text = "No run of it has been recorded, so there is no estimate."
        if expected := estimate(self.profile, rate := stored_speed()):
            seconds, memory, recorded_rate = expected
            idle = f"an idle machine that takes {recorded_rate:.0f} of lesson 00's training steps per second."
            where = "this machine, if it is as idle as when lesson 00 measured it." if rate else idle
            text = f"Expect about {format_duration(seconds)} and {memory / 1000:.1f} GB of memory on {where}"
        sizes = f": {self.profile.images:,} images, epochs: {self.profile.epochs}" if "recipe" in LESSONS[name] else ""
        print(f"Profile {chosen}{sizes}. {text}")
        if chosen == "smoke":
            print("A smoke run trains next to nothing: its numbers and pictures are not those that the text describes.")
        print(f"Working through it, with its questions, takes about {LESSONS[name]['minutes']} minutes.")
        if tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
            print("The GPU computes deterministically: the same seed gives the same numbers, a little more slowly.")
        elif chosen == "gpu":
            print("TensorFlow sees no GPU here. Set TF_CPP_MIN_LOG_LEVEL=0 in the environment to see why.")

    def measure_machine(self, seconds):
        """Return `measure_steps_per_second(seconds)`, and store it for other lessons (not in `smoke`: too short)."""
        rate = measure_steps_per_second(seconds)
        if self.profile.name != "smoke":
            _SPEED.parent.mkdir(parents=True, exist_ok=True)
            _SPEED.write_text(json.dumps({"machine": machine(), "steps_per_second": rate}), encoding="utf-8")
        return rate

    def is_this_normal(self, history, gan, distances=None):
        """Show `callbacks.Curves.history` and the trained GAN's FID (digits) over reference runs, with a verdict.

        `distances` is a pair of training steps and the FID (digits) that `evaluation.measure` found there, the last
        after training; None measures it now.
        """
        distances = distances or (history["step"][-1:], [evaluation.measure(gan).frechet_distance])
        figure, verdict = references.figure(history, self.name, distances, self.profile.batch_size)
        caption = f"Your run over reference runs with other seeds. {verdict.sentence}"
        plotting.show(figure, caption, alt="Curves of the run over bands of the reference runs")

    def save_picture(self, figure):
        """Save a figure as `picture.png` in the lesson's folder, for the lesson's title and the README."""
        figure.savefig(self.folder / "picture.png", dpi=80, pad_inches=0.02)

    def close(self, **metrics):
        """Print the lesson's time and memory, store its results for `check_claims`, and remove its `backup`.

        Args:
            **metrics: the results, numbers by name.
        """
        from IPython.display import display

        seconds, memory = time.perf_counter() - self._start, peak_memory_mb()
        found = {name: float(value) for name, value in metrics.items()}
        # The next run trains from scratch; and another kernel may have closed the same lesson.
        (self.folder / "backup.npz").unlink(missing_ok=True)
        text = f"This lesson took {format_duration(seconds)} and at most {memory / 1000:.2f} GB of memory."
        display({"text/plain": text, MIME_TYPE: {"peak_mb": round(memory, 1), "metrics": found}}, raw=True)


def estimate(profile, steps_per_second=None):
    """Return the expected seconds and peak megabytes of a `Profile`, and the recorded steps per second; or None.

    None means that no run is recorded. A profile without its own record is scaled from `laptop` by the number of
    training images.

    Args:
        profile: a `Profile`.
        steps_per_second: this machine's speed, from `measure_steps_per_second`; None takes the recorded one.
    """
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))["lessons"] if RECORD.is_file() else {}
    for measured in (profile, Profile(profile.lesson, "laptop")):
        if row := recorded.get(f"{profile.lesson} {measured.name}"):
            rate, fixed = row["steps_per_second"], getattr(profile, "fixed_seconds", 0)
            work = profile.images * profile.epochs / (measured.images * measured.epochs)
            computing = max(0.0, row["seconds"] - getattr(measured, "fixed_seconds", 0))
            return fixed + computing * work * rate / (steps_per_second or rate), row["peak_mb"], rate
    return None


def stored_speed():
    """Return the speed that lesson 00 stored on this machine with these versions, or None."""
    try:
        found = json.loads(_SPEED.read_text(encoding="utf-8"))
        return found["steps_per_second"] if found["machine"] == machine() else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # missing, or a different kind of file
        return None


def format_duration(seconds):
    """Return a duration in a readable unit: "40 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
