"""Interactive figures for ipywidgets 7 and 8; end a cell with the box that a function returns."""

import ipywidgets
import numpy as np

from ganutils import data, metrics, plotting, validation


class _Box(ipywidgets.VBox):
    """A box that also leaves a still picture in the notebook, for readers without a kernel.

    Args:
        children: widgets in the box.
        picture: the one of them that is an `ipywidgets.Image` of a PNG.
        alt: alternative text of the picture.
        caption: what the widget does in a running notebook.
    """

    _ipython_display_ = None  # with this method, ipywidgets 7 would show the box without the still picture

    def __init__(self, children, picture, alt, caption):
        super().__init__(children)
        self._still = lambda: plotting.figure_html([picture.value], f"A still picture. {caption}", alt)

    def _repr_mimebundle_(self, **options):
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {
            "application/vnd.jupyter.widget-view+json": view,  # preferred by a running notebook
            "text/html": self._still(),
            "text/plain": repr(self),
        }


def latent_explorer(generator, latent_dim, seed=0):
    """Walk through a plane of latents with two sliders; a third chooses the plane. Still: `plotting.latent_point`.

    Args:
        generator: callable from latents (n, latent_dim) to images in [-1, 1].
        latent_dim: length of a latent vector.
        seed: seed of the first four latents, 0 to 99.
    """
    latent_dim = validation.whole_number(latent_dim, "latent_dim", 1)

    def picture(x, y, latents):
        corners = np.random.default_rng(latents).standard_normal((4, latent_dim))
        return plotting.latent_point(generator, corners, x, y)

    return _explorer(
        picture,
        "The generator's image for a point between four latent vectors",
        x=_slider(0.5, 0.0, 1.0, 0.05),
        y=_slider(0.5, 0.0, 1.0, 0.05),
        latents=ipywidgets.IntSlider(value=validation.whole_number(seed, "seed", 0, 99), min=0, max=99),
    )


def optimal_discriminator_explorer():
    """Move the generator's density and watch the optimal discriminator. Still: `plotting.optimal_discriminator`."""
    return _explorer(
        plotting.optimal_discriminator,
        "Two bell curves, the densities of data and generator, and the optimal discriminator for them",
        generator_mean=_slider(0.5, -3.0, 3.0, 0.1),
        generator_deviation=_slider(1.0, 0.3, 2.0, 0.1),
    )


def class_explorer(body, latent_dim, seed=0, classes=10):
    """Mix two classes of a conditional generator, and choose classes and latents. Still: `plotting.class_point`.

    Args:
        body: callable from latents concatenated with one-hot labels (n, latent_dim + classes) to images.
        latent_dim: length of a latent vector.
        seed: seed of the first latents, 0 to 99.
        classes: number of classes.
    """
    latent_dim = validation.whole_number(latent_dim, "latent_dim", 1)
    classes = validation.whole_number(classes, "classes", 2)

    def picture(first, second, mix, latents):
        rows = np.random.default_rng(latents).standard_normal((3, latent_dim))
        return plotting.class_point(body, rows, first, second, mix, classes)

    return _explorer(
        picture,
        "The generator's image for a mixture of two classes",
        first=ipywidgets.IntSlider(value=min(3, classes - 1), min=0, max=classes - 1),
        second=ipywidgets.IntSlider(value=min(8, classes - 1), min=0, max=classes - 1),
        mix=_slider(0.5, 0.0, 1.0, 0.05),
        latents=ipywidgets.IntSlider(value=validation.whole_number(seed, "seed", 0, 99), min=0, max=99),
    )


def label_noise_explorer(draws, share):
    """Choose which share of random labels a GAN was trained with. Still: `plotting.label_noise`.

    Args:
        draws: dict from a share to what its GAN drew, as in `plotting.label_noise`.
        share: the one that is shown first.
    """
    return _explorer(
        lambda share: plotting.label_noise(draws, share),
        "What a GAN draws that was trained with random labels, and how often it obeys at each share of them",
        share=ipywidgets.SelectionSlider(options=[(f"{share:.0%}", share) for share in draws], value=share),
    )


def blind_test(real, fake, trials=20, seed=0):
    """Show images one by one, ask whether each is real, and score the answers with a confidence interval.

    Args:
        real, fake: real and generated images (n, height, width, channels), float in [-1, 1] or uint8.
        trials: number of images to show; each is real with probability one half.
        seed: seed of their choice.
    """
    trials = validation.whole_number(trials, "trials", 1)
    real, fake = validation.check_images(real, "real"), validation.check_images(fake, "fake")
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"real images have the shape {real.shape[1:]} and fake ones {fake.shape[1:]}; give equal ones")
    rng = validation.generator(seed)
    is_real = rng.random(trials) < 0.5
    kinds = [real if truth else fake for truth in is_real]
    # Only the images shown are converted to float, which takes four times the memory.
    images = [data.as_float(kind[[rng.integers(len(kind))]]) for kind in kinds]
    answers = []
    # Without an explicit width, the picture would be stretched to that of the page.
    picture, text = ipywidgets.Image(format="png", layout={"width": "230px"}), ipywidgets.HTML()
    buttons = [ipywidgets.Button(description=kind) for kind in ("real", "generated")]

    def update():
        if (shown := len(answers)) < trials:
            picture.value = plotting.png_bytes(plotting.image_grid(images[shown], columns=1, tile_inches=2.2))
            text.value = f"Image {shown + 1} of {trials}."
            return
        right = int(np.sum(is_real == answers))
        score = metrics.binomial_interval(right, trials)
        text.value = (
            f"{right} of {trials} right: {score.share:.0%}, with a 95% confidence interval from {score.low:.0%} to "
            f"{score.high:.0%}. Chance, 50%, is {'inside' if score.low <= 0.5 <= score.high else 'outside'} it."
        )
        for button in buttons:
            button.disabled = True

    def answer(button):
        # A second click may arrive before the buttons are disabled.
        if len(answers) < trials:
            answers.append(button is buttons[0])
            update()

    for button in buttons:
        button.on_click(answer)
    update()
    box = [picture, ipywidgets.HBox(buttons), text]
    return _Box(
        box, picture, "An image that is real or generated", "In a running notebook, two buttons take your answers."
    )


def _slider(value, least, most, step):
    return ipywidgets.FloatSlider(value=value, min=least, max=most, step=step)


def _explorer(draw, alt, **sliders):
    """Return a box of sliders above a picture: the figure that `draw` returns for their values."""
    picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})

    def update(change=None):
        picture.value = plotting.png_bytes(draw(**{name: slider.value for name, slider in sliders.items()}))
        picture.layout.width = f"{plotting.page_width(picture.value)}px"

    for name, slider in sliders.items():
        slider.description = name.replace("_", " ")
        slider.style.description_width = "11em"
        # Update only when the slider is released: on a slow machine the pictures of a movement would queue up.
        slider.continuous_update = False
        slider.observe(update, names="value")
    update()
    return _Box([*sliders.values(), picture], picture, alt, "In a running notebook, sliders change it.")
