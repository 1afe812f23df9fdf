"""Real images a second of this course's training loop and of its peers', on the same networks, side by side.

    python benchmarks/throughput.py --torch-python torch-env/bin/python
    python benchmarks/throughput.py --architectures fast --repetitions 3 --seconds 5 --json throughput.json

Both pairs of networks of lesson 02 are trained on MNIST in float32 by each contestant, in batches of 128 (familiar)
and 64 (fast). The peers take TensorFlow as it is installed. ganutils asks for oneDNN's convolutions when it is
imported, which TensorFlow does of its own accord on newer processors only; "tutorial_loop, oneDNN" asks for them as
well, and so shows what is the loop's part. Each contestant has a process of its own, which sleeps while others are
measured; the processor time it takes meanwhile is checked. A repetition runs all of them one after another, so that a
slow minute of the machine hits them alike, and measures the machine's best matrix product as well: `share` is the
contestant's part of the images/s that this product allows for the least arithmetic any loop could do (see limits.py),
`with memory` the same with the traffic of layers that do none. Everything shown is a median over the repetitions.
"""

import argparse
import os
import re
import statistics
import sys
import tempfile
from pathlib import Path

import common

CONTESTANTS = {
    "ganutils": {"loop": "ganutils"},
    "ganutils, average": {"loop": "ganutils", "average": 0.99},
    "predict_train_on_batch": {"loop": "predict_train_on_batch", "as_installed": True},
    "tutorial_loop": {"loop": "tutorial_loop", "as_installed": True},
    "tutorial_loop, oneDNN": {"loop": "tutorial_loop"},
    "keras_example": {"loop": "keras_example", "as_installed": True},
}
TORCH_CONTESTANTS = ("pytorch_eager", "pytorch_compile")
IDLE_SHARE = 0.02
_state = {}


def build(loop, architecture, images, steps_per_execution, as_installed=False, **options):
    """Make a loop of peers.py in a worker; returns the numbers of weights of both networks.

    Args:
        loop: key of `peers.LOOPS`.
        architecture: key of `common.ARCHITECTURES`.
        images: path of the images, as .npy.
        steps_per_execution: of `ganutils`.
        as_installed: let TensorFlow choose its convolutions, and not ganutils.
        **options: of the loop.
    """
    if as_installed:
        _let_tensorflow_choose()
    import numpy as np
    import peers

    generator, discriminator, batch_size = peers.networks(architecture)
    weights = [
        sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
        for network in (generator, discriminator)
    ]
    if loop == "ganutils":
        options["steps_per_execution"] = steps_per_execution
    _state["peer"] = peers.LOOPS[loop](generator, discriminator, **options)
    _state["peer"].load(np.load(images, allow_pickle=False), batch_size)
    return {"weights": weights, "note": ""}


def _let_tensorflow_choose():
    os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
    import tensorflow as tf

    # It looks at the variable once, at the first operation; ganutils sets it later, without effect.
    tf.zeros(1)


def measure(seconds, warm_up=3):
    """Train in a worker; returns [steps, seconds]."""
    clock = common.Clock(seconds, warm_up)
    _state["peer"].train(clock.tick)
    return [clock.steps, clock.elapsed]


def limit_rates(seconds):
    """Measure the machine in a worker."""
    import limits

    return limits.measure(seconds)


def limit_counts(architecture):
    """Count a step's operations and bytes in a worker."""
    import limits

    return limits.count(architecture)


def launch(name, arguments):
    """Return a new worker for a contestant."""
    if name in TORCH_CONTESTANTS:
        return common.Worker(common.FOLDER / "torch_peers.py", "--serve", python=arguments.torch_python)
    return common.Worker(Path(__file__), "--serve")


def quicker_format(architecture, images, arguments):
    """Return PyTorch's option for the quicker memory format.

    The trial has a process of its own: a contestant's memory must not hold what a trial needed.
    """
    with launch(TORCH_CONTESTANTS[0], arguments) as worker:
        options = {"architecture": architecture, "images": str(images), "threads": arguments.threads}
        return {"channels_last": worker.call("channels_last_is_quicker", **options)}


def prepare(name, worker, architecture, images, arguments, torch_options):
    """Let a worker build its networks and take its first steps; returns what it says of them."""
    if name in TORCH_CONTESTANTS:
        options = {"contestant": name, "threads": arguments.threads, **torch_options}
    else:
        options = {**CONTESTANTS[name], "steps_per_execution": arguments.steps_per_execution}
    said = worker.call("build", architecture=architecture, images=str(images), **options)
    worker.call("measure", seconds=0, warm_up=2)
    return said


def repeat(workers, machine, arguments, batch_size):
    """Run all contestants in turn, some times; returns {name: [images/s]}, the rates, and who did not sleep."""
    speeds, rates, restless = {name: [] for name in workers}, [], set()
    for repetition in range(1, arguments.repetitions + 1):
        rates.append(machine.call("limit_rates", seconds=arguments.limit_seconds))
        for name, worker in workers.items():
            before = {other: workers[other].cpu_seconds() for other in workers}
            steps, seconds = worker.call("measure", seconds=arguments.seconds)
            speeds[name].append(steps * batch_size / seconds)
            used = {other: workers[other].cpu_seconds() - before[other] for other in workers if other != name}
            restless |= {other for other, cpu in used.items() if cpu > IDLE_SHARE * seconds}
            print(f"  {repetition}/{arguments.repetitions} {name}: {speeds[name][-1]:,.0f} images/s", flush=True)
    return speeds, rates, sorted(restless)


