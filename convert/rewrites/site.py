"""What a rewrite of the Keras graph is: a place that matches, and the forms it can take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from portrait_tflite.convert.graph import Value

Array = NDArray[Any]
Uses = Counter[Value]

Build = Callable[[Sequence[Value]], Value]


@dataclass(frozen=True)
class Activations:
    """Samples of what a site sees: `[n, h, w, c]` per boundary tensor, and its own output."""

    inputs: tuple[Array, ...]
    output: Array


@dataclass(frozen=True)
class Form:
    """One way to compute a site's output.

    Attributes:
        name: What reports and plans call it, e.g. `subpixel`.
        build: Computes the output from the boundary tensors; None keeps what is there.
        exact: Whether it is the same function, up to float rounding.
        family: Row of the cost table, or "" where the choice costs nothing.
        fit: For an approximate form: takes the site's activations, returns `build`.
    """

    name: str
    build: Build | None = None
    exact: bool = True
    family: str = ""
    fit: Callable[[Activations], Build] | None = None


@dataclass(frozen=True)
class Work:
    """Size of an upsampling site, by which the cost table is scaled.

    Attributes:
        pixels: Positions of its input, height × width.
        channels_in: Channels of its input.
        channels_out: Channels of its output.
        kernel: Kernel area, height × width.
        side: The kernel's smaller side.
        stride: Factor of upsampling.
        fused: Whether an activation would be fused into the op (TRANSPOSE_CONV version 4).
        taps: Kernel area of the phase convolution × its phases, the zeros included.
    """

    pixels: int = 0
    channels_in: int = 0
    channels_out: int = 0
    kernel: int = 1
    side: int = 1
    stride: int = 1
    fused: bool = False
    taps: int = 1


@dataclass(frozen=True)
class Site:
    """A place in the graph where a rewrite applies.

    Attributes:
        layer: Name of the layer, for people.
        root: The tensor that is computed otherwise.
        boundary: The tensors it is computed from.
        forms: What it can become, the exact one that is always legal first.
        reason: Why one wants it.
    """

    layer: str
    root: Value
    boundary: tuple[Value, ...]
    forms: tuple[Form, ...]
    reason: str
    work: Work = field(default_factory=Work)


@dataclass(frozen=True)
class Refusal:
    """A place that looks like a site and must stay as it is."""

    layer: str
    reason: str


@dataclass(frozen=True)
class TakeChannel:
    """Keeps one channel of `[n, h, w, c]`: how a graph says which one is the mask."""

    channel: int

    def __call__(self, x: Any) -> Any:
        return x[..., self.channel : self.channel + 1]


class KerasRewrite(Protocol):
    """A rewrite of the Keras graph: finds its sites; the rewriter does the rest."""

    @property
    def name(self) -> str:
        """What reports and plans call it."""
        ...

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        """Look whether `value` is the output of a site.

        Args:
            value: The tensor in question.
            uses: How often each tensor of the graph is used.
        """
        ...


def single(name: str, build: Build) -> tuple[Form, ...]:
    """The forms of a rewrite without a choice."""
    return (Form(name, build),)
