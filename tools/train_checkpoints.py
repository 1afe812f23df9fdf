"""Train the generators that the course ships in data/checkpoints, and write their cards.

    python tools/train_checkpoints.py                     all; about an hour on two processor cores
    python tools/train_checkpoints.py early noisy         some of them
    python tools/train_checkpoints.py --measure           no training: measure the shipped weights anew

The two long runs, dcgan and conditional_gan, go on at their last finished epoch when the same command is
given again after an interruption. The backups are in build/checkpoints.
"""

import argparse
from pathlib import Path

import cards
import keras
import numpy as np
import tensorflow as tf

from ganutils import callbacks, data, features, metrics, models, training

BUILD = Path(__file__).resolve().parents[1] / "build" / "checkpoints"
LATENT_DIM = 32
BATCH_SIZE = 64
WIDE = {"latent_dim": LATENT_DIM, "filters": (128, 64, 32), "kernel_size": 4, "strides": (1, 2, 2)}
SAMPLES = 5000
# Another machine adds up in another order; this is far more than that does, and far less than a worse generator.
TOLERANCE = {"frechet_distance": 0.3, "inception_score": 0.03, "precision": 0.01, "recall": 0.01, "fidelity": 0.002}


def adam(rate, steps=None):
    """Return Adam with lesson 02's momentum; with `steps`, its rate falls to zero along a cosine."""
    schedule = rate if steps is None else keras.optimizers.schedules.CosineDecay(rate, steps)
    return keras.optimizers.Adam(schedule, beta_1=0.5)


class PenalisedGAN(training.GAN):
    """A GAN whose discriminator also pays for steep logits at real images: each eighth of its updates.

    These updates count as steps of its optimizer. So there is one after seven ordinary ones, with a weight of
    8/7 where 1 is meant, and the falling rate reaches zero at seven eighths of the run.

    The R1 penalty of Mescheder, Geiger and Nowozin 2018, E |grad D(x)|² / 2, with the lazy schedule of
    Karras et al. 2020. Without it, the discriminator of a long unconditional run grows too sure: the
    Fréchet distance stood still after a few epochs.
    """

    EVERY = 8

    def train_step(self, batch):
        result = super().train_step(batch)
        due = self.discriminator_optimizer.iterations % self.EVERY == 0
        tf.cond(due, lambda: self._penalise(batch), lambda: tf.constant(0.0))
        return result

    def _penalise(self, real_images):
        variables = self.discriminator.trainable_weights
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(real_images)
                logits = tf.reduce_sum(self.discriminator(real_images, training=True))
            slopes = inner.gradient(logits, real_images)
            penalty = self.EVERY * tf.reduce_mean(tf.reduce_sum(slopes**2, axis=(1, 2, 3))) / 2
        self.discriminator_optimizer.apply_gradients(zip(outer.gradient(penalty, variables), variables, strict=True))
        return penalty


def train_gan(name, gan, images, labels, epochs, seed, optimizers):
    """Train for the full run and continue an interrupted one."""
    gan.compile(*optimizers)
    backup = callbacks.Backup(BUILD / name, settings={"epochs": epochs, "seed": seed})
    batches = data.pipeline(images, labels, batch_size=BATCH_SIZE, seed=seed, first_epoch=backup.epoch)
    progress = callbacks.Progress("lines")
    gan.fit(batches, epochs=epochs, initial_epoch=backup.epoch, verbose=0, callbacks=[progress, backup])
    return gan.averaged_generator


def unconditional(average, seed):
    generator, discriminator = models.fast_dcgan_generator(LATENT_DIM), models.fast_dcgan_discriminator()
    return training.GAN(generator, discriminator, average=average, seed=seed)


