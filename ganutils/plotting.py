"""Every static figure. Functions return a Matplotlib figure; `show` puts it into the notebook.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; lines also differ in style.
"""

import base64
import html
import io
import json

import numpy as np
from matplotlib.figure import Figure

from ganutils import data, models

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

    picture = f'<img alt="{html.escape(alt or caption)}" src="data:image/png;base64,{_png(figure)}">'
    # As HTML rather than as a PNG: pages made of the notebook would lose the alternative text of the latter.
    page = f'<figure style="margin: 0">{picture}<figcaption><em>{caption}</em></figcaption></figure>'
    display({"text/html": page, "text/plain": caption}, raw=True)


def _png(figure):
    """Return a figure as a PNG in base64."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight")
    return base64.b64encode(file.getvalue()).decode()


def _pixels(images):
    """Return images (n, height, width[, channels]), float in [-1, 1] or uint8, as uint8."""
    images = np.asarray(images)
    if images.ndim not in (3, 4) or not len(images):
        raise ValueError(f"images have shape {images.shape}, expected (n, height, width[, channels])")
    if images.dtype != np.uint8:
        images = data.unscale(images)
    return images[..., 0] if images.ndim == 4 and images.shape[-1] == 1 else images


def _tile(images, columns, gap=2):
    """Lay images out in rows of `columns` on white, with `gap` pixels between them."""
    images = _pixels(images)
    n, height, width = images.shape[:3]
    rows = -(-n // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *images.shape[3:]), 255, "uint8")
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def _draw_tiles(axes, images, columns, column_labels=None, row_labels=None):
    canvas = _tile(images, columns)
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    height, width = np.asarray(images).shape[1:3]
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.set_xticks([(width + 2) * i + width / 2 for i in range(len(column_labels or []))], column_labels or [])
    axes.set_yticks([(height + 2) * i + height / 2 for i in range(len(row_labels or []))], row_labels or [])


def image_grid(images, columns=10, *, column_labels=None, row_labels=None, tile_inches=0.55):
    """Draw images in a grid, row by row.

    Args:
        images: (n, height, width, 1 or 3), float in [-1, 1] or uint8 in [0, 255].
        columns: images in a row.
        column_labels: texts above the columns, or None.
        row_labels: texts left of the rows, or None.
        tile_inches: side of one image in the figure.

    Returns:
        A figure.

    Raises:
        ValueError: an array that is not a batch of images.
    """
    images = _pixels(images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(columns * tile_inches, rows * tile_inches))
    _draw_tiles(figure.add_axes((0, 0, 1, 1)), images, columns, column_labels, row_labels)
    return figure


def compare_grids(grids, columns=8, tile_inches=0.45):
    """Draw several grids side by side, each under its name.

    Args:
        grids: dict from name to images (n, height, width, channels), float in [-1, 1] or uint8.
        columns: images in a row of each grid.
        tile_inches: side of one image in the figure.

    Returns:
        A figure.
    """
    rows = max(-(-len(images) // columns) for images in grids.values())
    figure = Figure(figsize=(len(grids) * (columns + 0.6) * tile_inches, (rows + 0.8) * tile_inches))
    for axes, (name, images) in zip(figure.subplots(1, len(grids), squeeze=False)[0], grids.items(), strict=True):
        _draw_tiles(axes, images, columns)
        axes.set_title(name, fontsize=10)
    figure.tight_layout()
    return figure


def sample_strip(images, epochs, n=6, unit="epoch", most=10):
    """Draw how samples from the same latents change: a row for each latent, a column for each time.

    Args:
        images: list of arrays (at least n, height, width, channels), one for each time.
        epochs: list of the times, as many as `images`.
        n: number of rows.
        unit: what the times count.
        most: at most this many times are drawn, evenly chosen, with the first and the last.

    Returns:
        A figure.
    """
    chosen = np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int))
    tiles = [images[time][row] for row in range(n) for time in chosen]
    labels = [f"{unit} {epochs[chosen[0]]:g}", *(f"{epochs[time]:g}" for time in chosen[1:])]
    return image_grid(np.stack(tiles), columns=len(chosen), column_labels=labels, tile_inches=0.7)


def sample_animation(images, epochs, n=36, unit="epoch"):
    """Return samples over training as a film with a slider and a button; it does not start by itself.

    Args:
        images: list of arrays (at least n, height, width, channels), one for each time.
        epochs: list of the times, as many as `images`.
        n: number of samples.
        unit: what the times count.

    Returns:
        An IPython HTML object that needs no kernel and no network.
    """
    from IPython.display import HTML

    columns = int(np.ceil(np.sqrt(n)))
    pictures = []
    for batch, epoch in zip(images, epochs, strict=True):
        figure = Figure(figsize=(3.6, 3.6))
        axes = figure.add_axes((0, 0, 1, 0.93))
        _draw_tiles(axes, np.asarray(batch)[:n], columns)
        figure.suptitle(f"{unit} {epoch:g}", fontsize=10, y=0.99)
        pictures.append(f"data:image/png;base64,{_png(figure)}")
    return HTML(_FILM.replace("LAST", str(len(pictures) - 1)).replace("PICTURES", json.dumps(pictures)))


# One element of its own for each film, found from the script's position, so that a page can hold several.
_FILM = """<div><img alt="Samples over training; the slider and the button choose the moment"><br>
<button type="button">Play</button> <input type="range" min="0" max="LAST" value="0" aria-label="moment of training">
<script>(function (box) {
  const pictures = PICTURES;
  const [image, button, slider] = ["img", "button", "input"].map((name) => box.querySelector(name));
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
  show();
})(document.currentScript.parentElement);</script></div>"""


def training_curves(history, losses_at_rest=True):
    """Draw both losses and both accuracies of the discriminator over training steps.

    Args:
        history: dict of lists "step", "generator_loss", "discriminator_loss", "real_accuracy" and
            "fake_accuracy", such as `callbacks.Curves.history`.
        losses_at_rest: whether to mark where a discriminator that always answers one half would put the
            two non-saturating losses: ln 2 for the generator and 2 ln 2 for the discriminator.

    Returns:
        A figure.
    """
    figure = Figure(figsize=(9, 3.2))
    left, right = figure.subplots(1, 2)
    for name, (colour, style), rest in (
        ("discriminator_loss", LINES[0], 2 * np.log(2)),
        ("generator_loss", LINES[1], np.log(2)),
    ):
        left.plot(history["step"], history[name], color=colour, linestyle=style, label=name.replace("_", " "))
        if losses_at_rest:
            left.axhline(rest, color=colour, linewidth=0.8, alpha=0.6)
    for name, (colour, style) in (("real_accuracy", LINES[2]), ("fake_accuracy", LINES[3])):
        label = f"on {name.split('_')[0]} images"
        right.plot(history["step"], history[name], color=colour, linestyle=style, linewidth=1.8, label=label)
    # Always with 0 and 1.5: losses that rest at zero must look like it, whatever their last digits do.
    bottom, top = left.get_ylim()
    left.set_ylim(min(bottom, -0.1), max(top, 1.5))
    right.axhline(0.5, color=GREY, linewidth=0.8)
    right.set_ylim(-0.02, 1.02)
    for axes, title in ((left, "losses"), (right, "accuracy of the discriminator")):
        axes.set(xlabel="training step", title=title)
        _finish(axes)
    figure.tight_layout()
    return figure


def _finish(axes):
    axes.legend(frameon=False, fontsize=9)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def gradient_curves(logits, gradients):
    """Draw the size of generator losses' gradients against the discriminator's logit.

    Args:
        logits: (n,), logits of a generated image.
        gradients: dict from the loss's name to its derivative (n,) at these logits.

    Returns:
        A figure.
    """
    figure = Figure(figsize=(6.5, 3))
    axes = figure.subplots()
    for (name, values), (colour, style) in zip(gradients.items(), LINES, strict=False):
        axes.plot(logits, np.abs(values), color=colour, linestyle=style, linewidth=2, label=name.replace("_", "-"))
    axes.set(xlabel="logit: generated for sure  ←  0  →  real for sure", ylabel="size of the gradient")
    _finish(axes)
    return figure


def optimal_discriminator(generator_mean=-1.0, generator_deviation=1.0):
    """Draw one-dimensional data, a generator's density and the best discriminator between them.

    The data are normal with mean 1 and standard deviation 0.7. The best discriminator is
    p_data / (p_data + p_g), proposition 1 of Goodfellow et al. 2014.

    Args:
        generator_mean: mean of the generator's normal density.
        generator_deviation: its standard deviation, above 0.

    Returns:
        A figure, with the Jensen-Shannon divergence of the two in its title.
    """
    x = np.linspace(-12, 12, 4801)

    def log_density(mean, deviation):
        return -(((x - mean) / deviation) ** 2) / 2 - np.log(deviation * np.sqrt(2 * np.pi))

    log_data, log_generated = log_density(1.0, 0.7), log_density(generator_mean, generator_deviation)
    log_mixture = np.logaddexp(log_data, log_generated) - np.log(2)
    divergences = [np.sum(np.exp(p) * (p - log_mixture)) * (x[1] - x[0]) for p in (log_data, log_generated)]
    figure = Figure(figsize=(7, 3.2))
    axes = figure.subplots()
    for density, (colour, style), label in (
        (np.exp(log_data), LINES[0], "density of the data"),
        (np.exp(log_generated), LINES[1], "density of the generator"),
    ):
        axes.fill_between(x, density, color=colour, alpha=0.25)
        axes.plot(x, density, color=colour, linestyle=style, label=label)
    axes.plot(x, np.exp(log_data - log_mixture) / 2, color="black", linewidth=2, label="best discriminator")
    axes.axhline(0.5, color=GREY, linewidth=0.8)
    axes.set(xlabel="x", xlim=(-5, 8), ylim=(0, 1.05))
    axes.set_title(
        f"Jensen-Shannon divergence {max(0.0, np.mean(divergences)):.3f} (at most {np.log(2):.3f})", fontsize=10
    )
    _finish(axes)
    return figure


def class_shares(shares, even_share=0.1):
    """Draw the share of each class among samples as bars, with a line at an even share.

    Args:
        shares: (classes,), summing to 1.
        even_share: where the line goes.

    Returns:
        A figure.
    """
    figure = Figure(figsize=(6, 2.6))
    axes = figure.subplots()
    bars = axes.bar(range(len(shares)), shares, color=BLUE)
    axes.bar_label(bars, [f"{share:.0%}" for share in shares], fontsize=9)
    axes.axhline(even_share, color=ORANGE, linestyle="--")
    axes.set(xlabel="digit", ylabel="share of the samples", xticks=range(len(shares)))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def count_maps(counts):
    """Draw small arrays of whole numbers as maps with the numbers written in.

    Args:
        counts: dict from a title to an array (height, width).

    Returns:
        A figure.
    """
    figure = Figure(figsize=(3.6 * len(counts), 3.6))
    for axes, (title, values) in zip(figure.subplots(1, len(counts)), counts.items(), strict=True):
        axes.imshow(values, cmap="cividis", vmin=0)
        for (row, column), value in np.ndenumerate(values):
            colour = "black" if value > values.max() / 2 else "white"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour)
        axes.set(title=title, xticks=[], yticks=[])
    figure.tight_layout()
    return figure


def latent_interpolation(generator, starts, ends, steps=10):
    """Draw the way from one latent to another, a row for each pair.

    Args:
        generator: callable from latents (n, latent_dim) to images in [-1, 1].
        starts: latents (rows, latent_dim) of the first column.
        ends: latents (rows, latent_dim) of the last column.
        steps: number of columns, the two ends included.

    Returns:
        A figure.
    """
    weights = np.linspace(0, 1, steps)
    weights = np.stack([1 - weights, weights], axis=-1)
    path = np.concatenate([models.mix_latents(pair, weights) for pair in zip(starts, ends, strict=True)])
    return image_grid(_generate(generator, path), columns=steps, tile_inches=0.7)


def _plane_latents(corners, x, y):
    """Mix four latents (top left, top right, bottom left, bottom right) at x, y in [0, 1]."""
    return models.mix_latents(corners, np.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], axis=-1))


def latent_plane(generator, corners, size=8):
    """Draw the images of a plane in latent space between four latents.

    Args:
        generator: callable from latents (n, latent_dim) to images in [-1, 1].
        corners: (4, latent_dim): top left, top right, bottom left, bottom right.
        size: images along each side.

    Returns:
        A figure.
    """
    return image_grid(_plane(generator, corners, size), columns=size)


def latent_point(generator, corners, x, y, size=8):
    """Draw the plane of `latent_plane` with one point marked, and the image at that point beside it.

    Args:
        generator: callable from latents (n, latent_dim) to images in [-1, 1].
        corners: (4, latent_dim).
        x: position from left (0) to right (1).
        y: position from top (0) to bottom (1).
        size: images along each side of the plane.

    Returns:
        A figure.
    """
    figure = Figure(figsize=(8, 4))
    left, right = figure.subplots(1, 2)
    plane = _plane(generator, corners, size)
    _draw_tiles(left, plane, size)
    pitch_y, pitch_x = plane.shape[1] + 2, plane.shape[2] + 2
    left.plot(
        plane.shape[2] / 2 + x * (size - 1) * pitch_x,
        plane.shape[1] / 2 + y * (size - 1) * pitch_y,
        marker="o",
        markersize=14,
        markerfacecolor="none",
        markeredgecolor=ORANGE,
        markeredgewidth=2.5,
    )
    left.set_title("the plane between four latents", fontsize=10)
    _draw_tiles(right, _generate(generator, _plane_latents(corners, x, y)[None]), 1)
    right.set_title(f"the image at x = {x:.2f}, y = {y:.2f}", fontsize=10)
    figure.tight_layout()
    return figure


def _plane(generator, corners, size):
    steps = np.linspace(0, 1, size)
    y, x = np.meshgrid(steps, steps, indexing="ij")
    return _generate(generator, _plane_latents(corners, x.ravel(), y.ravel()))


def _generate(generator, latents):
    return data.unscale(generator(latents))
