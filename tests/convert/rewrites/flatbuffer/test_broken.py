"""Every rewrite with a fault in it: the judge must catch each."""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import op_code_index
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.add_in_range import AddInRange
from portrait_tflite.convert.rewrites.flatbuffer.as_reshape import (
    AsReshape,
    PackToConcatenation,
    SliceThenReshape,
    TileToConcatenation,
)
from portrait_tflite.convert.rewrites.flatbuffer.average_pool import AveragePool
from portrait_tflite.convert.rewrites.flatbuffer.borders import ConstantBorder
from portrait_tflite.convert.rewrites.flatbuffer.cancel import Cancel, MergePair
from portrait_tflite.convert.rewrites.flatbuffer.channel_line import (
    ChannelLine,
    MergeChannelLine,
)
from portrait_tflite.convert.rewrites.flatbuffer.concatenation import ConcatenateOneScale
from portrait_tflite.convert.rewrites.flatbuffer.fuse_clamp import FuseClamp
from portrait_tflite.convert.rewrites.flatbuffer.maximum_as_pooling import MaximumAsPooling
from portrait_tflite.convert.rewrites.flatbuffer.merge_pad import MergePad
from portrait_tflite.convert.rewrites.flatbuffer.minmax_to_quantize import MinmaxToQuantize
from portrait_tflite.convert.rewrites.flatbuffer.nearest_chain import NearestChain
from portrait_tflite.convert.rewrites.flatbuffer.nearest_to_copies import NearestToCopies
from portrait_tflite.convert.rewrites.flatbuffer.place import producer_of
from portrait_tflite.convert.rewrites.flatbuffer.pointwise_before_nearest import (
    PointwiseBeforeNearest,
)
from portrait_tflite.convert.rewrites.flatbuffer.relu_to_quantize import ReluToQuantize
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite, Match
from portrait_tflite.convert.rewrites.flatbuffer.scalar_factor import ScalarFactor
from portrait_tflite.convert.rewrites.flatbuffer.softmax_to_logistic import SoftmaxToLogistic
from portrait_tflite.convert.rewrites.flatbuffer.subsampling import Subsampling
from portrait_tflite.convert.rewrites.flatbuffer.through_float import ThroughFloat
from portrait_tflite.convert.rewrites.flatbuffer.to_leaky_relu import ToLeakyRelu
from portrait_tflite.convert.rewrites.flatbuffer.transpose_of_fewer import TransposeOfFewer

Build = Callable[..., Any]
Tamper = Callable[[Any, int], None]
SHAPE = (1, 16, 16, 4)
X = (SHAPE, "int8", 0.05, 3)


class _Tampered(FlatbufferRewrite):
    """A rewrite whose result is spoilt; `tamper` gets the model and its first new tensor."""

    def __init__(self, inner: FlatbufferRewrite, tamper: Tamper) -> None:
        self.name = "tampered"
        self.observes = inner.observes
        self._inner, self._tamper = inner, tamper

    def match(self, model: Any, node: Node) -> Any:
        return self._inner.match(model, node)

    def change(self, model: Any, node: Node, match: Match) -> None:
        first = len(model.subgraphs[0].tensors)
        self._inner.change(model, node, match)
        self._tamper(model, first)


def _wrong_zero_point(model: Any, first: int) -> None:
    new = [t for t in model.subgraphs[0].tensors[first:] if not t.buffer and t.quantization]
    new[0].quantization.zeroPoint = new[0].quantization.zeroPoint - 5


def _wrong_scale(model: Any, first: int) -> None:
    new = [t for t in model.subgraphs[0].tensors[first:] if t.quantization is not None]
    new[0].quantization.scale = new[0].quantization.scale * np.float32(1.1)


def _other_weights(model: Any, first: int) -> None:
    """Turn the sign of the first new integer constant with a scale."""
    graph = model.subgraphs[0]
    new = [t for t in graph.tensors[first:] if t.buffer and t.type == schema.TensorType.INT8]
    old = np.asarray(model.buffers[new[0].buffer].data, np.uint8).view(np.int8)
    model.buffers.append(schema.BufferT(data=(-old).view(np.uint8)))
    new[0].buffer = len(model.buffers) - 1


def _other_slopes(model: Any, first: int) -> None:
    """Double the first new constant, which is of float numbers."""
    new = [t for t in model.subgraphs[0].tensors[first:] if t.buffer]
    old = np.asarray(model.buffers[new[0].buffer].data, np.uint8).view(np.float32)
    model.buffers.append(schema.BufferT(data=(2 * old).view(np.uint8)))
    new[0].buffer = len(model.buffers) - 1


