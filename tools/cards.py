"""Write trained weights and the card that says where they come from, into data/checkpoints."""

import hashlib
import json
import platform

import keras
import numpy as np
import tensorflow as tf

from ganutils import checkpoints


def write(name, network, *, builder, arguments, made_by, description, seed, metrics):
    """Store a network's weights as NAME.weights.h5 and its card as NAME.json.

    Args:
        name: the checkpoint's name.
        network: keras.Model whose weights are stored.
        builder: name of the function that builds the network anew.
        arguments: dict of the builder's arguments.
        made_by: the command that trained it.
        description: one sentence for a reader.
        seed: seed of the training.
        metrics: dict from a metric's name to a dict of its value, tolerance, floor and samples.
    """
    path = checkpoints.FOLDER / f"{name}.weights.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    network.save_weights(path)
    card = {
        "description": description,
        "command": made_by,
        "seed": seed,
        "builder": builder,
        "arguments": arguments,
        "parameters": int(sum(np.prod(weight.shape) for weight in network.weights)),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "versions": {
            "Python": platform.python_version(),
            "TensorFlow": tf.__version__,
            "Keras": keras.__version__,
            "NumPy": np.__version__,
        },
        "metrics": metrics,
    }
    _store(name, card)


def update(name, **changes):
    """Replace some entries of a card, such as its metrics, and leave the weights and all else alone."""
    _store(name, {**checkpoints.read_card(name), **changes})


def _store(name, card):
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    (checkpoints.FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
