"""Mode collapse beside the literature: Table 1 of PacGAN, on mixtures in the plane, and Stacked MNIST as in R3GAN.

    python benchmarks/collapse.py mixtures --only ring --iterations 20000 --seeds 0,1,2,3,4
    python benchmarks/collapse.py mixtures --only grid --iterations 40000 --seeds 0,1,2,3,4
    python benchmarks/collapse.py stacked_mnist --iterations 2500 --seeds 0,1,2

Each finished run is added to results/mixtures.json or results/stacked_mnist.json, and is not repeated; a run with other
iterations, or of networks or training steps that were changed since, counts as another one. It can be interrupted.
`benchmarks/report.py` writes the tables.

Mixtures follow PacGAN (Lin et al. 2018, section 4.1 and the code at github.com/fjxmlzn/PacGAN): two latent numbers, a
generator of four layers of 400 units with batch norm and ReLU, a discriminator of three layers of 200 maxout units of
five, weights drawn with a standard deviation of 0.02, Adam with a rate of 1e-4 and beta_1 of 0.8, 100 packs a batch,
100,000 points, and 2,500 generated points that are counted. The paper takes 400,000 iterations. A run also keeps what
was counted at each quarter of it, as `looks`.

Stacked MNIST has three digits as the colours of one image, 1,000 modes. 10,000 samples are read by the course's digit
classifier, each colour by itself. The networks are small: see `stacked_networks`. Without normalisation and penalty
they end with one picture for all latents, which is no digit. PacGAN's generator has batch norm, as in one row here.
"""

import argparse
import hashlib
import inspect
import itertools
import json
import time

import common

RESULTS = common.FOLDER / "results"
MIXTURES = [("ring", 1), ("ring", 2), ("grid", 1), ("grid", 2), ("grid", 4)]  # and the images in a pack
STACKED = {  # loss, γ of R1, whether R2 joins it, images in a pack, share of D's width, batch norm in G
    "relativistic + R1 + R2": ("relativistic", 1.0, True, 1, 1, False),
    "non-saturating + R1 + R2": ("non_saturating", 1.0, True, 1, 1, False),
    "relativistic + R1": ("relativistic", 1.0, False, 1, 1, False),
    "non-saturating + R1": ("non_saturating", 1.0, False, 1, 1, False),
    "this course's recipe": (None, 1.0, False, 1, 1, True),
    "plain, D a half": ("non_saturating", 0.0, False, 1, 0.5, False),
    "plain, D a quarter": ("non_saturating", 0.0, False, 1, 0.25, False),
    "plain, D a quarter, G with batch norm": ("non_saturating", 0.0, False, 1, 0.25, True),
    "packs of 2, D a half": ("non_saturating", 0.0, False, 2, 0.5, False),
    "packs of 2, D a quarter": ("non_saturating", 0.0, False, 2, 0.25, False),
}


def mixture_networks(dimensions, pack):
    """Return PacGAN's generator and discriminator for points of so many dimensions."""
    import keras
    from keras import layers as kl

    from ganutils import layers

    def dense(units, **options):
        return kl.Dense(units, kernel_initializer=keras.initializers.RandomNormal(stddev=0.02), **options)

    hidden = [[dense(400, use_bias=False), kl.BatchNormalization(momentum=0.95), kl.ReLU()] for _ in range(4)]
    generator = keras.Sequential([keras.Input((2,)), *itertools.chain(*hidden), dense(dimensions)])
    x = points = keras.Input((dimensions,))
    x = layers.Pack(pack)(x)
    for _ in range(3):
        x = keras.ops.max(kl.Reshape((200, 5))(dense(1000)(x)), axis=-1)
    return generator, keras.Model(points, dense(1)(x))


