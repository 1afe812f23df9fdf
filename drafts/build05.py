"""Draft of lesson 05, its first half: writes notebooks/05_training_stability.ipynb."""
import json, sys
cells = []
def md(text): cells.append({"cell_type": "markdown", "metadata": {}, "source": text.strip("\n").splitlines(True)})
def code(text, *tags):
    cells.append({"cell_type": "code", "execution_count": None, "metadata": {"tags": list(tags)} if tags else {}, "outputs": [], "source": text.strip("\n").splitlines(True)})

md(r"""
# 05 · Training stability: why GANs fail, and what helps

[![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/gan-course/HEAD?labpath=notebooks/05_training_stability.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/gan-course/blob/HEAD/notebooks/05_training_stability.ipynb)

After this lesson you can

- say, with eigenvalues, why two players who both do gradient descent may circle for ever, and what stops them;
- compute an earth mover's distance by hand, and read a critic's loss;
- write the losses and penalties that the field uses, and say what each bounds;
- see a mode collapse, count it, and cure it in three ways;
- read the curves of a training that goes wrong, and name the fault;
- let a health check do so for you.

**You need** lessons [01](01_vanilla_gan.ipynb) and [02](02_dcgan.ipynb): the two losses, the step, the R1 penalty.
""")
md("## Set-up\n\nAs in every lesson.")
code(r'''
import keras
import numpy as np
import tensorflow as tf
from keras import layers as kl
from keras import ops
from scipy import optimize, stats

from ganutils import callbacks, data, layers, lessons, losses, mixtures, plotting, training
''')
md(r"""
## Two players who circle

The smallest game with two players has one number for each. Player $x$ wants the product $x y$ to be small, player $y$ wants it to be large:

$$\min_x \max_y \; x\, y.$$

The equilibrium is $(0, 0)$: if $y = 0$, no $x$ is better than another, and the other way round. Both players do gradient descent on their own loss. The derivative of $xy$ with respect to $x$ is $y$, and with respect to $y$ it is $x$. With the learning rate $h$,

$$x \leftarrow x - h\, y, \qquad y \leftarrow y + h\, x.$$

**Simultaneous** updates take both steps from the same place. **Alternating** updates let $y$ answer the new $x$. And a third kind charges $y$ for its size, $\tfrac{\gamma}{2} y^2$, as R1 charges a discriminator for its slope.
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
md("> **Predict, then run.** Each game starts at (1, 0), at a distance of 1 from the equilibrium. Which of the three comes nearer to it, which stays away, and which gets lost?")
code(r'''
games = {"simultaneous": simultaneous, "alternating": alternating, "penalised": penalised}
paths = {name: play(step) for name, step in games.items()}
moves = np.arange(61)
figure = plotting.lines(
    {name: (moves, np.linalg.norm(path, axis=1)) for name, path in paths.items()}, "move", "distance from equilibrium"
)
plotting.show(
    figure,
    "Three games from the same start: "
    + ", ".join(f"{name} ends at a distance of {np.linalg.norm(path[-1]):.2f}" for name, path in paths.items())
    + ".",
    alt="Three curves over moves: one rises steadily, one stays near 1, one falls to zero",
)
''')
md(r"""
<details><summary>What came out, and why</summary>

Simultaneous play spirals outwards, alternating play circles, and the penalty brings the third game to rest. Each game is linear, so one move is a matrix $M$ that is applied again and again, and its **eigenvalues** decide. If the largest has an absolute value above 1, the distance grows with each move by that factor.

</details>

The matrices, and their eigenvalues:
""")
code(r'''
def matrix_of(step):
    return np.array([step(1.0, 0.0), step(0.0, 1.0)]).T


for name, step in games.items():
    values = np.linalg.eigvals(matrix_of(step))
    growth = (np.linalg.norm(paths[name][-1])) ** (1 / 60)
    print(f"{name:12} largest |eigenvalue| {np.abs(values).max():.4f}, measured growth per move {growth:.4f}")
''', "nbval-check-output")
md(r"""
By hand: the matrix of simultaneous play is $\begin{pmatrix} 1 & -h \\ h & 1 \end{pmatrix}$ with the eigenvalues $1 \pm ih$ and the absolute value $\sqrt{1 + h^2}$. That is above 1 for *every* learning rate: a smaller one only gets lost more slowly. For alternating play the product of the two eigenvalues is exactly 1, and so is the absolute value of each, as long as $h < 2$. With the penalty it is $\sqrt{1 - h\gamma + h^2}$, which is below 1 if $h < \gamma$.

Is that game a GAN? The smallest one is the **Dirac GAN** (Mescheder et al. 2018). All data are the number 0. The generator draws the number $\theta$. The discriminator has one weight, $\psi$, and the logit $\psi x$. Close to $\theta = \psi = 0$ the losses of lesson 01 give just this game, with half the speed: $\sigma(0) = \tfrac12$. And the R1 penalty, $\tfrac{\gamma}{2} \psi^2$, is the penalty above, since the slope of the logit is $\psi$.
""")
code(r'''
def dirac(gamma, h=0.2, moves=200):
    theta, psi, path = 1.0, 0.0, [(1.0, 0.0)]
    for _ in range(moves):
        # softplus(-ψ 0) + softplus(ψ θ) + γ/2 ψ² for the discriminator, softplus(-ψ θ) for the generator
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
    "The Dirac GAN: what the generator draws. All of the data is at the grey line.",
    alt="Two curves: one keeps swinging around zero, the other comes to rest at zero",
)
''')
md(r"""
<details><summary>What came out, and why</summary>

Without the penalty $\theta$ swings past the data again and again. The discriminator has pushed it there, and goes on pushing until it has learnt that the generator is on the other side by now. The penalty makes the discriminator forget its push, and $\theta$ comes to rest on the data.

</details>

So this failure is not a matter of a bad learning rate. It is in the game.
""")

md(r"""
## How far apart are two sets?

Lesson 01 found what the generator minimises against the best discriminator: the Jensen-Shannon divergence, JSD. It has a flaw. Take data at the number 0, all of them, and a generator that draws the number $\theta$ and nothing else. However close $\theta$ is to 0, as long as they are not equal, the two do not overlap, and the JSD is $\log 2$. It does not say that 0.1 is nearer than 10.

The **earth mover's distance**, or Wasserstein distance, does. Think of the generated points as heaps of earth, and of the data as holes of the same size. The distance is the least work that fills the holes: earth times way. For the example it is $|\theta|$.

Take three points each. In one dimension the best plan is the plainest: the smallest goes to the smallest, the next to the next.

> **By hand.** Earth at 0, 1 and 3, holes at 5, 6 and 8, a third of the earth in each. What is the distance?
""")
code(r'''
earth, holes = np.array([0.0, 1.0, 3.0]), np.array([5.0, 6.0, 8.0])
print("sorted, and paired:", np.mean(np.abs(np.sort(earth) - np.sort(holes))))
print("SciPy's:           ", stats.wasserstein_distance(earth, holes))
''', "nbval-check-output")
md(r"""
In a plane there is no order, and the plan must be searched: which point goes where, so that the sum of all ways is smallest? That is an *assignment problem*, which SciPy solves exactly.
""")
code(r'''
def earth_movers_distance(points, others):
    ways = np.linalg.norm(points[:, None] - others[None], axis=-1)
    return ways[optimize.linear_sum_assignment(ways)].mean()


ring = mixtures.ring(radius=2.0, deviation=0.15)
one, two = ring.sample(500, seed=1), ring.sample(500, seed=2)
print(f"two samples of the same ring: {earth_movers_distance(one, two):.2f}")
print(f"one of them moved by (1, 0):  {earth_movers_distance(one, two + [1, 0]):.2f}")
''')
md(r"""
The first is not 0: with 500 points each, chance puts a few more on one blob than on another. It is the floor of lesson 04, again.

### The critic

Nobody can solve an assignment problem for images in each training step. But the same distance has a second form (Kantorovich and Rubinstein 1958). Among all functions $f$ whose slope is at most 1 everywhere, take the one that is highest on the data and lowest on the generated points:

$$W(p_\text{data}, p_g) = \max_{\lVert \nabla f \rVert \le 1} \; \mathbb E_{x \sim p_\text{data}} [f(x)] - \mathbb E_{x \sim p_g} [f(x)].$$

A network can be such an $f$. It is called a **critic**, since it does not name a probability but a score, and there is no sigmoid (Arjovsky, Chintala and Bottou 2017). Its loss is minus the right-hand side, and so **minus the critic's loss is an estimate of the distance**: large at first, then falling. The generator's loss, $-\mathbb E f(G(z))$, has a free constant (add 7 to $f$, and nothing else changes), so its value says nothing.

What keeps the slope at or below 1? Three answers:

- **clip** each weight to $[-c, c]$ after each step, as the first paper did;
- a **gradient penalty**, $\lambda\, \mathbb E (\lVert \nabla f(\hat x) \rVert - 1)^2$ at points $\hat x$ between data and generated ones (Gulrajani et al. 2017);
- **spectral normalisation**: divide each layer's kernel by its largest singular value (Miyato et al. 2018).
""")
nb = {"cells": cells, "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
json.dump(nb, open(sys.argv[1], "w"), ensure_ascii=False, indent=1)
