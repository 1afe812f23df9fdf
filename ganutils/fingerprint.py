"""Descriptions of a run that are equal in any process that repeats it, so that a backup can tell runs apart."""

import functools
import hashlib
import json

import keras
import numpy as np
import tensorflow as tf


def describe(model):
    """Return a JSON-compatible description of a compiled `AdversarialModel`, with networks as their `digest`."""
    return {
        "Keras": keras.__version__,
        "model": type(model).__name__,
        "networks": {player: digest(network) for player, network in model.networks.items()},
        "optimizers": {player: describe_optimizer(optimizer) for player, optimizer in model.optimizers.items()},
        "settings": plain(model.settings()),
    }


def digest(network):
    """Return a sha256 of a network's public configuration, without seeds and automatic layer names.

    A different version of Keras may describe the same network differently.
    """
    try:
        config, names = keras.saving.serialize_keras_object(network), {}
        _without_names(config, names)  # a layer may be named before it is described
        config = _without_names(config, names)
    except (NotImplementedError, TypeError, ValueError):  # a custom class without a configuration
        shapes = [tuple(weight.shape) for weight in network.weights]
        config = [type(network).__name__, shapes, [digest(layer) for layer in getattr(network, "layers", ())]]
    return _sha256(json.dumps(config, sort_keys=True, default=str).encode())


