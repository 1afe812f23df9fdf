import ast
import json
import re
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from ganutils import callbacks, data, lessons, models, plotting, recipes, references, training
from ganutils.references import _record
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


def synthetic_run(rng, **changes):
    """A run with what makes runs differ: an offset that stays, a slow wandering, and noise of each window."""
    run = {"step": (np.arange(1, WINDOWS + 1) * EVERY).tolist(), "seconds": (TIME * 100).tolist()}
    for name, curve in USUAL.items():
        wandering = np.convolve(rng.standard_normal(WINDOWS + 10), np.ones(11) / 11**0.5, "valid")
        curve = changes.get(name, curve)
        noise = 0.03 * rng.standard_normal() + 0.03 * wandering + 0.05 * rng.standard_normal(WINDOWS)
        run[name] = (curve + noise).tolist()
    return run


def store(folder, runs, measured=(10, 500, STEPS), distances=(800.0, 90.0, 20.0)):
    shared = {"step": runs[0]["step"], "measured_step": list(measured)}
    rows = [
        {
            **{name: values for name, values in run.items() if name != "step"},
            "frechet_distance": [distance * (1 + 0.01 * i) for distance in distances],
            "coverage": [0.1, 0.5, 0.8],
        }
        for i, run in enumerate(runs)
    ]
    found = {
        "profile": {"name": "laptop", "images": 1, "epochs": 1, "batch_size": 64},
        "samples": 2000,
        "floor": {"frechet_distance": 1.9, "coverage": 0.96},
        **shared,
        "runs": rows,
    }
    (folder / f"{LESSON}.json").write_text(json.dumps(found))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def runs(folder, rng):
    """Five recorded runs, which `references.load` finds."""
    runs = [synthetic_run(rng) for _ in range(5)]
    store(folder, runs)
    return runs


def first(history, windows):
    return {name: values[:windows] for name, values in history.items()}


def sides(found):
    return {(departure.curve, departure.side) for departure in found}


def test_load_says_what_is_missing_and_how_to_make_it(folder):
    with pytest.raises(ValueError, match=r"unknown lesson '04_evaluation'; choose one of 01_vanilla_gan, 02_dcgan"):
        references.load("04_evaluation")
    with pytest.raises(FileNotFoundError, match=r"run `python tools/record_reference_runs.py 02_dcgan`"):
        references.load(LESSON)


def test_every_recipe_may_have_reference_runs():
    assert set(recipes.RECIPES) >= set(references.LESSONS)


def test_a_band_holds_percentiles_between_the_recorded_steps():
    runs = [{"step": [10, 20], "generator_loss": [float(i), 10.0 * i]} for i in range(11)]
    band = references.band(runs, "generator_loss", [5, 10, 15, 20, 25])
    np.testing.assert_allclose(band.low, [np.nan, 1, 5.5, 10, np.nan])
    np.testing.assert_allclose(band.median, [np.nan, 5, 27.5, 50, np.nan])
    np.testing.assert_allclose(band.high, [np.nan, 9, 49.5, 90, np.nan])
    runs = [{"measured_step": [1, 3], "coverage": [0.0, 0.2 * i]} for i in range(3)]
    assert references.band(runs, "coverage", [2]).median == pytest.approx([0.1])
    with pytest.raises(ValueError, match="unknown quantity 'loss'"):
        references.band(runs, "loss", [1])


def test_smoothing_is_a_moving_median(rng):
    steps, values = np.cumsum(rng.integers(1, 40, 80)), rng.standard_normal(80)
    expected = [np.median(values[np.abs(steps - step) <= 100]) for step in steps]
    np.testing.assert_allclose(references.smooth(steps, values, 200), expected)


def test_each_reference_run_is_normal_beside_the_others(folder):
    rng = np.random.default_rng(0)
    alarms = new_alarms = 0
    for _ in range(20):
        runs = [synthetic_run(rng) for _ in range(5)]
        for i, run in enumerate(runs):
            store(folder, runs[:i] + runs[i + 1 :])
            alarms += bool(references.departures(run, LESSON))
        store(folder, runs)
        new_alarms += bool(references.departures(synthetic_run(rng), LESSON))
    assert alarms <= 3, "of 100"
    assert new_alarms <= 1, "of 20"


