"""A move whose output has another scale than its input → the same bytes, in one scale.

The built-in kernels move the integers as they are and never look at the scales; old converters
(TOCO) wrote such files. XNNPACK takes the op, fails to build it, and the runtime gives up on the
whole file.
"""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.xnnpack_ops import BIAS, FILTER, ONE_SCALE
from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.place import (
    computed_inputs,
    count_readers,
    producer_of,
)
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS, form_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rescaled_constants import same_integers
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

# Not SPLIT: its parts are several outputs, each with a scale of its own.
_MOVES = ONE_SCALE - {"SPLIT"}
_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_CLAMPS_AT_ZERO = frozenset({0, 1})  # no activation and RELU: no scale is in them


class ScaleIntoWeights(FlatbufferRewrite):
    """Let the convolution before a move write the scale that the move's output has.

    Given:
        y = RESIZE_BILINEAR(CONV_2D(x, w))     # or another move; nobody else reads between the two

    Result:
        y = RESIZE_BILINEAR(CONV_2D(x, w'))    # w' are the same integers at another scale

    y's integers are the same ones: weights, bias and output are scaled by one number. Only where
    that number rounds in single precision may one at a tie move by a step.
    """

    name = "scale_into_weights"
    within_one_step = True
    helps_gpu = False  # in float there are no scales

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a move that changes the scale alone, behind a convolution that is read by it."""
        if not _changes_form(node):
            return None
        source, target = _source(node), node.outputs[0]
        producer = producer_of(model, source.index)
        # `ReadAnew` takes what has no weights, or another zero point.
        if producer is None or producer.op not in _WEIGHTED:
            return None
        if source.zero_point != target.zero_point or count_readers(model, source.index) != 1:
            return None
        if producer.option("fusedActivationFunction", 0) not in _CLAMPS_AT_ZERO:
            return None
        constants = producer.inputs[FILTER[producer.op] :]
        if not all(operand is None or operand.constant for operand in constants):
            return None
        reason = "the same integers; weights, bias and output are scaled by one number"
        sources = tuple(dict.fromkeys(computed_inputs(model, producer)))
        return Match(reason, producer, exact=False, sources=sources)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution with its constants at the other scale, and the move behind it."""
        producer: Node = match.details
        ratio = node.outputs[0].scale / _source(node).scale
        built = Replacement(model, node)
        operator = model.subgraphs[0].operators[producer.index]
        inputs = indices(operator.inputs)
        for position in (FILTER[producer.op], BIAS[producer.op]):
            if position < len(inputs) and inputs[position] >= 0:
                inputs[position] = same_integers(model, built, inputs[position], ratio)
        middle = built.tensor(producer.outputs[0].shape, node.outputs[0])
        built.op(Op(producer.op, producer.version, producer.options), inputs, middle)
        _repeat(model, built, node, middle)
        built.finish()


class ReadAnew(FlatbufferRewrite):
    """Move in the input's scale, and read the integers in the other one behind it.

    Given:
        y = RESIZE_BILINEAR(x)             # or another move; y has another scale or zero point

    Result:
        y = RESHAPE(RESIZE_BILINEAR(x))    # to y's own shape: the built-in kernel copies

    XNNPACK leaves this RESHAPE to the built-in kernels: one op outside, but the file loads.
    """

    name = "read_anew"
    helps_gpu = False

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a move that changes the scale or the zero point."""
        if not _changes_form(node):
            return None
        # Its zeros are the output's.
        if node.op == "PAD" and _source(node).zero_point != node.outputs[0].zero_point:
            return RefusedOp(node.tensor, "it pads with another zero than its input's")
        # It clamps in the output's scale.
        if node.option("fusedActivationFunction", 0):
            return RefusedOp(node.tensor, "its activation is in the output's scale")
        return Match("the built-in kernels move the integers as they are")

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the move in one scale, and a RESHAPE that changes it."""
        built = Replacement(model, node)
        middle = built.tensor(node.outputs[0].shape, _source(node))
        _repeat(model, built, node, _source(node).index, middle)
        built.reshape(middle, node.outputs[0].shape)
        built.finish()


def _changes_form(node: Node) -> bool:
    if node.op not in _MOVES or len(node.outputs) != 1:
        return False
    source, target = _source(node), node.outputs[0]
    scaled = source.scale > 0 and target.scale > 0 and -1 not in target.shape
    integers = source.dtype == target.dtype and source.dtype in LIMITS
    return scaled and integers and form_of(source) != form_of(target)


def _source(node: Node) -> Operand:
    return node.given()[0]


def _repeat(
    model: schema.ModelT, built: Replacement, node: Node, source: int, target: int | None = None
) -> None:
    inputs = indices(model.subgraphs[0].operators[node.index].inputs)
    built.op(Op(node.op, node.version, node.options), [source, *inputs[1:]], target)
