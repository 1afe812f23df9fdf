"""Record what HealthCheck measures of healthy runs and of planted failures, into data/health_curves.json.

    python tools/record_health_curves.py                   all
    python tools/record_health_curves.py "no latents" 01   those whose names begin so
    python tools/record_health_curves.py --seeds 11 12     healthy runs with these seeds, instead of 11 to 20
    python tools/record_health_curves.py --cost            which share of the time looking takes; records nothing

Healthy runs are the recipes of lessons 01 to 03; failures are planted in three families, each in one way. Finished runs
are in build/health_curves, so that the same command, given again after an interruption, goes on. The file holds
the measurements alone: a test diagnoses them, and says within how many steps each failure must be named.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
import recipes
from keras import layers, ops
from record_reference_runs import as_text, rounded

from ganutils import callbacks, data, lessons, losses, mixtures, training

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "health_curves"
FILE = ROOT / "data" / "health_curves.json"
BATCH = 64
EVERY = 25
STEPS = 400  # of each run


def dense_networks(latents_matter=True, classes=None):
    """Return a small generator and discriminator of digits, of dense layers alone; with classes, conditional ones."""

    def with_labels(x):
        if classes is None:
            return x, x
        labels = keras.Input((), dtype="int32")
        return [x, labels], layers.Concatenate()([layers.Flatten()(x), ops.one_hot(labels, classes)])

    inputs, x = with_labels(latents := keras.Input((32,)))
    if not latents_matter:
        x = x * np.float32([0.0] * 32 + [1.0] * (x.shape[-1] - 32))
    x = layers.Dense(128, activation="leaky_relu")(x)
    x = layers.Dense(784, activation="tanh")(layers.Dense(256, activation="leaky_relu")(x))
    generator = keras.Model(inputs, layers.Reshape((28, 28, 1))(x))
    inputs, x = with_labels(images := keras.Input((28, 28, 1)))
    x = layers.Dense(256, activation="leaky_relu")(layers.Flatten()(x))
    discriminator = keras.Model(inputs, layers.Dense(1)(layers.Dense(128, activation="leaky_relu")(x)))
    del latents, images
    return generator, discriminator


class Translator(training.AdversarialModel):
    """Two generators and two discriminators over unpaired images (Zhu et al. 2017)."""

    def __init__(self, to_b, to_a, judge_a, judge_b, cycle_weight=10.0):
        super().__init__({"judge_a": judge_a, "judge_b": judge_b, "to_b": to_b, "to_a": to_a})
        self.cycle_weight = cycle_weight

    def losses(self, batch):
        a, b = batch
        fake_a, fake_b = self.run("to_a", b), self.run("to_b", a)
        cycle = ops.mean(ops.abs(self.run("to_a", fake_b) - a)) + ops.mean(ops.abs(self.run("to_b", fake_a) - b))
        found = {}
        for side, real, fake in (("a", a, fake_a), ("b", b, fake_b)):
            real_logits, fake_logits = self.run(f"judge_{side}", real), self.run(f"judge_{side}", fake)
            found[f"judge_{side}"] = self.adversarial_loss.discriminator(real_logits, fake_logits)
            found[f"to_{side}"] = self.adversarial_loss.generator(fake_logits) + self.cycle_weight * cycle
        return found


def translator(images_matter=True, **options):
    """Return a `Translator` between digits of 14 x 14 pixels and their negatives."""

    def network():
        x = images = keras.Input((14, 14, 1))
        x = layers.Conv2D(16, 3, padding="same", activation="leaky_relu")(x if images_matter else 0.0 * x)
        x = layers.Conv2D(16, 3, padding="same", activation="leaky_relu")(x)
        return keras.Model(images, layers.Conv2D(1, 3, padding="same", activation="tanh")(x))

    def judge():
        hidden = layers.Conv2D(16, 4, 2, activation="leaky_relu")
        return keras.Sequential([keras.Input((14, 14, 1)), hidden, layers.Flatten(), layers.Dense(1)])

    return Translator(network(), network(), judge(), judge(), **options)


def adam(rate, beta_1=0.0):
    return keras.optimizers.Adam(rate, beta_1=beta_1, beta_2=0.99)


def sgd(rate, momentum=0.0):
    return keras.optimizers.SGD(rate, momentum)


def gan(generator_optimizer, discriminator_optimizer, loss="non_saturating", head_start=0, **options):
    """Return a GAN of dense networks whose discriminator may have been trained alone before."""
    found = training.GAN(*dense_networks(**options))
    found.compile(generator_optimizer, discriminator_optimizer, loss=loss)
    images = data.load_dataset().images
    for i in range(head_start):
        found.adversarial_step(data.scale(images[BATCH * i : BATCH * (i + 1)]), players=("discriminator",))
    return found


def points(optimizer):
    """Return a GAN of points in the plane, with two optimizers of a kind."""
    parts = [[layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(units)] for units in (2, 1)]
    generator, discriminator = (keras.Sequential([keras.Input((d,)), *of]) for d, of in zip((8, 2), parts, strict=True))
    found = training.GAN(generator, discriminator)
    found.compile(optimizer(), optimizer())
    return found


def conditional(generator_optimizer, discriminator_optimizer, loss="non_saturating", **options):
    found = training.ConditionalGAN(*dense_networks(classes=10, **options))
    found.compile(generator_optimizer, discriminator_optimizer, loss=loss)
    return found


def translation(of_judges, of_translators, loss="least_squares", **options):
    found = translator(**options)
    rates = {"judge_a": of_judges, "judge_b": of_judges, "to_a": of_translators, "to_b": of_translators}
    found.compile({player: adam(*rate) for player, rate in rates.items()}, loss=loss)
    return found


def _log_of_probability(logits):
    return ops.mean(ops.log(ops.sigmoid(logits)))


# As many write it: 1 - p is rounded to 0 once a logit of a generated image goes beyond 17.
OF_PROBABILITIES = losses.AdversarialLoss(
    "of probabilities",
    lambda real, fake: -_log_of_probability(real) - ops.mean(ops.log(1 - ops.sigmoid(fake))),
    lambda fake, real: -_log_of_probability(fake),
)

# What is planted, by name: what must be named, and a function that makes the model.
PLANTED = {
    "head start": ("discriminator too strong", lambda: gan(adam(1e-4), adam(1e-3), "minimax", head_start=200)),
    "slow generator": ("discriminator too strong", lambda: gan(adam(1e-6), adam(1e-3))),
    "minimax": ("vanishing generator gradient", lambda: gan(sgd(1e-2), adam(1e-3), "minimax")),
    "no latents": ("mode collapse", lambda: gan(adam(1e-3), adam(1e-3), latents_matter=False)),
    "fast generator": ("mode collapse", lambda: gan(adam(2e-2, 0.9), adam(1e-4))),
    "momentum": ("oscillation", lambda: points(lambda: adam(2e-2, 0.9))),
    "high rates": ("divergence", lambda: gan(adam(0.3), adam(0.3))),
    "unbounded critic": ("divergence", lambda: gan(adam(1e-4), adam(1e-3), "wasserstein")),
    "probabilities": ("not a number", lambda: gan(adam(1e-2), adam(1e-2), OF_PROBABILITIES)),
    "enormous rates": ("not a number", lambda: gan(sgd(1e30), sgd(1e30))),
    "conditional: no latents": ("mode collapse", lambda: conditional(adam(1e-3), adam(1e-3), latents_matter=False)),
    "conditional: slow generator": ("discriminator too strong", lambda: conditional(adam(1e-6), adam(1e-3), "hinge")),
    "conditional: minimax": ("vanishing generator gradient", lambda: conditional(sgd(1e-2), adam(1e-3), "minimax")),
    "conditional: high rates": ("divergence", lambda: conditional(adam(0.3), adam(0.3))),
    "translation: slow translators": ("discriminator too strong", lambda: translation((2e-3,), (1e-6,))),
    "translation: blind": ("mode collapse", lambda: translation((2e-4,), (2e-3,), images_matter=False)),
    "translation: high rates": ("divergence", lambda: translation((0.3,), (0.3,), "hinge")),
}


def batches_of(model):
    """Return a dataset for a model, and a batch for its HealthCheck."""
    if model.networks.get("generator") and model.networks["generator"].output_shape[1:] == (2,):
        ring = mixtures.ring(deviation=0.05)
        return data.pipeline(ring.sample(100 * BATCH), batch_size=BATCH), ring.sample(BATCH, seed=5)
    images, labels = data.load_dataset()
    if isinstance(model, Translator):
        small = images[:6000].reshape(-1, 14, 2, 14, 2, 1).mean(axis=(2, 4)).astype("uint8")
        return data.unpaired(small[:3000], 255 - small[3000:], batch_size=BATCH), (small[:64], 255 - small[-64:])
    labels = labels if len(model.networks["generator"].inputs) == 2 else None
    found = images[:64] if labels is None else (images[:64], labels[:64])
    return data.pipeline(images, labels, batch_size=BATCH), found


def record(make, seed):
    """Train a model for some steps, and return what HealthCheck measured of it, and what of the time it took."""
    keras.utils.set_random_seed(seed)
    model = make()
    batches, batch = batches_of(model)
    check = callbacks.HealthCheck(batch, EVERY)
    began = time.process_time()
    model.fit(batches, steps_per_epoch=STEPS, verbose=0, callbacks=[check])
    return {"seconds": time.process_time() - began, "history": check.history}


def finished(name, make, seed):
    path = BUILD / f"{name.replace(': ', '-').replace(' ', '_')}-{STEPS}-{seed}.json"
    if not path.is_file():
        found = record(make, seed)
        BUILD.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
        print(f"{name}, seed {seed}: {found['seconds']:.0f} s", flush=True)
    return json.loads(path.read_text())


def cost(recipe, steps=2000):
    """Print which share of the time of a training its HealthCheck takes, as lessons use it."""
    hooks = ("on_train_begin", "on_epoch_begin", "on_train_batch_end")
    spent = dict.fromkeys(hooks, 0.0)

    def timed(name):
        def hook(self, *arguments, **options):
            began = time.perf_counter()
            getattr(callbacks.HealthCheck, name)(self, *arguments, **options)
            spent[name] += time.perf_counter() - began

        return hook

    model = recipe(1)
    batches, batch = batches_of(model)
    model.fit(batches, steps_per_epoch=20, verbose=0)  # whatever is made once
    every = 200 if recipe is recipes.vanilla_gan else 100  # its steps are short
    check = type("Timed", (callbacks.HealthCheck,), {name: timed(name) for name in hooks})(batch, every)
    began = time.perf_counter()
    model.fit(batches, steps_per_epoch=steps, verbose=0, callbacks=[check])
    seconds, spent = time.perf_counter() - began, sum(spent.values())
    print(f"{spent:.2f} of {seconds:.1f} s, {spent / seconds:.1%}, in {steps:,} steps", flush=True)


def without_nan(history):
    """Return lists in which None stands for NaN and infinity, which JSON does not have."""
    return {k: [x if np.isfinite(x) else None for x in values] for k, values in rounded(history).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"beginnings of {', '.join([*recipes.RECIPES, *PLANTED])}")
    parser.add_argument("--seeds", type=int, nargs=2, default=(11, 20), metavar=("FIRST", "LAST"))
    parser.add_argument("--cost", action="store_true")
    arguments = parser.parse_args()
    chosen = tuple(arguments.names) or ("",)
    if arguments.cost:
        for lesson, recipe in recipes.RECIPES.items():
            if lesson.startswith(chosen):
                print(lesson, end=": ")
                cost(recipe)
        return
    command = "python tools/record_health_curves.py --seeds {} {}".format(*arguments.seeds)
    found = {"command": command, "every": EVERY, "machine": lessons.machine()}
    found |= {"healthy": [], "planted": []}
    for lesson, recipe in recipes.RECIPES.items():
        for seed in range(arguments.seeds[0], arguments.seeds[1] + 1) if lesson.startswith(chosen) else ():
            run = finished(lesson, lambda recipe=recipe, seed=seed: recipe(seed), seed)
            found["healthy"].append({"name": lesson, "seed": seed, **without_nan(run["history"])})
    for name, (expected, make) in PLANTED.items():
        if name.startswith(chosen):
            run = finished(name, make, 1)
            found["planted"].append({"name": name, "expected": expected, **without_nan(run["history"])})
    if not arguments.names:
        FILE.write_text(as_text(found) + "\n")
        print(f"{FILE} ({FILE.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
