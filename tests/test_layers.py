import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from ganutils import data, layers, losses, training
from tests.conftest import assert_survives_a_kill, changed, snapshot, tiny_networks

WRAPPED = {
    "dense": (lambda **kw: keras.layers.Dense(5, **kw), (7,)),
    "convolution": (lambda **kw: keras.layers.Conv2D(5, 3, 2, padding="same", **kw), (8, 8, 3)),
    "transposed convolution": (lambda **kw: keras.layers.Conv2DTranspose(5, 4, 2, padding="same", **kw), (4, 4, 3)),
}


def normalised(kind, iterations=500, **options):
    """A built layer whose vector has converged, and a network of it."""
    build, shape = WRAPPED[kind]
    layer = layers.SpectralNormalization(build(**options))
    network = keras.Sequential([keras.Input(shape), layer])
    for _ in range(iterations):
        layer.layer.kernel.constraint(layer.layer.kernel)
    return layer, network


def full_svd(layer):
    """σ of the kernel as a matrix (all that makes one output, outputs)."""
    kernel = layer.kernel.numpy()
    if isinstance(layer, keras.layers.Conv2DTranspose):
        kernel = kernel.transpose(0, 1, 3, 2)
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


@pytest.mark.parametrize("kind", WRAPPED)
def test_sigma_is_that_of_a_full_svd_of_the_kernel(kind):
    layer, _ = normalised(kind)
    assert float(layer.largest_singular_value()) == pytest.approx(full_svd(layer.layer), rel=1e-5)
    fresh, _ = normalised(kind, iterations=0)
    assert float(fresh.largest_singular_value()) == pytest.approx(full_svd(fresh.layer), rel=0.02), "from the start"


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_layer_is_called_with_the_divided_kernel_and_keeps_its_own(kind, rng):
    layer, network = normalised(kind, use_bias=True)
    layer.layer.bias.assign(rng.standard_normal(5))
    before = snapshot(network)
    images = rng.standard_normal((6, *WRAPPED[kind][1])).astype("float32")
    found = [network(images, training=training).numpy() for training in (False, True, True)]
    assert not any(changed(before, network)), "neither the kernel nor the vector"
    plain = WRAPPED[kind][0]()
    plain.build((None, *WRAPPED[kind][1]))
    plain.set_weights([layer.layer.kernel.numpy() / full_svd(layer.layer), layer.layer.bias.numpy()])
    for outputs in found:
        np.testing.assert_allclose(outputs, plain(images), rtol=1e-4, atol=1e-5)
    assert network.output_shape == (None, *found[0].shape[1:])


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_gradient_goes_through_sigma(kind, rng):
    """Compared with TensorFlow's own derivative of a full SVD; a kernel's scale changes nothing, so it has no slope."""
    layer, network = normalised(kind)
    images = tf.constant(rng.standard_normal((6, *WRAPPED[kind][1])).astype("float32"))
    weights = tf.constant(rng.standard_normal(network(images).shape).astype("float32"))
    kernel = layer.layer.kernel
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(weights * network(images))
    found = tape.gradient(total, kernel.value).numpy()
    plain = WRAPPED[kind][0]()
    plain.build((None, *WRAPPED[kind][1]))
    value = tf.constant(kernel.numpy())
    with tf.GradientTape() as tape:
        tape.watch(value)
        matrix = tf.transpose(value, (0, 1, 3, 2)) if kind.startswith("transposed") else value
        sigma = tf.linalg.svd(tf.reshape(matrix, (-1, 5)), compute_uv=False)[0]
        outputs, _ = plain.stateless_call([value / sigma, plain.bias], [], images)
        total = tf.reduce_sum(weights * outputs)
    expected = tape.gradient(total, value).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert abs(np.sum(found * kernel.numpy())) < 1e-3 * np.linalg.norm(found) * np.linalg.norm(kernel)


def normalised_judge(**options):
    normal = layers.SpectralNormalization
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            normal(keras.layers.Conv2D(4, 4, 2, padding="same", **options)),
            keras.layers.LeakyReLU(0.2),
            normal(keras.layers.Conv2DTranspose(4, 4, 2, padding="same", **options)),
            keras.layers.LeakyReLU(0.2),
            keras.layers.Flatten(),
            normal(keras.layers.Dense(1, **options)),
        ]
    )


def gan_of(discriminator, loss="hinge", **options):
    keras.utils.set_random_seed(3)
    gan = training.GAN(tiny_networks()[0], discriminator(), **options)
    gan.compile(keras.optimizers.Adam(1e-2), keras.optimizers.Adam(1e-2), loss=loss)
    return gan


