"""Record reference runs of the lessons with `reference_runs = true` in lessons.toml, in data/reference_runs.

    python tools/record_reference_runs.py                 all, each with the seeds 1 to 5
    python tools/record_reference_runs.py 02_dcgan        one of them

Each run uses the lesson's recipe from `recipes.py`, and its profile's images, epochs and batch size.
FID (digits) and coverage are measured after the last step, and after a half, a quarter, … of all steps, down
to 1/128, so eight times. Seconds count training since the end of the first step, without building the graph
and measuring.

After an interruption, the same command resumes from the last finished epoch. Finished runs are kept in
build/reference_runs, each with its complete description, so that runs of an old recipe are not reused. The results of
profiles other than `laptop` stay in that folder.
"""

import argparse
import json
import os
import time
from pathlib import Path

import keras
import numpy as np
import recipes

from ganutils import callbacks, checkpoints, data, evaluation, features, fingerprint, lessons

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "reference_runs"
FOLDER = ROOT / "data" / "reference_runs"
LESSONS = [name for name, lesson in lessons.LESSONS.items() if lesson["reference_runs"]]
SIZES = ("images", "epochs", "batch_size")
MOMENTS = 8
BEGINNING = 5
DIGITS = 4
LONGEST_LINE = 240


def moments(steps, n=MOMENTS):
    """Return the steps after which a run is measured: the last one, half of it, a quarter of it, …"""
    return sorted({max(1, round(steps / 2**i)) for i in range(n)})


class Measurements(keras.callbacks.Callback):
    """Measure a GAN after some steps, and record the time of training without the time of measuring.

    Args:
        steps: numbers of the steps, counted from the start of training.
        measure: function from the model to a tuple of numbers.

    Attributes:
        seconds: list with the seconds of training at the end of each step, since the end of the first one.
        measured: dict from a step to what `measure` returned.
    """

    def __init__(self, steps, measure):
        super().__init__()
        self.chosen_steps = set(steps)
        self.measure = measure
        self.seconds = []
        self.measured = {}

    def on_train_begin(self, logs=None):
        self._start = None

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if self._start is None:
            # The first step of a resumed run builds the graph again, and takes no time in this count.
            self._start = now - (self.seconds[-1] if self.seconds else 0.0)
        self.seconds.append(now - self._start)
        if len(self.seconds) in self.chosen_steps:
            self.measured[len(self.seconds)] = tuple(self.measure(self.model))
            self._start += time.perf_counter() - now

    def get_state(self):
        rows = [(step, *values) for step, values in self.measured.items()]
        return {"seconds": np.asarray(self.seconds), "measured": np.asarray(rows)}

    def set_state(self, state):
        self.seconds = state["seconds"].tolist()
        self.measured = {int(step): tuple(values) for step, *values in state["measured"].tolist()}


def describe_run(lesson, profile):
    """Return a complete description of a lesson's run, except its seed."""
    recipe = fingerprint.describe(recipes.RECIPES[lesson]())
    recipe["settings"].pop("seed", None)
    return {
        "lesson": lesson,
        "profile": {"name": profile.name, **{name: getattr(profile, name) for name in SIZES}},
        "samples": evaluation.SAMPLES,
        "recipe": recipe,
        # Every distance depends on it.
        "classifier": checkpoints.read_card("digit_classifier")["sha256"][:12],
        "machine": lessons.machine(),
    }


def new_run(lesson, profile, seed):
    """Return the untrained GAN of a run, and its data."""
    gan = recipes.RECIPES[lesson](seed)
    images, labels = data.load_dataset()
    labels = labels if len(gan.generator.inputs) == 2 else None
    return gan, data.pipeline(images, labels, batch_size=profile.batch_size, n=profile.images, seed=seed)


def beginning(lesson, profile):
    """Return the means of a run's curves over its first `BEGINNING` steps, with seed 1.

    Later values depend on the machine's order of summation: a GAN doubles such rounding differences every few steps.
    """
    gan, batches = new_run(lesson, profile, 1)
    return {name: values[0] for name, values in gan.fit(batches, steps_per_epoch=BEGINNING, verbose=0).history.items()}


