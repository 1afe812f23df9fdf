import json
import types

import keras
import numpy as np
import pytest
import recipes

from ganutils import data, evaluation, fingerprint, lessons, references
from tests.test_tools import ROOT, load_tool

LESSON = "02_dcgan"
WINDOWS, EVERY = 100, 50
STEPS = WINDOWS * EVERY
TIME = np.linspace(0, 1, WINDOWS)
USUAL = {
    "discriminator_loss": 0.9 + 0.4 * np.exp(-20 * TIME),
    "generator_loss": 1.2 - 0.5 * np.exp(-20 * TIME),
    "real_accuracy": 0.7 + 0.1 * np.exp(-20 * TIME),
    "fake_accuracy": 0.72 - 0.2 * np.exp(-15 * TIME),
}
BROKEN = float("nan")


def synthetic_run(rng, names=USUAL):
    """A run with what makes runs differ: an offset that stays, a slow wandering, and noise of each window."""
    run = {"step": (np.arange(1, WINDOWS + 1) * EVERY).tolist()}
    for name in names:
        wandering = np.convolve(rng.standard_normal(WINDOWS + 10), np.ones(11) / 11**0.5, "valid")
        noise = 0.03 * rng.standard_normal() + 0.03 * wandering + 0.05 * rng.standard_normal(WINDOWS)
        run[name] = (names[name] + noise).tolist()
    return run


