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

    def picture(x, y, latents):
        corners = np.random.default_rng(latents).standard_normal((4, latent_dim))
        return plotting.latent_point(generator, corners, x, y)

    return _explorer(
        picture,
        x=_slider(0.5, 0.0, 1.0, 0.05),
        y=_slider(0.5, 0.0, 1.0, 0.05),
        latents=ipywidgets.IntSlider(value=seed, min=0, max=99),
    )


def optimal_discriminator_explorer():
    """Move a one-dimensional generator with two sliders, and watch the best discriminator against it.

    `plotting.optimal_discriminator` draws the same picture without a kernel.

    Returns:
        An ipywidgets box; display it as the last line of a cell.
    """
    return _explorer(
        plotting.optimal_discriminator,
        generator_mean=_slider(-1.0, -3.0, 3.0, 0.1),
        generator_deviation=_slider(1.0, 0.3, 2.0, 0.1),
    )


def _slider(value, least, most, step):
    return ipywidgets.FloatSlider(value=value, min=least, max=most, step=step)


def _explorer(draw, **sliders):
    """Return a box of sliders over the picture that `draw`, a function of their values, returns as a figure."""
    picture = ipywidgets.Image(format="png")

    def update(change=None):
        figure = draw(**{name: slider.value for name, slider in sliders.items()})
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=plotting.DOTS_PER_INCH, bbox_inches="tight")
        picture.value = file.getvalue()

    for name, slider in sliders.items():
        slider.description = name.replace("_", " ")
        slider.style.description_width = "11em"
        # Only when the slider is let go: on a slow machine the pictures of a whole movement would queue up.
        slider.continuous_update = False
        slider.observe(update, names="value")
    update()
    return ipywidgets.VBox([*sliders.values(), picture])
