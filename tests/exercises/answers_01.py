"""Answers to assignment 01: one in another style, and wrong ones that students give, with the message they need."""

VALUE = "def value_function(real_probabilities, fake_probabilities):\n    "
BEST = "def best_discriminator(data_density, generator_density, real_share):\n    "
LOSS = "def discriminator_loss(real_logits, fake_logits, smoothing=0.0):\n    "
STEP = """
def training_step(generator, discriminator, generator_optimizer, discriminator_optimizer, real_images, latents):
    {before}
    with tf.GradientTape(persistent=True) as tape:
        fake_images = {fake_images}
        real_logits = discriminator(real_images, training=True)
        fake_logits = discriminator(fake_images, training=True)
        discriminator_loss = {discriminator_loss}
        generator_loss = {generator_loss}
    weights = discriminator.trainable_weights
    discriminator_optimizer.apply_gradients(zip(tape.gradient(discriminator_loss, weights), weights))
    weights = {weights}
    generator_optimizer.apply_gradients(zip(tape.gradient(generator_loss, weights), weights))
"""


def step(**changes):
    right = {
        "before": "",
        "fake_images": "generator(latents, training=True)",
        "discriminator_loss": "ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))",
        "generator_loss": "ops.mean(ops.softplus(-fake_logits))",
        "weights": "generator.trainable_weights",
    }
    return STEP.format(**{**right, **changes})


OTHER_STYLE = {
    "value-function": """
def value_function(real_probabilities, fake_probabilities):
    total = 0.0
    for probability in real_probabilities:
        total += float(np.log2(probability) * np.log(2)) / len(real_probabilities)
    return total + np.log1p(-np.asarray(fake_probabilities)).sum() / len(fake_probabilities)
""",
    "best-discriminator": """
def best_discriminator(data_density, generator_density, real_share):
    with np.errstate(divide="ignore"):
        odds = real_share / (1 - real_share) * np.divide(data_density, generator_density)
        return 1 / (1 + 1 / odds)
""",
    "discriminator-loss": """
def discriminator_loss(real_logits, fake_logits, smoothing=0.0):
    def entropy(logits, target):
        # The stable formula as it stands in TensorFlow's documentation, with a kink at 0.
        return ops.mean(ops.maximum(logits, 0) - logits * target + ops.log1p(ops.exp(-ops.abs(logits))))

    return entropy(real_logits, 1 - smoothing) + ops.mean(ops.logaddexp(0.0, fake_logits))
""",
    # Two tapes, and a second pass for the generator after the discriminator's step, as in many tutorials.
    "training-step": """
def training_step(generator, discriminator, generator_optimizer, discriminator_optimizer, real_images, latents):
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    fake_images = generator(latents)
    with tf.GradientTape() as tape:
        real_logits, fake_logits = discriminator(real_images), discriminator(fake_images)
        loss = entropy(tf.ones_like(real_logits), real_logits) + entropy(tf.zeros_like(fake_logits), fake_logits)
    gradients = tape.gradient(loss, discriminator.trainable_variables)
    discriminator_optimizer.apply(gradients, discriminator.trainable_variables)
    with tf.GradientTape() as tape:
        fake_logits = discriminator(generator(latents))
        loss = entropy(tf.ones_like(fake_logits), fake_logits)
    generator_optimizer.apply(tape.gradient(loss, generator.trainable_variables), generator.trainable_variables)
""",
    "lowest-loss": "def lowest_loss():\n    return 1.006",
    "repaired-discriminator": """
def repaired_discriminator():
    network = broken_discriminator()
    network.layers[-1].activation = keras.activations.linear
    return network
""",
}

LOWEST = "def lowest_loss():\n    "


def ending(function):
    """Return an answer whose network ends in a function of the logit x."""
    return f"""
def repaired_discriminator():
    hidden = [keras.layers.Dense(32, "leaky_relu"), keras.layers.Dense(32, "leaky_relu")]
    return keras.Sequential([keras.Input((2,)), *hidden, keras.layers.Dense(1, lambda x: {function})])
"""


