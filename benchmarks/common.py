"""What the benchmarks share: workers in processes of their own, a clock, the machine, tables, exponents.

Nothing here imports TensorFlow, Keras or ganutils at the top, since PyTorch's interpreter imports it as well.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import time
import traceback
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

# The two pairs of networks that every training loop is timed on: the defaults of `models.dcgan_generator` and
# `models.dcgan_discriminator`, and their fast counterparts. A test compares them with ganutils' own.
ARCHITECTURES = {
    "familiar": {
        "latent_dim": 100,
        "generator_filters": (256, 128, 64),
        "generator_strides": (1, 2, 2),
        "discriminator_filters": (64, 128),
        "kernel_size": 5,
        "dropout": 0.3,
        "hidden": None,
    },
    "fast": {
        "latent_dim": 32,
        "generator_filters": (64, 32),
        "generator_strides": (2, 2),
        "discriminator_filters": (32, 64),
        "kernel_size": 4,
        "dropout": 0.0,
        "hidden": 256,
    },
}
BATCH_SIZES = {"familiar": 128, "fast": 64}


class Clock:
    """Tells a training loop when to stop, and counts the steps and seconds after some first ones.

    Args:
        seconds: how long to go on after the first steps, at least 0.
        warm_up: number of steps that are not counted, at least 1.

    Attributes:
        steps, elapsed: what was counted.
    """

    def __init__(self, seconds, warm_up=3):
        self.seconds = seconds
        self.warm_up = warm_up
        self.steps, self.elapsed = 0, 0.0
        self._ticks, self._start = 0, None

    def tick(self, steps=1):
        """Note that some more steps are done, and return whether to go on."""
        now = time.perf_counter()
        self._ticks += steps
        if self._start is not None:
            self.steps += steps
            self.elapsed = now - self._start
            return self.elapsed < self.seconds
        if self._ticks >= self.warm_up:
            self._start = now
        return True


class Worker:
    """A process that answers calls one after another and sleeps in between.

    Args:
        script: path of a script that calls `serve`.
        *arguments: its arguments.
        python: path of the interpreter.
    """

    def __init__(self, script, *arguments, python=sys.executable):
        command = [str(part) for part in (python, script, *arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, name, **arguments):
        """Return what the worker's function `name` returns, as JSON carries it.

        Raises:
            RuntimeError: the function raised, or the process has ended.
        """
        try:
            self.process.stdin.write(json.dumps([name, arguments]) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"worker {self.process.args} ended with code {self.process.wait()} during {name!r}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{name!r} failed in the worker:\n{answer['error']}")
        return answer["result"]

    def peak_memory_mb(self):
        """Return the most memory that the process has held so far, in 10⁶ bytes."""
        return peak_memory_mb(self.process.pid)

    def cpu_seconds(self):
        """Return the processor time that the process has used so far."""
        import psutil

        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def close(self):
        """Let the process end, and end it if it does not."""
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def peak_memory_mb(process_id):
    """Return the most memory that another process has held so far, in 10⁶ bytes (on a Mac: what it holds)."""
    status = Path(f"/proc/{process_id}/status")
    if status.is_file():
        _, found, peak = status.read_text(encoding="utf-8").partition("VmHWM:")
        if found:
            return int(peak.split()[0]) * 1024 / 1e6
    import psutil

    memory = psutil.Process(process_id).memory_info()
    return getattr(memory, "peak_wset", memory.rss) / 1e6


def serve(functions):
    """Answer a `Worker`'s calls until its end of the pipe is closed.

    Args:
        functions: dict of functions whose arguments and results JSON can carry.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer = {"result": functions[name](**arguments)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def once(script, name, **arguments):
    """Return a function's result from a new process of its own, and the memory that process took at most."""
    with Worker(script, "--serve") as worker:
        return worker.call(name, **arguments), worker.peak_memory_mb()


def torch_python(path=None):
    """Return an interpreter that has PyTorch, `path` or else this one, or None with a line on how to get one."""
    python = path or sys.executable
    found = subprocess.run([str(python), "-c", "import numpy, torch"], capture_output=True)
    if found.returncode == 0:
        return str(python)
    print(
        f"PyTorch's peers are skipped: {python} has no torch (or no numpy). Install both in an environment of their "
        "own, `python -m venv torch-env`, then `torch-env/bin/python -m pip install torch numpy`, and give "
        "--torch-python torch-env/bin/python",
        flush=True,
    )
    return None


def torch_version(python):
    """Return the version of PyTorch that an interpreter has."""
    command = [str(python), "-c", "import torch; print(torch.__version__)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def machine():
    """Return a dict that describes this machine and the versions in use."""
    from ganutils import lessons

    return {**lessons.machine(), "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None}


def cores():
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def power_law(x, y):
    """Fit y = factor · x^exponent by least squares of the logarithms, and return (exponent, factor).

    Args:
        x, y: numbers above 0, of two different x at least.
    """
    if len(set(x)) < 2 or min(*x, *y) <= 0:
        raise ValueError(f"x={list(x)}, y={list(y)}: give numbers above 0, of two different x at least")
    slope, intercept = statistics.linear_regression([math.log(value) for value in x], [math.log(value) for value in y])
    return slope, math.exp(intercept)


def table(rows, headings):
    """Return rows as text in columns: strings on the left, numbers with four digits on the right.

    Args:
        rows: sequences of strings, numbers or None.
        headings: one for each column.
    """
    cells = [[_text(value) for value in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(headings, *cells, strict=True)]
    right = [any(not isinstance(row[i], str) for row in rows) for i in range(len(headings))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if on_the_right else text.ljust(width)
            for text, width, on_the_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [headings, *cells]
    )


def _text(value):
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value == 0 or abs(value) >= 1000 else f"{value:.4g}"


def speed_ratio(ours, theirs):
    """Return how many times as fast we are: the median of the ratios of turns that followed each other."""
    return statistics.median(a / b for a, b in zip(ours["images/s"], theirs["images/s"], strict=True))


def settings(arguments):
    """Return a parser's arguments as a dict, without paths: they say where somebody keeps things, and no more."""
    return {name: value for name, value in vars(arguments).items() if name not in ("torch_python", "json")}


def write_json(path, results):
    """Write results with a description of the machine and the time, where a path is given."""
    if path is None:
        return
    described = {"machine": machine(), "date": time.strftime("%Y-%m-%d"), **results}
    Path(path).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
