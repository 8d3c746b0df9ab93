"""Ops of which LiteRT ends the whole process instead of refusing the file.

Its kernels check some scales by an assertion. Seen in ai-edge-litert 2.3.0: each of 50 ops in int8,
with scales of 0, infinity, no number, below 0, and too large or too small for each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.vocabulary import Delegate

_NAMES: dict[int, str] = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}
_INTEGERS = frozenset({schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT16})

_SUMS = frozenset({"ADD", "SUB", "SQUARED_DIFFERENCE"})
_COMPARISONS = frozenset({"EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"})
# XNNPACK alone; of a product it is the first factor.
_XNNPACK_ONLY = frozenset({"BATCH_MATMUL", "QUANTIZE"})
_LEAST = float(np.finfo(np.float32).tiny)


class _Tensor(NamedTuple):
    """What of a tensor decides; the scale is 0 where there is none."""

    name: str
    scale: float


def find_deadly_op(data: bytes, delegate: Delegate) -> str:
    """Name the first op that would end the process, and why; "" where there is none.

    Args:
        data: A whole `.tflite`, as the runtime has checked it.
        delegate: Who is to run it.
    """
    model = schema.Model.GetRootAs(data, 0)
    names = [_name(model.OperatorCodes(i)) for i in range(model.OperatorCodesLength())]
    watched = _SUMS | _COMPARISONS | (_XNNPACK_ONLY if delegate is Delegate.XNNPACK else set())
    for graph in (model.Subgraphs(i) for i in range(model.SubgraphsLength())):
        for op in (graph.Operators(i) for i in range(graph.OperatorsLength())):
            name = names[op.OpcodeIndex()]
            if name in watched and (why := _why_deadly(name, graph, op)):
                return f"{name} {why}"
    return ""


def _why_deadly(name: str, graph: Any, op: Any) -> str:
    given = list(_quantized(graph, op.InputsAsNumpy()))
    made = list(_quantized(graph, op.OutputsAsNumpy()))
    checked = given[:1] if name == "BATCH_MATMUL" else [*given, *made]
    least = _LEAST if name in _XNNPACK_ONLY else np.nextafter(0.0, 1.0)
    for tensor in checked:
        if not least <= tensor.scale < math.inf:
            return f"with the scale {tensor.scale:g} of {tensor.name!r}"
    if name in _SUMS and given and made and _overflows(name, given, made[0]):
        return f"whose scales are too far apart, at {made[0].name!r}"
    return ""


def _overflows(name: str, given: list[_Tensor], made: _Tensor) -> bool:
    """Tell whether the factor to the output, which is below 1 in such kernels, is not."""
    largest = 2 * max(tensor.scale for tensor in given)
    if name == "SQUARED_DIFFERENCE":
        return largest**2 >= 2**14 * made.scale
    factor = largest / (2**20 * made.scale)
    return factor >= 1 if name == "ADD" else factor == 1


def _quantized(graph: Any, numbers: Any) -> Iterator[_Tensor]:
    for number in () if isinstance(numbers, int) else numbers:  # an empty vector reads as 0
        tensor = graph.Tensors(int(number)) if number >= 0 else None
        if tensor is not None and tensor.Type() in _INTEGERS:
            record = tensor.Quantization()
            scales = record.ScaleAsNumpy() if record is not None else 0
            scale = 0.0 if isinstance(scales, int) else float(scales[0])
            yield _Tensor((tensor.Name() or b"").decode(errors="replace"), scale)


def _name(code: Any) -> str:
    # Files older than schema 3a fill only the first, which is one byte wide.
    return _NAMES.get(max(code.DeprecatedBuiltinCode(), code.BuiltinCode()), "")
