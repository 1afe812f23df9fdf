"""Collect, grade and list a class, one submission after another, so that none of them can stop the others.

    python grade.py 01_vanilla_gan                  all submissions in downloaded/01_vanilla_gan and in submitted
    python grade.py 01_vanilla_gan --student ada    grade one student, again if necessary
    python grade.py --table                         write grades.csv again, after grading prose by hand

Run it in the folder of nbgrader_config.py. Writes grades.csv, not_graded.csv and feedback/.
"""

import argparse
import contextlib
import csv
import ctypes
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import unicodedata
import uuid
import zipfile
from datetime import datetime
from pathlib import Path

import mending
import nbformat
import psutil
from nbgrader.api import Gradebook

GRADEBOOK, GRADES, NOT_GRADED = "sqlite:///gradebook.db", Path("grades.csv"), Path("not_graded.csv")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz")
# ada, ada_20261201T120000, and what Moodle and Canvas append: a number for the student, and more.
STUDENT = re.compile(
    r"(?P<student>.+?)(_LATE)?(_(?P<time>\d{8}T\d{6})|_(?P<number>\d{2,})_(assignsubmission|(?P<file>\d{2,})_).*)?"
    r"(\.(ipynb|zip|tar|gz|tgz|bz2|tbz2|xz|txz))*",
    re.IGNORECASE | re.DOTALL,
)
MOST_MEGABYTES, MOST_SIGNS = 200, 1_000_000
TOO_LARGE = f"more than {MOST_MEGABYTES} MB were handed in"
# Identifies programs that a submission has started and left running.
MARK = "GAN_COURSE_SUBMISSION"


class NotGraded(Exception):
    """A submission, or a part of it, that a person must look at; the message says why."""


# Reading submissions


def files_in(name, content, budget, depth=0):
    """Yield (path, bytes) of a file, or of the files in an archive and in archives inside it.

    If an archive cannot be opened, a `NotGraded` takes the place of the bytes.

    Args:
        name: name of the file.
        content: its bytes.
        budget: list of one number, how many bytes may still be unpacked.
        depth: number of archives that contain it.
    """
    if not name.lower().endswith(ARCHIVES):
        yield name, content
        return
    try:
        inside = _unpacked(content, budget) if depth < 3 else []
    except Exception as error:  # each kind of archive has its own errors
        reason = str(error).partition("\n")[0].rstrip(":")
        yield name, NotGraded(f"cannot be opened as an archive: {reason}")
        return
    for path, data in inside:
        yield from files_in(path.replace("\\", "/"), data, budget, depth + 1)


def _unpacked(content, budget):
    """Return pairs of path and bytes of the files in an archive. Nothing is written, so unsafe paths do no harm."""

    def within_budget(size):
        budget[0] -= size
        if budget[0] < 0:
            raise OSError(TOO_LARGE)

    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            within_budget(sum(entry.file_size for entry in entries))
            return [(entry.filename, archive.read(entry)) for entry in entries]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        found = []
        for entry in archive:  # its size is known only after unpacking
            within_budget(entry.size)
            if entry.isfile():
                found.append((entry.name, archive.extractfile(entry).read()))
        return found


def read_notebook(content):
    """Return a notebook of any version and encoding in nbformat 4, or None for another kind of file.

    Raises:
        NotGraded: a notebook that is not valid JSON, or not a valid notebook.
    """
    try:
        text = content.decode(json.detect_encoding(content)).removeprefix("\ufeff")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    try:
        found = json.loads(text, strict=False)
    except (json.JSONDecodeError, RecursionError) as error:
        if '"cell_type"' in text:
            raise NotGraded(f"not valid JSON: {error}") from None
        return None
    if not isinstance(found, dict) or not ("cells" in found or "worksheets" in found):
        return None
    try:
        if found.get("nbformat", 4) < 4:
            found = nbformat.reads(json.dumps(found), as_version=4)
            for cell in found["cells"]:  # random ids, which would look new each time
                cell.pop("id", None)
        if sum(len("".join(cell.get("source", ""))) for cell in found["cells"]) > MOST_SIGNS:
            raise ValueError(f"its cells are longer than {MOST_SIGNS:,} characters")
        return nbformat.v4.new_notebook(cells=[_cell(cell, i) for i, cell in enumerate(found["cells"])])
    except Exception as error:  # no submission may stop the others
        raise NotGraded(f"not a valid notebook: {type(error).__name__}: {error}") from None


