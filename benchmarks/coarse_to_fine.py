"""What the GANs of lessons 06 and 07 reach in a given time, for `quality.py`, which has the commands.

`lapgan`: the three GANs of the pyramid on digits share the time. Measured is the Fréchet distance, FID (digits), of
10,000 samples from noise, and of those that the levels make of real pictures of 14 x 14 and of 7 x 7.

`pggan_32`, `pggan_64`: the GAN of lesson 07 grows to so many pixels on composed faces; `pggan_at_once_32` and `_64`
are its last networks, trained from the first second; `dcgan_faces` is the recipe of lesson 02, in colour, at 32
pixels. Measured is FID (faces), and on which share of the samples the reader is sure of every attribute that it reads
well, over that share of real faces, and how many values of attributes are missing. 5,000 samples. Beside each distance
is its floor, that of as many other real images; and beside those of a growing GAN its size and α.
"""

import time

import common  # noqa: F401  (says how many threads there are)

RECIPES = ("lapgan", "dcgan_faces", "pggan_32", "pggan_at_once_32", "pggan_64", "pggan_at_once_64")
SECONDS = {"lapgan": 150, "dcgan_faces": 150, "pggan_32": 150, "pggan_at_once_32": 150}  # the others have 300
LONG = dict.fromkeys(("pggan_64", "pggan_at_once_64"), 1800)  # seconds, with one seed
SHARES = (0.3, 0.3, 0.4)  # of the time, for the GANs of the pyramid, from small to large
FACES = 20_000
SAMPLES = 5_000
TIMED_STEPS = 24  # R1 is charged in every eighth


def recipe(name, seconds):
    """Return a recipe that is to be trained for so many seconds."""
    return Pyramid() if name == "lapgan" else Faces(name, seconds)


class Pyramid:
    """The recipe of lesson 06, with the methods of `published.Recipe`, and one to measure it."""

    def __init__(self):
        import numpy as np

        from ganutils import data, features, models

        self.classifier = features.digit_classifier()
        digits = [data.load_dataset(split=split).images for split in ("train", "test")]
        self.images, self.test = ([data.as_float(each)] for each in digits)
        for sizes in (self.images, self.test):
            for _ in range(2):
                sizes.insert(0, np.asarray(models.halve(sizes[0])))

    def build(self, seed):
        """Make all GANs, and take the first step of each."""
        import recipes

        from ganutils import data

        self.gans, self.batches = recipes.lapgan(seed), []
        for gan, images in zip(self.gans, self.images, strict=True):
            self.batches.append(data.pipeline(images, batch_size=64, seed=seed))
            gan.fit(self.batches[-1], steps_per_epoch=10, verbose=0)

    def train(self, seconds):
        """Train the GANs, one after another, and return the number of steps of all."""
        from ganutils import callbacks

        steps = 0
        for gan, batches, share in zip(self.gans, self.batches, SHARES, strict=True):
            clock = callbacks.TimeLimit(share * seconds)
            gan.fit(batches, steps_per_epoch=10**9, verbose=0, callbacks=[clock])
            steps += clock.steps
        return steps

    def generate(self, n):
        """Return n digits from noise, uint8 (n, 28, 28, 1), always of the same latents."""
        return self.enlarge(self.gans[0].predict(self.latents(n, 0), batch_size=500, verbose=0), 1)

    def enlarge(self, images, first):
        """Return what the levels make of images, uint8; the first of them has this number."""
        from ganutils import data

        for i, level in enumerate(self.gans[first:], first):
            images = level.predict([self.latents(len(images), i), images], batch_size=500, verbose=0)
        return data.unscale(images)

    def latents(self, n, number):
        import numpy as np

        return np.random.default_rng([n, number]).standard_normal((n, 32)).astype("float32")

    def measure(self, drawn):
        """Return the three distances, of digits from noise and from real test digits of two sizes."""
        from ganutils import metrics

        pictures = {"frechet_distance": drawn}
        pictures |= {"given_7": self.enlarge(self.test[0], 1), "given_14": self.enlarge(self.test[1], 2)}
        real = self.classifier(self.test[-1]).features
        found = {
            name: metrics.frechet_distance(real, self.classifier(images).features) for name, images in pictures.items()
        }
        return found | {"floor": metrics.frechet_distance(real[::2], real[1::2])}


