"""Answers to assignment 02: one in another style, and wrong ones that students give, with the message they need."""

COUNT = "def multiplications(height, width, channels_in, channels_out, kernel_size, stride, transposed):\n    "
PENALTY = """
def r2_penalty(discriminator, generator, latents, gamma):
    images = {images}
    with tf.GradientTape() as tape:
        tape.watch({watched})
        logits = {logits}
    slopes = tape.gradient(logits, {by})
    return {result}
"""
SQUARES = "ops.sum(slopes**2, axis=(1, 2, 3))"
DRAW = "def draw(generator, latents):\n    "
DIAGNOSIS = "def diagnosis():\n    return {}"
RECIPE = """
def recipe():
    gan = training.GAN(models.{networks}_generator(), models.{networks}_discriminator())
    gan.compile({generator}, {discriminator})
    return gan
"""
ADAM = "keras.optimizers.Adam({}, beta_1=0.5)"


def penalty(**changes):
    right = {
        "images": "tf.stop_gradient(generator(latents))",
        "watched": "images",
        "logits": "discriminator(images)",
        "by": "images",
        "result": f"gamma / 2 * ops.mean({SQUARES})",
    }
    return PENALTY.format(**{**right, **changes})


OTHER_STYLE = {
    "multiplications": """
import math
def multiplications(height, width, channels_in, channels_out, kernel_size, stride, transposed):
    rows, columns = (height, width) if transposed else (math.ceil(height / stride), math.ceil(width / stride))
    return rows * columns * channels_out * (kernel_size * kernel_size * channels_in)
""",
    # A variable of its own in the place of a tensor that is watched, and flattened slopes.
    "r2-penalty": """
def r2_penalty(discriminator, generator, latents, gamma):
    images = tf.Variable(generator(latents, training=False))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(discriminator(images))
    flat = tf.reshape(tape.gradient(total, images), (len(latents), -1))
    return 0.5 * gamma * tf.reduce_mean(tf.norm(flat, axis=1) ** 2)
""",
    "draw": """
def draw(generator, latents):
    return np.rint((np.clip(generator.predict(latents, verbose=0), -1, 1) + 1) / 2 * 255).astype(np.uint8)
""",
    "recipe": """
def recipe():
    gan = training.GAN(models.fast_dcgan_generator(), models.fast_dcgan_discriminator(), average=0.9)
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(2e-3, beta_1=0.5),
        discriminator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
    )
    return gan
""",
}