def test_a_departure_says_where_and_how_long(runs, rng):
    history = synthetic_run(rng)
    history["generator_loss"] = (USUAL["generator_loss"] + np.where(TIME > 0.6, 2.0, 0.0)).tolist()
    (departure,) = references.departures(history, LESSON)
    assert (departure.curve, departure.side) == ("generator_loss", "above")
    assert departure.step == pytest.approx(0.6 * STEPS, abs=0.02 * STEPS)
    assert departure.share == pytest.approx(0.4, abs=0.02)


def test_a_short_excursion_is_none(runs):
    history = {"step": runs[0]["step"], **{name: curve.copy() for name, curve in USUAL.items()}}
    history["generator_loss"][50] = 1e6
    history["real_accuracy"][70:74] = 0.0  # for 4 % of the run, which a median over 5 % lets through
    assert references.departures(history, LESSON) == []
    history["real_accuracy"][70:80] = 0.0
    assert sides(references.departures(history, LESSON)) == {("real_accuracy", "below")}


@pytest.mark.parametrize(
    ("changes", "expected", "hint"),
    [
        (
            {"discriminator_loss": 0.9 * np.exp(-4 * TIME), "generator_loss": 1.2 + 6 * TIME, "fake_accuracy": 1.0},
            {("discriminator_loss", "below"), ("generator_loss", "above"), ("fake_accuracy", "above")},
            "too strong",
        ),
        # The generator stands still: the discriminator soon knows all of its images.
        (
            {"discriminator_loss": 0.01, "generator_loss": 7.0, "real_accuracy": 1.0, "fake_accuracy": 1.0},
            {
                *(("discriminator_loss", "below"), ("generator_loss", "above")),
                *(("real_accuracy", "above"), ("fake_accuracy", "above")),
            },
            "Look at the generator's optimizer",
        ),
        # The discriminator stands still.
        (
            {"discriminator_loss": 1.7, "generator_loss": 0.4, "real_accuracy": 0.45, "fake_accuracy": 0.3},
            {
                *(("discriminator_loss", "above"), ("generator_loss", "below")),
                *(("real_accuracy", "below"), ("fake_accuracy", "below")),
            },
            "See whether its weights change",
        ),
        # One sigmoid too many, as in lesson 02.
        (
            {"discriminator_loss": 2 * np.log(2), "generator_loss": np.log(2), "real_accuracy": 1, "fake_accuracy": 0},
            {
                *(("discriminator_loss", "above"), ("generator_loss", "below")),
                *(("real_accuracy", "above"), ("fake_accuracy", "below")),
            },
            "sigmoid",
        ),
        ({"real_accuracy": 0.05, "fake_accuracy": 1.0}, {("real_accuracy", "below"), ("fake_accuracy", "above")}, "-1"),
    ],
)
def test_broken_runs_are_not_normal_and_get_a_hint(runs, changes, expected, hint):
    history = {"step": runs[0]["step"], **{name: changes.get(name, USUAL[name]) + 0 * TIME for name in USUAL}}
    assert sides(references.departures(history, LESSON)) == expected
    assert hint in references.verdict(history, LESSON)


def test_the_verdict_holds_the_numbers_of_the_departures(runs, rng):
    history = synthetic_run(rng)
    assert references.verdict(history, LESSON) == "Your run stays within what is normal beside five reference runs."
    history["generator_loss"] = (USUAL["generator_loss"] + np.where(TIME > 0.6, 2.0, 0.0)).tolist()
    (departure,) = references.departures(history, LESSON)
    assert references.verdict(history, LESSON).startswith(
        f"Your generator loss leaves what is normal beside five reference runs at step {departure.step:,} and is above "
        f"it for {100 * departure.share:.0f} % of the steps. This commonly means"
    )


def test_the_verdict_tells_the_distance_at_the_step_where_the_run_ends(runs, rng):
    history = synthetic_run(rng)
    text = references.verdict(history, LESSON, frechet_distance=21.25)
    assert "FID (digits) is 21.2; the reference runs had 20 to 20.8 at step 5,000; two sets of real images" in text
    assert "have 1.9 (each of 2,000 images)" in text
    assert "had 90 to 93.6 at step 500;" in references.verdict(first(history, 10), LESSON, frechet_distance=21.25)
    assert "no FID" in references.verdict(history, LESSON, frechet_distance=np.nan)


