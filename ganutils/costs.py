"""What a lesson costs in time and memory: an estimate for this machine before it, the measurement after it.

The estimate scales a recorded run by the speed of one fixed training step, measured there and here:
`tools/run_notebooks.py --record` writes `data/reference_runs/costs.json`. The speed measured here is remembered for
half a day in `build/speed.json`, since measuring it takes some five seconds of a lesson's start.
"""

import json
import os
import platform
import sys
import time
from pathlib import Path

import keras
import numpy as np
import psutil
import tensorflow as tf

from ganutils import models, profiles, training

_ROOT = Path(__file__).resolve().parents[1]
RECORD = _ROOT / "data" / "reference_runs" / "costs.json"
MIME_TYPE = "application/vnd.ganutils.lesson+json"
_REMEMBERED_SECONDS = 12 * 3600


def machine():
    """Return a dict that describes this machine and the versions in use."""
    gpus = tf.config.list_physical_devices("GPU")
    return {
        "Python": platform.python_version(),
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
        "NumPy": np.__version__,
        "system": f"{platform.system()} on {platform.machine()}",
        "processor": processor_field("model name") or platform.processor() or platform.machine(),
        "CPU cores": _usable_cores(),
        "memory": f"{psutil.virtual_memory().total / 1e9:.1f} GB",
        "GPU": ", ".join(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus)
        or "none",
    }


def processor_field(name):
    """Return what Linux says of the processor, such as its "model name" or "flags"; None elsewhere."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return None


def _usable_cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def peak_memory_mb():
    """Return the most memory that this process has held so far, in megabytes (10⁶ bytes)."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e6
    if sys.platform == "linux":
        # Not getrusage: there, a process inherits the peak of the one that started it.
        _, found, peak = Path("/proc/self/status").read_text(encoding="utf-8").partition("VmHWM:")
        if found:  # some sandboxes leave the field out
            return int(peak.split()[0]) * 1024 / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure_steps_per_second(seconds=2.0, batch_size=64):
    """Return how many training steps a second of the fast DCGAN of lesson 02 this machine takes.

    Args:
        seconds: how long to measure, above 0. Building the networks and tracing take about 3 more.
        batch_size: images in a step.

    Returns:
        The third quartile over chunks of ten steps: other programs slow some chunks down, none speeds one up.
    """
    if not seconds > 0:
        raise ValueError(f"seconds={seconds} is not allowed; give a number above 0")
    gan = training.GAN(models.fast_dcgan_generator(), models.fast_dcgan_discriminator())
    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (batch_size, 28, 28, 1), "uint8"))
    step = tf.function(gan.train_step)
    float(step(images)["generator_loss"])
    rates = []
    end = time.perf_counter() + seconds
    while not rates or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(10):
            result = step(images)
        float(result["generator_loss"])  # waits until a GPU has finished
        rates.append(10 / (time.perf_counter() - start))
    return float(np.quantile(rates, 0.75))


def steps_per_second(seconds=2.0, anew=False):
    """Return the speed of this machine, as `measure_steps_per_second` does, measured or remembered.

    A figure that was measured on this machine with these versions, for at least as long and within the last
    twelve hours, is taken again.

    Args:
        seconds: how long to measure, above 0.
        anew: whether to measure in any case. The result is remembered either way.

    Raises:
        ValueError: `seconds` not above 0.
    """
    if not seconds > 0:
        raise ValueError(f"seconds={seconds} is not allowed; give a number above 0")
    path, here, now = _ROOT / "build" / "speed.json", machine(), time.time()
    found = {} if anew else _read(path)
    if found.get("machine") == here and found["seconds"] >= seconds and 0 <= now - found["time"] < _REMEMBERED_SECONDS:
        return found["steps_per_second"]
    rate = measure_steps_per_second(seconds)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")  # another kernel may be reading
    temporary.write_text(
        json.dumps({"machine": here, "time": now, "seconds": seconds, "steps_per_second": rate}), encoding="utf-8"
    )
    temporary.replace(path)
    return rate


