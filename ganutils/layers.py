"""Layers that steady a network or let a discriminator see several images at once, and a constraint on weights.

What R1 and the other penalties mean behind a layer that mixes the images of a batch stands with each such layer.
"""

import math

import keras
from keras import ops

from ganutils import validation

_register = keras.saving.register_keras_serializable("ganutils")
_BEFORE_TRAINING = 50  # power iterations from a random vector; later, one a step follows the kernel
_LEAST = 1e-12
_EPSILON = 1e-4


@_register
class Clip(keras.constraints.Constraint):
    """Cut weights off at -limit and limit after each step, as in WGAN (Arjovsky, Chintala and Bottou 2017, section 3).

    Give it to layers as `kernel_constraint` and `bias_constraint`, or to a whole network by `Clip.all(network)`.

    Args:
        limit: above 0; 0.01 in the paper.
    """

    def __init__(self, limit=0.01):
        self.limit = validation.number(limit, "limit", 0)

    def __call__(self, weights):
        return ops.clip(weights, -self.limit, self.limit)

    def get_config(self):
        return {"limit": self.limit}

    @classmethod
    def all(cls, network, limit=0.01):
        """Clip all weights of a network that are trained, now and after each step. A copy of it is not clipped.

        Raises:
            ValueError: weights that have a constraint already, such as a `SpectralNormalization`'s.
        """
        constraint = cls(limit)
        if taken := [variable.path for variable in network.trainable_variables if variable.constraint]:
            raise ValueError(f"{', '.join(taken)} have constraints, which would be lost; choose one of the two")
        for variable in network.trainable_variables:
            variable.constraint = constraint
            variable.assign(constraint(variable))


class _WrappedKernel(keras.layers.Wrapper):
    """Calls a layer with `used_kernel()`, a function of its kernel; the stored kernel stays as it is."""

    prefix = ""

    def __init__(self, layer, **kwargs):
        if not isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
            raise ValueError(f"{type(layer).__name__} is not allowed; give a Dense, Conv2D or Conv2DTranspose layer")
        super().__init__(layer, **{"dtype": layer.dtype_policy, "name": f"{self.prefix}_{layer.name}", **kwargs})

    def call(self, inputs):
        kernel, used = self.layer.kernel, self.used_kernel()
        kinds = self.layer.trainable_variables, self.layer.non_trainable_variables
        values = [[used if variable is kernel else variable for variable in kind] for kind in kinds]
        return self.layer.stateless_call(*values, inputs)[0]

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    @property
    def activation(self):
        return self.layer.activation

    @property
    def output_axis(self):
        """The kernel's output axis; the product of the others is the number of an output's inputs."""
        return -2 if isinstance(self.layer, keras.layers.Conv2DTranspose) else -1


@_register
class EqualizedLearningRate(_WrappedKernel):
    """Give each layer's output the same size by a factor at run time, not by small weights (Karras et al. 2018, 4.1).

    The stored kernel begins with numbers from N(0, 1), and is multiplied by gain / sqrt(inputs of an output) wherever
    it is used (He et al. 2015, with a gain of sqrt(2)). So Adam, whose steps do not depend on a gradient's size, moves
    all layers' weights by the same share of their size.

    Args:
        layer: a new `Dense`, `Conv2D` or `Conv2DTranspose`; its kernel's initializer is replaced.
        gain: above 0; 1 keeps the variance of inputs of mean 0, sqrt(2) does so behind a ReLU.

    Raises:
        ValueError: another layer, or a gain out of range.
    """

    prefix = "equalized"

    def __init__(self, layer, gain=2**0.5, **kwargs):
        super().__init__(layer, **kwargs)
        self.gain = validation.number(gain, "gain", 0)
        layer.kernel_initializer = keras.initializers.RandomNormal(0.0, 1.0)

    def build(self, input_shape):
        super().build(input_shape)
        kernel = self.layer.kernel
        inputs = math.prod(kernel.shape) / kernel.shape[self.output_axis]
        if isinstance(self.layer, keras.layers.Conv2DTranspose):  # an output sees 1 / stride² of the kernel
            inputs /= math.prod(self.layer.strides)
        self.factor = self.gain / inputs**0.5

    def used_kernel(self):
        return self.layer.kernel * self.factor

    def get_config(self):
        return {**super().get_config(), "gain": self.gain}