def test_both_passes_of_a_step_use_the_same_weights_and_the_next_step_others(digits, monkeypatch):
    gan, seen = gan_of(normalised_judge, penalty=losses.R1(1.0, every=1)), {}
    real = layers.SpectralNormalization.largest_singular_value

    def spy(layer):
        found = real(layer)
        seen.setdefault(layer.name, []).append(float(found))
        return found

    monkeypatch.setattr(layers.SpectralNormalization, "largest_singular_value", spy)
    batch = data.scale(digits[:16])
    steps = []
    for _ in range(2):
        seen.clear()
        gan.adversarial_step(batch)
        steps.append({name: values.copy() for name, values in seen.items()})
    for name, values in steps[0].items():
        assert len(values) == 3, "real images, generated ones, and those of the penalty"
        assert len(set(values)) == 1
        assert set(values).isdisjoint(steps[1][name])


def test_the_vector_follows_the_kernel_one_step_of_the_power_method_at_a_time(digits):
    gan = gan_of(normalised_judge)
    layer = gan.discriminator.layers[0]
    before = layer.vector.numpy()
    gan.adversarial_step(data.scale(digits[:16]), players=("generator",))
    np.testing.assert_array_equal(layer.vector, before)
    gan.adversarial_step(data.scale(digits[:16]), players=("discriminator",))
    matrix = layer.layer.kernel.numpy().reshape(-1, 4)
    turned = matrix.T @ matrix @ before
    np.testing.assert_allclose(layer.vector, turned / np.linalg.norm(turned), rtol=1e-4)
    gan.fit(data.pipeline(digits, batch_size=16), epochs=5, verbose=0)
    for each in gan.discriminator.layers:
        if isinstance(each, layers.SpectralNormalization):
            lag = float(each.largest_singular_value()) / full_svd(each.layer)
            assert 0.8 < lag < 1 + 1e-5, "at a rate of 0.01, with which these small kernels double in a few steps"


def test_a_constraint_of_the_layers_own_still_holds(digits):
    gan = gan_of(lambda: normalised_judge(kernel_constraint=layers.Clip(0.05)))
    gan.adversarial_step(data.scale(digits[:16]))
    for layer in gan.discriminator.layers:
        if isinstance(layer, layers.SpectralNormalization):
            assert np.abs(layer.layer.kernel).max() == pytest.approx(0.05)


def with_deviation():
    x = images = keras.Input((8, 8, 1))
    x = keras.layers.LeakyReLU()(keras.layers.Conv2D(4, 4, 2)(x))
    x = keras.layers.LeakyReLU()(keras.layers.Conv2D(4, 2)(layers.MinibatchDeviation()(x)))
    return keras.Model(images, keras.layers.Dense(1)(keras.layers.Flatten()(x)))


def with_discrimination():
    x = images = keras.Input((8, 8, 1))
    x = layers.MinibatchDiscrimination(6, 4)(keras.layers.Dense(8)(keras.layers.Flatten()(x)))
    return keras.Model(images, keras.layers.Dense(1)(x))


def packing():
    x = images = keras.Input((8, 8, 1))
    x = keras.layers.LeakyReLU()(keras.layers.Conv2D(4, 4, 2)(layers.Pack(2)(x)))
    return keras.Model(images, keras.layers.Dense(1)(keras.layers.Flatten()(x)))


JUDGES = {
    "spectral normalisation": normalised_judge,
    "minibatch deviation": with_deviation,
    "minibatch discrimination": with_discrimination,
    "packing": packing,
}


BOTH, OF_LINES = losses.R1AndR2(1.0), losses.GradientPenalty()  # which refuses packs


@pytest.mark.parametrize(
    ("kind", "penalty"), [(kind, BOTH) for kind in JUDGES] + [(kind, OF_LINES) for kind in JUDGES if kind != "packing"]
)
def test_penalties_reach_every_kernel_behind_these_layers(kind, penalty, rng):
    network = JUDGES[kind]()
    real, fake = tf.constant(rng.uniform(-1, 1, (2, 8, 8, 8, 1)).astype("float32"))
    kernels = [variable for variable in network.trainable_variables if variable.name == "kernel"]
    with tf.GradientTape() as tape:
        charge = penalty(lambda x: network(x, training=True), real, fake)
    for kernel, gradient in zip(kernels, tape.gradient(charge, kernels), strict=True):
        assert np.isfinite(gradient).all(), kernel.path
        assert np.abs(gradient).max() > 0, kernel.path


def test_a_killed_run_with_spectral_normalisation_ends_as_if_it_had_not_been(digits, tmp_path):
    assert_survives_a_kill(lambda: gan_of(normalised_judge, penalty=losses.R1(1.0, every=2)), digits, tmp_path)


