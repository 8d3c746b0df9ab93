"""SOFTMAX of two classes → LOGISTIC of their difference."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_LOGISTIC_SCALE = 1 / 256  # the only one that the kernels know


class SoftmaxToLogistic(FlatbufferRewrite):
    """Take the softmax of two classes as a sigmoid of their difference.

    Given:
        y = SOFTMAX(x)    # x: [..., 2]

    Result:
        d = CONV_2D(x; [[1, -1], [-1, 1]])    # x0 - x1 and x1 - x0, in x's own steps: exact
        y = LOGISTIC(d)

    A difference beyond int8 saturates, where the sigmoid has long done so. The two kernels round a
    probability differently, by at most one step. In float XNNPACK has both, and takes four times as
    long for the SOFTMAX; before int8 the difference gets a scale of its own.
    """

    name = "softmax_to_logistic"
    within_one_step = True
    helps_gpu = False  # which has the op
    before_int8 = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a softmax over two channels."""
        if node.op != "SOFTMAX":
            return None
        source, target = node.given()[0], node.outputs[0]
        real = source.dtype == "float32"
        if not source.sized or not (real or (source.dtype in LIMITS and source.scale)):
            return None
        # More classes are no sigmoid; in float they are delegated as they are.
        if source.shape[-1] != 2 and real:
            return None
        if source.shape[-1] != 2:
            return RefusedOp(node.tensor, f"{source.shape[-1]} classes; only two are a sigmoid")
        if real:
            return Match("two classes are a sigmoid of the difference", exact=False)
        low = LIMITS.get(target.dtype, (None,))[0]  # of 16 bits the kernels have no LOGISTIC
        if (target.scale, target.zero_point) != (_LOGISTIC_SCALE, low):
            return RefusedOp(node.tensor, "LOGISTIC has another output scale")
        # Where int8 cuts the difference off, the sigmoid still moves.
        if _lost_steps(source.scale * _beta(node)) > 1:
            return RefusedOp(node.tensor, f"its differences reach further than {source.dtype}")
        return Match("two classes are a sigmoid of the difference, up to rounding", exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put a 1×1 convolution that subtracts, and the sigmoid."""
        source, target = node.given()[0], node.outputs[0]
        built = Replacement(model, node)
        shape = (1, 1, source.size // 2, 2) if len(source.shape) != 4 else source.shape
        logits = source.index
        if shape != source.shape:
            logits = built.tensor(shape, source)
            built.reshape(source.index, shape, logits)
        beta = _beta(node)
        low, high = LIMITS.get(source.dtype, (0, 0))
        middle = round((low + high) / 2 + 0.1)  # 0, or 128 of uint8
        differences = built.tensor(shape, source, source.scale * beta, middle)
        _subtract(built, logits, differences, source.scale, beta, source.dtype)
        logistic = Op("LOGISTIC", 2 if source.scale else 1)
        if shape == source.shape:
            built.op(logistic, [differences])
        else:
            flat = built.tensor(shape, target)
            built.op(logistic, [differences], flat)
            built.reshape(flat, source.shape)
        built.finish()


def _beta(node: Node) -> float:
    return float(node.option("beta", 1.0))


def _lost_steps(scale: float) -> float:
    """Return how far the sigmoid goes on behind the largest difference that 8 bits hold.

    Args:
        scale: Of the differences, up to 255 of which there are.

    Returns:
        Steps of the output.
    """
    held, largest = 1 / (1 + np.exp(-scale * np.array([127, 255])))
    return float(largest - held) / _LOGISTIC_SCALE


def _subtract(
    built: Replacement, source: int, output: int, scale: float, beta: float, dtype: str
) -> None:
    signs = np.array([[1, -1], [-1, 1]], np.int8).reshape(2, 1, 1, 2)
    # [2, 1, 1, 2], one scale for both filters
    if dtype == "float32":
        weights = built.constant((signs * beta).astype(np.float32))
        bias = built.constant(np.zeros(2, np.float32))
    elif dtype == "int8":
        weights = built.constant(signs, [beta, beta])
        bias = built.constant(np.zeros(2, np.int32), [scale * beta] * 2)
    else:
        weights = built.constant((signs + 1).astype(np.uint8), [beta], 1)
        bias = built.constant(np.zeros(2, np.int32), [scale * beta])
    options = schema.Conv2DOptionsT(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
    version = 1 if dtype == "float32" else 3
    built.op(Op("CONV_2D", version, options), [source, weights, bias], output)
