"""Keep notebooks in git small, comparable and pointing at the right repository.

    python tools/clean_notebooks.py                       strip outputs, write the repository's address
    python tools/clean_notebooks.py --check               change nothing; fail if something would change
    python tools/clean_notebooks.py --take-outputs DIR    first take the checked outputs from executed notebooks

Only cells tagged `nbval-check-output` keep their outputs: the tests compare them. The address comes from
pyproject.toml and goes into the set-up cells and the Binder and Colab links of notebooks and READMEs. The student
versions of the exercises follow with `make release`.
"""

import argparse
import json
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKED = "nbval-check-output"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def repository():
    """Return the repository's address, which stands in pyproject.toml and nowhere else by hand."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["urls"]["Repository"]


def with_address(text, address):
    """Return text with the address in set-up cells and in links to Binder and Colab."""
    owner_and_name = "/".join(address.rstrip("/").split("/")[-2:])
    text = re.sub(r'(REPOSITORY = \\?")[^"\\]*', lambda match: match[1] + address, text)
    text = re.sub(r"(git clone (?:--bare )?)https://[^\s`]+", lambda match: match[1] + address, text)
    text = re.sub(r"https://github\.com/[^/\s]+/[^/\s]+(?=/blob/HEAD/notebooks/)", lambda _: address, text)
    return re.sub(
        r"(mybinder\.org/v2/gh/|colab\.research\.google\.com/github/)[^/\s]+/[^/\s]+",
        lambda match: match[1] + owner_and_name,
        text,
    )


def clean(notebook, executed=None):
    """Return a notebook with nothing in it that an execution left, but for the checked outputs.

    Args:
        notebook: the notebook as parsed JSON.
        executed: the same notebook after an execution, whose checked outputs are taken; or None.
    """
    taken = {cell["id"]: cell for cell in executed["cells"]} if executed else {}
    cells = []
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", [])
        kept = {
            "cell_type": cell["cell_type"],
            "id": cell["id"],
            # What nbgrader knows of a cell: task or test, points.
            "metadata": {name: cell["metadata"][name] for name in ("nbgrader", "tags") if cell["metadata"].get(name)},
            "source": cell["source"],
        }
        if "attachments" in cell:
            kept["attachments"] = cell["attachments"]
        if cell["cell_type"] == "code":
            outputs = taken.get(cell["id"], cell).get("outputs", []) if CHECKED in tags else []
            # nbval wants a number where it finds an output.
            kept["execution_count"] = 1 if outputs else None
            kept["outputs"] = _merged([_plain(output) for output in outputs])
        cells.append(kept)
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def _plain(output):
    return {**output, "execution_count": 1} if output["output_type"] == "execute_result" else output


def _merged(outputs):
    """Join what one stream printed: the kernel cuts it at chance points."""
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

    notebooks = [*sorted((ROOT / "notebooks").glob("*.ipynb")), *sorted((ROOT / "instructor/source").glob("*/*.ipynb"))]
    files = arguments.files or [*notebooks, ROOT / "README.md", ROOT / "instructor" / "README.md"]
    address, dirty = repository(), []
    for path in files:
        old = path.read_text(encoding="utf-8")
        new = old
        if path.suffix == ".ipynb":
            executed = arguments.take_outputs and arguments.take_outputs / path.name
            executed = json.loads(executed.read_text(encoding="utf-8")) if executed and executed.is_file() else None
            new = as_text(clean(json.loads(old), executed))
        new = with_address(new, address)
        if new != old:
            dirty.append(path)
            if not arguments.check:
                path.write_text(new, encoding="utf-8", newline="\n")
    for path in dirty:
        print(f"{'dirty' if arguments.check else 'cleaned'}: {path}")
    if arguments.check and dirty:
        print("run `python tools/clean_notebooks.py`, then commit", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
