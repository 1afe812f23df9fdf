"""What enlarging small digits reaches: the runs that lesson 08 shows, over three seeds.

    python benchmarks/super_resolution.py
    python benchmarks/super_resolution.py --recipe "adversarial 0.3" --seed 0

The first form takes all runs and writes data/reference_runs/super_resolution.json. It can be interrupted: what is done
is kept in build/super_resolution and not repeated. The second takes one run and prints it.

From 7 x 7 pixels to 28 x 28 there is pixel error alone, for `SECONDS`. From 4 x 4, a network is trained on pixel error
for so long, and from its weights go on, for `FURTHER` times as long: pixel error, the control; pixel error and features
of the digit classifier; pixel error and an adversarial term of several weights; all three. "without pre-training" has
the adversarial term from the first step on, and the seconds of both. "satellite" enlarges pieces of a satellite map from 16 x 16 to 64 x 64.

Seconds are those in which a core computes, so that two cores do two in a second: other programs do not use them up.
Measured on 10,000 test digits: PSNR and SSIM, FID (digits), and the share of digits whose class is kept. Classes and
distances also by a second classifier, trained here from another seed: the loss in features has the first one's.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import common

sys.path.insert(0, str(common.FOLDER.parent / "tools"))  # for the lessons' recipes

WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0)  # of the adversarial term
CONTENT = 0.01
SECONDS, FURTHER = 90.0, 8 / 3
SEEDS = 3
BUILD = common.FOLDER.parent / "build" / "super_resolution"
RECORD = common.FOLDER.parent / "data" / "reference_runs" / "super_resolution.json"
# Of each run from 4 x 4: arguments of the recipe. All but the first and the last begin with the first one's weights.
FROM_4 = {"pre-training": {}, "pixel error": {}, "features": {"content": CONTENT}}
FROM_4 |= {f"adversarial {weight:g}": {"adversarial": weight} for weight in WEIGHTS}
FROM_4 |= {"both": {"content": CONTENT, "adversarial": 0.1}, "without pre-training": {"adversarial": 0.1}}
RECIPES = ("from 7", *FROM_4, "satellite")


def second_judge():
    """Return a classifier like the shipped one, of another seed, trained once and kept."""
    import train_checkpoints

    from ganutils import checkpoints, data, features

    path = BUILD / "second_judge.weights.h5"
    if path.is_file():
        with checkpoints.in_float32():
            network = features.classifier_network()
        network.load_weights(path)
        return features.Classifier(network)
    classifier = train_checkpoints.fit_classifier(*data.load_dataset(), epochs=3, seed=1)
    classifier.network.save_weights(path)
    return classifier


def measure(made, real, classes):
    """Return what is measured of enlarged digits, floats in [-1, 1]."""
    import numpy as np
    import tensorflow as tf

    from ganutils import features, metrics
    from ganutils.models import srgan

    found = {"psnr": np.mean(srgan.psnr(made, real)), "ssim": np.mean(tf.image.ssim(made, real, 2.0))}
    for end, judge in (("", features.digit_classifier()), ("_second", second_judge())):
        of_real, of_made = judge(real), judge(made)
        found[f"frechet_distance{end}"] = metrics.frechet_distance(of_real.features, of_made.features)
        found[f"kept{end}"] = np.mean(of_made.probabilities.argmax(axis=1) == classes)
        # Two halves of the real digits: what a perfect network would score with half as many.
        order = np.random.default_rng(0).permutation(len(real))
        found[f"floor{end}"] = metrics.frechet_distance(*np.array_split(of_real.features[order], 2))
    return {name: round(float(value), 4) for name, value in found.items()}


def run(name, seed, seconds=SECONDS):
    """Take one run, and those that it begins with if they are not there, and return what was measured."""
    import recipes

    from ganutils import callbacks, data, models

    if name == "satellite":
        return satellite(seed, seconds)
    small, start = (7, 7) if name == "from 7" else (4, 4), BUILD / f"{seed}_{seconds:g}.weights.h5"
    fresh = name in ("from 7", "pre-training", "without pre-training")
    if not fresh and not start.is_file():
        run("pre-training", seed, seconds)
    model = recipes.super_resolution(seed, small, start=None if fresh else start, **FROM_4.get(name, {}))
    batches = data.pipeline(data.load_dataset().images, batch_size=16, seed=seed)
    times = {"from 7": 1, "pre-training": 1, "without pre-training": 1 + FURTHER}.get(name, FURTHER)
    clock = callbacks.TimeLimit(times * seconds, time.process_time)
    model.fit(batches, steps_per_epoch=10**9, verbose=0, callbacks=[clock])
    if name == "pre-training":
        BUILD.mkdir(parents=True, exist_ok=True)
        model.averaged["generator"].save_weights(start)
    test = data.load_dataset(split="test")
    real = data.as_float(test.images)
    made = model.predict(models.shrink(real, 28 // small[0]), batch_size=250, verbose=0)
    return {"steps": clock.steps} | measure(made, real, test.labels)


def interpolated(size):
    """Return what is measured of digits that are interpolated from so many pixels."""
    from keras import ops

    from ganutils import data, models

    test = data.load_dataset(split="test")
    real = data.as_float(test.images)
    small = models.shrink(real, 28 // size)
    return measure(ops.clip(ops.image.resize(small, (28, 28), interpolation="bicubic"), -1, 1), real, test.labels)


def satellite(seed, seconds):
    """Return how near to 2,000 test pieces a network and bicubic interpolation come, in dB."""
    import numpy as np
    import recipes
    from keras import ops

    from ganutils import callbacks, data, earth, models
    from ganutils.models import srgan

    model = recipes.super_resolution(seed, (16, 16), (64, 64, 3))
    clock = callbacks.TimeLimit(seconds, time.process_time)
    pieces = earth.load(20_000, seed=seed).satellite
    batches = data.pipeline(pieces, batch_size=16, seed=seed)
    model.fit(batches, steps_per_epoch=10**9, verbose=0, callbacks=[clock])
    real = data.as_float(earth.load(2000, seed=seed, split="test").satellite)
    small = models.shrink(real, 4)
    smooth = ops.clip(ops.image.resize(small, (64, 64), interpolation="bicubic"), -1, 1)
    made = model.predict(small, batch_size=250, verbose=0)
    found = {"psnr": np.mean(srgan.psnr(made, real)), "psnr_bicubic": np.mean(srgan.psnr(smooth, real))}
    return {"steps": clock.steps} | {name: round(float(value), 4) for name, value in found.items()}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, help="take this run alone, and print it")
    parser.add_argument("--seed", type=int, default=0, help="with --recipe")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of the pre-training (default: {SECONDS:g})")
    arguments = parser.parse_args(arguments)
    if not arguments.seconds > 0:
        parser.error("seconds must be above 0")
    BUILD.mkdir(parents=True, exist_ok=True)
    if arguments.recipe:
        print(run(arguments.recipe, arguments.seed, arguments.seconds))
        return
    found = []
    for seed in range(SEEDS):
        for name in RECIPES:
            path = BUILD / f"{name}_{seed}_{arguments.seconds:g}.json"
            if not path.is_file():
                common.write_json(path, run(name, seed, arguments.seconds))
            found.append({"recipe": name, "seed": seed, **json.loads(path.read_text(encoding="utf-8"))})
            print(found[-1], flush=True)
    results = {"command": "python benchmarks/super_resolution.py", "seconds": arguments.seconds, "runs": found}
    results["bicubic"] = {size: interpolated(size) for size in (4, 7)}
    # A shorter trial must not replace what the lesson shows.
    common.write_json(RECORD if arguments.seconds == SECONDS else Path(BUILD) / "trial.json", results)


if __name__ == "__main__":
    main()
