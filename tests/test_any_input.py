"""Whatever a public function is given: an error in words, of the right type, or a result. Never a silent nonsense."""

import re

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ganutils import (
    callbacks,
    checkpoints,
    data,
    diagnosis,
    evaluation,
    features,
    layers,
    lessons,
    losses,
    metrics,
    mixtures,
    models,
    plotting,
    training,
    validation,
    widgets,
)
from tests.conftest import tiny_gan, unchanged_by

RNG = np.random.default_rng(0)
U8 = RNG.integers(0, 256, (40, 28, 28, 1), "uint8")
FLOAT, ROWS, CLASSES = U8 / 127.5 - 1, RNG.standard_normal((40, 6)), np.arange(40) % 4
SURE = np.full((40, 4), 0.25)


def kinds_of(values, **more):
    """What no function takes in the place of an array of floats."""
    return {
        "None": None,
        "words": "digits",
        "a number": 3.0,
        "a dict": {"a": values},
        "ragged": [[1.0], [1.0, 2.0]],
        "empty": values[:0],
        "objects": values.astype(object),
        "text": values.astype(str),
        "complex": values.astype(complex),
        **more,
    }


IMAGES = kinds_of(
    U8,
    no_channels=U8[..., 0],
    five_axes=U8[None],
    one_image=U8[0],
    int64=U8.astype("int64"),
    bool=U8 > 127,
    zero_and_one=(U8 > 127).astype("uint8"),
    from_0_to_1=U8 / 255,
    nearly_from_0_to_1=np.where(U8 == 255, -0.01, U8 / 255),
    from_0_to_255=U8.astype("float32"),
    beyond=U8 / 60 - 1,
    nan=np.where(U8 > 250, np.nan, FLOAT),
    infinite=np.where(U8 > 250, np.inf, FLOAT),
    minus_infinity=np.where(U8 > 250, -np.inf, FLOAT),
)
DRAWN = {name: value for name, value in IMAGES.items() if name != "no_channels"}  # a grid takes those
FEATURES = kinds_of(
    ROWS,
    images=U8,
    no_columns=ROWS[:, :0],
    one_axis=ROWS[:, 0],
    three_axes=ROWS[None],
    int=ROWS.astype(int),
    bool=ROWS > 0,
    nan=np.where(ROWS > 2, np.nan, ROWS),
    infinite=np.where(ROWS > 2, np.inf, ROWS),
)
LABELS = kinds_of(
    CLASSES,
    column=CLASSES[:, None],
    one_hot=np.eye(4)[CLASSES] * 2,
    negative=CLASSES - 1,
    fractions=CLASSES / 2,
    bool=CLASSES > 1,
    huge=CLASSES + 10**12,
    nan=np.where(CLASSES == 1, np.nan, CLASSES),
    infinite=np.where(CLASSES == 1, np.inf, CLASSES),
)
PROBABILITIES = kinds_of(
    SURE,
    logits=ROWS,
    one_axis=SURE[:, 0],
    sum_of_2=SURE * 2,
    negative=SURE * [2, 2, 2, -2],
    nan=SURE * np.nan,
    infinite=SURE * np.inf,
    int=np.eye(4, dtype=int)[CLASSES],
)
NO_NUMBER = {"text": "3", "None": None, "complex": 1j, "array": np.arange(3), "NaN": np.nan, "infinite": np.inf}
WHOLE = NO_NUMBER | {"zero": 0, "negative": -1, "fraction": 1.5, "True": True}
LEAST_0 = {name: value for name, value in WHOLE.items() if name != "zero"}
OPTIONAL = {name: value for name, value in WHOLE.items() if name != "None"}
POSITIVE = NO_NUMBER | {"zero": 0.0, "negative": -1.0, "True": True}
SEVERAL = {"one": 64, "none": (), "text": "x", "zero": (8, 0, 8), "fraction": (8, 1.5, 8), "words": ("a", "b", "c")}
NAMES = {"unknown": "zzz", "number": 3, "None": None, "empty": ""}
GENERATOR, CLASSIFIER = models.fast_dcgan_generator(8), features.digit_classifier()
GAN = training.GAN(models.vanilla_generator(8, (4,)), models.vanilla_discriminator((4,)))
GAN.compile(keras.optimizers.Adam(), keras.optimizers.Adam())


def path_length(**options):
    return metrics.perceptual_path_length(GENERATOR, lambda x: x.reshape(len(x), -1), samples=4, **options)


