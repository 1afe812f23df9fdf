"""Write the tables of benchmarks/README.md and of lesson 05 from the results of the benchmarks.

    python benchmarks/report.py

Each table is between two marks, such as `<!-- throughput -->` and `<!-- /throughput -->`, comes from
results/throughput.json and is never edited by hand. The benchmarks print the same tables.
"""

import json
import statistics
import tomllib

import collapse
import common
from common import number, table

README = common.FOLDER / "README.md"
LESSON = common.FOLDER.parent / "notebooks" / "05_training_stability.ipynb"
RESULTS = common.FOLDER / "results"
DATA = common.FOLDER.parent / "data"
RATES = ("float32 operations/s", "bytes/s")
ROWS = "contestants"  # the implementations, in results/throughput.json
OURS = ("dcgan", "conditional_gan", "vanilla_gan")
NAMES = {"familiar": "baseline", "fast": "small"}  # of the two DCGANs, by their keys in results and commands


def load(name):
    """Return the results of one benchmark; those that a lesson reads, too, are with its reference runs."""
    path = RESULTS / f"{name}.json"
    path = path if path.is_file() else DATA / "reference_runs" / path.name
    return json.loads(path.read_text(encoding="utf-8"))


def throughput(found):
    """Return the table of each implementation's speed, the ratio of ganutils' to it, and its share of the limit."""
    parts = []
    for architecture, results in found["results"].items():
        first, rows = next(iter(results[ROWS])), []
        for name, row in results[ROWS].items():
            ratio = common.speed_ratio(results[ROWS][first], row)
            speed = f"{number(row['median'])} ({number(min(row['images/s']))} to {number(max(row['images/s']))})"
            shares = f"{row['share']:.0%}", f"{row['share with memory']:.0%}"
            rows.append([name, f"{ratio:.2f}", speed, *shares, number(row["peak MB"])])
        rates = {key: statistics.median(rate[key] for rate in results["rates"]) for key in RATES}
        measured = ", ".join(f"{number(rate / 1e9)} · 10⁹ {key}" for key, rate in rates.items())
        batch, work = results["batch"], results["work"]
        arithmetic, memory = work["needed"] / rates[RATES[0]], work["bytes"] / rates[RATES[1]]
        rows.append(["*the limit*", "", number(batch / arithmetic), "100%", "", ""])
        rows.append(["*the limit with memory*", "", number(batch / (arithmetic + memory)), "", "100%", ""])
        columns = ("images/s: median (range)", "share of the limit", "with memory", "peak MB")
        parts.append(
            f"**{NAMES[architecture].capitalize()} DCGAN**, batches of {batch}, float32\n\n"
            + table(["loop", f"{first} over it", *columns], rows)
            + f"\n\nThe machine at that time, medians: {measured}. A step needs at least {work['needed'] / 1e9:.1f} · "
            f"10⁹ operations, {1e3 * arithmetic:.0f} ms at that rate, and moves {work['bytes'] / 1e6:.0f} MB in layers "
            f"without matrix products, {1e3 * memory:.0f} ms at that bandwidth."
        )
    return "\n\n".join(parts)


def summarise(runs):
    """Return {recipe: {seconds: (median, minimum, maximum Fréchet distance, median of steps)}} of quality's runs."""
    found = {}
    for entry in runs:
        for mark, steps, distance in zip(entry["seconds"], entry["steps"], entry["frechet_distance"], strict=True):
            found.setdefault(entry["recipe"], {}).setdefault(mark, []).append((distance, steps))

    def summary(values):
        distances, steps = zip(*values, strict=True)
        return statistics.median(distances), min(distances), max(distances), statistics.median(steps)

    return {name: {mark: summary(values) for mark, values in marks.items()} for name, marks in found.items()}


def quality(found):
    """Return the table of each recipe's Fréchet distance at each time, the best peer over ours, and the picture."""
    summary, rows, last = summarise(found["runs"]), [], {}
    for name, marks in summary.items():
        cells = [f"{number(m)} ({number(low)} to {number(high)})" for m, low, high, _ in marks.values()]
        last[name], _, _, steps = list(marks.values())[-1]
        seeds = sum(run["recipe"] == name for run in found["runs"])
        rows.append([name.replace("_", " "), seeds, *cells, number(steps)])
    marks = [f"{mark:g} s" for mark in next(iter(summary.values()))]
    reached = ", ".join(f"{name.replace('_', ' ')} {number(distance)}" for name, distance in last.items())
    alt = f"FID (digits) over seconds of training, on logarithmic axes. After {marks[-1]}: {reached}"
    text = table(["recipe", "seeds", *marks, "steps at the end"], rows)
    if peers := [name for name in last if name not in OURS]:
        best = min(peers, key=last.get)
        ratio, peer = last[best] / last["dcgan"], best.replace("_", " ")
        text += f"\n\nAfter {marks[-1]}, the best peer, {peer}, has {ratio:.1f} times the FID of our DCGAN."
    return f"{text}\n\n![{alt}](results/quality.png)"


