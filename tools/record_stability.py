"""Record what lesson 05 shows of many runs: the same functions that stand in the lesson, over seeds.

    python tools/record_stability.py                 all that is missing
    python tools/record_stability.py collapse map    these parts: collapse, bounds, rates, map, digits, and
                                                     exercises, the answers of the lesson's exercises 2 to 4
    python tools/record_stability.py collapse --only "packs of 2"   the runs whose name contains a text

The cells of notebooks/05_training_stability.ipynb with the tags `recorded` and `recorded-digits` are executed, and what
they define is called. Each run is added to data/reference_runs/05_training_stability.json when it is finished, and not
repeated until these cells change, so the command can be interrupted. One process uses one processor core, so that two
may run side by side: `--share 0 2` and `--share 1 2` each take every second run.
"""

import argparse
import ast
import functools
import hashlib
import itertools
import json
import os
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "05_training_stability.ipynb"
FILE = ROOT / "data" / "reference_runs" / "05_training_stability.json"
SEEDS = {"collapse": 10, "bounds": 10, "rates": 6, "map": 3, "digits": 3, "exercises": 3}
STEPS = 2000  # of a run in the plane, that of `plane_steps` in laptop
SECONDS = 45  # of processor time, `demo_seconds` in laptop
TAGS = {"digits": ["recorded-digits"], "exercises": ["recorded", "recorded-digits"]}  # of the cells a part calls
SETTINGS = {"no momentum": ((2e-3, 1e-3), 0.0), "DCGAN paper": ((2e-4, 2e-4), 0.5)}


def recipes():
    """Return the names that the lesson's cells of recipes define, and a digest of those of each part."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names, texts = {}, {"recorded": [], "recorded-digits": []}
    for cell in cells:
        for tag in texts.keys() & set(cell["metadata"].get("tags", [])):
            source = "".join(cell["source"])
            exec(compile(source, str(NOTEBOOK), "exec"), names)
            nodes = (node for node in ast.parse(source).body if not isinstance(node, (ast.Import, ast.ImportFrom)))
            texts[tag] += [ast.get_source_segment(source, node) for node in nodes]
    parts = {part: "\n".join(itertools.chain(*map(texts.get, TAGS.get(part, ["recorded"])))) for part in SEEDS}
    return names, {part: hashlib.sha256(text.encode()).hexdigest()[:16] for part, text in parts.items()}


def with_packs(names, cure, seed):
    """Exercise 2: other packs against the collapse."""
    from ganutils import layers, losses

    of_two = {"first": lambda: [layers.Pack(2)], "penalty": lambda: losses.R1(1.0, every=1)}
    added = {"packs of 4": {"first": lambda: [layers.Pack(4)]}, "packs of 2, R1": of_two}
    names["CURES"].update(added)
    return names["plane_run"](STEPS, seed, cure)


def steepness(norm_over, seed, steps=300):
    """Exercise 3: train a critic of digits against noise with a gradient penalty; return its mean slope in the end."""
    import keras
    import numpy as np
    import tensorflow as tf
    from keras import ops

    from ganutils import data, models

    keras.utils.set_random_seed(seed)
    critic, optimizer = models.fast_dcgan_discriminator(), keras.optimizers.Adam(1e-3, beta_1=0.0)
    axes = {"the last axis": (3,), "all axes": (1, 2, 3)}[norm_over]
    share = (tf.reshape(tf.range(64, dtype=tf.float32), (64, 1, 1, 1)) + 0.5) / 64

    def slopes(between):
        with tf.GradientTape() as tape:
            tape.watch(between)
            scores = ops.sum(critic(between, training=True))
        return tape.gradient(scores, between)

    @tf.function
    def step(real, fake):
        with tf.GradientTape() as tape:
            slope = slopes(share * real + (1 - share) * fake)
            penalty = 10 * ops.mean((ops.sqrt(ops.sum(slope**2, axis=axes) + 1e-12) - 1) ** 2)
            scores = [critic(images, training=True) for images in (real, fake)]
            loss = ops.mean(scores[1]) - ops.mean(scores[0]) + penalty
        gradients = tape.gradient(loss, critic.trainable_weights)
        optimizer.apply_gradients(zip(gradients, critic.trainable_weights, strict=True))
        return ops.mean(ops.sqrt(ops.sum(slope**2, axis=(1, 2, 3))))

    images, rng = data.load_dataset("mnist").images, np.random.default_rng(seed)
    for _ in range(steps):
        real = data.scale(images[rng.integers(len(images), size=64)])
        slope = step(tf.constant(real), tf.constant(np.tanh(rng.normal(size=real.shape)).astype("float32")))
    return {"slope": slope}


def health(names, name, seed, steps=900):
    """Exercise 4: momentum of 0.9 with lesson 02's rates, and a health check."""
    from ganutils import callbacks, data

    images, _ = data.load_dataset("mnist")
    gan, check = names["digit_gan"](name, (2e-3, 1e-3), 0.9, seed), callbacks.HealthCheck(images[:64], every=25)
    batches = data.pipeline(images, batch_size=64, seed=seed)
    gan.fit(batches, steps_per_epoch=steps, verbose=0, callbacks=[check])
    left = check.history["discriminator: left"]
    first = check.findings[0].step if check.findings else 0
    said = ", ".join(finding.name for finding in check.findings)
    return {"said": said, "first": first, "least": min(left), "most": max(left)}


