"""Everything that a finished `.tflite` says of itself, as the report holds it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.half_precision import is_allowed
from portrait_tflite.convert.lint.rules import lint_model
from portrait_tflite.convert.network_inputs import file_ends, place_inputs
from portrait_tflite.convert.worth import value_fixes
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, ModelSpec, Variant


def describe_variant(
    file: str, data: bytes, layers: Iterable[str] = (), spec: ModelSpec | None = None
) -> Variant:
    """Audit a file and read its inputs and outputs.

    Args:
        file: Name that it will have.
        layers: Names of the Keras layers, where they are known.
        spec: How it is fed; None for one input and one output.
    """
    named = tuple(layers)
    # What mending could do is done in what is shipped: only the other fixes are valued.
    audit = value_fixes(data, audit_model(data, named), rewrites=())
    runner = open_model(data, Delegate.CPU)
    places = place_inputs(file_ends(runner.inputs), spec)
    mask = spec.output.index if spec else 0
    fed_back = spec.state.from_output if spec and spec.state else mask
    kept = [i for i in range(len(runner.outputs)) if i != mask] if spec and spec.others else []
    return Variant(
        file=file,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        input=runner.inputs[places.picture],
        output=runner.outputs[mask],
        ops=audit.ops,
        min_runtime=audit.min_runtime,
        audit=audit,
        lint=lint_model(data, audit.xnnpack, named),
        state_input=None if places.state is None else runner.inputs[places.state],
        state_output=None if fed_back == mask else runner.outputs[fed_back],
        other_inputs=tuple(runner.inputs[number] for number in places.others),
        other_outputs=tuple(runner.outputs[number] for number in kept),
        half_precision=is_allowed(data),
    )


def count_parameters(data: bytes) -> int:
    """Count the weights in a file: elements of its constant float and integer tensors of rank > 0.

    Shapes and axes, which are constants too, have a few elements only and are counted with them.
    """
    model = read_model(data)
    constants = (
        tensor
        for tensor in model.subgraphs[0].tensors
        if model.buffers[tensor.buffer].data is not None and tensor.type != schema.TensorType.STRING
    )
    return sum(int(np.prod(tensor.shape)) for tensor in constants if tensor.shape is not None)