def cost(found):
    """Return the tables of time and memory by number of images, image size, batch size and, for metrics, samples."""
    results, parts = found["results"], []
    quantities = {
        "images": ("seconds a step", "seconds an epoch", "array MB", "training MB"),
        "size": ("seconds a step", "images/s", "training MB"),
        "batch": ("seconds a step", "images/s", "training MB"),
    }
    for part in (part for part in quantities if part in results):
        columns, points = quantities[part], results[part]["points"]
        rows = [[f"{int(key):,}", *[number(row[c]) for c in columns]] for key, row in points.items()]
        exponents = ", ".join(f"{key} {number(value, 2)}" for key, value in results[part]["exponents"].items())
        text = f"{table([part, *columns], rows)}\n\nExponent over the larger half: {exponents}."
        if line := results[part].get("memory"):
            (_, fixed), (unit, slope) = line.items()
            text += f" The memory of training is about {number(fixed)} MB plus {number(slope, 2)} {unit}."
        parts.append(text)
    if "images" in results:
        slope = results["images"]["bytes an image"]
        parts.append(f"Each additional image takes {slope:,.0f} bytes of memory, 784 of them in the uint8 array.")
    if "metrics" in results:
        rows = []
        for metric, by_samples in results["metrics"].items():
            points, exponents = by_samples["points"], by_samples["exponents"]
            cells = [f"{number(row['seconds'])} s, {number(row['growth MB'])} MB" for row in points.values()]
            rows.append([metric, *cells, *[number(exponents[name], 2) for name in ("seconds", "growth MB")]])
        samples = [f"{int(key):,}" for key in points]
        parts.append(table(["metric, by samples", *samples, "exponent of time", "of memory"], rows))
    return "\n\n".join(parts)


def scaling(found):
    """Return the table of speeds on several devices and processes of one machine."""
    rows = [
        [
            row["case"],
            f"{number(row['images_per_second'])} ({number(row['lowest'])} to {number(row['highest'])})",
            f"{row['overhead']:+.0%}",
            number(row["peak_mb"]),
            f"{row['bytes_sent_per_step_and_replica'] / 1e6:.1f}",
        ]
        for row in found["rows"]
    ]
    columns = ["case", "images/s", "time per step", "peak MB, all processes", "MB sent per step and replica"]
    return table(columns, rows)


def startup(found):
    """Return the table of the stages before the end of the first training step."""
    stages = max((runs[0] for runs in found["runs"].values()), key=len)

    def median(runs, stage):
        return f"{statistics.median(run[stage] for run in runs):.2f}" if stage in runs[0] else "–"

    rows = [[stage, *[median(runs, stage) for runs in found["runs"].values()]] for stage in stages]
    return table(["seconds, median", *found["runs"]], rows)


def targets(found):
    """Return the table of the course's aims on two cores, the values reached, and whether they meet the aims."""
    rows = []

    def add(what, aim, reached, unit, more_is_better=False):
        met = reached >= aim if more_is_better else reached <= aim
        sign = "at least" if more_is_better else "at most"
        rows.append([what, f"{sign} {number(aim)}{unit}", f"{number(reached)}{unit}", "yes" if met else "no"])

    for architecture, results in found["results"].items():
        ratios = {name: common.speed_ratio(results[ROWS]["ganutils"], row) for name, row in results[ROWS].items()}
        text, predict = f"{NAMES[architecture]} DCGAN: ganutils over", ratios.pop("predict_train_on_batch")
        add(f"{text} `predict` + `train_on_batch`", 3, predict, " times", True)
        # A comma marks a loop with a setting that is not the default.
        others = [name for name in ratios if name != "ganutils" and "," not in name]
        best = min(others, key=ratios.get)
        without = "" if "pytorch_eager" in ratios else ", without PyTorch"
        add(f"{text} the best other loop with default settings ({best}{without})", 1.5, ratios[best], " times", True)
    share = found["results"]["familiar"][ROWS]["ganutils"]["share"]
    add("baseline DCGAN: share of the machine's limit", 60, 100 * share, " %", True)
    at = {name: marks for name, marks in summarise(load("quality")["runs"]).items() if 300 in marks}
    for seconds, aim in ((60, 30), (300, 10)):
        add(f"FID (digits) of the DCGAN after {seconds} s", aim, at["dcgan"][seconds][0], "")
    if peers := {name: marks[300][0] for name, marks in at.items() if name not in OURS}:
        without = "" if any("pytorch" in name for name in peers) else ", without PyTorch"
        ratio = min(peers.values()) / at["dcgan"][300][0]
        add(f"best peer's FID over ours after 300 s{without}", 5, ratio, " times", True)
    for name in ("dcgan", "conditional_gan"):
        card = json.loads((DATA / "checkpoints" / f"{name}.json").read_text(encoding="utf-8"))
        add(f"FID (digits) of the shipped {name}", 3, card["metrics"]["frechet_distance"]["value"], "")
    lessons = json.loads((DATA / "reference_runs" / "costs.json").read_text(encoding="utf-8"))["lessons"]
    entries = tomllib.loads((common.FOLDER.parent / "lessons.toml").read_text(encoding="utf-8"))
    first = [f"{name} laptop" for name, entry in entries.items() if entry["part"] == 1]
    laptop = {name: lessons[name] for name in first}
    add("all lessons of part one in `laptop`", 12, sum(row["seconds"] for row in laptop.values()) / 60, " min")
    largest = max(laptop, key=lambda name: laptop[name]["peak_mb"])
    add(f"largest peak memory of a lesson ({largest.split()[0]})", 1.2, laptop[largest]["peak_mb"] / 1000, " GB")
    for kind, runs in load("startup")["runs"].items():
        if kind != "process":
            seconds = statistics.median(run["until the first step is done"] for run in runs)
            add(f"from kernel start to first training step of the DCGAN, {kind}", 12, seconds, " s")
    return table(["what", "aim", "reached", "met"], rows)


