"""Training on several devices or machines: which strategy, and what a training step must heed under it.

A *replica* is one copy of the model on one device; a *worker* is one process with one or more replicas. All
replicas take each step together, on parts of one global batch, and end it with the same weights. With n
replicas, `batch_size` stays the global batch: each replica takes the n-th part of it. Losses are means, so each
replica's loss is divided by n (`share_of_loss`) and the gradients are added up (`sum_over_replicas`); the sum
is the gradient for the global batch, and the learning rate stays what it was.

    strategy = strategies.choose_strategy()
    with strategy.scope():
        gan = training.GAN(...)  # the networks and optimizers are made in here, too
        gan.compile(...)
        backup = callbacks.Backup(...)
    gan.fit(data.pipeline(images, batch_size=256, first_epoch=backup.epoch), ...)
"""

import contextlib
import json
import os
import socket
import time

import keras
import numpy as np
import tensorflow as tf

_TYPES = ("chief", "worker")
_SECONDS_BETWEEN_ATTEMPTS = 0.2
_GREETING, _GO = b"ganutils worker ", b"ganutils go"
# What TensorFlow raises in a collective operation when another worker is gone.
_LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.DeadlineExceededError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.FailedPreconditionError,
)
# The strategy of several workers, which a process can join only once.
_joined = None
_ADVICE = "Start all workers again with the same TF_CONFIG; with callbacks.Backup the run goes on after its last epoch."


def choose_strategy(devices=None, *, wait=600):
    """Return the `tf.distribute` strategy for the machine or machines at hand.

    - TF_CONFIG names several workers: `MultiWorkerMirroredStrategy`, over all of them and all their GPUs. Call
      this before anything else of TensorFlow's. It returns when all workers are there; called again, it
      returns the same.
    - several devices: `MirroredStrategy` over them.
    - one device that is named: `OneDeviceStrategy`, which trains on that one.
    - one device, or none but the processor: TensorFlow's default strategy, which adds nothing to a step.

    Args:
        devices: names of this machine's devices such as ["GPU:0", "GPU:1"]; None takes all visible GPUs.
            Several workers always take all GPUs that they see (see CUDA_VISIBLE_DEVICES).
        wait: seconds for which the workers wait for each other, above 0.

    Raises:
        ValueError: a TF_CONFIG that cannot be used, devices that are no list or an empty one, devices together
            with several workers, or a waiting time that is not above 0.
        TimeoutError: a worker that does not come; the message names it.
        RuntimeError: TensorFlow was in use before, which several workers do not allow.
    """
    global _joined
    if devices is not None and (isinstance(devices, str) or not len(devices)):
        raise ValueError(f'devices is {devices!r}; give a list such as ["GPU:0"], or None for all GPUs')
    if not wait > 0:
        raise ValueError(f"wait={wait} is not allowed; give a number of seconds above 0")
    addresses, index = read_cluster(os.environ.get("TF_CONFIG"))
    if len(addresses) > 1:
        if devices is not None:
            raise ValueError("TF_CONFIG names several workers, which take all visible GPUs; leave devices out")
        if _joined is None:
            wait_for_workers(addresses, index, wait)
            _joined = _strategy_of_workers()
        return _joined
    if devices is None:
        found = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices("GPU")]
        return tf.distribute.MirroredStrategy(found) if len(found) > 1 else tf.distribute.get_strategy()
    devices = list(devices)
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.OneDeviceStrategy(devices[0])


def _strategy_of_workers():
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise RuntimeError(
            "TensorFlow was in use before choose_strategy(), which several workers do not allow; call it before "
            "anything that makes a tensor or lists devices"
        ) from error


