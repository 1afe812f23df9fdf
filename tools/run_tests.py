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
from concurrent import futures
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
STYLE = [
    [PYTHON, "-m", "ruff", "check", "."],
    [PYTHON, "-m", "ruff", "format", "--check", "."],
    [str(Path(PYTHON).with_name("lint-imports"))],
    [PYTHON, "tools/clean_notebooks.py", "--check"],
]
# The longest files come first, so that none is left to run alone at the end.
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
AT_ONCE = 3  # many wait for subprocesses
# No profile or backup from an earlier run may change what is tested. Files are UTF-8 everywhere.
ENVIRONMENT = os.environ | {"GANUTILS_PROFILE": "smoke", "GANUTILS_PROGRESS": "silent", "PYTHONUTF8": "1"}
PARTS, ASKED_FOR = ("style", *TESTS), ("grading", "busy")


def main(chosen):
    if unknown := set(chosen) - set(PARTS):
        print(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}", file=sys.stderr)
        return 2
    chosen = chosen or [part for part in PARTS if part not in ASKED_FOR]
    for folder in (ROOT / "build" / "lessons").glob("*-smoke"):
        shutil.rmtree(folder, ignore_errors=True)
    failed, crashed, seconds, begun = [], [], collections.Counter(dict.fromkeys(chosen, 0.0)), time.perf_counter()
    for command in STYLE if "style" in chosen else []:
        print(f"\n== {' '.join(command[1:] or command)}", flush=True)
        start = time.perf_counter()
        failed += ["style"] if subprocess.run(command, cwd=ROOT, env=ENVIRONMENT).returncode else []
        seconds["style"] += time.perf_counter() - start
    files = [(part, path) for part, paths in TESTS.items() if part in chosen for path in in_files(paths)]
    with futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [pool.submit(run_file, part, path) for part, path in files]
        for run in futures.as_completed(runs):
            part, path, once_more, passed, taken, report = run.result()
            print(f"\n== {path}, {taken:.0f} seconds\n{report.strip()}", flush=True)
            failed += [] if passed else [path]
            crashed += [path] if once_more else []
            seconds[part] += taken
    print("\npart        seconds, summed over what runs in parallel")
    for part, taken in seconds.items():
        print(f"{part:10} {taken:8.0f}")
    if crashed:
        print(f"CRASHED, and run once more: {' '.join(crashed)}")
    print(
        f"{'FAILED: ' + ' '.join(failed) if failed else 'all passed'}, after {time.perf_counter() - begun:.0f} seconds"
    )
    return int(bool(failed))


def in_files(paths):
    for path in map(ROOT.joinpath, paths):
        files = sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
        yield from (file.relative_to(ROOT).as_posix() for file in files)


def run_file(part, path):
    """Run a file of tests in a process of its own, so that one in which TensorFlow crashes takes no other with it.

    A file whose process is ended by a signal is run once more, and the report and the summary say so.
    """
    command, start, report = [PYTHON, "-m", "pytest", "--durations=3", path], time.perf_counter(), ""
    crashed = False
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    for _ in range(2):
        run = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, **pipes)
        report += run.stdout.decode(errors="replace")
        if run.returncode >= 0:
            break
        crashed = True
        report += f"\n{path} CRASHED with signal {-run.returncode}\n"
    return part, path, crashed, run.returncode == 0, time.perf_counter() - start, report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