class Faces:
    """A recipe on composed faces, with the methods of `published.Recipe`, and one to measure it.

    Args:
        name: of the recipe.
        seconds: of the training, in all; phases of growing are made for it.
    """

    def __init__(self, name, seconds):
        from ganutils import faces, features

        self.name, _, size = name.rpartition("_")
        self.size, self.seconds = 32 if size == "faces" else int(size), seconds
        self.images = faces.load(FACES, self.size, seed=1).images
        self.reader = features.face_reader(self.size)
        self.real = [self.reader(faces.load(SAMPLES, self.size, seed=seed, split="test").images) for seed in (2, 3)]

    def build(self, seed):
        """Make networks, optimizers and batches, and take the first step."""
        import recipes

        from ganutils import data

        self.batches = data.pipeline(self.images, batch_size=recipes.FACES_AT_ONCE, seed=seed)
        if self.name == "pggan":
            self.gan = recipes.pggan(seed, self.size, self.steps())
        else:
            at_once = self.name == "pggan_at_once"
            self.gan = recipes.pggan_at_once(seed, self.size) if at_once else recipes.dcgan_faces(seed)
        self.gan.fit(self.batches, steps_per_epoch=1, verbose=0)

    def steps(self, clock=time.perf_counter):
        """Return the steps of each phase, so that together they take the time that there is."""
        import keras
        import numpy as np
        import recipes

        sizes, times = recipes.sizes_to(self.size), []
        gan, taken = recipes.pggan(0, self.size, [TIMED_STEPS + 1] * len(sizes)), []
        watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: times.append(clock()))
        gan.fit(self.batches, steps_per_epoch=1, verbose=0)  # the graph holds all sizes
        for i in range(len(sizes)):
            gan.steps_taken.assign(i * (TIMED_STEPS + 1))
            times.clear()
            gan.fit(self.batches, steps_per_epoch=TIMED_STEPS + 1, verbose=0, callbacks=[watch])
            taken.append((times[-1] - times[0]) / TIMED_STEPS)
        shares = np.array(recipes.GROWING[: len(sizes)])
        return np.maximum(shares / shares.sum() * self.seconds / taken, 1).astype(int).tolist()

    def train(self, seconds):
        """Train for some seconds, and return the number of steps."""
        from ganutils import callbacks

        clock = callbacks.TimeLimit(seconds)
        self.gan.fit(self.batches, steps_per_epoch=10**9, verbose=0, callbacks=[clock])
        return clock.steps

    def generate(self, n):
        """Return at most SAMPLES faces, uint8 (n, size, size, 3), always of the same latents."""
        import numpy as np

        from ganutils import data

        latents = np.random.default_rng(0).standard_normal((min(n, SAMPLES), self.gan.latent_dim)).astype("float32")
        return data.unscale(self.gan.predict(latents, batch_size=250, verbose=0))

    def measure(self, drawn):
        """Return the distance, the share of sure samples over that of real ones, and the number of missing values."""
        from ganutils import metrics

        read = self.reader(drawn)
        found, of_real = (self.reader.fidelity(each) for each in (read, self.real[1]))
        real = self.real[0].features
        found = {
            "frechet_distance": metrics.frechet_distance(real, read.features),
            "floor": metrics.frechet_distance(real, self.real[1].features),
            "sure": found.share / of_real.share,
            "missing": sum(map(len, found.missing.values())),
        }
        if self.name == "pggan":
            number, alpha = self.gan.stage(), self.gan.generator.get_layer("fade").alpha
            found |= {"size": self.gan.sizes[number], "alpha": float(alpha)}
        return found
