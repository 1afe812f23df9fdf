"""What the benchmarks share: workers in processes of their own, a clock, the machine, tables.

Nothing here imports TensorFlow, Keras or ganutils at the top, since PyTorch's interpreter imports it as well.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
import traceback
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

# The two pairs of networks that every training loop is timed on: the defaults of `models.dcgan_generator` and
# `models.dcgan_discriminator`, and their fast counterparts. PyTorch's are made of these numbers.
_GENERATOR = ("latent_dim", "generator_filters", "generator_strides")
_DISCRIMINATOR = ("discriminator_filters", "kernel_size", "dropout", "hidden")
_NUMBERS = {
    "familiar": (100, (256, 128, 64), (1, 2, 2), (64, 128), 5, 0.3, None),
    "fast": (32, (64, 32), (2, 2), (32, 64), 4, 0.0, 256),
}
ARCHITECTURES = {name: dict(zip(_GENERATOR + _DISCRIMINATOR, row, strict=True)) for name, row in _NUMBERS.items()}
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
        script: path of a script that calls `serve` when its argument is "--serve".
        python: path of the interpreter.
        environment: dict of its environment variables, or None: those of this process.
    """

    def __init__(self, script, python=sys.executable, environment=None):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([str(python), str(script), "--serve"], env=environment, **pipes)

    def call(self, name, **arguments):
        """Return what the worker's function `name` returns, as JSON carries it.

        Raises:
            RuntimeError: the function raised, or the process has ended.
        """
        self.ask(name, **arguments)
        return self.answer()

    def ask(self, name, **arguments):
        """Begin a call; the worker computes while others are asked."""
        with contextlib.suppress(BrokenPipeError):  # `answer` says that the process has ended
            self.process.stdin.write(json.dumps([name, arguments]) + "\n")
            self.process.stdin.flush()

    def answer(self):
        """Return the result of the call that `ask` began."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"worker {self.process.args} ended with code {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"a call failed in the worker:\n{answer['error']}")
        return answer["result"]

    def peak_memory_mb(self):
        """Return the most memory that the process has held so far, in 10⁶ bytes (on a Mac: what it holds)."""
        status = Path(f"/proc/{self.process.pid}/status")
        if status.is_file():
            _, found, peak = status.read_text(encoding="utf-8").partition("VmHWM:")
            if found:
                return int(peak.split()[0]) * 1024 / 1e6
        import psutil

        memory = psutil.Process(self.process.pid).memory_info()
        return getattr(memory, "peak_wset", memory.rss) / 1e6

    def close(self):
        """Let the process end, and end it if it does not."""
        if self.process.poll() is None:
            with contextlib.suppress(BrokenPipeError):
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


def torch_version(python):
    """Return the version of PyTorch that an interpreter has, or None with a line on how to get one."""
    command = [str(python), "-c", "import numpy, torch; print(torch.__version__)"]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode == 0:
        return found.stdout.strip()
    advice = "`python -m venv torch-env`, `torch-env/bin/python -m pip install torch numpy`, and --torch-python"
    print(f"PyTorch's peers are skipped: {python} has no torch and numpy. {advice} help.", flush=True)
    return None


def cores():
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def table(headings, rows):
    """Return a table in Markdown; the first column is on the left, all others on the right."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def number(value, digits=3):
    """Return a number as a reader wants it: so many significant digits, thousands apart."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


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
    from ganutils import lessons

    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    described = {"machine": {**lessons.machine(), "load": load}, "date": time.strftime("%Y-%m-%d"), **results}
    Path(path).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
