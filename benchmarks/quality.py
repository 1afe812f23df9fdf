"""How good the images are after some seconds of training: this course's recipes and the published ones of its peers.

    python benchmarks/quality.py --recipe dcgan --seconds 300 --seed 0 --samples samples.npy
    python benchmarks/quality.py --all --seeds 2 --torch-python torch-env/bin/python

The first form trains one recipe for so many seconds, and writes 10,000 of its samples as uint8 (10000, 28, 28, 1),
for anybody to judge with features of their own. The second trains all recipes with several seeds, each run in a
process of its own, and writes results/quality.json and quality.png beside this file after each run. It can be
interrupted: a finished run is kept in build/quality and not repeated.

At 15, 30, 60, 120 and 300 seconds the Fréchet distance is measured in the features of the digit classifier,
"FID (digits)": 10,000 samples against the 10,000 test images. The clock runs while steps are taken, from the end
of the first one on: building graphs and measuring do not count.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
from pathlib import Path

import common

MARKS = (15, 30, 60, 120, 300)
SAMPLES = 10_000
RESULTS = common.FOLDER / "results"
RUNS = common.FOLDER.parent / "build" / "quality"
OURS = ("dcgan", "conditional", "vanilla")
PEERS = ("tensorflow_tutorial", "keras_gan_dcgan_repaired", "keras_example", "keras_gan_vanilla_repaired")


def course_recipes():
    """Return {name: function of a seed to a compiled GAN} of this course's recipes, and of two that lack a part."""
    import keras

    from ganutils import models, recipes, training

    def without_hidden_layers(seed):
        return recipes.dcgan(
            seed,
            build_generator=lambda: models.dcgan_generator(32, (64, 32), 4, (2, 2)),
            build_discriminator=lambda: models.dcgan_discriminator((32, 64), 4, 0.0),
        )

    def without_penalty(seed):
        keras.utils.set_random_seed(seed)
        networks = models.fast_dcgan_generator(), models.fast_dcgan_discriminator()
        gan = training.GAN(*networks, average=0.99, seed=seed)
        # The rates and the momentum that suited training without a penalty best.
        gan.compile(keras.optimizers.Adam(2e-3, beta_1=0.5), keras.optimizers.Adam(1e-3, beta_1=0.5))
        return gan

    return {
        "vanilla": recipes.vanilla_gan,
        "dcgan": recipes.dcgan,
        "conditional": recipes.conditional_gan,
        "dcgan_without_penalty": without_penalty,
        "dcgan_without_hidden_layers": without_hidden_layers,
    }


class CourseRecipe:
    """A recipe of this course, with the methods of `published.Recipe`."""

    def __init__(self, build_gan, images, labels):
        self.build_gan, self.images, self.labels = build_gan, images, labels

    def build(self, seed):
        """Make networks, optimizers and the stream of batches."""
        from ganutils import data, training

        self.gan = self.build_gan(seed)
        self.conditional = isinstance(self.gan, training.ConditionalGAN)
        labels = self.labels if self.conditional else None
        self.batches = data.pipeline(self.images, labels, batch_size=64, seed=seed).repeat()

    def train_step(self):
        """Take one step."""
        self.gan.fit(self.batches, steps_per_epoch=1, verbose=0)

    def train(self, seconds):
        """Train for some seconds, and return the number of steps."""
        from ganutils import callbacks

        clock = callbacks.TimeLimit(seconds)
        self.gan.fit(self.batches, steps_per_epoch=10**9, verbose=0, callbacks=[clock])
        return clock.steps

    def generate(self, n):
        """Return n images, uint8 (n, 28, 28, 1), always of the same latents, with labels 0 to 9 in turn."""
        import numpy as np

        from ganutils import data

        latents = np.random.default_rng(n).standard_normal((n, self.gan.latent_dim)).astype("float32")
        inputs = [latents, np.arange(n) % 10] if self.conditional else latents
        return data.unscale(self.gan.predict(inputs, batch_size=500, verbose=0))

    def close(self):
        """Nothing to end."""


def make(name, torch_python=None):
    """Return a recipe by its name, not built yet.

    Raises:
        ValueError: an unknown name.
    """
    import published

    from ganutils import data

    images, labels = data.load_dataset()
    ours = course_recipes()
    if name in ours:
        return CourseRecipe(ours[name], images, labels)
    if name not in published.names(torch_python):
        raise ValueError(f"unknown recipe {name!r}; choose one of {', '.join([*ours, *published.names(torch_python)])}")
    return published.make(name, images, torch_python)