def store(folder, runs):
    rows = [{**run, "frechet_distance": [800.0 + 8 * i, 90.0 + 0.9 * i, 20.0 + 0.2 * i]} for i, run in enumerate(runs)]
    found = {
        "profile": {"batch_size": 64},
        "samples": 2000,
        "floor": {"frechet_distance": 1.9},
        "curves": [name for name in runs[0] if name != "step"],
        "step": runs[0]["step"],
        "measured_step": [10, 500, STEPS],
        "runs": rows,
    }
    (folder / f"{LESSON}.json").write_text(json.dumps(found))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(references, "FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def runs(folder, rng):
    """Five recorded runs, which `references.load` finds."""
    runs = [synthetic_run(rng) for _ in range(5)]
    store(folder, runs)
    return runs


def first(history, windows):
    return {name: values[:windows] for name, values in history.items()}


def verdict(history, **options):
    return references.compare(history, LESSON, **options)


def sides(found):
    return {(departure.curve, departure.side) for departure in found.departures}


def test_load_says_what_is_missing_and_how_to_make_it(folder):
    with pytest.raises(FileNotFoundError, match=r"run `python tools/record_reference_runs.py 02_dcgan`"):
        references.load(LESSON)


def test_smoothing_is_a_moving_median(rng):
    steps, values = np.cumsum(rng.integers(1, 40, 80)), rng.standard_normal(80)
    expected = [np.median(values[np.abs(steps - step) <= 100]) for step in steps]
    np.testing.assert_allclose(references.smooth(steps, values, 200), expected)


def test_each_reference_run_is_normal_next_to_the_others(folder):
    rng = np.random.default_rng(0)
    alarms = new_alarms = 0
    for _ in range(20):
        runs = [synthetic_run(rng) for _ in range(5)]
        for i, run in enumerate(runs):
            store(folder, runs[:i] + runs[i + 1 :])
            alarms += not verdict(run).normal
        store(folder, runs)
        new_alarms += not verdict(synthetic_run(rng)).normal
    assert alarms <= 3, "of 100"
    assert new_alarms <= 1, "of 20"


def test_a_departure_says_where_and_how_long(runs, rng):
    history = synthetic_run(rng)
    assert verdict(history).normal
    history["generator_loss"] = (USUAL["generator_loss"] + np.where(TIME > 0.6, 2.0, 0.0)).tolist()
    found = verdict(history)
    (departure,) = found.departures
    assert not found.normal
    assert (departure.curve, departure.side) == ("generator_loss", "above")
    assert departure.step == pytest.approx(0.6 * STEPS, abs=0.02 * STEPS)
    assert departure.share == pytest.approx(0.4, abs=0.02)
    for part in (f"step {departure.step:,}", f"{100 * departure.share:.0f}%", "generator loss", "5 reference runs"):
        assert part in found.sentence


def test_a_short_excursion_is_none(runs):
    history = {"step": runs[0]["step"], **{name: curve.copy() for name, curve in USUAL.items()}}
    history["generator_loss"][50] = 1e6
    history["real_accuracy"][70:74] = 0.0  # for 4 % of the run, which a median over 5 % lets through
    assert verdict(history).normal
    history["real_accuracy"][70:80] = 0.0
    assert sides(verdict(history)) == {("real_accuracy", "below")}


STUCK_GENERATOR = {"discriminator_loss": 0.01, "generator_loss": 7.0, "real_accuracy": 1.0, "fake_accuracy": 1.0}
STUCK_DISCRIMINATOR = {"discriminator_loss": 1.7, "generator_loss": 0.4, "real_accuracy": 0.45, "fake_accuracy": 0.3}
SIGMOID = {"discriminator_loss": 2 * np.log(2), "generator_loss": np.log(2), "real_accuracy": 1, "fake_accuracy": 0}
ABOVE = {"discriminator_loss": "below", "generator_loss": "above", "real_accuracy": "above", "fake_accuracy": "above"}
BELOW = {name: "below" if side == "above" else "above" for name, side in ABOVE.items()}


@pytest.mark.parametrize(
    ("changes", "expected", "hint"),
    [
        (STUCK_GENERATOR, ABOVE, "strong"),
        (STUCK_DISCRIMINATOR, BELOW, "weak"),
        (SIGMOID, {**BELOW, "real_accuracy": "above"}, "all real"),
        (
            {"real_accuracy": 0.05, "fake_accuracy": 1.0},
            {"real_accuracy": "below", "fake_accuracy": "above"},
            "all generated",
        ),
    ],
)
def test_broken_runs_are_not_normal_and_get_a_hint(runs, changes, expected, hint):
    history = {"step": runs[0]["step"], **{name: changes.get(name, USUAL[name]) + 0 * TIME for name in USUAL}}
    found = verdict(history)
    assert sides(found) == set(expected.items())
    assert found.hint == hint
    assert "This usually means" in found.sentence


def test_curves_have_the_names_that_the_model_gave_them(folder, rng):
    names = {"to_b_loss": 2 + 0 * TIME, "cycle_loss": 0.5 + 0 * TIME, "psnr": 20 + 0 * TIME}
    store(folder, [synthetic_run(rng, names) for _ in range(5)])
    history = synthetic_run(rng, names)
    assert verdict(history).normal
    history["psnr"] = [5.0] * WINDOWS
    found = verdict(history)
    assert sides(found) == {("psnr", "below")}
    assert found.hint is None, "what it means is known of two players only"
    drawn, _ = references.figure(history, LESSON)
    assert {axes.get_title() for axes in drawn.axes} >= {"to b loss", "cycle loss", "psnr"}


def test_the_distance_is_compared_at_the_step_where_the_run_ends(runs, rng):
    history = synthetic_run(rng)
    text = verdict(history, frechet_distance=21.25).sentence
    assert "FID (digits) is 21.2; the reference runs had 20 to 20.8 at step 5,000; two sets of real images" in text
    assert "have 1.9 (each of 2,000 images)" in text
    assert "had 90 to 93.6 at step 500;" in verdict(first(history, 10), frechet_distance=21.25).sentence
    assert "no FID" in verdict(history, frechet_distance=np.nan).sentence


def test_not_a_number_is_found_and_what_came_before_is_judged(runs, rng):
    history = synthetic_run(rng)
    history["generator_loss"][70:] = [BROKEN] * 30
    history["discriminator_loss"][71:] = [float("inf")] * 29
    found = verdict(history)
    assert found.not_finite == {"generator_loss": 3550, "discriminator_loss": 3600}
    assert (found.normal, found.departures) == (False, [])
    assert "stays within" in found.sentence
    history["generator_loss"] = [BROKEN] * WINDOWS
    found = verdict(history)
    assert found.not_finite["generator_loss"] == 50
    assert "stays within" not in found.sentence


def test_runs_of_other_lengths_are_compared_as_far_as_both_go(runs, rng):
    history = synthetic_run(rng)
    assert "20% of the 5,000" in verdict(first(history, 20)).sentence
    short = {**history, "discriminator_loss": [0.0] * WINDOWS}
    (departure,) = verdict(first(short, 20)).departures
    assert departure == ("discriminator_loss", "below", 50, 1.0), "a share of the steps that were compared"
    longer = {name: values + [50.0] * 100 for name, values in history.items()}
    longer["step"] = [EVERY * i for i in range(1, 201)]
    assert verdict(longer).normal
    smoke = {"step": [4, 8], **{name: [9.0, 9.0] for name in USUAL}}
    for few in (smoke, first(runs[0], 4)):
        assert verdict(few).normal is None
    assert "0.2% of the 5,000 of a reference run: too few to tell" in verdict(smoke).sentence
    assert verdict(first(runs[0], 5)).normal is not None


def test_windows_and_batches_of_other_sizes(runs, rng):
    history = synthetic_run(rng)
    finer = {"step": list(range(10, STEPS + 1, 10))}
    finer |= {name: np.interp(finer["step"], history["step"], history[name]) for name in USUAL}
    assert verdict(finer).normal
    (departure,) = verdict({**finer, "real_accuracy": [0.0] * len(finer["step"])}).departures
    assert (departure.step, departure.share) == (50, 1), "before step 50 there is nothing to compare with"
    assert "batch size is 128, theirs 64" in verdict(finer, batch_size=128).sentence
    assert "batch size" not in verdict(finer, batch_size=64).sentence


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": []}, "the history is empty"),
        ({"real_accuracy": [0.5]}, "lacks real_accuracy for all its steps"),
        ({"fake_accuracy": []}, "lacks fake_accuracy"),
        ({"step": [1, 2] * 50}, "steps do not increase"),
    ],
)
def test_a_history_that_is_none_is_refused(runs, rng, change, message):
    with pytest.raises(ValueError, match=message):
        verdict({**synthetic_run(rng), **change})


