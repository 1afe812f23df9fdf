import errno
import functools
import gc
import gzip
import hashlib
import http.server
import shutil
import socket
import threading
import weakref

import numpy as np
import pytest

from ganutils import data


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
    with pytest.raises(ValueError, match="unknown data set 'cifar'; choose one of mnist, fashion_mnist"):
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


@pytest.mark.parametrize("damage", ["truncated", "corrupted", "empty"])
def test_damaged_file(mnist_file, damage):
    content = bytearray(mnist_file.read_bytes())
    if damage == "truncated":
        content = content[:-1000]
    elif damage == "corrupted":
        content[5000] ^= 1
    else:
        content = b""
    mnist_file.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged or was replaced.*git checkout"):
        data.load_dataset("mnist")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x_train": np.zeros((5, 28, 28), "uint8"), "y_train": np.zeros(5, "uint8")},
            r"\(5, 28, 28\), expected uint8",
        ),
        ({"x_train": np.zeros((60_000, 1, 1)), "y_train": np.zeros(60_000)}, "images are float64"),
        ({"x_train": np.zeros((60_000, 28, 28), "uint8"), "y_train": np.full(60_000, 11)}, "labels are not"),
        ({"x_test": np.zeros(3)}, "has no array x_train, y_train"),
    ],
)
def test_file_with_other_content(mnist_file, monkeypatch, arrays, message):
    np.savez(mnist_file, **arrays)
    monkeypatch.setattr(data, "_MNIST_SHA256", hashlib.sha256(mnist_file.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=message):
        data.load_dataset("mnist")


def test_nothing_is_unpickled(mnist_file, monkeypatch):
    np.savez(mnist_file, x_train=np.array([print], dtype=object), y_train=np.zeros(1))
    monkeypatch.setattr(data, "_MNIST_SHA256", hashlib.sha256(mnist_file.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match="allow_pickle=False"):
        data.load_dataset("mnist")


class Server:
    """A mirror on the loopback address that serves a folder, and counts what is asked of it."""

    def __init__(self, folder):
        self.requests = []
        requests = self.requests

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                requests.append(self.path)
                super().do_GET()

            def log_message(self, *args):
                pass

        handler = functools.partial(Handler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def fashion(tmp_path, monkeypatch, rng):
    """A stand-in for Fashion-MNIST's files, a good mirror, a bad one, and an address nobody listens at."""
    good, bad, target = (tmp_path / name for name in ("good", "bad", "target"))
    images = rng.integers(0, 256, (10_000, 28, 28), "uint8")
    labels = rng.integers(0, 10, 10_000, "uint8")
    hashes = {}
    for folder in (good, bad):
        folder.mkdir()
    for name, arrays in (("t10k-images-idx3-ubyte.gz", images), ("t10k-labels-idx1-ubyte.gz", labels)):
        (good / name).write_bytes(gzip.compress(as_idx(arrays), compresslevel=1))
        hashes[name] = hashlib.sha256((good / name).read_bytes()).hexdigest()
        (bad / name).write_bytes((good / name).read_bytes()[:-10])  # truncated
    monkeypatch.setattr(data, "_FASHION_SHA256", hashes)
    monkeypatch.setattr(data, "_SECONDS_BETWEEN_ATTEMPTS", 0)
    monkeypatch.setenv("GANUTILS_DATA_DIR", str(target))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    servers = {"good": Server(good), "bad": Server(bad)}
    addresses = {**{name: server.address for name, server in servers.items()}, "nobody": nobody}

    def use(*mirrors):
        monkeypatch.setattr(data, "_FASHION_MIRRORS", tuple(addresses[mirror] for mirror in mirrors))

    yield use, servers, images, labels, target
    for server in servers.values():
        server.server.shutdown()
        server.server.server_close()


def test_download_goes_on_to_the_next_mirror_and_is_kept(fashion):
    use, servers, images, labels, target = fashion
    use("nobody", "bad", "good")
    loaded = data.load_dataset("fashion_mnist", split="test")
    np.testing.assert_array_equal(loaded.images[..., 0], images)
    np.testing.assert_array_equal(loaded.labels, labels)
    assert servers["bad"].requests, "the truncated mirror should have been tried"
    asked = len(servers["good"].requests)
    data.load_dataset("fashion_mnist", split="test")
    assert len(servers["good"].requests) == asked, "the second time nothing should be downloaded"
    assert sorted(path.name for path in (target / "fashion_mnist").iterdir()) == sorted(data._FASHION_SHA256)


def test_damaged_download_is_replaced(fashion):
    use, _, images, _, target = fashion
    use("good")
    data.load_dataset("fashion_mnist", split="test")
    (target / "fashion_mnist" / "t10k-images-idx3-ubyte.gz").write_bytes(b"half")
    np.testing.assert_array_equal(data.load_dataset("fashion_mnist", split="test").images[..., 0], images)


@pytest.mark.parametrize("mirror", ["nobody", "bad"])
def test_no_network_or_a_broken_mirror_leaves_nothing_half_written(fashion, mirror):
    use, servers, _, _, target = fashion
    use(mirror)
    with pytest.raises(FileNotFoundError, match="GANUTILS_DATA_DIR changes that folder") as error:
        data.load_dataset("fashion_mnist", split="test")
    assert "t10k-images-idx3-ubyte.gz" in str(error.value)
    assert "MNIST needs no network" in str(error.value)
    if mirror == "bad":
        assert len(servers["bad"].requests) == data._ATTEMPTS
    folder = target / "fashion_mnist"
    assert not folder.exists() or not list(folder.iterdir())


def test_a_full_disk_is_not_blamed_on_the_network(fashion, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(data.pooch, "retrieve", full)
    with pytest.raises(OSError, match="No space left"):
        data.load_dataset("fashion_mnist", split="test")


def test_scale_maps_every_byte_to_minus_one_to_one_and_back():
    every = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1)
    scaled = data.scale(every).numpy()
    assert scaled.min() == -1.0
    assert scaled.max() == 1.0
    np.testing.assert_array_equal(data.unscale(scaled), every)


def test_unscale_clips():
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


def test_as_float_forgives_rounding_only():
    data.as_float(np.full((1, 2, 2, 1), 1.0005))
    with pytest.raises(ValueError, match=r"\[-1, 1\] is meant"):
        data.as_float(np.full((1, 2, 2, 1), 1.01))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 4, 4, 1), 255.0), r"samples are float from 255 to 255, but \[-1, 1\] is meant; use data\.scale"),
        (np.full((2, 4, 4, 1), -1.5), r"samples are float from -1\.5 to -1\.5"),
        (np.array([0, np.nan, 0.5, -0.5]).reshape(1, 2, 2, 1), "samples contain NaN or infinite values"),
        (np.array([0, -np.inf, 0.5, -0.5]).reshape(1, 2, 2, 1), "samples contain NaN or infinite values"),
        (np.zeros((2, 4, 4, 1), "int64"), "samples are int64; give uint8"),
        (np.zeros((2, 4, 4, 1), bool), "samples are bool; give uint8"),
        (np.zeros((2, 4, 4, 1), complex), "samples are complex128; give uint8"),
        (np.zeros((4, 4, 1)), r"samples have the shape \(4, 4, 1\); give \(n, height, width, channels\)"),
        (np.zeros((0, 4, 4, 1), "uint8"), "with n at least 1"),
    ],
)
def test_as_float_refuses(images, message):
    with pytest.raises(ValueError, match=message):
        data.as_float(images, "samples")


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