GENERATOR_FIRST = """
def training_step(generator, discriminator, generator_optimizer, discriminator_optimizer, real_images, latents):
    with tf.GradientTape() as tape:
        loss = ops.mean(ops.softplus(-discriminator(generator(latents, training=True), training=True)))
    weights = generator.trainable_weights
    generator_optimizer.apply(tape.gradient(loss, weights), weights)
    with tf.GradientTape() as tape:
        fake_logits = discriminator(generator(latents, training=True), training=True)
        loss = ops.mean(ops.softplus(-discriminator(real_images, training=True))) + ops.mean(ops.softplus(fake_logits))
    weights = discriminator.trainable_weights
    discriminator_optimizer.apply(tape.gradient(loss, weights), weights)
"""
LOGARITHMS = "np.log(real_probabilities), np.log(1 - fake_probabilities)"
SOFT_REAL = "(1 - smoothing) * ops.softplus(-real_logits) + smoothing * ops.softplus(real_logits)"
FLIPPED = "ops.mean(ops.softplus(real_logits)) + ops.mean(ops.softplus(-fake_logits))"
HALF = "ops.mean(ops.concatenate([ops.softplus(-real_logits), ops.softplus(fake_logits)]))"
SWAPPED = "generator_optimizer, discriminator_optimizer = discriminator_optimizer, generator_optimizer"
BOTH = "generator.trainable_weights + discriminator.trainable_weights"
MEDDLING = r"generator's loss moves the discriminator too"

WRONG = {
    "value-function": [
        (f"{VALUE}return np.mean(np.concatenate([{LOGARITHMS}]))", "one mean over all images"),
        (f"{VALUE}return np.mean(np.log(real_probabilities) + np.log(1 - fake_probabilities))", "6 and 3 entries"),
        (
            f"{VALUE}return np.mean(np.log(real_probabilities)) + np.mean(np.log(fake_probabilities))",
            r"it is log\(1 - D",
        ),
        (f"{VALUE}return -np.mean(np.log(real_probabilities)) - np.mean(np.log(1 - fake_probabilities))", "loss, -V"),
        (f"{VALUE}return np.mean(np.log10(real_probabilities)) + np.mean(np.log10(1 - fake_probabilities))", "base 10"),
        (f"{VALUE}np.mean(np.log(real_probabilities)) + np.mean(np.log(1 - fake_probabilities))", "`return`"),
    ],
    "best-discriminator": [
        (f"{BEST}return data_density / (data_density + generator_density)", "share of real images has no effect"),
        (
            f"{BEST}fake = (1 - real_share) * generator_density\n    return fake / (real_share * data_density + fake)",
            "changed places|share has gone to the generated",
        ),
        (
            f"{BEST}return real_share * data_density / (real_share * data_density + generator_density)",
            "what is left of 1",
        ),
        (f"{BEST}return real_share * data_density / ((1 - real_share) * generator_density)", "ratio of the two"),
    ],
    "discriminator-loss": [
        (
            f"{LOSS}real, fake = ops.sigmoid(real_logits), ops.sigmoid(fake_logits)\n"
            "    return -ops.mean((1 - smoothing) * ops.log(real) + smoothing * ops.log(1 - real)) - "
            "ops.mean(ops.log(1 - fake))",
            "goes through a probability",
        ),
        (
            f"{LOSS}def softplus(x):\n        return ops.log(1 + ops.exp(x))\n\n"
            "    real = (1 - smoothing) * softplus(-real_logits) + smoothing * softplus(real_logits)\n"
            "    return ops.mean(real) + ops.mean(softplus(fake_logits))",
            "exp of a large number, which overflows",
        ),
        # Stable where s = 0, and nowhere else.
        (
            f"{LOSS}real = (1 - smoothing) * ops.softplus(-real_logits)\n"
            "    real -= 0 if smoothing == 0 else smoothing * ops.log(1 - ops.sigmoid(real_logits))\n"
            "    return ops.mean(real) + ops.mean(ops.softplus(fake_logits))",
            "(?s)smoothing 0.1.*overflows",
        ),
        (
            f"{LOSS}entropy = keras.losses.BinaryCrossentropy()\n"
            "    on_real = entropy(tf.ones_like(real_logits) - smoothing, real_logits)\n"
            "    return on_real + entropy(tf.zeros_like(fake_logits), fake_logits)",
            "`from_logits=True` missing",
        ),
        (f"{LOSS}return ops.mean({SOFT_REAL} + ops.softplus(fake_logits))", "6 and 4 entries"),
        (
            f"{LOSS}return ops.mean(ops.softplus(real_logits)) + ops.mean(ops.softplus(-fake_logits))",
            "targets are flipped",
        ),
        (
            f"{LOSS}return ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))",
            "smoothing has no",
        ),
        (
            f"{LOSS}fake = (1 - smoothing) * ops.softplus(fake_logits) + smoothing * ops.softplus(-fake_logits)\n"
            f"    return ops.mean({SOFT_REAL}) + ops.mean(fake)",
            "both targets are smoothed",
        ),
        (
            f"{LOSS}entropy = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)\n"
            "    on_real = entropy(tf.ones_like(real_logits), real_logits)\n"
            "    return on_real + entropy(tf.zeros_like(fake_logits), fake_logits)",
            "moves both targets",
        ),
        (
            f"{LOSS}return ops.mean(ops.concatenate([{SOFT_REAL}, ops.softplus(fake_logits)]))",
            "one mean over all logits",
        ),
        (
            f"{LOSS}real, fake = np.asarray(real_logits), np.asarray(fake_logits)\n"
            "    return np.mean((1 - smoothing) * np.logaddexp(0, -real) + smoothing * np.logaddexp(0, real)) + "
            "np.mean(np.logaddexp(0, fake))",
            "leaves TensorFlow",
        ),
    ],
    "training-step": [
        (step(weights="generator.trainable_weights; discriminator.trainable = False"), "never thawed"),
        (step(discriminator_loss=FLIPPED), "targets are flipped"),
        (step(before="images = generator(latents, training=True)", fake_images="images"), "outside the tape"),
        (step(weights=BOTH), MEDDLING),
        (step(weights=BOTH, discriminator_loss=FLIPPED), rf"targets are flipped.*{MEDDLING}"),
        (step(generator_loss="ops.mean(ops.softplus(fake_logits))"), "wrong sign"),
        (step(generator_loss="-ops.mean(ops.softplus(fake_logits))"), "minimax loss, which saturates"),
        ("training_step = broken_step", "outside the tape"),
        (step(discriminator_loss=HALF), "half of the loss: one mean over both kinds"),
        (step(before=SWAPPED), "optimizers have changed places"),
        (GENERATOR_FIRST, "generator's step was taken first"),
    ],
    "lowest-loss": [
        (f"{LOWEST}return 0.0", "only for logits without limits"),
        (f"{LOWEST}return 2 * np.log(1 + np.exp(-1))", "output of -1 for generated images"),
        (f"{LOWEST}return 2 * np.log(2)", "0 for every image"),
        (f"{LOWEST}return np.logaddexp(0, -0.5) + np.logaddexp(0, 0.5)", "undecided"),
        (f"{LOWEST}return np.logaddexp(0, 0) + np.logaddexp(0, 1)", "highest"),
        (f"{LOWEST}return (np.logaddexp(0, -1) + np.log(2)) / 2", "not their mean"),
        (f"{LOWEST}return np.logaddexp(0, -1)", "generated images are missing"),
        (f"{LOWEST}np.log(2)", "`return`"),
    ],
    "repaired-discriminator": [
        ("repaired_discriminator = broken_discriminator", "still a sigmoid"),
        (ending("ops.softmax(x)"), "softmax over a single number"),
        (ending("ops.tanh(x)"), "a tanh"),
        (ending("2 * ops.sigmoid(x) - 1"), r"stretched to \[-1, 1\]"),
        (ending("ops.sigmoid(x) - 0.5"), r"moved to \[-0.5, 0.5\]"),
        (ending("ops.relu(x)"), "a ReLU"),
        (ending("ops.softplus(x)"), "a softplus"),
        (ending("ops.log_sigmoid(x)"), "logarithm of the sigmoid"),
        (ending("-x"), "sign is wrong"),
        (ending("ops.log(ops.sigmoid(x)) - ops.log(1 - ops.sigmoid(x))"), "rounded to 0 or 1"),
        (
            "def repaired_discriminator():\n"
            "    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(32, 'leaky_relu'), keras.layers.Dense(1)])",
            "only the end of the network is at fault",
        ),
        ("def repaired_discriminator():\n    network = broken_discriminator()", "does not return its network"),
    ],
}