def _read(path):
    """Return what `steps_per_second` has stored; an empty dict where there is nothing, or something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # the second: text that is torn
        return {}
    fields = {"machine", "time", "seconds", "steps_per_second"}
    return found if isinstance(found, dict) and fields <= found.keys() else {}


def estimate(lesson, profile, steps_per_second):
    """Return the expected (seconds, megabytes) of a lesson at this speed, or None where none is recorded.

    A profile without a record of its own is scaled from `laptop` by the number of training images seen.

    Args:
        lesson: name of a notebook, such as "02_dcgan".
        profile: a `profiles.Profile` of that lesson.
        steps_per_second: the speed of this machine, from the function of that name.
    """
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))["lessons"] if RECORD.is_file() else {}
    row, measured = recorded.get(f"{lesson} {profile.name}"), profile
    if row is None:
        row = recorded.get(f"{lesson} laptop")
        if row is None:
            return None
        measured = profiles.Profile(name="laptop", **profiles.LESSONS[lesson]["laptop"])
    work = profile.images * profile.epochs / (measured.images * measured.epochs)
    computing = max(0.0, row["seconds"] - measured.clocked_seconds)
    return profile.clocked_seconds + computing * work * row["steps_per_second"] / steps_per_second, row["peak_mb"]


def in_words(seconds):
    """Return a duration as people say it: "40 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Lesson:
    """The cost of one lesson, from its first cell to its last.

    Making the object prints what to expect, from the speed of this machine: see `steps_per_second`.

    Args:
        name: name of the notebook without its ending.
        profile: "smoke", "laptop" or "gpu", as in `profiles.load`.

    Attributes:
        profile: the lesson's `profiles.Profile`.
        folder: where the lesson keeps its backup, weights and picture; not in git.
    """

    def __init__(self, name, profile):
        self._start = time.perf_counter()
        if tf.config.list_physical_devices("GPU"):
            # The same seed must give the same numbers; on a GPU the fastest kernels add up in any order.
            tf.config.experimental.enable_op_determinism()
        self.name = name
        self.profile = profiles.load(profile, name)
        self.folder = _ROOT / "build" / "lessons" / f"{name}-{self.profile.name}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.steps_per_second = steps_per_second(0.2 if self.profile.name == "smoke" else 2.0)
        expected = estimate(name, self.profile, self.steps_per_second)
        text = f"Profile {self.profile.name}: {self.profile.images:,} images, epochs: {self.profile.epochs}."
        if expected:
            text += f" Expect about {in_words(expected[0])} and {expected[1] / 1000:.1f} GB of memory on this machine."
        else:
            text += " No run of this profile has been recorded yet, so there is no estimate."
        print(text)
        if self.profile.name == "gpu" and not tf.config.list_physical_devices("GPU"):
            print("TensorFlow sees no GPU here. TF_CPP_MIN_LOG_LEVEL=0 in the environment lets it say why.")

    def save_picture(self, figure):
        """Keep a figure as `picture.png` in the lesson's folder, for the lesson's title and the README."""
        figure.savefig(self.folder / "picture.png", dpi=80, bbox_inches="tight", pad_inches=0.02)

    def close(self, **metrics):
        """Print what the lesson took, and leave it with its metrics in the notebook for the run's summary.

        The lesson is over, so its backups are removed: the next run trains anew.

        Args:
            **metrics: what the lesson found, as numbers.
        """
        from IPython.display import display

        seconds, memory = time.perf_counter() - self._start, peak_memory_mb()
        found = {name: float(value) for name, value in metrics.items()}
        for backup in self.folder.glob("backup*.npz"):
            backup.unlink()
        lines = [f"This lesson took {in_words(seconds)} and at most {memory / 1000:.2f} GB of memory."]
        lines += [f"{name.replace('_', ' ')}: {value:.4g}" for name, value in found.items()]
        result = {"peak_mb": round(memory, 1), "steps_per_second": self.steps_per_second, "metrics": found}
        display({"text/plain": "\n".join(lines), MIME_TYPE: result}, raw=True)