def _cell(given, number):
    """Return a valid cell with the needed parts of a cell that may be invalid."""
    kind = given["cell_type"] if given["cell_type"] in ("code", "raw") else "markdown"
    source = "".join(given.get("source", "")).encode("utf-8", "replace").decode()
    made = getattr(nbformat.v4, f"new_{kind}_cell")(source)
    made.metadata = nbformat.from_dict(given.get("metadata") or {})
    tags = made.metadata.get("tags")
    made.metadata.tags = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    made.id = str(given.get("id") or f"cell-{number}")
    if kind == "code":
        outputs = [nbformat.from_dict(output) for output in given.get("outputs") or []]
        made.outputs = [output for output in outputs if _is_valid(output)]
    elif given.get("attachments"):
        made.attachments = nbformat.from_dict(given["attachments"])
    return made


def _is_valid(output):
    try:
        nbformat.validate(output, ref="output", version=4)
    except nbformat.ValidationError:
        return False
    return True


def choose(files, released):
    """Return (path, notebook): the notebook among a student's files that has the most answers to this assignment.

    Raises:
        NotGraded: there is none.
    """
    stubs = {cell.id: cell.source for cell in released.cells if mending.is_answer(cell)}
    found, reasons, seen = [], [], []
    for path, content in files:
        name = path.rsplit("/", 1)[-1]
        if any(part.startswith((".", "__MACOSX")) for part in path.split("/") if part not in (".", "..")):
            continue
        seen.append(name)
        try:
            if isinstance(content, NotGraded):
                raise content
            notebook = read_notebook(content)
        except NotGraded as reason:
            reasons.append(f"file {name}: {reason}")
            continue
        except Exception as error:  # no other file may prevent the grading of a notebook
            reasons.append(f"file {name}: {type(error).__name__}: {error}")
            continue
        if notebook is None:
            continue
        names = mending.names_of(notebook.cells, released.cells)
        bound = set().union(*(mending.binds(cell.source) for cell in notebook.cells))
        if not set(names) & set(stubs) and not any(mending.binds(stub) & bound for stub in stubs.values()):
            title = next((cell.source.splitlines()[0] for cell in notebook.cells if cell.source.strip()), "no cells")
            reasons.append(f"file {name} holds no answer to this assignment; it begins with: {title[:60]}")
            continue
        given = {cell.id: cell.source for cell in released.cells}
        answers = [cell for cell in mending.mend(notebook, released).cells if mending.is_answered_here(cell)]
        done = sum(cell.source != given[cell.id] for cell in answers)
        found.append((done, -len(name), path, notebook))  # if equal, the shorter name: " (1)" marks a copy
    if not found:
        others = ", ".join(sorted(seen)[:5])
        packed = "; rar and 7z are not supported" if others.lower().endswith((".rar", ".7z")) else ""
        raise NotGraded("; ".join(reasons) or (f"no notebook, but {others}{packed}" if others else "no file at all"))
    return max(found, key=lambda entry: entry[:2])[2:]


def handed_in(assignment):
    """Return {student: [(time or "", folder or file), ...]} of all submissions."""
    groups = {}
    downloaded = Path("downloaded") / assignment
    archive = downloaded / "archive" if (downloaded / "archive").is_dir() else downloaded
    for entry in sorted(archive.iterdir()) if archive.is_dir() else ():
        if not entry.name.startswith((".", "__MACOSX")):
            parts = STUDENT.fullmatch(entry.name)
            # Unicode has two forms of accents; nbgrader reads some characters as patterns; others cannot be printed.
            name = unicodedata.normalize("NFC", parts["student"])
            student = re.sub(r"[^\w .,@'()-]", "_", name).strip(" '") or "_"
            entries = groups.setdefault(student, {}).setdefault((name, parts["number"]), [])
            entries.append((parts["time"] or "", parts["file"], entry))
    found = {}
    for student, alike in groups.items():
        for i, ((_, number), entries) in enumerate(alike.items(), 1):  # two people may have the same name
            files = [file for _, file, _ in entries if file]
            if len(set(files)) < len(files):  # platforms number files uniquely, so these are parts of names
                found |= {entry.name: [(at, entry)] for at, _, entry in entries}
                continue
            name = student if len(alike) == 1 else f"{student} ({number or i})"
            found[name] = [(at, entry) for at, _, entry in entries]
    for entry in sorted(Path("submitted").glob(f"*/{assignment}")):  # from nbgrader's exchange, or an earlier run
        found.setdefault(entry.parent.name, [("", entry)])
    return found


