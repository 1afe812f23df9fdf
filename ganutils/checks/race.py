"""Check 6 of assignment 02: a race against a baseline with the same number of multiplications."""

import collections
import math

import keras
import numpy as np
import tensorflow as tf

from ganutils import data, evaluation, models, training

from .feedback import Wrong, check

COUNT = "lesson 02, *The baseline, and where it spends its time*"
RACE = "lesson 02, *Which is better, after the same time?*"
TASK = "the text of this task"


def baseline():
    """Return the GAN to beat: lesson 02's baseline DCGAN with the learning rates of the paper."""
    gan = training.GAN(models.dcgan_generator(), models.dcgan_discriminator(), seed=0)
    gan.compile(keras.optimizers.Adam(2e-4, beta_1=0.5), keras.optimizers.Adam(2e-4, beta_1=0.5))
    return gan


BATCH_SIZE = 64
# A recipe may use the multiplications of RACE_STEPS baseline steps, in at most MOST_STEPS steps of its own. So points
# depend neither on the speed of a machine nor on its load.
RACE_STEPS, MOST_STEPS = 40, 1000
MULTIPLICATIONS_OF_THE_BASELINE = 14_453_497_856  # in a step
GOAL = 300.0
# Networks with random weights have an FID (digits) of some thousands.
UNTRAINED = 1000.0
_NOT_COUNTED = (
    "Conv3D",
    "DepthwiseConv2d",
    "BatchMatMul",
    "Einsum",
    "While",
    "StatelessWhile",
    "PyFunc",
    "EagerPyFunc",
)
# Methods that a recipe must not override, since the count assumes them.
_STEP = ("train_step", "adversarial_step", "turns", "take_step", "gradients", "_gradients_of")

Race = collections.namedtuple("Race", "frechet_distance steps")


def multiplications_of_a_step(gan, batch_size=BATCH_SIZE):
    """Return the number of multiplications in dense and convolutional layers per step of a compiled GAN of digits.

    Forward and backward passes of all updates count; a lazy penalty counts with its share of the steps.

    Raises:
        Wrong: an operation that multiplies but cannot be counted.
    """
    batch = tf.TensorSpec((batch_size, *gan.discriminator.input_shape[1:]), "uint8")
    graph = tf.function(gan.train_step, autograph=False).get_concrete_function(batch).graph
    graph = graph.as_graph_def(add_shapes=True)
    functions = {function.signature.name: function for function in graph.library.function}
    every = min((getattr(p, "every", 1) for p in (gan.penalty, gan.generator_penalty) if p is not None), default=1)

    def count(nodes, arguments=(), results=()):
        shapes = dict(arguments) | {node.name: _shapes(node) for node in nodes}
        # TensorFlow skips what neither changes a variable nor is a result, such as a gradient with respect to latents.
        needed = {name.partition(":")[0] for name in results}
        for node in reversed(nodes):
            if node.name in needed or node.op.startswith("Assign"):
                needed |= {node.name, *(name.lstrip("^").partition(":")[0] for name in node.input)}

        def sides(name):
            name, _, output = name.partition(":")  # "name", "name:1", or within functions "name:output:1"
            return [side.size for side in shapes[name][int(output.rpartition(":")[2] or 0)].dim]

        total = 0.0
        for node in [node for node in nodes if node.name in needed]:
            if node.op.startswith(_NOT_COUNTED):
                because = "the race can only count the multiplications of Dense, Conv2D and Conv2DTranspose"
                raise Wrong("layers whose multiplications can be counted", f"an operation {node.op}", because, COUNT)
            if node.op == "MatMul":
                total += math.prod(sides(node.name)) * sides(node.input[0])[0 if node.attr["transpose_a"].b else 1]
            elif node.op.startswith("Conv2D"):
                # The number of output values, times height, width and input channels of the kernel. Each of the
                # two gradients needs as many.
                end = node.name if node.op == "Conv2D" else node.input[2]
                kernel = node.name if node.op.endswith("Filter") else node.input[1]
                total += math.prod(sides(end)) * math.prod(sides(kernel)[:3])
            called = [to.name for value in node.attr.values() for to in (value.func, *value.list.func)]
            for function in [functions[name] for name in called if name in functions]:
                names = [argument.name for argument in function.signature.input_arg]
                handed = {name: _shapes(function.arg_attr[i]) for i, name in enumerate(names)}
                share = every if node.op.endswith("If") else 1
                total += count(function.node_def, handed, function.ret.values()) / share
        return total

    return round(count(graph.node))


