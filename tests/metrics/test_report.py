import numpy as np
import pytest

from ganutils import features, metrics

KEYS = {
    "frechet_distance",
    "kernel_distance",
    "inception_score",
    "precision",
    "recall",
    "density",
    "coverage",
    "nearest_neighbour_accuracy",
    "classes_covered",
    "class_divergence",
    "vendi_score",
}


def draw(n, seed, classes=10, noise=1.0):
    """What a classifier says of n images of ten classes: features in clusters, and nearly sure of the class."""
    rng, labels = np.random.default_rng(seed), np.arange(n) % classes
    centres = 2 * np.random.default_rng(0).standard_normal((10, 16))
    likelihoods = 0.001 + np.eye(10)[labels]
    values = centres[labels] + noise * rng.standard_normal((n, 16))
    return features.Features(values.astype("float32"), likelihoods / likelihoods.sum(axis=1, keepdims=True))


N = 300
REAL, TRAIN = draw(N, seed=1), draw(N, seed=2)


@pytest.fixture(scope="module")
def row():
    """Rows of a report card: of new samples as good as real ones, and of three faults."""
    generators = {
        "good": draw(N, seed=3),
        "collapsed": draw(N, seed=4, classes=3),
        "noisy": draw(N, seed=5, noise=4.0),
        "copied": TRAIN,
    }
    return {name: metrics.evaluate(REAL, fake, TRAIN.features) for name, fake in generators.items()}


def test_each_measure_is_its_own_function():
    real, fake, train = draw(200, seed=6), draw(200, seed=7, noise=1.5), draw(250, seed=8).features
    found = metrics.evaluate(real, fake, train)
    assert set(found) == {*KEYS, "copies"}
    assert set(metrics.evaluate(real, fake)) == KEYS
    assert all(type(value) is float for value in found.values())
    precision, recall = metrics.precision_recall(real.features, fake.features)
    density, coverage = metrics.density_coverage(real.features, fake.features)
    assert found["frechet_distance"] == metrics.frechet_distance(real.features, fake.features)
    assert (found["precision"], found["recall"]) == (precision, recall)
    assert (found["density"], found["coverage"]) == (density, coverage)
    assert found["vendi_score"] == metrics.vendi_score(fake.features)
    assert found["copies"] == metrics.memorisation(fake.features, train, real.features).share
    assert found == metrics.evaluate(real, fake, train), "the same numbers each time"


def test_new_samples_are_near_the_ideal(row):
    good = row["good"]
    assert good["frechet_distance"] < 1.5
    assert abs(good["kernel_distance"]) < 0.05 * row["collapsed"]["kernel_distance"]
    row_entropy = -np.sum(TRAIN.probabilities[0] * np.log(TRAIN.probabilities[0]))
    assert good["inception_score"] == pytest.approx(10 / np.exp(row_entropy))
    assert good["precision"] == pytest.approx(good["recall"], abs=0.08)
    assert good["precision"] > 0.7
    assert good["density"] == pytest.approx(1, abs=0.1)
    assert good["coverage"] == pytest.approx(1 - 2**-5, abs=0.04)
    assert good["nearest_neighbour_accuracy"] == pytest.approx(0.5, abs=3.5 * 0.5 / np.sqrt(2 * N))
    assert good["classes_covered"] == 10
    assert good["class_divergence"] == pytest.approx(0, abs=1e-9)
    assert good["copies"] < 0.04


def test_each_fault_is_seen_by_the_measures_that_look_for_it(row):
    good, collapsed, noisy, copied = (row[name] for name in ("good", "collapsed", "noisy", "copied"))
    assert min(collapsed["frechet_distance"], noisy["frechet_distance"]) > 5 * good["frechet_distance"]
    assert min(collapsed["kernel_distance"], noisy["kernel_distance"]) > 10 * abs(good["kernel_distance"])
    assert collapsed["classes_covered"] == 3
    assert collapsed["class_divergence"] == pytest.approx(np.log(10 / 3), abs=0.01)
    assert collapsed["inception_score"] == pytest.approx(3, abs=0.3)
    assert collapsed["recall"] < 0.4 < 0.7 < collapsed["precision"]
    assert collapsed["coverage"] < 0.4
    assert collapsed["vendi_score"] < 0.8 * good["vendi_score"]
    assert noisy["precision"] < 0.2
    assert max(noisy["density"], noisy["coverage"]) < 0.5
    assert noisy["nearest_neighbour_accuracy"] > 0.7
    assert copied["copies"] == 1
    for blind in ("precision", "recall", "density", "coverage", "nearest_neighbour_accuracy", "inception_score"):
        assert copied[blind] == pytest.approx(good[blind], abs=0.1), "what does not look for copies does not see them"


def test_a_few_samples_of_a_class_do_not_cover_it():
    real, fake = draw(200, seed=9), draw(200, seed=10, classes=3)
    fake.probabilities[:1] = np.eye(10)[5]
    assert metrics.evaluate(real, fake)["classes_covered"] == 3
    fake.probabilities[:2] = np.eye(10)[5]
    assert metrics.evaluate(real, fake)["classes_covered"] == 4


def test_a_small_sample_is_enough():
    found = metrics.evaluate(draw(160, seed=1), draw(160, seed=2), draw(200, seed=3).features)
    assert np.isfinite(list(found.values())).all()
    assert found["classes_covered"] == 10


def test_different_numbers_are_refused():
    with pytest.raises(ValueError, match="200 real and 160 generated samples; give as many of both"):
        metrics.evaluate(draw(200, seed=1), draw(160, seed=2))


def test_what_the_measures_refuse_is_refused():
    good, bad = draw(160, seed=1), draw(160, seed=2)
    bad.features[3] = np.nan
    with pytest.raises(ValueError, match="fake hold 16 values that are NaN"):
        metrics.evaluate(good, bad)
    with pytest.raises(ValueError, match="sum to 2"):
        metrics.evaluate(good, good._replace(probabilities=2 * good.probabilities))
