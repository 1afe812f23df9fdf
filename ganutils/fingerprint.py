"""What a run is, in words and numbers that another process repeats, so that a backup can tell two runs apart."""

import functools
import hashlib
import json

import keras
import numpy as np
import tensorflow as tf

_TEXT = tf.string.as_datatype_enum


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
        if value.get("class_name") == "__lambda__":  # as bytecode, with the name of the file it stood in
            return "lambda"
        if "class_name" in value and isinstance(config := value.get("config"), dict) and "name" in config:
            names.setdefault(config["name"], f"#{len(names)}")
        kept = (name for name in value if name not in ("seed", "build_config"))
        return {name: _without_names(value[name], names) for name in kept}
    if isinstance(value, (list, tuple)):
        return [_without_names(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def describe_optimizer(optimizer):
    """Return an optimizer's rate and what is not a default; of a LossScaleOptimizer, those of the inner one.

    Defaults are omitted, so that a Keras with one setting more describes the same optimizer in the same way.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    try:
        config, usual = optimizer.get_config(), type(optimizer)().get_config()
    except (NotImplementedError, TypeError):  # one of one's own, or with a schedule of one's own
        return {"optimizer": type(optimizer).__name__}
    chosen = {name: value for name, value in config.items() if name == "learning_rate" or value != usual.get(name)}
    chosen.pop("name")
    # A rate is stored in float32; what was given has fewer digits.
    chosen = {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in chosen.items()}
    return {"optimizer": type(optimizer).__name__, **json.loads(json.dumps(chosen, default=str))}


def plain(value, above=()):
    """Return a setting in words and numbers: arrays and networks as sha256, objects as their class and attributes."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if any(value is other for other in above):
        return "itself"
    go_on = functools.partial(plain, above=(*above, value))
    if isinstance(value, keras.Layer):
        return {"network": digest(value), "weights": _sha256(*value.get_weights())}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        return value.item() if value.ndim == 0 else {"shape": list(value.shape), "sha256": _sha256(value)}
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(name): go_on(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [go_on(part) for part in value]
    kind = getattr(value, "__qualname__", type(value).__qualname__)
    attributes = {} if isinstance(value, type) else getattr(value, "__dict__", {})
    return {"class": kind, **go_on(attributes)} if attributes else kind


def describe_step(model, batch):
    """Return the beginning of a sha256 of what TensorFlow computes in a training step, whatever its parts are called.

    Every number, function, layer and setting that makes a difference to the training is seen, wherever it was
    written down; a comment, a name or another order of equal computations is no difference.

    Args:
        model: a compiled `AdversarialModel`.
        batch: the `element_spec` of its dataset.

    Raises:
        ValueError: the step depends on a state that is not the model's, so that nobody could restore it.
    """
    strategy = model.distribute_strategy
    step = tf.function(lambda batch: strategy.run(model.train_step, (batch,)), autograph=False)
    graph = step.get_concrete_function(batch).graph
    holders = [model, *model.optimizers.values(), *model.metrics]
    variables = [variable for holder in holders for variable in holder.variables]
    place = {}
    for i, variable in enumerate(variables):
        for copy in strategy.experimental_local_results(variable.value):
            place.setdefault(id(copy.handle), f"variable {i}")
    unknown = sorted(v.name for v in graph.variables if id(v.handle) not in place)
    definition = graph.as_graph_def()
    functions = {function.signature.name: function for function in definition.library.function}
    nodes = [*definition.node, *(node for function in functions.values() for node in function.node_def)]
    unknown += sorted({node.op for node in nodes if "seed2" in node.attr})  # tf.random's, with a state of their own
    if unknown:
        raise ValueError(
            f"a training step uses {', '.join(unknown)}, which a backup cannot keep. Make a variable a part of the "
            "model, as self.total = self.add_weight(), and let random numbers come from the model's own seed: "
            "keras.random.normal(shape, seed=self.seed_generator)"
        )
    given = {tensor.op.name: f"argument {i}" for i, tensor in enumerate(graph.inputs)}
    for outside, inside in graph.captures:
        is_resource = outside.dtype == tf.resource
        given[inside.op.name] = place.get(id(outside), "a resource") if is_resource else _sha256(outside.numpy())
    return _sha256("\n".join(sorted(_described(definition.node, given, functions).values())).encode())[:12]


def _described(nodes, given, functions):
    """Return a sha256 of each node of a graph: of its operation, its settings and, recursively, its inputs."""
    found, by_name = dict(given), {node.name: node for node in nodes}

    def describe_node(node):
        inputs = [find(name) for name in node.input if not name.startswith("^")]
        before = sorted(find(name[1:]) for name in node.input if name.startswith("^"))
        settings = [(name, value) for name, value in sorted(node.attr.items()) if name[0] != "_"]
        called = [functions[to.name] for _, v in settings for to in (v.func, *v.list.func) if to.name in functions]
        parts = [node.op]
        for name, value in settings:
            # Names of variables are counted up, and texts are messages.
            if not called and name not in ("container", "shared_name") and value.tensor.dtype != _TEXT:
                parts.append(f"{name} {value.SerializeToString(deterministic=True).hex()}")
        for function in called:
            # TensorFlow passes what a branch uses in an order that changes, so arguments are known by what is given.
            names = [argument.name for argument in function.signature.input_arg]
            handed = dict(zip(names, inputs[len(inputs) - len(names) :], strict=True))
            branch = _described(function.node_def, handed, functions)
            results = [function.ret[result.name] for result in function.signature.output_arg]
            parts += [*sorted(branch.values()), *(_output(branch, name) for name in results)]
        return _sha256("\n".join([*parts, *(sorted(inputs) if called else inputs), "after", *before]).encode())

    def find(name):
        base = name.partition(":")[0]
        if base not in found:
            found[base] = describe_node(by_name[base])
        return _output(found, name)

    for node in nodes:
        find(node.name)
    return found


def _output(found, name):
    base = name.partition(":")[0]
    return found[base] + name.removeprefix(base)


def _sha256(*arrays):
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array)
    return found.hexdigest()