def pipeline(images=U8, **options):
    return data.pipeline(images, **{"batch_size": 8, **options})


POINTS = {name: value for name, value in kinds_of(ROWS[:, :2], wide=ROWS, one=ROWS[0]).items()}
ROWS_OF_NOTHING = {"None": None, "words": "digits", "a number": 3.0, "seven": U8[:7], "text": U8.astype(str)}
# Function, arguments that are right, and for arguments what is wrong.
TWO_SETS = {"real": ROWS, "fake": ROWS}, {"real": FEATURES, "fake": FEATURES}
PATH = {"text": "x", "NaN": np.nan, "above": 1.5, "negative": -0.5, "None": None}
CALLS = {
    "check_images": (validation.check_images, {"images": U8}, {"images": IMAGES}),
    "as_float": (data.as_float, {"images": U8}, {"images": IMAGES}),
    "check_labels": (validation.check_labels, {"labels": CLASSES}, {"labels": LABELS}),
    "unscale": (
        data.unscale,
        {"images": FLOAT},
        {"images": {k: v for k, v in IMAGES.items() if k.endswith(("255", "nan", "inity", "text", "int64", "ds"))}},
    ),
    "pipeline": (
        pipeline,
        {},
        {"images": IMAGES, "batch_size": WHOLE, "n": OPTIONAL, "seed": {"negative": -1, "x": "x"}},
    ),
    "unpaired": (
        data.unpaired,
        {"first": U8, "second": U8, "batch_size": 8},
        {"first": IMAGES, "second": IMAGES, "batch_size": WHOLE},
    ),
    "load_dataset": (data.load_dataset, {}, {"name": NAMES, "split": NAMES}),
    "classifier": (CLASSIFIER, {"images": U8}, {"images": IMAGES | {"small": U8[:, ::2, ::2]}}),
    "frechet_distance": (metrics.frechet_distance, *TWO_SETS),
    "frechet_distance_limit": (metrics.frechet_distance_limit, TWO_SETS[0], TWO_SETS[1] | {"seed": LEAST_0}),
    "kernel_distance": (
        metrics.kernel_distance,
        TWO_SETS[0] | {"subset_size": 9, "subsets": 3},
        TWO_SETS[1] | {"subsets": WHOLE, "subset_size": WHOLE | {"too many": 41}, "seed": LEAST_0},
    ),
    "precision_recall": (metrics.precision_recall, TWO_SETS[0], TWO_SETS[1] | {"k": WHOLE | {"too many": 40}}),
    "density_coverage": (metrics.density_coverage, TWO_SETS[0], TWO_SETS[1] | {"k": WHOLE | {"too many": 40}}),
    "nearest_neighbour_accuracy": (metrics.nearest_neighbour_accuracy, *TWO_SETS),
    "inception_score": (
        metrics.inception_score,
        {"probabilities": SURE},
        {"probabilities": PROBABILITIES, "splits": WHOLE | {"too many": 41}, "seed": LEAST_0},
    ),
    "inception_score_ceiling": (metrics.inception_score_ceiling, {"labels": CLASSES}, {"labels": LABELS}),
    "conditional_fidelity": (
        metrics.conditional_fidelity,
        {"probabilities": SURE, "labels": CLASSES},
        {"probabilities": PROBABILITIES, "labels": LABELS | {"fewer": CLASSES[:7], "another": CLASSES + 1}},
    ),
    "binomial_interval": (
        metrics.binomial_interval,
        {"successes": 3, "trials": 10},
        {"successes": LEAST_0 | {"too many": 11}, "trials": WHOLE},
    ),
    "mode_coverage": (
        metrics.mode_coverage,
        {"generated": CLASSES, "data_labels": CLASSES},
        {"generated": LABELS, "data_labels": LABELS, "least": WHOLE},
    ),
    "mixture_modes": (
        metrics.mixture_modes,
        {"samples": ROWS, "centres": ROWS, "deviation": 0.1},
        {"samples": FEATURES, "centres": FEATURES, "deviation": POSITIVE},
    ),
    "pairwise_similarity": (
        metrics.pairwise_similarity,
        {"images": U8, "pairs": 3, "labels": CLASSES},
        {
            "images": IMAGES,
            "labels": {k: v for k, v in LABELS.items() if k != "None"} | {"fewer": CLASSES[:7]},
            "filter_size": WHOLE | {"too large": 29},
            "pairs": WHOLE,
            "seed": LEAST_0,
        },
    ),
    "vendi_score": (metrics.vendi_score, {"samples": ROWS}, {"samples": FEATURES | {"zeros": ROWS * 0}}),
    "memorisation": (
        metrics.memorisation,
        {"fake": ROWS, "train": ROWS, "test": ROWS + 1, "quantile": 0.1},
        {"fake": FEATURES, "train": FEATURES, "test": FEATURES, "quantile": POSITIVE | {"one": 1.0}},
    ),
    "memorisation_gap": (
        metrics.memorisation_gap,
        {"fake": ROWS, "train": ROWS, "test": ROWS},
        {"fake": FEATURES, "train": FEATURES, "test": FEATURES},
    ),
    "nearest_images": (
        metrics.nearest_images,
        {"queries": U8, "references": U8},
        {"queries": IMAGES, "references": IMAGES, "k": WHOLE | {"too many": 41}},
    ),
    "parzen_log_likelihood": (
        metrics.parzen_log_likelihood,
        {"fake": ROWS, "test": ROWS, "bandwidth": 0.5},
        {"fake": FEATURES, "test": FEATURES, "bandwidth": {"zero": 0.0, "negative": -1.0, "NaN": np.nan, "text": "x"}},
    ),
    "perceptual_path_length": (
        path_length,
        {"epsilon": 1e-3},
        {"epsilon": POSITIVE | {"tiny": 1e-9}, "lower": PATH, "upper": PATH, "seed": LEAST_0, "latent_dim": OPTIONAL},
    ),
    "discriminator_accuracy": (
        evaluation.discriminator_accuracy,
        {"real": U8, "fake": U8, "steps": 1, "batch_size": 8},
        {"real": IMAGES, "fake": IMAGES, "steps": WHOLE, "batch_size": WHOLE | {"odd": 7}, "seed": LEAST_0},
    ),
    "measure": (evaluation.measure, {"gan": GAN, "samples": 10}, {"samples": WHOLE | {"one": 1, "too many": 5001}}),
    "class_grid": (
        plotting.class_grid,
        {"images": U8, "labels": CLASSES},
        {"images": DRAWN, "labels": LABELS | {"fewer": CLASSES[:7]}, "names": {"fewer": ["a"]}, "columns": WHOLE},
    ),
    "fit": (
        GAN.fit,
        {"x": U8, "verbose": 0},
        {
            "x": {"small": U8[:, :8, :8], "colour": np.repeat(U8, 3, axis=-1)},
            "y": {"a number": 5, "fewer": CLASSES[:7], "text": "x"},
        },
    ),
    "image_grid": (plotting.image_grid, {"images": U8}, {"images": DRAWN, "columns": WHOLE}),
    "compare_grids": (
        lambda images=U8, columns=8: plotting.compare_grids({"a": images}, columns),
        {},
        {"images": DRAWN, "columns": WHOLE},
    ),
    "sample_strip": (
        plotting.sample_strip,
        {"images": [U8, U8], "epochs": [0, 1]},
        {
            "images": {"none": [], "one": [U8], "NaN": [IMAGES["nan"]] * 2},
            "epochs": {"none": [], "one": [0]},
            "n": WHOLE | {"too many": 41},
            "most": WHOLE,
        },
    ),
    "mix_latents": (
        plotting.mix_latents,
        {"latents": ROWS, "weights": np.full((2, 40), 1 / 40)},
        {"latents": FEATURES, "weights": {"fewer": np.ones((2, 3)), "NaN": np.full((2, 40), np.nan), "text": "x"}},
    ),
    "class_shares": (
        plotting.class_shares,
        {"shares": SURE[0]},
        {"shares": {"None": None, "empty": [], "NaN": SURE[0] * np.nan, "sum of 2": SURE[0] * 2}},
    ),
    "training_curves": (
        plotting.training_curves,
        {"history": {"step": [1, 2], "a_loss": [1.0, 2.0]}},
        {"history": {"empty": {}, "no step": {"a_loss": [1.0]}, "lengths": {"step": [1, 2], "a_loss": [1.0]}}},
    ),
    "lines": (
        lambda curves: plotting.lines(curves, "x", "y"),
        {"curves": {"a": ([1, 2], [1, 2])}},
        {"curves": {"empty": {}, "lengths": {"a": ([1, 2], [1])}, "too many": dict.fromkeys(range(9), ([1], [1]))}},
    ),
    "neighbour_balls": (
        plotting.neighbour_balls,
        {"real": ROWS[:, :2], "fake": ROWS[:, 2:4]},
        {"real": FEATURES, "fake": FEATURES, "k": WHOLE | {"too many": 40}},
    ),
    "feature_clouds": (
        lambda real, fake: plotting.feature_clouds(real, {"dcgan": fake}),
        {"real": ROWS[:, :2], "fake": ROWS[:, 2:4]},
        {"real": FEATURES, "fake": FEATURES},
    ),
    "report_card": (
        lambda report: plotting.report_card(report, {"fid": ("FID", 1)}, floor="real"),
        {"report": {"real": {"fid": 1.0}, "dcgan": {"fid": [1.0, 2.0]}}},
        {
            "report": {
                "empty": {},
                "no floor": {"dcgan": {"fid": 1.0}},
                "no number": {"real": {}},
                "NaN": {"real": {"fid": np.nan}},
            }
        },
    ),
    "losses.get": (losses.get, {"loss": "minimax"}, {"loss": NAMES}),
    "R1": (losses.R1, {"weight": 1.0}, {"weight": POSITIVE, "every": WHOLE}),
    "GradientPenalty": (losses.GradientPenalty, {}, {"weight": POSITIVE, "every": WHOLE}),
    "smoothed": (losses.smoothed, {}, {"target": POSITIVE | {"above": 1.1}}),
    "Clip": (layers.Clip, {}, {"limit": POSITIVE}),
    "Pack": (layers.Pack, {}, {"k": WHOLE}),
    "MinibatchDiscrimination": (layers.MinibatchDiscrimination, {}, {"kernels": WHOLE, "kernel_size": WHOLE}),
    "ring": (mixtures.ring, {}, {"modes": WHOLE, "radius": POSITIVE, "deviation": POSITIVE}),
    "grid": (mixtures.grid, {}, {"side": WHOLE, "spacing": POSITIVE, "deviation": POSITIVE}),
    "sample of a mixture": (mixtures.ring().sample, {"n": 3}, {"n": WHOLE, "seed": LEAST_0}),
    "density": (mixtures.ring().density, {"points": ROWS[:, :2]}, {"points": POINTS}),
    "coverage": (mixtures.ring().coverage, {"points": ROWS[:, :2]}, {"points": POINTS}),
    "stacked_mnist": (
        data.stacked_mnist,
        {"batch_size": 8, "split": "test"},
        {
            "batch_size": WHOLE | {"more than there are": 10_001},
            "split": NAMES,
            "seed": {"text": "x", "negative": -1, "fraction": 1.5},
        },
    ),
    "diagnose": (
        diagnosis.diagnose,
        {"history": {"step": [1, 2], "a_loss": [1.0, 2.0]}},
        {"history": {"empty": {}, "no step": {"a_loss": [1.0]}, "lengths": {"step": [1, 2], "a_loss": [1.0]}}},
    ),
    "HealthCheck": (
        callbacks.HealthCheck,
        {"batch": U8},
        {"batch": ROWS_OF_NOTHING, "every": WHOLE, "classifier": {"text": "x", "number": 3}},
    ),
    "Curves": (callbacks.Curves, {}, {"every": WHOLE}),
    "Samples": (
        callbacks.Samples,
        {"inputs": ROWS, "epochs": [1]},
        {"epochs": {"text": "x", "number": 3, "NaN": [np.nan], "negative": [-1]}},
    ),
    "TimeLimit": (callbacks.TimeLimit, {"seconds": 3}, {"seconds": POSITIVE, "clock": {"text": "x", "number": 3}}),
    "Progress": (callbacks.Progress, {}, {"mode": {"unknown": "zzz", "number": 3}}),
    "Backup": (callbacks.Backup, {"path": "build/no-such"}, {"path": {"None": None, "number": 3}}),
    "load_checkpoint": (checkpoints.load_checkpoint, {"name": "dcgan"}, {"name": NAMES | {"above": "../dcgan"}}),
    "Profile": (
        lessons.Profile,
        {"lesson": "02_dcgan", "name": "smoke"},
        {"lesson": NAMES, "name": NAMES, "epochs": WHOLE, "batch_size": WHOLE, "images": WHOLE},
    ),
    "vanilla_generator": (models.vanilla_generator, {}, {"latent_dim": WHOLE, "units": SEVERAL}),
    "vanilla_discriminator": (
        models.vanilla_discriminator,
        {},
        {"dropout": NO_NUMBER | {"one": 1.0, "negative": -0.1}, "units": SEVERAL},
    ),
    "dcgan_generator": (
        models.dcgan_generator,
        {"latent_dim": 4},
        {
            "latent_dim": WHOLE,
            "filters": {"fewer": (8, 8)} | SEVERAL,
            "strides": {"product": (1, 3, 1)} | SEVERAL,
            "image_shape": SEVERAL,
            "kernel_size": {"zero": 0},
        },
    ),
    "dcgan_discriminator": (
        models.dcgan_discriminator,
        {},
        {"dropout": NO_NUMBER | {"one": 1.0}, "filters": SEVERAL, "image_shape": SEVERAL},
    ),
    "fast_dcgan_generator": (models.fast_dcgan_generator, {}, {"latent_dim": WHOLE, "image_shape": SEVERAL}),
    "conditional_generator": (
        models.conditional_generator,
        {},
        {"latent_dim": WHOLE, "classes": WHOLE, "label_input": NAMES, "image_shape": SEVERAL},
    ),
    "conditional_discriminator": (
        models.conditional_discriminator,
        {},
        {"classes": WHOLE, "label_input": NAMES, "image_shape": SEVERAL},
    ),
    "blind_test": (
        widgets.blind_test,
        {"real": U8, "fake": U8, "trials": 2},
        {"real": IMAGES, "fake": IMAGES, "trials": WHOLE, "seed": LEAST_0},
    ),
    "latent_explorer": (
        widgets.latent_explorer,
        {"generator": GENERATOR, "latent_dim": 8},
        {"latent_dim": WHOLE, "seed": LEAST_0 | {"too large": 100}},
    ),
}


