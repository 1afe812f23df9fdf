"""What training on several devices costs: images a second at the same global batch.

    python benchmarks/scaling.py                          1 and 2 logical CPU devices, 1 and 2 worker processes
    python benchmarks/scaling.py --batch-size 256 --networks dcgan --json build/scaling.json

All share the processor of one machine, so that this is no measure of a gain (two devices are faster where one
leaves a core idle, and no more): what shows is what strategies and communication cost. Each case keeps its
processes, which take turns; the figures are medians over the turns. A turn is one call of `fit`, timed from
the end of its first step to the end of its last.

The bytes are arithmetic, not measured: in a ring all-reduce each of n replicas sends 2 (n - 1) / n times the
bytes of what is added up, here the gradients of both networks and the statistics of their batch norms.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time

import common
import keras
import numpy as np
import tensorflow as tf

from ganutils import data, models, training

CASES = {
    "1 device": {"devices": 1},
    "2 logical devices": {"devices": 2},
    "1 worker process": {"workers": 1},
    "2 worker processes": {"workers": 2},
}
NETWORKS = {
    "fast_dcgan": (models.fast_dcgan_generator, models.fast_dcgan_discriminator),
    "dcgan": (models.dcgan_generator, models.dcgan_discriminator),
}


class Stopwatch(keras.callbacks.Callback):
    """Seconds from the end of the first step of a turn to the end of its last."""

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if batch == 0:
            self.begin = now
        self.seconds = now - self.begin


def take_turns(devices, arguments):
    """In a process of its own: make the model, then train for some steps at each line that comes in."""
    if devices > 1:
        device = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * devices)
    if "TF_CONFIG" in os.environ:
        # Also for a single worker, where choose_strategy would do without.
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = training.choose_strategy([f"CPU:{i}" for i in range(devices)])
    keras.utils.set_random_seed(0)
    with strategy.scope():
        gan = training.GAN(*(build() for build in NETWORKS[arguments.networks]))
        gan.compile(*(keras.optimizers.Adam(1e-3, beta_1=0.5) for _ in range(2)))
    images = np.random.default_rng(0).integers(0, 256, (arguments.batch_size * 4, 28, 28, 1), "uint8")
    batches = data.pipeline(images, batch_size=arguments.batch_size).repeat()
    stopwatch = Stopwatch()
    added_up = sum(4 * int(np.prod(variable.shape)) for variable in [*gan.trainable_variables, *gan.statistics()])
    replicas = strategy.num_replicas_in_sync
    print(json.dumps({"replicas": replicas, "bytes": added_up if replicas > 1 else 0}), flush=True)
    for _ in sys.stdin:
        gan.fit(batches, steps_per_epoch=arguments.steps + 1, verbose=0, callbacks=[stopwatch])
        print(json.dumps(arguments.steps * arguments.batch_size / stopwatch.seconds), flush=True)


def start(case, arguments, stack):
    """Return the processes of a case."""
    workers = case.get("workers", 0)
    with contextlib.ExitStack() as reserved:
        sockets = [reserved.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(workers)]
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    processes = []
    for i in range(max(workers, 1)):
        environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
        if workers:
            task = {"type": "worker", "index": i}
            environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
        command = [sys.executable, __file__, "--process", str(case.get("devices", 1))]
        for name in ("batch_size", "steps", "networks"):
            command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stack.callback(process.wait)
        stack.callback(process.kill)
        processes.append(process)
    return processes


def answer(process):
    line = process.stdout.readline()
    if not line:
        raise SystemExit("a process of the benchmark ended; its message is above")
    return json.loads(line)


def turn(processes):
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    return min(answer(process) for process in processes)


def measure(arguments):
    with contextlib.ExitStack() as stack:
        processes = {name: start(case, arguments, stack) for name, case in CASES.items()}
        facts = {name: [answer(process) for process in own].pop() for name, own in processes.items()}
        for own in processes.values():
            turn(own)  # traces the graph
        rates = {name: [] for name in CASES}
        for _ in range(arguments.turns):
            for name, own in processes.items():
                rates[name].append(turn(own))
        memory = {name: sum(common.peak_memory_mb(p.pid) for p in own) for name, own in processes.items()}
    first = statistics.median(rates["1 device"])
    rows = []
    for name, values in rates.items():
        replicas, median = facts[name]["replicas"], statistics.median(values)
        rows.append(
            {
                "case": name,
                "replicas": replicas,
                "images_per_second": median,
                "lowest": min(values),
                "highest": max(values),
                "overhead": first / median - 1,
                "peak_mb": memory[name],
                "bytes_sent_per_step_and_replica": round(2 * (replicas - 1) / replicas * facts[name]["bytes"]),
            }
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=64, help="global batch, a multiple of 2")
    parser.add_argument("--steps", type=int, default=20, help="steps of a turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--networks", choices=NETWORKS, default="fast_dcgan")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--process", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.process:
        take_turns(arguments.process, arguments)
        return
    rows = measure(arguments)
    print(f"{arguments.networks}, global batch {arguments.batch_size}, median of {arguments.turns} turns")
    cells = [
        [
            row["case"],
            row["images_per_second"],
            f"{row['lowest']:,.0f} to {row['highest']:,.0f}",
            f"{row['overhead']:+.0%}",
            row["peak_mb"],
            row["bytes_sent_per_step_and_replica"] / 1e6,
        ]
        for row in rows
    ]
    print(
        common.table(
            cells, ["", "images/s", "lowest to highest", "time of a step", "peak MB", "MB sent a step and replica"]
        )
    )
    settings = {name: getattr(arguments, name) for name in ("networks", "batch_size", "steps", "turns")}
    common.write_json(arguments.json, {"settings": settings, "rows": rows})


if __name__ == "__main__":
    main()