@pytest.mark.parametrize("kind", JUDGES)
def test_a_network_of_these_layers_is_saved_and_copied(kind, tmp_path, rng):
    network = JUDGES[kind]()
    images = rng.uniform(-1, 1, (6, 8, 8, 1)).astype("float32")
    network.save(tmp_path / "judge.keras")
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    for other in (keras.models.load_model(tmp_path / "judge.keras"), copy):
        np.testing.assert_array_equal(other(images), network(images))


def test_a_wrapped_last_layer_keeps_its_precision_and_its_activation_is_seen():
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        hidden = layers.SpectralNormalization(keras.layers.Dense(3))
        last = layers.SpectralNormalization(keras.layers.Dense(1, dtype="float32"))
        network = keras.Sequential([keras.Input((4,)), hidden, last])
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert (hidden.output.dtype, last.output.dtype) == ("float16", "float32")
    assert network(np.ones((2, 4), "float32")).dtype == tf.float32
    probabilities = layers.SpectralNormalization(keras.layers.Dense(1, activation="sigmoid"))
    judge = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), probabilities])
    with pytest.raises(ValueError, match="ends in a sigmoid"):
        training.GAN(tiny_networks()[0], judge)


def test_minibatch_discrimination_is_the_formula(rng):
    layer = layers.MinibatchDiscrimination(3, 2)
    features = rng.standard_normal((5, 4)).astype("float32")
    layer.build(features.shape)
    layer.set_weights([rng.standard_normal((4, 6)), rng.standard_normal(3)])
    kernel, bias = layer.get_weights()
    rows = (features @ kernel).reshape(5, 3, 2)
    expected = [
        [sum(np.exp(-np.abs(rows[i, b] - rows[j, b]).sum()) for j in range(5) if j != i) + bias[b] for b in range(3)]
        for i in range(5)
    ]
    found = layer(features).numpy()
    np.testing.assert_array_equal(found[:, :4], features)
    np.testing.assert_allclose(found[:, 4:], expected, rtol=1e-4)
    order = rng.permutation(5)
    np.testing.assert_allclose(layer(features[order]), found[order], rtol=1e-4)


def test_minibatch_discrimination_of_equal_and_of_distant_images():
    layer = layers.MinibatchDiscrimination(3, 2)
    equal = np.ones((5, 4), "float32")
    np.testing.assert_allclose(layer(equal)[:, 4:], 4, rtol=1e-5)
    np.testing.assert_allclose(layer(1e4 * np.arange(20, dtype="float32").reshape(5, 4))[:, 4:], 0, atol=1e-5)


def test_minibatch_deviation(rng):
    layer = layers.MinibatchDeviation()
    images = rng.standard_normal((6, 4, 4, 3)).astype("float32")
    found = layer(images).numpy()
    np.testing.assert_array_equal(found[..., :3], images)
    np.testing.assert_allclose(found[..., 3], images.std(axis=0).mean(), rtol=1e-3)
    equal = tf.repeat(images[:1], 6, axis=0)
    with tf.GradientTape() as tape:
        tape.watch(equal)
        of_equal = layer(equal)[..., 3]
    assert np.abs(of_equal).max() < 1e-6
    assert np.isfinite(tape.gradient(of_equal, equal)).all(), "a collapsed generator must not meet a slope of infinity"


def test_r1_behind_a_layer_that_mixes_images_is_the_slope_of_the_sum_of_all_logits(rng):
    network = with_deviation()
    images = tf.constant(rng.uniform(-1, 1, (4, 8, 8, 1)).astype("float32"))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        logits = network(images)
    jacobian = tape.jacobian(logits, images).numpy()[:, 0]  # (logits, images, 8, 8, 1)
    expected = np.mean(np.sum(jacobian.sum(axis=0) ** 2, axis=(1, 2, 3))) / 2
    own = np.mean([np.sum(jacobian[i, i] ** 2) for i in range(4)]) / 2
    found = float(losses.R1(1.0)(network, images, None))
    assert found == pytest.approx(expected, rel=1e-4)
    assert found != pytest.approx(own, rel=1e-3), "and not that of each image's own"


def test_a_pack_is_of_images_that_lie_apart_by_the_number_of_packs():
    images = np.arange(6, dtype="float32").reshape(6, 1, 1, 1) * np.ones((6, 2, 2, 1), "float32")
    packs = ops.convert_to_numpy(layers.pack(images, 3))
    assert packs.shape == (2, 2, 2, 3)
    assert packs[:, 0, 0].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert layers.pack(np.zeros((6, 2)), 2).shape == (3, 4)
    with pytest.raises(ValueError, match="7 images cannot be packed by 2"):
        layers.pack(np.zeros((7, 2)), 2)
    with pytest.raises(ValueError, match="k=0"):
        layers.Pack(0)


