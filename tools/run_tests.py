"""Run the tests, several at a time, and report how long each part takes.

python tools/run_tests.py              all parts but `grading` and `busy`
python tools/run_tests.py unit style   some of them
"""

import collections
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
STYLE = [
    [PYTHON, "-m", "ruff", "check", "."],
    [PYTHON, "-m", "ruff", "format", "--check", "."],
    [str(Path(PYTHON).with_name("lint-imports"))],
    [PYTHON, "tools/clean_notebooks.py", "--check"],
]
# The longest files come first, so that no process is left alone with one of them at the end.
LONGEST = ("strategies", "backup", "families", "training", "checkpoints", "setup", "references", "benchmarks")
FILES = [f"tests/test_{name}.py" for name in LONGEST]
FILES += sorted({path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("test_*.py")} - set(FILES))
TESTS = {
    # The whole path of `make run`: parameters, checked outputs, pages, summary; and a new lesson.
    "lessons": ["tests/end_to_end"],
    "exercises": ["tests/exercises"],
    "unit": [*FILES, "tests/metrics"],
    # A class of students, with nbgrader's own commands; several minutes, mostly endless loops until they time out.
    "grading": ["tests/grading"],
    # The reference solutions next to eight busy processes: run on its own, since it slows down everything else.
    "busy": ["tests/busy"],
}
PARTS, ASKED_FOR = ("style", *TESTS), ("grading", "busy")


def main(chosen):
    if unknown := set(chosen) - set(PARTS):
        print(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}", file=sys.stderr)
        return 2
    chosen = chosen or [part for part in PARTS if part not in ASKED_FOR]
    # No profile or backup from an earlier run may change what is tested. Files are UTF-8 everywhere.
    environment = {**os.environ, "GANUTILS_PROFILE": "smoke", "GANUTILS_PROGRESS": "silent", "PYTHONUTF8": "1"}
    for folder in (ROOT / "build" / "lessons").glob("*-smoke"):
        shutil.rmtree(folder, ignore_errors=True)
    report = ROOT / "build" / f"{'-'.join(chosen)}.xml"
    paths = [path for part, paths in TESTS.items() if part in chosen for path in paths]
    # Three at a time: many wait for subprocesses. Tests in a file share fixtures, except those of grading.
    together = ["-n", "3", "--dist", "worksteal" if chosen == ["grading"] else "loadfile", "--no-loadscope-reorder"]
    pytest = [PYTHON, "-m", "pytest", *together, "--durations=15", f"--junitxml={report}", *paths]
    report.unlink(missing_ok=True)
    seconds, failed, begun = collections.Counter(dict.fromkeys(chosen, 0.0)), [], time.perf_counter()
    for command in (STYLE if "style" in chosen else []) + ([pytest] if paths else []):
        print(f"\n== {' '.join(command[1:10] or command)}", flush=True)
        start = time.perf_counter()
        failed += [command[:3]] if subprocess.run(command, cwd=ROOT, env=environment).returncode else []
        if command in STYLE:
            seconds["style"] += time.perf_counter() - start
    if paths and report.is_file():
        for case in ElementTree.parse(report).iter("testcase"):
            seconds[part_of(case.get("classname"))] += float(case.get("time"))
    print("\npart        seconds, summed over tests that run in parallel")
    for part, taken in seconds.items():
        print(f"{part:10} {taken:8.0f}")
    print(f"{'FAILED' if failed else 'all passed'}, after {time.perf_counter() - begun:.0f} seconds")
    return int(bool(failed))


def part_of(classname):
    """Return the part to which a test belongs, from its module's name in the report."""
    folders = {paths[0].replace("/", "."): part for part, paths in TESTS.items() if part != "unit"}
    return next((part for folder, part in folders.items() if classname.startswith(folder)), "unit")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
