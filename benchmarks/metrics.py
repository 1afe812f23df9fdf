"""Time and memory of the metrics on as many features as a thorough evaluation has.

    python benchmarks/metrics.py                          10,000 against 10,000 samples of 128 features
    python benchmarks/metrics.py --samples 2000 --features 64

Each metric runs in a process of its own: the seconds are the median of some runs after the first, the
memory is what the peak of the process grew by.
"""

import argparse
import multiprocessing
import statistics
import time

import numpy as np

from ganutils import costs, metrics

METRICS = {
    "frechet_distance": metrics.frechet_distance,
    "kernel_distance": metrics.kernel_distance,
    "precision_recall": metrics.precision_recall,
    "density_coverage": metrics.density_coverage,
    "nearest_neighbour_accuracy": metrics.nearest_neighbour_accuracy,
}


def measure(name, samples, features, repetitions, results):
    real, fake = np.random.default_rng(0).standard_normal((2, samples, features))
    before, seconds = costs.peak_memory_mb(), []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        METRICS[name](real, fake)
        seconds.append(time.perf_counter() - start)
    results.put((statistics.median(seconds[1:]), costs.peak_memory_mb() - before))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(f"{arguments.samples:,} against {arguments.samples:,} samples of {arguments.features} features")
    for name in METRICS:
        results = context.Queue()
        task = (name, arguments.samples, arguments.features, arguments.repetitions, results)
        process = context.Process(target=measure, args=task)
        process.start()
        seconds, megabytes = results.get()
        process.join()
        print(f"{name:28} {seconds:7.2f} s {megabytes:6.0f} MB more", flush=True)


if __name__ == "__main__":
    main()