def test_not_a_number_is_found_and_what_came_before_is_judged(runs, rng):
    history = synthetic_run(rng)
    history["generator_loss"][70:] = [BROKEN] * 30
    history["discriminator_loss"][71:] = [float("inf")] * 29
    result = references.compare(history, LESSON)
    assert result.not_finite == {"generator_loss": 3550, "discriminator_loss": 3600}
    assert result.departures == []
    text = references.verdict(history, LESSON)
    assert "Your generator loss is not a finite number from step 3,550 on" in text
    assert "Before that step, your run stays within" in text
    history["generator_loss"] = [BROKEN] * WINDOWS
    text = references.verdict(history, LESSON)
    assert "from step 50 on" in text
    assert "stays within" not in text


def test_a_shorter_run_is_compared_as_far_as_it_goes(runs, rng):
    history = synthetic_run(rng)
    text = references.verdict(first(history, 20), LESSON)
    assert "stays within what is normal" in text
    assert "It has 1,000 steps, 20 % of the 5,000 of a reference run; only these were compared." in text
    history["discriminator_loss"] = [0.0] * WINDOWS
    (departure,) = references.departures(first(history, 20), LESSON)
    assert departure == ("discriminator_loss", "below", 50, 1.0), "a share of the steps that were compared"


def test_a_smoke_run_is_too_short_to_be_judged(runs):
    history = {"step": [4, 8], **{name: [9.0, 9.0] for name in references.CURVES}}
    assert not references.compare(history, LESSON).long_enough
    assert not references.compare(first(runs[0], 4), LESSON).long_enough
    assert references.compare(first(runs[0], 5), LESSON).long_enough
    text = references.verdict(history, LESSON, frechet_distance=1234)
    assert "8 steps, 0.2 % of the 5,000 of a reference run: too few to tell. Its FID (digits) is 1,234;" in text
    assert "stays within" not in text


def test_a_longer_run_is_compared_up_to_the_references_end(runs, rng):
    history = synthetic_run(rng)
    history["step"] += [STEPS + 50 * i for i in range(1, 101)]
    for name in references.CURVES:
        history[name] += [50.0] * 100
    assert references.departures(history, LESSON) == []
    history["real_accuracy"] = [0.0] * 200
    (departure,) = references.departures(history, LESSON)
    assert departure.share == 1, "of the steps that were compared"
    assert "end at step 5,000; what comes later was not compared" in references.verdict(history, LESSON)


def test_windows_and_batches_of_other_sizes(runs, rng):
    history = synthetic_run(rng)
    finer = {"step": list(range(10, STEPS + 1, 10))}
    finer |= {name: np.interp(finer["step"], history["step"], history[name]) for name in references.CURVES}
    assert references.departures(finer, LESSON) == []
    (departure,) = references.departures({**finer, "real_accuracy": [0.0] * len(finer["step"])}, LESSON)
    assert (departure.step, departure.share) == (50, 1), "before step 50 there is nothing to compare with"
    assert "batch size is 128, that of the reference runs 64" in references.verdict(finer, LESSON, batch_size=128)
    assert "batch size" not in references.verdict(finer, LESSON, batch_size=64)


@pytest.mark.parametrize("function", [references.departures, references.verdict, plotting.against_reference])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": []}, "the history is empty"),
        ({"real_accuracy": [0.5]}, r"different lengths \(step: 100, .*real_accuracy: 1,"),
        ({"fake_accuracy": None}, "the history has no fake_accuracy; give the `history` of a `callbacks.Curves`"),
        ({"step": [1, 2] * 50}, "steps do not increase"),
    ],
)
def test_a_history_that_is_none_is_refused(runs, rng, function, change, message):
    history = {name: values for name, values in {**synthetic_run(rng), **change}.items() if values is not None}
    with pytest.raises(ValueError, match=message):
        function(history, LESSON)
    with pytest.raises(ValueError, match="the history is empty"):
        function({"step": [], "seconds": []}, LESSON)