@_register
class PixelNorm(keras.layers.Layer):
    """Divide each pixel's channels by their root mean square (Karras et al. 2018, section 4.2). Without weights.

    Takes (n, height, width, channels) or (n, d). So a generator's activations cannot run away.
    """

    def call(self, inputs):
        mean = ops.mean(ops.square(ops.cast(inputs, "float32")), axis=-1, keepdims=True)
        return inputs * ops.cast(ops.rsqrt(mean + _EPSILON**2), inputs.dtype)


@_register
class SpectralNormalization(_WrappedKernel):
    """Divide a layer's kernel by its largest singular value σ wherever it is used (Miyato et al. 2018, equation 8).

    The matrix is the kernel with its output axis last and all others in one: (inputs, units) of a dense layer,
    (height · width · channels in, channels out) of a convolution, also of a transposed one, whose kernel has its
    output axis before the last. For a convolution σ bounds the norm of this matrix, not of the whole map (section 2).

    σ is |W u|, with u the right singular vector that belongs to it. u is a weight that is not trained. One step of
    the power method moves it whenever an optimizer has moved the kernel: so both passes of a training step, over real
    and generated images, use the same weights, and a pass alone changes nothing. It lags a little behind a kernel that
    moves fast, so that σ is at most the true one. The gradient goes through σ
    (equation 12). The stored kernel stays as it is; the layer is called with the divided one. Keras' own layer of this
    name writes over the kernel at every call, and leaves the derivative of σ out.

    Each image is judged by itself, so penalties mean what they always do.

    Args:
        layer: a `Dense`, `Conv2D` or `Conv2DTranspose`; its own `kernel_constraint` comes first.

    Raises:
        ValueError: another layer.
    """

    prefix = "sn"

    def build(self, input_shape):
        super().build(input_shape)
        kernel, own = self.layer.kernel, self.layer.kernel.constraint

        def start(shape, dtype):
            matrix, vector = self._matrix(kernel), keras.random.normal(shape, dtype=dtype)
            for _ in range(_BEFORE_TRAINING):
                vector = _turned(matrix, vector)
            return vector

        def after_step(kernel):
            kernel = ops.convert_to_tensor(own(kernel) if own else kernel)
            self.vector.assign(_turned(self._matrix(kernel), self.vector))
            return kernel

        outputs = kernel.shape[self.output_axis]
        self.vector = self.add_weight(shape=(outputs,), initializer=start, trainable=False, name="vector")
        kernel.constraint = after_step

    def used_kernel(self):
        return ops.cast(self.layer.kernel, "float32") / self.largest_singular_value()

    def largest_singular_value(self):
        """Return σ, a float32 scalar, as the layer divides by it now."""
        vector = ops.stop_gradient(ops.normalize(ops.cast(self.vector, "float32")))
        # Its derivative by W is that of the largest singular value, v uᵀ with v = W u / σ.
        product = ops.matmul(self._matrix(self.layer.kernel), vector[:, None])
        return ops.sqrt(ops.maximum(ops.sum(ops.square(product)), _LEAST))

    def _matrix(self, kernel):
        kernel = ops.moveaxis(ops.cast(kernel, "float32"), self.output_axis, -1)
        return ops.reshape(kernel, (-1, kernel.shape[-1]))


def _turned(matrix, vector):
    """Return a vector after one step of the power method with matrixᵀ matrix."""
    return ops.normalize(ops.matmul(ops.transpose(matrix), ops.matmul(matrix, vector[:, None]))[:, 0])


