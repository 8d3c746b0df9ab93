"""Ops whose inputs and outputs have one scale in int8."""

from __future__ import annotations

# What they give is what they are given, elsewhere.
MOVES = frozenset(
    {
        "CONCATENATION",
        "DEPTH_TO_SPACE",
        "EXPAND_DIMS",
        "MAX_POOL_2D",
        "PAD",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "SLICE",
        "SPACE_TO_DEPTH",
        "SQUEEZE",
        "STRIDED_SLICE",
        "TRANSPOSE",
    }
)
ONE_SCALE = MOVES | {"MAXIMUM", "MINIMUM", "MIRROR_PAD", "SPLIT", "TILE"}
