"""Grids of images, and films of them."""

import base64
import html
import json
import re

import numpy as np

from ganutils import validation
from ganutils.plotting._page import Figure, page_width, png_bytes


def to_bytes(images):
    """Return images (n, height, width[, channels]), float in [-1, 1] or uint8, as uint8; the same checks as `fit`'s."""
    images = validation.as_array(images, "images")
    if images.ndim == 3 and images.shape[-1] in (1, 3):
        raise ValueError(f"images have the shape {images.shape} of one image; give a batch of it: image[np.newaxis]")
    images = validation.check_images(images if images.ndim != 3 else images[..., np.newaxis])
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"images have {images.shape[-1]} channels; give 1 (grey) or 3 (colour)")
    return images if images.dtype == np.uint8 else validation.unscale(images)


def tile(images, columns, gap=2):
    """Lay images out in rows of `columns` on white, with `gap` pixels between them."""
    images = to_bytes(images)
    n, height, width = images.shape[:3]
    rows = -(-n // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *images.shape[3:]), 255, "uint8")
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def draw_tiles(axes, images, columns, title="", column_labels=None, row_labels=None):
    axes.imshow(tile(images, columns), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    height, width = np.asarray(images).shape[1:3]
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.set_xticks([(width + 2) * i + width / 2 for i in range(len(column_labels or []))], column_labels or [])
    axes.set_yticks([(height + 2) * i + height / 2 for i in range(len(row_labels or []))], row_labels or [])
    axes.set_title(title)


def image_grid(images, columns=10, *, column_labels=None, row_labels=None, tile_inches=0.55):
    """Draw images in a grid, row by row.

    Args:
        images: (n, height, width, 1 or 3), float in [-1, 1] or uint8 in [0, 255].
        columns: images in a row.
        column_labels, row_labels: texts above the columns and left of the rows, or None.
        tile_inches: side of one image in the figure.

    Raises:
        ValueError: an array that is not a batch of images.
    """
    images = to_bytes(images)
    columns = min(validation.whole_number(columns, "columns", 1), len(images))
    rows = -(-len(images) // columns)
    for name, texts, most in (("column_labels", column_labels, columns), ("row_labels", row_labels, rows)):
        if texts is not None and len(texts) > most:
            raise ValueError(f"{len(texts)} {name} for {most}; give at most one each")
    validation.number(tile_inches, "tile_inches", 0)
    figure = Figure(figsize=(columns * tile_inches, rows * tile_inches))
    draw_tiles(figure.add_axes((0, 0, 1, 1)), images, columns, "", column_labels, row_labels)
    return figure


def class_grid(images, labels, names=None, columns=10):
    """Draw a row of images for each class, under its name.

    Args:
        images: (n, height, width, 1 or 3), float in [-1, 1] or uint8 in [0, 255].
        labels: (n,), the class of each image, from 0 on.
        names: of all classes, such as `classes` of a `data.Folder`; None takes their numbers.
        columns: images in a row, of the first ones of each class; what is missing stays white.

    Raises:
        ValueError: labels without a name, or not one for each image.
    """
    images, columns = to_bytes(images), validation.whole_number(columns, "columns", 1)
    if names is not None and not isinstance(names, (tuple, list)):
        raise ValueError(f"names={names!r} is not allowed; give a list with the name of each class")
    labels = validation.check_labels(labels, classes=None if names is None else len(names), rows=len(images))
    shown = np.unique(labels)
    grid = np.full((len(shown), columns, *images.shape[1:]), 255, "uint8")
    for row, label in zip(grid, shown, strict=True):
        found = images[labels == label][:columns]
        row[: len(found)] = found
    row_labels = [str(label if names is None else names[label]) for label in shown]
    return image_grid(grid.reshape(-1, *images.shape[1:]), columns, row_labels=row_labels)


def compare_grids(grids, columns=8):
    """Draw several grids side by side, each under its name.

    Args:
        grids: dict from name to images (n, height, width, channels), float in [-1, 1] or uint8.
        columns: images in a row of each grid.
    """
    validation.check_named(grids, "grids", "images")
    columns, grids = validation.whole_number(columns, "columns", 1), {name: to_bytes(grids[name]) for name in grids}
    rows = max(-(-len(images) // columns) for images in grids.values())
    across = len(grids) * (columns + 0.6)
    tile = min(0.45, 9.6 / across)  # so that all grids stand side by side on a page
    figure = Figure(figsize=(tile * across, tile * (rows + 0.8) + 0.1), layout="tight")
    for axes, (name, images) in zip(figure.subplots(1, len(grids), squeeze=False)[0], grids.items(), strict=True):
        draw_tiles(axes, images, columns, name)
    return figure


def sample_strip(images, epochs, n=6, most=10):
    """Draw how samples from the same latents change: a row for each latent, a column for each time.

    Args:
        images: list of arrays (at least n, height, width, channels), one for each time.
        epochs: list of the times, as many as `images`.
        n: number of rows.
        most: at most this many times are drawn, evenly chosen, with the first and the last.
    """
    if not len(images) or len(images) != len(epochs):
        raise ValueError(f"{len(images)} arrays of images for {len(epochs)} times; give one each, and at least one")
    n, most = validation.whole_number(n, "n", 1, min(map(len, images))), validation.whole_number(most, "most", 1)
    chosen = np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int))
    largest = max(image.shape[1] for image in images)  # a model that grows draws small images at first
    columns = []
    for time in chosen:
        factor = largest // images[time].shape[1]
        columns.append(np.asarray(images[time][:n]).repeat(factor, axis=1).repeat(factor, axis=2))
    tiles = [column[row] for row in range(n) for column in columns]
    labels = [f"epoch {epochs[chosen[0]]:g}", *(f"{epochs[time]:g}" for time in chosen[1:])]
    return image_grid(
        np.stack(tiles), columns=len(chosen), column_labels=labels, tile_inches=min(1.2, 6.3 / len(chosen))
    )


def sample_animation(images, epochs, n=36):
    """Return samples over training as a `film`.

    Of `images` and `epochs` as in `sample_strip`, n samples are shown.
    """
    if not len(images) or len(images) != len(epochs):
        raise ValueError(f"{len(images)} arrays of images for {len(epochs)} times; give one each, and at least one")
    columns = int(np.ceil(np.sqrt(validation.whole_number(n, "n", 1))))
    figures = []
    for batch, epoch in zip(images, epochs, strict=True):
        figure = Figure(figsize=(3.6, 3.6))
        axes = figure.add_axes((0, 0, 1, 0.93))
        draw_tiles(axes, np.asarray(batch)[:n], columns)
        figure.suptitle(f"epoch {epoch:g}", y=0.99)
        figures.append(figure)
    return film(figures, "Samples over training: move the slider, or press the button.")


def film(figures, caption, alt=None):
    """Return figures of one size as a film with a slider and a button; it shows the last one until it is started.

    Caption and `alt` are those of `show`; `figures` may be a generator, which saves memory. Returns an IPython HTML
    object that needs no kernel and no network.
    """
    from IPython.display import HTML

    pictures = [png_bytes(figure, part=None) for figure in figures]  # not cut to their contents: nothing jumps
    if not pictures:
        raise ValueError("no figures; give at least one")
    sources = [f"data:image/png;base64,{base64.b64encode(picture).decode()}" for picture in pictures]
    values = {"STEPS": str(len(pictures) - 1), "CAPTION": caption, "ALT": html.escape(alt or caption)}
    values |= {"WIDTH": str(page_width(pictures[-1])), "PICTURES": json.dumps(sources[:-1]), "SOURCE": sources[-1]}
    return HTML(re.sub("|".join(values), lambda found: values[found[0]], _FILM))


# One element of its own for each film, found from the script's position, so that a page can hold several.
_FILM = """<figure style="margin: 0"><img alt="ALT" width="WIDTH" style="max-width: 100%" src="SOURCE"><br>
<button type="button">Play</button> <input type="range" min="0" max="STEPS" value="STEPS"
aria-label="snapshot">
<figcaption><em>CAPTION</em></figcaption>
<script>(function (box) {
  const [image, button, slider] = ["img", "button", "input"].map((name) => box.querySelector(name));
  const pictures = [...PICTURES, image.src];
  let timer = null;
  const show = () => { image.src = pictures[slider.value]; };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  slider.oninput = show;
  button.onclick = () => {
    if (timer) { stop(); return; }
    if (slider.value === slider.max) { slider.value = 0; show(); }
    button.textContent = "Stop";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (slider.value === slider.max) { stop(); }
    }, 500);
  };
})(document.currentScript.parentElement);</script></figure>"""
