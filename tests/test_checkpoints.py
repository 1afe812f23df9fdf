import functools
import hashlib
import json
import re
import shlex
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from ganutils import checkpoints, data, faces, features, metrics, models
from tests.conftest import DAMAGES, Interrupt, assert_equal
from tests.test_tools import ROOT, load_tool

NAMES = sorted(path.stem for path in checkpoints.FOLDER.glob("*.json"))
READERS = [name for name in NAMES if name.startswith("face_reader")]
GENERATORS = [name for name in NAMES if name not in ("digit_classifier", *READERS)]


def remembering(function):
    """The function, which does not compute again what it has said of the same arrays."""
    known = {}

    @functools.wraps(function)
    def call(*arrays):
        key = tuple(hashlib.sha256(np.ascontiguousarray(array)).digest() for array in arrays)
        if key not in known:
            known[key] = function(*arrays)
        return known[key]

    return call


@pytest.fixture(scope="module")
def tool():
    """tools/train_checkpoints.py; it measures the real images, which are the same for all cards, only once."""
    with pytest.MonkeyPatch.context() as patch:
        tool = load_tool("train_checkpoints")
        classifier = remembering(features.digit_classifier())
        readers = {size: remembering(features.face_reader(size)) for size in (32, 64)}
        for size, reader in readers.items():
            shipped = features.face_reader(size)
            reader.readable, reader.fidelity = shipped.readable, shipped.fidelity
        judges = {"digit_classifier": lambda: classifier, "face_reader": readers.get}
        patch.setattr(tool, "features", SimpleNamespace(**judges))
        slow = {name: remembering(getattr(metrics, name)) for name in ("precision_recall", "frechet_distance")}
        patch.setattr(tool, "metrics", SimpleNamespace(**{**vars(metrics), **slow}))
        yield tool


@functools.cache
def loaded(name):
    return checkpoints.load_checkpoint(name)


def drawn(name, n, seed=0):
    """Images of a shipped generator, and the labels that a conditional one was asked for."""
    network, labels = loaded(name), np.arange(n) % 10
    latents = np.random.default_rng(seed).standard_normal((n, network.inputs[0].shape[-1])).astype("float32")
    inputs = [latents, labels] if len(network.inputs) == 2 else latents
    images = network.predict(inputs, batch_size=500, verbose=0)
    return images[-1] if isinstance(images, list) else images, labels


def test_what_the_lessons_need_is_there():
    assert set(NAMES) >= {"digit_classifier", "conditional_gan", "dcgan", "early", "collapsed", "noisy", "memorising"}


def test_each_file_has_its_partner_and_all_are_small():
    files = list(checkpoints.FOLDER.iterdir())
    assert sorted(path.name for path in files) == sorted(
        f"{name}{suffix}" for name in NAMES for suffix in (".json", ".weights.h5")
    )
    assert max(path.stat().st_size for path in files) < 4e6
    assert sum(path.stat().st_size for path in files) < 31e6
    assert (checkpoints.FOLDER / "digit_classifier.weights.h5").stat().st_size < 2e6


@pytest.mark.parametrize("name", NAMES)
def test_a_card_describes_its_weights(name):
    card = checkpoints.read_card(name)
    content = (checkpoints.FOLDER / f"{name}.weights.h5").read_bytes()
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert set(card["versions"]) == {"Python", "TensorFlow", "Keras", "NumPy"}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+\w*", version) for version in card["versions"].values())
    assert len(card["description"]) > 20
    for metric in card["metrics"].values():
        assert metric["samples"] >= 5000
        assert metric["tolerance"] < max(0.5, 0.1 * metric["value"])


