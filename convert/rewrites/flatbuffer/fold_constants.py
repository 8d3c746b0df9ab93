"""Ops on constants alone → their results; equal constants → one."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.delegates.rule import is_custom
from portrait_tflite.convert.files.flatbuffer import text
from portrait_tflite.convert.files.flatbuffer_nodes import Node, read_node
from portrait_tflite.convert.rewrites.flatbuffer.place import cut_out, is_output
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    Applied,
    FlatbufferRewrite,
    Judge,
    Match,
    MendedOp,
    RefusedOp,
    WholeFileRewrite,
    accept,
)
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

# Weights that are packed for their size, and ops that do more than their result.
_KEPT = frozenset({"DEQUANTIZE", "DENSIFY", "RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL"})


class FoldConstants(FlatbufferRewrite):
    """Compute now what does not depend on the input.

    Given:
        y = ADD(c, d)    # constants

    Result:
        y                # a constant
    """

    name = "fold_constants"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an op on constants."""
        computed = any(not operand.constant for operand in node.given())
        if not node.given() or computed or len(node.outputs) != 1:
            return None
        if is_custom(node.op) or (node.op in _KEPT and not _is_number(node)):
            return None
        if is_output(model, node.outputs[0].index):
            return None
        return Match("it depends on constants alone")

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Write the built-in kernels' result into the file."""
        part = cut_out(model, [], [node.outputs[0].index])
        write_constant(model, node, open_model(part, Delegate.CPU).run()[0])

    def apply(self, model: schema.ModelT, judge: Judge = accept) -> Applied:
        """Fold every op; there is no place left to judge, the whole file is compared."""
        mended: list[MendedOp] = []
        position = 0
        while position < len(model.subgraphs[0].operators):
            node = read_node(model, position)
            found = self.match(model, node)
            if isinstance(found, Match):
                self.change(model, node, found)
                mended.append(MendedOp(node.tensor, found.reason))
            else:
                position += 1
        return Applied(tuple(mended), ())


def write_constant(model: schema.ModelT, node: Node, value: NDArray[Any]) -> None:
    """Put a constant in the place of an op of one output, of that output's type."""
    graph, target = model.subgraphs[0], node.outputs[0].index
    raw = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
    model.buffers.append(schema.BufferT(data=raw))
    graph.tensors[target] = tensor = copy.copy(graph.tensors[target])
    tensor.buffer = len(model.buffers) - 1
    tensor.shape, tensor.shapeSignature = np.array(value.shape, np.int32), None
    del graph.operators[node.index]


def _is_number(node: Node) -> bool:
    """Tell whether an op unpacks one number without dimensions: nothing is saved by its packing.

    The GPU delegate refuses such a number where it is computed.
    """
    return node.op == "DEQUANTIZE" and node.outputs[0].shape == ()


class ShareConstants(WholeFileRewrite):
    """Hold equal numbers once.

    Given:
        buffers of the same bytes

    Result:
        one buffer, which all their tensors read
    """

    name = "share_constants"

    def apply(self, model: schema.ModelT, judge: Judge = accept) -> Applied:
        """Let tensors of equal bytes read one buffer; the whole file is compared."""
        first: dict[bytes, int] = {}
        saved, names = 0, []
        for graph in model.subgraphs:
            for number, tensor in enumerate(graph.tensors):
                data = model.buffers[tensor.buffer].data
                if data is None or not len(data):
                    continue
                raw = np.asarray(data, np.uint8).tobytes()
                if first.setdefault(raw, tensor.buffer) != tensor.buffer:
                    graph.tensors[number] = shared = copy.copy(tensor)
                    shared.buffer = first[raw]
                    saved += len(raw)
                    names.append(text(tensor.name))
        reason = f"{len(names)} constants held twice, {saved} bytes"
        return Applied((MendedOp(names[0], reason),) if names else (), ())
