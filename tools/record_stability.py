"""Record what lesson 05 shows of many runs: the same functions that stand in the lesson, over seeds.

    python tools/record_stability.py                 all that is missing
    python tools/record_stability.py collapse map    these parts: collapse, rates, map, digits
    python tools/record_stability.py --only collapse "packs of 2"   the runs whose name contains a text

The cells of notebooks/05_training_stability.ipynb with the tag `recorded` are executed, and what they define is called.
Each run is added to data/reference_runs/05_training_stability.json when it is finished, and not repeated: the command
can be interrupted. A test notices a change of these cells; their runs are then to be removed by hand. One process uses
one processor core, so that two may run side by side: `--share 0 2` and `--share 1 2` each take every second run.
"""

import argparse
import fcntl
import hashlib
import json
import os
import time
from pathlib import Path

os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "05_training_stability.ipynb"
FILE = ROOT / "data" / "reference_runs" / "05_training_stability.json"
STEPS = 2000  # of a run in the plane, that of `plane_steps` in laptop
SECONDS = (15, 45)  # of processor time
SETTINGS = {"no momentum": ((2e-3, 1e-3), 0.0), "DCGAN paper": ((2e-4, 2e-4), 0.5)}


def recipes():
    """Return the names that the lesson's cells with the tag `recorded` define, and a digest of these cells."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if "recorded" in cell["metadata"].get("tags", [])]
    names = {}
    for source in code:
        exec(compile(source, str(NOTEBOOK), "exec"), names)
    return names, hashlib.sha256("\n".join(code).encode()).hexdigest()[:16]


def tasks(names):
    """Yield (part, what identifies a run, function that runs it), one seed of everything before the next."""
    coverage = names["coverage_run"]
    for seed in range(6):
        for cure in names["CURES"]:
            yield "collapse", {"cure": cure, "seed": seed}, lambda cure=cure, seed=seed: coverage(STEPS, seed, cure)
        for rate in (1e-4, 1e-3, 3e-3, 1e-2) if seed < 5 else ():
            key = {"rate": rate, "seed": seed}
            yield "rates", key, lambda rate=rate, seed=seed: coverage(STEPS, seed, rates=(rate, 1e-3))
        for rate in (3e-4, 1e-3, 5e-3) if seed < 3 else ():
            for momentum in (0.0, 0.5, 0.9):
                key = {"rate": rate, "momentum": momentum, "seed": seed}
                yield (
                    "map",
                    key,
                    lambda key=key: coverage(STEPS, key["seed"], "none", (key["rate"],) * 2, key["momentum"]),
                )
        for name in names["DIGITS"] if seed < 3 else ():
            for setting, given in SETTINGS.items():
                key = {"name": name, "setting": setting, "seed": seed}
                yield (
                    "digits",
                    key,
                    lambda key=key, given=given: names["digit_run"](key["name"], *given, SECONDS, key["seed"]),
                )


def stored():
    if FILE.is_file():
        return json.loads(FILE.read_text(encoding="utf-8"))
    return {part: [] for part in ("collapse", "rates", "map", "digits")}


def add(part, run):
    """Add a run to the file, which other processes of this command may change at the same time."""
    with open(FILE.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = stored()
        found[part].append(run)
        found[part].sort(key=lambda run: json.dumps(run, sort_keys=True))
        lines = [f' "{name}": [\n  ' + ",\n  ".join(map(json.dumps, runs)) + "\n ]" for name, runs in found.items()]
        FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["collapse", "rates", "map", "digits", []])
    parser.add_argument("--only", default="", help="a text that the name of a run contains")
    parser.add_argument("--share", nargs=2, type=int, default=(0, 1), metavar=("NUMBER", "OF"))
    arguments = parser.parse_args()
    names, digest = recipes()
    number, of = arguments.share
    for i, (part, key, run) in enumerate(tasks(names)):
        chosen = (not arguments.parts or part in arguments.parts) and arguments.only in json.dumps(key)
        if not chosen or i % of != number or any(key.items() <= one.items() for one in stored()[part]):
            continue
        start = time.perf_counter()
        found = {name: value if isinstance(value, list) else float(value) for name, value in run().items()}
        add(part, key | found | {"recipe": digest})
        print(part, key, found, f"{time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