@pytest.mark.parametrize("name", NAMES)
def test_the_command_on_a_card_writes_that_card(tool, monkeypatch, name):
    """Training itself is left out: what the command would train, from which seed, and what it would write."""
    card = checkpoints.read_card(name)
    python, script, *arguments = shlex.split(card["command"])
    assert python == "python"
    assert (ROOT / script).is_file()
    trained, written = [], []
    if name == "digit_classifier":
        tool = load_tool("train_checkpoints")
        few = {
            split: data.LabelledImages(*(part[:100] for part in data.load_dataset(split=split)))
            for split in data.SPLITS
        }

        def train(images, labels, epochs, seed, verbose):
            trained.append(seed)
            return features.digit_classifier()

        monkeypatch.setattr(tool, "data", SimpleNamespace(load_dataset=lambda name="mnist", split="train": few[split]))
        monkeypatch.setattr(tool, "fit_classifier", train)
    elif name in READERS:
        tool = load_tool("train_checkpoints")
        monkeypatch.setattr(tool, "fit_reader", lambda size, seed: trained.append(seed) or features.face_reader(size))
    else:

        def without_training(run):
            return functools.wraps(run)(lambda seed: trained.append(seed))

        monkeypatch.setattr(tool, "RUNS", {without_training(run): how for run, how in tool.RUNS.items()})
        monkeypatch.setattr(tool, "measure", lambda network: {})
    assert (ROOT / script).samefile(tool.__file__)
    monkeypatch.setattr(tool, "write", lambda name, network, **card: written.append((name, card)))
    monkeypatch.setattr("sys.argv", [script, *arguments])
    tool.main()
    assert trained == [card["seed"]]
    ((written_name, written_card),) = written
    assert written_name == name
    assert written_card["command"] == card["command"]
    del written_card["metrics"]
    written_card = json.loads(json.dumps(written_card))  # which makes lists of tuples
    assert written_card == {key: card[key] for key in written_card}


@pytest.mark.parametrize("name", GENERATORS)
def test_shipped_generators_draw_images(name):
    images, _ = drawn(name, 20)
    outputs = loaded(name).outputs
    assert images.shape == (20, *outputs[-1].shape[1:])
    assert images.dtype == np.float32
    assert -1 <= images.min() < (-0.8 if name == "dcgan_faces" else -0.99), "the darkest hair is not black"
    assert 0.9 < images.max() <= 1
    assert np.abs(images).max() <= 1
    np.testing.assert_array_equal(images, drawn(name, 20)[0])
    assert len(np.unique(images.reshape(20, -1), axis=0)) > 5
    assert checkpoints.read_card(name)["parameters"] == sum(np.prod(w.shape) for w in loaded(name).weights)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_metrics_on_a_card_are_those_of_the_weights(tool, name):
    card = checkpoints.read_card(name)["metrics"]
    found = tool.measure(loaded(name))
    assert set(found) == set(card)
    for metric, row in card.items():
        assert found[metric]["value"] == pytest.approx(row["value"], abs=row["tolerance"]), metric
        assert found[metric]["floor"] == pytest.approx(row["floor"], abs=row["tolerance"]), metric
        assert found[metric]["samples"] == row["samples"]


def test_the_shipped_conditional_generator_draws_what_it_is_asked_for():
    images, labels = drawn("conditional_gan", 2000, seed=1)
    assert metrics.conditional_fidelity(features.digit_classifier()(images).probabilities, labels).accuracy >= 0.98


def test_the_five_generators_are_good_and_bad_as_they_are_meant_to_be():
    names = ("dcgan", "early", "collapsed", "noisy", "memorising")
    value = {name: {k: v["value"] for k, v in checkpoints.read_card(name)["metrics"].items()} for name in names}
    for bad in ("early", "collapsed", "noisy"):
        assert value[bad]["frechet_distance"] > 1.5 * value["dcgan"]["frechet_distance"], bad
    assert value["collapsed"]["precision"] > 0.5 > 0.2 > value["collapsed"]["recall"], "good digits, hardly any kinds"
    assert value["noisy"]["precision"] < value["dcgan"]["precision"] - 0.1
    for metric in ("precision", "inception_score"):
        assert value["memorising"][metric] > value["dcgan"][metric], "the trap of lesson 04"
    assert value["memorising"]["frechet_distance"] < 3 * value["dcgan"]["frechet_distance"], "nor does this find it"


