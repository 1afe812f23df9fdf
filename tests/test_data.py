import gc
import hashlib
import shutil
import tracemalloc
import weakref

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ganutils import data
from tests.conftest import DAMAGES


def as_idx(arrays):
    """The bytes of MNIST's original IDX file."""
    header = bytes([0, 0, 8, arrays.ndim]) + np.array(arrays.shape, ">u4").tobytes()
    return header + arrays.tobytes()


@pytest.mark.parametrize(
    ("split", "n", "images_md5", "labels_md5"),
    [
        ("train", 60_000, "6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"),
        ("test", 10_000, "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
    ],
)
def test_mnist_is_the_original_distribution(split, n, images_md5, labels_md5):
    images, labels = data.load_dataset("mnist", split)
    assert images.shape == (n, 28, 28, 1)
    assert images.dtype == np.uint8
    assert hashlib.md5(as_idx(images[..., 0])).hexdigest() == images_md5
    assert hashlib.md5(as_idx(labels.astype("uint8"))).hexdigest() == labels_md5


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown data set 'cifar'; choose mnist, toon_faces or earth_maps"):
        data.load_dataset("cifar")
    with pytest.raises(ValueError, match="unknown split 'valid'; choose one of train, test"):
        data.load_dataset("mnist", split="valid")


@pytest.fixture
def mnist_file(tmp_path, monkeypatch):
    path = tmp_path / "mnist.npz"
    shutil.copyfile(data._MNIST_FILE, path)
    monkeypatch.setattr(data, "_MNIST_FILE", path)
    return path


def test_missing_file(mnist_file):
    mnist_file.unlink()
    with pytest.raises(FileNotFoundError, match=r"git checkout -- data/mnist\.npz"):
        data.load_dataset("mnist")


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file(mnist_file, damage):
    mnist_file.write_bytes(DAMAGES[damage](mnist_file.read_bytes()))
    with pytest.raises(ValueError, match=r"damaged or was replaced.*git checkout"):
        data.load_dataset("mnist")


def test_nothing_is_unpickled(mnist_file, monkeypatch):
    np.savez(mnist_file, x_train=np.array([print], dtype=object), y_train=np.zeros(1))
    monkeypatch.setattr(data, "_MNIST_SHA256", hashlib.sha256(mnist_file.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match="allow_pickle=False"):
        data.load_dataset("mnist")


def test_scale_maps_every_byte_to_minus_one_to_one_and_back():
    every = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1)
    scaled = data.scale(every).numpy()
    assert scaled.min() == -1.0
    assert scaled.max() == 1.0
    np.testing.assert_array_equal(data.unscale(scaled), every)


def test_unscale_clips_and_refuses_bytes():
    with pytest.raises(ValueError, match="uint8 already"):
        data.unscale(NUMBERED)
    np.testing.assert_array_equal(data.unscale(np.array([-3.0, 0.0, 3.0])), [0, 128, 255])


def test_as_float_agrees_with_scale():
    every = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1)
    found = data.as_float(every)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, data.scale(every), atol=1e-6)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_as_float_keeps_floats_as_they_are(kind):
    images = np.array([-1, -0.5, 0.25, 1], kind).reshape(1, 2, 2, 1)
    found = data.as_float(images)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, images)
    np.testing.assert_array_equal(data.as_float(data.tf.constant(images)), images)


def test_check_images_forgives_rounding_only():
    data.check_images(np.full((1, 2, 2, 1), 1.0005))
    with pytest.raises(ValueError, match=r"\[-1, 1\] is expected"):
        data.check_images(np.full((1, 2, 2, 1), 1.01))


def with_strays(images, value):
    """The images with one pixel in two thousand set to a value."""
    changed = images.copy()
    changed.ravel()[::2000] = value
    return changed


UNIT = np.linspace(0, 1, 8192).reshape(2, 64, 64, 1)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 4, 4, 1), 255.0), r"samples are float from 255 to 255.*use data\.scale"),
        (np.full((2, 4, 4, 1), -1.5), r"samples are float from -1\.5 to -1\.5"),
        (UNIT, "to 2 x - 1"),
        (with_strays(UNIT, -0.02), "to 2 x - 1"),
        (with_strays(UNIT, -1.0), "to 2 x - 1"),
        (np.array([0, np.nan, 0.5, -0.5]).reshape(1, 2, 2, 1), "samples contain NaN or infinite values"),
        (np.array([0, -np.inf, 0.5, -0.5]).reshape(1, 2, 2, 1), "samples contain NaN or infinite values"),
        (np.zeros((2, 4, 4, 1), "int64"), "samples are int64; give uint8"),
        (np.zeros((2, 4, 4, 1), bool), "samples are bool; give uint8"),
        (np.zeros((2, 4, 4, 1), complex), "samples are complex128; give uint8"),
        (np.zeros((4, 4, 1)), r"samples have the shape \(4, 4, 1\); give .*np\.newaxis"),
        (np.zeros((0, 4, 4, 1), "uint8"), "n at least 1"),
        (np.arange(8, dtype="uint8").reshape(2, 2, 2, 1) % 2, "up to 1, nearly black"),
    ],
)
def test_check_images_refuses(images, message):
    for check in (data.check_images, data.as_float):
        with pytest.raises(ValueError, match=message):
            check(images, "samples")


