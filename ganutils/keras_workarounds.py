"""Overrides of private parts of Keras, each with its reason and a test that fails when Keras no longer needs it."""

import keras


class NoSymbolicBuild:
    """Keep Keras from reading a batch to build a model that is already built.

    Under a `tf.distribute` strategy, Keras' trainer reads an extra batch before the first step. That advances the
    order of a shuffled dataset by one pass, so that a resumed run could not repeat it (keras-team/keras#20394;
    seen in Keras 3.12 to 3.15, `keras/src/backend/tensorflow/trainer.py`). There is no public switch.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        pass


def prepare_optimizer(optimizer, network):
    """Return an optimizer (given as such or by name), built, and with loss scaling for a float16 network.

    It does not sum gradients over replicas, which `AdversarialModel.take_step` has already done. Keras' own sum, even
    over one replica, makes TensorFlow keep the graph forever, and with it all weights and moments
    (tensorflow/tensorflow#97697): 35 MB for each GAN that a lesson trains.
    """
    optimizer = keras.optimizers.get(optimizer)
    getattr(optimizer, "inner_optimizer", optimizer)._all_reduce_sum_gradients = list
    in_float16 = any(layer.compute_dtype == "float16" for layer in network.layers)
    if in_float16 and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(network.trainable_variables)
    return optimizer
