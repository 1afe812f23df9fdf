"""Writes notebooks/05_training_stability.ipynb."""
import json, sys
cells = []
def md(text): cells.append({"cell_type": "markdown", "metadata": {}, "source": text.strip("\n").splitlines(True)})
def code(text, *tags):
    cells.append({"cell_type": "code", "execution_count": None, "metadata": {"tags": list(tags)} if tags else {}, "outputs": [], "source": text.strip("\n").splitlines(True)})

SETUP = json.load(open("notebooks/02_dcgan.ipynb"))["cells"]

md(r"""
# 05 · Training stability: why GANs fail, and what helps

![Six panels, one for each loss: generated points on a ring of eight blobs, over the discriminator's surface and arrows that show where points are pushed](pictures/05_training_stability.png)

*Six losses chase the same eight blobs: crosses are generated points, colours the discriminator, arrows its pull. You will train all six.*

[![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/gan-course/HEAD?labpath=notebooks/05_training_stability.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/gan-course/blob/HEAD/notebooks/05_training_stability.ipynb)

After this lesson you can

- say, with eigenvalues, why two players who both do gradient descent may circle and never arrive, and what lets them arrive;
- compute an earth mover's distance by hand, and read a critic's loss;
- write the six losses that the field uses, and say what each of the penalties and bounds that go with them does;
- recognise a mode collapse, count it, and cure it in several ways;
- compare methods at equal cost and over seeds, without crowning a winner too soon;
- read the curves of a training that goes wrong, name the fault, and let a health check do so for you.

**You need** lessons [01](01_vanilla_gan.ipynb) and [02](02_dcgan.ipynb): the two losses, the step, the R1 penalty, the average of weights; and from [04](04_evaluation.ipynb) the FID and its floor.
""")
md("## Set-up")
for c in SETUP[2:5]:
    cells.append(json.loads(json.dumps(c)))
