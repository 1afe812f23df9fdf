"""Writes notebooks/08_super_resolution.ipynb; a draft, to be deleted when the notebook is edited by hand."""
import copy
import json

base = json.load(open("notebooks/06_laplacian_pyramid.ipynb"))
cells = []


def md(text):
    cells.append(("markdown", text, []))


def code(text, *tags):
    cells.append(("code", text, list(tags)))


md(r"""
# 08 · Super-resolution: what a small picture does not say

![Small digits, enlarged by interpolation, by pixel error, and by a GAN, and the true digits](pictures/08_super_resolution.png)

*From 4 × 4 pixels to 28 × 28: interpolated, trained on pixel error, trained with a GAN, and the truth.*

[![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/gan-course/HEAD?labpath=notebooks/08_super_resolution.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/gan-course/blob/HEAD/notebooks/08_super_resolution.ipynb)

**Time:** TIME

After this lesson you can

- shrink pictures so that nothing aliases, and say what goes wrong if training and use shrink differently;
- compute PSNR and SSIM, and say when a high one lies;
- train a network that enlarges pictures, on pixel error, and with an adversarial and a feature term;
- measure the trade between being near to the truth and looking like the data;
- count what such a network invents, and argue why nobody may read a number plate off its output.

**You need** lessons [02](02_dcgan.ipynb), [04](04_evaluation.ipynb) (FID and its floor) and [06](06_laplacian_pyramid.ipynb) (halving, residuals, composed faces).
""")
md("## Set-up")
code("SETUP", "setup")
md("The parameters of this run. With `TRAIN = False` the networks are not trained here, but loaded from the weights that the course ships.")
code("PARAMETERS", "parameters")
code("""
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from scipy import signal

from ganutils import callbacks, data, features, lessons, losses, metrics, models, plotting, training
from ganutils.models import srgan
""")
code("""
lesson = lessons.Lesson("08_super_resolution", PROFILE)
profile = lesson.profile
keras.utils.set_random_seed(SEED)
images = data.as_float(data.load_dataset("mnist").images[: profile.images])
test, test_classes = data.load_dataset("mnist", split="test")
chosen = np.random.default_rng(SEED).permutation(len(test))[: profile.samples]
real, classes = data.as_float(test[chosen]), test_classes[chosen]
""")
md(r"""
## Small pictures, and how they come about

A digit of 28 × 28 pixels is to be found again from 7 × 7. To train a network for that we need pairs, and there is a cheap way to have them: take large pictures, and shrink them. A pixel of the small picture is the **mean** of 4 × 4 pixels, as in lesson 06. The other way, to take every fourth pixel, looks simpler. But a thin stroke may lie between two of them.
""")
code("""
def shrink(pictures, factor):
    n, height, width, channels = pictures.shape
    blocks = pictures.reshape(n, height // factor, factor, width // factor, factor, channels)
    return blocks.mean(axis=(2, 4))


np.testing.assert_allclose(shrink(real[:50], 4), models.shrink(real[:50], 4), atol=1e-6)
print("by hand and packaged agree")
""", "nbval-check-output")
code("""
def at_28(pictures):
    "Repeat pixels up to 28 x 28."
    return np.kron(pictures, np.ones((1, 28 // pictures.shape[1], 28 // pictures.shape[2], 1)))


rows = {"28 × 28": real[:8], "means, 7 × 7": at_28(shrink(real[:8], 4)), "every 4th": at_28(real[:8, 1::4, 1::4])}
rows |= {"means, 4 × 4": at_28(shrink(real[:8], 7))}
plotting.show(
    plotting.image_grid(np.concatenate(list(rows.values())), columns=8, row_labels=list(rows)),
    "Eight digits, and what is left of them.",
    alt="Digits of 28 × 28, 7 × 7 and 4 × 4 pixels; every fourth pixel leaves pieces of strokes",
)
""")
md(r"""
At 7 × 7 most digits can still be read. Of every fourth pixel only pieces are left: this is **aliasing**. And 4 × 4 pixels are 16 numbers. How many different digits have the same 16?

## Two measures of nearness

The **peak signal-to-noise ratio** of a picture $\hat x$ and the truth $x$ is

$$\mathrm{PSNR} = 10 \log_{10} \frac{p^2}{\frac1m \sum_i (\hat x_i - x_i)^2},$$

in decibels (dB), with $m$ pixels and $p$ the distance from the darkest value to the brightest. Ten dB more are a tenth of the squared error. Our pixels go from −1 to 1, so $p = 2$. (With $p = 1$, made for pixels from 0 to 1, all values come out 6 dB too low, and nobody notices until two papers are compared.)

**SSIM** (Wang et al. 2004) compares windows of 11 × 11 pixels by their means $\mu$, variances $\sigma^2$ and the covariance $\sigma_{xy}$, with weights that fall off from the centre:

$$\mathrm{SSIM} = \frac{(2 \mu_x \mu_y + c_1)(2 \sigma_{xy} + c_2)}{(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)}, \qquad c_1 = (0.01\, p)^2, \quad c_2 = (0.03\, p)^2.$$

It is 1 for equal windows; its mean over all windows is reported. The constants keep it from dividing by 0 where a window is flat.
""")
code("""
def psnr(pictures, others, peak=2.0):
    return 10 * np.log10(peak**2 / np.mean((pictures - others) ** 2, axis=(1, 2, 3)))


def ssim(pictures, others, peak=2.0):
    window = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(window, window)[None, :, :, None] / window.sum() ** 2

    def mean(values):
        return signal.fftconvolve(values, window, mode="valid", axes=(1, 2))

    x, y = mean(pictures), mean(others)
    variances = mean(pictures**2) - x**2 + mean(others**2) - y**2
    covariance = mean(pictures * others) - x * y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    found = (2 * x * y + c1) * (2 * covariance + c2) / ((x**2 + y**2 + c1) * (variances + c2))
    return found.mean(axis=(1, 2, 3))
""")
code("""
noisy = (real[:100] + 0.3 * np.random.default_rng(SEED).normal(size=real[:100].shape)).astype("float32")
np.testing.assert_allclose(psnr(real[:100], noisy), tf.image.psnr(real[:100], noisy, 2.0), rtol=1e-4)
np.testing.assert_allclose(ssim(real[:100], noisy), tf.image.ssim(real[:100], noisy, 2.0), atol=1e-3)
print("by hand and TensorFlow's agree")
""", "nbval-check-output")
md(r"""
> **Predict, then run.** A digit is (a) moved by one pixel, (b) blurred, (c) covered with noise of the same error as the blur, (d) made a quarter as strong. Which has the highest PSNR, and which do you read most easily?
""")
code("""
def blur(pictures):
    small = shrink(pictures, 4)
    return np.asarray(ops.image.resize(small, (28, 28), interpolation="bicubic"))


error = np.sqrt(np.mean((blur(real) - real) ** 2))
damaged = {
    "moved": np.roll(real, 1, axis=2),
    "blurred": blur(real),
    "noise": real + error * np.random.default_rng(SEED).normal(size=real.shape),
    "weak": (real + 1) / 4 - 1,
}
classifier = features.digit_classifier()
of_real = classifier(real).features


def judged(pictures):
    pictures = pictures.clip(-1, 1).astype("float32")
    read = classifier(pictures)
    return {
        "PSNR": f"{psnr(pictures, real).mean():.2f} dB",
        "SSIM": f"{ssim(pictures, real).mean():.3f}",
        "FID (digits)": f"{metrics.frechet_distance(of_real, read.features):.1f}",
        "digit kept": f"{np.mean(read.probabilities.argmax(axis=1) == classes):.1%}",
    }


plotting.show_table({name: judged(pictures) for name, pictures in damaged.items()}, f"{len(real):,} damaged digits.", "damage")
""")
md(r"""
<details><summary>What came out, and why</summary>

DAMAGE

</details>

## A network that enlarges

Small pictures go through convolutions *at the small size*, where they are cheap; the sides are doubled at the end, twice. How does a network double? A **pixel shuffle** (Shi et al. 2016) makes four channels and lays each group of four out as 2 × 2 pixels. A **resize and a convolution** repeats pixels and smooths them.
""")
code("""
def pixel_shuffle(maps):
    n, height, width, channels = maps.shape
    blocks = maps.reshape(n, height, width, 2, 2, channels // 4)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * height, 2 * width, channels // 4)


maps = np.random.default_rng(SEED).normal(size=(2, 7, 7, 8)).astype("float32")
np.testing.assert_array_equal(pixel_shuffle(maps), tf.nn.depth_to_space(maps, 2))
print("by hand and TensorFlow's agree")
""", "nbval-check-output")
md(r"""
> **Predict, then run.** A grey picture, all pixels equal, goes through an untrained layer of each kind. What comes out?
""")
code("""
grey = np.full((1, 8, 8, 16), 0.5, "float32")
keras.utils.set_random_seed(SEED)
shuffled = tf.nn.depth_to_space(layers.Conv2D(4, 3, padding="same")(grey), 2)
resized = layers.Conv2D(1, 3, padding="same")(models.repeat_pixels(grey))
inner = [np.asarray(each)[:, 2:-2, 2:-2] for each in (shuffled, resized)]  # without the border
plotting.show(
    plotting.image_grid(np.concatenate([each / np.abs(each).max() for each in inner]), columns=2, tile_inches=1.5),
    "A grey picture after an untrained pixel shuffle, and after an untrained resize and convolution.",
    alt="A checkerboard, and an even grey",
)
""")
md(r"""
A checkerboard: the four pixels of a block come from four different kernels, which training must make agree. (Odena et al. 2016 show the same of transposed convolutions whose stride does not divide their kernel. A start with four equal kernels avoids it, too.) We resize.

The network adds what it makes to a plain enlargement, so it begins with a blurred picture and has to learn the rest, as a level of lesson 06. A *residual block* adds two convolutions to what went in. There is no tanh, for the reason of lesson 06.
""")
code("""
def enlarger(small, channels=64, blocks=4):
    def convolution(x, width=channels):
        return layers.LeakyReLU(0.2)(layers.Conv2D(width, 3, padding="same")(x))

    def resized(x, side):
        return ops.image.resize(x, (side, side), interpolation="bilinear")

    pictures = keras.Input((small, small, 1))
    x = convolution(pictures if small == 7 else resized(pictures, 7))
    for _ in range(blocks):
        x = x + layers.Conv2D(channels, 3, padding="same")(convolution(x))
    for _ in range(2):
        x = convolution(models.repeat_pixels(x), channels // 2)
    return keras.Model(pictures, resized(pictures, 28) + layers.Conv2D(1, 3, padding="same")(x))
""")
md(r"""
First the simplest loss, the mean squared **pixel error**. This is no GAN yet: there is a single player. `srgan.SuperResolution`, which we will use, shrinks the pictures itself, and takes a discriminator, too, if it is given one.
""")
code("""
class PixelErrorByHand(training.AdversarialModel):
    def losses(self, pictures):
        made = self.run("generator", models.shrink(pictures, 4))
        return {"generator": ops.mean((made - pictures) ** 2)}


weights = []
for kind in (lambda network: PixelErrorByHand({"generator": network}), srgan.SuperResolution):
    keras.utils.set_random_seed(SEED)
    model = kind(enlarger(7))
    model.compile({"generator": keras.optimizers.Adam(1e-3)})
    model.adversarial_step(images[:64])
    weights.append(model.networks["generator"].get_weights())
for one, other in zip(*weights, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
print("by hand and packaged agree after a step")
""", "nbval-check-output")
md(r"""
> **Predict, then run.** After 45 seconds of pixel error: will the digits be blurred, as people say of this loss? And will the distance to the data (FID) be small or large?
""")
code("""
def train(seconds, small, network=None, **options):
    keras.utils.set_random_seed(SEED)
    model = srgan.SuperResolution(network or enlarger(small), **options)
    model.compile({player: keras.optimizers.Adam(1e-3, beta_1=0.5) for player in model.networks})
    batches = data.pipeline(images, batch_size=profile.batch_size, seed=SEED)
    clock = callbacks.TimeLimit(seconds)
    model.fit(batches, steps_per_epoch=10**9, verbose=0, callbacks=[clock])
    print(f"{clock.steps:,} steps")
    return model


def enlarged(model, small):
    return model.predict(shrink(real, 28 // small), batch_size=250, verbose=0)


by_error = train(profile.pixel_seconds, 7)
rows = {"bicubic": judged(blur(real)), "pixel error": judged(enlarged(by_error, 7)), "the truth": judged(real)}
aliased = by_error.predict(real[:, 1::4, 1::4], batch_size=250, verbose=0)
rows["pixel error, given every 4th pixel"] = judged(aliased)
plotting.show_table(rows, f"{len(real):,} test digits, from 7 × 7 to 28 × 28.", "enlarged by")
""")
md(r"""
<details><summary>What came out, and why</summary>

PIXEL

</details>

## Where nearness and likeness part

TRADE
""")
out = {"cells": [], "metadata": copy.deepcopy(base["metadata"]), "nbformat": 4, "nbformat_minor": 5}
for number, (kind, text, tags) in enumerate(cells):
    cell = {"cell_type": kind, "id": f"e{number:03d}", "metadata": {}, "source": text.strip("\n").splitlines(True)}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
        if tags:
            cell["metadata"] = {"tags": tags}
        if "setup" in tags:
            cell |= {key: copy.deepcopy(base["cells"][2][key]) for key in ("metadata", "source")}
        if "parameters" in tags:
            cell |= {key: copy.deepcopy(base["cells"][4][key]) for key in ("metadata", "source")}
    out["cells"].append(cell)
json.dump(out, open("drafts/08_super_resolution.ipynb", "w"), ensure_ascii=False, indent=1)