class Painter:
    """Stands in for a GAN: hands out the given images."""

    latent_dim = 3

    def __init__(self, images, inputs=1):
        self.images = images
        self.generator = types.SimpleNamespace(inputs=[None] * inputs)
        self.labels = []

    def __call__(self, inputs):
        if isinstance(inputs, list):
            self.labels.extend(inputs[1])
            inputs = inputs[0]
        taken, self.images = self.images[: len(inputs)], self.images[len(inputs) :]
        return taken


def test_a_generator_of_real_images_reaches_the_floor():
    images, labels, others = _record._real_images(600)
    floor = references.floor(samples=600)
    painter = Painter(data.as_float(others), inputs=2)
    assert references.measure(painter, samples=600) == pytest.approx(floor, rel=1e-3)
    assert painter.labels == list(labels), "a conditional GAN is asked for the digits of the real images"
    distance, coverage = references.measure(Painter(data.as_float(images)), samples=600)
    assert distance == pytest.approx(0, abs=1e-3)
    assert coverage == 1
    assert floor.frechet_distance > 1
    assert np.isnan(references.measure(Painter(np.full((600, 28, 28, 1), BROKEN)), samples=600)).all()
    with pytest.raises(ValueError, match=r"samples=6000 is not allowed; choose from 2 to 5,000"):
        references.floor(samples=6000)


def test_the_figure_has_the_band_the_median_and_the_run(runs, rng):
    history = synthetic_run(rng)
    figure = plotting.against_reference(history, LESSON)
    assert len(figure.axes) == 4
    titles = {axes.get_title(): axes for axes in figure.axes}
    axes = titles["loss of the generator"]
    drawn = {line.get_label(): line for line in axes.lines}
    width = references.SMOOTHING * STEPS
    smoothed = references.smooth(history["step"], history["generator_loss"], width)
    np.testing.assert_allclose(drawn["your run"].get_ydata(), smoothed)
    wide, narrow = (area.get_paths()[0].vertices for area in axes.collections)
    normal = references.expected(runs, "generator_loss", runs[0]["step"])
    np.testing.assert_allclose(drawn["their median"].get_ydata(), normal.band.median)
    for corners, low, high in (
        (narrow, normal.band.low, normal.band.high),
        (wide, normal.lowest, normal.highest),
    ):
        at_end = corners[corners[:, 0] == STEPS][:, 1]
        assert {at_end.min(), at_end.max()} == {low[-1], high[-1]}
    assert drawn["your run"].get_linestyle() != drawn["their median"].get_linestyle()


def test_the_figure_says_where_the_run_leaves_the_limits(runs, rng):
    history = synthetic_run(rng)
    history["generator_loss"] = (USUAL["generator_loss"] + np.where(TIME > 0.6, 2.0, 0.0)).tolist()
    sentence = plotting.against_reference(history, LESSON).get_supxlabel()
    assert " ".join(sentence.split()) == references.verdict(history, LESSON)
    assert re.search(r"generator loss leaves what is normal .* at step 3,\d+ and is above it", sentence, re.DOTALL)
    assert max(map(len, sentence.splitlines())) < 125


def test_the_figure_shows_the_distance_beside_those_of_the_references(runs, rng):
    figure = plotting.against_reference(synthetic_run(rng), LESSON, frechet_distance=33.0)
    (axes,) = (axes for axes in figure.axes if axes.get_title() == "FID (digits), 2,000 samples")
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert drawn["your run"] == [[STEPS, 33.0]]
    assert np.ravel(drawn["reference runs"]) == pytest.approx([10, 816, 500, 91.8, STEPS, 20.4])
    assert drawn["real images"][0][1] == 1.9


def test_the_figure_marks_where_numbers_end(runs, rng):
    history = synthetic_run(rng)
    history["generator_loss"][70:] = [BROKEN] * 30
    figure = plotting.against_reference(history, LESSON, frechet_distance=BROKEN)
    axes = next(axes for axes in figure.axes if axes.get_title() == "loss of the generator")
    assert [text.get_text() for text in axes.texts] == ["not a number"]
    assert 3550 in [line.get_xdata()[0] for line in axes.lines]
    assert np.isfinite(next(line for line in axes.lines if line.get_label() == "your run").get_ydata()).all()


