"""Make the student versions of the assignments: exercises/, and a zip of each in build/exercises.

    python tools/release_exercises.py            write them
    python tools/release_exercises.py --check    change nothing; fail if exercises/ is out of date, or if
                                                 a solution, a hidden test or a rubric has leaked

nbgrader generates them from instructor/source in a temporary folder, so that no gradebook is touched.
"""

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTRUCTOR = ROOT / "instructor"
EXERCISES = ROOT / "exercises"
ZIPS = ROOT / "build" / "exercises"
MARKS = {
    "SOLUTION": ("### BEGIN SOLUTION", "### END SOLUTION"),
    "HIDDEN": ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"),
}
# Shorter lines, such as a bracket or a return, occur in any program; lessons are long, and share longer ones by chance.
SHORTEST_LINE, SHORTEST_LINE_IN_LESSONS = 25, 40
# Short lines that are secret nevertheless: seeds of hidden tests, and answers by letter.
SHORT_SECRET = re.compile(r'^SEEDS = |^"[A-Z]": "')
SENTENCE = re.compile(r"(?<=[.:;?!]) +")


def assignments(folder=INSTRUCTOR / "source"):
    """Return the names of all assignments."""
    return sorted(path.parent.name for path in folder.glob("*/*.ipynb"))


def generate(source=INSTRUCTOR / "source"):
    """Generate the student versions, and return {path relative to exercises/: bytes}.

    Raises:
        SystemExit: nbgrader fails; its message is printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder)
        shutil.copytree(source, course / "source", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        for name in ("nbgrader_config.py", "mending.py"):
            shutil.copy(INSTRUCTOR / name, course)
        command = [sys.executable, "-m", "nbgrader", "generate_assignment", "--force", "--create"]
        # nbgrader calls `alembic` without a path.
        environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
        for name in assignments(source):
            done = subprocess.run([*command, name], cwd=course, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"nbgrader could not make {name}:\n{done.stderr}")
        release = course / "release"
        return {
            path.relative_to(release).as_posix(): path.read_bytes()
            for path in sorted(release.rglob("*"))
            if path.is_file()
        }


def regions(text, begin, end):
    """Return the regions between two marks, each as a list of lines without indentation."""
    found, inside = [], None
    for line in text.splitlines():
        if begin in line:
            inside = []
        elif end in line and inside is not None:
            found.append(inside)
            inside = None
        elif inside is not None and line.strip():
            inside.append(line.strip())
    return found


def secrets(source=INSTRUCTOR / "source"):
    """Return what students must not see: dicts from names to texts, ({whole solutions}, {pairs of lines}, {lines}).

    A line of a solution may also occur in a broken version to be repaired, so solutions are compared by pairs of
    lines that occur nowhere else in the assignment; and as a whole, for lessons, which may contain such a pair.
    Hidden tests are compared line by line, and model answers with their rubrics sentence by sentence.
    """
    whole, pairs, lines = {}, {}, {}
    for path in sorted(source.glob("*/*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        shown = flat("\n".join("".join(cell["source"]) for cell in cells if MARKS["SOLUTION"][0] not in str(cell)))
        for cell in cells:
            text = "".join(cell["source"])
            where = f"{path.stem}, cell {cell['id']}"
            solutions = regions(text, *MARKS["SOLUTION"])
            hidden = regions(text, *MARKS["HIDDEN"])
            if cell["cell_type"] == "code":
                for i, part in enumerate(solutions):
                    whole[f"{where}, solution {i}"] = flat("\n".join(part))
                    for two in map(" ".join, itertools.pairwise(part)):
                        if len(two) >= 2 * SHORTEST_LINE and flat(two) not in shown:
                            pairs[f"{where}: {two[:60]}"] = flat(two)
            else:
                hidden += [SENTENCE.split(line) for part in solutions for line in part]
            for line in itertools.chain.from_iterable(hidden):
                if len(line) >= SHORTEST_LINE or SHORT_SECRET.match(line):
                    lines[f"{where}: {line[:60]}"] = flat(line)
    return whole, pairs, lines


def flat(text):
    return " ".join(text.split())


def leaks(texts, source=INSTRUCTOR / "source"):
    """Return a line for each secret that occurs in a text.

    Args:
        texts: dict from the names of files to their texts.
        source: folder of the assignments with solutions.
    """
    whole, pairs, lines = secrets(source)
    found = []
    for name, text in texts.items():
        plain = flat(_prose_and_code(text) if name.endswith(".ipynb") else text)
        found += [f"{name} contains a mark: {mark}" for marks in MARKS.values() for mark in marks if mark in plain]
        if name.startswith("notebooks/"):
            sought = whole | {what: line for what, line in lines.items() if len(line) >= SHORTEST_LINE_IN_LESSONS}
        else:
            sought = whole | pairs | lines
        found += [f"{name} contains {what}" for what, secret in sought.items() if secret in plain]
    return found


def _prose_and_code(notebook):
    cells = json.loads(notebook)["cells"]
    outputs = [json.dumps(cell.get("outputs", []), ensure_ascii=False) for cell in cells]
    return "\n".join(["".join(cell["source"]) for cell in cells] + outputs)


def write(files):
    """Write the student versions, and a zip for each assignment; old files are removed."""
    if EXERCISES.is_dir():
        shutil.rmtree(EXERCISES)
    for name, content in files.items():
        path = EXERCISES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    ZIPS.mkdir(parents=True, exist_ok=True)
    for old in ZIPS.glob("*.zip"):
        old.unlink()
    for assignment in sorted({name.split("/")[0] for name in files}):
        with zipfile.ZipFile(ZIPS / f"{assignment}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name in (name for name in files if name.startswith(f"{assignment}/")):
                # With a fixed date, so that the same content gives the same zip.
                archive.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)


def committed():
    """Return {path relative to exercises/: bytes} of the existing files."""
    paths = (path for path in sorted(EXERCISES.rglob("*")) if path.is_file() and ".ipynb_checkpoints" not in path.parts)
    return {path.relative_to(EXERCISES).as_posix(): path.read_bytes() for path in paths}


def published():
    """Return {name: text} of all files that students get: exercises, zips and lessons."""
    texts = {f"exercises/{name}": content.decode("utf-8") for name, content in committed().items()}
    for path in sorted(ZIPS.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            texts |= {f"{path.name}: {name}": archive.read(name).decode("utf-8") for name in archive.namelist()}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        texts[f"notebooks/{path.name}"] = path.read_text(encoding="utf-8")
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if something is wrong")
    arguments = parser.parse_args()
    files = generate()
    if not arguments.check:
        write(files)
        print(f"{len(files)} files in {os.path.relpath(EXERCISES)}, zips in {os.path.relpath(ZIPS)}")
    there = committed()
    wrong = [
        f"exercises/{name} is out of date"
        for name in sorted(files.keys() | there)
        if files.get(name) != there.get(name)
    ]
    wrong += leaks(published())
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        print("run `make release`, look at the diff, and commit", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