def _dropped_bias(model: Any, first: int) -> None:
    graph = model.subgraphs[0]
    new = [t for t in graph.tensors[first:] if t.buffer and t.type == schema.TensorType.INT32]
    size = len(model.buffers[new[-1].buffer].data)
    model.buffers.append(schema.BufferT(data=np.zeros(size, np.uint8)))
    new[-1].buffer = len(model.buffers) - 1


def _swapped_inputs(model: Any, first: int) -> None:
    last = model.subgraphs[0].operators[-1]
    last.inputs = last.inputs[::-1].copy()


def _other_option(name: str, value: Any) -> Tamper:
    def tamper(model: Any, first: int) -> None:
        last = model.subgraphs[0].operators[-1]
        last.builtinOptions = copy.copy(last.builtinOptions)
        setattr(last.builtinOptions, name, value)

    return tamper


def _other_op(name: str) -> Tamper:
    def tamper(model: Any, first: int) -> None:
        last = model.subgraphs[0].operators[-1]
        last.opcodeIndex = op_code_index(model, name, 2)

    return tamper


def _new_constant(model: Any, first: int, edit: Callable[[Any], Any]) -> None:
    new = [t for t in model.subgraphs[0].tensors[first:] if t.buffer]
    old = np.asarray(model.buffers[new[0].buffer].data, np.uint8).view(np.int32)
    model.buffers.append(schema.BufferT(data=edit(old.copy()).astype(np.int32).view(np.uint8)))
    new[0].buffer = len(model.buffers) - 1


