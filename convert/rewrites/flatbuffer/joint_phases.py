"""All positions of an upsampling convolution computed at once, on the cells, and spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.paddings import SAME, VALID
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op
from portrait_tflite.convert.rewrites.phases import Axis, phase_kernel

_VERSIONS = {"float32": 1, "int8": 3}  # of CONV_2D


@dataclass(frozen=True)
class JointPhases:
    """A convolution over the cells, whose outputs DEPTH_TO_SPACE spreads by `stride`.

    Attributes:
        rows: Which cells each row of the output reads.
        columns: As `rows`.
        stride: Rows and columns of the output per cell.
    """

    rows: Axis
    columns: Axis
    stride: int

    @property
    def fits(self) -> bool:
        """Whether the cells are spread to the output, and nothing is cut off."""
        return all(axis.length == axis.cells * self.stride for axis in (self.rows, self.columns))

    def weights(self, kernel: NDArray[Any]) -> NDArray[Any]:
        """Arrange weights `[out, kh, kw, in]` as `[stride² · out, …, in]`."""
        phases = phase_kernel(kernel.transpose(1, 2, 3, 0), self.rows, self.columns)
        return phases.transpose(3, 0, 1, 2).astype(kernel.dtype)

    def put(self, built: Replacement, node: Node, source: Operand, weights: int, bias: int) -> None:
        """Add PAD, CONV_2D, DEPTH_TO_SPACE and SLICE, as far as each is needed.

        Args:
            built: What takes the place of the op.
            node: The op, whose activation goes along.
            source: The cells `[n, h, w, in]`.
            weights: The constant `[stride² · out, …, in]`.
            bias: The constant `[stride² · out]`.
        """
        padded, padding = self._padded(built, source)
        options = schema.Conv2DOptionsT(
            padding=padding,
            strideH=1,
            strideW=1,
            dilationHFactor=self.rows.dilation,
            dilationWFactor=self.columns.dilation,
            fusedActivationFunction=int(node.option("fusedActivationFunction", 0)),
        )
        convolution = Op("CONV_2D", _VERSIONS[source.dtype], options)
        target = node.outputs[0]
        if self.stride == 1:
            built.op(convolution, [padded, weights, bias])
            return
        images, height, width, channels = target.shape
        cells = (images, self.rows.cells, self.columns.cells)
        deep = built.tensor((*cells, channels * self.stride**2), target)
        built.op(convolution, [padded, weights, bias], deep)
        spread = Op("DEPTH_TO_SPACE", 1, schema.DepthToSpaceOptionsT(blockSize=self.stride))
        if self.fits:
            built.op(spread, [deep])
            return
        large = (images, *(count * self.stride for count in cells[1:]), channels)
        whole = built.tensor(large, target)
        built.op(spread, [deep], whole)
        begin = (0, self.rows.skip, self.columns.skip, 0)
        built.cut(whole, begin, (images, height, width, channels), target, target.index)

    def _padded(self, built: Replacement, source: Operand) -> tuple[int, int]:
        """Return what the convolution reads, and how it pads by itself."""
        axes = (self.rows, self.columns)
        if all(axis.pads_like_same for axis in axes):
            return source.index, SAME
        return built.pad(source, [axis.padding for axis in axes]), VALID
