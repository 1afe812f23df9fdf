"""Submissions that are strange, each in another way, made of a released notebook with right answers in it."""

import copy
import gzip
import io
import itertools
import json
import tarfile
import zipfile

from tests.exercises.assignments import EXERCISES, cells, kind

PROSE = "An answer in my own words."


def read_released(name):
    """Return the notebook of an assignment that students get, as a dict, with its name."""
    notebook = json.loads((EXERCISES / name / f"{name}.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return {**notebook, "name": name}


def answered(released, answers=None):
    """Return a released notebook, a dict, with right answers in it and prose; or with some other answers."""
    notebook = copy.deepcopy(released)
    right = {cell_id: cell["source"] for cell_id, cell in cells(notebook["name"]).items() if kind(cell) == "solution"}
    for cell in notebook["cells"]:
        if kind(cell) == "manual":
            cell["source"] = PROSE
        cell["source"] = {**right, **(answers or {})}.get(cell["id"], cell["source"])
    del notebook["name"]
    return notebook


def numbered(cells):
    """Give each cell an id of its own, as JupyterLab does, in the place of those that are there already."""
    seen, number = set(), itertools.count()
    for cell in cells:
        cell["id"] = f"new-{next(number)}" if cell.get("id") in seen else cell["id"]
        seen.add(cell["id"])
    return cells


def copied(released):
    """The stub is still there, and was copied; the copy holds the answer."""
    stubs = {cell["id"]: cell for cell in copy.deepcopy(released)["cells"]}
    notebook = answered(released)
    twice = [[stubs[c["id"]], c] if kind(c) in ("solution", "manual") else [c] for c in notebook["cells"]]
    return {**notebook, "cells": numbered(list(itertools.chain(*twice)))}


def split(released):
    """Each answer was split in its middle, within a function, as Ctrl Shift Minus does."""
    notebook, parts = answered(released), []
    for cell in notebook["cells"]:
        lines = cell["source"].splitlines()
        if kind(cell) == "solution" and len(lines) > 2:
            halves = lines[: len(lines) // 2], lines[len(lines) // 2 :]
            parts += [{**copy.deepcopy(cell), "source": "\n".join(half)} for half in halves]
        else:
            parts.append(cell)
    return {**notebook, "cells": numbered(parts)}


def deleted(released):
    """Nothing is left but the answers."""
    notebook = answered(released)
    return {**notebook, "cells": [cell for cell in notebook["cells"] if kind(cell) in ("solution", "manual")]}


def moved(released):
    """All cells in the opposite order."""
    notebook = answered(released)
    return {**notebook, "cells": notebook["cells"][::-1]}


def merged(released):
    """Each answer was merged with the test behind it; prose stands in cells of their own, and its cell is gone."""
    notebook, together = answered(released), []
    for cell in notebook["cells"]:
        if kind(cell) == "test" and together and kind(together[-1]) == "solution":
            together[-1]["source"] += "\n\n" + cell["source"]
        elif kind(cell) == "manual":
            together.append({"cell_type": "markdown", "metadata": {}, "id": f"own-{len(together)}", "source": PROSE})
        else:
            together.append(cell)
    return {**notebook, "cells": together}


def into_tests(released):
    """Each answer was merged into the test behind it, whose marks the cell then has."""
    notebook, together = answered(released), []
    for cell in notebook["cells"]:
        if kind(cell) == "test" and together and kind(together[-1]) == "solution":
            cell["source"] = together.pop()["source"] + "\n\n" + cell["source"]
        together.append(cell)
    return {**notebook, "cells": together}


def in_one_cell(released):
    """All answers were merged into the first one's cell, and the tests between them deleted."""
    notebook = answered(released)
    first = next(cell for cell in notebook["cells"] if kind(cell) == "solution")
    others = [cell for cell in notebook["cells"] if kind(cell) == "solution" and cell is not first]
    first["source"] = "\n\n\n".join([first["source"], *(cell["source"] for cell in others)])
    kept = [cell for cell in notebook["cells"] if cell not in others and kind(cell) != "test"]
    return {**notebook, "cells": kept}


def blank(released):
    """All answers stand in the first one's cell, and the other cells are left empty."""
    notebook = in_one_cell(released)
    stubs = [{**cell, "source": " \n"} for cell in copy.deepcopy(released)["cells"] if kind(cell) == "solution"][1:]
    return {**notebook, "cells": numbered([*notebook["cells"], *stubs])}


def lambdas(released):
    """Each answer was made under another name, in a cell without marks behind its test, and then given its own."""
    notebook, cells = copy.deepcopy(released), []
    right = {cell["id"]: cell["source"] for cell in answered(released)["cells"]}
    for cell in notebook["cells"]:
        cells.append({**cell, "source": PROSE} if kind(cell) == "manual" else cell)
        if kind(cell) == "test" and kind(cells[-2]) == "solution":
            name = cells[-2]["id"]
            function = right[name].partition("def ")[2].partition("(")[0]
            source = f"{right[name]}\n\nif True:\n    {function} = {function}"
            own = source.replace(f"def {function}(", "def mine(").replace(f"= {function}", "= mine")
            cells.append({"cell_type": "code", "metadata": {}, "id": f"own-{name}", "source": own, "outputs": []})
    del notebook["name"]
    return {**notebook, "cells": cells}


def colab(released):
    """An old format without ids and without nbgrader's marks, for a kernel that is not there."""
    notebook = answered(released)
    for cell in notebook["cells"]:
        cell["metadata"] = {"id": cell.pop("id")}
    return {**notebook, "nbformat_minor": 0, "metadata": {"kernelspec": {"name": "ir", "display_name": "R"}}}


def bare(released):
    """No marks at all: typed anew into an empty notebook, without what was given but the tests."""
    notebook = answered(released)
    kept = [cell for cell in notebook["cells"] if kind(cell) in ("solution", "test")]
    kept = [{"cell_type": "code", "metadata": {}, "source": cell["source"], "outputs": []} for cell in kept]
    return {"cells": kept, "metadata": {}, "nbformat": 4, "nbformat_minor": 2}


def converted(released):
    """Each answer has become a raw cell, and the notebook one of version 3."""
    notebook, old = answered(released), []
    for cell in notebook["cells"]:
        kind_of_cell = "raw" if kind(cell) == "solution" else cell["cell_type"]
        new = {"cell_type": kind_of_cell, "metadata": cell["metadata"], "source": cell["source"]}
        old.append(new if kind_of_cell != "code" else {**new, "input": new.pop("source"), "language": "python"})
        old[-1].update({"outputs": [], "collapsed": False} if kind_of_cell == "code" else {})
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": old}]}


def imports_alone(released):
    """The given cells were changed, so that nothing but the answers can run."""
    notebook = answered(released)
    for cell in notebook["cells"]:
        if (
            cell["cell_type"] == "code"
            and kind(cell) == "plain"
            and "skip-execution" not in cell["metadata"].get("tags", [])
        ):
            cell["source"] = "import a_package_that_only_i_have\n" + cell["source"]
    return notebook


def in_front(released):
    """All answers typed into a new cell behind the imports, their own cells deleted."""
    notebook = answered(released)
    sources = [cell["source"] for cell in notebook["cells"] if kind(cell) == "solution"]
    kept = [cell for cell in notebook["cells"] if kind(cell) != "solution"]
    place = next(i for i, cell in enumerate(kept) if cell["id"] == "imports") + 1
    own = {"cell_type": "code", "metadata": {}, "id": "own", "source": "\n\n\n".join(sources), "outputs": []}
    return {**notebook, "cells": [*kept[:place], own, *kept[place:]]}


def rebound(released):
    """What the tests need was bound to something else before each of them, and a package was to be installed."""
    notebook, cells = answered(released), []
    own = {"cell_type": "code", "metadata": {}, "source": "%pip install no-such-package\nnp = checks = 'mine'"}
    for cell in notebook["cells"]:
        cells += [{**own, "id": f"own-{len(cells)}", "outputs": []}, cell] if kind(cell) == "test" else [cell]
    return {**notebook, "cells": cells}


RIGHT = (
    in_front,
    rebound,
    copied,
    split,
    deleted,
    moved,
    merged,
    into_tests,
    in_one_cell,
    blank,
    lambdas,
    colab,
    bare,
    converted,
    imports_alone,
)


def packed(name, text):
    """Return a tar.gz with a zip in it, which holds what a Mac and JupyterLab add, and the notebook."""
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(f"__MACOSX/._{name}.ipynb", b"\x00\x05\x16\x07")
        archive.writestr(f".ipynb_checkpoints/{name}-checkpoint.ipynb", "{}")
        archive.writestr(f"my work\\{name} (2).ipynb", text)
    with tarfile.open(fileobj=outer, mode="w") as archive:
        entry = tarfile.TarInfo("../../hand in.zip")
        entry.size = len(inner.getvalue())
        archive.addfile(entry, io.BytesIO(inner.getvalue()))
    return gzip.compress(outer.getvalue())


def text_of(notebook):
    return json.dumps(notebook, ensure_ascii=False)
