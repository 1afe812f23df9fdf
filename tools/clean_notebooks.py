"""Strip notebooks of their outputs, and write the parts that are generated from lessons.toml and pyproject.toml.

    python tools/clean_notebooks.py                       strip outputs, write tables, links and the address
    python tools/clean_notebooks.py --check               change nothing; fail if something would change
    python tools/clean_notebooks.py --take-outputs DIR    first copy the checked outputs from executed notebooks

Only cells tagged `nbval-check-output` keep their outputs, which the tests compare. `tables.py` generates the tables in
the READMEs and the links between lessons, `address.py` inserts the repository's address. For the student versions of
the exercises, run `make release` afterwards.
"""

import argparse
import json
import sys
import tomllib
from pathlib import Path

import tables
from address import remote, repository, with_address

ROOT = Path(__file__).resolve().parents[1]
CHECKED = "nbval-check-output"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def clean(notebook, executed=None):
    """Return a notebook without any traces of an execution, except the checked outputs.

    Args:
        notebook: the notebook as parsed JSON.
        executed: the same notebook after an execution, to copy the checked outputs from; or None.
    """
    taken = {cell["id"]: cell for cell in executed["cells"]} if executed else {}
    cells = []
    for i, cell in enumerate(notebook["cells"]):
        tags = cell["metadata"].get("tags", [])
        kept = {
            "cell_type": cell["cell_type"],
            "id": cell.get("id", f"cell-{i:03d}"),  # older programs write none
            # nbgrader's metadata: task or test, points.
            "metadata": {name: cell["metadata"][name] for name in ("nbgrader", "tags") if cell["metadata"].get(name)},
            "source": cell["source"],
        }
        if "attachments" in cell:
            kept["attachments"] = cell["attachments"]
        if cell["cell_type"] == "code":
            outputs = taken.get(kept["id"], cell).get("outputs", []) if CHECKED in tags else []
            # nbval requires a number if there is an output.
            kept["execution_count"] = 1 if outputs else None
            kept["outputs"] = _merged([_plain(output) for output in outputs])
        cells.append(kept)
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def check_ids(notebook, path):
    """Raise a SystemExit if two cells have the same id, so that a program which looks for one finds another."""
    ids = [cell["id"] for cell in notebook["cells"] if "id" in cell]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise SystemExit(f"{path}: more than one cell has the id {', '.join(twice)}; give each its own")


def _plain(output):
    return {**output, "execution_count": 1} if output["output_type"] == "execute_result" else output


def _merged(outputs):
    """Join the outputs of one stream, which the kernel splits at random points."""
    merged = []
    for output in outputs:
        if (
            merged
            and output["output_type"] == "stream" == merged[-1]["output_type"]
            and output["name"] == merged[-1]["name"]
        ):
            text = "".join(merged[-1]["text"]) + "".join(output["text"])
            merged[-1] = {**output, "text": text.splitlines(keepends=True)}
        else:
            merged.append(output)
    return merged


def as_text(notebook):
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if something would change")
    parser.add_argument("--take-outputs", type=Path, metavar="DIR", help="folder of executed notebooks")
    parser.add_argument("files", nargs="*", type=Path, help="notebooks and Markdown files; all of them by default")
    arguments = parser.parse_args()

    lessons = tomllib.loads((ROOT / "lessons.toml").read_text(encoding="utf-8"))
    tables.check(lessons)
    files = arguments.files or [
        *sorted((ROOT / "notebooks").glob("*.ipynb")),
        *sorted((ROOT / "instructor" / "source").glob("*/*.ipynb")),
        *sorted((ROOT / "exercises").glob("*/*.ipynb")),
        *(ROOT / "README.md", ROOT / "instructor" / "README.md"),
    ]
    address, dirty = repository(), []
    for path in files:
        old = path.read_text(encoding="utf-8")
        new = with_address(generate(path.resolve(), old, lessons, arguments.take_outputs), address)
        if new != old:
            dirty.append(path)
            if not arguments.check:
                path.write_text(new, encoding="utf-8", newline="\n")
    for path in dirty:
        print(f"{'out of date' if arguments.check else 'written'}: {path}")
    if (origin := remote()) and origin != address:
        print(f"This clone's origin is {origin}, but badges and links lead to {address}: run `make address`")
    if arguments.check and dirty:
        print("run `python tools/clean_notebooks.py`, then commit", file=sys.stderr)
        return 1
    return 0


def generate(path, text, lessons, executed=None):
    """Return a file's text with all generated parts except the address.

    Args:
        path: path of the file, which determines the generated parts.
        text: its content.
        lessons: lessons.toml as a dict.
        executed: folder of executed notebooks to copy the checked outputs from, or None.
    """
    record = ROOT / "data" / "reference_runs" / "costs.json"
    costs = json.loads(record.read_text(encoding="utf-8"))["lessons"] if record.is_file() else {}
    if path == ROOT / "README.md":
        text = tables.fill(text, "lessons", tables.lessons_by_part(lessons, costs))
        return tables.fill(text, "assignments", tables.assignments(lessons))
    if path == ROOT / "instructor" / "README.md":
        return tables.fill(text, "minutes", tables.minutes(lessons))
    if path.suffix != ".ipynb" or path.is_relative_to(ROOT / "exercises"):  # nbgrader generates the latter
        return text
    copy = executed / path.name if executed else None
    copy = json.loads(copy.read_text(encoding="utf-8")) if copy and copy.is_file() else None
    notebook = json.loads(text.removeprefix("\ufeff"))
    check_ids(notebook, path)
    notebook = clean(notebook, copy)
    if path.parent == ROOT / "notebooks":
        cells = tables.with_links(notebook["cells"], path.stem, lessons)
        notebook["cells"] = tables.with_times(cells, path.stem, lessons, costs)
    return as_text(notebook)


if __name__ == "__main__":
    sys.exit(main())
