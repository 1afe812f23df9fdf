"""Train a GAN on your own pictures, sample from it and evaluate it, without a notebook."""

import argparse
import json
import shlex
import sys
import time
import warnings
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from ganutils import (
    callbacks,
    checkpoints,
    data,
    features,
    losses,
    metrics,
    models,
    plotting,
    training,
    validation,
)
from ganutils.doctor import doctor

SIZES = (28, 32, 64)
BATCH_SIZE = 64
_FEW, _MOST = 200, 1_000_000  # pictures
BETTER = {name: "lower" for name in ("frechet_distance", "kernel_distance", "class_divergence", "copies")}
BETTER |= {"nearest_neighbour_accuracy": "0.5", "density": "as real", "vendi_score": "as real"}
_COPIES = 0.35  # a nearest-neighbour accuracy below this suggests copies


def load(path, size=32, grey=False, most=None):
    """Return a `data.Folder`, with uint8 images, of a folder of pictures or of an .npy file."""
    path = Path(path)
    if most is not None:
        validation.whole_number(most, "--most", 1)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; give a folder of pictures, or an .npy file of images")
    if path.suffix != ".npy":
        return data.load_folder(path, size, 1 if grey else 3, most)
    try:
        images = np.load(path, allow_pickle=False)
    except ValueError:
        raise ValueError(f"{path} does not hold an array of numbers; save one with numpy.save(path, images)") from None
    images = validation.check_images(images if images.ndim != 4 else images[:most], str(path))
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"{path}: images have {images.shape[-1]} channels; give 1 (grey) or 3 (colour)")
    return data.Folder(images if images.dtype == np.uint8 else data.unscale(images), None, (), [], [])


def check_options(arguments, *paths):
    """Raise a ValueError for options of folders where there are only arrays."""
    if all(Path(path).suffix == ".npy" for path in paths) and (arguments.grey or arguments.size != 32):
        raise ValueError("an array has its size and colours already; leave out --size and --grey")


