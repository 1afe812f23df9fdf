"""Seconds from the start of a kernel to the first finished training step of lesson 02, and where they go.

    python benchmarks/startup.py
    python benchmarks/startup.py --repetitions 9 --json startup.json

The same cells run in a plain Python process and in a Jupyter kernel, as a student meets them. One run that is not
counted goes first, so that all files are in the system's cache: a machine that has just been switched on, or a fresh
Binder session, waits longer, for its disk. All numbers are medians.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time

import common
import report

# Lesson 02's cells, cut where the time should be seen. Each stage's code sees the names of those before it.
STAGES = {
    "import TensorFlow, Keras": "import ganutils",  # which imports both, quietly, and nothing else
    "import the lesson's modules": """
import keras
import numpy as np
from keras import layers, ops
from ganutils import callbacks, data, lessons, losses, metrics, models, plotting, references, training, widgets
""",
    "open the lesson": 'lesson = lessons.Lesson("02_dcgan", "laptop")',
    "load data": """
keras.utils.set_random_seed(0)
images, labels = data.load_dataset("mnist")
""",
    "build": """
generator, discriminator = models.fast_dcgan_generator(), models.fast_dcgan_discriminator()
gan = training.GAN(generator, discriminator, average=0.99, penalty=losses.R1(1.0, every=8), seed=0)
gan.compile(keras.optimizers.Adam(2e-3, 0.0, 0.99), keras.optimizers.Adam(2e-3, 0.0, 0.99))
batches = data.pipeline(images, batch_size=64, seed=0)
""",
    "first step": "gan.fit(batches, steps_per_epoch=1, verbose=0)",
}
PRELUDE = "import time, json; _marks = [time.monotonic()]"
MARK = "_marks.append(time.monotonic())"
# The lesson trains on in the same call of fit; this is the step that then repeats.
LATER_STEPS = "_later = time.monotonic(); gan.fit(batches, steps_per_epoch=50, verbose=0)"
ANSWER = "print('MARKS', json.dumps([_marks, (time.monotonic() - _later) / 50]))"


CELLS = [PRELUDE, *(f"{code}\n{MARK}" for code in STAGES.values()), LATER_STEPS, ANSWER]


def run_process(code):
    """Run cells in a new Python process; returns (seconds at its start, what it printed)."""
    start = time.monotonic()
    finished = subprocess.run([sys.executable, "-c", "\n".join(code)], capture_output=True, text=True)
    if finished.returncode:
        raise RuntimeError(f"the process failed:\n{finished.stderr}")
    return start, finished.stdout


def run_kernel(code):
    """Run cells one after another in a new Jupyter kernel; returns (seconds at its start, what they printed)."""
    from jupyter_client.manager import start_new_kernel

    start, printed = time.monotonic(), []

    def collect(message):
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])

    manager, client = start_new_kernel(startup_timeout=120, stderr=subprocess.DEVNULL)
    try:
        for cell in code:
            reply = client.execute_interactive(cell, timeout=300, output_hook=collect)
            if reply["content"]["status"] != "ok":
                raise RuntimeError("the kernel failed:\n" + "\n".join(reply["content"]["traceback"]))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return start, "".join(printed)


def measure(run):
    """Return the seconds of each stage, of their sum and of a later step, of one run.

    The clock is `time.monotonic`, which all processes of a machine share.
    """
    start, output = run(CELLS)
    marks, later_step = json.loads(output.partition("MARKS ")[2])
    seconds = [after - before for before, after in itertools.pairwise([start, *marks])]
    stages = dict(zip(["start", *STAGES], seconds, strict=True))
    return {**stages, "until the first step is done": sum(seconds), "a later step": later_step}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args(arguments)


def main():
    arguments = parse()
    kinds = {"process": run_process, "lesson": run_kernel}
    # The first run fills the file cache.
    runs = {kind: [measure(run) for _ in range(arguments.repetitions + 1)][1:] for kind, run in kinds.items()}
    found = {"settings": common.settings(arguments), "runs": runs}
    print(report.startup(found))
    common.write_json(arguments.json, found)


if __name__ == "__main__":
    main()