def test_the_figure_has_the_band_the_run_its_distance_and_the_verdict(runs, rng):
    history = synthetic_run(rng)
    history["fake_accuracy"][70:] = [BROKEN] * 30
    drawn, found = references.figure(history, LESSON, ([50, 1000], [90.0, 33.0]))
    assert not found.normal
    panels = {axes.get_title(): axes for axes in drawn.axes}
    curves = {line.get_label(): line for line in panels["generator loss"].lines}
    low, median, high, lowest, highest = references.limits(references.load(LESSON), "generator_loss")
    smoothed = references.smooth(history["step"], history["generator_loss"], references.SMOOTHING * STEPS)
    np.testing.assert_allclose(curves["your run"].get_ydata(), smoothed)
    np.testing.assert_allclose(curves["their median"].get_ydata(), median)
    for area, ends in zip(panels["generator loss"].collections, ((lowest, highest), (low, high)), strict=True):
        corners = area.get_paths()[0].vertices
        np.testing.assert_allclose(np.unique(corners[corners[:, 0] == STEPS][:, 1]), [end[-1] for end in ends])
    assert 3550 in [line.get_xdata()[0] for line in panels["accuracy on generated images"].lines]
    points = {line.get_label(): line for line in panels["FID (digits), 2,000 samples"].lines}
    assert points["your run"].get_xydata().tolist() == [[50, 90.0], [1000, 33.0]]
    assert points["real images"].get_ydata()[0] == 1.9


class Painter:
    """Stands in for a GAN: hands out the given images."""

    latent_dim = 3

    def __init__(self, images, inputs=1):
        self.images, self.labels = images, []
        self.generator = types.SimpleNamespace(inputs=[None] * inputs)

    def __call__(self, inputs):
        if isinstance(inputs, list):
            self.labels.extend(inputs[1])
            inputs = inputs[0]
        taken, self.images = self.images[: len(inputs)], self.images[len(inputs) :]
        return taken


