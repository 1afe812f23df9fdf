"""Notebooks as web pages, each a single file, for readers without a kernel and without a network.

`run_notebooks.py` writes them. Lessons that were not executed, and exercises, get a page without outputs, so
that links between pages work.
"""

import base64
import collections
import io
import mimetypes
import os
import posixpath
import re
import tomllib
import urllib.parse
from pathlib import Path

import bs4
import formulas
import jinja2
import nbformat
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from PIL import Image
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
NOT_EXECUTED = "This lesson has not been executed here, so its outputs are missing. To add them: make run ONLY={}"
EXERCISE = "This page is for reading. To work on the assignment, open {} in JupyterLab (make lab)."
# The types that a page can show, best first: no widgets, which need a kernel, and no scripts except within HTML.
SHOWN = ["text/html", "text/markdown", "image/svg+xml", "text/latex", "image/png", "image/jpeg", "text/plain"]
SMALLEST = 0.7  # a picture wider than WIDE pixels keeps this fraction of its size; on a narrower screen it scrolls
WIDE = 620


def read_notebook(path):
    """Return a notebook, even with a byte-order mark or cells without ids, which some editors write."""
    notebook = nbformat.reads(Path(path).read_text(encoding="utf-8-sig"), as_version=4)
    for i, cell in enumerate(notebook.cells):
        cell.setdefault("id", f"cell-{i:03d}")
    notebook.nbformat_minor = 5
    return notebook


class _Renderer(IPythonRenderer):
    """Markdown to HTML, with formulas as MathML."""

    def inline_math(self, body):
        return formulas.mathml(body)

    def block_math(self, body):
        return f'<span class="formula scroll">{formulas.mathml(body, display=True)}</span>'

    def latex_environment(self, name, body):
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


class _Exporter(HTMLExporter):
    @property
    def default_config(self):
        shown = {"NbConvertBase": {"display_data_priority": SHOWN}, "CoalesceStreamsPreprocessor": {"enabled": True}}
        return Config(shown)

    @jinja2.pass_context
    def markdown2html(self, context, source):
        renderer = _Renderer(escape=False, attachments=context.get("cell", {}).get("attachments", {}))
        return MarkdownWithMath(renderer=renderer).render(source)


