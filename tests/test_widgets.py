import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from ganutils import metrics, models, plotting, widgets


def sliders(box):
    return {child.description: child for child in box.children[:-1]}


def latent_explorer():
    return widgets.latent_explorer(models.fast_dcgan_generator(8), latent_dim=8)


def class_explorer():
    return widgets.class_explorer(models.conditional_generator(6).get_layer("dcgan_generator"), latent_dim=6)


@pytest.mark.parametrize(
    ("make", "moves"),
    [
        (latent_explorer, {"x": 0.0, "y": 1.0, "latents": 3}),
        (class_explorer, {"first": 0, "second": 1, "mix": 0.0, "latents": 3}),
        (widgets.optimal_discriminator_explorer, {"generator mean": 1.0}),
    ],
)
def test_each_slider_of_an_explorer_changes_the_picture(make, moves):
    box = make()
    for name, value in moves.items():
        before = box.children[-1].value
        sliders(box)[name].value = value
        assert box.children[-1].value != before, name


def test_the_latent_explorer_draws_what_the_plot_draws():
    generator = models.fast_dcgan_generator(8)
    box = widgets.latent_explorer(generator, latent_dim=8, seed=4)
    sliders(box)["y"].value = 0.25
    corners = np.random.default_rng(4).standard_normal((4, 8))
    expected = plotting.png_bytes(plotting.latent_point(generator, corners, 0.5, 0.25))
    assert box.children[-1].value == expected
    assert expected.startswith(b"\x89PNG")


def test_the_class_explorer_draws_what_the_plot_draws():
    body = models.conditional_generator(6, classes=4).get_layer("dcgan_generator")
    box = widgets.class_explorer(body, latent_dim=6, seed=5, classes=4)
    assert sliders(box)["first"].max == sliders(box)["second"].max == 3
    for name, value in (("first", 2), ("second", 1), ("mix", 0.0)):
        sliders(box)[name].value = value
    latents = np.random.default_rng(5).standard_normal((3, 6))
    expected = plotting.png_bytes(plotting.class_point(body, latents, 2, 1, 0.0, classes=4))
    assert box.children[-1].value == expected


REAL, FAKE = np.zeros((9, 6, 6, 1), "uint8"), np.full((4, 6, 6, 1), 255, "uint8")


def blind_test():
    return widgets.blind_test(REAL, FAKE, trials=4)


@pytest.mark.parametrize("make", [latent_explorer, class_explorer, widgets.optimal_discriminator_explorer, blind_test])
def test_a_widget_leaves_a_still_picture_beside_itself(make):
    """Whatever ipywidgets' version is: number 7 shows itself by a method, which would leave nothing else."""
    box = make()
    bundle, _ = InteractiveShell.instance().display_formatter.format(box)
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    assert bundle["application/vnd.jupyter.widget-view+json"] == view
    pattern = '<img alt="([^"]+)" [^>]*src="data:image/png;base64,([^"]+)">.*A still picture. In a running notebook'
    alt, picture = re.search(pattern, bundle["text/html"]).groups()
    assert base64.b64decode(picture) in [getattr(child, "value", None) for child in box.children]
    assert len(alt) > 20


def shown_is_real(box):
    """Whether the picture is one of the real images, which are black here."""
    return plt.imread(io.BytesIO(box.children[0].value)).mean(axis=(0, 1))[0] < 0.5


def play(box, answer):
    """Answer every question of a blind test, and return what was shown."""
    _, buttons, text = box.children
    truths = []
    while not buttons.children[0].disabled:
        truths.append(shown_is_real(box))
        assert text.value == f"Image {len(truths)} of {text.value.split()[-1]}"
        buttons.children[0 if answer(truths[-1]) else 1].click()
    assert buttons.children[1].disabled
    return truths


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        (lambda truth: truth, "12 of 12 right: 100%, with a 95% confidence interval from 76% to 100%."),
        (lambda truth: not truth, "0 of 12 right: 0%, with a 95% confidence interval from 0% to 24%."),
    ],
)
def test_the_blind_test_counts_right_answers(answer, score):
    box = widgets.blind_test(REAL, FAKE, trials=12)
    truths = play(box, answer)
    assert len(truths) == 12
    assert {True, False} == set(truths)
    assert box.children[2].value == f"{score} Chance, 50%, is outside it."


def test_who_always_says_real_is_right_by_chance():
    box = widgets.blind_test(REAL, FAKE, trials=40)
    right = sum(play(box, lambda truth: True))
    assert 10 < right < 30
    score = metrics.binomial_interval(right, 40)
    assert box.children[2].value == (
        f"{right} of 40 right: {right / 40:.0%}, with a 95% confidence interval from {score.low:.0%} to "
        f"{score.high:.0%}. Chance, 50%, is inside it."
    )


def test_a_click_too_many_changes_nothing(caplog):
    """A second click may have been made before the buttons could be disabled."""
    box = widgets.blind_test(REAL, FAKE, trials=3)
    play(box, lambda truth: truth)
    before = box.children[2].value
    for button in box.children[1].children:
        button.click()
    assert box.children[2].value == before
    assert not caplog.records, "outside a notebook, widgets log the errors of what a click calls"


def test_the_blind_test_shows_the_same_images_for_the_same_seed(rng):
    images = rng.uniform(-1, 1, (2, 30, 6, 6, 1))

    def pictures(seed):
        box = widgets.blind_test(*images, trials=8, seed=seed)
        found = []
        for _ in range(8):
            found.append(box.children[0].value)
            box.children[1].children[0].click()
        return found

    assert pictures(1) == pictures(1)
    assert pictures(1) != pictures(2)
    assert len(set(pictures(1))) > 5