def test_a_generator_of_real_images_reaches_the_floor():
    images, labels, others = evaluation._real_images(600)
    floor = evaluation.floor(samples=600)
    painter = Painter(data.as_float(others), inputs=2)
    assert evaluation.measure(painter, samples=600) == pytest.approx(floor, rel=1e-3)
    assert painter.labels == list(labels), "a conditional GAN is asked for the digits of the real images"
    distance, coverage = evaluation.measure(Painter(data.as_float(images)), samples=600)
    assert distance == pytest.approx(0, abs=1e-3)
    assert coverage == 1
    assert floor.frechet_distance > 1
    assert np.isnan(evaluation.measure(Painter(np.full((600, 28, 28, 1), BROKEN)), samples=600)).all()
    with pytest.raises(ValueError, match=r"samples=6000 is not allowed; choose a whole number, from 2 to 5000"):
        evaluation.floor(samples=6000)


# What is recorded, what the recipes say and what the lessons do are one thing.


@pytest.mark.parametrize("lesson", load_tool("record_reference_runs").LESSONS)
def test_the_reference_runs_are_those_of_the_recipe(lesson):
    tool, reference = load_tool("record_reference_runs"), references.load(lesson)
    profile = lessons.Profile(lesson, "laptop")
    described = json.loads(json.dumps(tool.describe_run(lesson, profile)))
    if reference["recipe"]["Keras"] != keras.__version__:  # a configuration is written otherwise then
        for recipe in (reference["recipe"], described["recipe"]):
            del recipe["Keras"], recipe["networks"]
    # Options that are newer than the record have their defaults.
    settings = described["recipe"]["settings"]
    described["recipe"]["settings"] = {name: settings.get(name) for name in reference["recipe"]["settings"]}
    message = f"{lesson} has changed; run `python tools/record_reference_runs.py {lesson}`"
    for name in ("profile", "samples", "classifier", "recipe"):
        assert reference[name] == described[name], message
    assert [run["seed"] for run in reference["runs"]] == [1, 2, 3, 4, 5], message
    assert reference["measured_step"] == tool.moments(profile.steps), message
    assert reference["step"][-1] == profile.steps, message
    assert (references.FOLDER / f"{lesson}.json").stat().st_size < 64_000


@pytest.mark.parametrize("lesson", load_tool("record_reference_runs").LESSONS)
def test_the_recipe_still_begins_as_its_recorded_runs(lesson):
    """Whatever is changed in the training loop: the first steps of a recorded run come out again."""
    found = load_tool("record_reference_runs").beginning(lesson, lessons.Profile(lesson, "laptop"))
    assert found == pytest.approx(references.load(lesson)["beginning"], rel=2e-3)


def recipe_cells(path):
    """Yield the sources of a notebook's cells up to the one that is tagged `recipe` and makes `gan`."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            yield "".join(cell["source"]), "recipe" in cell["metadata"].get("tags", [])


@pytest.mark.parametrize("lesson", recipes.RECIPES)
def test_the_lesson_trains_its_recipe(lesson, monkeypatch):
    """From one seed and one batch, the lesson's GAN and the recipe's have equal weights after one step."""
    images, labels = data.load_dataset()
    names = {"SEED": 4, "images": images, "labels": labels, "profile": lessons.Profile(lesson, "smoke")}
    for source, is_recipe in recipe_cells(ROOT / "notebooks" / f"{lesson}.ipynb"):
        if is_recipe:
            exec(source, names)
            break
        if source.startswith(("import", "from", "def new_gan")):
            exec(source, names)
    else:
        pytest.fail(f"no cell of {lesson} is tagged `recipe`; tag the one that makes `gan`, as CONTRIBUTING.md says")
    pair = names["gan"], recipes.RECIPES[lesson](seed=4)
    assert fingerprint.describe(pair[0]) == fingerprint.describe(pair[1])
    conditional = len(pair[0].generator.inputs) == 2
    for gan in pair:
        gan.train_on_batch(*((images[:64], labels[:64]) if conditional else (images[:64],)))
    for ours, theirs in zip(pair[0].get_weights(), pair[1].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
