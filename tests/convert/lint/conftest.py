"""Small maps through convolutions, pools and the like, built directly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.lint.rules import lint_model
from portrait_tflite.vocabulary import LintFinding

_SAME = 0


class Maps:
    """Builds a float net of maps; each method adds an op and returns the tensor that it writes."""

    def __init__(self, graph: Any, size: tuple[int, int], channels: int) -> None:
        self.graph = graph
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.rng = np.random.default_rng(0)
        self.image = self._map("image", (1, *size, channels))

    def convolution(
        self, source: int, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> int:
        before = self.shapes[source]
        weights = self._weights((channels, kernel, kernel, before[3] // groups))
        options = schema.Conv2DOptionsT(strideH=stride, strideW=stride, padding=_SAME)
        options.dilationHFactor = options.dilationWFactor = 1
        return self._op(
            "CONV_2D", [source, *weights], self._smaller(source, stride, channels), options
        )

    def depthwise(self, source: int) -> int:
        channels = self.shapes[source][3]
        (weights, bias) = self._weights((1, 3, 3, channels), channels)
        options = schema.DepthwiseConv2DOptionsT(strideH=1, strideW=1, depthMultiplier=1)
        options.dilationHFactor = options.dilationWFactor = 1
        shape = self.shapes[source]
        return self._op("DEPTHWISE_CONV_2D", [source, weights, bias], shape, options)

    def pool(self, source: int) -> int:
        options = schema.Pool2DOptionsT(strideH=2, strideW=2, filterHeight=2, filterWidth=2)
        shape = self._smaller(source, 2, self.shapes[source][3])
        return self._op("MAX_POOL_2D", [source], shape, options)

    def transposed(self, source: int, channels: int, kernel: int) -> int:
        batch, height, width, depth = self.shapes[source]
        shape = (batch, 2 * height, 2 * width, channels)
        size = self.graph.tensor(f"size_{len(self.shapes)}", (4,), "int32", data=shape)
        weights, bias = self._weights((channels, kernel, kernel, depth))
        options = schema.TransposeConvOptionsT(strideH=2, strideW=2, padding=_SAME)
        return self._op("TRANSPOSE_CONV", [size, weights, source, bias], shape, options, 3)

    def alike(self, op: str, *sources: int, options: Any = None) -> int:
        return self._op(op, [*sources], self.shapes[sources[0]], options)

    def joined(self, *sources: int) -> int:
        shape = (*self.shapes[sources[0]][:3], sum(self.shapes[one][3] for one in sources))
        options = schema.ConcatenationOptionsT(axis=3)
        return self._op("CONCATENATION", [*sources], shape, options)

    def lint(self, output: int) -> list[LintFinding]:
        """Close the net and lint it."""
        self.data = self.graph.build([self.image], [output])
        return [*lint_model(self.data, audit_model(self.data).xnnpack)]

    def _smaller(self, source: int, stride: int, channels: int) -> tuple[int, ...]:
        _, height, width, _ = self.shapes[source]
        return (1, -(-height // stride), -(-width // stride), channels)

    def _weights(self, shape: tuple[int, ...], channels: int = 0) -> tuple[int, int]:
        number = len(self.shapes)
        kernel = self.graph.tensor(f"w{number}", shape, "float32", data=self.rng.normal(size=shape))
        biases = (channels or shape[0],)
        data = self.rng.normal(size=biases)
        return kernel, self.graph.tensor(f"b{number}", biases, "float32", data=data)

    def _map(self, name: str, shape: tuple[int, ...]) -> int:
        tensor = int(self.graph.tensor(name, shape, "float32"))
        self.shapes[tensor] = shape
        return tensor

    def _op(
        self, op: str, inputs: list[int], shape: tuple[int, ...], options: Any, version: int = 1
    ) -> int:
        target = self._map(f"net/{op.lower()}_{len(self.shapes)}/{op}", shape)
        self.graph.op(op, inputs, target, version, options)
        return target


@pytest.fixture
def maps(tiny_graph: Callable[[], Any]) -> Callable[..., Maps]:
    """Give a builder of nets: size and channels of the picture."""

    def build(size: tuple[int, int] = (32, 32), channels: int = 3) -> Maps:
        return Maps(tiny_graph(), size, channels)

    return build
