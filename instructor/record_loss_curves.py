"""Train five GANs, four of them with a mistake, and store their curves for assignment 02.

    python instructor/record_loss_curves.py --seed 4711     writes instructor/source/02_dcgan/loss_curves.json

The seed determines the weights and the order of the images: keep yours secret, and change it each year.
Neither the file nor the seed reveals which letter belongs to which mistake: the letters are shuffled in each call, and
printed once. Copy them to the solution of task 4 and to the hidden tests of the assignment.
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np

from ganutils import callbacks, data, losses, models, training

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "instructor" / "source" / "02_dcgan" / "loss_curves.json"
STEPS, EVERY = 400, 10


def adam(rate=1e-3):
    return keras.optimizers.Adam(rate, beta_1=0.5)


def flipped_targets():
    """Return a loss with swapped targets: real images are called generated, and generated ones real."""
    return losses.AdversarialLoss(
        "flipped",
        lambda real_logits, fake_logits: losses.discriminator_cross_entropy(fake_logits, real_logits),
        losses.non_saturating_generator,
    )


class OneSigmoidTooMany(training.GAN):
    def discriminate(self, images, condition=None):
        return keras.ops.sigmoid(super().discriminate(images, condition))


# The difference from the healthy training: the class of the GAN, or an argument of `compile`.
TRAININGS = {
    "healthy": {},
    "one sigmoid too many": {"kind": OneSigmoidTooMany},
    "discriminator never trains": {"discriminator_optimizer": lambda: keras.optimizers.SGD(0.0)},
    "discriminator far ahead": {"generator_optimizer": lambda: adam(1e-5)},
    "targets flipped": {"loss": flipped_targets},
}


def train(
    seed,
    steps=STEPS,
    kind=training.GAN,
    generator_optimizer=adam,
    discriminator_optimizer=adam,
    loss=lambda: "non_saturating",
):
    """Return the curves of one training: `callbacks.Curves.history` without "seconds"."""
    keras.utils.set_random_seed(seed)
    gan = kind(models.fast_dcgan_generator(), models.fast_dcgan_discriminator(), seed=seed)
    gan.compile(generator_optimizer(), discriminator_optimizer(), loss=loss())
    batches = data.pipeline(data.load_dataset("mnist").images, batch_size=64, seed=seed).repeat()
    curves = callbacks.Curves(every=EVERY)
    gan.fit(batches, steps_per_epoch=steps, verbose=0, callbacks=[curves])
    history = {name: values for name, values in curves.history.items() if name != "seconds"}
    return {name: rounded(values, name.endswith("accuracy")) for name, values in history.items()}


def rounded(values, is_share):
    """Return the values rounded to four digits; shares that rounding errors put outside [0, 1] are clipped."""
    return [float(f"{value:.4g}") if not is_share else round(min(1.0, max(0.0, value)), 4) for value in values]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    FILE.parent.mkdir(parents=True, exist_ok=True)
    faults = np.random.default_rng().permutation(list(TRAININGS))
    answer = dict(zip("ABCDE", map(str, faults), strict=True))
    found = {
        "made by": "python instructor/record_loss_curves.py --seed SEED",
        "curves": {letter: train(arguments.seed, **TRAININGS[fault]) for letter, fault in answer.items()},
    }
    text = json.dumps(found, separators=(",", ":")).replace('"curves":', '\n"curves":').replace('},"', '},\n"')
    FILE.write_text(text + "\n", encoding="utf-8")
    print(f"{FILE.relative_to(ROOT)} is written. The answer, for the instructor only:\n{answer}")


if __name__ == "__main__":
    main()
