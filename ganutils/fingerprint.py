"""What a run is, in words and numbers that another process repeats, so that a backup can tell two runs apart."""

import functools
import hashlib
import inspect
import json
import re
import types

import keras
import numpy as np
import tensorflow as tf

# Whose code is known by its version, and not described.
_LIBRARIES = {"builtins", "keras", "numpy", "tensorflow"}


def describe(model):
    """Return what a compiled `AdversarialModel` is, as numbers and words; networks as their `digest`."""
    return {
        "Keras": keras.__version__,
        "model": type(model).__name__,
        "networks": {player: digest(network) for player, network in model.networks.items()},
        "optimizers": {player: describe_optimizer(optimizer) for player, optimizer in model.optimizers.items()},
        "settings": plain(model.settings()),
    }


def digest(network):
    """Return a sha256 of a network's public configuration, whatever its layers are called and seeded.

    Another version of Keras may write the same network in another way.
    """
    try:
        config = _without_names(keras.saving.serialize_keras_object(network), {})
    except (NotImplementedError, TypeError, ValueError):  # a class of one's own, which says nothing of itself
        shapes = [tuple(weight.shape) for weight in network.weights]
        config = [type(network).__name__, shapes, [digest(layer) for layer in getattr(network, "layers", ())]]
    return _sha256(json.dumps(config, sort_keys=True, default=str).encode())


def _without_names(value, names):
    """Return a configuration without seeds, and with numbers in place of the names that Keras counts up."""
    if isinstance(value, dict):
        if "class_name" in value and isinstance(config := value.get("config"), dict) and "name" in config:
            names.setdefault(config["name"], f"#{len(names)}")
        return {
            name: _without_names(part, names) for name, part in value.items() if name not in ("seed", "build_config")
        }
    if isinstance(value, (list, tuple)):
        return [_without_names(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def describe_optimizer(optimizer):
    """Return an optimizer's rate and what is not a default; of a LossScaleOptimizer, those of the inner one.

    Defaults are omitted, so that a Keras with one setting more describes the same optimizer in the same way.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    config, usual = optimizer.get_config(), type(optimizer)().get_config()
    chosen = {name: value for name, value in config.items() if name == "learning_rate" or value != usual.get(name)}
    chosen.pop("name")
    # A rate is stored in float32; what was given has fewer digits.
    chosen = {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in chosen.items()}
    return {"optimizer": type(optimizer).__name__, **json.loads(json.dumps(chosen, default=str))}


def plain(value, above=()):
    """Return a setting as JSON can hold it: arrays and networks as sha256, objects as their class and attributes."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if any(value is other for other in above):
        return "itself"
    go_on = functools.partial(plain, above=(*above, value))
    if isinstance(value, keras.Layer):
        return {"network": digest(value), "weights": _sha256(*value.get_weights())}
    if isinstance(value, (np.ndarray, np.generic, keras.Variable)) or tf.is_tensor(value):
        array = np.asarray(value)
        return array.item() if array.ndim == 0 else {"shape": list(array.shape), "sha256": _sha256(array)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(name): go_on(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [go_on(part) for part in value]
    if isinstance(value, (set, frozenset)):
        return [go_on(part) for part in sorted(value, key=repr)]
    if isinstance(value, functools.partial):
        return [go_on(part) for part in (value.func, value.args, value.keywords)]
    if inspect.isclass(value) or inspect.isroutine(value):
        given = inspect.getclosurevars(value).nonlocals if isinstance(value, types.FunctionType) else {}
        given = [part for part in [*(getattr(value, "__defaults__", None) or ()), *given.values()] if part is not None]
        return [value.__qualname__, *map(go_on, given)] if given else value.__qualname__
    if hasattr(value, "__dict__"):
        return {"class": type(value).__qualname__, **go_on(vars(value))}
    return re.sub("( at )?0x[0-9a-fA-F]+", "", repr(value))


def describe_code(model):
    """Return sha256 of what the functions of a model's own classes do: of itself, its layers, loss and settings.

    A comment or a line more is no difference; another version of Python is one, since it has other bytecode.
    """
    found, seen = {}, []

    def collect(value):
        if any(value is other for other in seen):
            return
        seen.append(value)
        if isinstance(value, (list, tuple)):
            list(map(collect, value))
        elif isinstance(value, dict):
            list(map(collect, value.values()))
        elif isinstance(value, functools.partial):
            collect([value.func, value.args, value.keywords])
        elif isinstance(value, types.FunctionType):
            found[value.__qualname__] = _code_of(value)
        elif not isinstance(value, (type, types.BuiltinFunctionType)):
            list(map(collect, getattr(value, "layers", ())))
            for kind in type(value).__mro__:
                if kind.__module__.partition(".")[0] not in _LIBRARIES:
                    for name, part in vars(kind).items():
                        if isinstance(part, (bool, int, float, str)) and not name.startswith("__"):
                            found[f"{kind.__qualname__}.{name}"] = part
                        collect(getattr(part, "__func__", getattr(part, "fget", part)))

    collect([model, model.networks, model.settings()])
    return found


def _code_of(function, done=()):
    """Return a sha256 of a function's bytecode, of numbers and words that it uses, and of its module's functions."""
    used = inspect.getclosurevars(function)
    parts = [_bytecode(function.__code__, function.__doc__)]
    for name, value in sorted({**used.globals, **used.nonlocals}.items()):
        if isinstance(value, (bool, int, float, str)):
            parts.append(f"{name}={value!r}")
        elif isinstance(value, types.FunctionType) and value.__module__ == function.__module__ and value not in done:
            parts.append(_code_of(value, (*done, function)))
    return _sha256("\n".join(parts).encode())


def _bytecode(code, doc=None):
    constants = [_bytecode(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts if c != doc]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _sha256(*arrays):
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array)
    return found.hexdigest()