def test_pipeline_from_a_later_epoch_has_that_epochs_order():
    whole = data.pipeline(NUMBERED, batch_size=50, seed=3).repeat()
    batches = rows_of(whole.take(6)).reshape(3, 100)
    np.testing.assert_array_equal(rows_of(data.pipeline(NUMBERED, batch_size=50, seed=3, first_epoch=2)), batches[2])


def test_pipeline_keeps_labels_with_their_images():
    for images, labels in data.pipeline(NUMBERED, NUMBERED.ravel(), batch_size=25):
        np.testing.assert_array_equal(data.unscale(images.numpy()).ravel(), labels.numpy())


def test_pipeline_gives_floats_from_minus_one_to_one():
    dataset = data.pipeline(NUMBERED, batch_size=4)
    batch = next(iter(dataset)).numpy()
    assert batch.dtype == np.float32
    assert batch.min() >= -1
    assert batch.max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": NUMBERED / 255}, "images are float64.*scaling happens inside"),
        ({"images": NUMBERED[0]}, "expected uint8"),
        ({"n": 101}, "choose from 1 to 100"),
        ({"n": 0}, "choose from 1 to 100"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 11, "n": 10}, "choose from 1 to 10, the number of images"),
        ({"labels": np.zeros(5)}, "5 labels for 100 images"),
        ({"first_epoch": -1}, "first_epoch=-1"),
    ],
)
def test_pipeline_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.pipeline(**{"images": NUMBERED, "batch_size": 10, **arguments})


def test_images_are_let_go_with_the_last_that_reads_them(digits):
    """TensorFlow keeps a dataset's functions for good, and must not keep the images with them."""
    batches = data.pipeline(digits.copy(), np.arange(len(digits)), batch_size=8)
    held = weakref.ref(batches.arrays)
    iterator = iter(batches.repeat(2))
    del batches
    gc.collect()
    assert sum(len(images) for images, _ in iterator) == 2 * len(digits), "the iterator still needs them"
    del iterator
    gc.collect()
    assert held() is None