def _shapes(node):
    return node.attr["_output_shapes"].list.shape


def race(build, seed=0):
    """Train the compiled `training.GAN` of digits that `build()` returns, for the multiplications of the race.

    Args:
        build: function without arguments that returns a new GAN at each call.
        seed: seed of the weights and of the order of the images.

    Returns:
        A `Race`: FID (digits) of 2,000 samples, and the number of training steps with batches of 64.

    Raises:
        ValueError: the GAN has been trained before.
    """
    keras.utils.set_random_seed(seed)
    gan = build()
    if int(gan.optimizers["generator"].iterations):
        raise ValueError("this GAN is already trained; create new networks and optimizers at each call of the function")
    steps = _steps(gan)
    images, _ = data.load_dataset("mnist")
    batches = data.pipeline(images, batch_size=BATCH_SIZE, seed=seed)
    gan.fit(batches, steps_per_epoch=steps, verbose=0)
    return Race(evaluation.measure(gan).frechet_distance, steps)


def _steps(gan):
    budget = RACE_STEPS * MULTIPLICATIONS_OF_THE_BASELINE
    return max(1, min(MOST_STEPS, budget // multiplications_of_a_step(gan)))


@check("6 · Beat the baseline", RACE, seconds=300, late="is your network very large?")
def recipe(answer):
    """`answer()`: a compiled `training.GAN` of digits that reaches `GOAL` within the multiplications of the race."""
    keras.utils.set_random_seed(0)
    gan = answer()
    if not isinstance(gan, training.GAN):
        because = "the function returns something else"
        raise Wrong("a training.GAN", f"an object of type {type(gan).__name__}", because, RACE)
    if not gan.compiled:
        raise Wrong("a compiled GAN", "one without optimizers", "`gan.compile(...)` is missing", RACE)
    if any(network is gan.networks[player] for player, network in answer().networks.items()):
        because = (
            "each call must create new networks and optimizers, or the second race begins where the first one ended"
        )
        raise Wrong("a new GAN at each call", "the same networks twice", because, TASK)
    if own := [name for name in _STEP if getattr(type(gan), name) is not getattr(training.GAN, name)]:
        because = "the race counts a step of training.GAN: change networks, losses, penalties and optimizers"
        raise Wrong("the step of training.GAN", f"{type(gan).__name__}.{own[0]}", because, TASK)
    if gan.steps_per_execution != 1:
        came = f"steps_per_execution={gan.steps_per_execution}"
        raise Wrong("a GAN that takes one step at a time", came, "steps are counted here; leave it at 1", TASK)
    if gan.generator.output_shape[1:] != (28, 28, 1):
        came = str(gan.generator.output_shape[1:])
        raise Wrong("images of the shape (28, 28, 1)", came, "the generator does not make digits", RACE)
    untrained = evaluation.measure(gan).frechet_distance
    if untrained < UNTRAINED:
        because = "it has been trained before, or starts from shipped weights: the race is about training"
        raise Wrong("an untrained GAN", f"one with an FID (digits) of {untrained:.0f}", because, RACE)
    before = [np.copy(weight) for weight in gan.generator.trainable_weights]  # moving averages change in any case
    reached, steps = race(lambda: gan)
    if all((old == np.asarray(new)).all() for old, new in zip(before, gan.generator.trainable_weights, strict=True)):
        raise Wrong("a generator that trains", "its weights have not changed", "is its learning rate 0?", RACE)
    where = f"after {steps:,} steps, the budget of {RACE_STEPS} baseline steps"
    if not reached <= GOAL:
        because = "how many multiplications does your step need, and which learning rates suit so few steps?"
        raise Wrong(f"FID (digits) of at most {GOAL:.0f} {where}", f"{reached:.0f}", because, RACE)
    return f"FID (digits) {where}: {reached:.0f}; the goal was at most {GOAL:.0f}"
