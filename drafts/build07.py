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
- write the four parts that made progressive growing work: the equalised learning rate, pixel normalisation, the minibatch standard deviation, and fading in, and say which failure each of them prevents;
- let one GAN grow from 8 × 8 to 64 × 64 pixels within one run and one backup;
- compare growing with training at once, at equal time, and report what you see even if it is not what you hoped for.

**You need** lessons [02](02_dcgan.ipynb) (transposed convolutions, R1, the average of weights), [05](05_training_stability.ipynb) (batches that are alike) and [06](06_laplacian_pyramid.ipynb) (halving and doubling, composed faces, attribute fidelity).
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

from ganutils import callbacks, checkpoints, data, features, layers, lessons, losses, metrics, models, plotting, training
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

Why not train the large network at once? It can be done, and we will. But it is slow: each step has to compute all pixels, also at the beginning, when the GAN has yet to learn where a face has its hair.

> **Predict, then run.** From 8 × 8 to 64 × 64 there are 64 times as many pixels. How much longer does a training step take?
''')
code('''
def at_once(size, seed=SEED):
    """The GAN of a size, without growing: all layers from the first step on."""
    sizes = [each for each in progressive.SIZES if each <= size]
    channels = progressive.CHANNELS[: len(sizes)]
    generator, discriminator = models.progressive_generator(sizes, channels), models.progressive_discriminator(sizes, channels)
    drawn, judged = keras.Model(generator.input, generator.outputs[-1]), keras.Model(discriminator.inputs[-1], discriminator.outputs[-1])
    gan = training.GAN(drawn, judged, average=0.99, penalty=losses.R1(1.0, every=8), seed=seed)
    gan.compile(*(keras.optimizers.Adam(2e-3, beta_1=0.0, beta_2=0.99) for _ in range(2)))
    return gan


def halved(images, size):
    pictures = data.as_float(images)
    while pictures.shape[1] > size:
        pictures = np.asarray(models.halve(pictures))
    return pictures


rows = {}
for size in progressive.SIZES:
    gan, batches = at_once(size), data.pipeline(halved(images[:640], size), batch_size=profile.batch_size)
    gan.fit(batches, steps_per_epoch=2, verbose=0)  # builds the graph
    start = time.perf_counter()
    gan.fit(batches, steps_per_epoch=profile.timed_steps, verbose=0)
    seconds = (time.perf_counter() - start) / profile.timed_steps
    rows[f"{size} × {size}"] = {"seconds a step": f"{seconds:.3f}", "pictures a second": f"{profile.batch_size / seconds:,.0f}"}
plotting.show_table(rows, f"Training steps on {profile.batch_size} pictures, on this machine.", "size")
''')
md('''
<details><summary>What came out, and why</summary>

COSTS

</details>

## Weights of equal size

A network of many sizes has layers of very different widths: a pixel of a convolution's output may be a sum over 200 numbers, or over 4,000. So that the sum has the size of its inputs, its weights must be small, about 1 / √(number of inputs), or that times √2 behind a ReLU (He et al. 2015). Usually the weights *begin* so small. Karras et al. let all weights begin as numbers from N(0, 1), and multiply them by this factor each time that they are *used*. They call it the **equalised learning rate**.
''')
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
At the start it makes no difference whether weights are small or are made small. The difference is Adam. A step of Adam changes each weight by about the learning rate, however large its gradient is. To a weight of 1 a step of 0.002 is little; to a weight of 0.02 it is a tenth.

> **Predict, then run.** Take one step with both kinds of weights, at the same learning rate. Which layers move most, as a share of their size?
''')
code('''
def relative_steps(gan):
    before = {weight.path: weight.numpy() for weight in gan.generator.trainable_weights if len(weight.shape) > 1}
    gan.adversarial_step(halved(images[:64], 32))
    return {
        path: np.linalg.norm(weight.numpy() - before[path]) / np.linalg.norm(before[path])
        for weight in gan.generator.trainable_weights
        if (path := weight.path) in before
    }
''')
md('''
PLAIN-VS-EQUALISED

## Pixel normalisation

Batch normalisation, which lesson 02's generator needs, has its own troubles (lesson 02), and none of it is in this GAN. Instead, each pixel's channels are divided by their root mean square. It has no weights and looks at nothing but the pixel itself. So the numbers within the generator cannot grow when the two players push each other.
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
The latents are normalised in the same way, before anything else: only their direction counts.

## The minibatch standard deviation

Lesson 05 showed a discriminator that sees how close the images of a batch are to each other. Karras et al. found a simpler way, without weights: take the standard deviation of each feature over the batch, average all of them to one number, and append it as a further channel, everywhere the same.
''')
code('''
def deviation(features):
    return np.sqrt(features.var(axis=0)).mean()


some, alike = rng.normal(size=(8, 4, 4, 16)), np.repeat(rng.normal(size=(1, 4, 4, 16)), 8, axis=0)
print(f"eight different images: {deviation(some):.2f}, eight equal ones: {deviation(alike):.2f}")
appended = layers.MinibatchDeviation()(some.astype("float32"))
np.testing.assert_allclose(appended[..., -1], deviation(some), atol=1e-3)
print("by hand and packaged agree")
''',"nbval-check-output")
md('''
## Fading in

When a network gets a new layer, that layer's weights are random. It would ruin the picture at once, and the discriminator would learn to look for the ruins. So the new layer is **faded in**. The picture is a blend,

$$(1 - \\alpha)\\, \\text{(old picture, doubled)} + \\alpha\\, \\text{(new picture)},$$

with $\\alpha$ going from 0 to 1 during the first half of a phase. The discriminator fades, too: its new layer takes the large picture and hands down features; the old way in takes the picture's half. And the **real** pictures are blended in the same way, with their own halves doubled. Otherwise the discriminator would know real ones by their sharpness.

At both ends the blend must be exact: at $\\alpha = 0$ the grown GAN is the old one, at $\\alpha = 1$ the old picture has no part in it.
''')
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
`progressive.ProgressiveGAN` is all of this in one model: both networks are built for 64 × 64 pixels from the start, with a way in and a way out at each size, and a phase uses the part for its size. $\\alpha$ is a *variable*, which each step sets from the number of steps that were taken. That is worth saying since many implementations got it wrong: $\\alpha$ as a Python number is written into the graph of the training step when that is built, and never moves again; others compute it by a division that always gives 0. The GAN then trains without an error, with the old picture in it for ever.

> **Predict, then run.** Below, a finished generator draws with $\\alpha$ stuck at 0, a half, and 1. What will the second row look like?
''')
code('''
grown = checkpoints.load_checkpoint("progressive_faces")
rows, names = [], []
for alpha in (0.0, 0.5, 1.0):
    set_alpha(alpha, grown)
    rows.append(np.asarray(grown(latents)[-1]).clip(-1, 1))
    names.append(f"α = {alpha:g}")
plotting.show(
    plotting.image_grid(np.concatenate(rows), columns=8, row_labels=names, tile_inches=0.8),
    "The same latents, the same weights, three values of α.",
    alt="Faces in three rows: blocky ones, ones with a blocky ghost, and sharp ones",
)
''')
md('''
TRAINING, COMPARISON, WALK to come.
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
