"""Run the tests part by part, and say how long each took.

python tools/run_tests.py              all parts but `grading`
python tools/run_tests.py unit style   some of them
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
# Three at a time: much of a test is Python that traces a graph, and some are waiting. Tests of a file share fixtures.
PYTEST = [PYTHON, "-m", "pytest", "--durations=5", "-n", "3", "--dist", "loadfile"]
# Few long tests, which share nothing.
APART = [*PYTEST[:-1], "worksteal"]

# Tests do not depend on each other, so they may be executed in any order; the cheap ones come first.
PARTS = {
    "style": [
        [PYTHON, "-m", "ruff", "check", "."],
        [PYTHON, "-m", "ruff", "format", "--check", "."],
        [str(Path(PYTHON).with_name("lint-imports"))],
        [PYTHON, "tools/clean_notebooks.py", "--check"],
    ],
    "unit": [
        [
            *(*PYTEST, "tests"),
            *(f"--ignore=tests/{folder}" for folder in ("end_to_end", "exercises", "grading")),
        ]
    ],
    "exercises": [[*APART, "tests/exercises"]],
    # The whole path of `make run`: parameters, outputs that are checked, pages, summary; and a new lesson.
    "lessons": [[*PYTEST, "tests/end_to_end"]],
    # A class of students, with nbgrader's own commands; some minutes, most of them endless loops running out.
    "grading": [[*APART, "tests/grading"]],
}
ASKED_FOR = ("grading",)


def main(chosen):
    if unknown := set(chosen) - set(PARTS):
        print(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}", file=sys.stderr)
        return 2
    # Neither a profile nor a backup that is left from before may change what is tested. Files are UTF-8 everywhere.
    environment = {**os.environ, "GANUTILS_PROFILE": "smoke", "GANUTILS_PROGRESS": "silent", "PYTHONUTF8": "1"}
    for folder in (ROOT / "build" / "lessons").glob("*-smoke"):
        shutil.rmtree(folder)
    results = []
    for part in chosen or [part for part in PARTS if part not in ASKED_FOR]:
        start = time.perf_counter()
        failed = False
        for command in PARTS[part]:
            print(f"\n== {part}: {' '.join(command[1:] or command)}", flush=True)
            failed |= subprocess.run(command, cwd=ROOT, env=environment).returncode != 0
        results.append((part, time.perf_counter() - start, failed))
    print("\npart        seconds  result")
    for part, seconds, failed in results:
        print(f"{part:10} {seconds:8.0f}  {'FAILED' if failed else 'passed'}")
    print(f"{'all':10} {sum(seconds for _, seconds, _ in results):8.0f}")
    return int(any(failed for _, _, failed in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
