"""The machine that a lesson runs on: its description, its speed of training, and a process' peak memory."""

import os
import platform
import sys
import time
from pathlib import Path

import keras
import numpy as np
import psutil
import tensorflow as tf

from ganutils import models, training


def machine():
    """Return a dict that describes this machine and the versions in use."""
    information = Path("/proc/cpuinfo")  # has the processor's name under Linux
    text = information.read_text(encoding="utf-8") if information.is_file() else ""
    processor = text.partition("model name")[2].partition("\n")[0].strip("\t :")
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return {
        "Python": platform.python_version(),
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
        "NumPy": np.__version__,
        "system": f"{platform.system()} on {platform.machine()}",
        "processor": processor or platform.processor() or platform.machine(),
        "CPU cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": f"{psutil.virtual_memory().total / 1e9:.1f} GB",
        "GPU": ", ".join(gpu.get("device_name", "unnamed") for gpu in gpus) or "none",
    }


def peak_memory_mb():
    """Return the peak memory of this process so far, in megabytes (10⁶ bytes)."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e6
    if sys.platform == "linux":
        # Not getrusage, whose peak is inherited from the parent process.
        _, found, peak = Path("/proc/self/status").read_text(encoding="utf-8").partition("VmHWM:")
        if found:  # some sandboxes lack the field
            return int(peak.split()[0]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def measure_steps_per_second(seconds=2.0):
    """Return the number of training steps of lesson 02's small DCGAN that this machine takes per second.

    Measuring takes `seconds`; building the networks and tracing about 3 more. The result is the third
    quartile over chunks of ten steps, because other programs can only slow chunks down.
    """
    gan = training.GAN(models.fast_dcgan_generator(), models.fast_dcgan_discriminator())
    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), "uint8"))
    step = tf.function(gan.train_step)
    float(step(images)["generator_loss"])
    rates, end = [], time.perf_counter() + seconds
    while not rates or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(10):
            result = step(images)
        float(result["generator_loss"])  # waits until a GPU has finished
        rates.append(10 / (time.perf_counter() - start))
    return float(np.quantile(rates, 0.75))