def collect(student, entries, assignment, released):
    """Write a student's notebook into submitted/; return whether it is new, and a remark for the instructor.

    Raises:
        NotGraded: there is no notebook.
    """
    last = max(at for at, _ in entries)
    newest = [entry for at, entry in entries if at == last]
    files, budget = [], [MOST_MEGABYTES * 2**20]
    for entry in newest:
        paths = sorted(path for path in entry.rglob("*") if path.is_file()) if entry.is_dir() else [entry]
        for path in (path for path in paths if not path.is_symlink()):
            name = path.relative_to(entry if entry.is_dir() else entry.parent).as_posix()
            size = path.stat().st_size
            if size > budget[0]:
                files.append((name, NotGraded(TOO_LARGE)))
            else:
                budget[0] -= size
                files += files_in(name, path.read_bytes(), budget)
    path, notebook = choose(files, released)
    folder = Path("submitted") / student / assignment
    target, content = folder / f"{assignment}.ipynb", nbformat.writes(notebook).encode("utf-8", "replace") + b"\n"
    new = not target.is_file() or target.read_bytes() != content
    folder.mkdir(parents=True, exist_ok=True)
    if new and newest == [folder] and target.is_file():
        (folder / ".as_handed_in").write_bytes(target.read_bytes())
    target.write_bytes(content)
    stamp = folder / "timestamp.txt"
    if last:
        stamp.write_text(datetime.strptime(last, "%Y%m%dT%H%M%S").strftime("%Y-%m-%d %H:%M:%S UTC"), encoding="utf-8")
    elif newest != [folder]:
        stamp.unlink(missing_ok=True)
    remarks = [f"the newest of {len(entries)} was used"] if len(newest) < len(entries) else []
    if len(newest) > 1 or (newest[0].is_dir() and not path.endswith(f"{assignment}.ipynb")):
        remarks.append(f"{path} was used")
    return new, "; ".join(remarks)


# Grading


def nbgrader(*arguments, minutes=60, gigabytes=4):
    """Run one command of nbgrader.

    Raises:
        NotGraded: it fails, takes too long, or, together with the programs that it starts, too much memory.
    """
    token = uuid.uuid4().hex
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # it calls alembic by name
    command = [sys.executable, "-m", "nbgrader", *arguments]
    environment = {**os.environ, "PATH": path, MARK: token}
    with tempfile.TemporaryFile() as log:  # not a pipe, which programs left running would keep open
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        latest = time.monotonic() + 60 * minutes
        try:
            while running.poll() is None:
                if time.monotonic() > latest:
                    raise NotGraded(f"not done after {minutes:g} minutes")
                if memory() > gigabytes:
                    raise NotGraded(f"it takes more than {gigabytes:g} GB of memory")
                time.sleep(0.5)
        finally:
            left_behind(token)
            running.wait()
        log.seek(0)
        said = log.read().decode("utf-8", "replace")
    if running.returncode:
        raise NotGraded(why(said))


def memory():
    """Return the memory in GB of the programs that this one has started."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total / 1e9


def adopt():
    """Under Linux, become the parent of all programs that submissions leave running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def left_behind(token):
    """Kill the programs that a submission has left running."""
    for _ in range(100):  # meanwhile they may start others
        if not (children := psutil.Process().children(recursive=True)):
            break
        end(children)
    # If they cannot be adopted, they are recognised by a mark in their environment.
    end(process for process in psutil.process_iter() if _mark(process) == token)


def _mark(process):
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ().get(MARK)
    return None


def end(processes):
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            process.kill()
            process.wait(10)


def why(said):
    """Return the reason of a failure, from nbgrader's output."""
    if "DeadKernel" in said or "Kernel died" in said:
        return "the kernel died while a cell was running: out of memory, or killed by the code"
    errors = re.findall(r"^ *((?:\w+\.)*\w*(?:Error|Exception|Entry)\b.*)", said, re.MULTILINE)
    return (errors[-1] if errors else said.strip()[-300:])[:300]


def graded(assignment, student):
    """Return the path of the notebook that nbgrader has graded."""
    return Path("autograded") / student / assignment / f"{assignment}.ipynb"


def grade(student, assignment, **limits):
    """Grade one submission, again if necessary, and write its feedback; return {task: reason} for tasks not graded.

    Raises:
        NotGraded: the whole submission cannot be graded.
    """
    nbgrader("autograde", assignment, f"--student={student}", "--force", **limits)
    nbgrader("generate_feedback", assignment, f"--student={student}", "--force")
    with Gradebook(GRADEBOOK) as gradebook:
        grades = gradebook.find_submission(assignment, student).notebooks[0].grades
        waiting = {grade.name for grade in grades if grade.needs_manual_grade}
    done = nbformat.read(graded(assignment, student), as_version=4)
    said = {cell.metadata.nbgrader.grade_id: mending.said(cell) for cell in done.cells if mending.is_test(cell)}
    limit = "a cell before it exceeded its time limit and was stopped"
    return {
        task: re.search(r"no answer within[^\n]*|$", text)[0] or limit for task, text in said.items() if task in waiting
    }