def read_cluster(text):
    """Return the addresses of all workers, the chief first, and the index of this one, from TF_CONFIG's text.

    Args:
        text: JSON such as {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker",
            "index": 0}}, the same for all workers but for "task"; or None or "", which give ([], 0).

    Raises:
        ValueError: anything else. Tasks of other types than "chief" and "worker", such as parameter servers,
            have no place in this training.
    """
    if not text:
        return [], 0
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise _bad_cluster(text, f"no JSON ({error})") from error
    cluster = config.get("cluster") if isinstance(config, dict) else None
    if not isinstance(cluster, dict) or not cluster:
        raise _bad_cluster(text, "no cluster")
    if set(cluster) - set(_TYPES):
        raise _bad_cluster(text, f"tasks of the types {', '.join(cluster)}; allowed are {' and '.join(_TYPES)}")
    for kind, addresses in cluster.items():
        if not isinstance(addresses, list) or not all(_is_address(address) for address in addresses):
            raise _bad_cluster(text, f'{kind!r} is not a list of addresses "host:port"')
    addresses = [*cluster.get("chief", []), *cluster.get("worker", [])]
    if len(set(addresses)) < len(addresses):
        raise _bad_cluster(text, "the same address twice")
    if len(cluster.get("chief", [])) > 1:
        raise _bad_cluster(text, "more than one chief")
    task = config.get("task")
    kind, index = (task.get("type"), task.get("index")) if isinstance(task, dict) else (None, None)
    if kind not in cluster:
        raise _bad_cluster(text, f"the task's type {kind!r}, of which the cluster has none")
    if not isinstance(index, int) or not 0 <= index < len(cluster[kind]):
        raise _bad_cluster(text, f"the task's index {index!r}; choose from 0 to {len(cluster[kind]) - 1}")
    return addresses, index + (len(cluster.get("chief", [])) if kind == "worker" else 0)


def _bad_cluster(text, what):
    return ValueError(
        f"TF_CONFIG cannot be used: {what}. It is {text!r}; expected is JSON such as "
        '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}, with '
        "another index on each worker. Unset it to train in one process"
    )


def _is_address(value):
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536


def wait_for_workers(addresses, index, seconds):
    """Return when all workers are there. TensorFlow would wait for an hour and not say for whom.

    The others greet the first at its address, which is still free, and it answers when all have come.

    Args:
        addresses: "host:port" of all workers, the first one's first.
        index: which of them this process is.
        seconds: how long to wait.

    Raises:
        TimeoutError: a worker that does not come; the first one names it.
    """
    deadline = time.monotonic() + seconds
    host, port = addresses[0].rsplit(":", 1)
    if index == 0:
        _receive_all(addresses, host, int(port), deadline, seconds)
        return
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1) as connection:
            connection.sendall(_GREETING + b"%06d" % index)
            connection.settimeout(max(deadline - time.monotonic(), 0.1))
            # Someone else may answer: a process of the last run that is not gone yet. Then it is tried again.
            if connection.makefile("rb").read(len(_GO)) == _GO:
                return
        time.sleep(_SECONDS_BETWEEN_ATTEMPTS)
    raise TimeoutError(
        f"worker {index} waited {seconds:g} s for the first one at {addresses[0]}, which did not come or did "
        f"not see all the others (its own message names them). {_ADVICE}"
    )


def _receive_all(addresses, host, port, deadline, seconds):
    local = host == "localhost" or host.startswith("127.")
    present, trouble = {}, None
    with contextlib.ExitStack() as stack:
        listener = None
        while len(present) < len(addresses) - 1 and time.monotonic() < deadline:
            if listener is None:
                try:
                    listener = stack.enter_context(socket.create_server((host if local else "", port)))
                    listener.settimeout(_SECONDS_BETWEEN_ATTEMPTS)
                except OSError as error:  # while a process of the last run still holds the address
                    trouble = error
                    time.sleep(_SECONDS_BETWEEN_ATTEMPTS)
                    continue
            with contextlib.suppress(OSError):
                connection = stack.enter_context(listener.accept()[0])
                connection.settimeout(1)
                message = connection.makefile("rb").read(len(_GREETING) + 6)
                number = message.removeprefix(_GREETING)
                if message != number and number.isdigit() and 0 < int(number) < len(addresses):
                    present[int(number)] = connection
            # One that died or gave up while it waited would otherwise count, and TensorFlow wait for it in silence.
            present = {number: connection for number, connection in present.items() if _is_open(connection)}
        if listener is None:
            raise TimeoutError(f"for {seconds:g} s port {port} could not be opened: {trouble}. {_ADVICE}")
        missing = [address for i, address in enumerate(addresses) if i and i not in present]
        if missing:
            raise TimeoutError(f"after {seconds:g} s these workers have not come: {', '.join(missing)}. {_ADVICE}")
        for connection in present.values():
            with contextlib.suppress(OSError):
                connection.sendall(_GO)
        for connection in present.values():
            # The others hang up first, so that the address is free at once for TensorFlow.
            with contextlib.suppress(OSError):
                connection.recv(1)


