"""Ops, tensors and constants that nothing refers to → nothing."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import text
from portrait_tflite.convert.files.flatbuffer_pruning import drop_unused
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    Applied,
    Judge,
    MendedOp,
    WholeFileRewrite,
    accept,
)

_LITTLE_BYTES = 1024  # not worth another file


class DropDead(WholeFileRewrite):
    """Leave out what no output depends on: it is run, or loaded, for nothing.

    Given:
        y = ADD(x, c)
        z = MUL(x, d)    # which no op and no output reads; or a constant that none does

    Result:
        y = ADD(x, c)
    """

    name = "drop_dead"

    def apply(self, model: schema.ModelT, judge: Judge = accept) -> Applied:
        """Drop it; the whole file is compared."""
        named, ops, size = _written(model), _count_ops(model), _held_bytes(model)
        drop_unused(model)
        dead, saved = ops - _count_ops(model), size - _held_bytes(model)
        if not dead and saved < _LITTLE_BYTES:
            return Applied((), ())
        left = set(_written(model))
        first = next((name for name in named if name not in left), "constants")
        what = f"{dead} ops" if dead else f"{saved} bytes of constants"
        reason = f"nothing reads {what}"
        return Applied((MendedOp(first, reason),), ())


def _written(model: schema.ModelT) -> list[str]:
    """Name what each op of the first graph writes."""
    graph = model.subgraphs[0]
    return [text(graph.tensors[op.outputs[0]].name) for op in graph.operators if len(op.outputs)]


def _count_ops(model: schema.ModelT) -> int:
    return sum(len(graph.operators) for graph in model.subgraphs)


def _held_bytes(model: schema.ModelT) -> int:
    return sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
