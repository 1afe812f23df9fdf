"""Execute the numbered notebooks in order, and write their pages, costs and results.

    python tools/run_notebooks.py                                 part one, in the laptop profile
    python tools/run_notebooks.py --part all                      all parts
    python tools/run_notebooks.py --profile smoke --only 02       one lesson, in about a minute

Writes NOTEBOOK.ipynb and NOTEBOOK.html (see `pages.py`) to build/notebooks, and build/summary.json and summary.md.
"""

import argparse
import json
import logging
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import nbformat
import pages
import papermill
import tables
import tqdm
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

ROOT = Path(__file__).resolve().parents[1]
LESSONS = tomllib.loads((ROOT / "lessons.toml").read_text(encoding="utf-8"))
tables.check(LESSONS)
PARTS = sorted({str(lesson["part"]) for lesson in LESSONS.values()})
PROFILES = [key for key, sizes in next(iter(LESSONS.values())).items() if isinstance(sizes, dict)]


def find_notebooks(folder, only="", part="1"):
    """Return numbered notebooks, in order.

    Args:
        folder: folder of the notebooks.
        only: prefixes of their names, in any part, separated by commas or spaces.
        part: "1", "2" or "3" of the course, or "all"; used if `only` is empty. A notebook without an entry in
            lessons.toml belongs to every part.
    """
    found = sorted(path for path in Path(folder).glob("[0-9][0-9]*_*.ipynb"))
    if not found:
        raise SystemExit(f"no numbered notebooks in {folder}")
    if only:
        numbers = {path.stem.partition("_")[0] for path in found}  # 04 is not 04b
        chosen = []
        for given in [part for part in only.replace(",", " ").split()] or [only]:
            beginning = f"{given}_" if given in numbers else given
            matching = [path for path in found if len(given) > 1 and path.name.startswith(beginning)]
            if not matching:
                raise SystemExit(f"no notebook begins with {given!r}; choose from {', '.join(p.stem for p in found)}")
            chosen += matching
        return sorted(set(chosen))
    chosen = [path for path in found if part in ("all", str(LESSONS.get(path.stem, {}).get("part", part)))]
    if not chosen:
        raise SystemExit(f"no notebook belongs to part {part}; choose from {', '.join(PARTS)}, all")
    return chosen


def set_profile(notebook, profile):
    """Set the profile in a notebook's parameters cell, in place, so that no second cell contradicts it.

    Raises:
        ValueError: there is no such cell.
    """
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source, found = re.subn(r"^PROFILE = .\w*.", f'PROFILE = "{profile}"', cell.source, flags=re.MULTILINE)
            if found:
                return
    raise ValueError('no cell with the tag `parameters` has a line such as PROFILE = "laptop"')


def execute(path, output, profile):
    """Execute one notebook, with a progress bar that shows the notebook and the section of the cell.

    Raises:
        ValueError: the notebook has no parameters cell.
        PapermillExecutionError: a cell failed; the cells executed so far are in `output`.
    """
    notebook = pages.read_notebook(path)
    set_profile(notebook, profile)
    sections, section, executed = {}, "", {}
    for cell in notebook.cells:
        headings = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("#")]
        if cell.cell_type == "markdown" and headings:
            section = headings[-1]
        sections[cell.id] = section

    # No bar in a log file, where it would be a line for each cell.
    with tqdm.tqdm(
        total=len(notebook.cells),
        unit="cell",
        disable=None,
        bar_format="{desc} {percentage:3.0f}% |{bar:20}| {elapsed}",
    ) as bar:

        def on_cell_start(cell, cell_index):
            bar.set_description_str(f"{path.stem}, cell {cell_index + 1}: {sections[cell.id]:.36}")

        def on_cell_complete(cell, cell_index):
            executed[cell_index] = cell
            bar.update(cell_index + 1 - bar.n)

        try:
            papermill.execute_notebook(
                notebook,
                output,
                cwd=path.parent,
                kernel_name="python3",  # this environment's, whatever kernel the notebook was saved with
                progress_bar=False,
                # Else it writes all of the notebook, megabytes of pictures, twice a cell.
                request_save_on_cell_execute=False,
                autosave_cell_every=0,
                on_cell_start=on_cell_start,
                on_cell_complete=on_cell_complete,
                extra_arguments=["--log-level=ERROR"],
            )
        except DeadKernelError:  # which papermill leaves without writing anything
            for index, cell in executed.items():
                notebook.cells[index] = cell
            nbformat.write(notebook, output)
            raise
        bar.update(bar.total - bar.n)


def read_result(path):
    """Return the result that a notebook's last cell stored (see `ganutils.lessons.Lesson.close`)."""
    from ganutils import lessons  # imports TensorFlow, so only after a notebook has been executed

    for cell in reversed(nbformat.read(path, as_version=4).cells):
        for output in cell.get("outputs", []):
            if lessons.MIME_TYPE in output.get("data", {}):
                return output["data"][lessons.MIME_TYPE]
    return {"peak_mb": None, "metrics": {}}


