"""Interactive figures: thin shells over `ganutils.plotting`, made of widgets that ipywidgets 7 and 8 share."""

import io

import ipywidgets
import numpy as np

from ganutils import plotting


def latent_explorer(generator, latent_dim, seed=0):
    """Walk through the plane between four random latents with two sliders; a third draws new latents.

    `plotting.latent_point` draws the same picture without a kernel.

    Args:
        generator: callable from latents (n, latent_dim) to images in [-1, 1].
        latent_dim: length of a latent vector.
        seed: seed of the first four latents, 0 to 99.

    Returns:
        An ipywidgets box; display it as the last line of a cell.
    """
    style = {"description_width": "5em"}
    x = ipywidgets.FloatSlider(value=0.5, min=0.0, max=1.0, step=0.05, description="x", style=style)
    y = ipywidgets.FloatSlider(value=0.5, min=0.0, max=1.0, step=0.05, description="y", style=style)
    seed = ipywidgets.IntSlider(value=seed, min=0, max=99, description="latents", style=style)
    picture = ipywidgets.Image(format="png")

    def draw(change=None):
        corners = np.random.default_rng(seed.value).standard_normal((4, latent_dim))
        file = io.BytesIO()
        plotting.latent_point(generator, corners, x.value, y.value).savefig(
            file, format="png", dpi=plotting.DOTS_PER_INCH
        )
        picture.value = file.getvalue()

    for slider in (x, y, seed):
        slider.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([x, y, seed, picture])