def test_check_images_gives_back_what_it_was_given():
    for images in (NUMBERED, np.linspace(-1, 1, 16).reshape(1, 4, 4, 1), np.zeros((1, 2, 2, 1), "uint8")):
        assert data.check_images(images) is images


def rows_of(dataset):
    """The numbers of the rows that a pipeline over numbered images gives, in order."""
    return np.concatenate([data.unscale(batch.numpy()).reshape(-1) for batch in dataset])


NUMBERED = np.arange(100, dtype="uint8").reshape(100, 1, 1, 1)


def test_pipeline_passes_over_each_image_once_and_drops_the_rest():
    batches = list(data.pipeline(NUMBERED, batch_size=16))
    assert [tuple(batch.shape) for batch in batches] == [(16, 1, 1, 1)] * 6
    assert len(set(rows_of(batches))) == 96


def test_pipeline_can_be_cut():
    assert set(rows_of(data.pipeline(NUMBERED, batch_size=10, n=20))) == set(range(20))


def test_pipeline_order_depends_on_the_seed_and_on_the_pass():
    first = data.pipeline(NUMBERED, batch_size=50, seed=1)
    same = data.pipeline(NUMBERED, batch_size=50, seed=1)
    other = data.pipeline(NUMBERED, batch_size=50, seed=2)
    one, two = rows_of(first), rows_of(first)
    np.testing.assert_array_equal(one, rows_of(same))
    assert not np.array_equal(one, two)
    assert not np.array_equal(one, rows_of(other))
    assert not np.array_equal(one, np.arange(100))


def test_a_source_gives_the_order_of_a_later_epoch():
    whole = data.pipeline(NUMBERED, batch_size=50, seed=3)
    batches = rows_of(whole.repeat().take(6)).reshape(3, 100)
    np.testing.assert_array_equal(rows_of(whole.source.batches(2)), batches[2])


def test_pipeline_keeps_together_what_belongs_together():
    arrays = NUMBERED, NUMBERED.ravel(), NUMBERED[:, :, :, 0] * np.ones((1, 3)), data.as_float(NUMBERED)
    for images, labels, conditions, floats in data.pipeline(*arrays[:2], arrays[2][:, 0], arrays[3], batch_size=25):
        np.testing.assert_array_equal(data.unscale(images.numpy()).ravel(), labels.numpy())
        np.testing.assert_array_equal(conditions.numpy()[:, 2], labels.numpy())
        assert images.dtype == conditions.dtype == tf.float32
        np.testing.assert_allclose(floats, images, atol=1e-6)


def test_pipeline_takes_images_of_any_size_and_channels(rng):
    images = rng.integers(0, 256, (10, 5, 9, 3), "uint8")
    (batch,) = data.pipeline(images, batch_size=10)
    assert batch.shape == (10, 5, 9, 3)
    assert np.sort(data.unscale(batch.numpy()).ravel()).tolist() == np.sort(images.ravel()).tolist()


def test_unpaired_sets_go_once_over_the_larger_one_and_evenly_over_the_smaller():
    batches = data.unpaired(NUMBERED, NUMBERED[:30], batch_size=20, seed=1)
    assert int(batches.cardinality()) == 5
    first, second = (rows_of(batch[i] for batch in batches) for i in (0, 1))
    assert sorted(first) == list(range(100))
    counts = np.bincount(second)
    assert counts.tolist() == np.bincount(np.arange(100) % 30)[np.argsort(np.argsort(-counts, kind="stable"))].tolist()
    assert not np.array_equal(second[:30], second[30:60]), "an order of its own, anew at each turn"
    assert not np.array_equal(first[first < 30], second[:30])
    one, other = (rows_of(batch[i] for batch in data.unpaired(NUMBERED, NUMBERED, batch_size=20)) for i in (0, 1))
    assert np.mean(one == other) < 0.1, "sets of one length must not be paired"


