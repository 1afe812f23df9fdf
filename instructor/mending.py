"""Copy a submission's answers into the released notebook, even if cells were copied, split, moved or deleted."""

import ast
import functools
import re
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbgrader.preprocessors import NbGraderPreprocessor

IMPORTS = "imports"  # the cell of an assignment that holds them
AGAIN = "# A cell above has bound one of these names to something else, and the test needs them."
MISSING = "# Nothing was submitted here; the answer is in another cell."
NOT_RUN = "skip-execution"
MOST_MAGICS = 50  # in one cell
# Commands that would change the environment in which later submissions are graded.
INSTALL = re.compile(r"^(\s*)([%!]{1,2}\s*(?:pip|conda|mamba|uv|apt|apt-get|sudo|python -m pip)\b.*)$", re.MULTILINE)


class Mend(NbGraderPreprocessor):
    """Rebuild a submission from the released notebook; replaces nbgrader's DeduplicateIds."""

    def preprocess(self, nb, resources):
        name, assignment = (resources["nbgrader"][key] for key in ("notebook", "assignment"))
        released = Path(__file__).with_name("release") / assignment / f"{name}.ipynb"
        if not released.is_file():
            raise FileNotFoundError(f"{released} is missing; create it: nbgrader generate_assignment {assignment}")
        return mend(nb, nbformat.read(released, as_version=4)), resources


def mend(submitted, released):
    """Return the released notebook with a submission's answers in it.

    It has every released cell once, in the original order. Answers are in their cells; copies of an answer, and the
    parts of one that was split, are joined. A student's own cells, and changes to other cells, become
    extra cells in their original place.

    Args:
        submitted: notebook of a student, in nbformat 4.
        released: notebook that students got, with nbgrader's metadata.
    """
    cells = list(submitted.cells)
    names = names_of(cells, released.cells)
    found = {cell.id: [i for i, name in enumerate(names) if name == cell.id] for cell in released.cells}
    used = {cell.id: _stand_for(cell, found[cell.id], cells, names, released.cells) for cell in released.cells}
    extras = _extras(cells, names, used, released.cells)
    words = _own_words(cells, found, used, extras, released.cells)
    given = {_flat(cell.source) for cell in released.cells}
    bound = {name for cell in cells if _flat(cell.source) not in given for name in binds(cell.source)}
    tests = [cell.source for cell in released.cells if is_test(cell)]
    imports = next((cell for cell in released.cells if cell.id == IMPORTS), None)
    lost = bound & binds(imports.source) if imports else set()

    # Nothing after the last test is run again: experiments take minutes, and people grade them.
    mended, run = _cells(extras[None], cells, True), bool(tests)
    for original in released.cells:
        cell, own = original.copy(), [cells[i] for i in used[original.id]]
        changed = []
        if _is_prose(cell):
            cell.source = "\n\n".join(words[cell.id]) or cell.source
        elif is_answer(cell):
            cell.source = _joined([_without(tests, answer.source) for answer in own]) or cell.source
            # A stub must not overwrite an answer that another cell has bound to its name.
            if cell.source == original.source and binds(original.source) & bound:
                cell.source = MISSING
        elif own and _is_experiment(cell):
            cell.source, cell.outputs = own[0].source, own[0].get("outputs", [])
        elif is_test(cell):
            # An answer that was merged into its test runs before it.
            changed = [(i, text) for i, text in extras[cell.id] if names[i] == cell.id]
            run = run and cell.source != tests[-1]
        for answer in own:
            if "attachments" in answer:  # pictures in prose
                cell.attachments = {**cell.get("attachments", {}), **answer.attachments}
        behind = [extra for extra in extras[cell.id] if extra not in changed]
        again = [nbformat.v4.new_code_cell(f"{AGAIN}\n{imports.source}")] if lost and is_test(original) else []
        mended += [*_cells(changed, cells, True), *again, cell, *_cells(behind, cells, run)]
    for cell in mended:
        if cell.cell_type == "code" and not is_test(cell):
            cell.source = INSTALL.sub(r"\1pass  # Nothing is installed while a class is graded: \2", cell.source)
    return nbformat.v4.new_notebook(cells=mended, metadata=released.metadata)


def names_of(cells, released):
    """Return, for each cell of a submission, the id of the corresponding released cell, or None."""
    ids = {cell.id for cell in released}
    names = []
    for cell in cells:
        marks = _marks(cell).get("grade_id"), cell.get("id"), cell.metadata.get("id")  # the last one is Colab's
        names.append(next((name for name in marks if isinstance(name, str) and name in ids), None))
    # Some programs drop all ids; then a cell is recognised by its text.
    texts = {_flat(cell.source): cell.id for cell in released if cell.id not in names and cell.source.strip()}
    names = [name or texts.get(_flat(cell.source)) for name, cell in zip(names, cells, strict=True)]
    # Otherwise by a name that it binds, if the cell for that name is missing, empty or unchanged.
    stubs = {cell.id: cell for cell in released if is_answer(cell)}
    pairs = list(zip(names, cells, strict=True))
    answered = {name for name, cell in pairs if name in stubs and _is_changed(cell, stubs[name])}
    wanted = {name: stub for stub, cell in stubs.items() if stub not in answered for name in binds(cell.source)}
    # A cell with several answers counts as the first of them, since all their tests come later.
    order = list(wanted)
    by_name = [
        wanted[min(found, key=order.index)] if (found := binds(cell.source) & set(wanted)) else None for cell in cells
    ]
    return [name or other for name, other in zip(names, by_name, strict=True)]