def evaluate(arguments):
    """Compare generated pictures with real ones."""
    check_options(arguments, arguments.real, arguments.fake)
    real, fake = (
        load(path, arguments.size, arguments.grey, arguments.most).images for path in (arguments.real, arguments.fake)
    )
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(
            f"{arguments.real} has images of shape {real.shape[1:]} and {arguments.fake} of {fake.shape[1:]}; give "
            "images of one shape"
        )
    # Half of the real images represents a perfect generator, whose score is the floor.
    order, n = np.random.default_rng(0).permutation(len(real)), min(len(real) // 2, len(fake))
    if n < 10:
        raise ValueError(f"{len(real)} real and {len(fake)} generated images are too few; give at least 20 and 10")
    extract = features.digit_classifier() if arguments.features == "digits" else features.untrained(real.shape[1:])
    parts = [extract(images) for images in (real[order[:n]], fake[:n], real[order[n : 2 * n]])]
    with warnings.catch_warnings():  # they are printed below, once
        warnings.simplefilter("ignore", UserWarning)
        found, floor = metrics.evaluate(parts[0], parts[1]), metrics.evaluate(parts[0], parts[2])
    cautions = metrics.cautions(n, getattr(parts[0], "features", parts[0]).shape[1])
    if found["nearest_neighbour_accuracy"] < _COPIES:
        cautions.append("many generated pictures are closer to a real one than real ones are to each other: copies?")
    if Path(arguments.real).resolve() == Path(arguments.fake).resolve():
        cautions.append("real and generated pictures are the same")
    if arguments.json:
        rows = {name: {"value": value, "floor": floor[name]} for name, value in found.items()}
        said = {name: str(getattr(arguments, name)) for name in ("real", "fake", "features")}
        print(json.dumps({**said, "samples": n, "seed": 0, "measures": rows, "cautions": cautions}))
        return 0
    print(f"{n} images of {arguments.fake} against {n} of {arguments.real}, in `{arguments.features}` features.\n")
    print(f"{'measure':28}{'better':>8}{'generated':>12}{'real (floor)':>14}")
    for name, value in found.items():
        print(f"{name.replace('_', ' '):28}{BETTER.get(name, 'higher'):>8}{value:12.4g}{floor[name]:14.4g}")
    print("\nThe last column is the score of other real images in place of the generated ones.")
    print("\n".join(f"Caution: {text.rstrip('?.')}{'?' if text.endswith('?') else '.'}" for text in cautions))
    return 0


def sample(arguments):
    """Sample images from a trained generator, as a grid, a folder of pictures, or an .npy file."""
    network, card = checkpoints.load_checkpoint(arguments.checkpoint), checkpoints.read_card(arguments.checkpoint)
    n, rng = validation.whole_number(arguments.number, "-n", 1, _MOST), validation.generator(arguments.seed)
    latents = rng.standard_normal((n, network.inputs[0].shape[-1])).astype("float32")
    labels = np.arange(n) % validation.classes_of(network) if len(network.inputs) == 2 else None
    write(draw(network, latents, labels), Path(arguments.out), labels, card.get("classes"))
    print(f"{arguments.out}: {n} images of {arguments.checkpoint}, seed {arguments.seed}")
    return 0


def draw(network, latents, labels=None):
    """Return uint8 images of a generator, for latents and, if it is conditional, labels; the largest, if of sizes."""
    inputs = latents if labels is None else [latents, labels]
    images = network.predict(inputs, batch_size=250, verbose=0)
    return data.unscale(images[-1] if isinstance(images, list) else images)


def write(images, path, labels=None, names=None):
    """Write uint8 images: as a grid to a .png file, as an array to an .npy file, or as PNG files into a folder.

    With labels, the grid has a row, and the folder a subfolder, for each class, under its name.
    """
    if path.suffix.lower() not in (".png", ".npy", ""):
        raise ValueError(f"--out {path} is not allowed; give a .png or .npy file, or a folder for single pictures")
    if path.suffix.lower() == ".npy" and path.exists():
        raise ValueError(f"{path} already exists; choose another --out, or delete it")
    if not path.suffix and path.is_dir() and any(path.iterdir()):
        raise ValueError(f"{path} is not empty, and its pictures would be mixed with these; choose another --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".png":
        columns = int(np.ceil(np.sqrt(len(images)))) if labels is None else np.bincount(labels).max()
        labelled = {} if labels is None else {"labels": labels, "names": names}
        grid = plotting.class_grid if labelled else plotting.image_grid
        path.write_bytes(plotting.png_bytes(grid(images, columns=columns, **labelled)))
    elif path.suffix:
        np.save(path, images)
    else:
        for i, image in enumerate(images):
            of = path if labels is None else path / str(labels[i] if names is None else names[labels[i]])
            of.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(of / f"{i:05d}.png")


class Report(keras.callbacks.Callback):
    """Print a line and write a picture at intervals, and stop when the time is over."""

    def __init__(self, minutes, picture):
        super().__init__()
        self.seconds, self.picture = 60 * minutes, picture

    def on_train_begin(self, logs=None):
        self._start = self._last = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        now = time.perf_counter()
        over = now - self._start > self.seconds
        if over or now - self._last > min(30.0, self.seconds / 4):
            self._last = now
            numbers = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in logs.items())
            print(f"{(now - self._start) / 60:5.1f} of {self.seconds / 60:g} min, pass {epoch + 1}: {numbers}")
            self.picture(f"pass-{epoch + 1:04d}.png")
        self.model.stop_training |= over


def train(arguments):
    """Train lesson 02's small DCGAN on a folder of pictures, and save its generator."""
    minutes = validation.number(arguments.minutes, "--minutes", 0, 60 * 24 * 365)
    check_options(arguments, arguments.folder)
    given, folder = load(arguments.folder, arguments.size, arguments.grey, arguments.most), Path(arguments.out)
    if arguments.by_class and len(given.classes) < 2:
        loose = next((name for name in given.files if "/" not in name), None)
        what = f"{loose} is in none" if loose else f"there is only {given.classes[0]}"
        raise ValueError(f"--by-class needs all pictures in two or more subfolders of {arguments.folder}, but {what}")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder} is a file; give a folder for samples and weights")
    folder.mkdir(parents=True, exist_ok=True)
    if (n := len(given.images)) < _FEW:
        print(f"A GAN soon memorises so few pictures ({n}): a few hundred are a start, thousands are good.")
    shape, classes = given.images.shape[1:], len(given.classes) if arguments.by_class else 0
    keras.utils.set_random_seed(arguments.seed)
    options = {"average": 0.99, "penalty": losses.R1(1.0), "seed": arguments.seed}
    lesson = "Lesson 03's conditional GAN" if classes else "Lesson 02's DCGAN"
    if classes:
        networks = (
            models.conditional_generator(classes=classes, image_shape=shape),
            models.conditional_discriminator(classes, image_shape=shape),
        )
        gan = training.ConditionalGAN(*networks, **options)
    else:
        networks = models.fast_dcgan_generator(image_shape=shape), models.fast_dcgan_discriminator(shape)
        gan = training.GAN(*networks, **options)
    gan.compile(*(keras.optimizers.Adam(2e-3, beta_1=0.0, beta_2=0.99) for _ in range(2)))
    labels = given.labels if classes else None
    batch_size = min(BATCH_SIZE, len(given.images))
    batches = data.pipeline(given.images, labels, batch_size=batch_size, seed=arguments.seed)
    print(f"Pictures: {n} of {' x '.join(map(str, shape))}; samples and weights go to {folder}")
    wanted = np.arange(8 * classes) % classes if classes else None
    latents = np.random.default_rng(arguments.seed).standard_normal((8 * (classes or 8), gan.latent_dim))

    def picture(name):
        write(draw(gan, latents.astype("float32"), wanted), folder / name, wanted, given.classes)

    backup = callbacks.Backup(folder / "backup")
    before = folder / "generator.json"
    made = f"It was made by: {checkpoints.read_card(before)['command']}. " if before.is_file() else ""
    backup.advice = f"{made}Choose another --out, or delete {folder}."
    try:  # `Report` ends this call when the time is over; the run itself has no end
        gan.fit(batches, epochs=10**6, verbose=0, callbacks=[Report(minutes, picture)], backup=backup)
    except KeyboardInterrupt:
        print("interrupted: no generator is written. The same command resumes after the last finished pass")
        return 130
    picture("samples.png")
    card = checkpoints.save_checkpoint(
        folder / "generator.json",
        gan.averaged_generator,
        builder="conditional_generator" if classes else "fast_dcgan_generator",
        arguments={"image_shape": list(shape), **({"classes": classes} if classes else {})},
        description=f"{lesson} after {int(gan.optimizers['generator'].iterations)} steps on {arguments.folder}.",
        command=f"python -m ganutils {shlex.join(map(str, arguments.given))}",
        seed=arguments.seed,
        metrics={},
        classes=given.classes if classes else (),
    )
    print(f"{card}: sample with `python -m ganutils sample {shlex.quote(str(folder))}`; the same command trains on")
    return 0