def test_penalties_of_packs_are_those_of_all_their_images():
    """A linear judge of packs has the slope w by all images of a pack together."""
    weights = np.linspace(-1, 2, 4).astype("float32")
    real, fake = tf.random.stateless_normal((2, 8, 2), seed=(1, 0))

    def judge(points):
        return tf.tensordot(layers.pack(points, 2), weights, 1)[:, None]

    length = np.linalg.norm(weights)
    assert float(losses.R1(1.0)(judge, real, fake)) == pytest.approx(length**2 / 2, rel=1e-5)
    with pytest.raises(ValueError, match="8 images have 4 logits"):  # whose points would leave the line
        losses.GradientPenalty(1.0)(judge, real, fake)


def test_clip_holds_all_weights_within_its_limit(digits):
    network = tiny_networks()[1]
    layers.Clip.all(network, 0.03)
    gan = gan_of(lambda: network, loss="wasserstein")
    assert all(np.abs(value).max() <= 0.03 for value in network.trainable_variables), "before training, too"
    gan.fit(data.pipeline(digits, batch_size=16), verbose=0)
    weights = np.concatenate([np.ravel(variable) for variable in network.trainable_variables])
    assert np.abs(weights).max() == pytest.approx(0.03)
    assert np.mean(np.abs(weights) > 0.0299) > 0.01, "a critic pushes against the limit"
    steady = keras.Sequential([keras.Input((4,)), layers.SpectralNormalization(keras.layers.Dense(2))])
    with pytest.raises(ValueError, match="have constraints, which would be lost"):
        layers.Clip.all(steady)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="BatchNormalization is not allowed; give a Dense, Conv2D or Conv2DTranspose"):
        layers.SpectralNormalization(keras.layers.BatchNormalization())
    with pytest.raises(ValueError, match="limit=0"):
        layers.Clip(0)
    with pytest.raises(ValueError, match="kernels=0"):
        layers.MinibatchDiscrimination(0)
    with pytest.raises(ValueError, match="flatten them"):
        layers.MinibatchDiscrimination()(np.zeros((2, 4, 4, 1)))


WIDE = {
    "dense": (lambda **kw: keras.layers.Dense(400, **kw), (500,)),
    "convolution": (lambda **kw: keras.layers.Conv2D(64, 3, **kw), (12, 12, 32)),
    "transposed convolution": (lambda **kw: keras.layers.Conv2DTranspose(64, 4, 2, **kw), (12, 12, 32)),
}


@pytest.mark.parametrize("kind", WIDE)
def test_an_equalized_layer_keeps_the_variance_with_weights_of_size_1(kind, rng):
    build, shape = WIDE[kind]
    layer = layers.EqualizedLearningRate(build(kernel_initializer="zeros"), gain=1.0)
    network = keras.Sequential([keras.Input(shape), layer])
    kernel = layer.layer.kernel.numpy()
    assert kernel.std() == pytest.approx(1, abs=0.02)
    outputs = network(rng.standard_normal((8, *shape)).astype("float32")).numpy()
    inner = outputs if outputs.ndim == 2 else outputs[:, 2:-2, 2:-2]  # at the border fewer inputs add up
    assert inner.var() == pytest.approx(1, abs=0.08)
    twice = layers.EqualizedLearningRate(build(), gain=2.0)
    keras.Sequential([keras.Input(shape), twice])
    assert twice.factor == 2 * layer.factor


def test_an_equalized_layer_is_its_kernel_times_the_factor(rng):
    layer = layers.EqualizedLearningRate(keras.layers.Dense(3), gain=2**0.5)
    network = keras.Sequential([keras.Input((8,)), layer])
    layer.layer.bias.assign([1.0, 2.0, 3.0])
    x = rng.standard_normal((5, 8)).astype("float32")
    kernel = layer.layer.kernel.numpy()
    np.testing.assert_allclose(network(x), x @ kernel * (2 / 8) ** 0.5 + [1, 2, 3], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer.layer.kernel.numpy(), kernel)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(network(x))
    found = tape.gradient(total, layer.layer.kernel.value)
    np.testing.assert_allclose(found, np.tile(x.sum(axis=0)[:, None], (1, 3)) * (2 / 8) ** 0.5, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="gain=0"):
        layers.EqualizedLearningRate(keras.layers.Dense(3), gain=0)


def test_pixel_norm_has_a_mean_square_of_1_at_each_pixel(rng):
    for shape in ((6, 4, 4, 16), (6, 16)):
        x = (30 * rng.standard_normal(shape)).astype("float32")
        found = layers.PixelNorm()(x).numpy()
        np.testing.assert_allclose((found**2).mean(axis=-1), 1, rtol=1e-4)
        np.testing.assert_allclose(found / x, np.broadcast_to((found / x)[..., :1], shape), rtol=1e-4)
    assert np.all(layers.PixelNorm()(np.zeros((2, 3), "float32")).numpy() == 0)
