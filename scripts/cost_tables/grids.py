"""Which sizes of which ops the cost tables hold.

The last entries need not reach the sizes of real networks: costs are linear far beyond them. The
first ones are as small as ops get, since below them nothing is interpolated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from math import isqrt

from portrait_tflite.convert.costs.cost_series import Axis
from portrait_tflite.convert.costs.costed_op import BUILTIN, FLOAT32, INT8, CostedOp

_DEPTHS_IN = (1, 4, 8, 16, 64)
_DEPTHS_OUT = (1, 2, 4, 8, 16, 32, 64)
_BUILTIN_DEPTHS = (1, 4, 16, 64)
# Numbers in a row that stay together: up to 4 bytes XNNPACK has kernels of their own.
_RUNS = (1, 2, 3, 4, 5, 16, 64)
_BUILTIN_PRODUCTS = {
    "positions": (1, 16, 256),
    "channels_in": _BUILTIN_DEPTHS,
    "channels_out": _BUILTIN_DEPTHS,
}
_ELEMENT_CHANNELS = 16

# What kernels compute at once, as steps of the counts show: for int8 on a core with dot products
# tiles of 16 channels out and 4 in, for float32 of 8 out; depthwise ones take 8 and 4 channels.
_DENSE_TILES = {INT8: {"channels_in": 4, "channels_out": 16}, FLOAT32: {"channels_out": 8}}
_DEPTHWISE_TILES = {INT8: {"channels_out": 8}, FLOAT32: {"channels_out": 4}}

# Ops that start anew at every position, and ops that run through their tensor in one go.
_BY_POSITION = (
    *("ADD_CHANNELS", "CONCATENATION", "MEAN", "MUL_CHANNELS", "PAD", "RESIZE_BILINEAR"),
    *("PRELU", "RESIZE_NEAREST_NEIGHBOR", "SOFTMAX", "SQUARED_DIFFERENCE", "STRIDED_SLICE"),
    *("GATHER", "MIRROR_PAD", "PACK", "REDUCE_MAX", "TILE"),
)
# Of few sizes: what they take beside a number each is a constant per position.
_BROADCAST = (
    *("GREATER_SCALAR", "SELECT_SCALAR"),
    *(f"{kind}_CHANNELS" for kind in ("GREATER", "MAXIMUM", "SELECT")),
    *(f"{kind}_POSITIONS" for kind in ("ADD", "GREATER", "MAXIMUM", "MUL", "SELECT")),
)
_ALONG_CHANNELS = ("ARG_MAX_CHANNELS", "LOG_SOFTMAX", "MEAN_CHANNELS", "REDUCE_MAX_CHANNELS")
_BY_ELEMENT = (
    *("ABS", "ADD", "DEQUANTIZE", "DIV", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG"),
    *("LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "QUANTIZE", "RELU", "RELU6", "RESHAPE", "RSQRT"),
    *("SQRT", BUILTIN["STRIDED_SLICE"], "SUB", "TANH"),
    *("ABS_RESCALED", "ADD_SCALAR", "MAXIMUM_SCALAR", "MUL_SCALAR"),
    *("CAST_BOOL", "CAST_INT8", "CAST_INT32", "CAST_TO_BOOL", "CAST_TO_INT8", "CAST_TO_INT32"),
    *("COS", "FLOOR", "GREATER", "LOGICAL_AND", "LOGICAL_NOT", "NEG", "SELECT", "SIGN", "SIN"),
    "SQUARE",
)


@dataclass(frozen=True)
class Grid:
    """The sizes of one kind of op at one stride.

    Attributes:
        entries: Counted values per axis.
        tiles: What an axis is rounded up to, by precision and axis.
    """

    kind: str
    entries: dict[str, tuple[int, ...]]
    stride: int = 1
    tiles: dict[str, dict[str, int]] = field(default_factory=dict)

    def axes(self, precision: str) -> tuple[Axis, ...]:
        """Return the axes as a table holds them."""
        tiles = self.tiles.get(precision, {})
        return tuple(Axis(name, held, tiles.get(name, 1)) for name, held in self.entries.items())

    def ops(self) -> Iterator[CostedOp]:
        """Yield an op per size, the last axis changing fastest."""
        for size in product(*self.entries.values()):
            yield self._op(dict(zip(self.entries, size, strict=True)))

    def _op(self, size: dict[str, int]) -> CostedOp:
        if "elements" in size:
            size = {
                "positions": size["elements"] // _ELEMENT_CHANNELS,
                "channels_out": _ELEMENT_CHANNELS,
            }
        height = isqrt(size["positions"])
        kernel = isqrt(size.get("taps", 1))
        channels_out = size["channels_out"]
        same = channels_out * (self.stride**2 if self.kind == "DEPTH_TO_SPACE" else 1)
        return CostedOp(
            kind=self.kind,
            height=height,
            width=height,
            channels_in=size.get("channels_in", same),
            channels_out=channels_out,
            kernel=(kernel, kernel),
            stride=self.stride,
        )


def _dense(kind: str, stride: int, taps: tuple[int, ...], positions: tuple[int, ...]) -> Grid:
    entries = {
        **({"taps": taps} if taps else {}),
        "positions": positions,
        "channels_in": _DEPTHS_IN,
        "channels_out": _DEPTHS_OUT,
    }
    return Grid(kind, entries, stride, _DENSE_TILES)


def _depthwise(stride: int) -> Grid:
    entries = {
        "taps": (1, 4, 9, 16, 25, 49),
        "positions": (1, 16, 256, 4096),
        "channels_out": (4, 8, 16, 24, 32, 64),
    }
    return Grid("DEPTHWISE_CONV_2D", entries, stride, _DEPTHWISE_TILES)


def _pool(kind: str, stride: int, taps: tuple[int, ...]) -> Grid:
    return Grid(
        kind, {"taps": taps, "positions": (1, 16, 256), "channels_out": (4, 8, 16, 64)}, stride
    )


def _builtin(stride: int) -> Grid:
    """A TRANSPOSE_CONV that XNNPACK leaves to the built-in kernels."""
    entries = {
        "taps": (4, 9, 25),
        "positions": (16, 256),
        "channels_in": _BUILTIN_DEPTHS,
        "channels_out": _BUILTIN_DEPTHS,
    }
    return Grid(BUILTIN["TRANSPOSE_CONV"], entries, stride)


def _transpose(stride: int) -> Grid:
    return Grid("TRANSPOSE", {"positions": (64, 4096), "channels_out": _RUNS}, stride)


def _by_position(kind: str, stride: int = 1) -> Grid:
    positions = (16, 256, 4096)
    return Grid(kind, {"positions": positions, "channels_out": _DEPTHS_OUT}, stride)


def _broadcast(kind: str) -> Grid:
    return Grid(kind, {"positions": (1, 16, 256, 4096), "channels_out": (1, 2, 16, 64)})


def _along_channels(kind: str) -> Grid:
    return Grid(kind, {"positions": (1, 16, 256, 4096), "channels_out": _DEPTHS_OUT})


def _by_element(kind: str) -> Grid:
    return Grid(kind, {"elements": (16, 4096, 65536)})


GRIDS: tuple[Grid, ...] = (
    *(_dense("CONV_2D", stride, (1, 4, 9, 25), (1, 16, 256)) for stride in (1, 2)),
    *(_depthwise(stride) for stride in (1, 2)),
    _dense("TRANSPOSE_CONV", 1, (4, 9, 25), (1, 256)),
    _dense("TRANSPOSE_CONV", 2, (4, 9, 16, 36), (4, 256)),
    _dense("TRANSPOSE_CONV", 4, (16, 64), (16, 256)),
    *(_builtin(stride) for stride in (1, 2)),
    _dense("FULLY_CONNECTED", 1, (), (1, 16)),
    _dense("BATCH_MATMUL", 1, (), (1, 16, 256)),
    Grid(BUILTIN["BATCH_MATMUL"], _BUILTIN_PRODUCTS),
    _pool("MAX_POOL_2D", 1, (9, 25)),
    _pool("MAX_POOL_2D", 2, (4, 9)),
    *(_pool("AVERAGE_POOL_2D", stride, (4, 9, 49, 256)) for stride in (1, 2)),
    *(_by_position("DEPTH_TO_SPACE", stride) for stride in (2, 4)),
    *(_transpose(stride) for stride in (2, 4, 16)),
    *(_by_position(kind) for kind in _BY_POSITION),
    *(_broadcast(kind) for kind in _BROADCAST),
    *(_along_channels(kind) for kind in _ALONG_CHANNELS),
    *(_by_element(kind) for kind in _BY_ELEMENT),
)
