"""Train the weights in data/checkpoints, and write their model cards.

    python tools/train_checkpoints.py                     all generators; some five hours on two processor cores
    python tools/train_checkpoints.py early noisy         some of them
    python tools/train_checkpoints.py digit_classifier    the classifier whose features the metrics use; five minutes
    python tools/train_checkpoints.py face_reader_32      reads faces of 32 pixels; face_reader_64 of 64; 15 min
    python tools/train_checkpoints.py --measure           no training: measure the shipped generators again

After an interruption, the same command resumes the long runs, such as dcgan and lapgan, from their last finished
epoch. The backups are in build/checkpoints.
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np
import recipes
import tensorflow as tf
from keras import layers

from ganutils import callbacks, checkpoints, data, faces, features, losses, metrics, models, training

BUILD = Path(__file__).resolve().parents[1] / "build" / "checkpoints"
CLASSIFIER = "digit_classifier"
READERS = {"face_reader_32": 32, "face_reader_64": 64}
LATENT_DIM = 32
COMMON = {"skin": 0, "hair": 0, "beard": 5}  # of the skewed faces
BATCH_SIZE = 64
SAMPLES = 5_000
# Another machine adds up in another order; this is far more than that does, and far less than a worse generator.
TOLERANCE = {"frechet_distance": 0.3, "inception_score": 0.03, "precision": 0.01, "recall": 0.01, "fidelity": 0.002}
TOLERANCE |= {"psnr": 0.05, "kept": 0.005}
TOLERANCE |= {"attribute_fidelity": 0.01, "values_missing": 0, "new_combinations": 0.01, "copies": 0.005}


def train_gan(name, recipe, epochs, seed):
    """Train a lesson's recipe for the full run, with learning rates that decay to zero; resume an interrupted run."""
    images, labels = data.load_dataset()
    gan = recipe(seed, average=0.999, steps=epochs * (len(images) // BATCH_SIZE))
    labels = labels if isinstance(gan, training.ConditionalGAN) else None
    batches = data.pipeline(images, labels, batch_size=BATCH_SIZE, seed=seed)
    backup = callbacks.Backup(BUILD / f"{name}-{epochs}")
    gan.fit(batches, epochs=epochs, verbose=0, callbacks=[callbacks.Progress("lines")], backup=backup)
    return gan.averaged_generator


def dcgan(seed):
    """The DCGAN of lesson 02 after 30 passes over MNIST, its rates falling to zero."""
    return train_gan("dcgan", recipes.dcgan, 30, seed)


def conditional_gan(seed):
    """The conditional GAN of lesson 03 after 30 passes over MNIST, its rates falling to zero."""
    return train_gan("conditional_gan", recipes.conditional_gan, 30, seed)


def train_pyramid(name, images, steps, seed):
    """Train each GAN of lesson 06 for so many steps on `images`, a list from small to large; return them joined."""
    gans = recipes.lapgan(seed, images[-1].shape[1:], len(images) - 1, average=0.999, steps=steps)
    for gan, real, count in zip(gans, images, steps, strict=True):
        batches = data.pipeline(real, batch_size=BATCH_SIZE, seed=seed)
        backup = callbacks.Backup(BUILD / f"{name}-{real.shape[1]}-{count}")
        epochs = {"epochs": 10, "steps_per_epoch": count // 10}
        gan.fit(batches, verbose=0, callbacks=[callbacks.Progress("lines")], backup=backup, **epochs)
    return models.lapgan.join(*(gan.averaged_generator for gan in gans))


def lapgan(seed):
    """The three GANs of lesson 06 on digits of 7, 14 and 28 pixels, after 40,000, 9,000 and 4,500 steps."""
    images = [data.as_float(data.load_dataset().images)]
    for _ in range(2):
        images.insert(0, np.asarray(models.halve(images[0])))
    return train_pyramid("lapgan", images, [40_000, 9_000, 4_500], seed)


def lapgan_faces(seed):
    """The three GANs of lesson 06 on composed faces of 8, 16 and 32 pixels, after 40,000, 9,000 and 4,500 steps."""
    images = [faces.load(40_000, size, seed=1).images for size in (16, 32)]
    smallest = np.asarray(models.halve(data.as_float(images[0])))
    return train_pyramid("lapgan_faces", [smallest, *images], [40_000, 9_000, 4_500], seed)


def train_on_faces(name, gan, size, steps, batch_size, seed):
    """Train a GAN on 40,000 composed faces, in epochs of 1,000 steps, and return the average of its generators."""
    batches = data.pipeline(faces.load(40_000, size, seed=1).images, batch_size=batch_size, seed=seed)
    backup = callbacks.Backup(BUILD / f"{name}-{steps}")
    watching = [callbacks.Progress("lines")]
    gan.fit(batches, epochs=steps // 1000, steps_per_epoch=1000, verbose=0, callbacks=watching, backup=backup)
    return gan.averaged_generator


def dcgan_faces(seed):
    """The DCGAN of lesson 02 in colour, on composed faces of 32 pixels, after 60,000 steps of 32, with a weak R1."""
    gan = recipes.dcgan_faces(seed, average=0.999, steps=60_000)
    gan.penalty = losses.R1(0.1, every=8)  # the pictures are surer than with 1.0, though further from the real ones
    return train_on_faces("dcgan_faces", gan, 32, 60_000, 32, seed)


def progressive_faces(seed):
    """The GAN of lesson 07, grown from 8 to 64 pixels on composed faces in 4,000, 8,000, 16,000 and 40,000 steps."""
    steps = (4_000, 8_000, 16_000, 40_000)
    gan = recipes.pggan(seed, steps=steps, average=0.999, decay=True)
    return models.bounded_generator(train_on_faces("progressive_faces", gan, 64, sum(steps), 32, seed))


def train_enlarger(name, images, small, steps, seed, start=None, **terms):
    """Train lesson 08's network, in epochs of 1,000 steps of 16 images; `start` names the shipped one to begin with."""
    path = checkpoints.FOLDER / f"{start}.weights.h5" if isinstance(start, str) else start
    model = recipes.super_resolution(seed, small, images.shape[1:], average=0.999, steps=steps, start=path, **terms)
    batches = data.pipeline(images, batch_size=16, seed=seed)
    backup, watching = callbacks.Backup(BUILD / f"{name}-{steps}"), [callbacks.Progress("lines")]
    model.fit(batches, epochs=steps // 1000, steps_per_epoch=1000, verbose=0, callbacks=watching, backup=backup)
    return model.averaged["generator"]


def sr_digits_pixel(seed):
    """Enlarges digits from 4 to 28 pixels: the network of lesson 08 after 60,000 steps on pixel error."""
    return train_enlarger("sr_digits_pixel", data.load_dataset().images, (4, 4), 60_000, seed)


def sr_digits(seed):
    """The same after 60,000 further steps with an adversarial term."""
    terms = {"start": "sr_digits_pixel", "adversarial": 0.1}
    return train_enlarger("sr_digits", data.load_dataset().images, (4, 4), 60_000, seed, **terms)


def sr_faces_pixel(seed):
    """Enlarges composed faces from 8 to 64 pixels: the network of lesson 08 after 30,000 steps on pixel error."""
    return train_enlarger("sr_faces_pixel", faces.load(40_000, 64, seed=1).images, (8, 8), 30_000, seed)


def sr_faces(seed):
    """The same after 20,000 further steps with an adversarial term."""
    terms = {"start": "sr_faces_pixel", "adversarial": 0.005}
    return train_enlarger("sr_faces", faces.load(40_000, 64, seed=1).images, (8, 8), 20_000, seed, **terms)


def sr_faces_skewed(seed):
    """Like sr_faces, but trained on skewed faces alone: nine in ten have the first skin, first hair, and no beard."""
    images = faces.compose(skewed(faces.choose(40_000, seed=1)), 64)
    start = train_enlarger("sr_faces_skewed_pixel", images, (8, 8), 30_000, seed)
    path = BUILD / "sr_faces_skewed_pixel.weights.h5"
    start.save_weights(path)
    return train_enlarger("sr_faces_skewed", images, (8, 8), 20_000, seed, start=path, adversarial=0.005)


def skewed(attributes, share=0.9, seed=0):
    """Return attributes (n, 10) of which each of three has its common value with this probability, else as it was."""
    attributes, rng = attributes.copy(), np.random.default_rng(seed)
    for name, value in COMMON.items():
        attributes[rng.random(len(attributes)) < share, faces.ATTRIBUTES.index(name)] = value
    return attributes


def early(seed):
    """The DCGAN of lesson 02 after 200 training steps."""
    gan = recipes.dcgan(seed, average=0.9)
    batches = data.pipeline(data.load_dataset().images, batch_size=BATCH_SIZE, seed=seed)
    gan.fit(batches, steps_per_epoch=200, verbose=0)
    return gan.averaged_generator


def collapsed(seed):
    """The DCGAN of lesson 02, trained on shuffled digits at first and then on digits sorted by class."""
    gan = recipes.dcgan(seed, average=0.98)
    images, labels = data.load_dataset()
    gan.fit(data.pipeline(images, batch_size=BATCH_SIZE, seed=seed), epochs=3, verbose=0)
    for digit in range(10):
        gan.fit(data.pipeline(images[labels == digit], batch_size=BATCH_SIZE, seed=seed), epochs=1, verbose=0)
    return gan.averaged_generator


def noisy(seed):
    """The shipped DCGAN, with noise in each pixel."""
    network = checkpoints.noisy_generator(LATENT_DIM, scale=0.5)
    network.get_layer("dcgan_generator").set_weights(checkpoints.load_checkpoint("dcgan").get_weights())
    return network


def memorising(seed):
    """The first 2,000 training images by heart: a latent chooses one of them."""
    network = checkpoints.memorising_generator(LATENT_DIM)
    images = data.load_dataset().images
    codes = np.random.default_rng(seed + 1000).standard_normal((2000, LATENT_DIM)).astype("float32")
    network.get_layer("memory").set_weights([codes, images[:2000]])
    return network


# Builder and arguments of each; noisy needs dcgan.
RUNS = {
    dcgan: ("fast_dcgan_generator", {"latent_dim": LATENT_DIM}),
    conditional_gan: ("conditional_generator", {"latent_dim": LATENT_DIM}),
    lapgan: ("lapgan_generator", {"image_shape": (28, 28, 1)}),
    lapgan_faces: ("lapgan_generator", {"image_shape": (32, 32, 3)}),
    dcgan_faces: ("dcgan_generator", recipes.FACES_GENERATOR),
    progressive_faces: ("bounded_generator", {}),
    sr_digits_pixel: ("sr_generator", {"small": (4, 4)}),
    sr_digits: ("sr_generator", {"small": (4, 4)}),
    sr_faces_pixel: ("sr_generator", {"image_shape": (64, 64, 3), "small": (8, 8)}),
    sr_faces: ("sr_generator", {"image_shape": (64, 64, 3), "small": (8, 8)}),
    sr_faces_skewed: ("sr_generator", {"image_shape": (64, 64, 3), "small": (8, 8)}),
    early: ("fast_dcgan_generator", {"latent_dim": LATENT_DIM}),
    collapsed: ("fast_dcgan_generator", {"latent_dim": LATENT_DIM}),
    noisy: ("noisy_generator", {"latent_dim": LATENT_DIM, "scale": 0.5}),
    memorising: ("memorising_generator", {"latent_dim": LATENT_DIM}),
}


def fit_classifier(images, labels, epochs, seed, batch_size=128, verbose=0):
    """Return a `features.Classifier`, trained from scratch with small random rotations and shifts of the digits."""
    keras.utils.set_random_seed(seed)
    network = features.classifier_network()
    empty = {"fill_mode": "constant", "fill_value": -1.0}
    turn = layers.RandomRotation(10 / 360, **empty, seed=seed)
    shift = layers.RandomTranslation(2 / 28, 2 / 28, **empty, seed=seed + 1)
    augment = keras.Sequential([turn, shift])
    trained = keras.Model(network.input, network.outputs[1])
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * (len(images) // batch_size))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile(keras.optimizers.Adam(rate, beta_2=0.99), loss, metrics=["accuracy"])
    batches = tf.data.Dataset.from_tensor_slices((data.as_float(images), labels)).shuffle(len(images), seed=seed)
    batches = batches.batch(batch_size, drop_remainder=True)
    batches = batches.map(lambda batch, label: (augment(batch, training=True), label)).prefetch(2)
    trained.fit(batches, epochs=epochs, verbose=verbose, shuffle=False)
    return features.Classifier(network)


def train_classifier(seed, epochs):
    """Train the digit classifier, and write its weights and model card.

    Raises:
        SystemExit: its accuracy on the test images is too low; nothing is stored.
    """
    train, test = data.load_dataset(), data.load_dataset(split="test")
    classifier = fit_classifier(train.images, train.labels, epochs, seed, verbose=2)
    accuracy = float((classifier(test.images).probabilities.argmax(axis=1) == test.labels).mean())
    print(f"Accuracy on {len(test.labels):,} test images: {accuracy:.2%}")
    if accuracy < 0.992:
        raise SystemExit("That is below 99.2%; nothing was stored.")
    write(
        CLASSIFIER,
        classifier.network,
        builder="features.classifier_network",
        arguments={},
        command=f"python tools/train_checkpoints.py {CLASSIFIER} --epochs {epochs} --seed {seed}",
        description="Classifier of MNIST digits, trained on the 60,000 training images turned and shifted a little.",
        seed=seed,
        metrics={"accuracy": {"value": accuracy, "tolerance": 0.001, "samples": len(test.labels)}},
    )
    print("The generators were measured with the old one: run python tools/train_checkpoints.py --measure")


def fit_reader(size, seed, steps=3600, batch_size=128):
    """Return a `features.FaceReader`, trained from scratch on 40,000 faces with a little noise."""
    keras.utils.set_random_seed(seed)
    network = features.reader_network(size)
    images, attributes = faces.load(40_000, size, seed=1)
    counts = [len(values) for values in faces.VALUES.values()]
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)

    def loss(targets, logits):
        targets, parts = tf.cast(targets, "int64"), tf.split(logits, counts, axis=1)  # Keras makes floats of them
        errors = tf.nn.sparse_softmax_cross_entropy_with_logits
        return tf.add_n([errors(targets[:, i], part) for i, part in enumerate(parts)])

    def noisy(batch, targets):
        batch = data.scale(batch)
        level = tf.random.uniform((batch_size, 1, 1, 1), 0.0, 0.03, seed=seed)  # at most 4 of 255 brightness levels
        return tf.clip_by_value(batch + level * tf.random.normal(tf.shape(batch), seed=seed + 1), -1, 1), targets

    trained = keras.Model(network.input, network.outputs[1])
    trained.compile(keras.optimizers.Adam(rate, beta_2=0.99), loss)
    batches = tf.data.Dataset.from_tensor_slices((images, attributes)).shuffle(len(images), seed=seed).repeat()
    batches = batches.batch(batch_size).map(noisy).prefetch(2)
    trained.fit(batches, epochs=10, steps_per_epoch=steps // 10, verbose=2, shuffle=False)
    return features.FaceReader(network)


def train_reader(name, seed, samples=5_000):
    """Train a reader of composed faces, and write its weights and model card."""
    size = READERS[name]
    reader = fit_reader(size, seed)
    images, attributes = faces.load(samples, size, seed=2, split="test")
    found = reader(images).probabilities
    right = {name: found[name].argmax(axis=1) == row for name, row in zip(found, attributes.T, strict=True)}
    accuracies = {
        name: {"value": float(hits.mean()), "tolerance": 0.005, "samples": samples} for name, hits in right.items()
    }
    print(", ".join(f"{attribute} {row['value']:.3f}" for attribute, row in accuracies.items()))
    write(
        name,
        reader.network,
        builder="features.reader_network",
        arguments={"size": size},
        command=f"python tools/train_checkpoints.py {name} --seed {seed}",
        description=f"Reads the ten attributes of composed faces of {size} pixels; with the accuracy in each.",
        seed=seed,
        metrics=accuracies,
    )


def write(name, network, **card):
    """Write a network's weights and model card to data/checkpoints; arguments of `checkpoints.save_checkpoint`."""
    checkpoints.save_checkpoint(checkpoints.FOLDER / f"{name}.json", network, **card)


def write_card(name, card):
    """Write a model card without changing the weights."""
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    (checkpoints.FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


def measure(network):
    """Return a card's metrics of 5,000 samples, each with its floor: the same metric of as many real images.

    Both are measured against one half of the test images, and the floor with the other half: neither the generator nor
    the classifier has seen any of them, so the floor is what a perfect generator would score.
    """
    if len(network.inputs[0].shape) == 4:
        return measure_enlarger(network)
    rng = np.random.default_rng(0)
    chosen, others = rng.permutation(2 * SAMPLES).reshape(2, SAMPLES)  # the digits' order is not random
    latents = rng.standard_normal((SAMPLES, network.inputs[0].shape[-1])).astype("float32")
    conditional = len(network.inputs) == 2
    labels = np.arange(SAMPLES) % 10
    drawn = network.predict([latents, labels] if conditional else latents, batch_size=500, verbose=0)
    drawn = drawn[-1] if isinstance(drawn, list) else drawn  # the largest
    if drawn.shape[-1] == 3:
        return rows(*measure_faces(drawn))
    classifier = features.digit_classifier()
    images, classes = data.load_dataset(split="test")
    reference, other, fake = (classifier(each) for each in (images[chosen], images[others], drawn))

    def measured(found, wanted):
        values = distances(reference, found)
        values["inception_score"] = metrics.inception_score(found.probabilities).mean
        if conditional:
            values["fidelity"] = metrics.conditional_fidelity(found.probabilities, wanted).accuracy
        return values

    return rows(measured(fake, labels), measured(other, classes[others]))


def distances(reference, found):
    precision, recall = metrics.precision_recall(reference.features, found.features)
    distance = metrics.frechet_distance(reference.features, found.features)
    return {"frechet_distance": distance, "precision": precision, "recall": recall}


def measure_faces(drawn):
    """Return the metrics of generated faces, and those of as many real ones."""
    size = drawn.shape[1]
    reader = features.face_reader(size)
    images, _ = faces.load(2 * SAMPLES, size, seed=3, split="test")
    known = faces.load(40_000, 32, seed=1)  # copies are looked for at this size, at 64 it would take minutes
    training = dict(zip(faces.ATTRIBUTES, known.attributes.T, strict=True))
    reference = reader(images[:SAMPLES])

    def at_32(pictures):
        pictures = data.as_float(pictures)
        return data.unscale(np.asarray(models.halve(pictures)) if size == 64 else pictures)

    def measured(pictures):
        found = reader(pictures)
        fidelity = reader.fidelity(found, training)
        missing = sum(map(len, fidelity.missing.values()))
        copies = metrics.memorisation(at_32(pictures), known.images, at_32(images[:SAMPLES]))
        more = {"attribute_fidelity": fidelity.share, "values_missing": missing, "new_combinations": fidelity.new}
        return distances(reference, found) | more | {"copies": copies.share}

    return measured(drawn), measured(images[SAMPLES:])


def measure_enlarger(network):
    """Return the metrics of enlarged test images, and those of the images themselves as floors.

    `kept` is the share of digits whose class is read, or of the ten attributes of faces.
    """
    height, _, colours = network.output_shape[1:]
    if colours == 3:
        real, wanted = faces.load(SAMPLES, height, seed=2, split="test")
        others, reader = faces.load(SAMPLES, height, seed=3, split="test").images, features.face_reader(height)
    else:
        chosen, rest = np.random.default_rng(0).permutation(2 * SAMPLES).reshape(2, SAMPLES)
        test, reader = data.load_dataset(split="test"), features.digit_classifier()
        real, wanted, others = test.images[chosen], test.labels[chosen], test.images[rest]
    reference, true = reader(others).features, data.as_float(real)
    small = models.shrink(true, height // network.input_shape[1])
    drawn = network.predict(small, batch_size=100, verbose=0).clip(-1, 1)

    def measured(images):
        read = reader(images)
        found = read.probabilities
        values = np.stack([p.argmax(axis=1) for p in (found.values() if colours == 3 else [found])], axis=1)
        distance = metrics.frechet_distance(reference, read.features)
        return {"frechet_distance": distance, "kept": float(np.mean(values == wanted.reshape(len(values), -1)))}

    nearness = {"psnr": float(np.mean(models.srgan.psnr(drawn, true)))}
    return rows(measured(drawn) | nearness, measured(true))


def rows(values, floor):
    return {
        name: {
            "value": round(value, 4),
            "tolerance": TOLERANCE[name],
            **({"floor": round(floor[name], 4)} if name in floor else {}),
            "samples": SAMPLES,
        }
        for name, value in values.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    generators = [run.__name__ for run in RUNS]
    allowed = [*generators, CLASSIFIER, *READERS]
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of {', '.join(allowed)}; by default {', '.join(generators)}"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=8, help=f"epochs of {CLASSIFIER}; the generators' are fixed")
    parser.add_argument("--measure", action="store_true", help="train nothing, only update the generators' model cards")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(allowed):
        parser.error(f"unknown {', '.join(sorted(unknown))}; choose from {', '.join(allowed)}")
    if arguments.measure and (judges := {CLASSIFIER, *READERS} & set(arguments.names)):
        parser.error(f"--measure is for the generators; {', '.join(sorted(judges))} is measured when it is trained")
    if CLASSIFIER in arguments.names:  # first, because the others are measured with it
        train_classifier(arguments.seed, arguments.epochs)
    for name in (name for name in READERS if name in arguments.names):
        train_reader(name, arguments.seed)
        print("Generators of faces were measured with the old one: run python tools/train_checkpoints.py --measure")
    for run, (builder, builder_arguments) in RUNS.items():
        name = run.__name__
        if arguments.names and name not in arguments.names:
            continue
        print(f"{name}: {run.__doc__}", flush=True)
        keras.utils.set_random_seed(arguments.seed)
        network = checkpoints.load_checkpoint(name) if arguments.measure else run(arguments.seed)
        found = measure(network)
        print("  " + ", ".join(f"{key} {row['value']:.4g}" for key, row in found.items()), flush=True)
        if arguments.measure:
            write_card(name, {**checkpoints.read_card(name), "metrics": found, "description": run.__doc__})
            continue
        write(
            name,
            network,
            builder=builder,
            arguments=builder_arguments,
            command=f"python tools/train_checkpoints.py {name} --seed {arguments.seed}",
            description=run.__doc__,
            seed=arguments.seed,
            metrics=found,
        )
        for backup in BUILD.glob(f"{name}-*.npz"):  # so that the next call trains from scratch
            backup.unlink()


if __name__ == "__main__":
    main()
