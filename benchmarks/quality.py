"""How good the images are after some seconds of training: this course's recipes and the published ones of its peers.

    python benchmarks/quality.py --recipe dcgan --seconds 300 --seed 0 --samples samples.npy
    python benchmarks/quality.py --all --torch-python torch-env/bin/python
    python benchmarks/quality.py --coarse-to-fine

The first form trains one recipe for so many seconds, and writes 10,000 of its samples as uint8 (10000, 28, 28, 1),
for anybody to judge with features of their own. The second trains all recipes, this course's with three seeds and its
peers' with two unless told otherwise, each run in a process of its own, and writes results/quality.json and
quality.png beside this file after each run; with other seconds or seeds, it writes them into build/quality. It can be
interrupted: a finished run is kept in build/quality and not repeated. The third does so for lessons 06 and 07, see
coarse_to_fine.py, and writes data/reference_runs/coarse_to_fine.json.

At 15, 30, 60, 120 and 300 seconds the Fréchet distance is measured in the features of the digit classifier,
"FID (digits)": 10,000 samples against the 10,000 test images. The clock runs while steps are taken, from the end
of the first one on: building graphs and measuring do not count.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import coarse_to_fine
import common
import report

sys.path.insert(0, str(common.FOLDER.parent / "tools"))  # for the lessons' recipes

MARKS = (15, 30, 60, 120, 300)
SAMPLES = 10_000
RUNS = common.FOLDER.parent / "build" / "quality"
CODE = tuple(common.FOLDER.parent / name for name in ("benchmarks", "ganutils", "tools"))
COARSE = common.FOLDER.parent / "data" / "reference_runs" / "coarse_to_fine.json"
TORCH = "pytorch_gan_dcgan"  # needs an interpreter that has PyTorch
PEERS = ("tensorflow_tutorial", "keras_gan_dcgan_repaired", "keras_example", "keras_gan_vanilla_repaired")


def course_recipes():
    """Return {name: function of a seed to a compiled GAN} of this course's recipes, and of two that lack a part."""
    import keras
    import recipes

    from ganutils import models, training

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
        "vanilla_gan": recipes.vanilla_gan,
        "dcgan": recipes.dcgan,
        "conditional_gan": recipes.conditional_gan,
        "dcgan_without_penalty": without_penalty,
        "dcgan_without_hidden_layers": without_hidden_layers,
    }


class CourseRecipe:
    """A recipe of this course, with the methods of `published.Recipe`."""

    def __init__(self, build_gan, images, labels):
        self.build_gan, self.images, self.labels = build_gan, images, labels

    def build(self, seed):
        """Make networks, optimizers and batches, and take the first step."""
        from ganutils import data, training

        self.gan = self.build_gan(seed)
        self.conditional = isinstance(self.gan, training.ConditionalGAN)
        labels = self.labels if self.conditional else None
        self.batches = data.pipeline(self.images, labels, batch_size=64, seed=seed)
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


def run(name, seconds, seed, torch_python=None, samples=None):
    """Train one recipe, measure it at the `MARKS` before the end and there, and return what was found.

    Args:
        name: of the recipe.
        seconds: of training, above 0.
        seed: of weights, latents and the order of the data.
        torch_python: interpreter for a recipe in PyTorch, or None.
        samples: path for the samples at the end, or None.

    Returns:
        dict with lists of the same length: seconds, steps, frechet_distance, and what else the recipe measures.
    """
    import numpy as np
    import published

    from ganutils import data, features, metrics

    classifier = features.digit_classifier()
    real = classifier(data.load_dataset(split="test").images).features
    (images, labels), ours = data.load_dataset(), course_recipes()
    if name == TORCH:
        recipe = published.TorchRecipe(images, torch_python)
    elif name in coarse_to_fine.RECIPES:
        recipe = coarse_to_fine.recipe(name, seconds)
    else:
        recipe = CourseRecipe(ours[name], images, labels) if name in ours else published.Recipe(name, images)
    found = {"recipe": name, "seed": seed, "seconds": [], "steps": []}
    steps = done = 0
    recipe.build(seed)
    marks = () if name == "lapgan" else MARKS  # its GANs are trained one after another
    for mark in sorted({*(mark for mark in marks if mark < seconds), seconds}):
        steps += recipe.train(mark - done)
        done = mark
        drawn = recipe.generate(SAMPLES)
        if name in coarse_to_fine.RECIPES:
            measured = recipe.measure(drawn)
        else:
            measured = {"frechet_distance": metrics.frechet_distance(real, classifier(drawn).features)}
        for key, value in {"seconds": mark, "steps": steps, **measured}.items():
            found.setdefault(key, []).append(round(value, 3))
        words = ", ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in measured.items())
        print(f"{name}, seed {seed}: {mark:g} s, {steps:,} steps, {words}", flush=True)
    if samples:
        np.save(samples, drawn)
    return found


def run_all(seeds, seconds, torch_python, folder):
    """Take all runs that are not there yet, one after another, and write down what there is after each.

    Args:
        seeds: dict from the names of recipes to the number of their seeds, from 0 on.
        seconds: of training of each run.
        torch_python: as in `run`.
        folder: where to write.
    """
    folder.mkdir(exist_ok=True)
    for found in taken(seeds, dict.fromkeys(seeds, seconds), torch_python):
        results = {"command": "python benchmarks/quality.py --all", "runs": found}
        print(report.quality(results), flush=True)
        common.write_json(folder / "quality.json", results)
        draw(report.summarise(found), folder / "quality.png")


