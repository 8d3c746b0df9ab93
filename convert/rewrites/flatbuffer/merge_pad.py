"""PAD before a convolution or a pool that pads by itself → SAME padding."""

from __future__ import annotations

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.paddings import SAME, VALID, same_borders
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op


class MergePad(FlatbufferRewrite):
    """Let an op pad by itself.

    Given:
        y = CONV_2D(PAD(x), VALID)    # or DEPTHWISE_CONV_2D, MAX_POOL_2D

    Result:
        y = CONV_2D(x, SAME)          # where SAME adds the same rows and columns

    A pool's own padding is less than everything, a PAD's is 0: only where 0 is the least that the
    integers hold is that the same. A PADV2 says what it pads with.
    """

    name = "merge_pad"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an unpadded window op behind a PAD that nobody else reads."""
        if node.op not in {"CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"}:
            return None
        padded = node.given()[0]
        pad = producer_of(model, padded.index)
        if pad is None or pad.op not in {"PAD", "PADV2"} or int(node.option("padding")) != VALID:
            return None
        source, amounts = pad.given()[:2]
        # The PAD would stay for the other reader.
        if count_readers(model, padded.index) != 1:
            return RefusedOp(node.tensor, "another op reads the padded tensor too")
        if amounts.data is None or len(source.shape) != 4 or -1 in source.shape:
            return RefusedOp(node.tensor, "its PAD is known at run time only")
        borders = same_borders(node, source.shape[1:3], _window(node))
        wanted = np.array([(0, 0), *borders, (0, 0)])
        if not np.array_equal(_amounts(amounts), wanted):
            return RefusedOp(node.tensor, "SAME adds other rows or columns than the PAD")
        if not _pads_alike(pad, node):
            return RefusedOp(node.tensor, "its own padding would be another number than the PAD's")
        return Match("SAME adds the same zeros", source, sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Read the unpadded tensor, with SAME padding."""
        options = copy.copy(node.options)
        options.padding = SAME
        others = indices(model.subgraphs[0].operators[node.index].inputs)[1:]
        built = Replacement(model, node)
        built.op(Op(node.op, node.version, options), [match.details.index, *others])
        built.finish()


def _window(node: Node) -> tuple[int, ...]:
    if node.op == "MAX_POOL_2D":
        return int(node.option("filterHeight")), int(node.option("filterWidth"))
    return node.given()[1].shape[1:3]


def _amounts(operand: Operand) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    assert operand.data is not None
    raw = operand.data.tobytes()
    return np.frombuffer(raw, operand.dtype).astype(np.int64).reshape(operand.shape)


def _pads_alike(pad: Node, node: Node) -> bool:
    """Tell whether a PAD adds what the op behind it would: 0, or to a pool the least number."""
    source = pad.given()[0]
    if pad.op == "PAD":
        added = float(source.zero_point)
    elif (constant := pad.given()[2]).constant:
        added = float(stored_values(constant)[0])
    else:
        return False
    if node.op != "MAX_POOL_2D":
        return added == source.zero_point
    least = LIMITS[source.dtype][0] if source.dtype in LIMITS else float(np.finfo(np.float32).min)
    return added <= least
