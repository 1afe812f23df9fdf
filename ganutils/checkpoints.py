"""The trained weights that the course ships in data/checkpoints, and the cards that say where they come from."""

import contextlib
import hashlib
import json
from pathlib import Path

import keras

FOLDER = Path(__file__).resolve().parents[1] / "data" / "checkpoints"


@contextlib.contextmanager
def in_float32():
    """Build networks in float32 whatever the dtype policy of the training that goes on beside."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def read_card(name):
    """Return the card of a shipped checkpoint: what it is, the command that made it, its measured metrics.

    Args:
        name: such as "dcgan"; the files are in data/checkpoints.

    Raises:
        ValueError: an unknown name; the message lists those that exist.
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(card.stem for card in FOLDER.glob("*.json")))
        raise ValueError(f"there is no checkpoint {name!r} in {FOLDER}; choose one of {known}")
    return json.loads(path.read_text(encoding="utf-8"))


def load_weights(network, name):
    """Load a shipped checkpoint into a network that was built for it, and return the network.

    Raises:
        ValueError: an unknown name, or a file that is not the one its card describes.
        FileNotFoundError: no file of weights.
    """
    path, expected = FOLDER / f"{name}.weights.h5", read_card(name)["sha256"]
    advice = f"Run `git checkout -- data/checkpoints/{path.name}` in the course's folder, or clone the course again."
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {advice}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise ValueError(f"{path} is damaged or was replaced: its sha256 is {found}, expected {expected}. {advice}")
    network.load_weights(path)
    return network
