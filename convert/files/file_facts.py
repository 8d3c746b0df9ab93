"""Sizes of a `.tflite`, and whether a phone's older runtime loads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.files.describe import count_parameters
from portrait_tflite.convert.files.flatbuffer import indices, op_name, read_model, text
from portrait_tflite.convert.files.flatbuffer_nodes import (
    Node,
    Operand,
    count_macs,
    list_nodes,
)
from portrait_tflite.convert.files.op_versions import UNKNOWN_RUNTIME, first_runtime, runtime_order
from portrait_tflite.vocabulary import OutsideOp

# The last TensorFlow Lite that Android apps get as `org.tensorflow:tensorflow-lite`.
ANDROID_AAR = "2.16.1"

_BITS = {"int4": 4, "int2": 2, "bool": 8, "bfloat16": 16}


@dataclass(frozen=True)
class FileFacts:
    """What a file weighs.

    Attributes:
        bytes: Size of the file.
        parameters: Elements of its constants.
        macs: Multiply-accumulates of one inference: convolutions and dense layers.
        peak_activation_bytes: Most memory that computed tensors take at one time, if each is
            given back after its last reader; without weights that are unpacked at the start.
        android_aar: Why the runtime of Android's AAR does not load it; "" where it does.
        arm_mcycles: Predicted cost of one inference on arm64, in million cycles.
        arm_unknown: Kinds of its ops that the cost table does not know: they count nothing.
        graphs: How many graphs it holds; delegates and figures are of the first.
        signatures: Names of its signatures.
    """

    bytes: int
    parameters: int
    macs: int
    peak_activation_bytes: int
    android_aar: str
    arm_mcycles: float
    arm_unknown: tuple[str, ...]
    graphs: int
    signatures: tuple[str, ...]


def weigh_file(data: bytes) -> FileFacts:
    """Count what a `.tflite` weighs.

    Raises:
        UsageError: Not a `.tflite`.
    """
    model = read_model(data)
    predicted = predict(data, CostTable.load("arm64"))
    return FileFacts(
        bytes=len(data),
        parameters=count_parameters(data),
        macs=count_macs(model),
        peak_activation_bytes=_peak_bytes(model),
        android_aar=_too_new_for(model, ANDROID_AAR),
        arm_mcycles=predicted.cycles / 1e6,
        arm_unknown=predicted.unknown,
        graphs=len(model.subgraphs),
        signatures=tuple(text(one.signatureKey) for one in model.signatureDefs or ()),
    )


def count_inside(data: bytes, outside: Collection[OutsideOp]) -> dict[str, int]:
    """Count the ops of the first graph that a delegate takes, by name, sorted by name."""
    counts = Counter(node.op for node in list_nodes(read_model(data)))
    counts.subtract(op.op for op in outside)
    return {op: count for op, count in sorted(counts.items()) if count > 0}


def _too_new_for(model: schema.ModelT, runtime: str) -> str:
    """Name the ops that a runtime has not, with the first one that has them."""
    codes = {(op_name(code), int(code.version)) for code in model.operatorCodes}
    limit = runtime_order(runtime)
    newer = [
        f"{op} v{version} {_since(first)}"
        for op, version in sorted(codes)
        if runtime_order(first := first_runtime(op, version)) > limit
    ]
    return ", ".join(newer)


def _since(runtime: str) -> str:
    return "is no built-in op" if runtime == UNKNOWN_RUNTIME else f"needs {runtime}"


def _peak_bytes(model: schema.ModelT) -> int:
    """Walk the ops in their order; a tensor lives from its op to its last reader."""
    nodes = [node for node in list_nodes(model) if not _reads_constants_alone(node)]
    made = {o.index for node in nodes for o in node.outputs} | {*indices(model.subgraphs[0].inputs)}
    last = {o.index: node.index for node in nodes for o in node.given()}
    kept = {*indices(model.subgraphs[0].inputs), *indices(model.subgraphs[0].outputs)}
    alive: dict[int, int] = {}
    peak = 0
    for node in nodes:
        alive |= {o.index: _bytes(o) for o in _computed(node) if o.index in made}
        peak = max(peak, sum(alive.values()))
        for index in [i for i in alive if i not in kept and last.get(i, -1) <= node.index]:
            del alive[index]
    return peak


def _reads_constants_alone(node: Node) -> bool:
    return bool(node.given()) and all(operand.constant for operand in node.given())


def _computed(node: Node) -> Iterator[Operand]:
    yield from (o for o in (*node.given(), *node.outputs) if not o.constant)


def _bytes(operand: Operand) -> int:
    bits = _BITS.get(operand.dtype)
    if bits is None:
        bits = 8 * np.dtype(operand.dtype).itemsize if hasattr(np, operand.dtype) else 0
    return abs(operand.size) * bits // 8
