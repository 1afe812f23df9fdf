"""Check the lessons' sentences about their runs over several seeds, before a release.

    python tools/check_claims.py                        all lessons, seeds 0, 1 and 2, in the laptop profile
    python tools/check_claims.py --only 01 --seeds 0,1  some of them
    python tools/check_claims.py --report               write the table of what was run, and run nothing

`tools/claims/NAME.toml` has the claims of a lesson, each with the sentence as it stands in the notebook (or what it
comes to, where numbers are computed) and a condition on the numbers that the notebook hands to `lesson.close`, a Python
expression. A lesson that was executed since it last changed is not executed again. The table goes into
docs/claims.md, the numbers into data/reference_runs/claims.json.
"""

import argparse
import hashlib
import json
import os
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "claims"
RECORD, TABLE = ROOT / "data" / "reference_runs" / "claims.json", ROOT / "docs" / "claims.md"
HEAD = """# What the lessons claim, over seeds

Written by `python tools/check_claims.py`. Each line is a sentence of a lesson about its runs; the condition is what \
it comes to in numbers, each taken from one run of the whole lesson in the `laptop` profile, with the seeds {seeds}.
"""


def claims(folder=ROOT / "tools" / "claims"):
    """Return a dict from the name of a lesson to its claims, each a dict with `sentence` and `holds`."""
    files = sorted(folder.glob("*.toml"))
    return {path.stem: tomllib.loads(path.read_text(encoding="utf-8"))["claims"] for path in files}


def holds(claim, found):
    """Return whether a claim's condition is true of the numbers of one run; one that is missing raises NameError."""
    return bool(eval(claim["holds"], {"__builtins__": {"abs": abs, "min": min, "max": max}}, dict(found)))


def numbers(claim, found):
    """Return the numbers of a run that a claim's condition names."""
    named = compile(claim["holds"], claim["sentence"], "eval").co_names
    return {name: found[name] for name in named if name in found}


def digest(name):
    """Return a digest of all that decides what a lesson's run finds: the notebook's code, the package and the sizes."""
    notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    parts = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    parts += [path.read_text(encoding="utf-8") for path in sorted((ROOT / "ganutils").glob("**/*.py"))]
    sizes = tomllib.loads((ROOT / "lessons.toml").read_text(encoding="utf-8"))[name]["laptop"]
    return hashlib.sha256("\n".join([*parts, json.dumps(sizes)]).encode()).hexdigest()[:12]


def execute(name, seed):
    """Execute a lesson with a seed, unless that has been done, and return the numbers that it found."""
    import nbformat
    import run_notebooks

    folder = BUILD / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{name}.json"
    if kept.is_file() and (found := json.loads(kept.read_text(encoding="utf-8")))["digest"] == digest(name):
        return found["metrics"]
    print(f"executing {name} with the seed {seed}", flush=True)
    before = digest(name)
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = cell.source.replace("SEED = 0", f"SEED = {seed}")
    source = ROOT / "notebooks" / f".claims-{os.getpid()}-{name}.ipynb"  # beside the lessons, where its links lead
    nbformat.write(notebook, source)
    for backup in (ROOT / "build" / "lessons" / f"{name}-laptop").glob("*.npz"):
        backup.unlink()  # of another seed
    try:
        run_notebooks.execute(source, folder / f"{name}.ipynb", "laptop")
    finally:
        source.unlink()
    found = run_notebooks.read_result(folder / f"{name}.ipynb")["metrics"]
    kept.write_text(json.dumps({"digest": before, "metrics": found}), encoding="utf-8")
    return found


def report(runs):
    """Write the table of all runs, and return what does not hold.

    Args:
        runs: dict from a lesson to a dict from a seed to the numbers that the run found.
    """
    seeds = sorted({int(seed) for by_seed in runs.values() for seed in by_seed})
    lines, wrong = [HEAD.format(seeds=", ".join(map(str, seeds)))], []
    for name, listed in claims().items():
        if name not in runs:
            continue
        lines += [f"## {name}", "", "| claim | condition | figures, seed by seed | holds |", "|---|---|---|---|"]
        for claim in listed:
            by_seed = runs[name].values()
            verdicts = [holds(claim, found) for found in by_seed]
            figures = "; ".join(", ".join(f"{v:.4g}" for v in numbers(claim, found).values()) for found in by_seed)
            verdict = "yes" if all(verdicts) else f"**no**, {sum(verdicts)} of {len(verdicts)}"
            condition = claim["holds"].replace("|", "\\|")
            lines.append(f"| {claim['sentence']} | `{condition}` | {figures} | {verdict} |")
            wrong += [] if all(verdicts) else [f"{name}: {claim['sentence']}"]
        lines.append("")
    RECORD.write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    TABLE.write_text("\n".join(lines), encoding="utf-8")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="beginnings of lessons' names, such as 01,02")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--report", action="store_true", help="run nothing; write the table of what was run")
    arguments = parser.parse_args()
    os.environ["GANUTILS_PROFILE"] = "laptop"
    runs = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    chosen = [name for name in claims() if name.startswith(tuple(arguments.only.split(",")))]
    for seed in arguments.seeds.split(",") if not arguments.report else ():
        for name in chosen:
            found = execute(name, int(seed))
            runs[name] = {key: value for key, value in runs.get(name, {}).items()} | {seed: found}
            for claim in claims()[name]:
                print(
                    f"{'holds ' if holds(claim, found) else 'FAILS '} {claim['sentence'][:70]}  {numbers(claim, found)}"
                )
    wrong = report(runs)
    print("\n".join(["do not hold:", *wrong]) if wrong else f"all claims hold; the table is in {TABLE}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
