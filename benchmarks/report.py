"""Write the tables of README.md beside this file anew, from the results of the benchmarks.

    python benchmarks/report.py

Each table stands between two marks, such as `<!-- throughput -->` and `<!-- /throughput -->`; what is between
them comes from results/throughput.json and is never edited by hand.
"""

import json
import statistics

import common
import quality

README = common.FOLDER / "README.md"
RESULTS = common.FOLDER / "results"
DATA = common.FOLDER.parent / "data"
RATES = ("float32 operations/s", "bfloat16 operations/s", "bytes/s")


def load(name):
    """Return the results of one benchmark."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def table(headings, rows):
    """Return a table in Markdown; the first column is on the left, all others on the right."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def number(value, digits=3):
    """Return a number as a reader wants it: so many significant digits, thousands apart."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def throughput():
    """Each contestant's speed, the ratio of ganutils' to it, and its share of the machine's limit."""
    parts = []
    for architecture, found in load("throughput")["results"].items():
        contestants = found["contestants"]
        rows = []
        for name, row in contestants.items():
            ratio = common.speed_ratio(contestants["ganutils"], row)
            speed = f"{number(row['median'])} ({number(min(row['images/s']))} to {number(max(row['images/s']))})"
            shares = f"{row['share']:.0%}", f"{row['share with memory']:.0%}"
            rows.append([name, f"{ratio:.2f}", speed, *shares, number(row["peak MB"])])
        kinds = [key for key in RATES if found["rates"][0][key]]
        rates = {key: statistics.median(rate[key] for rate in found["rates"]) for key in kinds}
        measured = ", ".join(f"{number(rates[key] / 1e9)} · 10⁹ {key}" for key in kinds)
        arithmetic = found["work"]["needed"] / rates["float32 operations/s"]
        memory = found["work"]["bytes"] / rates["bytes/s"]
        rows.append(["*the limit*", "", number(found["batch"] / arithmetic), "100%", "", ""])
        rows.append(["*the limit with memory*", "", number(found["batch"] / (arithmetic + memory)), "", "100%", ""])
        headings = [
            "loop",
            "ganutils over it",
            "images/s: median (range)",
            "share of the limit",
            "with memory",
            "peak MB",
        ]
        parts.append(
            f"**{architecture.capitalize()} networks**, batches of {found['batch']}, float32\n\n"
            + table(headings, rows)
            + f"\n\nThe machine at that time, medians: {measured}. A step needs at least "
            f"{found['work']['needed'] / 1e9:.1f} · 10⁹ operations, {1e3 * arithmetic:.0f} ms at that rate, and moves "
            f"{found['work']['bytes'] / 1e6:.0f} MB in layers without products, {1e3 * memory:.0f} ms at that "
            "bandwidth."
        )
        for name, reason in found.get("skipped", {}).items():
            parts[-1] += f" Skipped: {name} ({reason})."
        if found["not idle"]:
            parts[-1] += f" These took processor time while others were measured: {', '.join(found['not idle'])}."
    return "\n\n".join(parts)


def quality_over_time():
    """Median and range of each recipe's Fréchet distance at each mark, the picture, and the best peer over ours."""
    runs = load("quality")["runs"]
    summary = quality.summarise(runs)
    rows, last = [], {}
    for name, marks in summary.items():
        cells = [f"{number(m)} ({number(low)} to {number(high)})" for m, low, high, _ in marks.values()]
        last[name], _, _, steps = list(marks.values())[-1]
        seeds = sum(run["recipe"] == name for run in runs)
        rows.append([name.replace("_", " "), seeds, *cells, number(steps)])
    marks = [f"{mark:g} s" for mark in next(iter(summary.values()))]
    reached = ", ".join(f"{name.replace('_', ' ')} {number(distance)}" for name, distance in last.items())
    alt = f"FID (digits) over seconds of training, on logarithmic axes. After {marks[-1]}: {reached}"
    text = table(["recipe", "seeds", *marks, "steps at the end"], rows)
    peers = [name for name in last if name not in quality.OURS]
    if peers:
        best = min(peers, key=last.get)
        ratio, peer = last[best] / last["dcgan"], best.replace("_", " ")
        text += f"\n\nAfter {marks[-1]}, the best peer, {peer}, stands at {ratio:.1f} times the FID of our DCGAN."
    return f"{text}\n\n![{alt}](results/quality.png)"


def cost():
    """Growth with the number of images, their size, the batch, and of metrics with samples."""
    results, parts = load("cost")["results"], []
    quantities = {
        "images": ("seconds a step", "seconds an epoch", "array MB", "training MB"),
        "size": ("seconds a step", "images/s", "training MB"),
        "batch": ("seconds a step", "images/s", "training MB"),
    }
    for part, columns in quantities.items():
        if part not in results:
            continue
        rows = [[f"{int(key):,}", *[number(row[c]) for c in columns]] for key, row in results[part]["points"].items()]
        exponents = ", ".join(f"{key} {number(value, 2)}" for key, value in results[part]["exponents"].items())
        text = f"{table([part, *columns], rows)}\n\nExponent over the larger half: {exponents}."
        if line := results[part].get("memory"):
            (_, fixed), (unit, slope) = line.items()
            text += f" The memory of training is about {number(fixed)} MB and {number(slope, 2)} {unit}."
        parts.append(text)
    if "images" in results:
        slope = results["images"]["bytes an image"]
        parts.append(f"Each further image takes {slope:,.0f} bytes of memory, of which the uint8 array is 784.")
    rows = [
        [
            metric,
            *[f"{number(row['seconds'])} s, {number(row['growth MB'])} MB" for row in found["points"].values()],
            *[number(found["exponents"][name], 2) for name in ("seconds", "growth MB")],
        ]
        for metric, found in results.get("metrics", {}).items()
    ]
    if rows:
        samples = [f"{int(key):,}" for key in next(iter(results["metrics"].values()))["points"]]
        parts.append(table(["metric, by samples", *samples, "exponent of time", "of memory"], rows))
    return "\n\n".join(parts)


