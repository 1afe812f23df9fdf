"""Notebooks as web pages for readers without a kernel and without a network: each is one file.

`run_notebooks.py` writes them. Besides the executed lessons there is a page of each other lesson and of each exercise,
without outputs, so that links from page to page lead somewhere.
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
# What a page can show, the best first: no widgets, which need a kernel, and no scripts but those of HTML.
SHOWN = ["text/html", "text/markdown", "image/svg+xml", "text/latex", "image/png", "image/jpeg", "text/plain"]
SMALLEST = 0.7  # of its own size, as which a picture is still readable; a narrower screen scrolls it


def read_notebook(path):
    """Return a notebook, also one with a byte-order mark, or from before cells had ids: some editors leave these."""
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
    """The pages of a course's lessons and exercises, which lead to each other.

    Args:
        notebooks: folder of the lessons; the exercises are in `exercises/NAME/NAME.ipynb` beside it.
        folder: where executed notebooks are and pages go: NAME.html, and exercises/NAME.html.
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
        """Remove what an earlier run left of the lessons that will be executed, and write all pages without outputs.

        Executed lessons that are not chosen stay.
        """
        chosen = {Path(path).resolve() for path in chosen}
        for path in self.lessons:
            if path in chosen:
                (self.folder / path.name).unlink(missing_ok=True)
            if not (self.folder / path.name).exists():
                self._write(path, path, NOT_EXECUTED.format(path.stem.partition("_")[0]))
        for path in self.exercises:
            self._write(path, path, EXERCISE.format(f"exercises/{path.stem}/{path.name}"))

    def write(self, path):
        """Write the page of a lesson that was executed."""
        self._write(Path(path).resolve(), self.folder / Path(path).name)

    def _write(self, path, notebook, note=""):
        page = self.folder / self.pages[path]
        page.parent.mkdir(parents=True, exist_ok=True)
        # Neither a page of an earlier run nor half of a new one may stay behind.
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
        """Return where a link of a notebook leads from its page: to a page, or to the repository's address."""
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc or not parts.path:
            return link
        target = Path(os.path.normpath(path.parent / urllib.parse.unquote(parts.path)))
        if not target.exists():
            raise ValueError(f"the link to {link} leads nowhere")
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
    """Embed pictures, turn links, and give boxes that scroll to what may be too wide.

    Args:
        soup: the page.
        folder: where its notebook is, for pictures.
        link: function from a link of the notebook to one of the page.
    """
    for anchor in soup.select("a[href]"):
        anchor["href"] = link(anchor["href"])
        if "anchor-link" in anchor.get("class", []):
            anchor["aria-label"] = "link to this section"
    for image in soup.select("img[src]"):
        if not image["src"].startswith("data:"):
            file = folder / urllib.parse.unquote(image["src"])
            if not file.is_file():  # a badge from elsewhere, or the picture of a lesson that was never recorded
                text = soup.new_tag("span", attrs={"class": "badge"})
                text.string = image.get("alt", image["src"])
                image.replace_with(text)
                continue
            data = base64.b64encode(file.read_bytes()).decode()
            image["src"] = f"data:{mimetypes.guess_type(file.name)[0]};base64,{data}"
        kind, _, data = image["src"].partition(";base64,")
        if "svg" not in kind:
            image["width"], image["height"] = Image.open(io.BytesIO(base64.b64decode(data))).size
            image["style"] = f"min-width: {SMALLEST * image['width']:.0f}px; {image.get('style', '')}"
        image.wrap(soup.new_tag("span", attrs={"class": "scroll"}))
    for table in soup.select("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "scroll"}))
    for formula in soup.select("math:not([display])"):  # no line begins with the full stop behind it
        behind = formula.next_sibling
        if isinstance(behind, bs4.NavigableString) and (mark := re.match(r"[^\s\w]+", behind)):
            together = formula.wrap(soup.new_tag("span", attrs={"class": "together"}))
            together.append(mark[0])
            behind.replace_with(behind[mark.end() :])
    seen = collections.Counter()
    for heading in soup.select("[id]:is(h1, h2, h3, h4)"):
        seen[heading["id"]] += 1
        if seen[heading["id"]] > 1:  # else a link to it would lead to the first of the same name
            heading["id"] += f"-{seen[heading['id']] - 1}"
            heading.select_one(".anchor-link")["href"] = f"#{heading['id']}"
        heading["id"] = urllib.parse.unquote(heading["id"])
