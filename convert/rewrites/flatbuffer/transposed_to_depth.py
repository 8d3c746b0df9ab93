"""TRANSPOSE_CONV → CONV_2D + DEPTH_TO_SPACE: all positions of a pixel are computed at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.paddings import SAME, VALID
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op
from portrait_tflite.convert.rewrites.phases import Axis, phase_kernel, transposed_axis

_WEIGHTS, _SOURCE, _BIAS = 1, 2, 3  # places among the inputs; the first is the output's shape
_VERSIONS = {"float32": 1, "int8": 3}  # of CONV_2D


@dataclass(frozen=True)
class _Phases:
    """Where the convolution at the low resolution reads, and how far its outputs are spread."""

    rows: Axis
    columns: Axis
    stride: int
    bias: Operand | None


class TransposedToDepth(FlatbufferRewrite):
    """Compute a transposed convolution at the low resolution.

    Given:
        y = TRANSPOSE_CONV(shape, w, x, bias)    # constants; strides s×s

    Result:
        y = DEPTH_TO_SPACE(CONV_2D(PAD(x), w', bias s² times), s)    # w': [s²·out, …]

    The PAD only where SAME padding is another one, DEPTH_TO_SPACE only where s > 1. Integers stay
    as they are: what w' has more are zeros. In a float file that is to become int8, every phase
    gets a scale of its own. Where the kernel is larger than the stride, the zeros are multiplied,
    too; the cost decides.
    """

    name = "transposed_to_depth"
    helps_gpu = False  # which has the op
    within_one_step = True
    before_int8 = True  # one channel's phases have one scale else
    keras_name = "transposed_convolution"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match one whose weights and bias are in the file."""
        if node.op != "TRANSPOSE_CONV":
            return None
        bias = node.inputs[_BIAS] if len(node.inputs) > _BIAS else None
        weights, source = _read(node, _WEIGHTS), _read(node, _SOURCE)
        if weights.data is None or weights.dtype not in _VERSIONS:
            return RefusedOp(node.tensor, "its weights are no constants of float32 or int8")
        if source.dtype != weights.dtype:
            return RefusedOp(node.tensor, f"its numbers are {source.dtype}, its weights are not")
        if bias is not None and bias.data is None:
            return RefusedOp(node.tensor, "its bias is known at run time only")
        if -1 in (*source.shape, *node.outputs[0].shape):
            return RefusedOp(node.tensor, "its size is known at run time only")
        stride = int(node.option("strideH", 1))
        if stride != int(node.option("strideW", 1)):
            return RefusedOp(node.tensor, "DEPTH_TO_SPACE is square, its strides are not")
        rows, columns = (_axis(node, axis, stride) for axis in (1, 2))
        if not all(axis.length == axis.cells * stride for axis in (rows, columns)):
            return RefusedOp(node.tensor, "its output is no multiple of its stride")
        return Match(
            f"{weights.shape[1]}×{weights.shape[2]}, stride {stride}",
            _Phases(rows, columns, stride, bias),
            exact=False,  # the built-in kernels round ties differently
            sources=(source.index,),
        )

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution and the rearrangement."""
        phases: _Phases = match.details
        built = Replacement(model, node)
        constants = [
            built.constant(*_kernel(model, node, phases)),
            built.constant(*_repeated_bias(model, node, phases)),
        ]
        source, padding = _padded(built, node, phases)
        options = schema.Conv2DOptionsT(
            padding=padding,
            strideH=1,
            strideW=1,
            dilationHFactor=phases.rows.dilation,
            dilationWFactor=phases.columns.dilation,
            fusedActivationFunction=int(node.option("fusedActivationFunction", 0)),
        )
        convolution = Op("CONV_2D", _VERSIONS[_read(node, _WEIGHTS).dtype], options)
        if phases.stride == 1:
            built.op(convolution, [source, *constants])
        else:
            target = node.outputs[0]
            shape = (target.shape[0], phases.rows.cells, phases.columns.cells)
            deep = built.tensor((*shape, target.shape[3] * phases.stride**2), target)
            built.op(convolution, [source, *constants], deep)
            spread = schema.DepthToSpaceOptionsT(blockSize=phases.stride)
            built.op(Op("DEPTH_TO_SPACE", 1, spread), [deep])
        built.finish()


def _read(node: Node, place: int) -> Operand:
    operand = node.inputs[place]
    assert operand is not None
    return operand


def _axis(node: Node, axis: int, stride: int) -> Axis:
    padding = "same" if int(node.option("padding")) == SAME else "valid"
    weights, source = _read(node, _WEIGHTS), _read(node, _SOURCE)
    length = node.outputs[0].shape[axis]
    return transposed_axis(source.shape[axis], weights.shape[axis], stride, padding, length)


def _kernel(model: schema.ModelT, node: Node, phases: _Phases) -> tuple[NDArray[Any], list[float]]:
    """Return the weights `[s²·out, h, w, in]` and their scales; none in float."""
    weights = _read(node, _WEIGHTS)
    stored = stored_values(weights).reshape(weights.shape).transpose(1, 2, 3, 0)
    kernel = phase_kernel(stored, phases.rows, phases.columns).transpose(3, 0, 1, 2)
    return kernel.astype(weights.dtype), _scales(model, weights, phases)


def _repeated_bias(
    model: schema.ModelT, node: Node, phases: _Phases
) -> tuple[NDArray[Any], list[float]]:
    """Return the bias of every phase, and the scales; zeros where there is none."""
    if phases.bias is not None:
        stored = np.tile(stored_values(phases.bias), phases.stride**2)
        return stored, _scales(model, phases.bias, phases)
    count = node.outputs[0].shape[3] * phases.stride**2
    step = _read(node, _SOURCE).scale
    scales = [step * scale for scale in _scales(model, _read(node, _WEIGHTS), phases)]
    return np.zeros(count, np.int32 if scales else np.float32), scales


def _scales(model: schema.ModelT, operand: Operand, phases: _Phases) -> list[float]:
    """Return the scales of each phase's channels; one where they have one in common."""
    if not operand.scale:
        return []
    found = [float(s) for s in model.subgraphs[0].tensors[operand.index].quantization.scale]
    return found if len(found) == 1 else found * phases.stride**2


def _padded(built: Replacement, node: Node, phases: _Phases) -> tuple[int, int]:
    """Return what the convolution reads, and how it pads by itself."""
    source = _read(node, _SOURCE)
    axes = (phases.rows, phases.columns)
    if all(axis.pads_like_same for axis in axes):
        return source.index, SAME
    amounts = np.array([(0, 0), *(axis.padding for axis in axes), (0, 0)], np.int32)
    rows, columns = (
        size + sum(axis.padding) for size, axis in zip(source.shape[1:3], axes, strict=True)
    )
    padded = built.tensor((source.shape[0], rows, columns, source.shape[3]), source)
    pad = Op("PAD", 2 if source.scale else 1, schema.PadOptionsT())
    built.op(pad, [source.index, built.constant(amounts)], padded)
    return padded, VALID
