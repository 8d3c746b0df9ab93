"""An op as its cost sees it: what it is and how large, without its weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

# Precisions of the cost tables. Files with float16 weights compute in float32 on a CPU.
INT8, FLOAT32 = "int8", "float32"

# Ops that XNNPACK takes in one way and leaves to the built-in kernels in another, where they are
# of another kind: they cost several times as much.
BUILTIN = {kind: f"{kind}_BUILTIN" for kind in ("BATCH_MATMUL", "STRIDED_SLICE", "TRANSPOSE_CONV")}


@dataclass(frozen=True)
class CostedOp:
    """One op of a network.

    Attributes:
        kind: Its builtin name, or that of an op that costs the same (GREATER for every comparison),
            except that CONCATENATION and PACK are the copying of one of their parts, those of
            `BUILTIN` are outside of XNNPACK, and an ending says which operands are read again:
            `_SCALAR` a single number, `_CHANNELS` a number per channel, `_POSITIONS` one per
            position. A reduction with `_CHANNELS` goes along the channels, one without along all
            positions. A CAST is named by the type that is no float; an
            ABS_RESCALED goes from one scale to another. A TRANSPOSE is one of two
            dimensions: of `positions` runs of `channels_out` numbers that stay together, as
            CONCATENATION, PACK and GATHER copy them.
        height: Of its output; of the input where the op looks at many positions (MEAN).
        width: As `height`.
        channels_in: Channels of its input.
        channels_out: Channels of its output.
        kernel: Kernel or window, height × width.
        stride: Of a convolution or a pool; the factor of a TRANSPOSE_CONV or DEPTH_TO_SPACE; the
            smaller of the dimensions that a TRANSPOSE changes.
        fused: Whether an activation is fused into it, which costs nothing but has its versions.
        stride_columns: Stride of the columns where it is not that of the rows.
    """

    kind: str
    height: int
    width: int
    channels_in: int
    channels_out: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    fused: bool = False
    stride_columns: int | None = None

    @property
    def positions(self) -> int:
        """Height × width."""
        return self.height * self.width

    @property
    def taps(self) -> int:
        """Area of the kernel."""
        return prod(self.kernel)

    @property
    def strides(self) -> tuple[int, int]:
        """Stride of the rows and of the columns."""
        return self.stride, self.stride if self.stride_columns is None else self.stride_columns

    @property
    def elements(self) -> int:
        """Numbers in the output."""
        return self.positions * self.channels_out


# A run of more elements than this costs what a plain copy does, whatever it is a part of.
_LONG_RUN = 256


def copied(runs: int, length: int, kind: str = "CONCATENATION") -> CostedOp:
    """Return what one part of an op that copies is: `runs` pieces of `length` elements in a row."""
    return CostedOp("RESHAPE" if length > _LONG_RUN else kind, runs, 1, length, length)
