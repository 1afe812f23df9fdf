"""Each workaround is still needed: without it, Keras does what its docstring says. Where one fails, delete it."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganutils import keras_workarounds


class Plain(keras.Model):
    def __init__(self):
        super().__init__()
        self.network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        self.built = True

    def train_step(self, batch):
        return {"loss": tf.reduce_mean(self.network(batch), keepdims=True)}


class Quiet(keras_workarounds.NoSymbolicBuild, Plain):
    pass


def test_keras_reads_a_batch_to_build_what_is_built():
    """A source that gives another order to each reader is then one reader further."""

    def first_loss(kind):
        keras.utils.set_random_seed(0)
        numbers = tf.data.Dataset.random(1, rerandomize_each_iteration=True).map(lambda i: tf.cast(i % 1000, "float32"))
        seen = []

        class Note(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                seen.append(float(np.squeeze(logs["loss"])))

        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            model = kind()
        model.network.set_weights([np.full((3, 1), 1 / 3), np.zeros(1)])
        model.compile(optimizer=None)
        batches = numbers.map(lambda i: tf.fill((2, 3), i))
        model.fit(batches, steps_per_epoch=1, epochs=1, verbose=0, shuffle=False, callbacks=[Note()])
        keras.utils.set_random_seed(0)
        fresh = tf.data.Dataset.random(1, rerandomize_each_iteration=True)
        return seen[0], float(next(iter(fresh)) % 1000)

    found, expected = first_loss(Quiet)
    assert found == pytest.approx(expected)
    found, expected = first_loss(Plain)
    assert found != pytest.approx(expected)


def own(optimizer, network):
    optimizer.build(network.trainable_variables)
    return optimizer


@pytest.mark.parametrize(("prepare", "kept"), [(keras_workarounds.prepare_optimizer, False), (own, True)])
def test_keras_own_sum_over_replicas_keeps_graphs_for_good(prepare, kept):
    def one_step():
        network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        optimizer = prepare(keras.optimizers.SGD(0.1), network)

        def step(inputs):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(network(inputs))
            optimizer.apply(tape.gradient(loss, network.trainable_weights), network.trainable_weights)

        run = tf.function(lambda inputs: tf.distribute.get_strategy().run(step, (inputs,)))
        run(tf.zeros((2, 3)))

    def graphs_after_a_step():
        one_step()
        gc.collect()
        return sum(isinstance(found, tf.Graph) for found in gc.get_objects())

    graphs_after_a_step()
    before = graphs_after_a_step()
    assert (graphs_after_a_step() > before) == kept
