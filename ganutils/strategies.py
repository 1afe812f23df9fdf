"""Training on several devices or machines: the choice of a strategy, and what a training step does under it.

A *replica* is one copy of the model on one device; a *worker* is one process with one or more replicas. All
replicas take each step together, on parts of one global batch of `batch_size` images, and have the same weights
after it. Losses are means, so each of n replicas divides its loss by n and the gradients are summed: the sum is the
gradient for the global batch, and the learning rate needs no change. docs/several_devices.md is the user's guide.
"""

import contextlib
import os
import zlib

import keras
import numpy as np
import tensorflow as tf

# What TensorFlow raises in a collective operation when another worker is lost.
_LOST = ("UnavailableError", "DeadlineExceededError", "AbortedError", "CancelledError", "FailedPreconditionError")
# The strategy with several workers, which a process can join only once.
_joined = None


def choose_strategy(devices=None, *, cluster=None):
    """Return the `tf.distribute` strategy for the available devices or machines.

    - a cluster of several workers: `MultiWorkerMirroredStrategy`, over all workers and their visible GPUs. Call this
      before any other use of TensorFlow. It returns when all workers are connected.
    - several devices: `MirroredStrategy` over them.
    - one device, given by name: `OneDeviceStrategy` on it.
    - at most one GPU, `devices` not given: TensorFlow's default strategy, which adds no overhead.

    Args:
        devices: names of this machine's devices such as ["GPU:0", "GPU:1"]; None takes all visible GPUs.
        cluster: one of `tf.distribute.cluster_resolver`, such as `SlurmClusterResolver()`; None reads TF_CONFIG.

    Raises:
        ValueError: an invalid TF_CONFIG, devices that are not a list or an empty one, or devices together
            with several workers.
        RuntimeError: TensorFlow has been used before, which several workers do not allow.
    """
    global _joined
    if devices is not None and (isinstance(devices, str) or not len(devices)):
        raise ValueError(f'devices is {devices!r}; give a list such as ["GPU:0"], or None for all GPUs')
    cluster = cluster or tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if _size(cluster) > 1:
        if devices is not None:
            raise ValueError("several workers use all GPUs that they see; leave devices out")
        if _joined is None:
            try:
                _joined = tf.distribute.MultiWorkerMirroredStrategy(cluster)
            except RuntimeError as error:
                raise RuntimeError(
                    "TensorFlow was in use before choose_strategy(), which several workers do not allow; call it "
                    "before anything that makes a tensor or lists devices"
                ) from error
        return _joined
    if devices is None:
        found = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices("GPU")]
        return tf.distribute.MirroredStrategy(found) if len(found) > 1 else tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.OneDeviceStrategy(devices[0])


def _size(cluster):
    """Return the number of workers that a cluster resolver names."""
    environment = os.environ.get("TF_CONFIG")
    is_environment = isinstance(cluster, tf.distribute.cluster_resolver.TFConfigClusterResolver)
    if is_environment and not environment:
        return 0
    try:
        jobs = cluster.cluster_spec().as_dict()
        if unknown := set(jobs) - {"chief", "worker"}:
            raise ValueError(f"tasks of the types {', '.join(unknown)}; allowed are chief and worker")
        return sum(len(addresses) for addresses in jobs.values())
    except Exception as error:  # resolvers raise errors of any type
        if not is_environment:
            raise ValueError(f"{type(cluster).__name__} gives no usable cluster: {error}") from error
        raise ValueError(
            f"TF_CONFIG cannot be used: {error}. It is {environment!r}; expected JSON such as "
            '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}, with '
            "another index on each worker. Unset it to train in one process"
        ) from error


def number_of_workers(strategy):
    """Return how many processes train together under a strategy."""
    return max(_size(strategy.cluster_resolver), 1) if getattr(strategy, "cluster_resolver", None) else 1


def is_chief(strategy):
    """Return whether this process writes files: it is the only one, the chief, or, without a chief, worker 0."""
    if number_of_workers(strategy) == 1:
        return True
    resolver = strategy.cluster_resolver
    return resolver.task_type == "chief" or ("chief" not in resolver.cluster_spec().jobs and not int(resolver.task_id))


def _replicas():
    """Return this replica's number and the number of replicas: 0 and 1 outside a distributed step."""
    context = tf.distribute.get_replica_context()
    return (0, 1) if context is None else (context.replica_id_in_sync_group, context.num_replicas_in_sync)


def share_of_loss(loss):
    """Return a replica's mean loss divided by the number of replicas, since gradients are summed."""
    _, replicas = _replicas()
    return loss if replicas == 1 else loss / replicas


def sum_over_replicas(gradients):
    """Return the sums of gradients (tensors or None) over the replicas, with one all-reduce.

    Keras' optimizers would sum too, but only after each replica has clipped its own part, or checked it for a loss
    scale that is too large.
    """
    _, replicas = _replicas()
    there = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
    if replicas == 1 or not there:
        return gradients
    sums = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, there))
    return [None if gradient is None else next(sums) for gradient in gradients]


