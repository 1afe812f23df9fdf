"""Every static figure. Functions return a Matplotlib figure; `show` puts it into the notebook.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; lines also differ in style.
"""

# ruff: noqa: F401 - imported to be used as plotting.image_grid and so on
from ._chase import chase
from ._curves import EQUILIBRIUM, class_shares, gradient_curves, lines, points, training_curves
from ._diagrams import count_maps, joint_and_conditional, optimal_discriminator
from ._evaluation import distance_limits, feature_clouds, neighbour_balls, report_card
from ._images import class_grid, compare_grids, film, image_grid, sample_animation, sample_strip
from ._labels import asked_grid, confusion, label_noise
from ._latents import class_point, latent_point, mix_latents
from ._page import (
    BLUE,
    DOTS_PER_INCH,
    GREEN,
    GREY,
    LINES,
    ORANGE,
    PURPLE,
    Figure,
    figure_html,
    finish,
    page_width,
    png_bytes,
    show,
    show_table,
)
from ._pixels import pixel_slopes