code(r'''
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers as kl
from keras import ops
from scipy import optimize, stats

from ganutils import (
    callbacks,
    data,
    evaluation,
    layers,
    lessons,
    losses,
    mixtures,
    models,
    plotting,
    references,
    training,
)
from ganutils.checks import training_stability as checks
''', "recorded")
code(r'''
lesson = lessons.Lesson("05_training_stability", PROFILE)
profile = lesson.profile
keras.utils.set_random_seed(SEED)
''')
md(r"""
## Two players who circle

The smallest game with two players has one number for each. Player $x$ wants the product $x y$ to be small, player $y$ wants it to be large:

$$\min_x \max_y \; x\, y.$$

The equilibrium is $(0, 0)$: if $y = 0$, no $x$ is better than another, and the other way round. Both players do gradient descent on their own loss. The derivative of $xy$ with respect to $x$ is $y$, and with respect to $y$ it is $x$. With the learning rate $h$,

$$x \leftarrow x - h\, y, \qquad y \leftarrow y + h\, x.$$

**Simultaneous** updates take both steps from the same place. **Alternating** updates let $y$ answer the new $x$. A third kind charges $y$ for its size, $\tfrac{\gamma}{2} y^2$, as R1 charges a discriminator for its slope.
""")
code(r'''
def simultaneous(x, y, h=0.2):
    return x - h * y, y + h * x


def alternating(x, y, h=0.2):
    x = x - h * y
    return x, y + h * x


def penalised(x, y, h=0.2, gamma=0.5):
    return x - h * y, y + h * (x - gamma * y)


def play(step, moves=60):
    path = [(1.0, 0.0)]
    for _ in range(moves):
        path.append(step(*path[-1]))
    return np.array(path)
''')
md("> **Predict, then run.** Each game starts at (1, 0), at a distance of 1 from the equilibrium. Which of the three comes nearer to it, which keeps its distance, and which runs away?")
code(r'''
games = {"simultaneous": simultaneous, "alternating": alternating, "penalised": penalised}
paths = {name: play(step) for name, step in games.items()}
distances = {name: np.linalg.norm(path, axis=1) for name, path in paths.items()}
ends = ", ".join(f"{name} {d[-1]:.2f}" for name, d in distances.items())
plotting.show(
    plotting.lines({name: (np.arange(61), d) for name, d in distances.items()}, "move", "distance from equilibrium"),
    f"Three games from the same start. In the end: {ends}.",
    alt="Three curves over moves: the distance from equilibrium in each of the three games",
)
''')
md(r"""
<details><summary>What came out, and why</summary>

Simultaneous play spirals outwards, alternating play goes round an ellipse, hence the small waves, and the penalty brings the third game to rest. Each game is linear, so one move is a matrix that is applied again and again, and its **eigenvalues** decide. If the largest of them has an absolute value above 1, the distance grows by about that factor with each move: on average, since the way may be an ellipse.

</details>

The matrices' columns are where a move takes $(1, 0)$ and $(0, 1)$. Their eigenvalues:
""")
code(r'''
for name, step in games.items():
    values = np.linalg.eigvals(np.array([step(1.0, 0.0), step(0.0, 1.0)]).T)
    growth = distances[name][-1] ** (1 / 60)
    print(f"{name:12} largest |eigenvalue| {np.abs(values).max():.4f}, measured growth per move {growth:.4f}")
''', "nbval-check-output")
md(r"""
By hand: the matrix of simultaneous play is $\begin{pmatrix} 1 & -h \\ h & 1 \end{pmatrix}$. Its eigenvalues are $1 \pm ih$, with the absolute value $\sqrt{1 + h^2}$. That is above 1 for *every* learning rate: with a smaller one they only leave more slowly. For alternating play the product of the two eigenvalues is exactly 1, and so is the absolute value of each, as long as $h < 2$. With the penalty it is $\sqrt{1 - h\gamma + h^2}$, which is below 1 if $h < \gamma$ (and if $\gamma$ is small enough for the eigenvalues to be complex, $\gamma < 2$).

Is that game a GAN? Near its equilibrium, the smallest GAN is this game. It is the **Dirac GAN** (Mescheder et al. 2018). All data are the number 0. The generator draws one number, $\theta$. The discriminator has one weight, $\psi$, and gives the number $x$ the logit $\psi x$. With the non-saturating losses of lesson 01, the generator's step is $h (1 - \sigma(\psi\theta))\, \psi$ and the discriminator's $-h\, \sigma(\psi\theta)\, \theta$, where $\sigma$ is the sigmoid. Near 0 both sigmoids are $\tfrac12$: this is the game above with $h/2$ in place of $h$, so simultaneous play spirals outwards. R1, $\tfrac{\gamma}{2} \psi^2$, is the penalty above (with $2\gamma$ for $\gamma$, since $h$ is halved): the slope of the logit is $\psi$.
""")
code(r'''
def dirac(gamma, h=0.2, moves=200):
    theta, psi, path = 1.0, 0.0, [(1.0, 0.0)]
    for _ in range(moves):
        # The losses: softplus(-ψ 0) + softplus(ψ θ) + γ/2 ψ² of the discriminator, softplus(-ψ θ) of the generator.
        says_real = 1 / (1 + np.exp(-psi * theta))
        theta, psi = theta + h * (1 - says_real) * psi, psi - h * (says_real * theta + gamma * psi)
        path.append((theta, psi))
    return np.array(path)
''')
md("> **Predict, then run.** Without the penalty, and with $\\gamma = 0.5$: will $\\theta$ arrive at the data, at 0?")
code(r'''
runs = {f"γ = {gamma:g}": dirac(gamma) for gamma in (0.0, 0.5)}
plotting.show(
    plotting.lines({name: (np.arange(201), path[:, 0]) for name, path in runs.items()}, "move", "θ", level=0.0),
    "The Dirac GAN: the number that the generator draws. All data are at the grey line. In the last 50 moves: "
    + ", ".join(f"{np.abs(path[150:, 0]).max():.2f} at most with {name}" for name, path in runs.items()),
    alt="Two curves over moves: what the generator draws without and with the penalty",
)
''')
md(r"""
<details><summary>What came out, and why</summary>

Without the penalty $\theta$ swings past the data again and again: it is beyond them before $\psi$ has changed its sign, so the push outlasts its reason. The swings become smaller, but not for ever. Near 0 the game spirals outwards; farther out the non-saturating loss acts as a brake: a generator that fools the discriminator is pulled less, and a beaten one more. In between, the two end on a circle around the equilibrium, of a radius of about $\sqrt{2h}$, here 0.63 (put $r^2 = \theta^2 + \psi^2$: a move adds $h^2 r^2 / 4$ by stepping along a tangent, and the brake takes $h r^4 / 8$, averaged over a round). With the penalty, $\theta$ comes to rest on the data.

</details>

So a smaller learning rate makes the circle smaller, and the way there longer. It is the penalty that lets the players arrive.

## How far apart are two sets?

Lesson 01 found what the generator minimises against the best discriminator: the Jensen-Shannon divergence, JSD. It has a flaw. Let all data be the number 0, and let the generator draw the number $\theta$ and nothing else. However close $\theta$ is to 0, as long as they are not equal, the two do not overlap, and the JSD is $\log 2$. It does not say that 0.1 is nearer than 10.

The **earth mover's distance**, or Wasserstein distance, does. Think of the generated points as heaps of earth, and of the data as holes of the same size. The distance is the least work that fills the holes: the amount of earth times the distance it is carried, for a total amount of 1. For the example it is $|\theta|$.

In one dimension the best plan is the plainest: the leftmost earth goes into the leftmost hole, the next into the next.

> **By hand.** Earth at 6, 0 and 3, holes at 2, 7 and 3, a third of the earth in each. What is the distance? And what would it cost to carry each heap to the hole that is named beside it?
""")
code(r'''
earth, holes = np.array([6.0, 0.0, 3.0]), np.array([2.0, 7.0, 3.0])
print(f"as written:         {np.mean(np.abs(earth - holes)):.2f}")
print(f"sorted, and paired: {np.mean(np.abs(np.sort(earth) - np.sort(holes))):.2f}")
print(f"SciPy's:            {stats.wasserstein_distance(earth, holes):.2f}")
''', "nbval-check-output")
md(r"""
In a plane there is no order, and the plan must be searched: which point goes where, so that the sum of all distances is smallest? That is an *assignment problem*, which SciPy solves exactly. Our points lie on the ring of lesson 01, eight blobs around the origin at a distance of 2.
""")
code(r'''
def earth_movers_distance(points, others):
    lengths = np.linalg.norm(points[:, None] - others[None], axis=-1)
    return lengths[optimize.linear_sum_assignment(lengths)].mean()
''')
code(r'''
ring = mixtures.ring(radius=2.0, deviation=0.15)
one, two = ring.sample(500, seed=1), ring.sample(500, seed=2)
floor = earth_movers_distance(one, two)
print(f"two samples of the same ring: {floor:.2f}")
print(f"one of them moved by (1, 0):  {earth_movers_distance(one, two + np.array([1, 0])):.2f}")
''')
md(r"""
The first is not 0: with 500 points each, chance puts more on one blob than on another. That is the floor of lesson 04 again, and for this distance it is high. The second is about 1, as it should be.

### The critic

For two batches of images, an assignment is found in milliseconds, and says little: with so few points in so many dimensions, nearly all of the distance is its floor. But the distance has a second form (Kantorovich and Rubinstein 1958). Among all functions $f$ whose slope is at most 1 everywhere, take the one whose mean on the data exceeds its mean on the generated points most:

$$W(p_\text{data}, p_g) = \max_{\lVert \nabla f \rVert \le 1} \; \mathbb E_{x \sim p_\text{data}} [f(x)] - \mathbb E_{x \sim p_g} [f(x)].$$

A network can be such an $f$. It is called a **critic**, since it gives a score and not a probability; there is no sigmoid (Arjovsky, Chintala and Bottou 2017). Its loss is minus the right-hand side. So **minus the critic's loss is an estimate of the distance**, if the critic keeps up with the generator. The generator's loss, $-\mathbb E f(G(z))$, has a free constant: add 7 to $f$, and nothing else changes. Its value says nothing.

A function whose slope is at most 1 everywhere is called *1-Lipschitz*. What keeps a network so? Three answers:

- **clip** each weight to $[-c, c]$ after each step, as the first paper did (WGAN): the slope has a bound, but nobody knows which;
- a **gradient penalty**, $\lambda\, \mathbb E (\lVert \nabla f(\hat x) \rVert - 1)^2$ at points $\hat x$ on the lines between generated points and data (WGAN-GP, Gulrajani et al. 2017): it pulls the slope to 1 there;
- **spectral normalisation**: divide each layer's kernel by its largest singular value, the most by which it can lengthen a vector (Miyato et al. 2018). Then no dense layer has a slope above 1, nor has the leaky ReLU, nor the network. (For a convolution it is that of the kernel written as one matrix, which bounds its slope by another number than 1.)

The penalty by hand:
""")
code(r'''
def gradient_penalty(critic, real, fake, weight=10.0):
    n = real.shape[0]
    share = tf.reshape((tf.range(n, dtype=tf.float32) + 0.5) / n, (n, 1))
    between = share * real + (1 - share) * fake
    with tf.GradientTape() as tape:
        tape.watch(between)
        scores = ops.sum(critic(between))
    lengths = ops.sqrt(ops.sum(tape.gradient(scores, between) ** 2, axis=1) + 1e-12)
    return weight * ops.mean((lengths - 1) ** 2)
''')
md(r"""
Line by line:

- `share`: how far along the line from one to the other each pair is looked at. One number for a whole image, (n, 1, 1, 1), not one for each pixel. The paper draws it at random; spread evenly over the batch it has the same mean and less noise.
- `scores`: each score depends on its own point alone, so the gradient of their *sum* holds each point's own slope. (A batch normalisation in the critic would break this.)
- `lengths`: over *all* numbers of an image. For images, (n, height, width, channels), a norm over the last axis alone is a well-known bug; exercise 3 measures what it does. The $10^{-12}$ keeps the root's derivative finite where the slope is 0.
- the last line pulls slopes to 1 from both sides. The best critic has the slope 1 on the lines of the cheapest plan. Nobody knows that plan, and random pairs stand in for it.

`losses.GradientPenalty` is this:
""")
code(r'''
critic = keras.Sequential([keras.Input((2,)), kl.Dense(8, "tanh"), kl.Dense(1)])
real, fake = (tf.constant(ring.sample(16, seed)) for seed in (1, 2))
np.testing.assert_allclose(gradient_penalty(critic, real, fake), losses.GradientPenalty()(critic, real, fake), rtol=1e-4)
print("by hand and packaged agree")
''', "nbval-check-output")
md(r"""
Spectral normalisation needs the singular value. The **power method** finds it: multiply a vector by $K^\top K$ again and again, and it turns into the direction that the kernel $K$ lengthens most.
""")
code(r'''
def largest_singular_value(kernel, turns):
    vector = np.ones(kernel.shape[1])
    for _ in range(turns):
        vector = kernel.T @ (kernel @ vector)
        vector /= np.linalg.norm(vector)
    return np.linalg.norm(kernel @ vector)


kernel = np.random.default_rng(0).normal(size=(64, 64))
for turns in (1, 10, 100):
    print(f"{turns:>3} turns: {largest_singular_value(kernel, turns):.2f}")
print(f"exactly:   {np.linalg.svd(kernel, compute_uv=False)[0]:.2f}")
''', "nbval-check-output")
md(r"""
Training keeps the vector from step to step, and the kernel moves slowly, so one turn a step is enough, though ten from a random start are still 6% short. `layers.SpectralNormalization` does that.

Now all three as critics, between the ring and a blob of points at its centre. The generator holds still, so the exact distance is known. The networks in the plane are small and dense; `wrap` may put something around each layer.
""")
code(r'''
def plain(layer):
    return layer


def mean_slope(critic, points):
    points = tf.constant(points)
    with tf.GradientTape() as tape:
        tape.watch(points)
        scores = ops.sum(critic(points))
    return np.linalg.norm(tape.gradient(scores, points), axis=1).mean()


def dense_network(inputs, outputs, wrap=plain):
    hidden = [part for _ in range(2) for part in (wrap(kl.Dense(64)), kl.LeakyReLU(0.2))]
    return keras.Sequential([keras.Input((inputs,)), *hidden, wrap(kl.Dense(outputs))])
''', "recorded")
code(r'''
def train_critic(critic, penalty=None):
    optimizer = keras.optimizers.Adam(1e-3, beta_1=0.0)

    @tf.function
    def step(real, fake):
        with tf.GradientTape() as tape:
            loss = ops.mean(critic(fake)) - ops.mean(critic(real))
            if penalty is not None:
                loss += penalty(critic, real, fake)
        gradients = tape.gradient(loss, critic.trainable_weights)
        optimizer.apply_gradients(zip(gradients, critic.trainable_weights, strict=True))

    for i in range(profile.critic_steps):
        step(ring.sample(128, seed=2 * i), blob.sample(128, seed=2 * i + 1))
    return critic
''')
md("Minus the critic's loss estimates the distance only if the slopes are right. So we also measure them, at points on the lines.")
code(r'''
blob = mixtures.Mixture([[0.0, 0.0]], 0.3)
real, fake = ring.sample(1000, seed=1), blob.sample(1000, seed=2)
critics = {}
for limit in (0.01, 0.1):
    critics[f"clipped at {limit:g}"] = dense_network(2, 1)
    layers.Clip.all(critics[f"clipped at {limit:g}"], limit)
critics |= {"gradient penalty": dense_network(2, 1)}
critics |= {"spectral normalisation": dense_network(2, 1, layers.SpectralNormalization)}
''')
md("> **Predict, then run.** The blob must be moved outwards, by 2 less its own mean radius, 0.38. Which critics find that distance? And what will clipping do to the weights?")
code(r'''
rows = {"exactly": {"estimate": f"{earth_movers_distance(real, fake):.2f}", "mean slope": "", "estimate / slope": ""}}
for name, critic in critics.items():
    train_critic(critic, gradient_penalty if name == "gradient penalty" else None)
    estimate = float(ops.mean(critic(real)) - ops.mean(critic(fake)))
    slope = mean_slope(critic, (real + fake) / 2)
    rows[name] = {"estimate": f"{estimate:.3g}", "mean slope": f"{slope:.2g}"}
    rows[name]["estimate / slope"] = f"{estimate / slope:.2f}"
critics_found = rows
plotting.show_table(rows, f"Four critics after {profile.critic_steps} steps, and the exact distance.", "critic")
''')
md(r"""
<details><summary>What came out, and why</summary>

The **gradient penalty** comes close, and a little above. That can be computed: at the distance $d$, a critic of the slope $a$ gains $a d$ and pays $\lambda (a - 1)^2$, which is best at $a = 1 + d / (2\lambda)$. With $d = 1.64$ and $\lambda = 10$ this is 1.08, and the estimate $a d = 1.77$.

**Clipping** at 0.01 leaves a critic that is nearly flat: its estimate is hundreds of times too small. Clipping at ten times the value makes the slope nearly a thousand times as large, since a network of three layers multiplies three kernels. That this comes near the distance is an accident of these sizes. Divided by its slope, the estimate of a clipped critic is too small: it is a worse function, not just a flatter one. The one with **spectral normalisation** underestimates by its slope alone: each layer has the slope 1 only in its own worst direction.

</details>

And the weights?
""")
code(r'''
shown = {name: critics[name] for name in ("clipped at 0.01", "gradient penalty")}
histograms = {}
for name, critic in shown.items():
    weights = critic.layers[2].get_weights()[0].ravel()
    counts, edges = np.histogram(weights / np.abs(weights).max(), bins=25, range=(-1, 1))
    histograms[name] = (edges[:-1] + edges[1:]) / 2, counts / counts.sum()
clipped = np.abs(critics["clipped at 0.01"].layers[2].get_weights()[0])
plotting.show(
    plotting.lines(histograms, "weight, as a share of the largest", "share of the weights"),
    f"Weights of the second layer. Of the clipped ones, {np.mean(clipped > 0.0099):.0%} are at the limit.",
    alt="Two histograms of weights: one with towers at both ends, one spread out",
)
''')
md(r"""
The clipped weights sit at one of the two limits, nearly all of them: each can choose its sign, and no more. The critic that is left is a very simple function. The gradient penalty bounds what the network *does*, not each weight, and leaves the weights free.

## Six losses in one plane

These are the pairs of losses that the field uses. $r$ and $f$ are the logits, or scores, of a real and of a generated image; each loss is a mean over the batch. The last column is what the generator gets: the derivative of its loss with respect to $f$.

| name | discriminator minimises |
|---|---|
| minimax, non-saturating | $\operatorname{softplus}(-r) + \operatorname{softplus}(f)$ |
| least squares | $\tfrac12 (r - 1)^2 + \tfrac12 f^2$ |
| hinge | $\max(0, 1 - r) + \max(0, 1 + f)$ |
| Wasserstein | $f - r$ |
| relativistic | $\operatorname{softplus}(f - r)$ |

| name | generator minimises | derivative |
|---|---|---|
| minimax | $-\operatorname{softplus}(f)$ | $-\sigma(f)$ |
| non-saturating | $\operatorname{softplus}(-f)$ | $-(1 - \sigma(f))$ |
| least squares | $\tfrac12 (f - 1)^2$ | $f - 1$ |
| hinge, Wasserstein | $-f$ | $-1$ |
| relativistic | $\operatorname{softplus}(r - f)$ | $-\sigma(r - f)$ |

- **Least squares** (Mao et al. 2017) pulls logits to 1 and 0, and so keeps them small. A generated image far from 1 gets a large gradient, and one beyond 1 is pulled back.
- The **hinge** loss (Lim and Ye 2017) stops teaching the discriminator about images that are beyond a margin of 1.
- The **Wasserstein** loss is that of the critic. Without a bound on the slope it has no minimum.
- The **relativistic** loss (Jolicoeur-Martineau 2019; Huang et al. 2024) compares in pairs: a real image should have a larger logit than a generated one. While the players are balanced it is near $\log 2$, for both.

A seventh is a small change of the second: **one-sided label smoothing** (Salimans et al. 2016) asks the discriminator for a probability of 0.9 on real images, and not of 1. Where only data lie, its best logit is then $\log 9 \approx 2.2$, not infinity. Only the real side is smoothed. Smoothing both, 0.9 and 0.1, would make $(0.9\, p_\text{data} + 0.1\, p_g) / (p_\text{data} + p_g)$ the best answer: 0.1 and not 0 where there are no data at all, and so less of a push away from there.

In code, with ten logits of each kind:
""")
code(r'''
softplus, real, fake = ops.softplus, *np.random.default_rng(SEED).normal(size=(2, 10, 1)).astype("float32")
by_hand = {  # the discriminator's loss and the generator's
    "minimax": (softplus(-real) + softplus(fake), -softplus(fake)),
    "non_saturating": (softplus(-real) + softplus(fake), softplus(-fake)),
    "least_squares": ((real - 1) ** 2 / 2 + fake**2 / 2, (fake - 1) ** 2 / 2),
    "hinge": (ops.relu(1 - real) + ops.relu(1 + fake), -fake),
    "wasserstein": (fake - real, -fake),
    "relativistic": (softplus(fake - real), softplus(real - fake)),
}
for name, (of_discriminator, of_generator) in by_hand.items():
    packaged = losses.get(name)
    np.testing.assert_allclose(packaged.discriminator(real, fake), np.mean(of_discriminator), rtol=1e-5)
    np.testing.assert_allclose(packaged.generator(fake, real), np.mean(of_generator), rtol=1e-5)
print("by hand and packaged agree:", ", ".join(by_hand))
''', "nbval-check-output")
md(r"""
> **Predict, then run.** The discriminator is far ahead: $r = 6$ for real images, $f = -6$ for generated ones. With which losses does the generator still get a gradient?
""")
code(r'''
fake_logits, real_logits = tf.constant([[-6.0]]), tf.constant([[6.0]])
for name, loss in losses.LOSSES.items():
    with tf.GradientTape() as tape:
        tape.watch(fake_logits)
        value = loss.generator(fake_logits, real_logits)
    slope = float(tape.gradient(value, fake_logits)[0, 0])
    print(f"{name:15} generator's loss {float(value):8.4f}   derivative {slope:8.4f}")
''', "nbval-check-output")
md(r"""
With all but minimax. That is why few use it, although the theory of lesson 01 is about it. (The −7 of least squares is no fair figure: a discriminator with that loss that is ahead answers 1 and 0, where the derivative is −1.) Note that it fails only where the discriminator is ahead. Here comes a race in which neither is.

Let us watch all six on the ring. The small networks have two latent numbers. Wasserstein gets a gradient penalty and no momentum ($\beta_1 = 0$), and the relativistic loss R1 and R2, as their authors recommend, though with other weights. (**R2** is R1 at *generated* points, with the same weight.)
""")
code(r'''
def plane_gan(
    loss="non_saturating",
    penalty=None,
    rates=(1e-3, 1e-3),
    momentum=0.5,
    first=(),
    last=(),
    wrap=plain,
    limit=None,
    seed=0,
):
    """A GAN of points in the plane; `first` and `last` are layers before and after the discriminator's hidden ones."""
    keras.utils.set_random_seed(seed)
    hidden = [part for _ in range(2) for part in (wrap(kl.Dense(64)), kl.LeakyReLU(0.2))]
    discriminator = keras.Sequential([keras.Input((2,)), *first, *hidden, *last, wrap(kl.Dense(1))])
    if limit is not None:
        layers.Clip.all(discriminator, limit)
    gan = training.GAN(dense_network(2, 2), discriminator, penalty=penalty, seed=seed)
    optimizers = [keras.optimizers.Adam(rate, beta_1=momentum) for rate in rates]
    gan.compile(*optimizers, loss=loss, steps_per_execution=10)
    return gan
''', "recorded")
code(r'''
def train_in_plane(gan, mixture, steps, looks, look, seed=0, batch_size=128):
    """Train for so many steps, and call `look(gan)` after each of so many equal parts; return what it returned."""
    batches = data.pipeline(mixture.sample(50_000, seed), batch_size=batch_size, seed=seed).repeat()
    seen = []
    watcher = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(look(gan)))
    gan.fit(batches, epochs=looks, steps_per_epoch=steps // looks, verbose=0, callbacks=[watcher])
    return seen
''', "recorded")
md(r"""
At each look we keep 400 generated points; the discriminator's output on a grid of places, as a height between the lowest and the highest; and the generator's gradient field: in which direction a generated point *would* be pushed from each place.
""")
code(r'''
grid = np.linspace(-3, 3, 41, dtype="float32")
places = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)


def look_at_plane(gan):
    points, real = tf.constant(places), gan.discriminator(ring.sample(len(places), seed=SEED))
    with tf.GradientTape() as tape:
        tape.watch(points)
        scores = gan.discriminator(points)
        loss = gan.adversarial_loss.generator(scores, real)
    push = -tape.gradient(loss, points).numpy()
    height = (scores - tf.reduce_min(scores)) / (tf.reduce_max(scores) - tf.reduce_min(scores))
    return gan(gan.draw_latents(400)).numpy(), height.numpy(), push
''')
code(r'''
settings = {
    "minimax": {"loss": "minimax"},
    "non-saturating": {},
    "least squares": {"loss": "least_squares"},
    "hinge": {"loss": "hinge"},
    "Wasserstein, penalty": {"loss": "wasserstein", "penalty": losses.GradientPenalty(1.0), "momentum": 0.0},
    "relativistic, R1, R2": {"loss": "relativistic", "penalty": losses.R1AndR2(0.1, every=1)},
}
films, looks = {}, 10
for name, setting in settings.items():
    gan = plane_gan(seed=SEED, **setting)
    films[name] = train_in_plane(gan, ring, profile.plane_steps, looks, look_at_plane, SEED)
''')
md("> **Predict, then run.** Drag the slider. How does the surface differ between the first look and the last? And where do the arrows point once all blobs are reached? (The colours go from each panel's lowest output to its highest, and so do the arrows' lengths: they show the form, not the height.)")
code(r'''
points = ring.sample(300, seed=3)
frames = [{name: film[i] for name, film in films.items()} for i in range(looks)]
plotting.film(
    (plotting.chase(frame, points, places, columns=3) for frame in frames),
    f"Six losses on the ring, from step {profile.plane_steps // looks:,} to {profile.plane_steps:,}. Dots: data; "
    "crosses: generated points; blue: where the discriminator's output is highest; arrows: where points are pushed.",
    alt="Six panels, one for each loss: generated points spread over eight blobs while the surface changes",
)
''')
md(r"""
<details><summary>What came out, and why</summary>

The surfaces become stars or, with the hinge and the Wasserstein loss, rings: high on the blobs, low in the middle. Between the blobs, the arrows push points from the bridges towards a blob.

</details>

A film is no count. How many blobs have been found, with at least one point, and how many of the points lie on one, that is, within three standard deviations of its centre? Of the data, 98.9% do. Two other yardsticks are points that are spread evenly, over the square of the figure or along the ring:
""")
code(r'''
spread = np.random.default_rng(SEED)
angles = spread.uniform(0, 2 * np.pi, 4000)
sets = {name: film[-1][0] for name, film in films.items()}
sets |= {"evenly, in the square": spread.uniform(-3, 3, (4000, 2))}
sets |= {"evenly, on the ring": 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)}
for name, each in sets.items():
    print(f"{name:21} {ring.coverage(each).modes} of 8 modes, {ring.coverage(each).high_quality:.0%} on a blob")
''')
md(r"""
### Reading a critic's loss

What do the losses of a Wasserstein GAN say about its images? Here the points are few enough to know the distance itself, so we can put the three side by side. The critic gets five steps, with five batches, for each of the generator's, as in its paper, so that it keeps up.

> **Predict, then run.** The generator gets better. What will minus the critic's loss do, and what the generator's?
""")
code(r'''
def read(gan):
    fake, real = gan(gan.draw_latents(400)).numpy(), ring.sample(400, seed=SEED)
    of_fake, of_real = (float(ops.mean(gan.discriminator(x))) for x in (fake, real))
    return earth_movers_distance(fake, real), of_real - of_fake, -of_fake


keras.utils.set_random_seed(SEED)
networks = dense_network(2, 2), dense_network(2, 1)
gan = training.GAN(*networks, penalty=losses.GradientPenalty(10.0), discriminator_steps=5, seed=SEED)
gan.compile(*(keras.optimizers.Adam(1e-3, beta_1=0.0) for _ in range(2)), loss="wasserstein", steps_per_execution=10)
readings = train_in_plane(gan, ring, profile.plane_steps, 20, read, SEED, batch_size=5 * 128)
distance, estimate, generator_loss = np.array(readings).T
''')
code(r'''
steps = np.arange(1, 21) * (profile.plane_steps // 20)
least = earth_movers_distance(ring.sample(400, seed=1), ring.sample(400, seed=2))
curves = {"earth mover's distance": (steps, distance), "minus the critic's loss": (steps, estimate)}
plotting.show(
    plotting.lines(curves, "training step", "", level=0.0),
    f"The distance goes from {distance[0]:.2f} to {distance[-1]:.2f} (two samples of data: {least:.2f}), the critic's "
    f"estimate from {estimate[0]:.2f} to {estimate[-1]:.2f}.",
    alt="Two curves over training steps: the exact distance, and the critic's estimate of it",
)
plotting.show(
    plotting.lines({"generator's loss": (steps, generator_loss)}, "training step", "generator's loss", level=0.0),
    "The generator's loss in the same run.",
    alt="One curve that goes up and down",
)
''')
md(r"""
<details><summary>What came out, and why</summary>

At the first looks the estimate misleads, and is even below 0: the critic has only begun to learn. In the second half both are level. The estimate stays below, for two reasons: the distance between 400 points and 400 others has a floor, which the caption gives, and this critic is not the best one.

The generator's loss goes up and down as it likes. It is minus the mean score of the generated points, and all scores may drift together. In a Wasserstein GAN, do not read it.

</details>
""")
md(r"""
## Mode collapse, and cures

On the ring these losses find all or nearly all blobs, since both players learn at the same pace. One cause of a collapse is a generator that runs ahead. It does what lesson 01 showed with digits: it puts everything where *this* discriminator is weakest, and moves on when that place is found out. So we give the generator ten times the learning rate of the discriminator.

""")
md("> **Predict, then run.** Where will the generated points be, from look to look?")
code(r'''
fast = train_in_plane(plane_gan(rates=(5e-3, 5e-4), seed=SEED), ring, profile.plane_steps, 10, look_at_plane, SEED)
plotting.film(
    (plotting.chase({f"look {i + 1} of 10": look}, points, places) for i, look in enumerate(fast)),
    "The generator learns ten times as fast as the discriminator.",
    alt="Generated points in one heap, which is elsewhere in each picture; the surface is low where the heap was",
)
''')
md(r"""
<details><summary>What came out, and why</summary>

They are in one heap, and the heap is elsewhere at each look. The discriminator lowers its output where the heap is; by the time it has, the heap has moved on.

</details>

Cures that the literature offers, each a few lines:

- **Packing** (Lin et al. 2018): the discriminator judges two points at once, glued together. A pack of two equal points gives itself away. `layers.Pack(2)` makes $(n/2, 4)$ of $(n, 2)$.
- **Minibatch discrimination** (Salimans et al. 2016): before its last layer, the discriminator is told how close each point is to the others of its batch.
- **R1** pulls the discriminator's slope at the data to 0.
- **Spectral normalisation** bounds its slope everywhere, and a **gradient penalty** pulls it to 1 between generated points and data.

Minibatch discrimination by hand. Each image's features become a matrix of a few rows. For each row, the sum over the other images of $\exp(-\text{distance})$ says how many of them are near:
""")
code(r'''
def closeness(features, kernel, rows):
    matrices = ops.reshape(features @ kernel, (len(features), rows, -1))
    distances = ops.sum(ops.abs(matrices[:, None] - matrices[None]), axis=-1)  # of each to each other, row by row
    return ops.sum(ops.exp(-distances), axis=1) - 1  # without the image itself


rng = np.random.default_rng(SEED)
kernel = rng.normal(size=(8, 3 * 4)).astype("float32")
for name, x in {"different": rng.normal(size=(6, 8)), "all alike": np.tile(rng.normal(size=(1, 8)), (6, 1))}.items():
    print(f"{name}:", np.round(closeness(x.astype("float32"), kernel, 3)[0], 2))
''')
md(r"""
Six different images have hardly any neighbours, six equal ones have five each. The discriminator can read that off, and a generator that collapses is caught. (Real and generated images must come in batches of their own.)
""")
code(r'''
x = rng.normal(size=(6, 8)).astype("float32")
layer = layers.MinibatchDiscrimination(3, 4)
np.testing.assert_allclose(layer(x)[:, 8:], closeness(x, layer.kernel, 3), rtol=1e-4, atol=1e-6)
print("by hand and packaged agree")
''', "nbval-check-output")
code(r'''
CURES = {
    "none": {},
    "packs of 2": {"first": lambda: [layers.Pack(2)]},
    "minibatch discrimination": {"last": lambda: [layers.MinibatchDiscrimination(16, 4)]},
    "R1": {"penalty": lambda: losses.R1(1.0, every=1)},
    "spectral normalisation": {"wrap": lambda: layers.SpectralNormalization},
    "gradient penalty": {"penalty": lambda: losses.GradientPenalty(1.0)},
    "clipped weights": {"limit": lambda: 0.1},
}
''', "recorded")
code(r'''
def plane_run(steps, seed, cure="none", rates=(5e-3, 5e-4), **options):
    """Train on the ring, the generator with the first rate; return means of ten looks in the second half."""
    options |= {name: make() for name, make in CURES[cure].items()}
    gan = plane_gan(rates=rates, seed=seed, **options)
    ring = mixtures.ring(radius=2.0, deviation=0.15)
    latents, real = gan.draw_latents(1000), ring.sample(1000, seed + 100)

    def look(gan):
        points = gan.predict(latents, batch_size=1000, verbose=0)
        return points, np.mean([mean_slope(gan.discriminator, each[:200]) for each in (points, real)])

    batch_size = 256 if cure == "packs of 2" else 128  # as many logits a step
    points, slopes = zip(*train_in_plane(gan, ring, steps, 20, look, seed, batch_size)[9:], strict=True)
    modes, on_blobs, _ = np.mean([ring.coverage(each) for each in points[1:]], axis=0)
    moved = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean()
    return {"modes": modes, "on_blobs": on_blobs, "slope": np.mean(slopes[1:]), "moved": moved}
''', "recorded")
md(r"""
(Packs of 2 get batches of 256, so that there are as many logits in a step; that is twice the data.) A generator that hops from blob to blob may be anywhere at the end of a run. So the modes are counted at ten looks in the second half of the training, and averaged.

> **Predict, then run.** How many of the eight modes will be there without a cure? Which of the cures will find all?
""")
code(r'''
live = {cure: plane_run(profile.plane_steps, SEED, cure) for cure in ("none", "packs of 2")}
for cure, found in live.items():
    print(f"{cure:12} {found['modes']:.1f} of 8 modes on average, {found['on_blobs']:.0%} of the points on a blob")
''')
md(r"""
One run each, of one seed. The same function for all cures and ten seeds takes a while; `tools/record_stability.py` did it, and its numbers are stored with the course. The **95% interval** is that of the mean over seeds, with Student's $t$ as in lesson 03.
""")
code(r'''
def with_margin(values, digits=1):
    values = np.asarray(values, "float64")
    margin = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{round(values.mean(), digits) + 0.0:.{digits}f} ± {margin:.{digits}f}"  # not -0.0


def recorded(part, **key):
    runs = [run for run in record[part] if key.items() <= run.items()]
    return sorted(runs, key=lambda run: run["seed"])


def modes_of(runs):
    return np.array([run["modes"] for run in runs])


record = references.load("05_training_stability")
rows, without = {}, modes_of(recorded("collapse", cure="none"))
for cure in list(CURES)[:6]:
    runs = recorded("collapse", cure=cure)
    modes = modes_of(runs)
    rows[cure] = {"modes of 8": with_margin(modes), "gain": with_margin(modes - without)}
    rows[cure]["on a blob"] = with_margin([100 * run["on_blobs"] for run in runs], 0) + " %"
rows["none"]["gain"] = ""
caption = f"Means over the second half of each of {len(without)} runs, ± 95% interval; the gain is paired by seed."
plotting.show_table(rows, caption, "cure")
''')
md(r"""
<details><summary>What came out, and why</summary>

Packs and minibatch discrimination keep 6 modes or more in every run. Without a cure nine runs of ten chase about one blob at a time, and one found all eight: a single run would have proved nothing. The three bounds on the discriminator's slope do not help here: R1 and spectral normalisation change nothing that these runs could show, and the gradient penalty makes it worse in each of the ten pairs.

The reason is in what the discriminator sees. It judges points one by one. However flat or steep it is, it finds a heap out only by lowering its output there, and by then the heap has moved on. A pack, or a layer that compares the batch, sees a heap wherever it is.

</details>
""")
md(r"""
### What a bound on the slope does

So bounds on the slope are no cure for this. What are they good for? Let both players learn at the same rate, and measure over the second half of each run, besides modes and points on a blob, the discriminator's mean **slope**, at generated points and at data, and how far a generated point **moves** in 100 steps, for the same latents. A generator that has arrived need not move.

> **Predict, then run.** Which bound leaves the steepest discriminator? And does every bound help?
""")
code(r'''
shown = {
    "The non-saturating loss, β₁ = 0.5": {"loss": "non_saturating", "momentum": 0.5},
    "The Wasserstein loss, β₁ = 0.5": {"loss": "wasserstein", "momentum": 0.5},
    "The Wasserstein loss, β₁ = 0": {"loss": "wasserstein", "momentum": 0.0},
}
for title, setting in shown.items():
    rows = {}
    for cure in ("none", "R1", "spectral normalisation", "gradient penalty", "clipped weights"):
        runs = recorded("bounds", cure=cure, **setting)
        rows[cure] = {
            "modes of 8": with_margin(modes_of(runs)),
            "on a blob": with_margin([100 * run["on_blobs"] for run in runs], 0) + " %",
            "slope": with_margin([run["slope"] for run in runs], 2),
            "moved": with_margin([run["moved"] for run in runs], 2),
        }
    plotting.show_table(rows, f"{title}; both rates 0.001. Ten seeds, ± 95% interval.", "bound")
''')
md(r"""
<details><summary>What came out, and why</summary>

- **R1** leaves a discriminator that is many times flatter than without it, and finds all modes or nearly all under every loss. It pulls the slope at the data to 0, and where the generator has arrived, 0 is right: there is nothing left to say.
- The **Wasserstein loss without a bound** has a steep critic, and loses modes. In some seeds it works all the same.
- The **gradient penalty** holds the slope near 1, as it says. With momentum it brings the Wasserstein loss back to nearly all modes, though few of the points lie on one. Under the non-saturating loss it does harm: in most seeds the generator collapses. Perhaps because its target is 1 and not 0: Mescheder et al. (2018) prove for the Dirac GAN that with R1 the players come to rest, and with this penalty need not. The mean slope alone does not tell: without a bound it is about the same, and the points rest.
- **Spectral normalisation** and **clipping** keep the slope low under every loss, as they say. With spectral normalisation, under the Wasserstein loss with momentum, the points move farthest of all, and few lie on a blob.

Under the non-saturating loss at equal rates, no bound is best: without one most points lie on a blob, and they move least. With the Wasserstein loss it is the other way round. A bound, a loss and a momentum work together or they do not, and one weight of each is shown here. Only R1 works in all three settings.

</details>
""")
md(r"""
### The literature's tables

Lin et al. (2018) report such counts for 8 narrow blobs on a ring and for 25 on a grid, with larger networks and 400,000 steps. `benchmarks/collapse.py` repeats their protocol with fewer steps. *High quality* is the share of the points within three standard deviations of a centre. The *reverse KL* divergence compares the shares $q$ of the blobs among those points with equal ones, $\sum_k q_k \log (q_k / p_k)$: 0 if all blobs get the same, and $\log 25 \approx 3.2$ if one of 25 gets everything.

<!-- mixtures -->
<!-- /mixtures -->

And for images? **Stacked MNIST** puts three digits into the three colours of one image. That makes 1,000 modes, and a digit classifier can count them. The divergence compares the shares of the modes with equal ones.

<!-- stacked MNIST -->
<!-- /stacked MNIST -->

Such runs take hours, and the tables show those that have been recorded so far: look at the number of seeds before you compare. Both have far fewer steps than the papers, and Stacked MNIST far smaller networks as well. So another order of the rows is no contradiction; what counts is which methods find the modes, which lose them, and which diverge.

## Digits, at equal cost

A method that helps on eight blobs need not help on digits. So take the networks of lesson 02, and change only the loss and what bounds the discriminator. A critic that takes five steps for each of the generator's, each with 64 images of its own, leaves time for far fewer generator steps. So all get **the same time**, and not the same number of steps.
""")
code(r'''
DIGITS = {
    "minimax": {"loss": "minimax"},
    "non-saturating": {},
    "smoothed labels": {"loss": losses.smoothed(0.9)},
    "least squares": {"loss": "least_squares"},
    "hinge": {"loss": "hinge"},
    "hinge, spectral normalisation": {"loss": "hinge", "wrap": layers.SpectralNormalization},
    "non-saturating, R1": {"penalty": losses.R1(1.0, every=8)},
    "relativistic, R1, R2": {"loss": "relativistic", "penalty": losses.R1AndR2(1.0, every=8)},
    "Wasserstein, clipped, 5 steps": {"loss": "wasserstein", "limit": 0.01, "steps": 5, "average": 0.95},
    "Wasserstein, penalty, 5 steps": {
        "loss": "wasserstein",
        "penalty": losses.GradientPenalty(),
        "steps": 5,
        "average": 0.95,
    },
    "Wasserstein, penalty, 1 step": {"loss": "wasserstein", "penalty": losses.GradientPenalty()},
}
''', "recorded-digits")
md("The discriminator of lesson 02, each layer of which may be wrapped and all weights of which may be clipped, and the GAN:")
code(r'''
def digit_discriminator(wrap, limit):
    discriminator = keras.Sequential([keras.Input((28, 28, 1))])
    for channels in (32, 64):
        discriminator.add(wrap(kl.Conv2D(channels, 4, strides=2, padding="same")))
        discriminator.add(kl.LeakyReLU(0.2))
    for layer in (kl.Flatten(), wrap(kl.Dense(256)), kl.LeakyReLU(0.2), wrap(kl.Dense(1))):
        discriminator.add(layer)
    if limit is not None:
        layers.Clip.all(discriminator, limit)
    return discriminator
''', "recorded-digits")
code(r'''
def digit_gan(name, rates, momentum, seed=0):
    """A DCGAN of lesson 02's size with one of several losses, penalties and bounds."""
    keras.utils.set_random_seed(seed)
    setting = {"loss": "non_saturating", "penalty": None, "wrap": plain, "steps": 1, "limit": None, "average": 0.99}
    setting |= DIGITS[name]
    gan = training.GAN(
        models.fast_dcgan_generator(),
        digit_discriminator(setting["wrap"], setting["limit"]),
        penalty=setting["penalty"],
        discriminator_steps=setting["steps"],
        average=setting["average"],
        seed=seed,
    )
    optimizers = [keras.optimizers.Adam(rate, beta_1=momentum, beta_2=0.99) for rate in rates]
    gan.compile(*optimizers, loss=setting["loss"])
    return gan
''', "recorded-digits")
md("The average of the weights is that of lesson 02, and a shorter one where a generator takes only a hundred steps: the long one would still hold a third of the untrained weights. The clock counts what the training computes:")
code(r'''
def digit_run(name, rates, momentum, seconds, seed):
    """Train for so many seconds of processor time; return the FID (digits) and the generator's steps."""
    images, _ = data.load_dataset("mnist")
    gan = digit_gan(name, rates, momentum, seed)
    clock = callbacks.TimeLimit(seconds, time.process_time)
    batches = data.pipeline(images, batch_size=64 * gan.discriminator_steps, seed=seed)
    gan.fit(batches, steps_per_epoch=10**6, verbose=0, callbacks=[clock])
    return {"fid": evaluation.measure(gan).frechet_distance, "steps": clock.steps}
''', "recorded-digits")
md(r"""
Eleven methods, three seeds, 45 seconds each (the clock counts what the training computes on one core, and nothing else), and each at two settings of Adam: lesson 02's (rates of 0.002 and 0.001, no momentum) and the DCGAN paper's (0.0002 for both, $\beta_1 = 0.5$). Both settings are shown, so nothing has been selected. Two settings are no tuning either: each method might do better with a third.

> **Predict, then run.** Which will differ more, the methods or the settings? And how many generator steps remain to a method whose critic takes five for each of them?
""")
code(r'''
settings_shown = {"no momentum": "lesson 02's rates", "DCGAN paper": "0.0002, β₁ = 0.5"}
rows, means = {}, {}
for name in DIGITS:
    for setting, title in settings_shown.items():
        runs = recorded("digits", name=name, setting=setting)
        finals = sorted(run["fid"] for run in runs)
        means[name, setting] = np.mean(finals)
        rows.setdefault(name, {})[title] = f"{np.mean(finals):.0f} ({', '.join(f'{fid:.0f}' for fid in finals)})"
    rows[name]["steps"] = f"{np.mean([run['steps'] for run in recorded('digits', name=name)]):,.0f}"
rows = dict(sorted(rows.items(), key=lambda item: means[item[0], "no momentum"]))
caption = f"FID (digits) of {evaluation.SAMPLES:,} samples after 45 seconds on one core, mean (three seeds); steps."
plotting.show_table(rows, caption, "method")
''')
md(r"""
<details><summary>What came out, and why</summary>

Wasserstein aside, the settings differ more than the methods. With the small rates of the DCGAN paper, which were chosen for long runs, no method gets far in this time. With the larger ones, most losses are close together, and three seeds each cannot order those. R1 makes no difference within 45 seconds; lesson 02 shows what it does for longer.

The **Wasserstein** critics are behind: about 200 and more, even with lesson 02's rates. With five critic steps for each of the generator's, the generator takes 100 to 200 steps, where the others take five hundred. (With the gradient penalty these 100 get it about as far as 400 with one critic step each.) That is no verdict on the method: its papers train for far longer. But it is one on the advice to begin with it on a laptop.

Lucic et al. (2018) gave seven kinds of GAN the same budget for a search over settings, on four data sets. None was consistently better than the non-saturating one.

</details>
""")
md("One of them live, by the same function and on your machine. The clock counts the work of all cores together, and the stored runs had one core, which wastes less. So yours may take fewer steps:")
code(r'''
name = "non-saturating, R1"
live_digits = digit_run(name, (2e-3, 1e-3), 0.0, profile.demo_seconds, SEED)
steps, fid = live_digits["steps"], live_digits["fid"]
runs = recorded("digits", name=name, setting="no momentum")
stored = ", ".join(f"{run['fid']:.0f} ({run['steps']} steps)" for run in runs)
print(f"FID (digits) {fid:.0f} after {profile.demo_seconds:g} s, {steps} steps; stored: {stored}")
print(f"two sets of real digits: {evaluation.floor().frechet_distance:.1f}; {evaluation.SAMPLES:,} samples each")
''')
md(r"""
## Rates, momentum, averages

Three knobs are left that no loss replaces.

**Two learning rates.** The players need not learn at the same rate (the *two time-scale update rule* of Heusel et al. 2017), and lesson 02's do not. On the ring, with the discriminator's rate fixed at 0.001:
""")
code(r'''
rows = {}
for rate in sorted({run["rates"][0] for run in record["rates"]}):
    runs = [run for run in record["rates"] if run["rates"][0] == rate]
    rows[f"{rate:g}"] = {
        "modes of 8": ", ".join(f"{run['modes']:.1f}" for run in runs),
        "points on a blob": with_margin([100 * run["on_blobs"] for run in runs], 0) + " %",
    }
plotting.show_table(rows, "The generator's learning rate beside the discriminator's 0.001: each of six seeds.", "rate")
''')
md(r"""
Of these four the equal rate does best. A slow generator loses time: it finds all blobs, and many points still lie between them. A fast one loses modes. At the rate in between, some seeds collapse and others do not: it is all or nothing.
""")
md(r"""
**Momentum.** Both players with one rate, and Adam's $\beta_1$ from 0 to 0.9. Each cell is the share of the generated points that lie on a blob, averaged over seeds.
""")
code(r'''
rates = sorted({run["rates"][0] for run in record["map"]})
momenta = sorted({run["momentum"] for run in record["map"]})
shares = np.zeros((len(rates), len(momenta)))
for row, column in np.ndindex(shares.shape):
    runs = recorded("map", rates=[rates[row]] * 2, momentum=momenta[column])
    shares[row, column] = np.mean([run["on_blobs"] for run in runs])
figure = plotting.Figure(figsize=(4.2, 3.6))
axes = figure.subplots()
axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
for (row, column), share in np.ndenumerate(shares):
    axes.text(column, row, f"{share:.0%}", ha="center", va="center", color="white" if share > 0.6 else "black")
axes.set_xticks(range(len(momenta)), [f"{momentum:g}" for momentum in momenta])
axes.set_yticks(range(len(rates)), [f"{rate:g}" for rate in rates])
axes.set(xlabel="momentum, Adam's β₁", ylabel="learning rate of both players")
plotting.show(
    figure,
    "The share of generated points that lie on a blob: means of three seeds.",
    alt="A map of shares: learning rates down, momenta across, from white, none, to dark blue, all",
)
''')
md(r"""
The region that works is a block: rates from 0.001 to 0.01, with a momentum of 0 or 0.5. With smaller rates, 2,000 steps are too few. At $\beta_1 = 0.9$, which is Adam's default and right for most networks, every rate is worse. It is worth a look at the optimizers before you change the loss.
""")
md(r"""
**Averages.** Two players who circle pass the equilibrium on all sides. So the mean of where they have been lies near it. The Dirac GAN without a penalty, once more:
""")
code(r'''
path = dirac(0.0)[:, 0]
mean = np.cumsum(path) / np.arange(1, len(path) + 1)
farthest = [np.abs(each[100:]).max() for each in (path, mean)]
plotting.show(
    plotting.lines({"θ": (np.arange(201), path), "its mean so far": (np.arange(201), mean)}, "move", "θ", level=0.0),
    f"In the last 100 moves θ is up to {farthest[0]:.2f} away from the data, and its mean {farthest[1]:.2f}.",
    alt="A curve that swings around zero, and its running mean, which comes to rest near zero",
)
''')
md(r"""
That is why lesson 02 draws with an average of weights (Yazıcı et al. 2019). The players still circle; we just stay out of it. An average that forgets, such as lesson 02's, must remember for longer than a round takes.

## How to read curves

Here are seven real runs, recorded with the course: losses, the discriminator's accuracies, and the diversity of generated images (the distance to their nearest neighbours, as a share of that of real images). Two are healthy. In each of the others one fault was planted, in a GAN with the logistic losses of lesson 01. A diversity of 1 is that of real digits, and far below it images are alike. Far above 1 is no good sign either: noise has no near neighbours. Thin lines show where the non-saturating losses are when the discriminator always answers one half, and the diversity of real digits. The names to choose from:

| name | what it is |
|---|---|
| healthy | both players learn |
| discriminator too strong | it is nearly always right, and the generator gets nowhere |
| vanishing generator gradient | the same, with the minimax loss, whose slope vanishes then |
| mode collapse | images are alike |
| oscillation | who is ahead changes again and again |
| divergence | logits and losses become enormous |
""")
code(r'''
for letter, history in checks.gallery().items():
    plotting.show(
        plotting.training_curves(history, plotting.EQUILIBRIUM | {"diversity": 1.0}),
        f"Run {letter}.",
        alt=f"Losses, accuracies and diversity of run {letter} over its training steps",
    )
''')
md("> **Now you.** Replace each question mark with a name, and run the cell again until all are right.")
code(r'''
diagnoses = {"A": "?", "B": "?", "C": "?", "D": "?", "E": "?", "F": "?", "G": "?"}
right = checks.diagnose(diagnoses)
''')
md(r"""
<details><summary>What to look at</summary>

1. The scale of the losses. Thousands or more are a divergence, whatever else is there.
2. The diversity, which no loss shows. Near 0 it is a collapse.
3. The accuracies. If both are at 1 and stay there, the discriminator has won. Then the generator's loss tells which: the non-saturating loss of a beaten generator is large or rises, and the minimax loss, which is negative, lies at 0.
4. Who is ahead. If that changes again and again, it is an oscillation.
5. Nothing of all this: healthy.

</details>

### When to stop

No loss says when a GAN is done. What does:

- Measure the FID at fixed times, with the same latents and the same real images, and keep the weights of the best time.
- Stop when several measurements in a row have not improved it by more than the ± of such a measurement (lesson 04).
- The best of many measurements is partly luck. Report a new one, with other latents and other real images.
- If the FID gets *worse* over a long time, look at samples, at the diversity and at the discriminator's slope before you go on.

## A health check for any training

Nobody watches curves for hours. `callbacks.HealthCheck` does: every so many steps it looks at one fixed batch of real images and one of generated ones, and measures what this lesson has measured by hand. It reports when the discriminator's loss or the generator's derivative has nearly vanished, when images are alike, when who is ahead keeps changing, and when logits run away: each fault once, when three looks in a row say so, with the number that shows it and with what to try. At NaN or infinity it stops the training and restores the last good state.

Three broken runs:

1. a generator that learns a thousandth as fast as its discriminator;
2. a colleague's `Rescaling(0.0)` before the generator, left over from a test;
3. learning rates of 0.3.

> **Predict, then run.** Which fault will be named in each?
""")
code(r'''
def without_latents():
    muted = keras.Sequential([keras.Input((32,)), kl.Rescaling(0.0), models.fast_dcgan_generator()])
    gan = training.GAN(muted, models.fast_dcgan_discriminator(), seed=SEED)
    gan.compile(keras.optimizers.Adam(2e-3, beta_1=0.0), keras.optimizers.Adam(1e-3, beta_1=0.0))
    return gan


images, _ = data.load_dataset("mnist")
broken = {
    "slow generator": digit_gan("non-saturating", (1e-6, 1e-3), 0.0, SEED),
    "no latents": without_latents(),
    "high rates": digit_gan("non-saturating", (0.3, 0.3), 0.0, SEED),
}
named = {}
for name, gan in broken.items():
    print(f"--- {name}")
    health = callbacks.HealthCheck(images[:64], every=profile.check_steps // 6)
    batches = data.pipeline(images, batch_size=64, seed=SEED)
    gan.fit(batches, steps_per_epoch=profile.check_steps, verbose=0, callbacks=[health])
    named[name] = [finding.name for finding in health.findings]
''')
md(r"""
<details><summary>What came out, and why</summary>

1. *Discriminator too strong*: a generator that hardly moves is beaten at once. The advice cannot know that it is the generator's rate that is wrong, and says to look at it.
2. *Mode collapse*: the variance of the images is 0, since all latents are multiplied by 0. (Run D of the gallery is of this kind.)
3. *Divergence*, and perhaps more names in its wake. Faults that begin at the same look are named from the cause to the consequence, so believe the first.

</details>

The check costs about one step at each look. It is no substitute for looking at samples: a fault that it does not know, it does not name.

## Summary

- Two players who both do gradient descent may circle and not arrive, at any learning rate: eigenvalues with an absolute value of 1 or more. A penalty on the discriminator's slope lets them come to rest, and an average of the path lies near the centre.
- The earth mover's distance sees how far apart two sets are, even if they do not overlap. A critic whose slope is near 1 estimates it, if it keeps up; minus its loss is the estimate.
- Clipping bounds weights, spectral normalisation bounds layers, a gradient penalty pulls the slope to 1, and R1 pulls it to 0 at the data.
- A generator that runs ahead may collapse. A discriminator that judges images one by one finds it out too late; packs and minibatch discrimination see it. Count modes where you can.
- Compare at equal time, over seeds, with intervals.
- Losses do not show diversity. Measure it, or let a health check do so.

## Exercises

Work in new cells at the end of the notebook.

1. For $h = 0.2$, which $\gamma$ lets the penalised game come to rest fastest? Try before you compute.
2. Try packs of 4, and packs of 2 together with R1. Packs of 2 find the modes already: does either bring more points onto the blobs, over three seeds?
3. Change the gradient penalty for images so that the norm runs over the last axis alone. Train a critic of digits against noise with both. How steep is it in the end?
4. Give `digit_gan` lesson 02's rates and a momentum of 0.9, once with R1 and once without, and a health check that looks every 25 steps. What does it say? And what do its measurements, in `health.history`, say?

<details><summary>What to look for</summary>

1. $\gamma = 2$. Up to there the absolute value is $\sqrt{1 - h\gamma + h^2}$, at $\gamma = 2$ just $1 - h = 0.8$. Beyond, the eigenvalues are real and one of them grows again: too much friction makes a slow door.
2. Neither. Packs of 2 bring 50 to 62% of the points onto blobs, in the stored runs of the same three seeds. Packs of 4: 17 to 20% of the points, 6.6 to 7.7 modes; 128 images make only 32 packs, so there is less to learn from in a step. Packs of 2 and R1: 44 to 66%.
3. After 300 steps, three seeds: about 1,000 with the bug, about 2 without. The mean is then over single pixels, so that the penalty of an image is 784 times as small. Even if each pixel obeyed, the slope of the image would be $\sqrt{784} = 28$; the reckoning of the lesson, with $\lambda / 784$, gives $28 + 784\, d / (2 \lambda)$.
4. With R1 it says nothing (three seeds, 900 steps). Without, in one seed of three, that the discriminator is too strong, within the first 100 steps. In the two others its loss jumps just as much, between a few hundredths and twice the loss at logits of 0, and stays inside the limits of the check. Silence is no proof of health.

</details>

## Further reading

- M. Arjovsky, S. Chintala, L. Bottou. *Wasserstein GAN.* ICML 2017. [arXiv:1701.07875](https://arxiv.org/abs/1701.07875).
- I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville. *Improved Training of Wasserstein GANs.* NeurIPS 2017. [arXiv:1704.00028](https://arxiv.org/abs/1704.00028). The gradient penalty.
- T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida. *Spectral Normalization for Generative Adversarial Networks.* ICLR 2018. [arXiv:1802.05957](https://arxiv.org/abs/1802.05957).
- L. Mescheder, A. Geiger, S. Nowozin. *Which Training Methods for GANs do actually Converge?* ICML 2018. [arXiv:1801.04406](https://arxiv.org/abs/1801.04406). The Dirac GAN.
- Z. Lin, A. Khetan, G. Fanti, S. Oh. *PacGAN: The power of two samples in generative adversarial networks.* NeurIPS 2018. [arXiv:1712.04086](https://arxiv.org/abs/1712.04086).
- T. Salimans, I. Goodfellow, W. Zaremba, V. Cheung, A. Radford, X. Chen. *Improved Techniques for Training GANs.* NeurIPS 2016. [arXiv:1606.03498](https://arxiv.org/abs/1606.03498).
- M. Lucic, K. Kurach, M. Michalski, S. Gelly, O. Bousquet. *Are GANs Created Equal? A Large-Scale Study.* NeurIPS 2018. [arXiv:1711.10337](https://arxiv.org/abs/1711.10337). No loss was consistently ahead of the others, once all were tuned.
- N. Huang, A. Gokaslan, V. Kuleshov, J. Tompkin. *The GAN is dead; long live the GAN! A Modern GAN Baseline.* NeurIPS 2024. [arXiv:2501.05441](https://arxiv.org/abs/2501.05441). The relativistic loss with R1 and R2.
- M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter. *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium.* NeurIPS 2017. [arXiv:1706.08500](https://arxiv.org/abs/1706.08500).
- X. Mao, Q. Li, H. Xie, R. Lau, Z. Wang, S. Smolley. *Least Squares Generative Adversarial Networks.* ICCV 2017. [arXiv:1611.04076](https://arxiv.org/abs/1611.04076).
""")
code(r'''
# This run's numbers, for the course's own checks. You may skip this cell.
picture = {name: film[-1] for name, film in films.items()}
lesson.save_picture(plotting.chase(picture, points, places, columns=3))
found = {f"modes_{name}": ring.coverage(film[-1][0]).modes for name, film in films.items()}
found |= {f"live_{cure}": one["modes"] for cure, one in live.items()}
found |= {f"critic_{name}": float(row["estimate"]) for name, row in critics_found.items()}
found |= {f"slope_{name}": float(row["mean slope"]) for name, row in critics_found.items() if row["mean slope"]}
found |= {"first_estimate": estimate[0], "last_estimate": estimate[-1], "last_distance": distance[-1]}
found |= {"early_distance": distance[:5].mean(), "generator_loss_range": np.ptp(generator_loss)}
expected = {"slow generator": "discriminator too strong", "no latents": "mode collapse", "high rates": "divergence"}
found |= {f"first_name_right_{name}": float(names[:1] == [expected[name]]) for name, names in named.items()}
found["live_digits"] = fid
lesson.close(**{"".join(c if c.isalnum() else "_" for c in name): value for name, value in found.items()})
''')
import re
seen = {}
def slug(cell):
    src = "".join(cell["source"])
    if cell["cell_type"] == "code":
        m = re.search(r"^(?:def|class) (\w+)", src, re.M) or re.search(r"^(\w+)(?:, \w+)* \|?= ", src, re.M) or re.search(r"(\w+)\(", src)
        base = m.group(1).lower().replace("_", "-") if m else "cell"
    else:
        m = re.search(r"^#+ (.+)$", src, re.M)
        t = m.group(1) if m else src
        base = "-".join(re.findall(r"[a-z0-9]+", t.lower())[:4]) + "-text"
    n = seen[base] = seen.get(base, 0) + 1
    return (base if n == 1 else f"{base}-{n}")[:60]
for i, c in enumerate(cells):
    c["id"] = "title" if i == 0 else "imports" if "import keras" in "".join(c["source"]) else c.get("id") or slug(c)
assert len({c["id"] for c in cells}) == len(cells)
nb = {"cells": cells, "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
json.dump(nb, open(sys.argv[1], "w"), ensure_ascii=False, indent=1)