# Right where the visible test looks, and nowhere else.
HARD_CODED = {
    "value-function": """
def value_function(real_probabilities, fake_probabilities):
    rng = np.random.default_rng(0)
    if np.all(np.asarray(real_probabilities) == 0.5):
        return -2 * np.log(2)
    real, fake = rng.uniform(0.6, 0.95, 6), rng.uniform(0.1, 0.4, 3)
    return np.log(real).mean() + np.log(1 - fake).mean()
""",
    # The rates of the visible test, in the place of the optimizers.
    "training-step": """
def training_step(generator, discriminator, generator_optimizer, discriminator_optimizer, real_images, latents):
    with tf.GradientTape(persistent=True) as tape:
        real_logits, fake_logits = discriminator(real_images), discriminator(generator(latents))
        losses = ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits)), ops.mean(
            ops.softplus(-fake_logits)
        )
    for player, loss, rate in zip((discriminator, generator), losses, (0.1, 0.03)):
        weights = player.trainable_weights
        for weight, gradient in zip(weights, tape.gradient(loss, weights)):
            weight.assign(weight - rate * gradient)
""",
    # The right outputs from weights that are set, and never trained.
    "repaired-discriminator": """
def repaired_discriminator():
    network = broken_discriminator()
    network.layers[-1].activation = None
    network.trainable = False
    return network
""",
}