def _other_shape(model: Any, first: int) -> None:
    _new_constant(model, first, lambda sizes: sizes[[0, 2, 1]] * [1, 2, 1] // [1, 1, 2])


def _other_channel(model: Any, first: int) -> None:
    _new_constant(model, first, lambda begin: begin - [0, 0, 0, 1])


def _add(graph: Any) -> bytes:
    a, total = (graph.tensor(name, *X) for name in ("a", "net/add/op"))
    y = graph.tensor("net/act/op", *X)
    graph.op("ADD", [a, a], total, 2, schema.AddOptionsT())
    graph.op("RELU", [total], y, 2)
    return bytes(graph.build([a], [y]))


def _line(graph: Any) -> bytes:
    x = graph.tensor("x", SHAPE, "int8", 0.01, 3)
    m = graph.tensor("m", (4,), "int8", 0.01, 0, data=[20, 90, -60, 127])
    t = graph.tensor("t", (4,), "int8", 0.01, 0, data=[-90, 60, 30, 100])
    product = graph.tensor("net/norm/mul", SHAPE, "int8", 0.04, 0)
    y = graph.tensor("net/norm/add", SHAPE, "int8", 0.045, 0)
    graph.op("MUL", [x, m], product, 2, schema.MulOptionsT())
    graph.op("ADD", [product, t], y, 2, schema.AddOptionsT())
    return bytes(graph.build([x], [y]))


def _pack(graph: Any) -> bytes:
    parts = [graph.tensor(f"x{n}", SHAPE, "int8", 0.05, 3) for n in (0, 1)]
    y = graph.tensor("net/pack/op", (2, *SHAPE), "int8", 0.05, 3)
    graph.op("PACK", parts, y, 2, schema.PackOptionsT(valuesCount=2, axis=0))
    return bytes(graph.build(parts, [y]))


def _larger(graph: Any) -> bytes:
    inputs = [graph.tensor(f"x{n}", *X) for n in (0, 1)]
    y = graph.tensor("net/larger/op", *X)
    graph.op("MAXIMUM", inputs, y, 2, schema.MaximumMinimumOptionsT())
    return bytes(graph.build(inputs, [y]))


def _one_twice(model: Any, first: int) -> None:
    """Join the first tensor with itself."""
    operators = model.subgraphs[0].operators
    join = next(one for one in operators if len(one.inputs) == 2 and one.builtinOptionsType == 10)
    join.inputs = join.inputs[[0, 0]].copy()


def _refused_sum(graph: Any) -> bytes:
    a, y = (graph.tensor(name, *X) for name in ("a", "net/sum/op"))
    b = graph.tensor("b", SHAPE, "int8", 0.05 * 2.0**-11, 3)
    graph.op("SUB", [a, b], y, 2, schema.SubOptionsT())
    return bytes(graph.build([a, b], [y]))


def _pair(graph: Any) -> bytes:
    x, y = (graph.tensor(f"net/{n}/op", SHAPE, "int8", 0.05, 3) for n in "xy")
    middle = graph.tensor("middle", SHAPE, "float32")
    graph.op("DEQUANTIZE", [x], middle, 2)
    graph.op("QUANTIZE", [middle], y, 2)
    return bytes(graph.build([x], [y]))


def _chain_of_keras(graph: Any) -> bytes:
    """Build nearest upsampling by 3 with even corners, at rank 5."""
    shapes = [(1, 4, 1, 4, 4), (1, 4, 3, 4, 4), (1, 12, 4, 1, 4), (1, 12, 4, 3, 4), (1, 12, 12, 4)]
    multiples = {1: (1, 1, 3, 1, 1), 3: (1, 1, 1, 3, 1)}
    first = value = graph.tensor("x", (1, 4, 4, 4), "int8", 0.05, 3)
    for number, shape in enumerate(shapes):
        target = graph.tensor(f"net/up/{number}", shape, "int8", 0.05, 3)
        numbers = multiples.get(number, shape)
        inputs = [value, graph.tensor(f"c{number}", (len(numbers),), "int32", data=numbers)]
        if number in multiples:
            graph.op("TILE", inputs, target, 3)
        else:
            options = schema.ReshapeOptionsT(newShape=np.array(shape))
            graph.op("RESHAPE", inputs, target, 1, options)
        value = target
    return bytes(graph.build([first], [value]))


def _resized_clamp(graph: Any) -> bytes:
    x = graph.tensor("x", SHAPE, "int8", 0.05, 3)
    large, y = (graph.tensor(f"net/{n}/op", (1, 32, 32, 4), "int8", 0.05, 3) for n in ("up", "y"))
    size = graph.tensor("size", (2,), "int32", data=[32, 32])
    graph.op("RESIZE_NEAREST_NEIGHBOR", [x, size], large, 2, schema.ResizeNearestNeighborOptionsT())
    graph.op("RELU", [large], y, 2)
    return bytes(graph.build([x], [y]))


def _shuffled(graph: Any) -> bytes:
    """Two groups of channels change places, at rank 5."""
    spread = (1, 16, 16, 2, 2)
    x, y = (graph.tensor(f"net/{n}/op", SHAPE, "float32") for n in "xy")
    wide, moved = (graph.tensor(f"net/{n}", spread, "float32") for n in ("wide", "moved"))
    order = graph.tensor("order", (5,), "int32", data=[0, 1, 2, 4, 3])
    for source, target, shape in ((x, wide, spread), (moved, y, SHAPE)):
        sizes = graph.tensor("sizes", (len(shape),), "int32", data=shape)
        options = schema.ReshapeOptionsT(newShape=np.array(shape))
        graph.op("RESHAPE", [source, sizes], target, 1, options)
        if target == wide:
            graph.op("TRANSPOSE", [wide, order], moved, 1, schema.TransposeOptionsT())
    return bytes(graph.build([x], [y]))


def _transposed_back(model: Any, first: int) -> None:
    """Leave the numbers where they are: [0, 1, 3, 2] sorted."""
    for tensor in model.subgraphs[0].tensors[first:]:
        data = model.buffers[tensor.buffer].data
        if data is not None and sorted(numbers := data.view(np.int32).tolist()) == [0, 1, 2, 3]:
            assert numbers != sorted(numbers)
            model.buffers[tensor.buffer] = schema.BufferT(
                data=np.arange(4, dtype=np.int32).view(np.uint8)
            )


def _joined(graph: Any) -> bytes:
    forms = [(0.02, 3), (0.03, 9)]
    inputs = [graph.tensor(f"x{n}", SHAPE, "uint8", *form) for n, form in enumerate(forms)]
    y = graph.tensor("net/join/op", (*SHAPE[:3], 8), "uint8", 0.03, 9)
    graph.op("CONCATENATION", inputs, y, 1, schema.ConcatenationOptionsT(axis=3))
    return bytes(graph.build(inputs, [y]))


def _slice_of_channel(channel: int) -> list[Any]:
    lists = ([0, 0, 0, channel], [1, 16, 16, channel + 1], [1, 1, 1, 1])
    return [((4,), "int32", None, 0, numbers) for numbers in lists]


def _graph_case(build: Any, rewrite: Any, tamper: Tamper) -> Any:
    return pytest.param(lambda graph, _: build(graph), rewrite, tamper, id=rewrite.name)


def _op_case(arguments: Any, options: Any, rewrite: Any, tamper: Tamper, version: int = 2) -> Any:
    def build(graph: Any, one_op: Any) -> Any:
        return one_op(*arguments, version=version, options=options)

    return pytest.param(build, rewrite, tamper, id=rewrite.name)


POOL = schema.Pool2DOptionsT(padding=1, strideW=2, strideH=2, filterWidth=2, filterHeight=2)
PIXELS = schema.Pool2DOptionsT(padding=1, strideW=2, strideH=2, filterWidth=1, filterHeight=1)
PAIR = (1, 16, 16, 2)

CASES = [
    _op_case(("RELU", X, (SHAPE, "int8", 0.05, -60)), None, ReluToQuantize(), _wrong_zero_point),
    _op_case(
        ("MAXIMUM", X, X, ((1,), "int8", 0.05, 3, [-9])), schema.MaximumMinimumOptionsT(),
        MinmaxToQuantize(), _wrong_zero_point,
    ),
    _graph_case(_add, FuseClamp(), _other_option("fusedActivationFunction", 3)),
    _graph_case(_pack, PackToConcatenation(), _swapped_inputs),
    _op_case(
        ("SOFTMAX", (PAIR, "int8", 0.1, 3), (PAIR, "int8", 1 / 256, -128)),
        schema.SoftmaxOptionsT(beta=1.0), SoftmaxToLogistic(), _other_weights,
    ),
    _op_case(
        ("AVERAGE_POOL_2D", X, ((1, 8, 8, 4), "int8", 0.05, 3)), POOL, AveragePool(), _wrong_scale
    ),
    _op_case(
        ("MAX_POOL_2D", X, ((1, 8, 8, 4), "int8", 0.05, 3)), PIXELS, Subsampling(), _wrong_scale
    ),
    _graph_case(_line, MergeChannelLine(), _dropped_bias),
    _op_case(
        ("DIV", X, X, ((4,), "int8", 0.02, 0, [50, 60, 70, 80])), schema.DivOptionsT(),
        ChannelLine(), _other_weights, 1,
    ),
    _op_case(
        ("DIV", X, X, ((1,), "int8", 0.02, 0, [50])), schema.DivOptionsT(), ScalarFactor(),
        _wrong_scale, 1,
    ),
    _op_case(("ABS", X, X), schema.AbsOptionsT(), ToLeakyRelu(), _other_option("alpha", -0.9)),
    _op_case(
        ("PRELU", X, X, ((1, 1, 4), "int8", 0.01, 0, [9, 20, 30, 40])), None, ThroughFloat(),
        _other_slopes, 1,
    ),
    _graph_case(_larger, MaximumAsPooling(), _one_twice),
    _graph_case(_refused_sum, AddInRange(), _swapped_inputs),
    _op_case(
        ("TILE", X, ((1, 32, 16, 4), "int8", 0.05, 3), ((4,), "int32", None, 0, [1, 2, 1, 1])),
        None, TileToConcatenation(), _other_option("axis", 2), 3,
    ),
    _op_case(
        ("SQUEEZE", ((1, 16, 16, 1), "int8", 0.05, 3), ((1, 16, 16), "int8", 0.05, 3)),
        schema.SqueezeOptionsT(squeezeDims=[3]), AsReshape(), _other_shape, 1,
    ),
    _op_case(
        ("STRIDED_SLICE", X, (SHAPE[:3], "int8", 0.05, 3), *_slice_of_channel(1)),
        schema.StridedSliceOptionsT(shrinkAxisMask=8), SliceThenReshape(), _other_channel, 2,
    ),
    _graph_case(_pair, MergePair(), _other_op("ABS")),
    _graph_case(_chain_of_keras, NearestChain(), _other_option("alignCorners", True)),
    _graph_case(_resized_clamp, PointwiseBeforeNearest(), _wrong_zero_point),
    _graph_case(_shuffled, TransposeOfFewer(), _transposed_back),
    _graph_case(_joined, ConcatenateOneScale(), _swapped_inputs),
    _op_case(
        ("PADV2", X, ((1, 18, 18, 4), "int8", 0.05, 3),
         ((4, 2), "int32", None, 0, [[0, 0], [1, 1], [1, 1], [0, 0]]),
         ((1,), "int8", 0.05, 3, [9])),
        schema.PadV2OptionsT(), ConstantBorder(), _other_weights,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("build", "rewrite", "tamper"), CASES)
def test_a_fault_is_caught(
    tiny_graph: Build, one_op: Build, build: Build, rewrite: Any, tamper: Tamper
) -> None:
    data = build(tiny_graph(), one_op)
    # Some are worth it in a larger network alone.
    whole = mend_model(data, rewrites=(rewrite,), naive_cost=lambda: inf)
    assert whole.records, "the whole rewrite must pass"
    result = mend_model(data, rewrites=(_Tampered(rewrite, tamper),))
    assert result.data is data
    assert result.records == ()
    assert [skipped.reason[:7] for skipped in result.skipped] == ["undone:"]


class _Careless(MergePad):
    """Merges every PAD, whatever SAME adds."""

    def match(self, model: Any, node: Node) -> Any:
        if node.op != "MAX_POOL_2D":
            return None
        pad = producer_of(model, node.given()[0].index)
        assert pad is not None
        source = pad.given()[0]
        return Match("so it seems", source, sources=(source.index,))


def test_a_wrong_pad_is_caught(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 8, 8, 4), "int8", 0.05, -128)
    # SAME adds a row and a column behind, this PAD before
    amounts = graph.tensor("p", (4, 2), "int32", data=[(0, 0), (1, 0), (1, 0), (0, 0)])
    wide = graph.tensor("net/pad/op", (1, 9, 9, 4), "int8", 0.05, -128)
    y = graph.tensor("net/pool/op", (1, 4, 4, 4), "int8", 0.05, -128)
    graph.op("PAD", [x, amounts], wide, 2, schema.PadOptionsT())
    options = schema.Pool2DOptionsT(padding=1, strideW=2, strideH=2, filterWidth=3, filterHeight=3)
    graph.op("MAX_POOL_2D", [wide], y, 2, options)
    result = mend_model(graph.build([x], [y]), rewrites=(_Careless(),))
    assert result.records == ()
    assert "not byte-equal" in result.skipped[0].reason


class _AnyCorners(NearestToCopies):
    """Repeats every pixel as often, where align_corners does not."""

    def match(self, model: Any, node: Node) -> Any:
        return Match("so it seems", (3, 3))


def test_uneven_copies_are_caught(one_op: Build) -> None:
    size = ((2,), "int32", None, 0, [48, 48])
    options = schema.ResizeNearestNeighborOptionsT(alignCorners=True)
    data = one_op(
        "RESIZE_NEAREST_NEIGHBOR", X, ((1, 48, 48, 4), "int8", 0.05, 3), size, options=options
    )
    result = mend_model(data, rewrites=(_AnyCorners(),))
    assert result.records == ()
    assert "not byte-equal" in result.skipped[0].reason


class _AnyOrder(Cancel):
    """Takes any two transposes for each other's inverse."""

    def match(self, model: Any, node: Node) -> Any:
        if node.op != "TRANSPOSE" or producer_of(model, node.given()[0].index) is None:
            return None
        before = producer_of(model, node.given()[0].index).given()[0]  # type: ignore[union-attr]
        return Match("so it seems", bypass=before.index, sources=(before.index,))


def test_transposes_that_do_not_cancel_are_caught(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x, y, z = (graph.tensor(f"net/{n}/op", (1, 3, 3, 3), "int8", 0.05, 3) for n in "xyz")
    end = graph.tensor("net/end/op", (1, 3, 3, 3), "int8", 1 / 128, 0)
    order = graph.tensor("o", (4,), "int32", data=[0, 2, 3, 1])
    graph.op("TRANSPOSE", [x, order], y, 2)
    graph.op("TRANSPOSE", [y, order], z, 2)
    graph.op("TANH", [z], end, 2)
    result = mend_model(graph.build([x], [end]), rewrites=(_AnyOrder(),))
    assert result.records == ()
    assert "not byte-equal" in result.skipped[0].reason


def test_a_fault_between_places_is_caught_by_the_whole_file(
    relu_net: Build,
) -> None:
    """The places are right, one reader of theirs is not."""

    class Elsewhere(ReluToQuantize):
        def change(self, model: Any, node: Node, match: Match) -> None:
            super().change(model, node, match)
            last = model.subgraphs[0].operators[-1]
            last.builtinOptions = copy.copy(last.builtinOptions)
            last.builtinOptions.fusedActivationFunction = 1

    data = relu_net()
    result = mend_model(data, rewrites=(Elsewhere(),))
    assert result.data is data
    assert {s.reason for s in result.skipped} == {
        "undone: the outputs are not byte-equal on the built-in kernels"
    }
