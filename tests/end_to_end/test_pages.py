"""The pages of `make run` in a real browser without a network: a page of all constructs, lessons and exercises."""

import io
import re

import bs4
import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ganutils import plotting, widgets
from tests.end_to_end import browser as browsers
from tests.test_tools import ROOT, load_tool

LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
EXERCISES = sorted(path.stem for path in (ROOT / "exercises").glob("*/[0-9]*.ipynb"))
SOURCES = {f"{name}.html": ROOT / "notebooks" / f"{name}.ipynb" for name in LESSONS}
SOURCES |= {f"exercises/{name}.html": ROOT / "exercises" / name / f"{name}.ipynb" for name in EXERCISES}
FOLDED = """<details><summary>Answer</summary>

It is *hidden* at first, with $x^2$ in it:

1. a point of a list

```python
print("hidden code")
```

$$\\sum_i x_i$$

The last line of the answer.

</details>

What follows it."""
FORMULAS = r"""The norm $\lVert q \rVert^2$, a hat $\hat x$, $\mathbf{x}$ and $\mathbb E_{x \sim p_\text{data}}$, and
it costs `$5`.

$1 + 2 + 3$. Then the next sentence.

$$f(x) = \begin{cases} 1 & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}$$

$$\begin{aligned} a &= b \\
&= \underbrace{c + d + e + f + g + h + i + j + k + l + n + o + p + q + r + s + t}_{m} \end{aligned}$$

\begin{align*} a &= \operatorname{mean} b \end{align*}"""
LINKS = """[next](99_last.ipynb), [assignment](../exercises/98_toy/98_toy.ipynb), [a part](99_last.ipynb#The-part),
[here](#Twice-1), [the readme](../README.md) [![Badge](https://example.org/badge.svg)](https://example.org)

## Twice

## Twice"""
TABLE = "| a | b | c |\n|---|---|---|\n" + f"| {'unbreakable' * 5} | `code | in a table` | $a_1$ |\n".replace(
    " | in", " in"
)


def two_panels():
    figure = Figure(figsize=(10, 3))
    figure.subplots(1, 2)
    return plotting.figure_html([plotting.png_bytes(figure)], "Two panels.", "two empty panels")


def code(source, *outputs):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs))


def shown(data):
    return nbformat.v4.new_output("display_data", data=data)


def printed(text):
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def write_notebook(path, *cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [nbformat.v4.new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}}), path)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The page of a notebook with each construct, which has been executed, between others that have not."""
    course = tmp_path_factory.mktemp("toy")
    (course / "README.md").write_text("# A course")
    film = plotting.sample_animation([np.zeros((1, 4, 4, 1), "uint8")] * 3, [0, 1, 2], n=1).data
    cells = ["# 98 · Toy & more", FOLDED, FORMULAS, LINKS, TABLE]
    cells += [code("x = 1  # " + "long " * 60, printed("one\n"), printed("two " * 100))]
    cells += [code("figure", shown({"text/html": two_panels(), "text/plain": "Two panels."}))]
    cells += [code("film", shown({"text/html": film, "text/plain": "<film>"}))]
    cells += [code("box", shown(widgets.optimal_discriminator_explorer()._repr_mimebundle_()))]
    write_notebook(course / "notebooks" / "98_toy.ipynb", cells[0], LINKS)
    write_notebook(course / "notebooks" / "99_last.ipynb", "# 99 · Last", "## The part", "[before](98_toy.ipynb)")
    write_notebook(
        course / "exercises" / "98_toy" / "98_toy.ipynb", "# Tasks\n\n[lesson](../../notebooks/98_toy.ipynb)"
    )
    build = course / "build"
    pages = load_tool("pages").Pages(course / "notebooks", build)
    pages.prepare([])
    write_notebook(build / "98_toy.ipynb", *cells)
    pages.write(course / "notebooks" / "98_toy.ipynb")
    return build / "98_toy.html"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages of the course's own lessons and exercises, not executed."""
    folder = tmp_path_factory.mktemp("site")
    load_tool("pages").Pages(ROOT / "notebooks", folder).prepare([])
    return folder


@pytest.fixture(scope="module")
def browser():
    with browsers.launched() as browser:
        yield browser