def table(reasons):
    """Write grades.csv. Submissions that could not be graded have an empty score, not 0.

    Args:
        reasons: rows of not_graded.csv.
    """
    lost = {(row["assignment"], row["student"]) for row in reasons if not row["task"]}
    rows = []
    with Gradebook(GRADEBOOK) as gradebook:
        for assignment in gradebook.assignments:
            for submission in assignment.submissions:
                key = assignment.name, submission.student.id
                if key in lost or not graded(*key).is_file():
                    lost.add(key)
                    continue
                by_hand = [g.name for notebook in submission.notebooks for g in notebook.grades if g.needs_manual_grade]
                late = submission.total_seconds_late > 0
                rows.append([*key, f"{submission.score:g}", f"{submission.max_score:g}", late, " ".join(by_hand)])
    rows += [[*key, "", "", "", "all, see not_graded.csv"] for key in lost]
    with GRADES.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["assignment", "student", "score", "max_score", "late", "to_grade_by_hand"])
        writer.writerows(sorted(rows, key=str))


def read_reasons():
    if not NOT_GRADED.is_file():
        return []
    with NOT_GRADED.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_reasons(rows):
    with NOT_GRADED.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.DictWriter(file, ["assignment", "student", "task", "reason"])
        writer.writeheader()
        writer.writerows(rows)


def main():
    sys.stdout.reconfigure(errors="replace")  # file names may contain anything
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assignment", nargs="?", help="such as 01_vanilla_gan")
    parser.add_argument("--student", help="grade only this student, even if already graded")
    parser.add_argument("--force", action="store_true", help="grade all students, even if already graded")
    parser.add_argument("--minutes", type=float, default=60, help="time limit for one submission (60)")
    parser.add_argument("--gigabytes", type=float, default=4, help="memory limit for one submission (4)")
    parser.add_argument("--table", action="store_true", help="grade nothing, only write grades.csv again")
    arguments = parser.parse_args()
    if arguments.table:
        table(read_reasons())
        return 0
    name = arguments.assignment
    if not name or not (Path("source") / name).is_dir():
        known = ", ".join(sorted(path.name for path in Path("source").glob("*"))) or "none: run it in instructor/"
        parser.error(f"give an assignment; choose from {known}")
    release = Path("release") / name / f"{name}.ipynb"
    if not release.is_file():
        print(f"making the student version of {name}")
        try:
            nbgrader("generate_assignment", name, "--force", "--create")
        except NotGraded as reason:
            print(f"that failed: {reason}", file=sys.stderr)
            return 1
    released = nbformat.read(release, as_version=4)

    adopt()
    found = handed_in(name)
    if not found:
        print(f"nothing in downloaded/{name}/archive or submitted/*/{name}", file=sys.stderr)
        return 1
    if arguments.student and arguments.student not in found:
        parser.error(f"no submission from {arguments.student!r}; there are {', '.join(found)}")
    # Drop submissions that have been removed.
    reasons = [row for row in read_reasons() if row["assignment"] != name or row["student"] in found]
    for i, (student, entries) in enumerate(sorted(found.items()), 1):
        if arguments.student not in (None, student):
            continue
        print(f"{i} of {len(found)}: {student}", end="", flush=True)
        lost = {}
        try:
            new, remark = collect(student, entries, name, released)
            if graded(name, student).is_file() and not (new or arguments.force or arguments.student):
                print(", unchanged")
                continue
            lost = grade(student, name, minutes=arguments.minutes, gigabytes=arguments.gigabytes)
            how = f"graded{'; ' + remark if remark else ''}{', except ' + ', '.join(lost) if lost else ''}"
        except NotGraded as reason:
            how, lost = "not graded", {"": str(reason)}
        except Exception as error:  # no submission may stop the others
            how, lost = "not graded", {"": f"{type(error).__name__}: {error}"}
        print(f", {how}")
        reasons = [row for row in reasons if (row["assignment"], row["student"]) != (name, student)]
        reasons += [{"assignment": name, "student": student, "task": task, "reason": why} for task, why in lost.items()]
        write_reasons(reasons)
    table(reasons)
    mine = [row for row in reasons if row["assignment"] == name]
    print(f"\nThe scores are in {GRADES}. Grade the prose in Formgrader, then run: python grade.py --table")
    print(f"not graded, check by hand ({NOT_GRADED}): {len(mine) or 'none'}")
    for row in mine:
        print(f"  {row['student']:20} {row['task'] or 'all':20} {row['reason']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
