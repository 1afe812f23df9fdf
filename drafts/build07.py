import json, copy
ROOT="./"
nb5=json.load(open(ROOT+"notebooks/05_training_stability.ipynb"))
def code5(i): return "".join(nb5["cells"][i]["source"])
cells=[]
def md(text, **k): cells.append(("markdown", text.strip("\n"), k))
def code(text, *tags, id=None): cells.append(("code", text.strip("\n"), {"tags":list(tags),"id":id}))

md('''
# 07 · Progressive growing: one GAN that grows up

![Faces from the same latents at 8, 16, 32 and 64 pixels](pictures/07_progressive_growing.png)

*The same latents while the GAN grows from 8 × 8 to 64 × 64 pixels.*

[![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/gan-course/HEAD?labpath=notebooks/07_progressive_growing.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/gan-course/blob/HEAD/notebooks/07_progressive_growing.ipynb)

**Time:** TIME

After this lesson you can

- say what a larger picture costs, and why it may pay to begin with a small one;
- write the four parts that progressive growing brought: the equalised learning rate, pixel normalisation, the minibatch standard deviation, and fading in, and show what each of them does;
- let one GAN grow from 8 × 8 to 64 × 64 pixels within one run and one backup;
- compare growing with training at once, at equal time, and report what you see even if it is not what you hoped for.

**You need** lessons [02](02_dcgan.ipynb) (transposed convolutions, R1, the average of weights), [05](05_training_stability.ipynb) (mode collapse, batches that are alike) and [06](06_laplacian_pyramid.ipynb) (halving and doubling, composed faces, attribute fidelity).
''')
md("## Set-up")
code(code5(2),"setup")
md("The parameters of this run:")
code(code5(4),"parameters")
code('''
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers as kl
from keras import ops

from ganutils import callbacks, data, layers, lessons, losses, metrics, models, plotting, training
from ganutils.models import progressive
''')
code('''
lesson = lessons.Lesson("07_progressive_growing", PROFILE)
profile = lesson.profile
keras.utils.set_random_seed(SEED)
images = data.load_dataset("toon_faces", n=profile.images, size=64, seed=1).images
''')
md('''
## What a larger picture costs

Lesson 06 drew a picture with a chain of GANs, each of which was trained by itself. Karras et al. (2018) kept the order, coarse first, and made it **one** GAN that grows: it learns to draw 8 × 8 pixels; then both networks get a further layer, and it learns to draw 16 × 16; and so on. (They began at 4 × 4, and ended at 1024 × 1024.) The layers of the small sizes go on learning, so no level meets pictures that it has not seen.

Why not train the large network at once? It can be done, and we will. But each step then has to compute all pixels, also at the beginning, when the GAN has yet to learn where a face has its hair.

The networks of all sizes come from two functions. `progressive_generator` has a dense layer and a start of 4 × 4 pixels with 64 channels. Each further layer doubles the size, and from each size a layer *to RGB* makes a picture: the model returns a list of pictures, one of each size. `progressive_discriminator` is its mirror image: it takes a list of pictures, each through a layer *from RGB*, and returns a list of logits. The last of each is the network for the full size.
''')
code('''
def compiled(gan):
    gan.compile(*(keras.optimizers.Adam(profile.rate, beta_1=0.0, beta_2=0.99) for _ in range(2)))
    return gan


def at_once(size):
    sizes = [each for each in progressive.SIZES if each <= size]
    channels = progressive.CHANNELS[: len(sizes)]
    generator = models.progressive_generator(sizes, channels)
    discriminator = models.progressive_discriminator(sizes, channels)
    drawn = keras.Model(generator.input, generator.outputs[-1])
    judged = keras.Model(discriminator.inputs[-1], discriminator.outputs[-1])
    return compiled(training.GAN(drawn, judged, average=0.99, penalty=losses.R1(1.0, every=8), seed=SEED))


def halved(images, size):
    pictures = data.as_float(images)
    while pictures.shape[1] > size:
        pictures = np.asarray(models.halve(pictures))
    return pictures
''')
md('''
> **Predict, then run.** From 8 × 8 to 64 × 64 there are 64 times as many pixels. How much longer does a training step take: 64 times, more, or less?
''')
code('''
rows, seconds = {}, {}
for size in progressive.SIZES:
    gan, batches = at_once(size), data.pipeline(halved(images[:640], size), batch_size=profile.batch_size).repeat()
    gan.fit(batches, steps_per_epoch=9, verbose=0)  # builds the graph; R1 comes at every eighth step
    start = time.perf_counter()
    gan.fit(batches, steps_per_epoch=profile.timed_steps, verbose=0)
    seconds[size] = (time.perf_counter() - start) / profile.timed_steps
    weights = sum(network.count_params() for network in gan.networks.values())
    rows[f"{size} × {size}"] = {
        "weights": f"{weights:,}",
        "milliseconds a step": f"{1000 * seconds[size]:.0f}",
        "pictures a second": f"{profile.batch_size / seconds[size]:,.0f}",
    }
plotting.show_table(rows, f"Training steps on {profile.batch_size} pictures, on this machine.", "size")
''')
md('''
<details><summary>What came out, and why</summary>

COSTS

</details>

## Weights of equal size

A layer's output is a sum over its inputs: over 64 numbers in one, and over 1,024 in another. So that the sum stays as large as its inputs, weights must be small, about $1 / \\\\sqrt{\\\\text{inputs}}$, and $\\\\sqrt 2$ times that before a leaky ReLU, which loses about half (He et al. 2015). Usually the weights *begin* so small. Karras et al. let all weights begin as numbers from $N(0, 1)$, and multiply them by this factor each time that they are *used*. They call it the **equalised learning rate**.
'''.replace("\\\\\\\\","\\\\"))
code('''
def dense(x, kernel, gain=1.0):
    return x @ kernel * (gain / np.sqrt(len(kernel)))


rng, rows = np.random.default_rng(SEED), {}
for inputs in (64, 1024, 4096):
    x, kernel = rng.normal(size=(500, inputs)), rng.normal(size=(inputs, 256))
    rows[f"{inputs:,} inputs"] = {
        "N(0, 1)": f"{(x @ kernel).var():,.0f}",
        "N(0, 0.02²)": f"{(x @ (0.02 * kernel)).var():.2f}",
        "equalised": f"{dense(x, kernel).var():.2f}",
    }
    assert abs(dense(x, kernel).var() - 1) < 0.05
layer = layers.EqualizedLearningRate(kl.Dense(256), gain=1.0)
layer.build((None, inputs))
layer.layer.kernel.assign(kernel)
np.testing.assert_allclose(layer(x.astype("float32")), dense(x, kernel), rtol=1e-3, atol=1e-3)
plotting.show_table(rows, "Variance of a dense layer's output, for inputs of variance 1.", "layer")
print("by hand and packaged agree")
''')
md('''
With weights from $N(0, 1)$ the variance is the number of inputs, and with the 0.02 of the DCGAN paper it depends on the layer. Equalised, it is 1 for all. (A known bug: equalised layers that begin with 0.02. Their outputs are 50 times too small, and the training runs without a complaint.)

At the start it makes no difference whether weights *are* small or are *made* small when they are used. The difference is Adam. A step of Adam changes each weight by about the learning rate, whatever its gradient is. To a weight of 1, a step of 0.01 is one percent. To one of 0.04, which a layer with 1,024 inputs begins with, it is a quarter.

> **Predict, then run.** The smallest networks, 8 × 8 pixels, are trained with usual weights and with equalised ones, with a small and with a large learning rate. Which of the four will fail?
''')
code('''
def usual(layer, gain=2**0.5):
    layer.kernel_initializer = keras.initializers.VarianceScaling(gain**2)
    return layer


def small_networks(wrap=layers.EqualizedLearningRate, norm=layers.PixelNorm):
    latents = keras.Input((64,))
    x = kl.LeakyReLU(0.2)(wrap(kl.Dense(4 * 4 * 64))(layers.PixelNorm()(latents)))
    x = norm()(kl.Reshape((4, 4, 64))(x))
    generator = keras.Model(latents, wrap(kl.Conv2DTranspose(3, 4, 2, padding="same"), 1.0)(x))
    pictures = keras.Input((8, 8, 3))
    x = kl.LeakyReLU(0.2)(wrap(kl.Conv2D(64, 4, 2, padding="same"))(pictures))
    x = kl.LeakyReLU(0.2)(wrap(kl.Dense(256))(kl.Flatten()(x)))
    return generator, keras.Model(pictures, wrap(kl.Dense(1), 1.0)(x))
''')
code('''
small_faces = halved(images, 8)
tested = halved(data.load_dataset("toon_faces", split="test", n=1000, size=16, seed=1).images, 8)


def pixel_distance(gan, real=tested):
    """The Fréchet distance in the pixels themselves, which are few enough here."""
    drawn = gan.predict(gan.draw_latents(len(real)), batch_size=250, verbose=0)
    return metrics.frechet_distance(*(each.reshape(len(real), -1).astype("float64") for each in (real, drawn)))


def train_small(rate, **parts):
    keras.utils.set_random_seed(SEED)
    gan = training.GAN(*small_networks(**parts), average=0.99, penalty=losses.R1(1 / 64, every=8), seed=SEED)
    optimizers = [keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99) for _ in range(2)]
    gan.compile(*optimizers, steps_per_execution=10)
    batches = data.pipeline(small_faces, batch_size=64, seed=SEED).repeat()
    gan.fit(batches, steps_per_epoch=profile.small_steps, verbose=0)
    return gan
''')
code('''
rows, found = {}, {}
for name, wrap in {"usual": usual, "equalised": layers.EqualizedLearningRate}.items():
    found |= {(name, rate): pixel_distance(train_small(rate, wrap=wrap)) for rate in (0.002, 0.01)}
    rows[name] = {f"rate {rate:g}": f"{found[name, rate]:.1f}" for rate in (0.002, 0.01)}
plotting.show_table(rows, f"Distance in pixels after {profile.small_steps} steps at 8 × 8; lower is better.", "weights")
''')
md('''
<details><summary>What came out, and why</summary>

EQUALISED

</details>

## Pixel normalisation

Batch normalisation, which lesson 02's generator needs, is not in this GAN. Instead, at each pixel the channels are divided by their root mean square. That has no weights, and looks at nothing but the pixel itself. So the numbers within the generator cannot grow when the two players push each other:
''')
code('''
def pixel_norm(x):
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-8)


x = 30 * rng.normal(size=(2, 4, 4, 64)).astype("float32")
np.testing.assert_allclose(np.mean(pixel_norm(x) ** 2, axis=-1), 1, rtol=1e-5)
np.testing.assert_allclose(pixel_norm(x), layers.PixelNorm()(x), rtol=1e-5, atol=1e-6)
print("mean square 1 at each pixel; by hand and packaged agree")
''',"nbval-check-output")
md('''
> **Predict, then run.** Someone multiplies the weights of a generator's first layer by 100. What will the picture look like, with pixel normalisation after that layer and without?
''')
code('''
rows = {}
for name, norm in {"with": layers.PixelNorm, "without": kl.Identity}.items():
    keras.utils.set_random_seed(SEED)
    generator, _ = small_networks(norm=norm)
    latents = rng.normal(size=(100, 64)).astype("float32")
    before, first = np.asarray(generator(latents)), generator.layers[2].layer
    first.kernel.assign(100 * first.kernel)
    rows[name] = {"before": f"{before.std():.2f}", "after": f"{np.std(generator(latents)):.2f}"}
    gan = train_small(0.01, norm=norm)
    found[name] = pixel_distance(gan)
    rows[name]["distance after training"] = f"{found[name]:.1f}"
caption = (
    "Standard deviation of pixels before and after weights are multiplied by 100; and the distance in pixels after "
    f"{profile.small_steps} steps with weights as usual."
)
plotting.show_table(rows, caption, "pixel normalisation")
''')
md('''
<details><summary>What came out, and why</summary>

PIXELNORM

</details>

The latents are normalised in the same way, before anything else: only their direction counts.

## The minibatch standard deviation

Lesson 05 showed a discriminator that sees how close the images of a batch are to each other. Karras et al. found a simpler way, without weights: take the standard deviation of each feature over the batch, average all of them to one number, and append it as a further channel, everywhere the same.
''')
code('''
def deviation(maps):
    return np.sqrt(maps.var(axis=0)).mean()


some, alike = rng.normal(size=(8, 4, 4, 16)), np.repeat(rng.normal(size=(1, 4, 4, 16)), 8, axis=0)
print(f"eight different images: {deviation(some):.2f}, eight equal ones: {deviation(alike):.2f}")
appended = layers.MinibatchDeviation()(some.astype("float32"))
np.testing.assert_allclose(appended[..., -1], deviation(some), atol=1e-3)
print("by hand and packaged agree")
''')
md('''
What is it good for? Take the meanest of all collapses: a "generator" whose batches consist of one picture, but a *perfect* one, a real face, and another one in each batch.

> **Predict, then run.** Can a discriminator learn to tell such batches from batches of different real faces?
''')
code('''
def sees_copies(last, steps=profile.copy_steps, n=32):
    """Train a discriminator on batches of faces and of copies of one; return how often it then tells them apart."""
    keras.utils.set_random_seed(SEED)
    discriminator = keras.Sequential([keras.Input((8, 8, 3)), kl.Conv2D(32, 4, 2), kl.LeakyReLU(0.2), *last])
    discriminator.add(kl.Flatten())
    for layer in (kl.Dense(64, "leaky_relu"), kl.Dense(1)):
        discriminator.add(layer)
    optimizer, draws = keras.optimizers.Adam(1e-3), np.random.default_rng(SEED)

    def batches(faces):
        one = faces[draws.integers(len(faces), size=1)]
        return faces[draws.integers(len(faces), size=n)], np.repeat(one, n, axis=0)

    @tf.function
    def step(real, copies):
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.softplus(-discriminator(real))) + ops.mean(ops.softplus(discriminator(copies)))
        weights = discriminator.trainable_weights
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    for _ in range(steps):
        step(*map(tf.constant, batches(small_faces)))
    means = [[float(ops.mean(discriminator(each))) for each in batches(tested)] for _ in range(200)]
    return np.mean([real > copies for real, copies in means])
''')
code('''
seen = {"without": sees_copies([]), "with": sees_copies([layers.MinibatchDeviation()])}
for name, share in seen.items():
    print(f"{name:8} the deviation: right about {share:.0%} of 200 pairs of batches")
''')
md('''
<details><summary>What came out, and why</summary>

DEVIATION

</details>

## Fading in

When a network gets a new layer, that layer's weights are random. It would ruin the picture at once, and the discriminator, which has a new layer as well, would learn to look for the ruins. So the new layer is **faded in**. The picture is a blend,

$$(1 - \\\\alpha)\\\\, \\\\text{(old picture, pixels repeated)} + \\\\alpha\\\\, \\\\text{(new picture)},$$

with $\\\\alpha$ going from 0 to 1 during the first half of a phase. The discriminator fades, too: its new layer takes the large picture and hands down features; the old way in takes the picture's half. And the **real** pictures are blended in the same way, with their own halves enlarged. Otherwise the discriminator would know real ones by their sharpness.

At both ends the blend must be exact: at $\\\\alpha = 0$ the grown GAN is the old one, and at $\\\\alpha = 1$ the old picture has no part in it.
'''.replace("\\\\\\\\","\\\\"))
code('''
generator, discriminator = models.progressive_generator(), models.progressive_discriminator()
latents = rng.normal(size=(8, 64)).astype("float32")


def set_alpha(alpha, *networks):
    for network in networks:
        network.get_layer("fade").alpha.assign(alpha)


set_alpha(1.0, generator, discriminator)
whole = [np.asarray(picture) for picture in generator(latents)]
set_alpha(0.0, generator, discriminator)
faded = [np.asarray(picture) for picture in generator(latents)]
for i in range(1, 4):
    np.testing.assert_array_equal(faded[i], models.repeat_pixels(whole[i - 1]))
pictures = [halved(images[:8], size) for size in progressive.SIZES]
logits = discriminator(pictures)
np.testing.assert_allclose(logits[1], logits[0], atol=1e-4)  # at 16 x 16 it judges the half, as at 8 x 8
set_alpha(0.25, generator)
np.testing.assert_allclose(generator(latents)[3], 0.75 * faded[3] + 0.25 * whole[3], atol=1e-5)
print("both networks: at α = 0 the old one; the generator: at α = 0.25 three quarters of the old picture")
''',"nbval-check-output")
md('''
`progressive.ProgressiveGAN` puts all of this into one model. Both networks are built for the full size from the start, and each phase uses the part for its size. It overrides `losses`, which halves and fades the real pictures, and the step, after which it sets $\\\\alpha$ from the number of steps taken. At the start of each phase Adam's moments are set to zero, as in the paper, and the average of weights goes on. R1's weight is divided by four for each halving (lesson 06). So one `fit` goes through all phases, and one backup serves the whole run.

How much does the fading matter? The same GAN grows from 8 to 16 pixels, once with fading and once with the new layers in full force from the first step of the second phase.

> **Predict, then run.** What will the pictures look like shortly after the new layers came?
'''.replace("\\\\\\\\","\\\\"))
code('''
def grow(fading, steps):
    keras.utils.set_random_seed(SEED)
    sizes, channels = (8, 16), progressive.CHANNELS[:2]
    networks = models.progressive_generator(sizes, channels), models.progressive_discriminator(sizes, channels)
    gan = progressive.ProgressiveGAN(
        *networks, steps=(steps, steps), fading=fading, average=0.99, penalty=losses.R1(1.0, every=8), seed=SEED
    )
    times = [1, 1 + 20 / steps, 1.25, 1.5, 2]
    samples = callbacks.Samples(gan.draw_latents(6), times, measure=lambda gan: pixel_distance(gan, tested_16))
    batches = data.pipeline(faces_16, batch_size=profile.batch_size, seed=SEED).repeat()
    compiled(gan).fit(batches, epochs=2, steps_per_epoch=steps, verbose=0, callbacks=[samples])
    return samples


faces_16 = halved(images, 16)
tested_16 = data.as_float(data.load_dataset("toon_faces", split="test", n=1000, size=16, seed=1).images)
grown = {"faded in": grow(0.5, profile.fade_steps), "at full force": grow(1e-6, profile.fade_steps)}
''')
code('''
steps = [round(time * profile.fade_steps) - profile.fade_steps for time in grown["faded in"].epochs[1:]]
for name, samples in grown.items():
    labels = [f"step {step}" for step in steps]
    plotting.show(
        plotting.image_grid(np.concatenate(samples.images[1:]), columns=6, row_labels=labels),
        f"{name.capitalize()}: the same latents, after so many steps at 16 × 16. Distance in pixels: "
        + ", ".join(f"{value:.0f}" for value in samples.measured[1:]) + ".",
        alt=f"Faces of 16 × 16 pixels at five times after the GAN has grown, {name}",
    )
''')
md('''
<details><summary>What came out, and why</summary>

FADE

</details>

## From 8 to 64 pixels

TRAINING
''')
code('''
def growing(steps):
    keras.utils.set_random_seed(SEED)
    networks = models.progressive_generator(), models.progressive_discriminator()
    options = {"average": 0.99, "penalty": losses.R1(1.0, every=8), "seed": SEED}
    return compiled(progressive.ProgressiveGAN(*networks, steps=steps, **options))
''')
code('''
gan, curves = growing(profile.growing_steps), callbacks.Curves(every=20)
epochs, ends = sum(profile.growing_steps) // profile.epoch, np.cumsum(profile.growing_steps) / profile.epoch
samples = callbacks.Samples(gan.draw_latents(8), [*ends])
start = time.perf_counter()
gan.fit(
    data.pipeline(images, batch_size=profile.batch_size, seed=SEED).repeat(),
    epochs=epochs,
    steps_per_epoch=profile.epoch,
    verbose=0,
    callbacks=[callbacks.Progress(), curves, samples],
    backup=lesson.folder / "backup",
)
growing_seconds = time.perf_counter() - start
''')
code('''
plotting.show(
    plotting.image_grid(
        np.concatenate(samples.images[1:]), columns=8, row_labels=["8", "16", "32", "64"], tile_inches=0.8
    ),
    "The same latents at the end of each phase.",
    alt="Faces of the same eight latents in four rows, from coarse blocks to 64 × 64 pixels",
)
''')
md('''
GROWN

## An honest comparison

Is growing worth it? The rival is the last network, trained from the first second with all layers. Both get the same time.

COMPARISON
''')
code('''
rival = at_once(64)
clock = callbacks.TimeLimit(growing_seconds)
rival.fit(
    data.pipeline(images, batch_size=profile.batch_size, seed=SEED).repeat(),
    steps_per_epoch=10**6,
    verbose=0,
    callbacks=[clock],
)
''')
md('''
TABLES

## A walk

WALK

## What became of it

- **StyleGAN** (2019, lesson 10) grew in the same way; **StyleGAN2** (2020) stopped: growing left marks, details such as teeth that kept their place while the face turned, and networks with a picture from each size, added up, trained as well at once. It kept the equalised learning rate and the minibatch deviation.
- **Cascades and latent diffusion** draw a small picture first and enlarge it with another network, more like lesson 06.
- Curricula from easy to hard, small pictures before large ones, are common in training of all kinds, because the first steps are then cheap. That is what remains of it in practice.

## Summary

- A step costs about as many times more as there are pixels more.
- SUMMARY
''')
code('''
lesson.close()
''')
md("This was the last lesson.")
def split(text): return text.splitlines(True)
out={"cells":[], "metadata":copy.deepcopy(nb5["metadata"]), "nbformat":4,"nbformat_minor":5}
for n,(kind,text,k) in enumerate(cells):
    c={"cell_type":kind,"id":k.get("id") or f"d{n:03d}","metadata":{},"source":split(text)}
    if kind=="code":
        c|={"execution_count":None,"outputs":[]}
        if k.get("tags"): c["metadata"]["tags"]=k["tags"]
        if "setup" in k.get("tags",[]): c["metadata"]=copy.deepcopy(nb5["cells"][2]["metadata"])
        if "parameters" in k.get("tags",[]): c["metadata"]=copy.deepcopy(nb5["cells"][4]["metadata"])
    out["cells"].append(c)
json.dump(out,open(ROOT+"notebooks/07_progressive_growing.ipynb","w"),ensure_ascii=False,indent=1)
