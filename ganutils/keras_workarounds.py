"""Overrides of private parts of Keras, each with its reason and a test that fails when Keras no longer needs it."""

import keras


class NoSymbolicBuild:
    """Keep Keras from reading a batch to build what is built.

    Under a `tf.distribute` strategy, its trainer takes a batch of its own before the first step. The order of
    a shuffled dataset then moves on by one pass, so that a resumed run could not repeat it (keras-team/keras#20394;
    seen in Keras 3.12 to 3.15, `keras/src/backend/tensorflow/trainer.py`). There is no public switch.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        pass


def prepare_optimizer(optimizer, network):
    """Return an optimizer, given as such or by its name, that is built and scales the loss of a float16 network.

    It does not add up gradients over replicas, which `AdversarialModel.take_step` does before. Keras' own sum, even
    over one replica, makes TensorFlow keep the graph for good, and with it all weights and moments
    (tensorflow/tensorflow#97697): 35 MB for each GAN that a lesson trains.
    """
    optimizer = keras.optimizers.get(optimizer)
    getattr(optimizer, "inner_optimizer", optimizer)._all_reduce_sum_gradients = list
    in_float16 = any(layer.compute_dtype == "float16" for layer in network.layers)
    if in_float16 and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(network.trainable_variables)
    return optimizer
