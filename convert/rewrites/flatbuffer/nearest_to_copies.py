"""RESIZE_NEAREST_NEIGHBOR → CONCATENATION of copies: XNNPACK has no nearest resize."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.copies import upsample_by_rows
from portrait_tflite.convert.rewrites.flatbuffer.nearest_chain import upsampling_factors
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)


class NearestToCopies(FlatbufferRewrite):
    """Repeat pixels by concatenating.

    Given:
        y = RESIZE_NEAREST_NEIGHBOR(x)    # x: [1, h, w, c], y: [1, f·h, g·w, c]

    Result:
        wide = CONCATENATION(x, …, x; axis 3)                            # [1, h, w, g·c]
        tall = CONCATENATION(rows, …, rows; axis 2), rows = RESHAPE(wide)    # [1, h, f, g·w·c]
        y = RESHAPE(tall)

    For whole factors a half-pixel resize picks the same pixels, for 2 one of aligned corners too.
    """

    name = "nearest_to_copies"
    helps_gpu = False  # which has the resize

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a nearest resize by whole factors."""
        if node.op != "RESIZE_NEAREST_NEIGHBOR":
            return None
        factors = upsampling_factors(node.given()[0], node.outputs[0])
        # Some pixels are repeated more often than others.
        if factors is None:
            return RefusedOp(node.tensor, "it does not enlarge one picture by whole factors")
        # The corner pixels stay at the corners: uneven steps, but for a factor of 2.
        if node.option("alignCorners", False) and set(factors) - {1, 2}:
            return RefusedOp(node.tensor, "align_corners repeats pixels unevenly")
        return Match("every pixel is repeated", factors)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the copies."""
        built = Replacement(model, node)
        source = node.given()[0]
        upsample_by_rows(built, source.index, source, match.details)
        built.finish()
