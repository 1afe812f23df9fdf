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
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from scipy import signal, stats
from scipy.spatial import distance

from ganutils import checkpoints, data, faces, features, lessons, losses, metrics, models, plotting, references, training
from ganutils.models import srgan
""")
code("""
lesson = lessons.Lesson("08_super_resolution", PROFILE)
profile = lesson.profile
keras.utils.set_random_seed(SEED)
images, labels = (part[: profile.images] for part in data.load_dataset("mnist"))
test, test_classes = data.load_dataset("mnist", split="test")
chosen = np.random.default_rng(SEED).permutation(len(test))[: 2 * profile.samples]
real, others = data.as_float(test[chosen]).reshape(2, profile.samples, 28, 28, 1)
classes = test_classes[chosen[: profile.samples]]
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
def smooth(pictures, factor):
    "Shrink digits, and enlarge them again by bicubic interpolation."
    small = shrink(pictures, factor)
    return np.asarray(ops.image.resize(small, (28, 28), interpolation="bicubic")).clip(-1, 1)


error = np.sqrt(np.mean((smooth(real, 4) - real) ** 2))
damaged = {
    "moved": np.roll(real, 1, axis=2),
    "blurred": smooth(real, 4),
    "noise": real + 1.35 * error * np.random.default_rng(SEED).normal(size=real.shape),  # what leaves [-1, 1] is cut
    "weak": (real + 1) / 4 - 1,
}
classifier = features.digit_classifier()
of_others = classifier(others).features


def judged(pictures):
    pictures = pictures.clip(-1, 1).astype("float32")
    read = classifier(pictures)
    return {
        "PSNR": f"{psnr(pictures, real).mean():.2f} dB",
        "SSIM": f"{ssim(pictures, real).mean():.3f}",
        "FID (digits)": f"{metrics.frechet_distance(of_others, read.features):.1f}",
        "digit kept": f"{np.mean(read.probabilities.argmax(axis=1) == classes):.1%}",
    }


floor = f"{metrics.frechet_distance(of_others, classifier(real).features):.1f}"
plotting.show_table(
    {name: judged(pictures) for name, pictures in damaged.items()},
    f"{len(real):,} damaged digits; the FID (digits) of undamaged ones is {floor}.",
    "damage",
)
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
def enlarger(small, channels=32, blocks=4):
    def convolution(x, width=channels):
        return layers.LeakyReLU(0.2)(layers.Conv2D(width, 3, padding="same")(x))

    def resized(x, side):
        return ops.image.resize(x, (side, side), interpolation="bilinear")

    pictures = keras.Input((small, small, 1))
    x = convolution(pictures if small == 7 else resized(pictures, 7))
    for _ in range(blocks):
        inner = convolution(x)
        x = x + layers.Conv2D(channels, 3, padding="same")(inner)
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
for make in (
    lambda: PixelErrorByHand({"generator": enlarger(7)}),
    lambda: srgan.SuperResolution(models.sr_generator((28, 28, 1), (7, 7))),
):
    keras.utils.set_random_seed(SEED)
    model = make()
    model.compile({"generator": keras.optimizers.Adam(1e-3)})
    model.adversarial_step(data.as_float(images[:16]))
    weights.append(model.networks["generator"].get_weights())
