"""Execute the numbered notebooks in order, and write what they took and found.

    python tools/run_notebooks.py                                 all, in the laptop profile
    python tools/run_notebooks.py --profile smoke --only 02       one, in seconds

Writes NOTEBOOK.ipynb and NOTEBOOK.html into build/notebooks, and build/summary.json and summary.md.
"""

import argparse
import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path

import nbformat
import papermill
import tqdm
from nbclient.exceptions import DeadKernelError
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

ROOT = Path(__file__).resolve().parents[1]
PROFILES = ("smoke", "laptop", "gpu")
RESULT = "application/vnd.ganutils.lesson+json"


def find_notebooks(folder, only):
    """Return the numbered notebooks whose names begin with one of the comma-separated `only`, in order."""
    found = sorted(path for path in Path(folder).glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise SystemExit(f"no numbered notebooks in {folder}")
    if only:
        beginnings = tuple(part.strip() for part in only.split(","))
        chosen = [path for path in found if path.name.startswith(beginnings)]
        if not chosen:
            raise SystemExit(f"no notebook begins with {only!r}; there are {', '.join(p.stem for p in found)}")
        return chosen
    return found


def execute(path, output, profile):
    """Execute one notebook with a progress bar that names the notebook and the section of the cell.

    Raises:
        PapermillExecutionError: a cell failed; what was executed is in `output`.
    """
    notebook = nbformat.read(path, as_version=4)
    sections, section = {}, ""
    for cell in notebook.cells:
        headings = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("#")]
        if cell.cell_type == "markdown" and headings:
            section = headings[-1]
        sections[cell.id] = section

    # A log file gets no bar: it would be a line for each cell.
    with tqdm.tqdm(
        total=len(notebook.cells),
        unit="cell",
        disable=None,
        bar_format="{desc} {percentage:3.0f}% |{bar:20}| {elapsed}",
    ) as bar:

        def on_cell_start(cell, cell_index):
            bar.set_description_str(f"{path.stem}, cell {cell_index + 1}: {sections.get(cell.id, 'parameters'):.36}")

        def on_cell_complete(cell, cell_index):
            bar.update(cell_index + 1 - bar.n)

        papermill.execute_notebook(
            path,
            output,
            parameters={"PROFILE": profile},
            cwd=path.parent,
            progress_bar=False,
            on_cell_start=on_cell_start,
            on_cell_complete=on_cell_complete,
            extra_arguments=["--log-level=ERROR"],
        )
        bar.update(bar.total - bar.n)


def read_result(path):
    """Return what a notebook's last cell left for the summary (see `ganutils.costs.Lesson.close`)."""
    for cell in reversed(nbformat.read(path, as_version=4).cells):
        for output in cell.get("outputs", []):
            if RESULT in output.get("data", {}):
                return output["data"][RESULT]
    return {"peak_mb": None, "steps_per_second": None, "metrics": {}}


def write_html(path):
    """Write a notebook as one HTML file, pictures included, beside it."""
    # The path is where the notebook was written: links to pictures start there.
    resources = {"metadata": {"name": path.stem, "path": str(ROOT / "notebooks")}}
    body, _ = HTMLExporter(embed_images=True).from_notebook_node(nbformat.read(path, as_version=4), resources)
    path.with_suffix(".html").write_text(body, encoding="utf-8")


def write_summary(rows, folder):
    """Write summary.json and summary.md, and return the table as text."""
    (folder / "summary.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    lines = ["| notebook | profile | seconds | peak MB | metrics |", "|---|---|---|---|---|"]
    for row in rows:
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in row["metrics"].items())
        peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
        lines.append(f"| {row['notebook']} | {row['profile']} | {row['seconds']:.0f} | {peak} | {metrics} |")
    table = "\n".join(lines) + "\n"
    (folder / "summary.md").write_text(table, encoding="utf-8")
    return table


