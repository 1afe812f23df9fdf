"""Every static figure. Functions return a Matplotlib figure; `show` puts it into the notebook.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; lines also differ in style.
"""

from ganutils.plotting._curves import class_shares, gradient_curves, lines, points, training_curves
from ganutils.plotting._diagrams import count_maps, joint_and_conditional, optimal_discriminator
from ganutils.plotting._images import compare_grids, image_grid, sample_animation, sample_strip
from ganutils.plotting._latents import class_point, latent_interpolation, latent_plane, latent_point
from ganutils.plotting._page import BLUE, DOTS_PER_INCH, GREEN, GREY, LINES, ORANGE, PURPLE, png_bytes, show, show_table
from ganutils.plotting._references import against_reference

__all__ = [
    "BLUE",
    "DOTS_PER_INCH",
    "GREEN",
    "GREY",
    "LINES",
    "ORANGE",
    "PURPLE",
    "against_reference",
    "class_point",
    "class_shares",
    "compare_grids",
    "count_maps",
    "gradient_curves",
    "image_grid",
    "joint_and_conditional",
    "latent_interpolation",
    "latent_plane",
    "latent_point",
    "lines",
    "optimal_discriminator",
    "png_bytes",
    "points",
    "sample_animation",
    "sample_strip",
    "show",
    "show_table",
    "training_curves",
]