for one, other in zip(*weights, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
print("by hand and packaged agree after a step")
""", "nbval-check-output")
md(r"""
All trainings of this lesson go through one function. A discriminator is there only if its verdict has a weight; it is the one of lesson 02, but smaller, with R1.
""")
code("""
def train(network, steps, adversarial=0.0):
    judge = models.dcgan_discriminator((32, 64), 4, 0.0, 128) if adversarial else None
    penalty = losses.R1(1.0, every=8) if adversarial else None
    options = {"adversarial": adversarial, "penalty": penalty, "average": 0.998, "seed": SEED}
    model = srgan.SuperResolution(network, judge, **options)
    rates = {"generator": 1e-3, "discriminator": 2e-3}
    decays = {player: keras.optimizers.schedules.CosineDecay(rate, steps) for player, rate in rates.items()}
    momenta = {"generator": 0.5 if adversarial else 0.9, "discriminator": 0.0}
    model.compile({player: keras.optimizers.Adam(decays[player], momenta[player], 0.99) for player in model.networks})
    batches, start = data.pipeline(images, batch_size=profile.batch_size, seed=SEED), time.perf_counter()
    model.fit(batches, steps_per_epoch=steps, verbose=0)
    seconds = time.perf_counter() - start
    print(f"{steps:,} steps of {1000 * seconds / steps:.0f} ms, {seconds:.0f} seconds")
    return model


def enlarge(model, small):
    return model.predict(shrink(real, 28 // small), batch_size=250, verbose=0)
""")
md(r"""
> **Predict, then run.** People say that pixel error blurs. Will these digits be blurred? And how much nearer to the truth than interpolation, in dB, will they be?
""")
code("""
keras.utils.set_random_seed(SEED)
from_7 = train(enlarger(7), profile.pixel_steps)
every_4th = real[:, 1::4, 1::4]  # the wrong small pictures
enlarged = {
    "nearest pixel": at_28(shrink(real, 4)),
    "bicubic": smooth(real, 4),
    "network": enlarge(from_7, 7),
    "bicubic, every 4th pixel": np.asarray(ops.image.resize(every_4th, (28, 28), interpolation="bicubic")).clip(-1, 1),
    "network, every 4th pixel": from_7.predict(every_4th, batch_size=250, verbose=0),
}
rows = {name: judged(pictures) for name, pictures in enlarged.items()} | {"other real digits": {"FID (digits)": floor}}
""")
md("Its table and pictures, with the two small kinds of pictures that it is given:")
code("""
rows = {name: {column: row.get(column, "") for column in rows["bicubic"]} for name, row in rows.items()}
plotting.show_table(rows, f"{len(real):,} test digits, from 7 × 7 to 28 × 28 pixels.", "enlarged by")
shown = {"7 × 7": at_28(shrink(real, 4))} | {name: enlarged[name] for name in ("bicubic", "network")} | {"truth": real}
shown |= {"every 4th": at_28(every_4th), "from these": enlarged["network, every 4th pixel"]}
plotting.show(
    plotting.image_grid(np.concatenate([each[:8] for each in shown.values()]), columns=8, row_labels=list(shown)),
    "Eight test digits.",
    alt="Blurred digits by interpolation, sharp ones by the network, and broken ones from every fourth pixel",
)
""")
md(r"""
<details><summary>What came out, and why</summary>

PIXEL

</details>

Keras' `evaluate` gives the same ratio, of any pictures, since `SuperResolution` says in its method `validate` what to measure; with `fit(..., validation_data=real)` it is measured after each epoch.
""")
code("""
found = from_7.evaluate(real, batch_size=250, verbose=0, return_dict=True)["psnr"]
np.testing.assert_allclose(found, psnr(enlarged["network"].clip(-1, 1), real).mean(), atol=1e-3)
print("evaluate and the formula agree")
""", "nbval-check-output")
md(r"""
## Where nearness and likeness part

From 7 × 7 there is little to invent: 49 numbers are nearly a digit. So make it harder: 4 × 4. How much do 16 numbers say? A question without any network: take each test digit's 16 numbers, look for the training digit whose 16 numbers are nearest, and see whether it is the same class.
""")
code("""
def small(pictures):
    return shrink(pictures, 7).reshape(len(pictures), -1)


known = data.as_float(images[:20_000])
nearest = distance.cdist(small(real), small(known)).argmin(axis=1)
known_by_16 = np.mean(labels[nearest] == classes)
wrong = np.flatnonzero(labels[nearest] != classes)[:8]
rows = {"truth": real[wrong], "its 4 × 4": at_28(shrink(real[wrong], 7))}
rows |= {"nearest 4 × 4": at_28(shrink(known[nearest[wrong]], 7)), "its truth": known[nearest[wrong]]}
plotting.show(
    plotting.image_grid(np.concatenate(list(rows.values())), columns=8, row_labels=list(rows)),
    f"The nearest of {len(known):,} small digits is of the same class in {known_by_16:.0%}; here are eight where it is not.",
    alt="Pairs of digits of different classes, whose 4 × 4 pixels can hardly be told apart",
)
""")
md(r"""
For most small pictures one class is by far the likeliest, but not for all: the same 16 numbers, but for small differences, are a 4 and a 9.

What should a network do with such a picture? Suppose that a small picture $y$ has two possible origins, equally likely. Pixel error is least for their **mean**, a grey ghost of both. It is nearest to the truth on average, and looks like neither. A discriminator would know it at once. It wants *one* of the two, and half of the time that is the wrong one. So the two aims contradict each other. Blau and Michaeli (2018) proved it in general: below some error, the nearer the pictures are to the truth, the further their distribution is from that of the data. No method has both. But the price has a limit. Who draws a picture at random from all those that fit has twice the mean squared error of the best possible guess, 3 dB, and looks exactly like the data.

SRGAN (Ledig et al. 2017) trains for a weighted sum. Our loss of the generator is

$$\underbrace{\tfrac1m \lVert \hat x - x \rVert^2}_{\text{pixel error}} + \lambda \, \underbrace{\mathrm{softplus}(-D(\hat x))}_{\text{adversarial}}, \qquad \hat x = G(y),$$

with the non-saturating loss of lesson 02 and a weight $\lambda$. There is no noise input: the same small picture always becomes the same large one.

The network is first trained on pixel error alone, since a discriminator that sees grey smears has an easy game. Then it goes on in two ways, from the same weights and for about as many seconds: with pixel error as before, which is the control; and with the adversarial term. Its steps are dearer, so it takes fewer.

> **Predict, then run.** Which has the higher PSNR, and which the smaller FID? In which will more digits keep their class?
""")
code("""
keras.utils.set_random_seed(SEED)
start = enlarger(4)
if TRAIN:
    pretrained = train(start, profile.pixel_steps).averaged["generator"]

    def further(steps, adversarial=0.0):
        network = enlarger(4)
        network.set_weights(pretrained.get_weights())
        return train(network, steps, adversarial).averaged["generator"]

    runs = {"pixel error, first half": pretrained}
    runs |= {"pixel error, both halves": further(profile.more_steps), "then with a GAN": further(profile.gan_steps, 0.1)}
else:
    runs = {"shipped, pixel error": "sr_digits_pixel", "shipped, with a GAN": "sr_digits"}
    runs = {name: checkpoints.load_checkpoint(checkpoint) for name, checkpoint in runs.items()}
    print("Nothing was trained here: these are shipped weights, made by this command:")
    print(checkpoints.read_card("sr_digits")["command"])
""")
md("The measures of both, with how often each is read as another digit, and how far a picture is from its origin when it is shrunk again:")
code("""
enlarged_4 = {"bicubic": smooth(real, 7)} | {name: network.predict(shrink(real, 7), batch_size=250, verbose=0).clip(-1, 1) for name, network in runs.items()}
rows = {name: judged(pictures) for name, pictures in enlarged_4.items()}
for name, pictures in enlarged_4.items():
    off = 127.5 * np.sqrt(np.mean((shrink(pictures, 7) - shrink(real, 7)) ** 2))
    rows[name]["shrunk again"] = f"{off:.1f}"
plotting.show_table(
    rows,
    f"{len(real):,} test digits, from 4 × 4 to 28 × 28 pixels (FID of other real digits: {floor}). In the last column, the "
    "root mean square distance to the 4 × 4 pixels that were given, in grey levels of 255.",
    "enlarged by",
)
""")
code("""
shown = {"4 × 4": at_28(shrink(real, 7)), **enlarged_4, "truth": real}
plotting.show(
    plotting.image_grid(np.concatenate([each[8:18] for each in shown.values()]), columns=10, row_labels=list(shown)),
    "Ten test digits.",
    alt="Grey blocks, blurred digits, smeared ones, sharper ones and the true ones",
)
""")
md(r"""
<details><summary>What came out, and why</summary>

TRADE

</details>

### The price of likeness

One weight and one seed decide nothing. `python benchmarks/super_resolution.py` has taken the same runs with five weights and three seeds, always from the same pre-training and for the same time after it, on all 10,000 test digits.

> **Predict, then look.** Draw the points in your head: to the right the PSNR, up the FID. Where does pixel error lie, and which way does the curve go as $\lambda$ grows?
""")
code("""
record = references.load("super_resolution")


def over_seeds(recipe, key):
    return np.array([run[key] for run in record["runs"] if run["recipe"] == recipe])


weights = [0.01, 0.03, 0.1, 0.3, 1.0]
curve = [f"adversarial {weight:g}" for weight in weights]
points = {"adversarial, growing weight": curve, "pixel error, more of it": ["pre-training", "pixel error"]}
plotting.show(
    plotting.lines(
        {
            name: [[over_seeds(recipe, key).mean() for recipe in recipes] for key in ("psnr", "frechet_distance")]
            for name, recipes in points.items()
        },
        "PSNR in dB: nearness to the truth",
        "FID (digits)",
    ),
    "Means over three seeds. From the end of the pre-training, pixel error goes to the lower right. Of the adversarial runs "
    f"the weight grows from {weights[0]:g} to {weights[-1]:g} from right to left.",
    alt="A curve that falls and then goes to the left: smaller distances at lower PSNR",
)
""")
code("""
def mean_and_half(recipe, key, digits=1):
    values = over_seeds(recipe, key)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.{digits}f} ± {half:.{digits}f}"


names = {"pre-training": "pixel error, half the time", "pixel error": "pixel error"}
names |= {"features": "and features"} | {recipe: recipe for recipe in curve}
names |= {"both": "adversarial 0.1, and features", "without pre-training": "adversarial 0.1, without pre-training"}
rows = {
    name: {
        "PSNR": mean_and_half(recipe, "psnr", 2),
        "FID (digits)": mean_and_half(recipe, "frechet_distance"),
        "digit kept, %": mean_and_half(recipe, "kept_percent"),
        "FID, second classifier": mean_and_half(recipe, "frechet_distance_second"),
        "kept, second classifier, %": mean_and_half(recipe, "kept_second_percent"),
    }
    for recipe, name in names.items()
}
plotting.show_table(rows, "Means of three seeds, and the half of their 95% intervals. FIDs of the two classifiers cannot be compared with one another, since their features are others.", "loss")
""")
md(r"""
*Features* is the **content loss**. SRGAN compares pictures not pixel by pixel but in features of VGG, a network that was trained to tell a million photographs apart. Ours is $\mathbb{E}\,\lVert\varphi(\hat x) - \varphi(x)\rVert^2$ in the features $\varphi$ of the digit classifier, with a weight of 0.01. But those are the features that FID (digits) looks at, and that classifier is the one that says which digit is kept. Who is trained on the judge's opinion does well before this judge. So a second classifier, of the same build but from another seed, judges, too.

<details><summary>What came out, and why</summary>

TERMS

</details>

## What it invents

The GAN's digits look like digits. That is the trouble. Which digits become which?
""")
code("""
def read(pictures):
    probabilities = classifier(pictures.clip(-1, 1).astype("float32")).probabilities
    return probabilities.argmax(axis=1), probabilities.max(axis=1)


tables, sure_and_wrong = {}, {}
for name in list(enlarged_4)[-2:]:
    found, certainty = read(enlarged_4[name])
    tables[name] = np.zeros((10, 10), int)
    np.add.at(tables[name], (classes, found), 1)
    sure_and_wrong[name] = (found != classes) & (certainty > 0.9)
    others = found != classes
    print(f"{name}: {others.sum()} became another digit; of {sure_and_wrong[name].sum()} of them the classifier is sure")
plotting.show(
    plotting.confusion(tables),
    f"{len(real):,} test digits: what they are (rows), and what their enlarged pictures are read as (columns).",
    alt="Two tables of ten by ten numbers; most digits lie on the diagonals, and 4 and 9, 3 and 5 are exchanged",
)
""")
md("Some of those that the classifier reads wrong and is sure of, as is anybody who sees nothing but the GAN's picture:")
code("""
name = list(enlarged_4)[-1]
chosen = np.flatnonzero(sure_and_wrong[name])[:8]
rows = {"4 × 4": at_28(shrink(real, 7)), "by GAN": enlarged_4[name], "shrunk again": at_28(shrink(enlarged_4[name], 7)), "truth": real}
grid = np.concatenate([each[np.resize(chosen, 8)] for each in rows.values()])
plotting.show(
    plotting.image_grid(
        grid,
        columns=8,
        row_labels=list(rows),
        column_labels=[f"{classes[i]} to {read(enlarged_4[name][[i]])[0][0]}" for i in np.resize(chosen, 8)],
    ),
    "Digits that became others. Shrunk again, they are nearly what was given.",
    alt="Sharp digits that are not the true ones; their 4 × 4 pixels look the same",
)
""")
md(r"""
<details><summary>What came out, and why</summary>

INVENTS

</details>

## Faces, and whose faces

Now faces: from 8 × 8 to 64 × 64, 192 numbers for 12,288. The reader of lesson 07 names ten attributes of such a face. Since the true ones are known, it can be counted which survive.

Training at this size takes longer than a lesson. Three networks are shipped, each trained by a command that its model card names: one on pixel error; one that goes on from there with a GAN; and a third, trained like the second, but on **skewed** faces: nine in ten have the first skin colour, nine in ten no beard, and nine in ten the first hair style, each independently of the others. The faces that we test on are not skewed.

> **Predict, then run.** Which attributes are still there at 8 × 8, so that any network can read them off? And where the skewed network cannot: what will it draw?
""")
code("""
reader, n = features.face_reader(64), profile.samples // 4
faces_64, attributes = data.load_dataset("toon_faces", split="test", n=n, size=64, seed=2)
faces_8 = shrink(data.as_float(faces_64), 8)
shipped = {"pixel error": "sr_faces_pixel", "GAN": "sr_faces", "GAN, skewed": "sr_faces_skewed"}
drawn = {"bicubic": np.asarray(ops.image.resize(faces_8, (64, 64), interpolation="bicubic"))}
for name, checkpoint in shipped.items():
    drawn[name] = checkpoints.load_checkpoint(checkpoint).predict(faces_8, batch_size=50, verbose=0)
drawn = {name: data.unscale(pictures.clip(-1, 1)) for name, pictures in drawn.items()}
""")
code("""
def survival(pictures):
    found = reader(pictures).probabilities
    return {name: found[name].argmax(axis=1) == column for name, column in zip(found, attributes.T, strict=True)}


rows = {}
for name, pictures in (drawn | {"the truth": faces_64}).items():
    rows[name] = {attribute: f"{right.mean():.0%}" for attribute, right in survival(pictures).items()}
rows["by chance"] = {attribute: f"{1 / len(values):.0%}" for attribute, values in faces.VALUES.items()}
plotting.show_table(rows, f"How many of {n:,} faces keep each attribute.", "enlarged by")
""")
code("""
rows = {}
for attribute, common in {"skin": 0, "beard": 5, "hair": 0}.items():
    column = attributes[:, faces.ATTRIBUTES.index(attribute)]
    rare = column != common
    for name in ("GAN", "GAN, skewed"):
        read_as = reader(drawn[name]).probabilities[attribute].argmax(axis=1)
        rows[f"{attribute}, {name}"] = {
            "kept": f"{np.mean(read_as[rare] == column[rare]):.0%}",
            "made the common one": f"{np.mean(read_as[rare] == common):.0%}",
        }
plotting.show_table(rows, "Of test faces without the value that nine in ten of the skewed training faces have.", "")
""")
code("""
versions = [drawn["bicubic"], drawn["pixel error"], drawn["GAN"], faces_64]


def wipe(position, side=64, chosen=slice(4)):
    "Return four faces, of which the left part is already the next version."
    number = min(int(position), len(versions) - 2)
    edge = round((position - number) * side)
    left, right = versions[number + 1][chosen], versions[number][chosen]
    return np.concatenate([left[:, :, :edge], right[:, :, edge:]], axis=2)


plotting.film(
    (plotting.image_grid(wipe(position), columns=4, tile_inches=1.6) for position in np.linspace(0, 3, 25)),
    "From bicubic interpolation to pixel error, to the GAN, to the truth: move the slider, or press the button.",
    alt="Four faces that become sharper from left to right",
)
""")
md(r"""
SKEWED

## What nobody may do with it

The picture fits what was measured: shrunk again, it is what the camera gave. It looks like a photograph. And it is made up. Nothing in it says which of its details were in the data and which were in the network. So nobody may read a number plate, a face or a scan off such a picture: a plate that is drawn sharply is a guess among plates, by their frequency in the training set; a scan may show the tissue that most patients have; and a suspect gets the face that the network knows best. In June 2020 people tried it out with PULSE (Menon et al. 2020), a method that looks for a face of StyleGAN whose small version is the given picture: a small picture of Barack Obama became a white man. Its authors answered that the method draws white faces far more often than others, and that its pictures show people who do not exist. What may be said is: these pictures fit. What must be said with it is how often they were wrong.

### What cannot be learnt back

SATELLITE
""")
md(r"""
## Summary

- Shrink as the pictures that you will get were shrunk. Every fourth pixel instead of means costs a trained network more than interpolation would.
- PSNR and SSIM measure nearness to one true picture. A shift by a pixel has the PSNR of a blur in which hardly a digit can be read.
- Pixel error draws the mean of all pictures that fit. Where one fits best, that is sharp; where many do, it is a ghost.
- A discriminator asks for one of them. The pictures look like the data, lie further from the truth, and are wrong with conviction.
- What the small picture does not hold comes from the training set. Count what is invented, attribute by attribute, before you believe a picture.

## Exercises

Work in new cells at the end of the notebook.

1. A network has a PSNR of 20 dB from 7 × 7, computed with $p = 1$ on pixels from −1 to 1. What is its PSNR with the right peak? (No training needed.)
2. Take the mean of the two digits of each column in the figure of nearest 4 × 4 pictures. What is its PSNR to each of the two, and what is that of one to the other? Which is best if you must choose before you know the truth?
3. Train from 4 × 4 on the *absolute* error: write a subclass of `srgan.SuperResolution` whose `losses(self, images)` returns `{"generator": ops.mean(ops.abs(made - images))}`. It makes the median of the pictures that fit, and not their mean. What does that do to grey ghosts?
4. Give the discriminator of the last training no R1 (`penalty=None`). What do you see, in the pictures and in the FID?

<details><summary>What to look for</summary>

EXERCISES

</details>

## Further reading

- C. Ledig, L. Theis, F. Huszár, et al. *Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network.* CVPR 2017. [arXiv:1609.04802](https://arxiv.org/abs/1609.04802). SRGAN.
- Y. Blau, T. Michaeli. *The Perception-Distortion Tradeoff.* CVPR 2018. [arXiv:1711.06077](https://arxiv.org/abs/1711.06077).
- Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli. *Image Quality Assessment: From Error Visibility to Structural Similarity.* IEEE Transactions on Image Processing 13, 2004. SSIM.
- W. Shi, J. Caballero, F. Huszár, et al. *Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network.* CVPR 2016. [arXiv:1609.05158](https://arxiv.org/abs/1609.05158). Pixel shuffle.
- A. Odena, V. Dumoulin, C. Olah. *Deconvolution and Checkerboard Artifacts.* Distill, 2016.
- S. Menon, A. Damian, S. Hu, N. Ravi, C. Rudin. *PULSE: Self-Supervised Photo Upsampling via Latent Space Exploration of Generative Models.* CVPR 2020. [arXiv:2003.03808](https://arxiv.org/abs/2003.03808). The third version has a section on whom it draws.
""")
code("""
# This run's numbers, for the course's own checks. You may skip this cell.
shown = [at_28(shrink(real, 7)), *list(enlarged_4.values())[-2:], real]
lesson.save_picture(plotting.image_grid(np.concatenate([each[8:18] for each in shown]), columns=10))
lesson.close()
""")
md("This was the last lesson.")
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
