"""Colours, and how a figure gets into a notebook."""

import base64
import html
import io

from ganutils import validation

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
LINES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PURPLE, ":"))
DOTS_PER_INCH = 96


def show(figure, caption, alt=None):
    """Display a figure with its caption below and a text for those who cannot see it.

    Args:
        figure: a Matplotlib figure.
        caption: one or two sentences that say what to see.
        alt: what the picture shows, for screen readers; the caption where None.
    """
    from IPython.display import display

    if not hasattr(figure, "savefig"):
        raise ValueError(f"figure is a {type(figure).__name__}; give a Matplotlib figure, as plotting's functions make")
    display({"text/html": figure_html(png_bytes(figure), caption, alt), "text/plain": caption}, raw=True)


def figure_html(picture, caption, alt=None):
    """Return the bytes of a PNG with its caption as HTML, with arguments as in `show`."""
    # As HTML rather than as a PNG: pages made of the notebook would lose the alternative text of the latter.
    picture = (
        f'<img alt="{html.escape(alt or caption)}" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
    )
    return f'<figure style="margin: 0">{picture}<figcaption><em>{caption}</em></figcaption></figure>'


def show_table(rows, caption, first_column=""):
    """Display numbers as a table with its caption below.

    Args:
        rows: dict from a row's name to a dict from a column's name to a text; all rows have the same columns.
        caption: one or two sentences that say what to see.
        first_column: what the names of the rows are.
    """
    from IPython.display import display

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
    display({"text/html": table, "text/plain": f"{text}\n{caption}"}, raw=True)


def png_bytes(figure):
    """Return a figure as the bytes of a PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight")
    return file.getvalue()


def png(figure):
    """Return a figure as a PNG in base64."""
    return base64.b64encode(png_bytes(figure)).decode()


def finish(axes):
    """Give axes the legend, grid and open frame that all curves have."""
    axes.legend(frameon=False, fontsize=9)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