def markdown(path):
    """Return a notebook's Markdown without its code."""
    cells = nbformat.read(path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def soup(path):
    return bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_an_answer_unfolds_with_all_that_is_in_it(toy, browser):
    with browsers.opened(browser, toy) as page:
        parts = [page.locator("details").locator(part) for part in ("p em", "li", ".highlight", "math")]
        parts.append(page.get_by_text("The last line of the answer."))
        after = page.get_by_text("What follows it.")
        assert not any(part.first.is_visible() for part in parts)
        assert after.is_visible()
        page.get_by_text("Answer", exact=True).click()
        assert all(part.first.is_visible() for part in parts)
        assert page.locator("details").get_by_text("What follows it.").count() == 0


@pytest.mark.parametrize("name", SOURCES)
def test_each_answer_of_the_course_is_folded_as_a_whole(site, name):
    answers = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", markdown(SOURCES[name]), re.DOTALL)
    folded = soup(site / name).select("details")
    assert [tag.summary.text for tag in folded] == [title for title, _ in answers]
    for tag, (_, answer) in zip(folded, answers, strict=True):
        expected = re.findall(r"[a-z]{4,}", re.sub(r"\$.*?\$|\(http.*?\)", "", answer))
        assert set(expected) <= set(re.findall(r"[a-z]{4,}", tag.text))
        assert not tag.has_attr("open")


def test_formulas_are_set_in_the_font_of_the_page(toy, browser):
    with browsers.opened(browser, toy) as page:
        assert page.evaluate("document.fonts.check('16px \"Course Math\"')")
        assert "loaded" in page.evaluate("[...document.fonts].map((font) => font.status)")
        # Chromium takes a brace for narrower than it is, and may paint a part of it only: look at the pixels.
        base = page.locator("munder munder > mrow").bounding_box()
        below = {"x": base["x"], "y": base["y"] + base["height"], "width": base["width"], "height": 9}
        pixels = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=below))).convert("L"))
        assert (pixels.min(axis=0) < 200).mean() > 0.95, "the brace is as long as what is above it"
        height = page.locator("math", has_text="otherwise").locator("mo", has_text="{").bounding_box()["height"]
        assert height > 35, "the bracket of the cases spans both lines"


def test_no_line_begins_with_the_full_stop_behind_a_formula(toy, browser):
    with browsers.opened(browser, toy) as page:
        formula = page.locator(".together", has_text="3")
        assert formula.text_content().endswith("3.")
        # The line ends behind the formula, where the full stop does not fit any more.
        width = formula.locator("math").bounding_box()["width"] + 1
        formula.evaluate("(formula, width) => { formula.parentElement.style.width = `${width}px`; }", width)
        assert formula.bounding_box()["height"] < 40


def test_a_formula_that_cannot_be_set_ends_the_build(tmp_path):
    write_notebook(tmp_path / "notebooks" / "98_bad.ipynb", r"# Bad", r"Here is $\nosuchcommand x$.")
    with pytest.raises(ValueError, match=r"98_bad.*nosuchcommand x' cannot be rendered"):
        load_tool("pages").Pages(tmp_path / "notebooks", tmp_path / "build").prepare([])


@pytest.mark.parametrize("name", SOURCES)
def test_each_formula_of_the_course_is_set(site, name):
    expected = len(re.findall(r"\$\$.+?\$\$|\$[^$]+?\$", markdown(SOURCES[name]), re.DOTALL))
    page = soup(site / name)
    assert len(page.select("math")) == expected
    for tag in page.select("pre, code, math"):
        tag.decompose()
    assert "$" not in page.main.text
    assert "\\" not in page.main.text


@pytest.mark.parametrize("name", ["toy", *SOURCES])
def test_pages_fit_every_screen_and_ask_for_nothing(toy, site, browser, name):
    browsers.check_layout(browser, toy if name == "toy" else site / name)


def test_what_is_wide_scrolls_in_its_own_box(toy, browser):
    with browsers.opened(browser, toy, width=390) as page:
        for wide in (".cell .highlight pre", ".scroll:has(> table)", ".scroll:has(> img[alt*=panels])"):
            box = page.locator(wide).first
            assert box.evaluate("(box) => box.scrollWidth > box.clientWidth + 50"), wide
            box.evaluate("(box) => { box.scrollLeft = 50; }")
            assert box.evaluate("(box) => box.scrollLeft") == 50, wide
        printed = page.locator(".output pre").first
        assert printed.evaluate("(box) => box.scrollWidth <= box.clientWidth"), (
            "what is printed wraps, and hides nothing"
        )


