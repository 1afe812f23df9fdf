"""Real images a second of this course's training loop and of its peers', on the same networks, side by side.

    python benchmarks/throughput.py --torch-python torch-env/bin/python
    python benchmarks/throughput.py --architectures fast --repetitions 3 --seconds 5 --json throughput.json

Both pairs of networks of lesson 02 are trained on MNIST in float32 by each implementation, in batches of 128
(familiar) and 64 (fast). The peers take TensorFlow as it is installed. ganutils asks for oneDNN's convolutions when it
is imported, which TensorFlow takes by default on newer processors only; "tutorial_loop, oneDNN" asks for them as well,
and so shows what is the loop's part. Each implementation has a process of its own, which sleeps while others are
measured. A repetition runs all of them one after another, so that a
slow minute of the machine hits them alike, and measures the machine's best matrix product as well: the share of the
limit is the implementation's part of the images/s that this product allows for the least arithmetic any loop could do
(see limits.py), `with memory` the same with the traffic of layers that do none. Everything shown is a median over the
repetitions.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from pathlib import Path

import common
import report

IMPLEMENTATIONS = {
    "ganutils": {"loop": "ganutils"},
    "ganutils, average": {"loop": "ganutils", "average": 0.99},
    "predict_train_on_batch": {"loop": "predict_train_on_batch", "as_installed": True},
    "tutorial_loop": {"loop": "tutorial_loop", "as_installed": True},
    "tutorial_loop, oneDNN": {"loop": "tutorial_loop"},
    "keras_example": {"loop": "keras_example", "as_installed": True},
    "pytorch_eager": {"compiled": False},
    "pytorch_compile": {"compiled": True},
}
TORCH = ("pytorch_eager", "pytorch_compile")
_state = {}


def build(loop, architecture, images, as_installed=False, **options):
    """Make a loop of peers.py in a worker; returns the numbers of weights of both networks.

    Args:
        loop, architecture: keys of `peers.LOOPS` and `common.ARCHITECTURES`.
        images: path of the images, as .npy.
        as_installed: let TensorFlow choose its convolutions, and not ganutils.
        **options: of the loop.
    """
    if as_installed:
        os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
        import tensorflow as tf

        # It looks at the variable once, at the first operation; ganutils sets it later, without effect.
        tf.zeros(1)
    import numpy as np
    import peers

    generator, discriminator, batch_size = peers.networks(architecture)
    networks = generator, discriminator
    weights = [sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) for network in networks]
    _state["peer"] = peers.LOOPS[loop](generator, discriminator, **options)
    _state["peer"].load(np.load(images, allow_pickle=False), batch_size)
    return weights


def measure(seconds, warm_up=3):
    """Train in a worker; returns [steps, seconds]."""
    clock = common.Clock(seconds, warm_up)
    _state["peer"].train(clock.tick)
    return [clock.steps, clock.elapsed]


def repeat(workers, arguments, batch_size):
    """Run all implementations in turn, some times; returns {name: [images/s]} and the machine's rates."""
    import limits

    speeds, rates = {name: [] for name in workers}, []
    for repetition in range(1, arguments.repetitions + 1):
        rates.append(limits.measure())
        for name, worker in workers.items():
            steps, seconds = worker.call("measure", seconds=arguments.seconds)
            speeds[name].append(steps * batch_size / seconds)
            print(f"  {repetition}/{arguments.repetitions} {name}: {speeds[name][-1]:,.0f} images/s", flush=True)
    return speeds, rates


def compare(architecture, names, images, arguments):
    """Measure all implementations on one pair of networks, and return the results as a dict."""
    import limits

    work, workers, weights = limits.count(architecture), {}, {}
    with contextlib.ExitStack() as stack:
        for name in names:
            script, python = __file__, sys.executable
            if name in TORCH:
                script, python = common.FOLDER / "torch_peers.py", arguments.torch_python
            worker = stack.enter_context(common.Worker(script, python))
            try:
                options = {"architecture": architecture, "images": str(images), **IMPLEMENTATIONS[name]}
                weights[name] = worker.call("build", **options)
                worker.call("measure", seconds=0, warm_up=2)
            except RuntimeError as error:
                if name != "pytorch_compile":
                    raise
                print(f"{error}\n  {name} is skipped; the usual reason: there is no compiler for C++", flush=True)
                continue
            workers[name] = worker
        if len(set(map(tuple, weights.values()))) > 1:
            raise RuntimeError(f"the implementations' networks differ in size: {weights}")
        speeds, rates = repeat(workers, arguments, work["batch"])
        memory = {name: worker.peak_memory_mb() for name, worker in workers.items()}
    rows = {
        name: {"images/s": speed, "median": statistics.median(speed), "peak MB": memory[name]}
        | _shares(speed, rates, work)
        for name, speed in speeds.items()
    }
    return {"batch": work["batch"], "work": work, "rates": rates, report.ROWS: rows}


def _shares(speeds, rates, work):
    import limits

    shares = []
    for speed, rate in zip(speeds, rates, strict=True):
        least = limits.step_limit(work["needed"], work["bytes"], rate["float32 operations/s"], rate["bytes/s"])
        shares.append([speed * seconds / work["batch"] for seconds in least])
    arithmetic, with_memory = (statistics.median(column) for column in zip(*shares, strict=True))
    return {"share": arithmetic, "share with memory": with_memory}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="of training for each implementation and repetition")
    for option, names in (("architectures", list(common.ARCHITECTURES)), ("implementations", list(IMPLEMENTATIONS))):
        parser.add_argument(f"--{option}", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {names}")
    parser.add_argument("--torch-python", metavar="PATH", help="an interpreter that has torch and numpy")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args(arguments)


def main(arguments=None):
    arguments = parse(arguments)
    names, results = arguments.implementations, {}
    arguments.torch_python = arguments.torch_python or sys.executable
    version = common.torch_version(arguments.torch_python) if set(names) & set(TORCH) else None
    names = [name for name in names if version or name not in TORCH]
    with tempfile.TemporaryDirectory() as folder:
        import numpy as np

        from ganutils import data

        images = Path(folder) / "images.npy"
        np.save(images, data.load_dataset("mnist").images[: arguments.images])
        for architecture in arguments.architectures:
            results[architecture] = compare(architecture, names, images, arguments)
    found = {"settings": common.settings(arguments), "results": results, "PyTorch": version}
    print("\n" + report.throughput(found))
    common.write_json(arguments.json, found)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        common.serve({"build": build, "measure": measure})
    else:
        main()
