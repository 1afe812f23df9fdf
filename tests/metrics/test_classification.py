import numpy as np
import pytest

from ganutils import metrics


def test_fidelity_of_known_predictions():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.4, 0.5, 0.1], [0.9, 0.1, 0]])
    found = metrics.conditional_fidelity(probabilities, [0, 1, 0, 0])
    assert found.accuracy == 0.75
    np.testing.assert_allclose(found.per_class, [2 / 3, 1, np.nan])


def test_fidelity_of_a_generator_that_ignores_its_label(rng):
    labels = np.arange(1000) % 10
    ignored = metrics.conditional_fidelity(np.eye(10)[rng.integers(10, size=1000)], labels)
    assert ignored.accuracy == pytest.approx(0.1, abs=3.5 * np.sqrt(0.09 / 1000))
    assert metrics.conditional_fidelity(np.eye(10)[labels], labels).accuracy == 1


@pytest.mark.parametrize(("successes", "trials"), [(0, 20), (1, 20), (13, 20), (50, 100), (99, 100), (7, 7), (1, 1)])
def test_binomial_interval_is_that_of_wilson(successes, trials):
    """The shares p whose distance to the share found is at most z standard errors, at p itself: a square equation."""
    found = metrics.binomial_interval(successes, trials)
    share, z = successes / trials, 1.959963984540054
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    assert found == pytest.approx((share, centre - half, centre + half), abs=1e-9)
    assert 0 <= found.low <= found.share <= found.high <= 1


def test_binomial_interval_is_as_sure_as_it_says(rng):
    """Of many students who guess, about 95 % have one half in their interval; of 40 trials exactly 96.2 %."""
    known = [metrics.binomial_interval(right, 40) for right in range(41)]
    answers = [known[right] for right in rng.binomial(40, 0.5, 4000)]
    assert np.mean([answer.low <= 0.5 <= answer.high for answer in answers]) == pytest.approx(0.9615, abs=0.011)


def fidelity(p=None, labels=(0, 1)):
    return metrics.conditional_fidelity(np.eye(2) if p is None else p, labels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fidelity(labels=[0, 2]), "labels hold 2; give whole numbers, from 0 to 1"),
        (lambda: fidelity(labels=[0]), "labels: 1 for 2 rows of probabilities"),
        (lambda: fidelity(labels=[0, 0.5]), "labels hold 0.5"),
        (lambda: fidelity(labels=[0, np.nan]), "labels hold 1 values that are NaN"),
        (lambda: fidelity(labels=["0", "1"]), "labels are <U1"),
        (lambda: fidelity(np.array([[2.0, -1], [0, 1]])), "probabilities reach down to -1"),
        (lambda: fidelity(np.array([[0.5, 0.4], [0, 1]])), "probabilities in row 0 sum to 0.9"),
        (lambda: metrics.binomial_interval(21, 20), "successes=21 is not allowed; choose a whole number, from 0 to 20"),
        (lambda: metrics.binomial_interval(-1, 20), "successes=-1 is not allowed"),
        (lambda: metrics.binomial_interval(0.65, 20), r"successes=0\.65 is not allowed"),
        (lambda: metrics.binomial_interval(0, 0), "trials=0 is not allowed; choose a whole number, 1 or more"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def of_values(values, counts, certain=0.97):
    """Probabilities of a reader that is as sure as `certain` of these values, each attribute of `counts` values."""
    found = {}
    for (name, count), row in zip(counts.items(), np.asarray(values).T, strict=True):
        found[name] = np.full((len(row), count), (1 - certain) / (count - 1))
        found[name][np.arange(len(row)), row] = certain
    return found


HAT = {"hat": 3, "scarf": 2}


def test_attribute_fidelity_counts_images_that_are_sure_in_every_attribute():
    probabilities = of_values([[0, 0], [1, 1], [2, 0], [0, 1]], HAT)
    probabilities["hat"][1] = [0.1, 0.8, 0.1]  # in doubt
    found = metrics.attribute_fidelity(probabilities, {"hat": [0, 2], "scarf": [0, 1]})
    assert found.share == 0.75
    assert found.missing == {"hat": [1]}, "nobody wears it for sure"
    assert found.new == pytest.approx(2 / 3), "0, 0 is known; 2, 0 and 0, 1 are not"
    assert np.isnan(metrics.attribute_fidelity(probabilities).new)
    assert metrics.attribute_fidelity(probabilities, sure=0.75).share == 1
    assert metrics.attribute_fidelity(of_values([[0, 0]], HAT), {"hat": [0], "scarf": [0]}).new == 0, "a copy"
    assert metrics.attribute_fidelity(of_values([[0, 0]], HAT, 0.7))[:2] == (0.0, {"hat": [0, 1, 2], "scarf": [0, 1]})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda p: {}, "give a dict from a name to"),
        (lambda p: p["hat"], "give a dict from a name to"),
        (lambda p: p | {"hat": p["hat"][:1]}, "1, 4 rows"),
        (lambda p: p | {"hat": np.log(p["hat"])}, "hat reach down to"),
    ],
)
def test_attribute_fidelity_names_what_is_wrong(change, match):
    probabilities = of_values([[0, 0], [1, 1], [2, 0], [0, 1]], HAT)
    with pytest.raises(ValueError, match=match):
        metrics.attribute_fidelity(change(probabilities))
    with pytest.raises(ValueError, match="training has hat; give the values of hat, scarf"):
        metrics.attribute_fidelity(probabilities, {"hat": [0]})
    for sure in (1.5, 1, 0.2):
        with pytest.raises(ValueError, match="sure="):
            metrics.attribute_fidelity(probabilities, sure=sure)
    with pytest.raises(ValueError, match="give a dict from a name to values"):
        metrics.attribute_fidelity(probabilities, np.zeros((4, 2), int))
    with pytest.raises(ValueError, match="scarf"):
        metrics.attribute_fidelity(probabilities, {"hat": [0, 1], "scarf": [0]})