@_register
class MinibatchDiscrimination(keras.layers.Layer):
    """Append to each image's features how close the others of its batch are (Salimans et al. 2016, section 3.2).

    Features f become a matrix M = f T of `kernels` rows of `kernel_size` numbers. Number b that is appended is the sum
    of exp(-|M_b - M'_b|₁) over the other images of the batch, plus a bias: as many as there are others where all are
    alike, and 0 where they are far apart.

    A logit then depends on the whole batch. R1's gradient of the sum of all logits is, for one image, its slope in its
    own logit and in those of all others; the penalty charges both, and so also bounds how fast a logit may change with
    the company that its image is in.

    Args:
        kernels: how many numbers are appended, at least 1.
        kernel_size: numbers that a distance is made of, at least 1.

    Takes features (n, d), and returns (n, d + kernels). Real and generated images must come in batches of their own.
    """

    def __init__(self, kernels=32, kernel_size=8, **kwargs):
        super().__init__(**kwargs)
        self.kernels = validation.whole_number(kernels, "kernels", 1)
        self.kernel_size = validation.whole_number(kernel_size, "kernel_size", 1)

    def build(self, input_shape):
        if len(input_shape) != 2:
            raise ValueError(f"features have the shape {input_shape}; flatten them to (n, d) before")
        self.kernel = self.add_weight(shape=(input_shape[-1], self.kernels * self.kernel_size), name="kernel")
        self.bias = self.add_weight(shape=(self.kernels,), initializer="zeros", name="bias")

    def call(self, inputs):
        rows = ops.reshape(ops.matmul(inputs, self.kernel), (-1, self.kernels, self.kernel_size))
        distances = ops.sum(ops.abs(rows[:, None] - rows[None]), axis=-1)
        closeness = ops.sum(ops.exp(-distances), axis=1) - 1  # without the image itself
        return ops.concatenate([inputs, closeness + self.bias], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + self.kernels)

    def get_config(self):
        return {**super().get_config(), "kernels": self.kernels, "kernel_size": self.kernel_size}


@_register
class MinibatchDeviation(keras.layers.Layer):
    """Append one channel, the standard deviation over the batch averaged over features (Karras et al. 2018, section 3).

    It is the same number for all images of a batch and at all of their places, and 0 for equal images. Takes
    (n, height, width, channels) or (n, d), and returns one channel more. Without weights.

    A logit then depends on the whole batch. R1's gradient of the sum of all logits is, for one image, its slope in its
    own logit and, through the deviation, in those of all others: the penalty charges both. Real and generated images
    must come in batches of their own.
    """

    def call(self, inputs):
        # A square root has no slope at 0, where all images are alike.
        variance = ops.var(ops.cast(inputs, "float32"), axis=0)
        deviation = ops.mean(ops.sqrt(variance + _EPSILON**2) - _EPSILON)
        more = ops.zeros_like(inputs[..., :1]) + ops.cast(deviation, inputs.dtype)
        return ops.concatenate([inputs, more], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 1)


def pack(images, k):
    """Join k images of a batch into one with k times the channels, which are judged at once (PacGAN, Lin et al. 2018).

    Pack i is made of the images i, i + n / k, i + 2 n / k, …; all of one kind, since real and generated images come
    in batches of their own. A discriminator of packs sees that generated images are alike.

    Args:
        images: (n, height, width, channels), or points (n, d); n a multiple of k.
        k: images in a pack, at least 1.

    Returns:
        (n / k, height, width, k · channels), or (n / k, k · d).

    Raises:
        ValueError: a batch that cannot be cut into packs.
    """
    k, n = validation.whole_number(k, "k", 1), images.shape[0]
    if n is not None and n % k:
        raise ValueError(f"{n} images cannot be packed by {k}; choose a batch size that is a multiple of it")
    return ops.concatenate(ops.split(images, k, axis=0), axis=-1)


@_register
class Pack(keras.layers.Layer):
    """`pack` as a discriminator's first layer: (n, …) images in, (n / k, 1) logits out; `k` as there.

    R1 and R2 then are those of a pack: |∇D|² adds up the slopes by all of its k images. `GradientPenalty` is refused.
    """

    def __init__(self, k=2, **kwargs):
        super().__init__(**kwargs)
        self.k = validation.whole_number(k, "k", 1)

    def call(self, inputs):
        return pack(inputs, self.k)

    def compute_output_shape(self, input_shape):
        n, *others, channels = input_shape
        return (None if n is None else n // self.k, *others, channels * self.k)

    def get_config(self):
        return {**super().get_config(), "k": self.k}