def dcgan(seed):
    """A DCGAN with three convolutions in each network after 12 passes over MNIST, with an R1 penalty."""
    generator = models.dcgan_generator(**WIDE)
    discriminator = models.dcgan_discriminator((32, 64, 128), kernel_size=4, dropout=0.0)
    gan = PenalisedGAN(generator, discriminator, average=0.999, seed=seed)
    images = data.load_dataset().images
    steps = 12 * (len(images) // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    optimizers = [keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99) for _ in range(2)]
    return train_gan("dcgan", gan, images, None, 12, seed, optimizers)


def conditional_gan(seed):
    """The conditional GAN of lesson 03 after 20 passes over MNIST, its rates falling to zero."""
    generator, discriminator = models.conditional_generator(LATENT_DIM), models.conditional_discriminator()
    gan = training.ConditionalGAN(generator, discriminator, average=0.999, seed=seed)
    images, labels = data.load_dataset()
    steps = 20 * (len(images) // BATCH_SIZE)
    return train_gan("conditional_gan", gan, images, labels, 20, seed, (adam(2e-3, steps), adam(1e-3, steps)))


def early(seed):
    """The fast DCGAN of lesson 02 after 200 training steps."""
    gan = unconditional(0.9, seed)
    gan.compile(adam(2e-3), adam(1e-3))
    batches = data.pipeline(data.load_dataset().images, batch_size=BATCH_SIZE, seed=seed)
    gan.fit(batches, steps_per_epoch=200, verbose=0)
    return gan.averaged_generator


def collapsed(seed):
    """The fast DCGAN of lesson 02, trained on shuffled digits at first and then on digits sorted by class."""
    gan = unconditional(0.98, seed)
    gan.compile(adam(2e-3), adam(1e-3))
    images, labels = data.load_dataset()
    gan.fit(data.pipeline(images, batch_size=BATCH_SIZE, seed=seed), epochs=3, verbose=0)
    for digit in range(10):
        gan.fit(data.pipeline(images[labels == digit], batch_size=BATCH_SIZE, seed=seed), epochs=1, verbose=0)
    return gan.averaged_generator


def noisy(seed):
    """The shipped DCGAN, with noise in each pixel."""
    network = models.noisy_generator(**WIDE, scale=0.5)
    network.get_layer("dcgan_generator").set_weights(models.load_checkpoint("dcgan").get_weights())
    return network


def memorising(seed):
    """The first 2,000 training images by heart: a latent chooses one of them."""
    network = models.memorising_generator(LATENT_DIM)
    images = data.load_dataset().images
    codes = np.random.default_rng(seed + 1000).standard_normal((2000, LATENT_DIM)).astype("float32")
    network.get_layer("memory").set_weights([codes, images[:2000]])
    return network


# Builder and arguments of each; noisy needs dcgan.
RUNS = {
    dcgan: ("dcgan_generator", WIDE),
    conditional_gan: ("conditional_generator", {"latent_dim": LATENT_DIM}),
    early: ("fast_dcgan_generator", {"latent_dim": LATENT_DIM}),
    collapsed: ("fast_dcgan_generator", {"latent_dim": LATENT_DIM}),
    noisy: ("noisy_generator", {**WIDE, "scale": 0.5}),
    memorising: ("memorising_generator", {"latent_dim": LATENT_DIM}),
}


def measure(network):
    """Return a card's metrics: of 5,000 samples against 5,000 test images, with the floor of real ones."""
    classifier = features.digit_classifier()
    rng = np.random.default_rng(0)
    # Both halves are new to the classifier; it is surer of the digits that it was trained on.
    images, true_labels = data.load_dataset(split="test")
    order = rng.permutation(len(images))
    test, other = classifier(images[order[:SAMPLES]]), classifier(images[order[SAMPLES : 2 * SAMPLES]])
    labels = np.arange(SAMPLES) % 10
    latents = rng.standard_normal((SAMPLES, LATENT_DIM)).astype("float32")
    inputs = [latents, labels] if len(network.inputs) == 2 else latents
    fake = classifier(network.predict(inputs, batch_size=500, verbose=0))

    def measured(against, samples):
        precision, recall = metrics.precision_recall(against.features, samples.features)
        return {
            "frechet_distance": metrics.frechet_distance(against.features, samples.features),
            "inception_score": metrics.inception_score(samples.probabilities).mean,
            "precision": precision,
            "recall": recall,
        }

    found, floor = measured(test, fake), measured(test, other)
    if len(network.inputs) == 2:
        found["fidelity"] = metrics.conditional_fidelity(fake.probabilities, labels).accuracy
        floor["fidelity"] = metrics.conditional_fidelity(
            other.probabilities, true_labels[order[SAMPLES : 2 * SAMPLES]]
        ).accuracy
    return {
        name: {
            "value": round(value, 4),
            "tolerance": TOLERANCE[name],
            "floor": round(floor[name], 4),
            "samples": SAMPLES,
        }
        for name, value in found.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [run.__name__ for run in RUNS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(names)}; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", action="store_true", help="train nothing, write the cards of the shipped weights")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"unknown {', '.join(sorted(unknown))}; choose from {', '.join(names)}")
    for run, (builder, builder_arguments) in RUNS.items():
        name = run.__name__
        if arguments.names and name not in arguments.names:
            continue
        print(f"{name}: {run.__doc__}", flush=True)
        keras.utils.set_random_seed(arguments.seed)
        network = models.load_checkpoint(name) if arguments.measure else run(arguments.seed)
        found = measure(network)
        print("  " + ", ".join(f"{key} {row['value']:.4g}" for key, row in found.items()), flush=True)
        if arguments.measure:
            cards.update(name, metrics=found, description=run.__doc__)
            continue
        cards.write(
            name,
            network,
            builder=builder,
            arguments=builder_arguments,
            made_by=f"python tools/train_checkpoints.py {name} --seed {arguments.seed}",
            description=run.__doc__,
            seed=arguments.seed,
            metrics=found,
        )


if __name__ == "__main__":
    main()
