"""The smallest network that tells whether a delegate works."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import op_code_index, serialize

_SHAPE = (1, 8, 8, 4)


def build_probe() -> bytes:
    """Build a float network of one logistic function, which every delegate takes."""
    tensors = [
        schema.TensorT(
            shape=np.array(_SHAPE, np.int32), type=schema.TensorType.FLOAT32, name=name.encode()
        )
        for name in ("x", "y")
    ]
    source, target = np.array([0], np.int32), np.array([1], np.int32)
    model = schema.ModelT(version=3, operatorCodes=[], buffers=[schema.BufferT()])
    operator = schema.OperatorT(
        opcodeIndex=op_code_index(model, "LOGISTIC", 1), inputs=source, outputs=target
    )
    model.subgraphs = [
        schema.SubGraphT(tensors=tensors, inputs=source, outputs=target, operators=[operator])
    ]
    return serialize(model)