def _without_names(value, names):
    """Return a configuration without seeds, and with numbers in place of the names that Keras numbers globally."""
    if isinstance(value, dict):
        if value.get("class_name") == "__lambda__":  # serialised as bytecode that contains its file name
            return "lambda"
        if "class_name" in value and isinstance(config := value.get("config"), dict) and "name" in config:
            names.setdefault(config["name"], f"#{len(names)}")
        kept = (name for name in value if name not in ("seed", "build_config"))
        return {name: _without_names(value[name], names) for name in kept}
    if isinstance(value, (list, tuple)):
        return [_without_names(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def describe_optimizer(optimizer):
    """Return an optimizer's learning rate and non-default settings; of a LossScaleOptimizer, those of the inner one.

    Defaults are omitted, so that the description stays the same if a new version of Keras adds a setting.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    try:
        config, usual = optimizer.get_config(), type(optimizer)().get_config()
    except (NotImplementedError, TypeError):  # a custom optimizer or schedule
        rate = {"learning_rate": float(optimizer.learning_rate)}  # a schedule's changes; its formula is in the step
        config, usual = {"name": None} | (rate if isinstance(optimizer.learning_rate, keras.Variable) else {}), {}
    usual = usual | {"learning_rate": None, "name": config["name"]}
    chosen = {name: value for name, value in config.items() if value != usual.get(name)}
    # A rate is stored in float32, and the given value has fewer digits.
    chosen = {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in chosen.items()}
    return {"optimizer": type(optimizer).__name__, **json.loads(json.dumps(chosen, default=str))}


def plain(value, above=()):
    """Return a JSON-compatible form of a setting: arrays and networks as sha256, objects by class and attributes."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if any(value is other for other in above):
        return "itself"
    go_on = functools.partial(plain, above=(*above, value))
    if isinstance(value, keras.Layer):
        return digest(value)
    if tf.is_tensor(value) or isinstance(value, (keras.Variable, np.generic)):
        value = np.asarray(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value.item() if value.ndim == 0 else {"shape": list(value.shape), "sha256": _sha256(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(name): go_on(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [go_on(part) for part in value]
    kind = getattr(value, "__qualname__", type(value).__qualname__)
    # Objects with a state that changes during a run are not settings; `describe_step` compares how a step uses them.
    opaque = isinstance(value, (type, keras.random.SeedGenerator, keras.metrics.Metric, tf.data.Dataset))
    attributes = {} if opaque else getattr(value, "__dict__", {})
    return {"class": kind, **go_on(attributes)} if attributes else kind


def describe_step(model, batch):
    """Return 12 digits of a sha256 of what TensorFlow computes in a training step, which takes a second or two.

    It covers everything that can change a variable or a result, wherever it is defined: constants, functions,
    layers, and the values of variables that a step reads but never assigns. Comments, names, `tf.print` and the order
    of independent computations make no difference.

    Args:
        model: a compiled `AdversarialModel`.
        batch: the `element_spec` of its dataset.

    Raises:
        ValueError: the step depends on state outside the model, which cannot be restored or compared.
    """
    if model.run_eagerly:
        raise ValueError("a backup compares the graph of a step; compile the model without run_eagerly")
    strategy = model.distribute_strategy
    if strategy is tf.distribute.get_strategy() and not tf.distribute.has_strategy():
        # Without a strategy, Keras uses this function too, so that the step is traced only once.
        step = model.train_step = tf.function(model.train_step, autograph=False)
    else:
        step = tf.function(lambda batch: strategy.run(model.train_step, (batch,)), autograph=False)
    graph = step.get_concrete_function(batch).graph
    definition = graph.as_graph_def()
    functions = {function.signature.name: function for function in definition.library.function}
    nodes = [*definition.node, *(node for function in functions.values() for node in function.node_def)]
    holders = [model, *model.optimizers.values(), *model.metrics]
    variables = [variable for holder in holders for variable in holder.variables]
    numbers = {}
    for i, variable in enumerate(variables):
        for copy in strategy.experimental_local_results(variable.value):
            numbers.setdefault(id(copy.handle), i)
    # The random numbers of tf.random and tables have their own state, and Python functions cannot be compared.
    unknown = {v.name for v in graph.variables if id(v.handle) not in numbers}
    unknown |= {node.op for node in nodes if "seed2" in node.attr or "PyFunc" in node.op}
    resources = {id(outside) for outside, _ in graph.captures if outside.dtype == tf.resource}
    if resources - numbers.keys() and strategy.num_replicas_in_sync == 1:  # several replicas need one to synchronise
        unknown = unknown or {"a table or another resource"}
    if unknown:
        raise ValueError(
            f"a training step uses {', '.join(sorted(unknown))}, which a backup cannot keep or compare. Make "
            "variables part of the model, as in self.total = self.add_weight(), draw random numbers from its seed, "
            "as in keras.random.normal(shape, seed=self.seed_generator), and replace Python code by TensorFlow"
        )
    hashes = {tensor.op.name: f"argument {i}" for i, tensor in enumerate(graph.inputs)}
    handles = {}
    for outside, inside in graph.captures:
        if outside.dtype == tf.resource:
            hashes[inside.op.name] = f"variable {numbers.get(id(outside))}"
            handles[hashes[inside.op.name]] = numbers.get(id(outside))
        else:
            hashes[inside.op.name] = _sha256(outside.numpy())
    effects, assigned = _effects(definition.node, hashes, [tensor.name for tensor in graph.outputs], functions)
    moved = {id(variable) for optimizer in model.optimizers.values() for variable in optimizer.variables}
    for name in sorted(handles.keys() - assigned):
        if handles[name] is not None and id(variable := variables[handles[name]]) not in moved:
            effects.append(f"{name} {_sha256(keras.ops.convert_to_numpy(variable.value))}")
    return _sha256("\n".join(effects).encode())[:12]


_MESSAGES = ("PrintV2", "StringFormat", "Assert")


def _effects(nodes, hashes, results, functions):
    """Return the sha256 of everything that a graph assigns and returns, and the variables that it assigns.

    A node's sha256 covers its operation, its attributes and, recursively, the sha256 of its inputs: that of `x + 1`
    covers "AddV2", the sha256 of `x`, and that of the constant. So names and the order of nodes do not matter.

    Args:
        nodes: nodes of a tf.GraphDef or of one of its functions.
        hashes: dict from the names of the graph's arguments to strings that identify them.
        results: names of the outputs.
        functions: dict from a name to the FunctionDef of a branch or loop that nodes call.
    """
    hashes, by_name, assigned = dict(hashes), {node.name: node for node in nodes}, set()

    def hash_of(name):
        base = name.partition(":")[0]
        if base not in hashes:
            hashes[base] = hash_of_node(by_name[base])
        return hashes[base] + name.removeprefix(base)

    def hash_of_node(node):
        inputs = [hash_of(name) for name in node.input if name[0] != "^"]
        before = [name[1:] for name in node.input if name[0] == "^"]
        before = sorted(hash_of(name) for name in before if name not in by_name or by_name[name].op not in _MESSAGES)
        if node.op.startswith(_ASSIGNS):
            assigned.add(inputs[0])
        settings = [(name, value) for name, value in sorted(node.attr.items()) if name[0] != "_"]
        called = _called(node, functions)
        parts = [node.op]
        if not called:  # names of variables are numbered globally
            settings = [(name, value) for name, value in settings if name not in ("container", "shared_name")]
            parts += [f"{name} {value.SerializeToString(deterministic=True).hex()}" for name, value in settings]
        for function in called:
            # TensorFlow passes the inputs of a branch in a varying order, so each argument is identified by its value,
            # and in a loop also by its place among the loop variables.
            names = [argument.name for argument in function.signature.input_arg]
            given = dict(zip(names, inputs[len(inputs) - len(names) :], strict=True))
            if "body" in node.attr:
                body = functions[node.attr["body"].func.name]
                pairs = zip(body.signature.input_arg, body.signature.output_arg, names, strict=True)
                moving = [name for argument, result, name in pairs if body.ret[result.name] != argument.name]
                given |= {name: f"{given[name]} {place}" for place, name in enumerate(moving)}
            outputs = [function.ret[result.name] for result in function.signature.output_arg]
            effects, of_function = _effects(function.node_def, given, outputs, functions)
            assigned.update(of_function)
            parts += effects
        return _sha256("\n".join([*parts, *(sorted(inputs) if called else inputs), "after", *before]).encode())

    found = [(node, hash_of(node.name)) for node in nodes]
    effects = sorted(sha for node, sha in found if node.op.startswith(_ASSIGNS) or _called(node, functions))
    return [*effects, *map(hash_of, results)], assigned


_ASSIGNS = ("Assign", "Resource")  # such as AssignVariableOp and ResourceScatterAdd


def _called(node, functions):
    """Return the functions that a node calls, such as a condition's branches, in the order of their attributes."""
    attributes = [value for _, value in sorted(node.attr.items())]
    return [functions[to.name] for value in attributes for to in (value.func, *value.list.func) if to.name in functions]


def _sha256(*arrays):
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array)
    return found.hexdigest()