def train_mixture(name, pack, iterations, seed):
    """Train a GAN on a mixture, and return what PacGAN's Table 1 counts."""
    import keras

    from ganutils import data, mixtures, training

    keras.utils.set_random_seed(seed)
    mixture = getattr(mixtures, name)()
    gan = training.GAN(*mixture_networks(2, pack), seed=seed)
    gan.compile(*(keras.optimizers.Adam(1e-4, beta_1=0.8) for _ in range(2)))
    points = mixture.sample(100_000, seed)
    latents, looks = gan.draw_latents(2500), []

    def counted():
        return mixture.coverage(gan.predict(latents, batch_size=2500, verbose=0))._asdict()

    batches = data.pipeline(points, batch_size=100 * pack, seed=seed)
    take_steps(gan, batches, iterations, compiled=True, look=lambda: looks.append(counted()), every=iterations // 4)
    return {**counted(), "looks": looks}  # after the last step, whatever the number of iterations


def take_steps(gan, batches, iterations, at_once=500, compiled=False, look=None, every=None):
    """Take training steps, many in one graph: `fit` would cost more than such small networks.

    XLA takes a third off the time of dense networks on a processor, and slows convolutions down.
    """
    import tensorflow as tf

    batches = iter(batches.repeat())
    step = tf.function(gan.adversarial_step, jit_compile=compiled)

    @tf.function
    def some(count):
        for _ in tf.range(count):
            step(next(batches))

    for done in range(0, iterations, at_once):
        some(tf.constant(min(at_once, iterations - done)))
        if every and (done + at_once) % every == 0:
            look()


def stacked_networks(width, pack):
    """Return small networks for 28 x 28 pixels in three colours, without normalisation, as R3GAN's Table 1 has them."""
    import keras
    from keras import layers as kl

    from ganutils import layers

    latents = keras.Input((64,))
    x = kl.LeakyReLU(0.2)(kl.Dense(256)(latents))
    x = kl.Reshape((7, 7, 64))(kl.LeakyReLU(0.2)(kl.Dense(7 * 7 * 64)(x)))
    x = kl.LeakyReLU(0.2)(kl.Conv2DTranspose(32, 4, 2, padding="same")(x))
    generator = keras.Model(latents, kl.Conv2DTranspose(3, 4, 2, padding="same", activation="tanh")(x))
    x = images = keras.Input((28, 28, 3))
    x = layers.Pack(pack)(x)
    for channels in (32, 64):
        x = kl.LeakyReLU(0.2)(kl.Conv2D(int(channels * width), 4, 2, padding="same")(x))
    x = kl.LeakyReLU(0.2)(kl.Dense(int(256 * width))(kl.Flatten()(x)))
    return generator, keras.Model(images, kl.Dense(1)(x))


def train_stacked(name, iterations, seed):
    """Train a GAN on Stacked MNIST, and return the modes and the divergence of 10,000 samples; NaN if it diverged."""
    import keras
    import numpy as np

    from ganutils import data, features, losses, models, training

    loss, r1, r2, pack, width, normalised = STACKED[name]
    keras.utils.set_random_seed(seed)
    generator, discriminator = stacked_networks(width, pack)
    if normalised:
        generator = models.dcgan_generator(64, (64, 32), 4, (2, 2), hidden=256, image_shape=(28, 28, 3))
    rate, betas = (2e-3, (0.0, 0.99)) if loss is None else (5e-4, (0.0, 0.99))
    lazy = 8 if loss is None else 1
    penalty = (losses.R1AndR2 if r2 else losses.R1)(r1, every=lazy) if r1 else None
    gan = training.GAN(generator, discriminator, penalty=penalty, average=0.99 if loss is None else None, seed=seed)
    optimizers = [keras.optimizers.Adam(rate, beta_1=betas[0], beta_2=betas[1]) for _ in range(2)]
    gan.compile(*optimizers, loss=loss or "non_saturating")
    take_steps(gan, data.stacked_mnist(batch_size=64 * pack, seed=seed), iterations, at_once=100)
    drawn = gan.predict(gan.draw_latents(10_000), batch_size=500, verbose=0)
    if not np.isfinite(drawn).all():
        return {"modes": 0, "divergence": float("nan")}
    classifier = features.digit_classifier()
    digits = [classifier(data.unscale(drawn[..., i : i + 1])).probabilities.argmax(axis=1) for i in range(3)]
    shares = np.bincount(digits[0] * 100 + digits[1] * 10 + digits[2], minlength=1000) / len(drawn)
    found = shares > 0
    return {"modes": int(found.sum()), "divergence": float(np.sum(shares[found] * np.log(1000 * shares[found])))}


def run_all(what, iterations, seeds, only=""):
    """Train all that is not there yet, one seed of everything before the next, and keep each result at once."""
    path = RESULTS / f"{what}.json"
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.is_file() else []
    configurations = MIXTURES if what == "mixtures" else [(name,) for name in STACKED]
    train, networks = (train_mixture, mixture_networks) if what == "mixtures" else (train_stacked, stacked_networks)
    code = "".join(map(inspect.getsource, (train, networks, take_steps)))
    digest = hashlib.sha256(code.encode()).hexdigest()[:12]
    for seed in seeds:
        for configuration in (one for one in configurations if one[0].startswith(only)):
            key = {"configuration": list(configuration), "iterations": iterations, "seed": seed, "code": digest}
            if any(key.items() <= run.items() for run in runs):
                continue
            start = time.perf_counter()
            found = train(*configuration, iterations, seed)
            runs = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.is_file() else []  # another's, too
            runs.append(key | found | {"seconds": round(time.perf_counter() - start)})
            print(*configuration, runs[-1], flush=True)
            common.write_json(path, {"runs": runs})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("mixtures", "stacked_mnist"))
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--only", default="", help="the beginning of a name, such as grid")
    arguments = parser.parse_args()
    run_all(arguments.what, arguments.iterations, [int(seed) for seed in arguments.seeds.split(",")], arguments.only)


if __name__ == "__main__":
    main()