# The guards: what is recorded, what the recipes say and what the lessons do are one thing.


def check_recorded(lesson):
    """Fail where a lesson's recorded runs are not those of its recipe and its laptop profile."""
    message = f"recipe of {lesson} has changed; run `python tools/record_reference_runs.py {lesson}`"
    try:
        reference = references.load(lesson)
    except FileNotFoundError as error:
        pytest.fail(f"{message} ({error})")
    tool = load_tool("record_reference_runs")
    profile = lessons.Profile(lesson, "laptop")
    described = json.loads(json.dumps(tool.describe_run(lesson, profile)))
    for name in ("profile", "every", "samples", "classifier", "recipe"):
        if reference[name] != described[name]:
            pytest.fail(f"{message} ({name}: recorded {reference[name]}, now {described[name]})")
    assert [run["seed"] for run in reference["runs"]] == [1, 2, 3, 4, 5], message
    for run in reference["runs"]:
        assert run["measured_step"] == tool.moments(profile.steps), message
        assert references.check_history(run)[0][-1] == profile.steps, message


@pytest.mark.parametrize("lesson", references.LESSONS)
def test_the_reference_runs_are_those_of_the_recipe(lesson):
    check_recorded(lesson)
    assert (_record.FOLDER / f"{lesson}.json").stat().st_size < 48_000


def test_the_guard_of_the_recipe_sees_another_rate_and_another_profile(folder, monkeypatch):
    message = r"recipe of 02_dcgan has changed; run `python tools/record_reference_runs.py 02_dcgan` \({}"
    with pytest.raises(pytest.fail.Exception, match=message.format("")):
        check_recorded(LESSON)
    tool = load_tool("record_reference_runs")
    profile = lessons.Profile(LESSON, "laptop")
    curves = {name: [0.0] for name in references.CURVES}
    runs = [{"seed": seed, **curves} for seed in range(1, 6)]
    shared = {"step": [profile.steps], "measured_step": tool.moments(profile.steps)}
    found = {**tool.describe_run(LESSON, profile), **shared, "runs": runs}
    (folder / f"{LESSON}.json").write_text(json.dumps(found))
    check_recorded(LESSON)

    def slower(seed=0):
        gan = recipes.dcgan(seed)
        gan.discriminator_optimizer.learning_rate = 1e-3
        return gan

    with monkeypatch.context() as patch:
        patch.setitem(recipes.RECIPES, LESSON, slower)
        with pytest.raises(pytest.fail.Exception, match=message.format("recipe")):
            check_recorded(LESSON)
    monkeypatch.setitem(lessons.LESSONS[LESSON]["laptop"], "epochs", 7)
    with pytest.raises(pytest.fail.Exception, match=message.format("profile")):
        check_recorded(LESSON)


def code_cells(path):
    notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            yield cell["metadata"].get("tags", []), "".join(cell["source"])


def is_plain(statement):
    """Whether a statement only names things: imports, functions and constants, which a later cell may need."""
    if isinstance(statement, ast.Assign):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, (ast.Import, ast.ImportFrom, ast.FunctionDef))


def run_recipe_cell(path, lesson, folder):
    """Return the GAN that a notebook's cells tagged `recipe` make, in a smoke profile and without what comes before.

    These cells are executed whole, until there is a `gan`; of the others only imports, functions and constants.
    """
    images, labels = data.load_dataset()
    profile = lessons.Profile(lesson, "smoke")
    names = {"images": images, "labels": labels, "profile": profile}
    names["lesson"] = types.SimpleNamespace(name=lesson, profile=profile, folder=folder)
    for tags, source in code_cells(path):
        if "recipe" in tags:
            exec(source, names)
            if "gan" in names:
                return names["gan"]
            continue
        statements = [statement for statement in ast.parse(source).body if is_plain(statement)]
        exec(compile(ast.Module(statements, []), str(path), "exec"), names)
    pytest.fail(f"no code cell of {Path(path).name} is tagged `recipe` and makes `gan`: tag the one that does")


