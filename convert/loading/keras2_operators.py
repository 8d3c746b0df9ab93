"""Keras 2's records of TensorFlow functions and operators between layers, read as one kind.

`TFOpLambda` and `SlicingOpLambda` (TensorFlow 2.4 and later) name a function and its arguments,
`TensorFlowOpLayer` (before) holds an operator of a graph with its attributes and constants.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from portrait_tflite.convert.loading.keras2_functions import function_named
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Json

_GRAPH_OPERATOR = "TensorFlowOpLayer"
OPERATOR_LAYERS = frozenset({"TFOpLambda", "SlicingOpLambda", _GRAPH_OPERATOR})
_CONSTANT = "_CONSTANT_VALUE"


@dataclass
class _Call:
    """What is called on what.

    Attributes:
        tensors: References `[layer, call, tensor]`, in the order of their places.
    """

    function: str
    args: list[Any]
    kwargs: Json = field(default_factory=dict)
    tensors: list[list[Any]] = field(default_factory=list)


def as_function_layer(layer: Json) -> None:
    """Make a recorded function, in place, a layer that Keras 3 has or a `TensorFlowFunction`.

    Raises:
        UsageError: The function is not known here.
    """
    nodes = layer["inbound_nodes"]
    if len(nodes) != 1:
        raise _unknown(layer, f"a function that is called {len(nodes)} times")
    graph_operator = layer["class_name"] == _GRAPH_OPERATOR
    call = _read_operator(layer, nodes[0]) if graph_operator else _read_function(layer, nodes[0])
    kept = {key: layer["config"][key] for key in ("name", "dtype") if key in layer["config"]}
    kind, options = _layer_of(call)
    layer.update(class_name=kind, config={**kept, **options})
    layer["inbound_nodes"] = [[[*reference[:3], {}] for reference in call.tensors]]


def _layer_of(call: _Call) -> tuple[str, Json]:
    """Return class and options: of the layer that rewrites know, where there is one."""
    plain = not call.kwargs and len(call.args) == len(call.tensors)
    if plain and call.function in _ACTIVATIONS:
        return "Activation", {"activation": _ACTIVATIONS[call.function]}
    if plain and call.function in _MERGES:
        return _MERGES[call.function], {}
    if call.function == "concat" and set(call.kwargs) <= {"axis"}:
        axis = call.kwargs.get("axis", call.args[-1])
        return "Concatenate", {"axis": axis}
    # Keras would take a bare name for one of its own functions and put that in.
    options = {"function": f"tf.{call.function}", "args": call.args, "kwargs": call.kwargs}
    return "TensorFlowFunction", options


_ACTIVATIONS = {
    name: name for name in ("relu", "relu6", "sigmoid", "tanh", "silu", "elu", "softplus")
}
_MERGES = {
    "add": "Add",
    "multiply": "Multiply",
    "subtract": "Subtract",
    "maximum": "Maximum",
    "minimum": "Minimum",
}


def _read_function(layer: Json, node: list[Any]) -> _Call:
    name = layer["config"]["function"]
    function = function_named(name)
    if function is None:
        raise _unknown(layer, name)
    # One reference is a tensor; a list of them is one argument, a list of tensors.
    single = isinstance(node[0], str)
    first = node if single else node[0]
    options = first[3] if len(first) > 3 else {}
    call = _Call(function, [])
    call.args = [_place(call, node[:3] if single else [item[:3] for item in node])]
    given = {key: value for key, value in options.items() if key != "name" and value is not None}
    call.kwargs = {key: _place(call, value) for key, value in given.items()}
    # By position: the names differ from one version of TensorFlow to another.
    for first_of, key in (("x", "y"), ("a", "b")):
        if key in call.kwargs and first_of not in call.kwargs:
            call.args.append(call.kwargs.pop(key))
    return call


def _place(call: _Call, value: Any) -> Any:
    """Put a mark where a tensor stands, and note the tensor."""
    if isinstance(value, list):
        if len(value) == 3 and value[0] == _CONSTANT:
            return value[2]
        if len(value) == 3 and isinstance(value[0], str):
            call.tensors.append(value)
            return {"tensor": len(call.tensors) - 1}
        return [_place(call, item) for item in value]
    return value


def _read_operator(layer: Json, node: list[Any]) -> _Call:
    definition = layer["config"]["node_def"]
    if isinstance(definition, str):
        definition = json.loads(definition)
    operator = definition["op"]
    constants = {int(at): value for at, value in (layer["config"].get("constants") or {}).items()}
    references = [node] if isinstance(node[0], str) else node
    attributes = definition.get("attr", {})
    if operator not in _OPERATORS or _is_old_resize(operator, attributes):
        raise _unknown(layer, operator)
    function, flags = _OPERATORS[operator]
    call = _Call(function, [], tensors=[list(reference[:3]) for reference in references])
    marks = iter([{"tensor": index} for index in range(len(references))])
    count = len(references) + len(constants)
    call.args = [constants[at] if at in constants else next(marks) for at in range(count)]
    if function == "concat":
        call.args = [call.args[:-1], call.args[-1]]
    call.kwargs = {
        keyword: _attribute(attributes[name])
        for name, keyword in flags.items()
        if name in attributes
    }
    if operator == "ResizeNearestNeighbor":
        call.kwargs["method"] = "nearest"
    return call


# Operator → our function, and its attributes that are arguments.
_OPERATORS: dict[str, tuple[str, dict[str, str]]] = {
    "Abs": ("abs", {}),
    "Add": ("add", {}),
    "AddV2": ("add", {}),
    "BiasAdd": ("add", {}),
    "ConcatV2": ("concat", {}),
    "Elu": ("elu", {}),
    "Exp": ("exp", {}),
    "Identity": ("identity", {}),
    "LeakyRelu": ("leaky_relu", {"alpha": "alpha"}),
    "Log": ("log", {}),
    "Max": ("reduce_max", {"keep_dims": "keepdims"}),
    "Maximum": ("maximum", {}),
    "Mean": ("reduce_mean", {"keep_dims": "keepdims"}),
    "Min": ("reduce_min", {"keep_dims": "keepdims"}),
    "Minimum": ("minimum", {}),
    "Mul": ("multiply", {}),
    "Neg": ("negative", {}),
    "Pad": ("pad", {}),
    "RealDiv": ("divide", {}),
    "Relu": ("relu", {}),
    "Relu6": ("relu6", {}),
    "Reshape": ("reshape", {}),
    "ResizeBilinear": ("resize", {}),
    "ResizeNearestNeighbor": ("resize", {}),
    "Rsqrt": ("rsqrt", {}),
    "Sigmoid": ("sigmoid", {}),
    "Softmax": ("softmax", {}),
    "Sqrt": ("sqrt", {}),
    "Square": ("square", {}),
    "Softplus": ("softplus", {}),
    "Sub": ("subtract", {}),
    "Sum": ("reduce_sum", {"keep_dims": "keepdims"}),
    "Tanh": ("tanh", {}),
    "Tile": ("tile", {}),
    "Transpose": ("transpose", {}),
}


def _is_old_resize(operator: str, attributes: Json) -> bool:
    """Tell whether a resize has other sampling points than Keras 3's, which are at half pixels."""
    if not operator.startswith("Resize"):
        return False
    half_pixel = _attribute(attributes.get("half_pixel_centers", {"b": False}))
    return not half_pixel or bool(_attribute(attributes.get("align_corners", {"b": False})))


def _attribute(value: Json) -> Any:
    """Return what a protobuf attribute holds, as its JSON says it."""
    (held,) = value.values()
    return held


def _unknown(layer: Json, what: str) -> UsageError:
    name = layer["config"].get("name", layer.get("name"))
    return UsageError(
        f"TensorFlow functions that Keras 3 has are required. Received: layer {name}, which calls "
        f"{what}.\nLoad the model in the version that wrote it and save it as a SavedModel folder "
        "(model.export); that can be converted."
    )
