import numpy as np
import pytest

from ganutils import models, widgets


@pytest.fixture
def explorer():
    return widgets.latent_explorer(models.fast_dcgan_generator(8), latent_dim=8)


def sliders(box):
    return {child.description: child for child in box.children[:-1]}


def test_each_slider_of_the_latent_explorer_changes_the_picture(explorer):
    picture = explorer.children[-1]
    for name, value in (("x", 0.0), ("y", 1.0), ("latents", 3)):
        before = picture.value
        sliders(explorer)[name].value = value
        assert picture.value != before, name
        assert bytes(picture.value).startswith(b"\x89PNG")


def test_going_back_gives_the_same_picture(explorer):
    before = explorer.children[-1].value
    sliders(explorer)["x"].value = 0.1
    sliders(explorer)["x"].value = 0.5
    assert explorer.children[-1].value == before


def test_the_latent_explorer_draws_what_the_plot_draws(monkeypatch):
    asked = []

    def latent_point(generator, corners, x, y):
        asked.append((np.asarray(corners), x, y))
        return models_figure()

    def models_figure():
        from matplotlib.figure import Figure

        return Figure(figsize=(1, 1))

    monkeypatch.setattr(widgets.plotting, "latent_point", latent_point)
    box = widgets.latent_explorer(lambda latents: latents, latent_dim=6, seed=4)
    sliders(box)["y"].value = 0.25
    corners, x, y = asked[-1]
    np.testing.assert_array_equal(corners, np.random.default_rng(4).standard_normal((4, 6)))
    assert (x, y) == (0.5, 0.25)


def test_the_optimal_discriminator_explorer_follows_its_sliders():
    box = widgets.optimal_discriminator_explorer()
    before = box.children[-1].value
    sliders(box)["generator mean"].value = 1.0
    assert box.children[-1].value != before