def share_of_draw(draw, n):
    """Return n random rows that no other replica has.

    Random states are the same on all replicas, so `draw(n)` would give the same rows on each. Instead, each draws the
    rows of the global batch and keeps its part; together they have the rows that a single process would draw.
    """
    replica, replicas = _replicas()
    return draw(n) if replicas == 1 else draw(n * replicas)[replica * n : (replica + 1) * n]


def average_over_replicas(variables):
    """Set variables to their mean over the replicas, with one all-reduce."""
    _, replicas = _replicas()
    if replicas == 1 or not variables:
        return
    # Copies are placed on the device of their replica; a value that is only read may have no device.
    values = [tf.identity(variable.value) for variable in variables]
    means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)
    for variable, mean in zip(variables, means, strict=True):
        variable.assign(mean)


def reducible(value):
    """Return a metric in a form that Keras can average over replicas: with several workers, scalars make it fail."""
    return value if number_of_workers(tf.distribute.get_strategy()) == 1 else tf.reshape(value, (1,))


def check_dataset(dataset, model):
    """Check that each replica can take an equal part of every batch of a dataset.

    Raises:
        ValueError: batches of unknown size, or that the number of replicas does not divide, or
            a model that was created outside the strategy's scope.
    """
    strategy = model.distribute_strategy
    workers, replicas = number_of_workers(strategy), strategy.num_replicas_in_sync
    if workers == 1 and (_joined or _size(tf.distribute.cluster_resolver.TFConfigClusterResolver()) > 1):
        raise ValueError(
            "there are several workers, but the model was made outside of their strategy, so each worker would "
            "train its own; create it inside `with choose_strategy().scope():`"
        )
    if replicas == 1:
        return
    if model.steps_per_execution > 1:
        raise ValueError(f"steps_per_execution={model.steps_per_execution} needs one device; leave it out")
    optimizers = model.optimizers.values()
    for variable in [*model.variables, *(variable for optimizer in optimizers for variable in optimizer.variables)]:
        if not strategy.extended.variable_created_in_scope(variable.value):
            raise ValueError(
                f"{variable.path} was made outside of the strategy; create networks, optimizers and the model inside "
                "`with strategy.scope():`"
            )
    sizes = {spec.shape[0] if spec.shape.rank else None for spec in tf.nest.flatten(dataset.element_spec)}
    if len(sizes) != 1 or None in sizes:
        raise ValueError("several devices need batches of one known size; batch with drop_remainder=True")
    if (size := sizes.pop()) % replicas:
        raise ValueError(f"a batch of {size} images cannot be split among {replicas} replicas; choose a multiple of it")


def shard(dataset):
    """Return a dataset of which each worker takes a part of every batch, instead of some of its files."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)


class SpreadRandomState(keras.callbacks.Callback):
    """Give each replica its own dropout, with random states derived from the shared ones.

    `fit` appends it to the callbacks, so it runs after a backup has restored the states. The seed generators
    that are attributes of the model itself stay the same on all replicas: see `share_of_draw`.
    """

    STRIDE = 1_000_003

    def on_train_begin(self, logs=None):
        shared = {id(v.state) for v in vars(self.model).values() if isinstance(v, keras.random.SeedGenerator)}
        states = [v for v in self.model.variables if v.path.endswith("seed_generator_state") and id(v) not in shared]
        strategy, first = self.model.distribute_strategy, [v.numpy() for v in states]

        def spread():
            replica, _ = _replicas()
            for variable, value in zip(states, first, strict=True):
                step = tf.cast(replica, variable.dtype) * self.STRIDE
                variable.assign(tf.constant(value) + tf.stack([step, tf.zeros_like(step)]))

        strategy.run(spread)


def check_agreement(strategy, **numbers):
    """Raise a ValueError if the workers differ in a number, such as their first epoch."""
    if number_of_workers(strategy) == 1:
        return
    # Exact in float32, which every communication backend can sum.
    own = np.array([zlib.crc32(f"{value}".encode()) % 2**20 for value in numbers.values()], "float32")
    mean = strategy.reduce(tf.distribute.ReduceOp.MEAN, tf.constant(own), axis=None)
    for (name, value), number, of_all in zip(numbers.items(), own, np.asarray(mean), strict=True):
        if number != of_all:
            raise ValueError(
                f"the workers differ in {name}, which is {value} here. Start the same program on each, with the same "
                "seed, and keep backups in a folder that all workers share"
            )


@contextlib.contextmanager
def clear_errors(strategy):
    """Raise a RuntimeError that says what to do when a worker is lost."""
    try:
        yield
    except tf.errors.OpError as error:
        if number_of_workers(strategy) == 1 or type(error).__name__ not in _LOST:
            raise
        raise RuntimeError(
            "this worker lost contact with another one, whose output says why. Start all workers again; with a "
            f"backup, the run resumes after its last epoch. TensorFlow's message: {error.message[-500:]}"
        ) from error
