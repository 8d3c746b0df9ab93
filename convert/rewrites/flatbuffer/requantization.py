"""QUANTIZE between integer ops → nothing: one scale for who writes and who reads."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.moves import Chain, chain_before, repeat_chain
from portrait_tflite.convert.rewrites.flatbuffer.place import (
    computed_inputs,
    is_output,
    readers_of,
)
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS, form_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

# Ops that round to whatever scale their output has, and take inputs of any.
ANY_SCALE = frozenset(
    {"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "LEAKY_RELU", "MUL", "QUANTIZE"}
    | {"SUB", "TRANSPOSE_CONV"}
)
ANY_SCALE_READERS = ANY_SCALE | {"DEQUANTIZE", "LOGISTIC", "TANH"}
_COARSEST = 2.01  # half of such a step is one of the output's; a hair for scales that are rounded


class FuseRequantize(FlatbufferRewrite):
    """Let the producer write the scale that is read.

    Given:
        y = QUANTIZE(CONV_2D(x))      # int8; or another op; nobody else reads between the two
        y = QUANTIZE(DEPTH_TO_SPACE(CONV_2D(x)))    # or another move of numbers

    Result:
        y = CONV_2D(x)                # of y's scale and zero point
        y = DEPTH_TO_SPACE(CONV_2D(x))

    One rounding less, so that y moves by one step at most. A QUANTIZE that is a RELU stays one:
    y's own saturation cuts. What the first op alone cuts off must be beyond what y holds.
    """

    name = "fuse_requantize"
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a requantization whose producer may round to another scale."""
        if not is_requantization(node):
            return None
        source, target = node.given()[0], node.outputs[0]
        chain = chain_before(model, source.index)
        if chain is None or chain.producer.op not in ANY_SCALE:
            return None
        written = chain.producer.outputs[0]
        # A move that requantizes by itself, which the built-in kernels allow some.
        if any(form_of(move.outputs[0]) != form_of(written) for move in chain.moves):
            return None
        if written.dtype != target.dtype:
            return None
        if not _covers(source, target):
            # Two in a row clamp at both ends: that is what they are for.
            if chain.producer.op == "QUANTIZE":
                return None
            return RefusedOp(node.tensor, "its input cuts off what its output could hold")
        # One step of the producer is several of the output: more would move.
        if source.scale > _COARSEST * target.scale:
            return RefusedOp(node.tensor, "the producer's step is more than two of the output's")
        sources = tuple(dict.fromkeys(computed_inputs(model, chain.producer)))
        return Match("one rounding less", chain, exact=False, sources=sources)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the producer and the moves, with tensors of the output's scale."""
        chain: Chain = match.details
        first = chain.producer
        built = Replacement(model, node)
        producer = Op(first.op, first.version, first.options)
        repeat_chain(built, model, chain, producer, node.outputs[0])
        built.finish()


class DropRequantize(FlatbufferRewrite):
    """Let the readers take the scale that is written.

    Given:
        y = QUANTIZE(x)    # int8, of one zero point; the scales differ by 1 in 510 at most

    Result:
        y = x              # the same integers, which stand for half a step more or less
    """

    name = "drop_requantize"
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a requantization that leaves every integer as it is."""
        if not is_requantization(node):
            return None
        source, target = node.given()[0], node.outputs[0]
        if source.zero_point != target.zero_point or is_output(model, target.index):
            return None
        if 2 * _reach(source) * abs(source.scale - target.scale) > target.scale:
            return None
        # Others want one scale on both sides.
        if any(reader.op not in ANY_SCALE_READERS for reader in readers_of(model, target.index)):
            return RefusedOp(node.tensor, "a reader wants this very scale")
        return Match(
            "the scales differ by less than half a step over all integers",
            exact=False,
            bypass=source.index,
            sources=(source.index,),
        )

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Never called: there is always a tensor that passes."""
        raise AssertionError(node.tensor)


def is_requantization(node: Node) -> bool:
    """Tell whether an op is a QUANTIZE from one scale of an integer type to another of it."""
    if node.op != "QUANTIZE" or len(node.given()) != 1:
        return False
    source, target = node.given()[0], node.outputs[0]
    scaled = source.scale > 0 and target.scale > 0
    return scaled and source.dtype == target.dtype and source.dtype in LIMITS


def _covers(source: Operand, target: Operand) -> bool:
    """Tell whether a tensor holds all that another one does, but for one step at either end."""
    (low, high), (least, most) = _ends(source), _ends(target)
    return low - target.scale <= least and most <= high + target.scale


def _ends(operand: Operand) -> tuple[float, float]:
    low, high = LIMITS[operand.dtype]
    return (low - operand.zero_point) * operand.scale, (high - operand.zero_point) * operand.scale


def _reach(operand: Operand) -> int:
    low, high = LIMITS[operand.dtype]
    return max(high - operand.zero_point, operand.zero_point - low)
