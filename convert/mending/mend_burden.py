"""What a `.tflite` asks of the delegates and of the target, to compare two forms of one graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.costs.cost_prediction import predict_nodes
from portrait_tflite.convert.costs.cost_table import TARGET, CostTable
from portrait_tflite.convert.costs.costed_op import BUILTIN
from portrait_tflite.convert.delegates.gpu import predict_gpu
from portrait_tflite.convert.delegates.xnnpack_ops import (
    XNNPACK_FLOAT_ONLY_OPS,
    XNNPACK_OPS,
)
from portrait_tflite.convert.delegates.xnnpack_prediction import predict_xnnpack
from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

# What one partition instead of many may cost a float file, of which XNNPACK leaves out what has
# no form but copies.
_FLOAT_MARGIN = 1.1
_LITTLE_CYCLES = 500
_ROUNDING_CYCLES = 1.0  # sums of the same costs in another order
# What a place may cost where its file costs too much: first what the table is off by at times.
PLACE_MARGINS = (1.25, 1.0)
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
        unpriced: The kinds of ops that `unknown` counts.
        integer: Whether it computes with bytes.
    """

    unloadable: int
    outside: int
    refused: int
    partitions: int
    unknown: int
    cycles: float
    ops: int
    size_bytes: int
    unpriced: frozenset[str] = field(default=frozenset(), compare=False)
    integer: bool = field(default=False, compare=False)

    def asks_more(self, other: Burden) -> bool:
        """Tell whether a graph asks more than another one, whatever the sizes of the files."""
        return replace(self, size_bytes=0) > replace(other, size_bytes=0)


def weigh(data: bytes) -> Burden:
    """Weigh a `.tflite` for the target with the committed cost table."""
    model = read_model(data)
    nodes = list_nodes(model)
    integer = any(o.dtype in _BYTES for n in nodes for o in n.outputs)
    unloadable, outside, partitions = _delegation(data, model)
    table = CostTable.load(TARGET)
    outputs = indices(model.subgraphs[0].outputs)
    prediction = predict_nodes(nodes, table, outside, outputs)
    unpriced = {*prediction.unknown, *_priced_as_inside([nodes[i] for i in outside])}
    return Burden(
        unloadable=unloadable,
        outside=len(outside),
        refused=0 if integer else len(predict_gpu(model)),
        partitions=partitions,
        unknown=len(unpriced),
        cycles=prediction.cycles,
        ops=len(nodes),
        size_bytes=len(data),
        unpriced=frozenset(unpriced),
        integer=integer,
    )


def is_dearer_file(new: Burden, old: Burden, naive_cost: Callable[[], float] | None = None) -> bool:
    """Tell whether a file costs more than it may, where the table can tell.

    Args:
        new: The mended file.
        old: The file as it came.
        naive_cost: As of `mend_model`.
    """
    if not old.unpriced <= new.unpriced or new.unloadable < old.unloadable:
        return False
    if naive_cost is not None:
        return is_above(new, naive_cost())
    if old.integer:
        return is_above(new, old.cycles)
    return new.cycles > max(old.cycles * _FLOAT_MARGIN, old.cycles + _LITTLE_CYCLES)


def is_above(burden: Burden, cycles: float) -> bool:
    """Tell whether a file costs more than another one that costs `cycles`."""
    return burden.cycles > cycles + _ROUNDING_CYCLES


def is_dearer_place(new: Burden, old: Burden, margin: float) -> bool:
    """Tell whether a place costs more than `margin` times as much, where the table can tell."""
    if new.refused < old.refused:  # the GPU takes more of it, which no CPU's cost outweighs
        return False
    return new.cycles > old.cycles * margin and old.unpriced <= new.unpriced


def _delegation(data: bytes, model: schema.ModelT) -> tuple[int, list[int], int]:
    """Ask the runtime: whether XNNPACK breaks the file, its ops outside and its partitions."""
    try:
        runner = open_model(data, Delegate.XNNPACK)
    except UsageError:
        found = predict_xnnpack(model)
        return 1, [*found.refused, *found.fatal], len(found.partitions)
    return 0, [node.index for node in runner.outside], runner.partitions


def _priced_as_inside(outside: Sequence[Node]) -> set[str]:
    """Name the kinds of ops outside that the table only knows as XNNPACK runs others of them."""
    inside = XNNPACK_OPS - BUILTIN.keys()
    integer = inside - XNNPACK_FLOAT_ONLY_OPS
    return {
        node.op
        for node in outside
        if node.op in integer or (node.op in inside and node.outputs[0].dtype == "float32")
    }