def run(name, seconds, seed, marks, torch_python=None, samples=None):
    """Train one recipe, measure it at the marks and at the end, and return what was found.

    Args:
        name: of the recipe.
        seconds: of training, above 0.
        seed: of weights, latents and the order of the data.
        marks: seconds at which to measure; those beyond the end are left out.
        torch_python: interpreter for a recipe in PyTorch, or None.
        samples: path for the samples at the end, or None.

    Returns:
        dict with lists of the same length: seconds, steps, frechet_distance.
    """
    import numpy as np

    from ganutils import data, features, metrics

    classifier = features.digit_classifier()
    real = classifier(data.load_dataset(split="test").images).features
    recipe = make(name, torch_python)
    found = {"recipe": name, "seed": seed, "seconds": [], "steps": [], "frechet_distance": []}
    steps = done = 0
    try:
        recipe.build(seed)
        recipe.train_step()
        for mark in sorted({*(mark for mark in marks if mark < seconds), seconds}):
            steps += recipe.train(mark - done)
            done = mark
            images = recipe.generate(SAMPLES)
            distance = metrics.frechet_distance(real, classifier(images).features)
            for key, value in (("seconds", mark), ("steps", steps), ("frechet_distance", round(distance, 2))):
                found[key].append(value)
            print(f"{name}, seed {seed}: {mark:g} s, {steps:,} steps, FID (digits) {distance:.1f}", flush=True)
        if samples:
            np.save(samples, images)
    finally:
        recipe.close()
    return found


def run_all(names, seeds, seconds, torch_python):
    """Take all runs that are not there yet, one after another, and write down what there is after each.

    Args:
        names: of the recipes.
        seeds: number of seeds, from 0 on.
        seconds: of training of each run.
        torch_python: as in `run`.
    """
    RUNS.mkdir(parents=True, exist_ok=True)
    state, found = digest(), []
    # All recipes with the first seed, then with the next: a slow hour of the machine hits them alike.
    for seed in range(seeds):
        for name in names:
            path = RUNS / f"{name}_{seed}_{seconds:g}_{state}.json"
            if not path.is_file():
                command = [sys.executable, Path(__file__), "--recipe", name, "--seed", seed, "--seconds", seconds]
                command += ["--json", path] + (["--torch-python", torch_python] if torch_python else [])
                subprocess.run([str(part) for part in command], check=True)
            found.append(json.loads(path.read_text(encoding="utf-8")))
            write(found)


def digest():
    """Return a word for what a finished run depends on: the recipes' and the package's code, versions, processor.

    A run of other code or of another machine is then trained anew, and not taken for one of these.
    """
    from ganutils import costs

    sources = [*common.FOLDER.glob("*.py"), *(common.FOLDER.parent / "ganutils").rglob("*.py")]
    found = hashlib.sha256(json.dumps([costs.machine(), common.cpu_model()], sort_keys=True).encode())
    for path in sorted(sources):
        if path.name != "report.py":
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def write(runs):
    """Print a table of the runs so far, and write them and a picture into `RESULTS`."""
    summary = summarise(runs)
    rows = [[name, mark, *summary[name][mark]] for name in summary for mark in sorted(summary[name])]
    print(common.table(rows, ["recipe", "seconds", "median FID", "least", "largest", "steps"]), flush=True)
    RESULTS.mkdir(exist_ok=True)
    common.write_json(RESULTS / "quality.json", {"command": "python benchmarks/quality.py --all", "runs": runs})
    draw(summary, RESULTS / "quality.png")


def summarise(runs):
    """Return {recipe: {seconds: (median, least, largest Fréchet distance, median of steps)}}."""
    found = {}
    for entry in runs:
        for mark, steps, distance in zip(entry["seconds"], entry["steps"], entry["frechet_distance"], strict=True):
            found.setdefault(entry["recipe"], {}).setdefault(mark, []).append((distance, steps))
    return {
        name: {
            mark: (
                statistics.median(distance for distance, _ in values),
                min(distance for distance, _ in values),
                max(distance for distance, _ in values),
                statistics.median(steps for _, steps in values),
            )
            for mark, values in marks.items()
        }
        for name, marks in found.items()
    }


def draw(summary, path):
    """Draw the Fréchet distance over seconds, with the range over seeds, into a PNG file."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, marks in summary.items():
        seconds = sorted(marks)
        (line,) = axes.plot(seconds, [marks[s][0] for s in seconds], "-" if name in OURS else "--", marker="o")
        line.set_label(name.replace("_", " "))
        axes.fill_between(
            seconds, [marks[s][1] for s in seconds], [marks[s][2] for s in seconds], alpha=0.2, color=line.get_color()
        )
    axes.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="FID (digits), 10,000 samples")
    axes.set_xticks(MARKS, [str(mark) for mark in MARKS])
    axes.legend(fontsize="small", ncols=2)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", help="train this one")
    parser.add_argument("--all", action="store_true", help="train all that the comparison needs")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=2, help="number of seeds, with --all")
    parser.add_argument("--samples", help="where to write the samples, as .npy")
    parser.add_argument("--json", help="where to write the results of one run")
    parser.add_argument("--torch-python", help="interpreter that has PyTorch")
    arguments = parser.parse_args()
    if bool(arguments.recipe) == arguments.all or not arguments.seconds > 0:
        parser.error("give either --recipe NAME or --all, and seconds above 0")
    if arguments.recipe:
        try:
            found = run(
                arguments.recipe, arguments.seconds, arguments.seed, MARKS, arguments.torch_python, arguments.samples
            )
        except ValueError as error:
            parser.error(str(error))
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(found) + "\n", encoding="utf-8")
        return
    torch_python = common.torch_python(arguments.torch_python)
    names = [*OURS, *(["pytorch_gan_dcgan"] if torch_python else []), *PEERS]
    run_all(names, arguments.seeds, arguments.seconds, torch_python)


if __name__ == "__main__":
    main()
