"""The tables and links that are made from lessons.toml and the recorded costs; `clean_notebooks.py` writes them."""

import re

PARTS = {1: "Part one · foundations", 2: "Part two · architectures", 3: "Part three · uses and consequences"}
NEEDED = ("title", "part", "objectives", "minutes", "reference_runs", "smoke", "laptop", "gpu")
LAST = "This was the last lesson"


def heading(name, lessons):
    """Return a lesson's number and title, such as "02 · DCGAN"."""
    return f"{name.partition('_')[0]} · {lessons[name]['title']}"


def for_people(minutes):
    """Return minutes of work as the READMEs show them: "90 min", "2 h"."""
    return f"{minutes / 60:g} h" if minutes >= 120 and minutes % 30 == 0 else f"{minutes} min"


def of_machine(cost):
    """Return the time and the memory of a recorded run, as the READMEs show them: "69 s", "1.0 GB"."""
    time = f"{cost['seconds']:.0f} s" if cost["seconds"] < 90 else f"{cost['seconds'] / 60:.1f} min"
    return time, f"{cost['peak_mb'] / 1000:.1f} GB"


def table(columns, rows):
    """Return a Markdown table."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in [columns, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])


def lessons_by_part(lessons, costs):
    """Return a table of lessons for each part of the course, with time and memory of the recorded `laptop` runs.

    Args:
        lessons: lessons.toml as a dict.
        costs: dict from "NAME laptop" to a dict with seconds, peak_mb and steps_per_second.
    """
    parts = []
    for part, title in PARTS.items():
        rows = []
        for name, lesson in lessons.items():
            if lesson["part"] != part:
                continue
            time = memory = "–"
            if cost := costs.get(f"{name} laptop"):
                time, memory = of_machine(cost)
            link = f"[{heading(name, lessons)}](notebooks/{name}.ipynb)"
            rows.append([link, lesson["objectives"], time, memory, for_people(lesson["minutes"])])
        if rows:
            columns = ["lesson", "what you can do after it", "runs in", "memory", "to work through"]
            parts.append(f"### {title}\n\n{table(columns, rows)}")
    rates = sorted({round(costs[key]["steps_per_second"]) for name in lessons if (key := f"{name} laptop") in costs})
    if rates:
        speed = f"{rates[0]} to {rates[-1]}" if len(rates) > 1 else rates[0]
        parts.append(
            "Time and peak memory are those of the `laptop` profile on an idle machine that takes "
            f"{speed} of lesson 00's training steps a second."
        )
    return "\n\n".join(parts)


def assignments(lessons):
    """Return the students' table of assignments."""
    rows = [
        [f"[{heading(name, lessons)}](exercises/{name}/{name}.ipynb)", for_people(lesson["assignment_minutes"])]
        for name, lesson in lessons.items()
        if "assignment_minutes" in lesson
    ]
    return table(["assignment", "to work through"], rows)


def minutes(lessons):
    """Return the instructor's table of how long people work on lessons and assignments."""
    rows = []
    for name, lesson in lessons.items():
        assignment = ["–", "–"]
        if "assignment_minutes" in lesson:
            assignment = [f"[{name}](source/{name}/{name}.ipynb)", lesson["assignment_minutes"]]
        rows.append([f"[{heading(name, lessons)}](../notebooks/{name}.ipynb)", lesson["minutes"], *assignment])
    return table(["lesson", "minutes", "assignment", "minutes"], rows)


def check(lessons):
    """Raise a SystemExit that names what an entry of lessons.toml lacks."""
    for name, lesson in lessons.items():
        if missing := [key for key in NEEDED if key not in lesson]:
            raise SystemExit(f"{name} in lessons.toml has no {', '.join(missing)}; the head of that file explains each")


def fill(text, name, content):
    """Return text with what is between the marks `<!-- NAME -->` and `<!-- /NAME -->` replaced.

    Raises:
        SystemExit: the marks are not there.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        raise SystemExit(f"there is no place for the table of {name}; put it between {begin} and {end}")
    return text.partition(begin)[0] + f"{begin}\n\n{content}\n\n{end}" + text.partition(end)[2]


def with_times(cells, name, lessons, costs):
    """Return a lesson's cells with its two times below the badges of the first one: for the machine, for a person."""
    person = f"about {for_people(lessons[name]['minutes'])} to work through"
    line = f"**Time:** {person}."
    if cost := costs.get(f"{name} laptop"):
        time, memory = of_machine(cost)
        speed = f"at {cost['steps_per_second']:.0f} training steps a second; lesson 00 measures your machine's speed"
        line = f"**Time:** {person}. The cells run in {time} and take {memory} of memory ({speed})."
    lines = "".join(cells[0]["source"]).split("\n")
    lines = [old for old in lines if not old.startswith("**Time:** ")]
    lines = [old for i, old in enumerate(lines) if old or i == 0 or lines[i - 1]]  # no two empty lines
    badges = max((i for i, old in enumerate(lines) if old.startswith("[![Open in ")), default=None)
    if badges is None:
        raise SystemExit(f"notebooks/{name}.ipynb has no line of badges in its first cell; copy that of another lesson")
    lines[badges + 1 : badges + 1] = ["", line]
    return [{**cells[0], "source": "\n".join(lines).splitlines(keepends=True)}, *cells[1:]]


def with_links(cells, name, lessons):
    """Return a lesson's cells with its own name in its badges, and a link to the next lesson in the last cell.

    Further sentences of that cell stay, and the rest of the link's own as long as the link is the same.

    Raises:
        SystemExit: the lesson has no entry in lessons.toml.
    """
    if name not in lessons:
        raise SystemExit(f"notebooks/{name}.ipynb has no entry in lessons.toml; CONTRIBUTING.md says what it needs")
    first, *rest = cells
    badges = [
        re.sub(r"notebooks/\w+\.ipynb", f"notebooks/{name}.ipynb", line) if line.startswith("[![Open in ") else line
        for line in first["source"]
    ]
    following = dict(zip(lessons, list(lessons)[1:], strict=False)).get(name)
    link = f"Next: [{heading(following, lessons)}]({following}.ipynb)" if following else LAST
    last = "".join(cells[-1]["source"])
    if last.startswith(("Next: [", LAST)):
        rest = rest[:-1]
    else:
        last = ""
    if not last.startswith(link):
        # A title may have a full stop in it, and a link none after its bracket but the one that ends it.
        _, _, further = last.partition(". " if last.startswith(LAST) else "). ")
        last = f"{link}. {further}".rstrip()
    # No cell of an author is called so.
    closing = {"cell_type": "markdown", "id": "next-lesson", "metadata": {}, "source": last.splitlines(keepends=True)}
    return [{**first, "source": badges}, *rest, closing]