def test_the_memorising_generator_knows_the_first_training_images(tool):
    assert_equal(loaded("memorising"), tool.memorising(checkpoints.read_card("memorising")["seed"]))
    images, _ = drawn("memorising", 100)
    nearest = metrics.nearest_images(data.unscale(images), data.load_dataset().images[:2000], k=1)
    assert nearest.distances.max() == 0
    assert len(np.unique(nearest.indices)) > 50


def test_the_noisy_generator_is_the_shipped_dcgan_under_noise(tool):
    made = tool.noisy(0)
    for network in (loaded("noisy"), made):
        assert_equal(network.get_layer("dcgan_generator"), loaded("dcgan"))
    scale = loaded("noisy").get_layer("noise").scale
    noise = drawn("noisy", 1000)[0] - drawn("dcgan", 1000)[0]
    unclipped = np.abs(drawn("dcgan", 1000)[0]) < 1 - scale / 2
    assert unclipped.sum() > 1000
    assert noise[unclipped].mean() == pytest.approx(0, abs=3.5 * scale / np.sqrt(12 * unclipped.sum()))
    assert noise[unclipped].std() == pytest.approx(scale / np.sqrt(12), rel=0.05)
    assert np.abs(noise).max() <= scale / 2 + 1e-6


def test_unknown_names_list_the_known_ones():
    for read in (checkpoints.read_card, checkpoints.load_checkpoint):
        with pytest.raises(ValueError, match="no checkpoint 'biggan'") as error:
            read("biggan")
        assert str(error.value).endswith(", ".join(NAMES))


