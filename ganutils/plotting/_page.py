"""The look that all figures share, and how one gets into a notebook."""

import base64
import html
import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure as _Figure
from PIL import Image

from ganutils import validation

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
LINES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PURPLE, ":"))
DOTS_PER_INCH = 192  # shown at half its size: sharp on screens with two dots for each pixel of a page
PIXELS_PER_INCH = 96  # of a page
# Type that a projector shows, and a telephone, where a figure shrinks to little more than half.
_STYLE = {
    **{key: value for key, value in matplotlib.rcParamsDefault.items() if "color" in key},
    **{"font.size": 12, "axes.titlesize": 12, "axes.labelsize": 12, "legend.fontsize": 11, "lines.linewidth": 1.8},
    **{"xtick.labelsize": 11, "ytick.labelsize": 11, "axes.spines.top": False, "axes.spines.right": False},
}


class Figure(_Figure):
    """A Matplotlib figure in the look of the course, whatever the reader's own settings; `savefig` cuts nothing off."""

    def __init__(self, *args, **options):
        with matplotlib.rc_context(_STYLE):
            super().__init__(*args, facecolor="white", **options)

    def add_subplot(self, *args, **options):
        with matplotlib.rc_context(_STYLE):
            return super().add_subplot(*args, **options)

    def savefig(self, *args, **options):
        with matplotlib.rc_context(_STYLE):
            super().savefig(*args, **{"dpi": DOTS_PER_INCH, "bbox_inches": "tight", **options})


def show(figure, caption, alt=None):
    """Display a figure with its caption below and a text for those who cannot see it.

    Args:
        figure: a Matplotlib figure.
        caption: one or two sentences that say what to see.
        alt: what the picture shows, for screen readers; the caption where None.
    """
    if not hasattr(figure, "savefig"):
        raise ValueError(f"figure is a {type(figure).__name__}; give a Matplotlib figure, as plotting's functions make")
    _display(lambda: figure_html(_panels(figure), caption, alt), caption)


def _display(make_html, text):
    """Display what a function returns as HTML, or, where no notebook shows it, print the text that stands for it."""
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        print(text)
    else:
        display({"text/html": make_html(), "text/plain": text}, raw=True)


def figure_html(pictures, caption, alt=None):
    """Return the bytes of PNGs, of which a narrow page puts one below the other, and a caption as HTML; see `show`."""
    # As HTML rather than as PNGs: pages made of the notebook would lose the alternative text of the latter.
    images = []
    for picture in pictures:
        described = f"Panel {len(images) + 1}" if images else html.escape(alt or caption)
        images.append(
            f'<img alt="{described}" width="{page_width(picture)}" '
            f'style="max-width: 100%" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
        )
    return f'<figure style="margin: 0">{" ".join(images)}<figcaption><em>{caption}</em></figcaption></figure>'


def page_width(picture):
    """Return the width of the bytes of a PNG in pixels of a page."""
    return int.from_bytes(picture[16:20], "big") * PIXELS_PER_INCH // DOTS_PER_INCH


def show_table(rows, caption, first_column=""):
    """Display numbers as a table with its caption below.

    Args:
        rows: dict from a row's name to a dict from a column's name to a text; all rows have the same columns.
        caption: one or two sentences that say what to see.
        first_column: what the names of the rows are.
    """
    validation.check_named(rows, "rows", "a dict of texts, the same columns in each")
    columns = list(next(iter(rows.values())))
    rows = {str(name): {key: str(row[key]) for key in columns} for name, row in rows.items()}
    lines = [[first_column, *columns], *([name, *row.values()] for name, row in rows.items())]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns) + 1)]
    text = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    head, *body = (
        "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line) + "</tr>"
        for tag, line in zip(["th"] + ["td"] * len(rows), lines, strict=True)
    )
    table = f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table><p><em>{caption}</em></p>"
    _display(lambda: table, f"{text}\n{caption}")


def png_bytes(figure, part="tight"):
    """Return a figure as the bytes of a PNG; `part` cuts a box in inches out of it."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, bbox_inches=part)
    return file.getvalue()


def _panels(figure):
    """Return a figure's PNGs: one for each panel, if all of its panels stand in one row; otherwise one."""
    places = [axes.get_subplotspec() for axes in figure.axes]
    grids = {place.get_gridspec() if place else None for place in places}
    if len(places) < 2 or None in grids or len(grids) > 1 or grids.pop().get_geometry() != (1, len(places)):
        return [png_bytes(figure)]
    figure.set_dpi(DOTS_PER_INCH)  # text has other widths at other sizes
    with matplotlib.rc_context(_STYLE):  # in which ticks are made while they are drawn
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        to_inches = figure.dpi_scale_trans.inverted()
        boxes = np.array([axes.get_tightbbox().transformed(to_inches).extents for axes in figure.axes])
    boxes[:, :2], boxes[:, 2:] = boxes[:, :2] - 0.05, boxes[:, 2:] + 0.05
    boxes[:, 1], boxes[:, 3] = boxes[:, 1].min(), boxes[:, 3].max()  # of one height, so that axes are level
    # Cut out of one picture: Matplotlib would draw all panels anew for each, and keep each drawing for a while.
    whole = Image.open(io.BytesIO(png_bytes(figure, part=None)))
    boxes = (boxes * DOTS_PER_INCH).clip(0, [*whole.size] * 2).round().astype(int)
    return [_cut(whole, (left, whole.height - top, right, whole.height - bottom)) for left, bottom, right, top in boxes]


def _cut(picture, box):
    file = io.BytesIO()
    picture.crop(box).save(file, "PNG")
    return file.getvalue()


def finish(axes):
    """Give axes the legend, grid and open frame that all curves have."""
    with matplotlib.rc_context(_STYLE):
        axes.legend(frameon=False)
        axes.grid(alpha=0.25)
