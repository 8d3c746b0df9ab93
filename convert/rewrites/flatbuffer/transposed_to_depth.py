"""TRANSPOSE_CONV → CONV_2D + DEPTH_TO_SPACE: all positions of a pixel are computed at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import held_values
from portrait_tflite.convert.rewrites.flatbuffer.joint_phases import JointPhases
from portrait_tflite.convert.rewrites.flatbuffer.paddings import SAME
from portrait_tflite.convert.rewrites.flatbuffer.repeated import repeated_bias, repeated_scales
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.phases import Axis, transposed_axis

_WEIGHTS, _SOURCE, _BIAS = 1, 2, 3  # places among the inputs; the first is the output's shape
_DTYPES = ("float32", "int8")


@dataclass(frozen=True)
class _Phases:
    """The convolution at the low resolution, and the bias that there is."""

    joint: JointPhases
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
        if held_values(model, weights) is None or weights.dtype not in _DTYPES:
            return RefusedOp(node.tensor, "its weights are no constants of float32 or int8")
        if source.dtype != weights.dtype:
            return RefusedOp(node.tensor, f"its numbers are {source.dtype}, its weights are not")
        if bias is not None and held_values(model, bias) is None:
            return RefusedOp(node.tensor, "its bias is known at run time only")
        if not (source.sized and node.outputs[0].sized):
            return RefusedOp(node.tensor, "its size is known at run time only")
        stride = int(node.option("strideH", 1))
        if stride != int(node.option("strideW", 1)):
            return RefusedOp(node.tensor, "DEPTH_TO_SPACE is square, its strides are not")
        rows, columns = (_axis(node, axis, stride) for axis in (1, 2))
        joint = JointPhases(rows, columns, stride)
        if not joint.fits:
            return RefusedOp(node.tensor, "its output is no multiple of its stride")
        return Match(
            f"{weights.shape[1]}×{weights.shape[2]}, stride {stride}",
            _Phases(joint, bias),
            exact=False,  # the built-in kernels round ties differently
            sources=(source.index,),
        )

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution and the rearrangement."""
        phases: _Phases = match.details
        built = Replacement(model, node)
        stored = _read(node, _WEIGHTS)
        kernel = held_values(model, stored)
        assert kernel is not None
        scales = repeated_scales(model, stored, phases.joint.stride**2)
        weights = built.constant_like(phases.joint.weights(kernel), stored, scales)
        values, scales = _bias(model, node, phases)
        bias = built.constant_like(values, phases.bias or stored, scales)
        phases.joint.put(built, node, _read(node, _SOURCE), weights, bias)
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


def _bias(model: schema.ModelT, node: Node, phases: _Phases) -> tuple[NDArray[Any], list[float]]:
    """Return the bias of every phase, and the scales; zeros where there is none."""
    if phases.bias is not None:
        return repeated_bias(model, phases.bias, phases.joint.stride**2)
    count = node.outputs[0].shape[3] * phases.joint.stride**2
    step = _read(node, _SOURCE).scale
    weights = _read(node, _WEIGHTS)
    scales = [step * scale for scale in repeated_scales(model, weights, phases.joint.stride**2)]
    return np.zeros(count, np.int32 if scales else np.float32), scales