def _is_open(connection):
    """Return whether the other side, which has nothing to say now, has not hung up."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(1)


def _cluster(strategy):
    resolver = getattr(strategy, "cluster_resolver", None)
    return {} if resolver is None else resolver.cluster_spec().as_dict()


def number_of_workers(strategy):
    """Return how many processes train together under a strategy."""
    return max(sum(len(addresses) for addresses in _cluster(strategy).values()), 1)


def worker_index(strategy):
    """Return the number of this process among the workers; 0 is the chief, which writes files."""
    cluster = _cluster(strategy)
    if not cluster:
        return 0
    resolver = strategy.cluster_resolver
    return int(resolver.task_id) + (len(cluster.get("chief", [])) if resolver.task_type == "worker" else 0)


def _replicas():
    """Return this replica's number and how many there are: 0 and 1 outside of a distributed step."""
    context = tf.distribute.get_replica_context()
    return (0, 1) if context is None else (context.replica_id_in_sync_group, context.num_replicas_in_sync)


def share_of_loss(loss):
    """Return a replica's mean loss divided by the number of replicas, since gradients are added up."""
    _, replicas = _replicas()
    return loss if replicas == 1 else loss / replicas


def sum_over_replicas(gradients):
    """Return the sums of gradients over the replicas, with one exchange; without replicas, what was given.

    It comes before the optimizer sees them. Keras' optimizers would add up too, but only after each replica has
    clipped its own part, or has looked for itself whether a loss scale was too large.

    Args:
        gradients: list of tensors, of rows of tensors (`tf.IndexedSlices`) or of None.
    """
    _, replicas = _replicas()
    there = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
    if replicas == 1 or not there:
        return gradients
    sums = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, there))
    return [None if gradient is None else next(sums) for gradient in gradients]


def share_of_draw(draw, n):
    """Return n random rows that no other replica has.

    Random states are the same on all replicas, which would draw the same n rows. Here each draws the rows of
    the global batch and keeps its own part, so that the replicas together have the rows that one process with
    the same global batch draws.

    Args:
        draw: function of a number of rows to a tensor with so many.
        n: rows of this replica, the same for all replicas.
    """
    replica, replicas = _replicas()
    return draw(n) if replicas == 1 else draw(n * replicas)[replica * n : (replica + 1) * n]


def average_over_replicas(variables):
    """Set variables to their mean over the replicas, with one exchange. Without replicas nothing happens."""
    _, replicas = _replicas()
    if replicas == 1 or not variables:
        return
    # Copies, which are placed on the device of their replica: a value that is read may have no device.
    values = [tf.identity(variable.value) for variable in variables]
    means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)
    for variable, mean in zip(variables, means, strict=True):
        variable.assign(mean)


def reducible(value):
    """Return a metric as Keras can average it over replicas: scalars make it fail with several workers."""
    return value if number_of_workers(tf.distribute.get_strategy()) == 1 else tf.reshape(value, (1,))


def prepare_dataset(dataset, model):
    """Check what `fit` is given under several replicas, and let each worker take its part of every batch.

    Args:
        dataset: tf.data.Dataset of global batches; each is cut into consecutive equal parts, one a replica.
        model: the model under whose strategy it is read.

    Raises:
        ValueError: no dataset, batches of unknown size or that the replicas cannot share evenly, or
            a model that was made outside of the strategy's scope.
    """
    strategy = model.distribute_strategy
    workers, replicas = number_of_workers(strategy), strategy.num_replicas_in_sync
    if workers == 1 and len(read_cluster(os.environ.get("TF_CONFIG"))[0]) > 1:
        raise ValueError(
            "TF_CONFIG names several workers, but the model was made outside of their strategy, and each worker "
            "would train one of its own; make it inside `with choose_strategy().scope():`"
        )
    if replicas == 1:
        return dataset
    if model.steps_per_execution > 1:
        raise ValueError(
            f"steps_per_execution={model.steps_per_execution}: Keras cannot take several steps at once on several "
            "devices; leave it out"
        )
    for variable in _all_variables(model):
        if not strategy.extended.variable_created_in_scope(variable.value):
            raise ValueError(
                f"{variable.path} was made outside of the strategy; make networks, optimizers and the model inside "
                "`with strategy.scope():`"
            )
    if isinstance(dataset, tf.distribute.DistributedDataset):
        return dataset
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError("with several devices give fit a dataset such as data.pipeline(images, batch_size=...)")
    sizes = {spec.shape[0] if spec.shape.rank else None for spec in tf.nest.flatten(dataset.element_spec)}
    if len(sizes) != 1 or None in sizes:
        raise ValueError(
            "with several devices all batches must have one known size; use data.pipeline, or batch with "
            "drop_remainder=True"
        )
    batch_size = sizes.pop()
    if batch_size % replicas:
        raise ValueError(
            f"a batch of {batch_size} images cannot be shared by {replicas} replicas; choose a multiple of {replicas}"
        )
    options = tf.data.Options()
    # Not by files, which would give the workers other batches than one process reads.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)


