"""Float ops between DEQUANTIZE and QUANTIZE, as ai-edge-quantizer leaves them, back to int8."""

from __future__ import annotations

import math

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import QUANTIZE
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

# They only choose among their input's numbers, or add zeros; with their version for int8.
_MOVES = {
    "DEPTH_TO_SPACE": 2,
    "EXPAND_DIMS": 1,
    "MAX_POOL_2D": 2,
    "PAD": 2,
    "RESHAPE": 1,
    "RESIZE_NEAREST_NEIGHBOR": 2,
    "SLICE": 2,
    "SPACE_TO_DEPTH": 2,
    "SQUEEZE": 1,
    "STRIDED_SLICE": 2,
    "TRANSPOSE": 2,
}
_BOUNDS = {
    "RELU": (0.0, math.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
_LIMITS = {"int8": (-128, 127), "uint8": (0, 255)}


class MoveStoredNumbers(FlatbufferRewrite):
    """Move stored numbers instead of real ones.

    Given:
        y = QUANTIZE(DEPTH_TO_SPACE(DEQUANTIZE(x)))    # or other ops that only move numbers

    Result:
        y = QUANTIZE(DEPTH_TO_SPACE(x))    # no QUANTIZE where x and y have one scale
    """

    name = "move_stored_numbers"
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a quantization of what was dequantized and moved for it alone."""
        target = node.outputs[0]
        if node.op != "QUANTIZE" or target.dtype not in _LIMITS:
            return None
        moves, widening = _moves_before(model, node)
        if not moves or widening is None or widening.op != "DEQUANTIZE":
            return None
        source = widening.given()[0]
        if source.constant or source.dtype != target.dtype or source.channels > 1:
            return None
        clamping = next((m for m in moves if m.option("fusedActivationFunction", 0)), None)
        if clamping is not None:
            return RefusedOp(node.tensor, f"{clamping.op} clamps, too")
        # Someone else needs the real numbers: they would be moved twice.
        if any(count_readers(model, move.outputs[0].index) > 1 for move in moves):
            return RefusedOp(node.tensor, "another op reads the moved tensor too")
        same = (source.scale, source.zero_point) == (target.scale, target.zero_point)
        reason = "the stored numbers move" + ("" if same else " and are requantized")
        return Match(reason, (source, moves, same), exact=same, sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the ops on the stored numbers, and a requantization where one is left to do."""
        source, moves, same = match.details
        built = Replacement(model, node)
        moved = source.index
        for move in moves:
            others = indices(model.subgraphs[0].operators[move.index].inputs)[1:]
            last = same and move is moves[-1]
            output = None if last else built.tensor(move.outputs[0].shape, source)
            version = max(move.version, _MOVES[move.op])
            built.op(Op(move.op, version, move.options), [moved, *others], output)
            moved = output
        if not same:
            built.op(QUANTIZE, [moved])
        built.finish()


class ClampBeforeQuantize(FlatbufferRewrite):
    """Let saturation clamp.

    Given:
        y = QUANTIZE(RELU6(x))    # y's numbers reach no further than the clamp

    Result:
        y = QUANTIZE(x)
    """

    name = "clamp_before_quantize"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a quantization of what was clamped, where the stored type ends within."""
        if node.op != "QUANTIZE" or node.outputs[0].dtype not in _LIMITS:
            return None
        clamp = producer_of(model, node.given()[0].index)
        if clamp is None or clamp.op not in _BOUNDS:
            return None
        source = clamp.given()[0]
        if source.dtype != "float32":
            return None
        if not _ends_within(node.outputs[0], *_BOUNDS[clamp.op]):
            return RefusedOp(node.tensor, f"its numbers reach further than {clamp.op}")
        return Match("saturation cuts where the clamp does", source, sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Quantize what came before the clamp."""
        source: Operand = match.details
        built = Replacement(model, node)
        built.op(Op("QUANTIZE", node.version, node.options), [source.index])
        built.finish()


def _moves_before(model: schema.ModelT, node: Node) -> tuple[list[Node], Node | None]:
    """List the ops in front of one that only move numbers, first to last, and what is in front."""
    moves: list[Node] = []
    producer = producer_of(model, node.given()[0].index)
    while producer is not None and producer.op in _MOVES and producer.given():
        moves.insert(0, producer)
        producer = producer_of(model, producer.given()[0].index)
    return moves, producer


def _ends_within(target: Operand, low: float, high: float) -> bool:
    """Tell whether the least and the largest stored number mean no more than half a step beyond.

    What a clamp would have cut rounds to the same number then.
    """
    least, most = _LIMITS[target.dtype]
    first = (least - target.zero_point) * target.scale
    last = (most - target.zero_point) * target.scale
    return first >= low - 0.5 * target.scale and last <= high + 0.5 * target.scale