def test_the_classifier_is_no_generator():
    with pytest.raises(ValueError, match="'digit_classifier' is not a generator"):
        checkpoints.load_checkpoint("digit_classifier")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the shipped files that a test may break."""
    shutil.copytree(checkpoints.FOLDER, tmp_path / "checkpoints")
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


@pytest.mark.parametrize("damage", [*DAMAGES, "another's"])
def test_damaged_weights_are_refused(copied, damage):
    path, other = copied / "early.weights.h5", copied / "dcgan.weights.h5"
    path.write_bytes(DAMAGES[damage](path.read_bytes()) if damage in DAMAGES else other.read_bytes())
    with pytest.raises(ValueError, match=r"early\.weights\.h5 is damaged or was replaced.*git checkout -- data/check"):
        checkpoints.load_checkpoint("early")


def test_missing_weights_say_how_to_get_them_back(copied):
    (copied / "digit_classifier.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"h5 is missing\. Run `git checkout -- data/checkpoints/digit_classif"):
        features.digit_classifier()


def test_a_written_checkpoint_can_be_loaded(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path / "new" / "checkpoints")
    network = models.conditional_generator(4, classes=3)
    tool.write(
        "mine",
        network,
        builder="conditional_generator",
        arguments={"latent_dim": 4, "classes": 3},
        command="by hand",
        description="Größe",
        seed=5,
        metrics={"recall": {"value": 0.5}},
    )
    card = checkpoints.read_card("mine")
    assert (card["command"], card["seed"], card["description"]) == ("by hand", 5, "Größe")
    assert card["metrics"] == {"recall": {"value": 0.5}}
    assert_equal(checkpoints.load_checkpoint("mine"), network)
    text = (checkpoints.FOLDER / "mine.json").read_text(encoding="utf-8")
    assert json.loads(text) == card
    assert text.endswith("}\n")


def test_training_goes_on_where_it_was_interrupted(tool, tmp_path, monkeypatch, rng):
    digits = data.LabelledImages(rng.integers(0, 256, (128, 28, 28, 1), "uint8"), np.arange(128) % 10)
    monkeypatch.setattr(tool.data, "load_dataset", lambda: digits)

    def train(folder, progress):
        monkeypatch.setattr(tool, "BUILD", tmp_path / folder)
        monkeypatch.setattr(tool.callbacks, "Progress", progress)
        return tool.train_gan("run", tool.recipes.conditional_gan, 2, 3)

    whole = train("whole", lambda mode: keras.callbacks.Callback())
    with pytest.raises(KeyboardInterrupt):
        train("part", lambda mode: Interrupt(1, batch=0))
    continued = train("part", lambda mode: keras.callbacks.Callback())
    assert_equal(whole, continued)


def test_a_pyramid_is_trained_size_by_size_and_joined(tmp_path, monkeypatch, rng):
    tool = load_tool("train_checkpoints")
    monkeypatch.setattr(tool, "BUILD", tmp_path)
    monkeypatch.setattr(tool.callbacks, "Progress", lambda mode: keras.callbacks.Callback())
    large = rng.uniform(-1, 1, (128, 16, 16, 1)).astype("float32")
    small = np.asarray(models.halve(large))
    network = tool.train_pyramid("pyramid", [small, large], [100, 100], 0)
    drawn = network.predict(rng.standard_normal((3, 64)).astype("float32"), verbose=0)
    assert [images.shape for images in drawn] == [(3, 8, 8, 1), (3, 16, 16, 1)]
    untrained = tool.recipes.lapgan(0, (16, 16, 1), 1, average=0.999)[1].averaged_generator
    level = network.get_layer(untrained.name)
    moved = [np.abs(one - other).max() for one, other in zip(level.get_weights(), untrained.get_weights(), strict=True)]
    assert min(moved) > 0


def test_real_faces_are_measured_as_real_and_copies_as_copies(monkeypatch):
    tool = load_tool("train_checkpoints")
    monkeypatch.setattr(tool, "SAMPLES", 150)
    load = faces.load
    monkeypatch.setattr(
        tool, "faces", SimpleNamespace(load=lambda n, *k, **o: load(min(n, 400), *k, **o), ATTRIBUTES=faces.ATTRIBUTES)
    )
    new, floor = tool.measure_faces(load(150, 32, seed=9, split="test").images)
    copied, _ = tool.measure_faces(load(400, 32, seed=1).images[:150])
    assert new["attribute_fidelity"] > 0.95
    assert new["values_missing"] == floor["values_missing"] == 0
    assert new["copies"] < 0.1
    assert copied["copies"] == 1
    noise = np.random.default_rng(0).uniform(-1, 1, (150, 32, 32, 3)).astype("float32")
    assert tool.measure_faces(noise)[0]["frechet_distance"] > 3 * floor["frechet_distance"]


def test_training_a_reader_learns_from_a_few_faces(monkeypatch):
    tool = load_tool("train_checkpoints")
    few = faces.load(640, 32, seed=1)
    monkeypatch.setattr(tool, "faces", SimpleNamespace(load=lambda *_, **__: few, VALUES=faces.VALUES))
    reader = tool.fit_reader(32, 0, steps=60, batch_size=64)
    found = reader(faces.load(300, 32, seed=2, split="test").images).probabilities
    right = faces.load(300, 32, seed=2, split="test").attributes
    hits = {name: np.mean(found[name].argmax(axis=1) == row) for name, row in zip(found, right.T, strict=True)}
    assert hits["clothes colour"] > 0.5, "chance is 0.1"
    assert hits["skin"] > 0.5, "chance is 0.2"


def test_training_a_classifier_learns_from_a_few_hundred_digits_and_depends_on_its_seed():
    tool = load_tool("train_checkpoints")
    (images, labels), test = data.load_dataset(), data.load_dataset(split="test")
    trained = tool.fit_classifier(images[:400], labels[:400], epochs=6, seed=0, batch_size=32)
    accuracy = np.mean(trained(test.images[:500]).probabilities.argmax(axis=1) == test.labels[:500])
    assert accuracy > 0.6
    first, same, other = (tool.fit_classifier(images[:64], labels[:64], 1, seed, 32) for seed in (1, 1, 2))
    assert_equal(first.network, same.network)
    # One step of Adam moves no weight as far as another seed does.
    assert np.abs(first.network.get_weights()[0] - other.network.get_weights()[0]).max() > 0.1