def _all_variables(model):
    used = optimizers(list(vars(model).values()))
    return [*model.variables, *(variable for optimizer in used for variable in optimizer.variables)]


def optimizers(value):
    """Return the optimizers in a value: models with many players keep theirs in lists or dicts."""
    if isinstance(value, keras.optimizers.Optimizer):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [optimizer for part in parts for optimizer in optimizers(part)]


class SpreadRandomState(keras.callbacks.Callback):
    """Give each replica its own dropout, from the random states that the chief's first replica has.

    `fit` appends it to the callbacks, so that it comes after a backup has restored the states. The random
    states that are attributes of the model itself stay the same on all replicas: see `share_of_draw`.
    """

    STRIDE = 1_000_003

    def on_train_begin(self, logs=None):
        strategy = self.model.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return
        shared = {id(v.state) for v in vars(self.model).values() if isinstance(v, keras.random.SeedGenerator)}
        states = [v for v in self.model.variables if v.path.endswith("seed_generator_state") and id(v) not in shared]
        first = [np.frombuffer(from_chief(strategy, v.numpy().tobytes()), v.numpy().dtype) for v in states]

        def spread():
            replica, _ = _replicas()
            for variable, value in zip(states, first, strict=True):
                step = tf.cast(replica, variable.dtype) * self.STRIDE
                variable.assign(tf.constant(value) + tf.stack([step, tf.zeros_like(step)]))

        strategy.run(spread)


def from_chief(strategy, content):
    """Return the chief's bytes on all workers.

    Args:
        strategy: of all workers, each of which must call this.
        content: bytes; what the other workers give does not count.
    """
    if number_of_workers(strategy) == 1:
        return content
    chief = worker_index(strategy) == 0
    length = np.array([len(content) if chief else 0], "<u8").tobytes()
    size = int(np.frombuffer(_add_up(strategy, np.frombuffer(length, "uint8")), "<u8")[0])
    if size == 0:  # TensorFlow 2.21 crashes when it adds up nothing.
        return b""
    return _add_up(strategy, np.frombuffer(content, "uint8") if chief else np.zeros(size, "uint8"))


def any_worker(strategy, flag):
    """Return on all workers whether the flag is set on one of them. Each must call this."""
    if number_of_workers(strategy) == 1:
        return bool(flag)
    return any(_from_all(strategy, bytes([bool(flag)])))


def check_agreement(strategy, **numbers):
    """Raise a ValueError on all workers if they differ in a whole number, such as the epoch they begin with."""
    if number_of_workers(strategy) == 1:
        return
    rows = np.frombuffer(_from_all(strategy, np.array(list(numbers.values()), "<i8").tobytes()), "<i8")
    for name, values in zip(numbers, rows.reshape(-1, len(numbers)).T, strict=True):
        if len(set(values.tolist())) > 1:
            raise ValueError(
                f"the workers differ in {name}: {', '.join(map(str, values))}. Start the same program on each, with "
                "the same seed, and make callbacks.Backup inside of the strategy's scope"
            )


def _from_all(strategy, content):
    """Return the workers' bytes one after the other; all give as many."""
    rows = np.zeros((number_of_workers(strategy), len(content)), "uint8")
    rows[worker_index(strategy)] = np.frombuffer(content, "uint8")
    return _add_up(strategy, rows.ravel())


def _add_up(strategy, values):
    """Return the sum over workers of bytes of which at most one worker's is not zero."""
    # As floats, which every way of communication can add up, and which hold such sums exactly.
    total = strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(values, "float32"), axis=None)
    return np.asarray(total).astype("uint8").tobytes()


@contextlib.contextmanager
def clear_errors(strategy):
    """Say what to do when a worker is lost.

    TensorFlow notices a process that ended or froze when it misses its heartbeats for ten seconds, or at once
    where a connection breaks.

    Raises:
        RuntimeError: a worker is lost.
    """
    try:
        yield
    except _LOST_WORKER as error:
        if number_of_workers(strategy) == 1:
            raise
        raise RuntimeError(
            f"worker {worker_index(strategy)} lost contact with another worker, whose own output says why. "
            f"{_ADVICE} TensorFlow's message: {error.message[-500:]}"
        ) from error