def run(notebooks, profile, build):
    """Execute notebooks one after another; stop at the first that fails.

    Returns:
        (rows, failure): rows of the summary, and a message or None.
    """
    # The kernels inherit this; it must not contradict the parameter.
    os.environ["GANUTILS_PROFILE"] = profile
    folder = build / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    # Rows of other notebooks that were executed into the same folder stay.
    summary, names = build / "summary.json", {path.stem for path in notebooks}
    rows = json.loads(summary.read_text(encoding="utf-8")) if summary.is_file() else []
    rows, failure = [row for row in rows if row["notebook"] not in names], None
    for path in notebooks:
        output = folder / path.name
        if not sys.stderr.isatty():  # a log has no progress bar
            print(f"executing {path.stem}", flush=True)
        start = time.perf_counter()
        try:
            execute(path, output, profile)
        except DeadKernelError:
            failure = (
                f"{path.name}: the kernel died, often for lack of memory. What was executed so far is in {output}; "
                "the same command continues at the last finished epoch."
            )
        except PapermillExecutionError as error:
            failure = (
                f"{path.name} failed in cell {error.cell_index + 1}:\n\n{error.source.strip()}\n\n"
                f"{error.ename}: {error.evalue}\n\nWhat was executed so far is in {output}."
            )
        seconds = time.perf_counter() - start
        write_html(output)
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
                "steps_per_second": result["steps_per_second"],
            }
        )
        rows.sort(key=lambda row: row["notebook"])
        write_summary(rows, build)
    return rows, failure


def record(rows, profile):
    """Keep this run's costs for later estimates, its pictures, and its figures for the README's table.

    Args:
        rows: those of `run`, of the notebooks that were executed just now.
        profile: name of the profile that they ran in.
    """
    path = ROOT / "data" / "reference_runs" / "costs.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"lessons": {}}
    kept["command"] = "make record"
    # One machine, one speed: the best of the measurements, which other programs disturb least.
    rows = [row for row in rows if row["steps_per_second"]]
    rate = max(row["steps_per_second"] for row in rows)
    for row in rows:
        kept["lessons"][f"{row['notebook']} {profile}"] = {
            "seconds": row["seconds"],
            "peak_mb": row["peak_mb"],
            "steps_per_second": rate,
            "metrics": row["metrics"],
        }
        picture = ROOT / "build" / "lessons" / f"{row['notebook']}-{profile}" / "picture.png"
        if profile == "laptop" and picture.is_file():
            target = ROOT / "notebooks" / "pictures" / f"{row['notebook']}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    readme = ROOT / "README.md"
    readme.write_text(with_costs(readme.read_text(encoding="utf-8"), kept["lessons"]), encoding="utf-8")


def with_costs(text, lessons):
    """Return the README with the time and memory columns of its table of lessons taken from the record.

    A row of that table begins with a link to the notebook; its last two cells are time and memory.
    """
    lines = []
    for line in text.splitlines():
        cells = line.split("|")
        name = next(
            (key.split()[0] for key in lessons if key.endswith(" laptop") and f"{key.split()[0]}.ipynb" in line), None
        )
        if name and line.startswith("|") and len(cells) > 4:
            row = lessons[f"{name} laptop"]
            cells[-3:-1] = [f" {_minutes(row['seconds'])} ", f" {row['peak_mb'] / 1000:.1f} GB "]
            line = "|".join(cells)
        lines.append(line)
    return "\n".join(lines) + "\n"


def _minutes(seconds):
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default=os.environ.get("GANUTILS_PROFILE") or "laptop", choices=PROFILES)
    parser.add_argument("--only", default="", help="beginnings of notebook names, such as 02 or 00,01")
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", help="folder of the notebooks")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="folder to write to")
    parser.add_argument("--record", action="store_true", help="keep costs and pictures of this run in the repository")
    arguments = parser.parse_args()
    logging.getLogger("papermill").setLevel(logging.ERROR)

    notebooks = find_notebooks(arguments.notebooks, arguments.only)
    if arguments.record:  # a figure that is kept must be of this hour: forget what `costs.steps_per_second` remembers
        (ROOT / "build" / "speed.json").unlink(missing_ok=True)
    try:
        rows, failure = run(notebooks, arguments.profile, arguments.build)
    except KeyboardInterrupt:
        print("\nInterrupted. Next time this lesson's training goes on at its last finished epoch.", file=sys.stderr)
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