def scaling():
    """Speed on several devices and processes of one machine."""
    rows = [
        [
            row["case"],
            f"{number(row['images_per_second'])} ({number(row['lowest'])} to {number(row['highest'])})",
            f"{row['overhead']:+.0%}",
            number(row["peak_mb"]),
            f"{row['bytes_sent_per_step_and_replica'] / 1e6:.1f}",
        ]
        for row in load("scaling")["rows"]
    ]
    return table(["case", "images/s", "time of a step", "peak MB, all processes", "MB sent a step and replica"], rows)


def startup():
    """Where the seconds before the first training step go."""
    runs = load("startup")["runs"]
    stages = max((found[0] for found in runs.values()), key=len)

    def median(found, stage):
        return f"{statistics.median(run[stage] for run in found):.2f}" if stage in found[0] else "–"

    rows = [[stage, *[median(found, stage) for found in runs.values()]] for stage in stages]
    return table(["seconds, median", *runs], rows)


def targets():
    """What the course sets out to reach on two cores, what was reached, and whether that is enough."""
    found = load("throughput")["results"]
    rows = []

    def add(what, aim, reached, unit, more_is_better):
        met = reached >= aim if more_is_better else reached <= aim
        sign = "at least" if more_is_better else "at most"
        rows.append([what, f"{sign} {number(aim)}{unit}", f"{number(reached)}{unit}", "yes" if met else "no"])

    for architecture, results in found.items():
        contestants = results["contestants"]
        ratios = {name: common.speed_ratio(contestants["ganutils"], row) for name, row in contestants.items()}
        # A comma marks a loop with a setting that its users do not have by default.
        others = [name for name in ratios if name not in ("ganutils", "predict_train_on_batch") and "," not in name]
        text, without = (
            f"{architecture} networks: ganutils over",
            "" if "pytorch_eager" in ratios else ", without PyTorch",
        )
        if "predict_train_on_batch" in ratios:
            add(f"{text} `predict` + `train_on_batch`", 3, ratios["predict_train_on_batch"], " times", True)
        if others:
            best = min(others, key=ratios.get)
            add(f"{text} the best other loop as it is installed ({best}{without})", 1.5, ratios[best], " times", True)
    if "familiar" in found:
        share = found["familiar"]["contestants"]["ganutils"]["share"]
        add("familiar networks: share of the machine's limit", 60, 100 * share, " %", True)
    summary = quality.summarise(load("quality")["runs"])
    ours = summary.get("dcgan", {})
    for seconds, aim in ((60, 30), (300, 10)):
        if seconds in ours:
            add(f"FID (digits) of the DCGAN after {seconds} s", aim, ours[seconds][0], "", False)
    peers = {name: marks[300][0] for name, marks in summary.items() if name not in quality.OURS and 300 in marks}
    if peers and 300 in ours:
        without = "" if any("pytorch" in name for name in peers) else ", without PyTorch"
        add(f"best peer's FID over ours after 300 s{without}", 5, min(peers.values()) / ours[300][0], " times", True)
    for name in ("dcgan", "conditional_gan"):
        card = json.loads((DATA / "checkpoints" / f"{name}.json").read_text(encoding="utf-8"))
        add(f"FID (digits) of the shipped {name}", 3, card["metrics"]["frechet_distance"]["value"], "", False)
    lessons = json.loads((DATA / "reference_runs" / "costs.json").read_text(encoding="utf-8"))["lessons"]
    laptop = {name: row for name, row in lessons.items() if name.endswith(" laptop")}
    add("all lessons in `laptop`", 12, sum(row["seconds"] for row in laptop.values()) / 60, " min", False)
    largest = max(laptop, key=lambda name: laptop[name]["peak_mb"])
    add(f"most memory of a lesson ({largest.split()[0]})", 1.2, laptop[largest]["peak_mb"] / 1000, " GB", False)
    for kind, found in load("startup")["runs"].items():
        if kind != "process":
            seconds = statistics.median(run["until the first step is done"] for run in found)
            add(f"kernel start to first training step of the DCGAN, {kind}", 12, seconds, " s", False)
    return table(["what", "aim", "reached", "met"], rows)


def machine():
    """The machine and the versions of the last throughput run, and which results are of another one."""
    found = load("throughput")
    facts = {**found["machine"], "PyTorch": found.get("PyTorch")}
    text = table(["", found["date"]], [[key, value] for key, value in facts.items() if value is not None])
    others = [path.stem for path in sorted(RESULTS.glob("*.json")) if _place(load(path.stem)) != _place(found)]
    return text + (f"\n\nMeasured elsewhere, or with other versions: {', '.join(others)}." if others else "")


def _place(found):
    return {key: value for key, value in found.get("machine", {}).items() if key not in ("load", "memory")}


TABLES = {
    "machine": machine,
    "targets": targets,
    "throughput": throughput,
    "quality": quality_over_time,
    "cost": cost,
    "scaling": scaling,
    "startup": startup,
}


def fill(text):
    """Return a text with each marked part replaced by its table; parts without results stay as they are.

    Raises:
        ValueError: a table that has no place in the text.
    """
    for name, build in TABLES.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{README.name} has no place for the table {name!r}: {begin} … {end}")
        try:
            content = build()
        except FileNotFoundError as error:
            print(f"{name}: no results ({error.filename})")
            continue
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{content}\n\n{end}{rest.split(end)[1]}"
    return text


if __name__ == "__main__":
    README.write_text(fill(README.read_text(encoding="utf-8")), encoding="utf-8")