def write_summary(rows, folder):
    """Write summary.json and summary.md, and return the table as text."""
    (folder / "summary.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    lines = ["| notebook | profile | seconds | peak MB |", "|---|---|---|---|"]
    for row in rows:
        peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
        lines.append(f"| {row['notebook']} | {row['profile']} | {row['seconds']:.0f} | {peak} |")
    table = "\n".join(lines) + "\n"
    (folder / "summary.md").write_text(table, encoding="utf-8")
    return table


def run(notebooks, profile, build):
    """Execute notebooks one after another; stop at the first that fails.

    Returns:
        (rows, failure): rows of the summary, and a message or None.
    """
    # The kernels inherit this; it must not contradict the parameters cell.
    os.environ["GANUTILS_PROFILE"] = profile
    folder = build / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    # Keep the rows of other notebooks that were executed into the same folder.
    summary, names = build / "summary.json", {path.stem for path in notebooks}
    rows = json.loads(summary.read_text(encoding="utf-8")) if summary.is_file() else []
    rows, failure = [row for row in rows if row["notebook"] not in names], None
    site = pages.Pages(notebooks[0].parent, folder)
    site.prepare(notebooks)
    for path in notebooks:
        output = folder / path.name
        if not sys.stderr.isatty():  # a log has no progress bar
            print(f"executing {path.stem}", flush=True)
        start = time.perf_counter()
        try:
            execute(path, output, profile)
        except DeadKernelError:
            failure = (
                f"{path.name}: the kernel died, often for lack of memory. The cells executed so far are in {output}; "
                "the same command resumes from the last finished epoch."
            )
        except PapermillExecutionError as error:
            failure = (
                f"{path.name} failed in cell {error.cell_index + 1}:\n\n{error.source.strip()}\n\n"
                f"{error.ename}: {error.evalue}\n\nThe cells executed so far are in {output}."
            )
        seconds = time.perf_counter() - start
        site.write(path)
        if failure:
            break
        result = read_result(output)
        rows.append(
            {
                "notebook": path.stem,
                "profile": profile,
                "seconds": round(seconds, 1),
                "peak_mb": result["peak_mb"],
                "metrics": result["metrics"],
            }
        )
        rows.sort(key=lambda row: row["notebook"])
        write_summary(rows, build)
    return rows, failure


def record(rows, profile):
    """Store this run's costs, for estimates and the README's table, and its pictures in the repository.

    Args:
        rows: rows of `run` for the notebooks that were just executed.
        profile: name of their profile.
    """
    from ganutils import lessons

    path = lessons.RECORD
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"lessons": {}}
    kept["command"] = "make record"
    rate = lessons.stored_speed() or lessons.measure_steps_per_second()
    usual = statistics.median([row["steps_per_second"] for row in kept["lessons"].values()] or [rate])
    if not 0.8 < rate / usual < 1.25:
        print(
            f"This machine takes {rate:.0f} training steps per second now, but most lessons were recorded at "
            f"{usual:.0f}. Record on that machine while it is idle, or record all lessons on this one: `make record`.",
            file=sys.stderr,
        )
    for row in (row for row in rows if row["peak_mb"]):  # skip notebooks that do not close a lesson
        kept["lessons"][f"{row['notebook']} {profile}"] = {
            "seconds": row["seconds"],
            "peak_mb": row["peak_mb"],
            "steps_per_second": rate,
            "metrics": row["metrics"],
        }
        picture = ROOT / "build" / "lessons" / f"{row['notebook']}-{profile}" / "picture.png"
        if profile == "laptop" and not picture.is_file():
            print(f"{row['notebook']} saved no picture: it must call `lesson.save_picture(figure)`.", file=sys.stderr)
        elif profile == "laptop":
            target = ROOT / "notebooks" / "pictures" / f"{row['notebook']}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    # These write the README's table, and the benchmarks' row with the time of all lessons.
    for script in ("tools/clean_notebooks.py", "benchmarks/report.py"):
        subprocess.run([sys.executable, ROOT / script], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default=os.environ.get("GANUTILS_PROFILE") or "laptop", choices=PROFILES)
    parser.add_argument("--only", default="", help="prefixes of notebook names, such as 02 or 00,01, in any part")
    parser.add_argument("--part", default="1", choices=["1", "2", "3", "all"], help="of the course; 1 by default")
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", help="folder of the notebooks")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="folder to write to")
    parser.add_argument("--record", action="store_true", help="store costs and pictures of this run in the repository")
    arguments = parser.parse_args()
    logging.getLogger("papermill").setLevel(logging.ERROR)

    notebooks = find_notebooks(arguments.notebooks, arguments.only, arguments.part)
    if arguments.record:  # the recorded speed must be current
        (ROOT / "build" / "speed.json").unlink(missing_ok=True)
        for path in notebooks:  # and no picture of an earlier run may be recorded
            (ROOT / "build" / "lessons" / f"{path.stem}-{arguments.profile}" / "picture.png").unlink(missing_ok=True)
    try:
        rows, failure = run(notebooks, arguments.profile, arguments.build)
    except KeyboardInterrupt:
        print("\nInterrupted. Next time, this lesson's training resumes from its last finished epoch.", file=sys.stderr)
        return 130
    print("\n" + write_summary(rows, arguments.build))
    if failure:
        print(failure, file=sys.stderr)
        return 1
    if arguments.record:
        executed = {path.stem for path in notebooks}
        record([row for row in rows if row["notebook"] in executed], arguments.profile)
    print(f"The executed notebooks are in {arguments.build / 'notebooks'}; open one of the .html files in a browser.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
