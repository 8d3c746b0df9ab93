"""What a `.tflite` asks of the delegates and of the target, to compare two forms of one graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.cost_prediction import cost_steps, predict
from portrait_tflite.convert.cost_table import CostTable
from portrait_tflite.convert.costed_op import INT8, CostedOp
from portrait_tflite.convert.delegates.gpu import predict_gpu
from portrait_tflite.convert.delegates.xnnpack_ops import (
    XNNPACK_FLOAT_ONLY_OPS,
    XNNPACK_OPS,
)
from portrait_tflite.convert.delegates.xnnpack_prediction import predict_xnnpack
from portrait_tflite.convert.delegates.xnnpack_scales import kills_runtime
from portrait_tflite.convert.flatbuffer import indices, read_model
from portrait_tflite.convert.flatbuffer_lookups import find_lookups
from portrait_tflite.convert.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

_TARGET = "arm64"
# The table is off by that at times, and what is outside it knows least; of a single op most.
_MARGIN = 1.1
_LITTLE_CYCLES = 10_000
_BYTES = frozenset({"int8", "uint8"})


@dataclass(frozen=True, order=True)
class Burden:
    """What a graph asks of the delegates; less is better, the first difference counts.

    Attributes:
        unloadable: 1 where the runtime gives the whole file up with XNNPACK, which takes an op and
            fails then; the ops outside are only predicted then.
        outside: Ops outside of XNNPACK.
        refused: Ops that the GPU delegate refuses; 0 for an integer graph, which is not its.
        partitions: XNNPACK's.
        unknown: Kinds of ops whose cost the table does not know, there where they run.
        cycles: Predicted cost on the target.
        ops: Number of ops.
        size_bytes: Of the file.
    """

    unloadable: int
    outside: int
    refused: int
    partitions: int
    unknown: int
    cycles: float
    ops: int
    size_bytes: int


def weigh(data: bytes) -> Burden:
    """Weigh a `.tflite` for the target with the committed cost table."""
    model = read_model(data)
    nodes = list_nodes(model)
    integer = any(o.dtype in _BYTES for n in nodes for o in n.outputs)
    unloadable, outside, partitions = _delegation(data, model, nodes)
    table = CostTable.load(_TARGET)
    prediction = predict(data, table)
    lookups = find_lookups(nodes, outside, indices(model.subgraphs[0].outputs))
    return Burden(
        unloadable=unloadable,
        outside=len(outside),
        refused=0 if integer else len(predict_gpu(model)),
        partitions=partitions,
        unknown=len(prediction.unknown) + len(_priced_as_inside([nodes[i] for i in outside])),
        cycles=prediction.cycles - sum(_saved_by_lookup(row, table) for row in lookups),
        ops=len(nodes),
        size_bytes=len(data),
    )


def _saved_by_lookup(row: Sequence[Node], table: CostTable) -> float:
    """Return what the ops of a row cost by the table more than one look-up, as LOGISTIC's."""
    single = sum(step.cycles for step in cost_steps(row, table))
    size = row[-1].outputs[0].size
    return single - table.op_cost(CostedOp("LOGISTIC", size, 1, 1, 1), INT8)


def is_dearer(new: Burden, old: Burden) -> bool:
    """Tell whether a graph costs clearly more, as far as the table knows both forms' ops."""
    more = new.cycles > max(old.cycles * _MARGIN, old.cycles + _LITTLE_CYCLES)
    return more and new.unknown >= old.unknown


def _delegation(
    data: bytes, model: schema.ModelT, nodes: Sequence[Node]
) -> tuple[int, list[int], int]:
    """Ask the runtime: whether XNNPACK breaks the file, its ops outside and its partitions."""
    try:
        # LiteRT 2.3 does not refuse these: the process dies.
        runner = None if any(map(kills_runtime, nodes)) else open_model(data, Delegate.XNNPACK)
    except UsageError:
        runner = None
    if runner is None:
        with np.errstate(all="ignore"):  # such scales have no ratio
            found = predict_xnnpack(model)
        return 1, [*found.refused, *found.fatal], len(found.partitions)
    return 0, [node.index for node in runner.outside], runner.partitions


def _priced_as_inside(outside: Sequence[Node]) -> set[str]:
    """Name the kinds of ops outside that the table only knows as XNNPACK runs others of them."""
    ours = XNNPACK_OPS - XNNPACK_FLOAT_ONLY_OPS
    return {
        node.op
        for node in outside
        if node.op in ours or (node.op in XNNPACK_OPS and node.outputs[0].dtype == "float32")
    }