def train(lesson, profile, seed, classifier, path):
    """Train one run, with a backup next to `path`, and return it as a dict of lists.

    Raises:
        SystemExit: the losses are not finite.
    """
    gan, batches = new_run(lesson, profile, seed)
    curves = callbacks.Curves()
    measurements = Measurements(moments(profile.steps), lambda gan: evaluation.measure(gan, classifier))
    gan.fit(
        batches,
        epochs=profile.epochs,
        verbose=0,
        callbacks=[measurements, callbacks.Progress(), curves],
        backup=callbacks.Backup(path.with_name(f"{path.stem}-backup")),
    )
    history, measured = curves.history, measurements.measured
    names = [mean.name for mean in gan.metrics]
    if not all(np.isfinite(history[name]).all() for name in names):
        raise SystemExit(f"{lesson}, seed {seed}: the losses are not finite, so this is not a reference run")
    distances, coverages = zip(*measured.values(), strict=True)
    return {
        "seed": seed,
        "step": history["step"],
        "seconds": [measurements.seconds[step - 1] for step in history["step"]],
        **{name: history[name] for name in names},
        "curves": names,
        "measured_step": list(measured),
        "measured_seconds": [measurements.seconds[step - 1] for step in measured],
        "frechet_distance": distances,
        "coverage": coverages,
    }


def finished_run(lesson, profile, seed, description, classifier):
    """Return a finished run from build/reference_runs, or train it now and store it there."""
    path = BUILD / f"{lesson}-{profile.name}-seed{seed}.json"
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["description"] == json.loads(json.dumps(description)):
            print(f"{lesson}, seed {seed}: already finished ({path.name})", flush=True)
            return found["run"]
    print(f"{lesson}, seed {seed}:", flush=True)
    BUILD.mkdir(parents=True, exist_ok=True)
    run = train(lesson, profile, seed, classifier, path)
    _write(path, json.dumps({"description": description, "run": run}))
    path.with_name(f"{path.stem}-backup.npz").unlink(missing_ok=True)
    return run


def _write(path, text):
    """Write a file atomically."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def rounded(value):
    """Return a value with the numbers in its lists and dicts rounded to `DIGITS` significant digits."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(part) for part in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def as_text(value, indent=""):
    """Return compact JSON that still gives readable diffs, with a line for each list and each small dict."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, dict) and len(line) > LONGEST_LINE:
        lines = [f"{indent} {json.dumps(name)}: {as_text(part, indent + ' ')}" for name, part in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"{indent} {as_text(part, indent + ' ')}" for part in value) + f"\n{indent}]"
    return line


def record(lesson, profile, seeds):
    """Train the missing runs of a lesson, write all of its runs to one file, and return its path."""
    keras.mixed_precision.set_dtype_policy(profile.precision)
    description = describe_run(lesson, profile)
    classifier = features.digit_classifier()
    runs = [finished_run(lesson, profile, seed, description, classifier) for seed in range(1, seeds + 1)]
    folder = FOLDER if profile.name == "laptop" else BUILD
    path = folder / (f"{lesson}.json" if profile.name == "laptop" else f"{lesson}-{profile.name}.json")
    shared = {name: runs[0][name] for name in ("curves", "step", "measured_step")}  # the same in all runs
    found = {
        "command": f"python tools/record_reference_runs.py {lesson} --seeds {seeds} --profile {profile.name}",
        **description,
        "beginning": rounded(beginning(lesson, profile)),
        "floor": rounded(evaluation.floor(classifier)._asdict()),
        **shared,
        "runs": [rounded({name: values for name, values in run.items() if name not in shared}) for run in runs],
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write(path, as_text(found) + "\n")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help=f"some of {', '.join(LESSONS)}; all by default")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="train with the seeds 1 to N")
    parser.add_argument("--profile", choices=lessons.PROFILES, default="laptop")
    arguments = parser.parse_args()
    if unknown := set(arguments.lessons) - set(LESSONS):
        parser.error(f"unknown {', '.join(sorted(unknown))}; choose from {', '.join(LESSONS)}")
    if arguments.seeds < 1:
        parser.error(f"--seeds {arguments.seeds} is not allowed; give 1 or more")
    for lesson in arguments.lessons or LESSONS:
        path = record(lesson, lessons.Profile(lesson, arguments.profile), arguments.seeds)
        print(f"{path} ({path.stat().st_size / 1000:.0f} kB)", flush=True)


if __name__ == "__main__":
    main()