def tasks(names):
    """Yield (part, what identifies a run, function that runs it), one seed of everything before the next."""
    bounds = ("none", "R1", "spectral normalisation", "gradient penalty", "clipped weights")
    keys = [("collapse", {"cure": cure}) for cure in names["CURES"] if cure != "clipped weights"]
    settings = (("non_saturating", 0.5), ("wasserstein", 0.5), ("wasserstein", 0.0))
    for (loss, momentum), cure in itertools.product(settings, bounds):
        keys.append(("bounds", {"loss": loss, "cure": cure, "momentum": momentum, "rates": [1e-3, 1e-3]}))
    keys += [("rates", {"rates": [rate, 1e-3]}) for rate in (1e-4, 1e-3, 3e-3, 1e-2)]
    for rate, momentum in itertools.product((1e-4, 3e-4, 1e-3, 3e-3, 1e-2), (0.0, 0.5, 0.9)):
        keys.append(("map", {"rates": [rate, rate], "momentum": momentum}))
    for seed in range(max(SEEDS.values())):
        for part, key in (one for one in keys if seed < SEEDS[one[0]]):
            yield part, key | {"seed": seed}, functools.partial(names["plane_run"], STEPS, seed, **key)
        for name, setting in itertools.product(names["DIGITS"], SETTINGS) if seed < SEEDS["digits"] else ():
            run = functools.partial(names["digit_run"], name, *SETTINGS[setting], SECONDS, seed)
            yield "digits", {"name": name, "setting": setting, "seed": seed}, run
    for seed in range(SEEDS["exercises"]):
        for cure in ("packs of 4", "packs of 2, R1"):
            run = functools.partial(with_packs, names, cure, seed)
            yield "exercises", {"exercise": 2, "cure": cure, "seed": seed}, run
        for norm_over in ("the last axis", "all axes"):
            run = functools.partial(steepness, norm_over, seed)
            yield "exercises", {"exercise": 3, "norm_over": norm_over, "seed": seed}, run
        for name in ("non-saturating, R1", "non-saturating"):
            run = functools.partial(health, names, name, seed)
            yield "exercises", {"exercise": 4, "name": name, "seed": seed}, run


def stored():
    if FILE.is_file():
        return json.loads(FILE.read_text(encoding="utf-8"))
    return {part: [] for part in SEEDS}


def add(part, key, run):
    """Put a run into the file in the place of its predecessor; other processes of this command may do so, too."""
    import fcntl  # not on Windows

    with open(NOTEBOOK) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = stored()
        found[part] = [one for one in found.get(part, []) if not key.items() <= one.items()] + [key | run]
        found[part].sort(key=lambda run: json.dumps(run, sort_keys=True))
        lines = [f' "{name}": [\n  ' + ",\n  ".join(map(json.dumps, runs)) + "\n ]" for name, runs in found.items()]
        whole = FILE.with_suffix(".part")
        whole.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        os.replace(whole, FILE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*SEEDS, []])
    parser.add_argument("--only", default="", help="a text that the name of a run contains")
    parser.add_argument("--share", nargs=2, type=int, default=(0, 1), metavar=("NUMBER", "OF"))
    arguments = parser.parse_args()
    number, of = arguments.share
    if not 0 <= number < of:
        parser.error(f"--share {number} {of} is not allowed; give 0 to {of - 1} and {of}")
    os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")  # before TensorFlow is loaded
    names, digests = recipes()
    for i, (part, key, run) in enumerate(tasks(names)):
        chosen = (not arguments.parts or part in arguments.parts) and arguments.only in json.dumps(key)
        if (
            not chosen
            or i % of != number
            or any((key | {"recipe": digests[part]}).items() <= one.items() for one in stored().get(part, []))
        ):
            continue
        start = time.perf_counter()
        found = {name: value if isinstance(value, (int, str)) else float(value) for name, value in run().items()}
        add(part, key, found | {"recipe": digests[part]})
        print(part, key, found, f"{time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