def machine(found):
    """Return the table of machine and versions of the last throughput run, and list results from other ones."""
    facts = {**found["machine"], "PyTorch": found.get("PyTorch")}
    text = table(["", found["date"]], [[key, value] for key, value in facts.items() if value is not None])

    def place(found):
        return {key: value for key, value in found["machine"].items() if key not in ("load", "memory")}

    others = [path.stem for path in sorted(RESULTS.glob("*.json")) if place(load(path.stem)) != place(found)]
    return text + (f"\n\nMeasured elsewhere, or with other versions: {', '.join(others)}." if others else "")


# Table 1 of PacGAN (Lin et al. 2018), after 400,000 iterations: modes with ±, share of high quality, reverse KL.
PACGAN = {
    ("ring", 1): (6.3, 0.5, 0.982, 0.45),
    ("ring", 2): (7.9, 0.1, 0.956, 0.07),
    ("grid", 1): (17.3, 0.8, 0.948, 0.70),
    ("grid", 2): (23.8, 0.7, 0.913, 0.13),
    ("grid", 4): (24.8, 0.2, 0.936, 0.04),
}
# Modes and divergence of Table 1 of R3GAN (Huang et al. 2024) and modes of Table 3 of PacGAN, with other networks.
STACKED = {  # Table 1 of R3GAN, modes and divergence; Table 3 of PacGAN, modes
    "relativistic + R1 + R2": "1,000; 0.078",
    "non-saturating + R1 + R2": "693; 0.927",
    "relativistic + R1": "diverges",
    "non-saturating + R1": "diverges",
    "plain, D a half": "488, with batch norm",
    "plain, D a quarter, G with batch norm": "78.5",
    "packs of 2, D a half": "841, with batch norm",
    "packs of 2, D a quarter": "485, with batch norm",
}


def by_configuration(runs):
    """Return {configuration: its runs} of those with the number of iterations that most runs have, and this number."""
    usual, groups = statistics.mode(run["iterations"] for run in runs), {}
    for run in runs:
        if run["iterations"] == usual:
            groups.setdefault(tuple(run["configuration"]), []).append(run)
    return groups, usual


