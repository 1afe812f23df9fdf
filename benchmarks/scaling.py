"""What training on several devices costs: images a second at the same global batch.

    python benchmarks/scaling.py                          1 and 2 logical CPU devices, 1 and 2 worker processes
    python benchmarks/scaling.py --batch-size 256 --json build/scaling.json

All share the processor of one machine, so that this is no measure of a gain (two devices are faster where one
leaves a core idle, and no more): what shows is what strategies and communication cost. Each case keeps its
processes, which take turns; the figures are medians over the turns. A turn is one call of `fit`, timed from
the end of its first step to the end of its last.

The bytes are arithmetic, not measured: in a ring all-reduce each of n replicas sends 2 (n - 1) / n times the
bytes of what is added up, here the gradients of both networks and the statistics of their batch norms.
"""

from ganutils import data, models, strategies, training  # isort: skip  (before Keras, to keep TensorFlow quiet)

import argparse
import contextlib
import json
import math
import os
import socket
import statistics
import sys

import common
import keras
import numpy as np
import peers
import report
import tensorflow as tf

# Logical devices, and worker processes with one each; without any, the model is in an ordinary process.
CASES = {
    "1 device": {"devices": 1, "workers": 0},
    "2 logical devices": {"devices": 2, "workers": 0},
    "1 worker process": {"devices": 1, "workers": 1},
    "2 worker processes": {"devices": 1, "workers": 2},
}
_state = {}


def build(devices, batch_size):
    """Make the model in a process of its own; returns the number of replicas and the bytes that they add up."""
    if devices > 1:
        device = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * devices)
    if "TF_CONFIG" in os.environ:
        # Also for a single worker, where choose_strategy would do without.
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = strategies.choose_strategy([f"CPU:{i}" for i in range(devices)])
    keras.utils.set_random_seed(0)
    with strategy.scope():
        _state["gan"] = gan = training.GAN(models.fast_dcgan_generator(), models.fast_dcgan_discriminator())
        gan.compile(*(keras.optimizers.Adam(1e-3, beta_1=0.5) for _ in range(2)))
    images = np.random.default_rng(0).integers(0, 256, (batch_size * 4, 28, 28, 1), "uint8")
    _state["batches"] = data.pipeline(images, batch_size=batch_size)
    added_up = sum(4 * int(np.prod(variable.shape)) for variable in [*gan.trainable_variables, *gan.statistics()])
    return [strategy.num_replicas_in_sync, added_up]


def turn(steps, batch_size):
    """Train for some steps; returns images a second."""
    clock = common.Clock(math.inf, warm_up=1)
    callbacks = [peers.Ticker(clock.tick)]
    _state["gan"].fit(_state["batches"], steps_per_epoch=steps + 1, verbose=0, callbacks=callbacks)
    return steps * batch_size / clock.elapsed


def start(devices, workers, stack):
    """Return the processes of a case."""
    with contextlib.ExitStack() as reserved:
        sockets = [reserved.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(workers)]
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    processes = []
    for i in range(max(workers, 1)):
        environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
        if workers:
            task = {"type": "worker", "index": i}
            environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
        processes.append(stack.enter_context(common.Worker(__file__, environment=environment)))
    return processes


def call(processes, name, **arguments):
    """Return what a function gives in all processes of a case, which must run it together."""
    for process in processes:
        process.ask(name, **arguments)
    return [process.answer() for process in processes]


def measure(arguments):
    """Return a row of results for each case."""
    batch_size, cases, facts = arguments.batch_size, {}, {}
    with contextlib.ExitStack() as stack:
        for name, case in CASES.items():
            cases[name] = start(**case, stack=stack)
            facts[name] = call(cases[name], "build", devices=case["devices"], batch_size=batch_size)[0]
            call(cases[name], "turn", steps=1, batch_size=batch_size)  # traces the graph
        rates = {name: [] for name in CASES}
        for _ in range(arguments.turns):
            for name, processes in cases.items():
                rates[name].append(min(call(processes, "turn", steps=arguments.steps, batch_size=batch_size)))
        memory = {name: sum(process.peak_memory_mb() for process in processes) for name, processes in cases.items()}
    first, rows = statistics.median(rates["1 device"]), []
    for name, values in rates.items():
        (replicas, added_up), median = facts[name], statistics.median(values)
        rows.append(
            {
                "case": name,
                "replicas": replicas,
                "images_per_second": median,
                "lowest": min(values),
                "highest": max(values),
                "overhead": first / median - 1,
                "peak_mb": memory[name],
                "bytes_sent_per_step_and_replica": round(2 * (replicas - 1) / replicas * added_up),
            }
        )
    return rows


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=64, help="global batch, a multiple of 2")
    parser.add_argument("--steps", type=int, default=20, help="steps of a turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    return parser.parse_args(arguments)


def main():
    arguments = parse()
    found = {"settings": common.settings(arguments), "rows": measure(arguments)}
    print(report.scaling(found))
    common.write_json(arguments.json, found)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        common.serve({"build": build, "turn": turn})
    else:
        main()