def taken(seeds, seconds, torch_python=None):
    """Take all runs that are not there yet, and yield what there is after each; `seconds` is a dict, too."""
    RUNS.mkdir(parents=True, exist_ok=True)
    state, found = digest(torch_python), []
    # All recipes with the first seed, then with the next: a slow hour of the machine hits them alike.
    for seed in range(max(seeds.values())):
        for name in (name for name in seeds if seed < seeds[name]):
            path = RUNS / f"{name}_{seed}_{seconds[name]:g}_{state}.json"
            if not path.is_file():
                command = [sys.executable, Path(__file__), "--recipe", name, "--seed", seed]
                command += ["--seconds", seconds[name], "--json", path]
                command += ["--torch-python", torch_python] if torch_python else []
                subprocess.run([str(part) for part in command], check=True)
            found.append(json.loads(path.read_text(encoding="utf-8")))
            yield found


def digest(torch_python=None):
    """Return a word for what a finished run depends on: code, versions, processor, and the classifier that judges.

    A run of other code or of another machine is then trained again, and not taken for one of these.
    """
    from ganutils import checkpoints, lessons

    versions = [lessons.machine(), torch_python and common.torch_version(torch_python)]
    found = hashlib.sha256(json.dumps(versions, sort_keys=True).encode())
    sources = [path for folder in CODE for path in sorted(folder.rglob("*.py"))]
    judges = ("digit_classifier.weights.h5", "face_reader_*")
    for path in [*sources, *(path for judge in judges for path in sorted(checkpoints.FOLDER.glob(judge)))]:
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def draw(summary, path):
    """Draw the Fréchet distance over seconds, with the range over seeds, into a PNG file."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    # Okabe and Ito's colours, safe for colour-blind readers; the markers tell recipes apart without them.
    colours = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#777777")
    for (name, marks), colour, marker in zip(summary.items(), colours * 2, "osD^vP*X" * 2, strict=False):
        seconds, (median, lowest, highest, _) = list(marks), zip(*marks.values(), strict=True)
        style = "-" if name in report.OURS else "--"
        axes.plot(seconds, median, style, marker=marker, color=colour, label=name.replace("_", " "))
        axes.fill_between(seconds, lowest, highest, alpha=0.2, color=colour)
    axes.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="FID (digits), 10,000 samples")
    axes.set_xticks(MARKS, [str(mark) for mark in MARKS])
    axes.minorticks_off()
    figure.legend(fontsize="small", ncols=4, loc="outside lower center")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--recipe", help="train this one")
    what.add_argument("--all", action="store_true", help="train all that the comparison needs")
    what.add_argument("--coarse-to-fine", action="store_true", help="train what lessons 06 and 07 compare")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, help="with --recipe (default: 0)")
    parser.add_argument("--seeds", type=int, help="number of seeds, with --all (default: 3, and 2 for the peers)")
    parser.add_argument("--samples", type=Path, help="where to write the samples, as .npy, with --recipe")
    parser.add_argument("--json", type=Path, help="where to write the results of one run")
    parser.add_argument("--torch-python", help="interpreter that has PyTorch")
    arguments = parser.parse_args(arguments)
    if not arguments.seconds > 0 or (arguments.seeds is not None and arguments.seeds < 1):
        parser.error("seconds and seeds must be above 0")
    many = arguments.all or arguments.coarse_to_fine
    misplaced = ("seed", "samples", "json") if many else ("seeds",)
    if given := [f"--{name}" for name in misplaced if getattr(arguments, name) is not None]:
        parser.error(f"{', '.join(given)} cannot go with {'--all or --coarse-to-fine' if many else '--recipe'}")
    # Before the training, which would be lost.
    for path in (arguments.samples, arguments.json):
        if path and not path.resolve().parent.is_dir():
            parser.error(f"{path}: there is no such folder")
    import published

    if arguments.recipe and arguments.recipe not in (
        known := [*course_recipes(), *coarse_to_fine.RECIPES, *published.RECIPES, TORCH]
    ):
        parser.error(f"unknown recipe {arguments.recipe!r}; choose one of {', '.join(known)}")
    return arguments


def main(arguments=None):
    arguments = parse(arguments)
    if arguments.all:
        torch_python = arguments.torch_python or sys.executable
        torch_python = torch_python if common.torch_version(torch_python) else None
        peers = [*([TORCH] if torch_python else []), *PEERS]
        seeds = {name: arguments.seeds or (3 if name in report.OURS else 2) for name in [*report.OURS, *peers]}
        # A shorter trial must not replace the results that the README shows.
        trial = arguments.seeds is not None or arguments.seconds != MARKS[-1]
        run_all(seeds, arguments.seconds, torch_python, RUNS if trial else report.RESULTS)
        return
    if arguments.coarse_to_fine:
        seeds = dict.fromkeys(coarse_to_fine.RECIPES, arguments.seeds or 3)
        seconds = {name: min(arguments.seconds, coarse_to_fine.SECONDS.get(name, MARKS[-1])) for name in seeds}
        trial = arguments.seeds is not None or arguments.seconds != MARKS[-1]
        path = RUNS / "coarse_to_fine.json" if trial else COARSE
        results = {"command": "python benchmarks/quality.py --coarse-to-fine", "long": []}
        if not trial:  # an interrupted command leaves the old long runs, which lesson 07 shows
            results["long"] = json.loads(COARSE.read_text(encoding="utf-8"))["long"] if COARSE.is_file() else []
        for found in taken(seeds, seconds):
            common.write_json(path, results := results | {"runs": found})
        for found in () if trial else taken(dict.fromkeys(coarse_to_fine.LONG, 1), coarse_to_fine.LONG):
            common.write_json(path, results := results | {"long": found})
        return
    seed, torch_python = arguments.seed or 0, arguments.torch_python or sys.executable
    found = run(arguments.recipe, arguments.seconds, seed, torch_python, arguments.samples)
    if arguments.json:
        arguments.json.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