@pytest.mark.parametrize("change", ["image", "label", "seed", "batch_size", "n", "type"])
def test_a_source_describes_what_it_reads_and_how(change):
    images, labels, options = NUMBERED.copy(), np.arange(100), {"batch_size": 10, "seed": 1, "n": 90}
    before = data.pipeline(images, labels, **options).source.describe()
    assert data.pipeline(images.copy(), labels.copy(), **options).source.describe() == before
    if change == "image":
        images[7] += 1
    elif change == "label":
        labels[7] = 3
    elif change == "type":
        labels = labels.astype("float32")
    else:
        options[change] -= 1
    assert data.pipeline(images, labels, **options).source.describe() != before


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ([NUMBERED / 255.0], {}, "to 2 x - 1"),
        ([NUMBERED[..., 0]], {}, "add the axis of channels"),
        ([NUMBERED], {"n": 101}, "choose a whole number, from 1 to 100"),
        ([NUMBERED], {"n": 0}, "choose a whole number, from 1 to 100"),
        ([NUMBERED], {"batch_size": 0}, "batch_size=0"),
        ([NUMBERED], {"batch_size": 11, "n": 10}, "choose a whole number, from 1 to 10"),
        ([NUMBERED, np.zeros(5)], {}, "100, 5 rows; give arrays of equal length"),
        ([], {}, "there is no array"),
    ],
)
def test_pipeline_refuses(arrays, options, message):
    with pytest.raises(ValueError, match=message):
        data.pipeline(*arrays, **{"batch_size": 10, **options})


def test_images_are_let_go_with_the_last_that_reads_them(digits):
    """TensorFlow keeps a dataset's functions for good, and must not keep the images with them."""
    batches = data.pipeline(digits.copy(), np.arange(len(digits)), batch_size=8)
    held = weakref.ref(batches.source)
    iterator = iter(batches.repeat(2))
    del batches
    gc.collect()
    assert sum(len(images) for images, _ in iterator) == 2 * len(digits), "the iterator still needs them"
    del iterator
    gc.collect()
    assert held() is None


COLOURS = (
    np.array([[[250, 10, 10], [10, 250, 10]], [[10, 10, 250], [250, 250, 250]]], "uint8").repeat(8, 0).repeat(8, 1)
)


def save_pictures(folder):
    """Pictures of every kind that a folder of one's own may hold."""
    colour = Image.fromarray(COLOURS)
    (folder / "b").mkdir()
    colour.save(folder / "b" / "colour.png")
    colour.save(folder / "photo.JPG", quality=95)
    colour.convert("L").save(folder / "grey.png")
    colour.convert("P").save(folder / "palette.png")
    Image.fromarray(np.asarray(colour.convert("L")).astype("uint16") * 257).save(folder / "sixteen.png")
    transparent = np.dstack([COLOURS, np.full((16, 16), 0, "uint8")])
    Image.fromarray(transparent).save(folder / "transparent.png")
    colour.save(folder / "film.gif", save_all=True, append_images=[Image.new("RGB", (16, 16))])
    (folder / "broken.png").write_bytes((folder / "grey.png").read_bytes()[:40])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")


def test_a_folder_of_pictures_of_every_kind(tmp_path, capsys):
    save_pictures(tmp_path)
    found = data.load_folder(tmp_path, 8, channels=3)
    assert found.files == [
        *("b/colour.png", "film.gif", "grey.png", "palette.png", "photo.JPG", "sixteen.png", "transparent.png"),
    ]
    assert set(found.skipped) == {"broken.png", "empty.jpg"}
    assert "2 of 9 pictures" in capsys.readouterr().out
    assert found.images.shape == (7, 8, 8, 3)
    assert found.images.dtype == np.uint8
    by_name = dict(zip(found.files, found.images.astype(int), strict=True))
    corners = COLOURS[::15, ::15].astype(int)
    for name in ("b/colour.png", "film.gif", "palette.png", "photo.JPG"):
        assert np.abs(by_name[name][::7, ::7] - corners).max() < 30, name
    grey = np.asarray(Image.fromarray(COLOURS).convert("L")).astype(int)[::15, ::15, None]
    for name in ("grey.png", "sixteen.png"):
        assert np.abs(by_name[name][::7, ::7] - grey).max() < 5, name
    assert (by_name["transparent.png"] == 255).all(), "composited on white"
    data.pipeline(found.images, batch_size=2)