class Pages:
    """The linked pages of a course's lessons and exercises.

    Args:
        notebooks: folder of the lessons; the exercises are in `exercises/NAME/NAME.ipynb` next to it.
        folder: folder of the executed notebooks and of the pages, NAME.html and exercises/NAME.html.
    """

    def __init__(self, notebooks, folder):
        notebooks, self.folder = Path(notebooks).resolve(), Path(folder)
        self.root = notebooks.parent
        self.lessons = sorted(notebooks.glob("[0-9][0-9]*_*.ipynb"))
        self.exercises = sorted(self.root.glob("exercises/*/[0-9][0-9]_*.ipynb"))
        self.pages = {path: f"{path.stem}.html" for path in self.lessons}
        self.pages |= {path: f"exercises/{path.stem}.html" for path in self.exercises}
        self.exporter = _Exporter(template_name="page", extra_template_basedirs=[str(ROOT / "tools")])

    def prepare(self, chosen):
        """Remove earlier results of the chosen lessons, and write the pages of all that are not executed yet."""
        chosen = {Path(path).resolve() for path in chosen}
        for path in self.lessons:
            if path in chosen:
                (self.folder / path.name).unlink(missing_ok=True)
            if not (self.folder / path.name).exists():
                self._write(path, path, NOT_EXECUTED.format(path.stem.partition("_")[0]))
        for path in self.exercises:
            self._write(path, path, EXERCISE.format(f"exercises/{path.stem}/{path.name}"))

    def write(self, path):
        """Write the page of an executed lesson."""
        self._write(Path(path).resolve(), self.folder / Path(path).name)

    def _write(self, path, notebook, note=""):
        page = self.folder / self.pages[path]
        page.parent.mkdir(parents=True, exist_ok=True)
        # Leave neither the page of an earlier run nor half of a new one.
        page.unlink(missing_ok=True)
        notebook = read_notebook(notebook)
        headings = [cell.source.lstrip("# ").partition("\n")[0] for cell in notebook.cells if cell.source[:2] == "# "]
        look = {"title": (headings or [path.stem])[0], "note": note, "css": _css()}
        try:
            body, _ = self.exporter.from_notebook_node(notebook, {"page": look})
            soup = bs4.BeautifulSoup(body, "html.parser")
            _finish(soup, path.parent, lambda link: self._link(link, path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        page.write_text(str(soup), encoding="utf-8", newline="\n")

    def _link(self, link, path):
        """Return the target of a notebook's link for its page: another page, or a URL in the repository."""
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc or not parts.path:
            return link
        target = Path(os.path.normpath(path.parent / urllib.parse.unquote(parts.path)))
        if not target.exists():
            raise ValueError(f"the target of the link {link} does not exist")
        if target in self.pages:
            found = posixpath.relpath(self.pages[target], posixpath.dirname(self.pages[path]) or ".")
        else:
            found = f"{REPOSITORY}/blob/HEAD/{target.relative_to(self.root).as_posix()}"
        return f"{found}#{parts.fragment}" if parts.fragment else found


def _css():
    """Return the style of a page."""
    light, dark = (HtmlFormatter(style=style).get_token_style_defs(".highlight") for style in ("vs", "github-dark"))
    own = (ROOT / "tools" / "page" / "page.css").read_text(encoding="utf-8")
    lines = [formulas.font_face(), own, *light, "@media (prefers-color-scheme: dark) {", *dark, "}"]
    return "\n".join(lines)


def _finish(soup, folder, link):
    """Embed pictures, rewrite links, and put wide content into boxes that scroll.

    Args:
        soup: the page.
        folder: folder of its notebook, for pictures.
        link: function from a link of the notebook to a link of the page.
    """
    for anchor in soup.select("a[href]"):
        anchor["href"] = link(anchor["href"])
        if "anchor-link" in anchor.get("class", []):
            anchor["aria-label"] = "link to this section"
    for image in soup.select("img[src]"):
        if not image["src"].startswith("data:"):
            file = folder / urllib.parse.unquote(image["src"])
            if not file.is_file():  # an external badge, or the picture of a lesson that was never recorded
                text = soup.new_tag("span", attrs={"class": "badge"})
                text.string = image.get("alt", image["src"])
                image.replace_with(text)
                continue
            data = base64.b64encode(file.read_bytes()).decode()
            image["src"] = f"data:{mimetypes.guess_type(file.name)[0]};base64,{data}"
        kind, _, data = image["src"].partition(";base64,")
        if "svg" not in kind:
            width, height = Image.open(io.BytesIO(base64.b64decode(data))).size
            image["width"] = int(image.get("width", width))  # half of the pixels, for screens with fine dots
            image["height"] = round(height * image["width"] / width)
            if image["width"] > WIDE:
                image["style"] = f"min-width: {SMALLEST * image['width']:.0f}px; {image.get('style', '')}"
        image.wrap(soup.new_tag("span", attrs={"class": "scroll"}))
    for table in soup.select("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "scroll"}))
    for formula in soup.select("math:not([display])"):  # keep a full stop after a formula on the same line
        behind = formula.next_sibling
        if isinstance(behind, bs4.NavigableString) and (mark := re.match(r"[^\s\w]+", behind)):
            together = formula.wrap(soup.new_tag("span", attrs={"class": "together"}))
            together.append(mark[0])
            behind.replace_with(behind[mark.end() :])
    seen = collections.Counter()
    for heading in soup.select("[id]:is(h1, h2, h3, h4)"):
        seen[heading["id"]] += 1
        if seen[heading["id"]] > 1:  # otherwise a link to it would lead to the first heading of that name
            heading["id"] += f"-{seen[heading['id']] - 1}"
            heading.select_one(".anchor-link")["href"] = f"#{heading['id']}"
        heading["id"] = urllib.parse.unquote(heading["id"])