def mean_and_error(values):
    """Return the mean and its standard error, which one value does not have."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return statistics.mean(values), error


def mixtures(found):
    """Return Table 1 of PacGAN: ours, theirs, and whether the numbers of modes agree within their spread."""
    of_data = {name: [run for run in found["runs"] if run["configuration"][0] == name] for name in ("ring", "grid")}
    of_data = {name: by_configuration(runs) for name, runs in of_data.items() if runs}
    groups = {key: runs for of_one, _ in of_data.values() for key, runs in of_one.items()}
    taken = " and ".join(f"{iterations:,} iterations on the {name}" for name, (_, iterations) in of_data.items())
    rows = []
    for key, (modes, plus_minus, high_quality, reverse_kl) in PACGAN.items():
        runs = groups.get(key, [])
        if not runs:
            continue
        (mean, error), quality, divergence = (
            mean_and_error([run[name] for run in runs]) for name in ("modes", "high_quality", "reverse_kl")
        )
        agree = "yes" if abs(mean - modes) <= 2 * (error**2 + plus_minus**2) ** 0.5 else "no"
        rows.append([key[0], key[1] if key[1] > 1 else "none", len(runs), f"{mean:.1f} ± {error:.1f}"])
        rows[-1] += [f"{modes} ± {plus_minus}", agree, f"{quality[0]:.0%} ± {100 * quality[1]:.0f}"]
        rows[-1] += [f"{high_quality:.0%}", f"{divergence[0]:.2f} ± {divergence[1]:.2f}", f"{reverse_kl:.2f}"]
    columns = ["data", "packs", "seeds", "modes", "theirs", "modes agree", "high quality", "theirs", "reverse KL"]
    columns.append("theirs")
    return (
        f"{table(columns, rows)}\n\n{taken}; theirs have 400,000. ± is the standard error of our "
        "mean, and what the paper prints for theirs. A perfect generator has 98.9% of high quality. *Modes agree*: "
        "they differ by at most twice the joint ±."
    )


def stacked_mnist(found):
    """Return the table of modes and divergences on Stacked MNIST, each seed, beside published ones."""
    groups, iterations = by_configuration(found["runs"])
    rows = []
    for name, runs in ((name, groups[name,]) for name in collapse.STACKED if (name,) in groups):
        finite = [run["divergence"] for run in runs if run["divergence"] == run["divergence"]]
        divergence = f"{statistics.mean(finite):.2f}" if len(finite) == len(runs) else "diverged"
        modes = ", ".join(f"{run['modes']:,}" for run in sorted(runs, key=lambda run: run["seed"]))
        rows.append([name, modes, divergence, STACKED.get(name, "")])
    return (
        f"{table(['method', 'modes of 1,000, each seed', 'KL divergence', 'published'], rows)}\n\n{iterations:,} steps "
        "of small networks on two cores. A perfect generator has about 1,000 modes and a divergence of 0.05 with these "
        "10,000 samples. With one mode, all latents give the same picture, and it is no digit. D and G are the "
        "discriminator and the generator; *D a half* has half of our discriminator's usual channels. Penalties are "
        "charged at each step, and in this course's recipe at each eighth; a batch has as many packs as it has images "
        "elsewhere. The published numbers are R3GAN's modes and divergence in the first four rows, and PacGAN's modes "
        "in the others: both of their players have batch norm, and their discriminator has a half or a quarter of the "
        "generator's size."
    )


def coarse_to_fine(found):
    """Return the tables of the pyramid, and of growing and training at once, with the values of all seeds."""
    runs_of = {}
    for run in sorted(found["runs"], key=lambda run: run["seed"]):
        runs_of.setdefault(run["recipe"], []).append(run)
    runs_of |= {f"{run['recipe']}, long": [run] for run in found["long"]}

    def at_the_end(name, key, digits=0):
        return ", ".join(f"{run[key][-1]:.{digits}f}" for run in runs_of[name])

    seconds = {name: f"{runs[0]['seconds'][-1]:g}" for name, runs in runs_of.items()}
    given = {"real 14 × 14": "given_14", "real 7 × 7": "given_7", "noise": "frechet_distance"}
    rows = [[name, at_the_end("lapgan", key, 1)] for name, key in given.items()]
    rows.append(["*floor: one half of the real digits against the other*", at_the_end("lapgan", "floor", 1)])
    columns = [f"pyramid on digits, {seconds['lapgan']} s in all, made from", "FID (digits), 10,000 samples, each seed"]
    parts, rows = [table(columns, rows)], []
    for name in (name for name in runs_of if name != "lapgan"):
        values = [at_the_end(name, *key) for key in (("frechet_distance",), ("floor", 1), ("sure", 2), ("missing",))]
        rows.append([name.replace("_", " "), seconds[name], *values])
    columns = ["faces", "seconds", "FID (faces), 5,000 samples, each seed", "floor", "sure, over real faces"]
    return "\n\n".join([*parts, table([*columns, "values missing"], rows)])


# From the name of a table to its function and the name of its results.
TABLES = {
    "machine": (machine, "throughput"),
    "targets": (targets, "throughput"),
    "throughput": (throughput, "throughput"),
    "quality": (quality, "quality"),
    "cost": (cost, "cost"),
    "scaling": (scaling, "scaling"),
    "startup": (startup, "startup"),
    "mixtures": (mixtures, "mixtures"),
    "stacked MNIST": (stacked_mnist, "stacked_mnist"),
    "coarse to fine": (coarse_to_fine, "coarse_to_fine"),
}


def fill(text):
    """Return a text with all that stands between the marks of a table replaced by that table."""
    for name, (build, results) in TABLES.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if begin in text:
            before, rest = text.split(begin)
            text = f"{before}{begin}\n\n{build(load(results))}\n\n{end}{rest.split(end)[1]}"
    return text


def fill_cells(notebook):
    """Return the text of a notebook with the tables in its cells of prose filled."""
    found = json.loads(notebook)
    for cell in found["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = fill("".join(cell["source"])).splitlines(keepends=True)
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, change in ((README, fill), (LESSON, fill_cells)):
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