def compete(architecture, names, images, arguments):
    """Measure all contestants on one pair of networks, and return the results as a dict."""
    batch_size, workers, said, skipped = common.BATCH_SIZES[architecture], {}, {}, {}
    machine = common.Worker(Path(__file__), "--serve")
    try:
        work = machine.call("limit_counts", architecture=architecture)["least"]
        with_torch = set(names) & set(TORCH_CONTESTANTS)
        torch_options = quicker_format(architecture, images, arguments) if with_torch else {}
        for name in names:
            workers[name] = launch(name, arguments)
            try:
                said[name] = prepare(name, workers[name], architecture, images, arguments, torch_options)
            except RuntimeError as error:
                # It needs a compiler for C++; PyTorch's hints stand below the line that says so.
                reasons = re.findall(
                    r"^.*Cxx?Compiler.*$|^.*C\+\+ compiler.*$|^.*CppCompileError.*$", str(error), re.MULTILINE
                )
                if name != "pytorch_compile" or not reasons:
                    raise
                skipped[name] = reasons[-1].strip()
                print(f"  {name} is skipped: {skipped[name]}", flush=True)
                workers.pop(name).close()
        if len({tuple(row["weights"]) for row in said.values()}) > 1:
            raise RuntimeError(f"the contestants' networks differ in size: {said}")
        speeds, rates, restless = repeat(workers, machine, arguments, batch_size)
        memory = {name: worker.peak_memory_mb() for name, worker in workers.items()}
    finally:
        for worker in (machine, *workers.values()):
            worker.close()
    contestants = {
        name: {
            "images/s": speeds[name],
            "median": statistics.median(speeds[name]),
            "peak MB": memory[name],
            "note": said[name]["note"],
            **_shares(speeds[name], rates, work),
        }
        for name in workers
    }
    found = {"batch": batch_size, "work": work, "rates": rates, "not idle": restless}
    return {**found, "skipped": skipped, "contestants": contestants}


def _shares(speeds, rates, work):
    import limits

    shares = []
    for speed, rate in zip(speeds, rates, strict=True):
        least = limits.step_limit(work["needed"], work["bytes"], rate["float32 operations/s"], rate["bytes/s"])
        shares.append([speed * seconds / work["batch"] for seconds in least])
    arithmetic, with_memory = (statistics.median(column) for column in zip(*shares, strict=True))
    return {"share": arithmetic, "share with memory": with_memory}


def report(architecture, results):
    """Print one pair of networks' table; ratios are medians of the repetitions' ratios."""
    contestants = results["contestants"]
    reference = next(iter(contestants))
    rows = []
    for name, row in contestants.items():
        ratio = common.speed_ratio(contestants[reference], row)
        shares = f"{row['share']:.1%}", f"{row['share with memory']:.1%}"
        spread = f"{min(row['images/s']):,.0f} to {max(row['images/s']):,.0f}"
        rows.append([name, f"{ratio:.2f} ×", row["median"], spread, row["peak MB"], *shares, row["note"]])
    print(f"\n{architecture} networks, batches of {results['batch']}, float32; {reference} against each:")
    print(common.table(rows, ["loop", "ratio", "images/s", "range", "peak MB", "share", "with memory", ""]))
    if results["not idle"]:
        print(f"These took processor time while others were measured: {', '.join(results['not idle'])}")


def save_images(folder, n):
    """Write n training images of MNIST into a file that every worker reads, and return its path."""
    import numpy as np

    from ganutils import data

    path = Path(folder) / "images.npy"
    np.save(path, data.load_dataset("mnist").images[:n])
    return path


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="of training for each contestant and repetition")
    parser.add_argument("--limit-seconds", type=float, default=0.1, help="for each measurement of the machine's rates")
    parser.add_argument("--architectures", nargs="+", default=list(common.ARCHITECTURES), metavar="NAME")
    parser.add_argument("--contestants", nargs="+", metavar="NAME", help=f"of {[*CONTESTANTS, *TORCH_CONTESTANTS]}")
    parser.add_argument("--torch-python", metavar="PATH", help="an interpreter that has torch and numpy")
    parser.add_argument("--threads", type=int, default=common.cores(), help="of PyTorch (default: all cores)")
    parser.add_argument("--steps-per-execution", type=int, default=1, help="of ganutils; 1, as in the lessons")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args(arguments)
    unknown = set(arguments.architectures) - set(common.ARCHITECTURES)
    unknown |= set(arguments.contestants or ()) - {*CONTESTANTS, *TORCH_CONTESTANTS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return arguments


def main():
    arguments = parse()
    names = arguments.contestants or [*CONTESTANTS, *TORCH_CONTESTANTS]
    if set(names) & set(TORCH_CONTESTANTS):
        arguments.torch_python = common.torch_python(arguments.torch_python)
        if arguments.torch_python is None:
            names = [name for name in names if name not in TORCH_CONTESTANTS]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        images = save_images(folder, arguments.images)
        for architecture in arguments.architectures:
            results[architecture] = compete(architecture, names, images, arguments)
    for architecture in results:
        report(architecture, results[architecture])
    found = {"settings": common.settings(arguments), "results": results}
    if set(names) & set(TORCH_CONTESTANTS):
        found["PyTorch"] = common.torch_version(arguments.torch_python)
    common.write_json(arguments.json, found)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        common.serve({f.__name__: f for f in (build, measure, limit_rates, limit_counts)})
    else:
        main()