def curves_every(path):
    """Return the window of the `curves = callbacks.Curves(...)` in or after the first cell tagged `recipe`."""
    found = False
    for tags, source in code_cells(path):
        found = found or "recipe" in tags
        for statement in ast.parse(source).body if found else ():
            if isinstance(statement, ast.Assign) and ast.unparse(statement).startswith("curves = callbacks.Curves("):
                return eval(ast.unparse(statement.value), {"callbacks": callbacks}).every
    return None


def write_notebook(path, *cells):
    cells = [{"cell_type": "code", "metadata": {"tags": tags}, "source": [source]} for tags, source in cells]
    path.write_text(json.dumps({"cells": cells}))


def test_the_guard_of_the_lessons_sees_another_rate_and_a_missing_tag(tmp_path):
    path = tmp_path / "lesson.ipynb"
    before = (
        "import keras\nfrom ganutils import callbacks, models, training\nRATE = 1e-3\n"
        "raise RuntimeError('this must not be executed')\n"
        "def adam(rate=RATE):\n    return keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99)"
    )
    recipe = (
        "gan = training.GAN(models.vanilla_generator(), models.vanilla_discriminator())\n"
        "gan.compile(adam(), adam({}))\ncurves = callbacks.Curves(every=7)"
    )
    expected = recipes.describe(recipes.vanilla_gan())
    for rate, same in (("", True), ("3e-4", False)):
        write_notebook(path, ([], before), (["recipe"], recipe.format(rate)))
        assert (recipes.describe(run_recipe_cell(path, "01_vanilla_gan", tmp_path)) == expected) == same
    assert curves_every(path) == 7
    write_notebook(path, ([], before), ([], recipe))
    with pytest.raises(
        pytest.fail.Exception, match=r"no code cell of lesson\.ipynb is tagged `recipe` and makes `gan`"
    ):
        run_recipe_cell(path, "01_vanilla_gan", tmp_path)


def changed(build, change):
    """Return what a recipe's description is when one thing of its discriminator is another."""
    keras.utils.set_random_seed(0)
    networks = models.conditional_generator(), build(**change)
    gan = training.ConditionalGAN(*networks)
    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    return recipes.describe(gan)


def projection(initializer="zeros", activation=None, both_from_features=True):
    """A discriminator whose parts can be joined and initialised in other ways."""
    image, label = keras.Input((28, 28, 1)), keras.Input((), dtype="int32")
    flat = keras.layers.Flatten()(image)
    features = keras.layers.Dense(8, activation)(flat)
    vector = keras.layers.Embedding(10, 8, embeddings_initializer=initializer)(label)
    other = features if both_from_features else keras.layers.Dense(8, activation)(flat)
    return keras.Model([image, label], keras.layers.Dense(1)(features) + keras.layers.Dot(axes=1)([other, vector]))


@pytest.mark.parametrize(
    "change", [{"initializer": "ones"}, {"activation": "relu"}, {"both_from_features": False}], ids=str
)
def test_the_description_of_a_recipe_sees_initializers_and_joints(change):
    assert changed(projection, {}) == changed(projection, {})
    assert changed(projection, {}) != changed(projection, change)


@pytest.mark.parametrize(
    "change", [{"clipnorm": 1.0}, {"weight_decay": 1e-4}, {"beta_2": 0.9}, {"amsgrad": True}], ids=str
)
def test_the_description_of_a_recipe_sees_every_setting_of_an_optimizer(change):
    described = [training.describe_optimizer(keras.optimizers.Adam(1e-3, **changes)) for changes in ({}, {}, change)]
    assert described[0] == described[1] == {"optimizer": "Adam", "learning_rate": 1e-3}
    assert described[2] == {**described[0], **change}


@pytest.mark.parametrize("lesson", references.LESSONS)
def test_the_lesson_trains_its_recipe(lesson, tmp_path):
    path = ROOT / "notebooks" / f"{lesson}.ipynb"
    gan = run_recipe_cell(path, lesson, tmp_path)
    assert recipes.describe(gan) == recipes.describe(recipes.RECIPES[lesson]())
    assert curves_every(path) == load_tool("record_reference_runs").EVERY[lesson]