WEIGHTS = "kernel_size**2 * channels_in * channels_out"
WRONG = {
    "multiplications": [
        (
            f"{COUNT}there = height * width * stride**2 if transposed else height * width\n"
            f"    return {WEIGHTS} * there",
            "wrong side",
        ),
        (
            f"{COUNT}positions = height * width if transposed else -(-height * width // stride)\n"
            f"    return {WEIGHTS} * positions",
            r"height \*and\* width",
        ),
        (f"{COUNT}return {WEIGHTS}", "these are the weights"),
        (
            f"{COUNT}side = -(-height // stride) * -(-width // stride)\n"
            "    return kernel_size * channels_in * channels_out * (height * width if transposed else side)",
            "two sides",
        ),
        (
            f"{COUNT}side = -(-height // stride) * -(-width // stride)\n"
            "    return kernel_size**2 * channels_out * (height * width if transposed else side)",
            "one output channel|all channels of the input",
        ),
        (
            f"{COUNT}positions = height * width if transposed else height * width // stride**2\n"
            f"    return {WEIGHTS} * positions",
            "rounded up",
        ),
        # Right for even and for odd sides, with a stride of 2.
        (
            f"{COUNT}positions = height * width if transposed else "
            f"((height + 1) // stride) * ((width + 1) // stride)\n"
            f"    return {WEIGHTS} * positions",
            "stride [13]",
        ),
    ],
    "r2-penalty": [
        (penalty(watched="latents"), "not told to watch the images"),
        (penalty(logits="discriminator(latents)"), "ValueError: Invalid input shape"),
        (penalty(logits="discriminator(tf.stop_gradient(images))"), "cut off between there"),
        (penalty(result=f"gamma * ops.mean({SQUARES})"), "factor one half"),
        (penalty(result=f"gamma / 2 * ops.mean(ops.sqrt({SQUARES}))"), "norm of the slope is not squared"),
        (penalty(result="gamma / 2 * ops.mean(slopes**2)"), "a mean over pixels"),
        (penalty(result=f"gamma / 2 * ops.sum({SQUARES})"), "a sum over images"),
        (penalty(logits="ops.mean(discriminator(images))"), r"\*mean\* logit"),
        (penalty(result=f"gamma / 2 * ops.mean((ops.sqrt({SQUARES}) - 1) ** 2)"), "Wasserstein"),
        (
            penalty(by="discriminator.trainable_weights[0]", result="gamma / 2 * ops.sum(slopes**2)"),
            r"respect to the discriminator's weights; it is with respect to the \*images\*",
        ),
        (
            penalty(
                watched="latents",
                logits="discriminator(generator(latents))",
                by="latents",
                result="gamma / 2 * ops.mean(ops.sum(slopes**2, axis=1))",
            ),
            "gradient with respect to the latents",
        ),
        (penalty(result="gamma / 2 * np.mean(np.sum(slopes.numpy()**2, axis=(1, 2, 3)))"), "leaves TensorFlow"),
        (penalty(by="images", result=f"tf.stop_gradient(gamma / 2 * ops.mean({SQUARES}))"), "trains nothing"),
        (penalty(images="generator(latents)"), "still tied to the generator"),
    ],
    "draw": [
        (f"{DRAW}return ((generator(latents, training=False).numpy() + 1) * 127.5)", "whole numbers"),
        (f"{DRAW}return (generator(latents, training=False).numpy() * 255).clip(0, 255).astype('uint8')", "dark greys"),
        (
            f"{DRAW}return np.rint((generator(latents, training=True).numpy() + 1) * 127.5).astype('uint8')",
            "training=False",
        ),
        (
            f"{DRAW}return np.rint((generator(latents).numpy()[:, :, :, 0] + 1) * 127.5).astype('uint8')",
            "axis was lost",
        ),
        ("draw = broken_draw", "wrap round in uint8"),
    ],
    "diagnosis": [
        ("def diagnosis():\n    print('A is healthy')", "dict of letters"),
        (DIAGNOSIS.format("dict(A='healthy', B='healthy', C='healthy', D='healthy')"), "one is missing"),
        (DIAGNOSIS.format("dict.fromkeys('ABCDE', 'Healthy')"), "as in the list"),
    ],
    "recipe": [
        (RECIPE.format(networks="dcgan", generator=ADAM.format(2e-4), discriminator=ADAM.format(2e-4)), "how many multiplications"),
        (
            "def recipe():\n    return training.GAN(models.dcgan_generator(), models.dcgan_discriminator())",
            "without optim",
        ),
        ("def recipe():\n    return models.fast_dcgan_generator()", "something else"),
        (
            "networks = models.fast_dcgan_generator(), models.fast_dcgan_discriminator()\n\n"
            "def recipe():\n"
            "    gan = training.GAN(*networks)\n"
            "    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))\n"
            "    return gan",
            "new networks and optimizers",
        ),
        (
            "def recipe():\n"
            "    gan = training.GAN(models.fast_dcgan_generator(), models.fast_dcgan_discriminator())\n"
            "    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3), steps_per_execution=400)\n"
            "    return gan",
            "one step at a time",
        ),
        (
            "def recipe():\n"
            "    image = keras.Input((28, 28, 1))\n"
            "    logit = keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.DepthwiseConv2D(3)(image)))\n"
            "    gan = training.GAN(models.fast_dcgan_generator(), keras.Model(image, logit))\n"
            "    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))\n"
            "    return gan",
            "Conv2DTranspose alone",
        ),
        (
            "def recipe():\n"
            "    gan = training.GAN(checkpoints.load_checkpoint('dcgan'), models.fast_dcgan_discriminator())\n"
            "    gan.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4))\n"
            "    return gan",
            "not trained yet",
        ),
        (
            RECIPE.format(networks="fast_dcgan", generator=ADAM.format(0.0), discriminator=ADAM.format(1e-3)),
            "learning rate 0",
        ),
    ],
}

# Right where the visible test looks, and nowhere else.
HARD_CODED = {
    # Six images, and no other number.
    "r2-penalty": penalty(result="gamma / 2 * ops.sum(slopes**2) / 6"),
    # No more than four by four pixels.
    "draw": f"{DRAW}images = np.rint((generator(latents).numpy() + 1) * 127.5).astype('uint8')\n"
    "    return images[:, :4, :4]",
}
