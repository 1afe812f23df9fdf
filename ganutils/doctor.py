"""Check whether this machine is ready for the course, and say what to do if it is not."""

import os
import platform

import keras
import psutil
import tensorflow as tf

from ganutils import checkpoints, data, features, folders, hardware

PYTHON, KERAS, MEMORY_GB = ("3.11", "3.12", "3.13"), 3, 1.2


def doctor(arguments):
    """Check whether this machine is ready for the course, and say what to do if it is not."""
    ready = is_ready(speed=lambda: f"{hardware.measure_steps_per_second(1.0):.0f} training steps of lesson 02 a second")
    return 0 if ready else 1


def is_ready(**more):
    """Print which of the things that the course needs are ready; then print and return whether all are.

    Args:
        **more: further checks by name, functions without arguments that return a text, or raise ValueError or OSError
            with what to do.
    """
    checks = {
        "Python": _python,
        "TensorFlow and Keras": _keras,
        "memory": _memory,
        "data": lambda: f"{len(data.load_dataset().images):,} digits",
        "shipped weights": lambda: f"{len(list(checkpoints.FOLDER.glob('*.json')))} checkpoints",
        "classifier": lambda: f"{len(features.digit_classifier().network.weights)} arrays of weights",
        "folder to write to": _writable,
        "GPU": lambda: hardware.machine()["GPU"],
        **more,
    }
    ready = True
    for name, check in checks.items():
        try:
            print(f"ready      {name}: {check()}")
        except (ValueError, OSError) as error:
            ready = False
            print(f"NOT READY  {name}: {error}")
    print("This machine is ready." if ready else "This machine is not ready: see the lines that say so.")
    return ready


def _python():
    version = platform.python_version()
    if not version.startswith(PYTHON):
        raise ValueError(f"{version}; the course needs {', '.join(PYTHON[:-1])} or {PYTHON[-1]}")
    return version


def _keras():
    if int(keras.__version__.split(".")[0]) < KERAS or keras.backend.backend() != "tensorflow":
        raise ValueError(f"Keras {keras.__version__} on {keras.backend.backend()}; give Keras 3 on TensorFlow")
    return f"{tf.__version__} and {keras.__version__}"


def _memory():
    free = psutil.virtual_memory().available / 1e9
    if free < MEMORY_GB:
        raise ValueError(f"{free:.1f} GB are free; a lesson needs {MEMORY_GB} GB: close other programs")
    return f"{free:.1f} GB are free, and a lesson needs {MEMORY_GB}"


def _writable():
    folders.BUILD.mkdir(parents=True, exist_ok=True)
    if not os.access(folders.BUILD, os.W_OK):
        raise OSError(f"{folders.BUILD} is not writable; set GANUTILS_BUILD to a folder that is")
    return "yes"