def parser():
    """Return the command line's parser."""
    top = argparse.ArgumentParser(prog="python -m ganutils", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(function, **options):
        added = commands.add_parser(function.__name__, help=function.__doc__, description=function.__doc__, **options)
        added.set_defaults(run=function)
        return added

    def pictures(added):
        added.add_argument("--size", type=int, default=32, choices=SIZES, help="side of the images in pixels (32)")
        added.add_argument("--grey", action="store_true", help="one channel instead of three")
        added.add_argument("--most", type=int, help="maximum number of pictures to read from a folder")

    added = command(evaluate)
    added.add_argument("real", metavar="REAL", help="folder of real pictures, or an .npy file of images")
    added.add_argument("fake", metavar="FAKE", help="folder of generated pictures, or an .npy file")
    added.add_argument(
        "--features",
        choices=("untrained", "digits"),
        default="untrained",
        help="features to compare: `untrained` for any pictures, `digits` for 28 x 28 grey digits (untrained)",
    )
    added.add_argument("--json", action="store_true", help="print JSON instead of a table")
    pictures(added)
    added = command(sample)
    added.add_argument("checkpoint", metavar="CHECKPOINT", help="dcgan, conditional_gan, or the folder of `train`")
    added.add_argument("-n", "--number", type=int, default=64, help="how many images (64)")
    added.add_argument("--out", default="samples.png", help="a .png for a grid, an .npy, or a folder (samples.png)")
    added.add_argument("--seed", type=int, default=0, help="another number gives other images (0)")
    added = command(train)
    added.add_argument("folder", metavar="FOLDER", help="folder of pictures, also in subfolders")
    added.add_argument("--minutes", type=float, default=5, help="how long to train in this call (5)")
    added.add_argument("--out", default="my_gan", help="folder for samples, backup, weights and model card (my_gan)")
    added.add_argument("--by-class", action="store_true", help="train a conditional GAN with a class per subfolder")
    added.add_argument("--seed", type=int, default=0, help="seed of weights, latents and order of the pictures (0)")
    pictures(added)
    command(doctor)
    return top


def main(arguments=None):
    """Run a command and return its exit code; for errors that the user can fix, print one sentence and return 2."""
    given = parser().parse_args(arguments)
    given.given = sys.argv[1:] if arguments is None else arguments
    try:
        return given.run(given)
    except (ValueError, OSError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