def _stand_for(cell, found, cells, names, released):
    """Return the numbers of the submission's cells that correspond to a released cell."""
    if _is_experiment(cell):
        return found[:1]
    if not _marks(cell).get("solution"):
        return [i for i in found if _flat(cells[i].source) == _flat(cell.source)]
    changed = [i for i in found if _is_changed(cells[i], cell)]
    if is_answer(cell):
        # The student's own test saw the cells before it.
        test = next((other.id for other in released[released.index(cell) :] if is_test(other)), None)
        place = names.index(test) if test in names else len(cells)
        changed = [i for i in changed if i < place] or changed
    return changed or found


def _is_changed(cell, original):
    return bool(cell.source.strip()) and _flat(cell.source) != _flat(original.source)


def _extras(cells, names, used, released):
    """Return {id of a released cell, or None: pairs of a cell's number and its text}.

    These are the cells without a released counterpart, listed under the last released cell before them.
    """
    tests = [cell.source for cell in released if is_test(cell)]
    given = {_flat(cell.source) for cell in released}
    extras, at = {name: [] for name in (None, *used)}, None
    for i, cell in enumerate(cells):
        if names[i] and (i in used[names[i]] or names[i] not in names[:i]):
            at = names[i]
        text = _without(tests, cell.source) if cell.cell_type == "code" else cell.source
        if i not in used.get(names[i], ()) and text.strip() and _flat(text) not in given:
            extras[at].append((i, text))
    return extras


def _own_words(cells, found, used, extras, released):
    """Return {id of an answer in prose: texts}; if its cell is unchanged, move texts there from extra cells nearby."""
    words = {}
    for position, cell in enumerate(released):
        if not _is_prose(cell):
            continue
        texts = [cells[i].source for i in used[cell.id] if _flat(cells[i].source) != _flat(cell.source)]
        before = next((i for i in range(position - 1, -1, -1) if found[released[i].id]), 0)
        for other in released[before : position + 1] if not texts else ():
            prose = [extra for extra in extras[other.id] if cells[extra[0]].cell_type != "code"]
            texts += [text for _, text in prose]
            extras[other.id] = [extra for extra in extras[other.id] if extra not in prose]
        words[cell.id] = list(dict.fromkeys(texts))
    return words


def _joined(texts):
    """Return the parts of an answer as one text; if that is not valid Python, only the parts that are."""
    # `%%time` applies to a whole cell, so it cannot be joined with other code.
    texts = [re.sub(r"^\s*%%(time|timeit|capture)\b.*\n", "", text) if len(texts) > 1 else text for text in texts]
    texts = list(dict.fromkeys(text.strip("\n") for text in texts if text.strip()))
    whole = "\n".join(texts)
    if _parsed(whole) is None:
        whole = "\n".join(text for text in texts if _parsed(text) is not None) or whole
    return whole


@functools.lru_cache(1000)
def _parsed(text):
    """Return the syntax tree of a cell, or None if it is not valid Python."""
    try:
        # `%time` and the like are not Python. IPython parses the cell again for each of them.
        magics = re.findall(r"^\s*[%!?]|\?\s*$|=\s*[%!]", text, re.MULTILINE)
        return ast.parse(TransformerManager().transform_cell(text) if 0 < len(magics) <= MOST_MAGICS else text)
    except (SyntaxError, ValueError, RecursionError, MemoryError, RuntimeError):
        return None


def binds(text):
    """Return the names that a cell binds outside functions and classes."""
    tree = _parsed(text)
    if tree is None:
        return set(re.findall(r"^\s*def (\w+)", text, re.MULTILINE))
    found, nodes = set(), list(tree.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif not isinstance(node, ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return found


def _without(tests, text):
    """Return code without the tests that were merged into it."""
    for test in tests:
        text = text.replace(test.strip(), "")
    return text


def _cells(extras, cells, run):
    """Return new cells for pairs of a cell's number and its text."""
    made = []
    for i, text in extras:
        if cells[i].cell_type == "code":
            cell = nbformat.v4.new_code_cell(text)
            if not run:
                cell.metadata.tags, cell.outputs = [NOT_RUN], cells[i].get("outputs", [])
        else:
            cell = nbformat.v4.new_markdown_cell(text)
            cell.update({"attachments": cells[i].attachments} if "attachments" in cells[i] else {})
        made.append(cell)
    return made


def said(cell):
    """Return all text that a cell displays, without printed text, which may come from the student."""
    return "\n".join(str(output.get("data", {}).get("text/plain", "")) for output in cell.get("outputs", []))


def _flat(text):
    return " ".join(text.split())


def _marks(cell):
    marks = cell.metadata.get("nbgrader")
    return marks if isinstance(marks, dict) else {}


def _is_experiment(cell):
    return NOT_RUN in cell.metadata.get("tags", [])


def is_test(cell):
    return bool(_marks(cell).get("grade")) and not _marks(cell).get("solution")


def is_answer(cell):
    return bool(_marks(cell).get("solution")) and not _marks(cell).get("grade")


def is_answered_here(cell):
    """Return whether a cell is for an answer, in code or in prose."""
    return is_answer(cell) or _is_prose(cell)


def _is_prose(cell):
    return bool(_marks(cell).get("solution")) and bool(_marks(cell).get("grade"))
