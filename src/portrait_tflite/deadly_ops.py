"""Ops of which LiteRT ends the whole process instead of refusing the file.

Its kernels check some scales by an assertion. Seen in ai-edge-litert 2.3.0: each of 50 ops in int8,
with scales of 0, infinity, no number, below 0, and too large or too small for each other.

Its depthwise convolution reads the bias that the format lets a file leave out, and dies at the
first run; the one for 16 bits does not.

Where XNNPACK cannot create the operator of a convolution, since its products are scaled by 256 or
more, LiteRT frees memory twice: a large file ends the process, a small one is only refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.vocabulary import Delegate

_NAMES: dict[int, str] = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}
_INTEGERS = frozenset({schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT16})

_SUMS = frozenset({"ADD", "SUB", "SQUARED_DIFFERENCE"})
_COMPARISONS = frozenset({"EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"})
# XNNPACK alone; of a product it is the first factor.
_XNNPACK_ONLY = frozenset({"BATCH_MATMUL", "QUANTIZE"})
# Where the picture and the weights of what sums products are.
_LINEAR = {
    "CONV_2D": (0, 1),
    "DEPTHWISE_CONV_2D": (0, 1),
    "FULLY_CONNECTED": (0, 1),
    "TRANSPOSE_CONV": (2, 1),
}
_BIASED = "DEPTHWISE_CONV_2D"
_LARGEST_FACTOR = 256.0  # not reached
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
    watched = _SUMS | _COMPARISONS | {_BIASED}
    if delegate is Delegate.XNNPACK:
        watched |= _XNNPACK_ONLY | _LINEAR.keys()
    for graph in (model.Subgraphs(i) for i in range(model.SubgraphsLength())):
        for op in (graph.Operators(i) for i in range(graph.OperatorsLength())):
            name = names[op.OpcodeIndex()]
            if name in watched and (why := _why_deadly(name, graph, op, delegate)):
                return f"{name} {why}"
    return ""


def _why_deadly(name: str, graph: Any, op: Any, delegate: Delegate) -> str:
    if name == _BIASED and (why := _why_without_bias(graph, op)):
        return why
    if name in _LINEAR:
        return _why_too_steep(name, graph, op) if delegate is Delegate.XNNPACK else ""
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


def _why_without_bias(graph: Any, op: Any) -> str:
    """Say that there is no bias, or "" where there is one or none is needed."""
    target = graph.Tensors(op.Outputs(0))
    if op.InputsLength() > 2 or target.Type() == schema.TensorType.INT16:
        return ""
    return f"without a bias, at {(target.Name() or b'').decode(errors='replace')!r}"


def _why_too_steep(name: str, graph: Any, op: Any) -> str:
    """Say that sums of products are scaled by too much, or "" where they are not."""
    picture, weights = (op.Inputs(position) for position in _LINEAR[name])
    scales = [_scales(graph.Tensors(number)) for number in (picture, weights, op.Outputs(0))]
    if not all(each.size for each in scales):
        return ""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        factor = np.max(scales[0][0] * scales[1] / scales[2][0])
    if not factor >= _LARGEST_FACTOR:
        return ""
    target = (graph.Tensors(op.Outputs(0)).Name() or b"").decode(errors="replace")
    return f"whose products are scaled by {factor:.0f}, at {target!r}"


def _scales(tensor: Any) -> NDArray[np.float32]:
    """Return the scales of an integer tensor; none where it has none."""
    record = tensor.Quantization() if tensor.Type() in _INTEGERS else None
    scales = record.ScaleAsNumpy() if record is not None else 0
    return np.zeros(0, np.float32) if isinstance(scales, int) else np.asarray(scales, np.float32)


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
            scales = _scales(tensor)
            scale = float(scales[0]) if scales.size else 0.0
            yield _Tensor((tensor.Name() or b"").decode(errors="replace"), scale)


def _name(code: Any) -> str:
    # Files older than schema 3a fill only the first, which is one byte wide.
    return _NAMES.get(max(code.DeprecatedBuiltinCode(), code.BuiltinCode()), "")