# What the course's own messages have in them and those of NumPy and Keras do not: what to do.
OUR_WORDS = re.compile(
    r"\b(give|choose|use|draw|make|makes|add|must|expected|apply|divide|multiply|leave|Run|takes|NaN or infinite)\b"
)


@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_are_refused_in_words(name):
    function, right, wrong = CALLS[name]
    function(**right)
    accepted = []
    for argument, kinds in wrong.items():
        for kind, value in kinds.items():
            try:
                function(**right | {argument: value})
                said = "no error"
            except Exception as error:
                said = repr(error)
                if isinstance(error, (ValueError, FileNotFoundError)) and OUR_WORDS.search(said):
                    continue
            accepted.append((argument, kind, said[:200]))
    assert not accepted


def test_there_are_hundreds_of_them():
    assert sum(len(kinds) for *_, wrong in CALLS.values() for kinds in wrong.values()) >= 1000


@pytest.fixture(scope="module")
def gan():
    return tiny_gan()


@pytest.mark.parametrize("kind", [kind for kind in IMAGES if kind != "no_channels"])
def test_no_wrong_images_move_a_weight(gan, kind):
    unchanged_by(gan, lambda: gan.fit(IMAGES[kind], verbose=0), "images (have|are|contain)|x is a")


@pytest.mark.parametrize("option", ["epochs", "batch_size", "steps_per_epoch"])
@pytest.mark.parametrize("kind", OPTIONAL)
def test_no_wrong_number_moves_a_weight(gan, digits, option, kind):
    unchanged_by(gan, lambda: gan.fit(digits, verbose=0, **{option: OPTIONAL[kind]}), f"{option}=")


