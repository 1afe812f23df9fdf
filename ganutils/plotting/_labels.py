"""What a conditional generator was asked for, against what a classifier reads in its images."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from ganutils import metrics, validation
from ganutils.plotting._images import draw_tiles
from ganutils.plotting._page import BLUE, GREY, ORANGE, Figure, finish

_ERRORS = LinearSegmentedColormap.from_list("errors", ["white", ORANGE])


def confusion(counts):
    """Draw how often each class was read where another was asked for: errors in colour, right ones on a grey diagonal.

    Zeros stay blank. The colour scale is that of the most frequent error in all panels.

    Args:
        counts: dict from a title to an array (classes, classes) of numbers from 0 on: a row for each class that was
            asked for, a column for each that was read.
    """
    validation.check_named(counts, "counts", "an array (classes, classes)")
    counts = {title: np.asarray(table, "float64") for title, table in counts.items()}
    for title, table in counts.items():
        if table.ndim != 2 or table.shape[0] != table.shape[1] or not (table >= 0).all():
            raise ValueError(f"the counts {title!r} have the shape {table.shape}; give (classes, classes), from 0 on")
    errors = {title: np.where(np.eye(len(table)), 0, table) for title, table in counts.items()}
    most = max(1, *(table.max() for table in errors.values()))
    figure = Figure(figsize=(4.4 * len(counts), 4.5), layout="tight")
    for axes, (title, table) in zip(figure.subplots(1, len(counts), squeeze=False)[0], counts.items(), strict=True):
        axes.imshow(errors[title], cmap=_ERRORS, vmin=0, vmax=1.3 * most)  # dark numbers stay legible on the darkest
        for (row, column), count in np.ndenumerate(table):
            if row == column:
                axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color="#E6E6E6"))
            if round(count):
                weight, colour = ("normal", GREY) if row == column else ("bold", "black")
                text = {"ha": "center", "va": "center", "fontsize": 10, "color": colour, "fontweight": weight}
                axes.text(column, row, f"{count:.0f}", **text)
        classes = range(len(table))
        axes.set(title=title, xlabel="read as", ylabel="asked for", xticks=classes, yticks=classes)
    return figure


def asked_grid(images, asked, read, columns=10, row_labels=None):
    """Draw images under the classes that were asked for, with a frame around each that is read as another one.

    Args:
        images: (n, height, width, 1 or 3), float in [-1, 1] or uint8; each row asks for the same classes in order.
        asked, read: (n,), the class that was asked for and the one that a classifier read.
        columns: images in a row.
        row_labels: texts left of the rows, or None.
    """
    rows = -(-len(images) // validation.whole_number(columns, "columns", 1))
    figure = Figure(figsize=(columns * 0.5, rows * 0.5))
    _draw_asked(figure.add_axes((0, 0, 1, 1)), images, asked, read, columns, row_labels)
    return figure


def _draw_asked(axes, images, asked, read, columns, row_labels=None):
    asked = validation.check_labels(asked, "asked", rows=len(images))
    read = validation.check_labels(read, "read", rows=len(images))
    if (asked != asked[np.arange(len(asked)) % columns]).any():
        raise ValueError(f"asked={asked.tolist()} has other classes in a later row; ask for the same ones in each")
    draw_tiles(axes, images, columns, "", asked[:columns].tolist(), row_labels)
    height, width = np.shape(images)[1:3]
    for i in np.flatnonzero(asked != read):
        corner = (i % columns) * (width + 2) - 1, (i // columns) * (height + 2) - 1
        axes.add_patch(Rectangle(corner, width + 1, height + 1, fill=False, edgecolor=ORANGE, linewidth=3))


def label_noise(draws, share):
    """Draw what GANs draw that were trained with a share of random labels, and how often they obey at all shares.

    Images that a classifier reads as another class than the one asked for have a frame. The line is the share of labels
    that are right, 1 - share + share / classes.

    Args:
        draws: dict from a share to (images, asked, read) as in `asked_grid`, columns of all classes in order.
        share: the one whose images are drawn.
    """
    if share not in draws:
        raise ValueError(f"share={share} was not recorded; choose one of {', '.join(map(str, draws))}")
    images, asked, read = draws[share]
    classes = int(np.max(asked)) + 1
    rows = min(4, len(images) // classes)
    figure = Figure(figsize=(6, 2.6 + 0.55 * rows), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(0.6 * rows, 2.4))
    shown = slice(0, rows * classes)
    _draw_asked(above, images[shown], asked[shown], read[shown], classes)
    above.set_title(f"asked for, when {share:.0%} of the labels are drawn at random")
    found = [metrics.binomial_interval(int(np.sum(asked == read)), len(asked)) for _, asked, read in draws.values()]
    heights = [score.share for score in found]
    bars = np.transpose([(score.share - score.low, score.high - score.share) for score in found])
    ends = np.array([0.0, 1.0])
    below.plot(ends, 1 - ends + ends / classes, color=GREY, label="share of right labels")
    below.errorbar(list(draws), heights, bars, fmt="o", color=BLUE, capsize=3, label="images that obey")
    below.plot(share, heights[list(draws).index(share)], "o", color=ORANGE, markersize=14, markerfacecolor="none")
    below.set(xlabel="share of labels drawn at random", ylabel="fidelity", ylim=(0, 1.05))
    finish(below)
    return figure
