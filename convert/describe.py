"""Everything that a finished `.tflite` says of itself, as the report holds it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.flatbuffer import read_model
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, Variant


def describe_variant(file: str, data: bytes, layers: Iterable[str] = ()) -> Variant:
    """Audit a file and read its input and output.

    Args:
        file: Name that it will have.
        layers: Names of the Keras layers, where they are known.
    """
    audit = audit_model(data, layers)
    runner = open_model(data, Delegate.CPU)
    return Variant(
        file=file,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        input=runner.inputs[0],
        output=runner.outputs[0],
        ops=audit.ops,
        min_runtime=audit.min_runtime,
        audit=audit,
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