# Any array at all: a result without NaN, or an error in words.
DTYPES = st.sampled_from(["uint8", "int64", "bool", "float16", "float32", "float64", "complex64", "U3", "O"])
SHAPES = arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)
ANY = DTYPES.flatmap(lambda dtype: SHAPES.flatmap(lambda shape: array_of(dtype, shape)))
TAKERS = {
    "as_float": data.as_float,
    "unscale": data.unscale,
    "frechet_distance": lambda x: metrics.frechet_distance(x, x),
    "density_coverage": lambda x: metrics.density_coverage(x, x, k=1),
    "vendi_score": metrics.vendi_score,
    "inception_score": metrics.inception_score,
    "inception_score_ceiling": metrics.inception_score_ceiling,
    "mode_coverage": lambda x: metrics.mode_coverage(x, x)[:1],
    "pipeline": lambda x: next(iter(data.pipeline(x, batch_size=1))),
}


def array_of(dtype, shape):
    elements = st.text(max_size=3) if dtype == "O" else None
    return arrays.arrays(dtype, shape, elements=elements)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TAKERS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(array=ANY)
def test_any_array_gives_a_finite_result_or_an_error_in_words(name, array):
    try:
        found = TAKERS[name](array)
    except ValueError:
        return
    for part in keras.tree.flatten(found):
        assert np.isfinite(np.asarray(part)).all()
