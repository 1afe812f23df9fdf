import json, copy, sys
ROOT="./"
nb5=json.load(open(ROOT+"notebooks/05_training_stability.ipynb"))
def code5(i): return "".join(nb5["cells"][i]["source"])
cells=[]
def md(text, **k): cells.append(("markdown", text.strip("\n"), k))
def code(text, *tags, id=None): cells.append(("code", text.strip("\n"), {"tags":list(tags),"id":id}))

md('''
# 06 · Laplacian pyramid: from coarse to fine

![Columns of digits: a few grey blocks, below them a blurred digit, and a sharp one](pictures/06_laplacian_pyramid.png)

*From noise to digits in three steps, of 7 × 7, 14 × 14 and 28 × 28 pixels. Each column is one digit, and each step a GAN of its own.*

[![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/gan-course/HEAD?labpath=notebooks/06_laplacian_pyramid.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/gan-course/blob/HEAD/notebooks/06_laplacian_pyramid.ipynb)

**Time:** TIME

After this lesson you can

- take a picture apart into levels, and put it together again without loss;
- say how many numbers each level must invent, and why its output has a different range from a picture's;
- write a GAN that adds detail to a coarse picture, and train one for each level on its own;
- measure the **exposure gap**: how good a level is on real coarse pictures, and how good on generated ones;
- test a known repair, and say what it can repair and what it cannot;
- break a pyramid on purpose.

**You need** lessons [02](02_dcgan.ipynb) and [03](03_conditional_gan.ipynb): a GAN with a condition, the R1 penalty, the average of weights; and from [04](04_evaluation.ipynb) the FID and its floor.
''')
md("## Set-up")
code(code5(2),"setup")
md("The parameters of this run:")
code(code5(4).replace("a few","a few"),"parameters")
code('''
import time

import keras
import numpy as np
from keras import layers

from ganutils import callbacks, checkpoints, data, features, lessons, losses, metrics, models, plotting, training
from ganutils.models import lapgan
''')
code('''
lesson = lessons.Lesson("06_laplacian_pyramid", PROFILE)
profile = lesson.profile
keras.utils.set_random_seed(SEED)
images = data.as_float(data.load_dataset("mnist").images[: profile.images])
''')
md('''
## A picture in levels

A large picture is hard to draw at once. It is easier to draw a small one, and then to add detail: first where the strokes are, then how thick they are, then how sharp their edges. Denton et al. (2015) gave each of these steps to a small GAN of its own, and called the chain **LAPGAN**. In a test with people, about 40% of its CIFAR-10 pictures (32 × 32, in colour) passed for real, against 10% of a plain GAN's.

Two operations are all it takes. To **halve** a picture, take the mean of each block of 2 × 2 pixels. To **double** one, interpolate. In each direction, a new pixel lies a quarter of an old pixel away from the centre of the nearest old one. So it gets three quarters of that one, and a quarter of the next.
''')
code('''
def halve(pictures):
    n, height, width, channels = pictures.shape
    return pictures.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


def double(pictures):
    for axis in (1, 2):
        n = pictures.shape[axis]
        before = np.take(pictures, np.maximum(np.arange(n) - 1, 0), axis)  # the first pixel has none before it
        after = np.take(pictures, np.minimum(np.arange(n) + 1, n - 1), axis)
        pairs = np.stack([0.75 * pictures + 0.25 * before, 0.75 * pictures + 0.25 * after], axis + 1)
        pictures = pairs.reshape(*pictures.shape[:axis], 2 * n, *pictures.shape[axis + 1 :])
    return pictures


np.testing.assert_allclose(halve(images[:100]), models.halve(images[:100]), atol=1e-6)
np.testing.assert_allclose(double(images[:100]), models.double(images[:100]), atol=1e-6)
print("by hand and packaged agree")
''',"nbval-check-output")
md('''
What a picture loses by being halved is its **residual**: the picture minus its doubled half. Write $d$ for halving (down) and $u$ for doubling (up). A digit $x_{28}$ of 28 × 28 pixels has the half $x_{14} = d(x_{28})$ and the residual $h_{28} = x_{28} - u(x_{14})$. So

$$x_{28} = u(x_{14}) + h_{28}, \\qquad x_{14} = u(x_7) + h_{14}.$$

The smallest picture and all residuals are the **Laplacian pyramid** of Burt and Adelson (1983). (A picture minus a blurred copy looks like its Laplacian, a sum of second derivatives. They blur more widely, over 5 × 5 pixels, and then take every second one; a mean of 2 × 2 is blur and halving in one.) It holds everything: double the smallest picture, add the residual of that size, and go on.
''')
code('''
def pyramid(pictures, levels=2):
    residuals = []
    for _ in range(levels):
        half = halve(pictures)
        residuals.insert(0, pictures - double(half))
        pictures = half
    return pictures, residuals


def rebuild(smallest, residuals, double=double):
    for residual in residuals:
        smallest = double(smallest) + residual
    return smallest


smallest, residuals = pyramid(images[:1000])
error = np.abs(rebuild(smallest, residuals) - images[:1000]).max()
assert error < 1e-6
print("the rebuilt digits are the digits")
''',"nbval-check-output")
code('''
def at_28(pictures):
    "Repeat pixels up to 28 x 28, so that all sizes can stand side by side."
    return np.kron(pictures, np.ones((1, 28 // pictures.shape[1], 28 // pictures.shape[2], 1)))


rows = {"7 × 7": smallest, "14 × 14": halve(images[:6]), "28 × 28": images}
rows |= {"residual, 14": residuals[0] / 2, "residual, 28": residuals[1] / 2}
plotting.show(
    plotting.image_grid(np.concatenate([at_28(row[:6]) for row in rows.values()]), columns=6, row_labels=list(rows)),
    "Six digits in a pyramid. In the residuals grey is 0, white is +2 and black is −2.",
    alt="Digits at three sizes, and their residuals, which are grey but for the edges of strokes",
)
''')
md('''
Even at 7 × 7 most digits can be read, if you step back from the screen. The residuals hold the edges.

How much must be invented at each level? A residual of 14 × 14 has 196 numbers. But the mean of each of its blocks is fixed, since the picture's half is known: 49 numbers are not free, and 147 are new. From there to 28 × 28 it is 784 − 196 = 588. Together with the first 49 these are the 784 of the whole digit. (The pyramid above stores 49 + 196 + 784 = 1,029 numbers: it is redundant by a third.)

> **Predict, then run.** Pixels range from −1 to 1. How large can a residual be? How large are they, at which level are they larger, and is it the same for faces?
''')
code('''
faces = data.as_float(data.load_dataset("toon_faces", n=500, size=32, seed=SEED).images)
rows = {}
for name, pictures in {"digits": images[:1000], "faces": faces}.items():
    for residual in pyramid(pictures)[1]:
        largest = np.abs(residual).max(axis=(1, 2, 3))  # of each picture
        rows[f"{name}, {residual.shape[1]} × {residual.shape[2]}"] = {
            "largest of all": f"{largest.max():.2f}",
            "standard deviation": f"{residual.std():.2f}",
            "pixels beyond ±1": f"{np.mean(np.abs(residual) > 1):.1%}",
            "pictures with such a pixel": f"{np.mean(largest > 1):.0%}",
        }
plotting.show_table(rows, "Residuals of 1,000 digits and 500 composed faces.", "residual")
''')
md('''
<details><summary>What came out, and why</summary>

A pixel has a share of $\\\\tfrac{9}{16} \\\\cdot \\\\tfrac14 = \\\\tfrac{9}{64}$ in its own doubled half. So, away from the border, a residual is at most $2 (1 - \\\\tfrac{9}{64}) = 1.72$: a white pixel alone among black ones. Digits reach 1.5. The larger the picture, the less it differs from pixel to pixel, and the smaller the residuals; faces, with their even areas, have the smallest. Few pixels lie beyond ±1, but most digits have one.

</details>

So a generator of residuals should not end in tanh, the usual last layer. Tanh is made for pixels, many of which lie at −1 or 1. Residuals are mostly near 0, with a few beyond ±1. Tanh cannot reach those, and just before them it hardly moves: at an output of 0.9 its slope is $1 - 0.9^2 = 0.19$. A wider tanh would do, and so does the simplest, a linear layer.

## One level

A level is a conditional GAN (lesson 03). Its condition is not a class but a coarse picture $c$. The generator $g$ gets $c$ and latents $z$, and makes detail, $\\\\tilde x = u(c) + g(z, c)$. One thing about that picture is certain: its half must be $c$. It is not so by itself, not even without any detail, since halving does not undo doubling:
'''.replace("\\\\\\\\","\\\\"))
code('''
coarse = halve(images[:1000])
print(f"root mean square of d(u(c)) - c: {np.sqrt(np.mean((halve(double(coarse)) - coarse) ** 2)):.2f}")
''')
md('''
We need not hope that the generator learns to make up for it. Shift each block of 2 × 2 pixels so that its mean is the coarse pixel, $\\\\hat x = \\\\tilde x + r(c - d(\\\\tilde x))$, where $r$ repeats each pixel. Halving undoes repeating, so $d(\\\\hat x) = c$.
'''.replace("\\\\\\\\","\\\\"))
code('''
def add_detail(coarse, detail):
    pictures = models.double(coarse) + detail
    return pictures + models.repeat_pixels(coarse - models.halve(pictures))


any_detail = np.random.default_rng(SEED).normal(size=(1000, 28, 28, 1)).astype("float32")
assert np.abs(halve(np.asarray(add_detail(coarse, any_detail))) - coarse).max() < 1e-5
print("whatever the detail, the half is the coarse picture")
''',"nbval-check-output")
md('''
The discriminator sees the picture $\\\\hat x$, never the detail alone. Does it not need the condition, too, to know whether the two belong together? The condition is in the picture: it is its half. To judge the pair and to judge the picture is the same. (Denton et al. do without the shift. Their discriminator adds the coarse picture to the residual in its first layer, which comes to the same sum.)

The generator's network: a dense layer makes a few maps of the coarse picture's size from the latents, and they are stacked onto it as further channels. Two convolutions look at both, and a transposed convolution doubles the size. That is small, since detail depends on its neighbourhood alone.
'''.replace("\\\\\\\\","\\\\"))
code('''
def level_generator(side, latent_dim=32, filters=48, maps=8):
    latents, coarse = keras.Input((latent_dim,)), keras.Input((side // 2, side // 2, 1))
    x = layers.Dense((side // 2) ** 2 * maps)(latents)
    x = layers.Concatenate()([coarse, layers.Reshape((side // 2, side // 2, maps))(x)])
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
    return keras.Model([latents, coarse], layers.Conv2DTranspose(1, 4, 2, padding="same")(x))
''')
code('''
class LevelByHand(training.GAN):
    def losses(self, real):
        return super().losses((real, models.halve(real)))  # the condition is the half of a real picture

    def generate(self, latents, condition):
        return add_detail(condition, self.run("generator", [latents, condition]))
''')
md('''
`GAN.losses` is the one of lesson 02: it draws latents, calls `generate` with the condition, and compares logits; `run` calls a player's network, in training mode during a step. The condition is the half of the *real* picture, so a level can be trained without any other level. `lapgan.Level` is this class with a few checks, and with noise, of which more below. Both take the same step:
''')
code('''
def compiled(gan):
    optimizers = [keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99) for rate in (2e-3, 1e-3)]
    gan.compile(*optimizers, steps_per_execution=10)  # ten steps in one go, since some of these networks are small
    return gan


weights = []
for kind in (LevelByHand, lapgan.Level):
    keras.utils.set_random_seed(SEED)
    _, discriminator = lapgan.level_networks((28, 28, 1))
    level = compiled(kind(level_generator(28), discriminator, penalty=losses.R1(1.0, every=8), seed=SEED))
    level.adversarial_step(images[:64])
    weights.append(level.generator.get_weights())
for one, other in zip(*weights, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
print("by hand and packaged agree after a step")
''',"nbval-check-output")
md('''
## Three GANs, each on its own

The base is a plain GAN of dense layers, which draws 49 pixels. Each level learns from real coarse pictures and their originals. No GAN waits for another one: the three could be trained on three machines at the same time.

One setting differs from level to level. R1 charges the discriminator for its slope, the change of the logit by a change of the picture. The same change of a digit is a smaller step among 49 numbers than among 784. If every pixel changes by 0.1, the step has the length $0.1 \\\\sqrt{49} = 0.7$ in one, and 2.8 in the other. To tell the same two digits apart, the small discriminator must be at least four times as steep, and R1 would charge it 16 times as much. So, as a rule of thumb, let its weight $\\\\gamma$ grow with the number of pixels: 1 at 28 × 28, a quarter at 14 × 14, a sixteenth at 7 × 7. (The automatic settings of StyleGAN2 do so, too.)
'''.replace("\\\\\\\\","\\\\"))
code('''
pictures_of = {28: images, 14: halve(images)}
pictures_of[7] = halve(pictures_of[14])


def options(side):
    return {"penalty": losses.R1((side / 28) ** 2, every=8), "average": 0.99, "seed": SEED}


def train(gan, side, steps):
    curves, start = callbacks.Curves(), time.perf_counter()
    batches = data.pipeline(pictures_of[side], batch_size=profile.batch_size, seed=SEED)
    compiled(gan).fit(batches, steps_per_epoch=steps, verbose=0, callbacks=[curves])
    milliseconds = 1000 * (time.perf_counter() - start) / steps
    print(f"{side} × {side}: {steps:,} steps of {milliseconds:.0f} ms")
    return gan, curves.history
''')
code('''
keras.utils.set_random_seed(SEED)
base, history = train(training.GAN(*lapgan.base_networks((7, 7, 1)), **options(7)), 7, profile.base_steps)
levels, histories = {}, {7: history}
for side, steps in {14: profile.small_level_steps, 28: profile.large_level_steps}.items():
    level = lapgan.Level(*lapgan.level_networks((side, side, 1)), **options(side))
    levels[side], histories[side] = train(level, side, steps)
''')
code('''
curves = {f"{side} × {side}": (np.array(h["step"]), np.array(h["discriminator_loss"])) for side, h in histories.items()}
plotting.show(
    plotting.lines(curves, "training step", "discriminator's loss", level=2 * np.log(2)),
    "The line is where a discriminator is that cannot tell real from generated pictures.",
    alt="Three curves of the discriminators' losses",
)
''')
md('''
CURVES

To draw a digit, go from small to large. Each GAN gets latents of its own.
''')
code('''
def draw_latents(n, seed):
    return np.random.default_rng(seed).standard_normal((n, 32)).astype("float32")


def enlarge(level, coarse, seed):
    return level.predict([draw_latents(len(coarse), seed), coarse], batch_size=250, verbose=0)


sevens = base.predict(draw_latents(profile.samples, 7), batch_size=250, verbose=0)
fourteens = enlarge(levels[14], sevens, 14)
generated = {"7 × 7": sevens, "14 × 14": fourteens, "28 × 28": enlarge(levels[28], fourteens, 28)}
grid = np.concatenate([at_28(pictures[:8]) for pictures in generated.values()])
plotting.show(
    plotting.image_grid(grid, columns=8, row_labels=list(generated)),
    "Eight digits from noise, level by level.",
    alt="Three rows of digits, from grey blocks to sharp strokes",
)
''')
md('''
(`predict` clips pictures to [−1, 1], so that with generated ones the half may differ from the coarse picture a little.)

How much do a level's latents decide? A level that draws as the data are would make two pictures of one coarse picture as different from each other as each is from the true one.

> **Predict, then run.** Is it so?
''')
code('''
test, test_classes = data.load_dataset("mnist", split="test")
order = np.random.default_rng(SEED).permutation(len(test))[: 2 * profile.samples]
real, reference_digits = data.as_float(test[order]).reshape(2, profile.samples, 28, 28, 1)
classes = test_classes[order[: profile.samples]]
real_of = {28: real, 14: halve(real), 7: halve(halve(real))}


def distance(pictures, others):
    return 127.5 * np.sqrt(np.mean((pictures - others) ** 2))  # in grey levels


rows, apart = {}, {}
for side, level in levels.items():
    one, other = (enlarge(level, real_of[side // 2], seed) for seed in (1, 2))
    apart[side] = distance(one, other), distance(one, real_of[side])
    names = "with other latents", "the true picture", "the doubled coarse one"
    values = *apart[side], distance(one, double(real_of[side // 2]))
    rows[f"{side} × {side}"] = {name: f"{value:.1f}" for name, value in zip(names, values, strict=True)}
plotting.show_table(rows, "Root mean square distance of a level's pictures from others, in grey levels of 255.", "level")
''')
md('''
<details><summary>What came out, and why</summary>

SPREAD

</details>

## The exposure gap

A level is trained on real coarse pictures. When the chain draws, it gets generated ones, which it has never seen. What does that cost? Every chain of models has this **exposure gap**, and nobody shows it. So let us feed the last level with three kinds of coarse pictures: real ones; those that the first level makes from real pictures of 7 × 7; and those of the whole chain, from noise. For each kind, measure what goes in, and what comes out.

> **Predict, then run.** The FID will rise from one kind to the next. At which step does it rise more? And how much of that is already in what goes in?
''')
code('''
classifier = features.digit_classifier()
of_digits = classifier(reference_digits).features
of_doubled = classifier(double(halve(reference_digits)).astype("float32")).features


def fid(pictures, reference=of_digits):
    return metrics.frechet_distance(reference, classifier(pictures.clip(-1, 1).astype("float32")).features)


def kept(pictures):
    "The share of pictures whose digit is still that of the real picture that they come from."
    return np.mean(classifier(pictures.clip(-1, 1).astype("float32")).probabilities.argmax(axis=1) == classes)


given = {"real 14 × 14": real_of[14], "real 7 × 7": enlarge(levels[14], real_of[7], 14), "noise": fourteens}
made = {name: enlarge(levels[28], pictures, 28) for name, pictures in given.items()}
rows = {"real digits": {"digits": f"{fid(real):.1f}", "digit kept": f"{kept(real):.1%}"}}
rows["real 14 × 14, doubled"] = {"digits": f"{fid(double(real_of[14])):.1f}"}
for name in given:
    rows[f"GANs, from {name}"] = {
        "14 × 14, given": f"{fid(double(given[name]), of_doubled):.1f}",
        "digits": f"{fid(made[name]):.1f}",
        "digit kept": "" if name == "noise" else f"{kept(made[name]):.1%}",
    }
''')
code('''
caption = (
    f"FID (digits) of {profile.samples:,} pictures: of those of 14 × 14 that the last level is given, against real ones "
    "of that size (both doubled, to be read by the classifier), and of the digits. The first row is the floor."
)
plotting.show_table(rows, caption, "made from")
''')
code('''
lost = np.flatnonzero(classifier(made["real 7 × 7"].clip(-1, 1)).probabilities.argmax(axis=1) != classes)
shown = np.resize(lost, 6)
rows = {"real, 14": real_of[14], "its digit": made["real 14 × 14"], "from real 7": given["real 7 × 7"]}
rows |= {"its digit ": made["real 7 × 7"]}
grid = np.concatenate([at_28(pictures[shown]) for pictures in rows.values()])
plotting.show(
    plotting.image_grid(grid, columns=6, row_labels=list(rows)),
    f"The first 6 of {len(lost)} digits, of {profile.samples:,}, that became others on the way from 7 × 7.",
    alt="Digits rebuilt from real 14 × 14 pixels, and the same ones from 7 × 7, where smears became wrong strokes",
)
''')
md('''
<details><summary>What came out, and why</summary>

EXPOSURE

</details>

### A known repair, put to the test

Ho et al. (2022) draw with cascades of diffusion models, which have the same gap. They add noise to the coarse pictures in training, and again when they draw; the network is told how strong it is. A level that has seen noise takes no pixel at its word. Let us train the last level once more, with noise on what its generator sees, of a standard deviation between 0 and 0.3 that differs from picture to picture. (`add_detail` still uses the clean coarse picture.)

> **Predict, then run.** With which coarse pictures will the level that was trained with noise do better than the other: with real ones, noisy ones, or generated ones?
''')
code('''
keras.utils.set_random_seed(SEED)
robust = lapgan.Level(*lapgan.level_networks((28, 28, 1)), noise=0.3, **options(28))
train(robust, 28, profile.large_level_steps)
noise = np.random.default_rng(SEED).normal(size=real_of[14].shape)
tested = {"real": real_of[14]}
tested |= {f"real, with noise of {size}": real_of[14] + size * noise for size in (0.1, 0.3)}
tested |= {"from real 7 × 7": given["real 7 × 7"], "from noise": given["noise"]}
rows, repaired = {}, {}
for name, pictures in tested.items():
    seen = pictures.clip(-1, 1).astype("float32")
    repaired[name] = [fid(enlarge(level, seen, 28)) for level in (levels[28], robust)]
    clean, noisy = repaired[name]
    rows[name] = {"trained on clean": f"{clean:.1f}", "trained with noise": f"{noisy:.1f}"}
plotting.show_table(rows, "FID (digits) of digits that the two levels make.", "coarse pictures")
''')
md('''
<details><summary>What came out, and why</summary>

REPAIR

</details>

## A pyramid that does not fit

The two operations belong to the pyramid as much as the networks do. A common slip: train with one, and draw with another, such as a library's default.

> **Predict, then run.** Take real pyramids, and rebuild the digits with a doubling that repeats pixels. How wrong will they be? And what will the last level make of pictures that were halved by taking every second pixel?
''')
code('''
def every_second(pictures):
    return pictures[:, ::2, ::2]


mismatched = rebuild(*pyramid(real), double=lambda pictures: np.asarray(models.repeat_pixels(pictures)))
wrong = enlarge(levels[28], every_second(real), 28)
print(f"rebuilt by repeating: off by {distance(mismatched, real):.0f} grey levels, FID {fid(mismatched):.1f}")
print(f"last level, given every second pixel: FID {fid(wrong):.1f}, given means {fid(made['real 14 × 14']):.1f}")
rows = {"real": real, "by repeating": mismatched.clip(-1, 1), "2nd pixel": every_second(real), "its digit": wrong}
plotting.show(
    plotting.image_grid(np.concatenate([at_28(row[:6]) for row in rows.values()]), columns=6, row_labels=list(rows)),
    "Real digits, rebuilt with the wrong doubling; halved in the wrong way, and what the level makes of these.",
    alt="Digits with a pattern of blocks over them, and digits with strokes that are too bold",
)
''')
md('''
<details><summary>What came out, and why</summary>

BROKEN

</details>

## The same, on faces

A pyramid pays where there is more to draw. *Composed faces* are colour pictures put together from layers: a skin, a hair style, a beard, clothes, and so on, ten **attributes** in all. 18,750,000 such faces exist, and nobody is depicted. Since the attributes of each are known, a small network, the **reader**, has learnt to name them. At 32 × 32 pixels it names nine of them right in more than 99.9% of new faces, and the mouth in 97%. It gives a new measure, the **attribute fidelity**: the share of pictures in which the reader is sure, by a probability above 0.9, of all nine. Two hair styles that flow into one another, or a beard of a colour in between, leave it in doubt. And its features give a Fréchet distance, *FID (faces)*.

The same chain, in three colours: 8 × 8, 16 × 16, 32 × 32. It was trained for longer, by `python tools/train_checkpoints.py lapgan_faces`, and its weights are shipped. Its generators are joined into one network, which takes the latents of all three.
''')
code('''
chain, reader = checkpoints.load_checkpoint("lapgan_faces"), features.face_reader(32)
real_faces, other_faces = (
    data.as_float(data.load_dataset("toon_faces", split="test", n=profile.samples, size=32, seed=seed).images)
    for seed in (1, 2)
)
face_halves = {16: halve(real_faces), 8: halve(halve(real_faces))}


def enlarge_faces(coarse, *sides):
    for side in sides:
        level = chain.get_layer(f"level_generator_{side}")
        detail = level.predict([draw_latents(len(coarse), side), coarse], batch_size=250, verbose=0)
        coarse = np.asarray(add_detail(coarse, detail)).clip(-1, 1)
    return coarse


z = np.concatenate([draw_latents(profile.samples, i) for i in range(3)], axis=1)
stages = chain.predict(z, batch_size=250, verbose=0)
found = {
    "real faces": real_faces,
    "real 16 × 16, doubled": double(face_halves[16]),
    "GANs, from real 16 × 16": enlarge_faces(face_halves[16], 32),
    "GANs, from real 8 × 8": enlarge_faces(face_halves[8], 16, 32),
    "GANs, from nothing": stages[-1],
}
of_others, rows = reader(other_faces), {}
for name, pictures in found.items():
    read = reader(pictures.astype("float32"))
    fidelity = metrics.attribute_fidelity({name: read.probabilities[name] for name in reader.readable})
    distance = metrics.frechet_distance(of_others.features, read.features)
    rows[name] = {"FID (faces)": f"{distance:.1f}", "sure of all attributes": f"{fidelity.share:.0%}"}
    rows[name]["values missing"] = sum(map(len, fidelity.missing.values()))
plotting.show_table(rows, f"{profile.samples:,} faces each, at 32 × 32 pixels.", "faces")
''')
code('''
sizes = [np.kron(each[:8], np.ones((1, 32 // each.shape[1], 32 // each.shape[2], 1))) for each in stages]
plotting.show(
    plotting.image_grid(np.concatenate(sizes), columns=8, row_labels=["8 × 8", "16 × 16", "32 × 32"], tile_inches=0.7),
    "Eight faces from noise, level by level.",
    alt="Three rows of faces: blocks of colours, blurred faces, and faces with hair, eyes and clothes",
)
''')
md('''
<details><summary>What came out, and why</summary>

FACES

</details>

## What became of it

Hardly anybody trains LAPGANs any more. But the idea, coarse first and detail later, has won:

- **Progressive growing** (lesson 07) keeps one GAN, and lets it grow: the levels learn together, so nothing is exposed to what it has not seen.
- **Super-resolution** (lesson 08) is a single level, for its own sake: a coarse picture comes from a camera, and somebody wants to see more.
- **Cascades of diffusion models** (Ho et al. 2022) draw a small picture and enlarge it with models of their own, each trained on real pictures with noise. They are LAPGANs with another kind of generator, and their authors measured the exposure gap, too.

## Summary

- A Laplacian pyramid is a small picture and residuals; it holds all of a picture. Halving and doubling belong to it: change one, and the levels meet pictures that they do not know.
- A level is a GAN whose condition is a coarse picture. Its detail has a different range from a picture's, so no tanh, and the discriminator sees the sum.
- Levels are trained independently on real coarse pictures, and draw from generated ones. Measure each on both, and what goes in as well as what comes out.
- The penalty on a slope depends on the size of the picture: R1's weight should grow with the number of pixels.
- A repair must fit the fault. Noise on the condition makes a level robust against noise; it does not remove what a level inherits from the one below.

## Exercises

Work in new cells at the end of the notebook.

1. Halve by every second pixel *and* double by repeating, in training and in drawing. How many numbers has a level to invent now, and which of them are certain? (No training needed.)
2. Train the base with the R1 weight of the large level, 1. What does that do to the FID of digits from nothing?
3. Leave the shift out of `add_detail`. What is the FID given real 14 × 14 pictures, and how far is the half of such a picture from the coarse one?
4. Train the last level on what it will get: on pictures of 14 × 14 that the first level makes from real ones of 7 × 7, with and without the shift. Does that narrow the gap?

<details><summary>What to look for</summary>

ANSWERS

</details>

## Further reading

- P. Burt, E. Adelson. *The Laplacian Pyramid as a Compact Image Code.* IEEE Transactions on Communications 31, 1983.
- E. Denton, S. Chintala, A. Szlam, R. Fergus. *Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks.* NeurIPS 2015. [arXiv:1506.05751](https://arxiv.org/abs/1506.05751).
- J. Ho, C. Saharia, W. Chan, D. Fleet, M. Norouzi, T. Salimans. *Cascaded Diffusion Models for High Fidelity Image Generation.* JMLR 23, 2022. [arXiv:2106.15282](https://arxiv.org/abs/2106.15282).
''')
code('''
# This run's numbers, for the course's own checks. You may skip this cell.
picture = np.concatenate([at_28(pictures[8:18]) for pictures in generated.values()])
lesson.save_picture(plotting.image_grid(picture, columns=10))
found = {"floor": fid(real), "wrong": fid(wrong), "mismatched": fid(mismatched)}
for key, name in {"from_14": "real 14 × 14", "from_7": "real 7 × 7", "from_noise": "noise"}.items():
    found |= {key: fid(made[name]), f"given_{key}": fid(double(given[name]), of_doubled)}
found |= {"kept_14": kept(made["real 14 × 14"]), "kept_7": kept(made["real 7 × 7"])}
for (clean, noisy), key in zip(repaired.values(), ("real", "noise_1", "noise_3", "from_7", "from_noise"), strict=True):
    found |= {f"clean_{key}": clean, f"robust_{key}": noisy}
found |= {f"apart_{side}": between / to_truth for side, (between, to_truth) in apart.items()}
lesson.close(**found)
''')
md("This was the last lesson.")

def split(text): return text.splitlines(True)
out={"cells":[], "metadata":copy.deepcopy(nb5["metadata"]), "nbformat":4,"nbformat_minor":5}
import re
ids=set()
for n,(kind,text,k) in enumerate(cells):
    i=k.get("id") or f"c{n:03d}"
    c={"cell_type":kind,"id":i,"metadata":{},"source":split(text)}
    if kind=="code":
        c|={"execution_count":None,"outputs":[]}
        if k.get("tags"): c["metadata"]["tags"]=k["tags"]
        if "setup" in k.get("tags",[]): c["metadata"]=copy.deepcopy(nb5["cells"][2]["metadata"])
        if "parameters" in k.get("tags",[]): c["metadata"]=copy.deepcopy(nb5["cells"][4]["metadata"])
    out["cells"].append(c)
json.dump(out,open(ROOT+"notebooks/06_laplacian_pyramid.ipynb","w"),ensure_ascii=False,indent=1)