def test_links_lead_to_pages(toy, site):
    assert browsers.check_links(site) >= 2 * len(LESSONS)
    assert browsers.check_links(toy.parent) == 5
    links = {tag.text: tag["href"] for tag in soup(toy).select("a")}
    assert links["next"] == "99_last.html"
    assert links["assignment"] == "exercises/98_toy.html"
    assert links["the readme"] == f"{browsers.REPOSITORY}/blob/HEAD/README.md"
    assert links["Badge"] == "https://example.org", "without its picture, which would have to be fetched"


def test_a_link_to_nothing_ends_the_build(tmp_path):
    write_notebook(tmp_path / "notebooks" / "98_bad.ipynb", "# Bad\n\n[gone](gone.md)")
    with pytest.raises(ValueError, match=r"98_bad.*gone\.md does not exist"):
        load_tool("pages").Pages(tmp_path / "notebooks", tmp_path / "build").prepare([])


def test_a_widget_leaves_a_picture_that_says_how_it_moves(toy, browser):
    with browsers.opened(browser, toy) as page:
        picture = page.get_by_alt_text("Two bell curves")
        assert picture.is_visible()
        assert picture.bounding_box()["height"] > 100
        assert page.get_by_text("A still picture. In a running notebook, sliders change it.").is_visible()
        assert "Box(" not in page.locator("main").text_content()


def test_a_film_moves_without_a_kernel(toy, browser):
    with browsers.opened(browser, toy) as page:
        picture = page.get_by_alt_text("Samples over training")
        first = picture.get_attribute("src")
        page.get_by_label("snapshot").fill("0")
        assert picture.get_attribute("src") != first


def test_pieces_of_a_print_are_one_output(toy):
    texts = [tag.text for tag in soup(toy).select(".output pre")]
    assert [text[:8] for text in texts] == ["one\ntwo "]


def test_pages_without_outputs_say_so(toy, site):
    assert "make run ONLY=99" in soup(toy.with_name("99_last.html")).select_one(".note").text
    assert not soup(toy).select(".note")
    assert "exercises/01_vanilla_gan/01_vanilla_gan.ipynb" in soup(site / "exercises/01_vanilla_gan.html").text


def test_titles_are_those_of_the_notebooks(toy):
    assert soup(toy).title.text == "98 · Toy & more"
    assert soup(toy).html["lang"] == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(toy, browser, scheme):
    """A contrast of 4.5, as WCAG asks for, for prose, links, captions and each colour of code."""
    with browsers.opened(browser, toy, scheme=scheme) as page:
        contrasts = page.evaluate("""() => {
          const parse = (text) => text.match(/[\\d.]+/g).map(Number);
          const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
            .map((c) => (c <= 0.04 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const ground = (tag) => {
            for (; tag; tag = tag.parentElement) {
              const rgb = parse(getComputedStyle(tag).backgroundColor);
              if (rgb.length < 4 || rgb[3] > 0) { return rgb; }
            }
          };
          return [...document.querySelectorAll("main p, main a, figcaption, td, pre, pre span, code, summary, math")]
            .map((tag) => {
              const [a, b] = [light(parse(getComputedStyle(tag).color)), light(ground(tag))];
              return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), tag.outerHTML.slice(0, 80)];
            });
        }""")
        assert len(contrasts) > 20
        assert [contrast for contrast in contrasts if contrast[0] < 4.5] == []


def test_what_an_earlier_run_left_goes_before_a_lesson_is_executed(tmp_path):
    notebooks, build = tmp_path / "notebooks", tmp_path / "build"
    for name in ("98_one", "99_two"):
        write_notebook(notebooks / f"{name}.ipynb", f"# {name}")
        write_notebook(build / f"{name}.ipynb", code("1", printed("an old output")))
        (build / f"{name}.html").write_text("an old output")
    load_tool("pages").Pages(notebooks, build).prepare([notebooks / "98_one.ipynb"])
    assert not (build / "98_one.ipynb").exists()
    assert "an old output" not in (build / "98_one.html").read_text(encoding="utf-8")
    assert "has not been executed" in (build / "98_one.html").read_text(encoding="utf-8")
    assert (build / "99_two.html").read_text() == "an old output", "of a lesson that is not chosen"