def test_a_folder_may_be_read_in_grey_in_another_shape_and_in_part(tmp_path):
    for i in range(10):
        Image.fromarray(np.full((20, 10), 20 * i, "uint8")).save(tmp_path / f"{i}.png")
    found = data.load_folder(tmp_path, (4, 6), channels=1, max_images=5)
    assert found.images.shape == (5, 4, 6, 1)
    assert found.files == ["0.png", "2.png", "4.png", "6.png", "8.png"], "spread evenly, not the first ones"
    assert found.images[:, 0, 0, 0].tolist() == [0, 40, 80, 120, 160]


def test_pictures_of_an_unknown_range_are_named(tmp_path, capsys):
    Image.fromarray(np.random.default_rng(0).random((8, 8), "float32")).save(tmp_path / "fractions.tiff")
    Image.fromarray(np.full((8, 8), 4000, "uint16")).save(tmp_path / "of_12_bits.png")
    found = data.load_folder(tmp_path, 8, channels=1)
    assert (found.files, list(found.skipped)) == (["of_12_bits.png"], ["fractions.tiff"])
    said = capsys.readouterr().out
    assert "fractions of an unknown range" in said
    assert "is brighter than 15 of 255" in said


def test_pictures_are_turned_cropped_and_smoothed(tmp_path):
    stripes = np.tile(np.array([0, 255], "uint8"), 32)[None].repeat(32, 0)  # as fine as pixels can be
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    halves = Image.fromarray(np.concatenate([np.zeros((8, 8), "uint8"), np.full((8, 8), 255, "uint8")], axis=1))
    exif = halves.getexif()
    exif[0x0112] = 3  # the camera was held upside down
    halves.save(tmp_path / "turned.png", exif=exif)
    stripes, turned = data.load_folder(tmp_path, 8, channels=1).images
    assert np.abs(stripes.astype(int) - 127).max() < 40, "without antialiasing it would be black or white"
    assert turned[0, 0, 0] > 200 > 50 > turned[0, 7, 0]


def test_too_large_pictures_are_skipped(tmp_path, monkeypatch):
    for name, side in (("large", 40), ("small", 8)):
        Image.new("L", (side, side)).save(tmp_path / f"{name}.png")
    monkeypatch.setattr(data, "_MOST_PIXELS", 1000)
    assert data.load_folder(tmp_path, 8).files == ["small.png"]


def test_folders_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        data.load_folder(tmp_path / "none", 8)
    with pytest.raises(ValueError, match="holds no readable picture"):
        data.load_folder(tmp_path, 8)
    for options in ({"image_size": 0}, {"image_size": (8, 1.5)}, {"channels": 4}, {"max_images": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            data.load_folder(tmp_path, **{"image_size": 8, **options})


def test_stacked_digits_are_three_digits_and_their_number():
    images, labels = next(iter(data.stacked_mnist(batch_size=32, labels=True, split="test", seed=4)))
    digits = data.load_dataset(split="test")
    by_content = {image.tobytes(): int(label) for image, label in zip(*digits, strict=True)}
    images = data.unscale(images.numpy())
    assert images.shape == (32, 28, 28, 3)
    channels = [[by_content[np.ascontiguousarray(image[..., [c]]).tobytes()] for c in range(3)] for image in images]
    assert [100 * r + 10 * g + b for r, g, b in channels] == labels.numpy().tolist()
    assert len(set(labels.numpy().tolist())) > 25, "the three are drawn apart from each other"


def test_a_pass_over_stacked_digits_has_each_digit_once_in_each_colour_and_nearly_all_numbers():
    batches = data.stacked_mnist(batch_size=1000, labels=True, split="test")
    passes = [np.concatenate([labels for _, labels in batches]) for _ in range(2)]
    expected = np.bincount(data.load_dataset(split="test").labels)
    for labels in passes:
        assert len(labels) == 10_000
        for place in (100, 10, 1):
            assert np.bincount(labels // place % 10).tolist() == expected.tolist()
        assert len(np.unique(labels)) > 990
    assert not np.array_equal(*passes)


def test_stacked_digits_are_not_held_in_memory():
    tracemalloc.start()
    batches = iter(data.stacked_mnist(batch_size=64, split="test"))
    for _ in range(20):
        next(batches)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.5 * 10_000 * 28 * 28, "of bytes: MNIST's test split, while it is read, and no three times as much"


def test_a_run_on_stacked_digits_can_be_resumed_in_its_order():
    batches = data.stacked_mnist(batch_size=2500, split="test", seed=1)
    passes = [[batch.numpy() for batch in batches] for _ in range(2)]
    again = [batch.numpy() for batch in batches.source.batches(1)]
    np.testing.assert_array_equal(passes[1], again)
