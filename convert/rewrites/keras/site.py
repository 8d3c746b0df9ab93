"""What a rewrite of the Keras graph is: a place that matches, and the forms it can take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Value
from portrait_tflite.vocabulary import Approximation, Delegate

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
        approximation: The family by whose name it is asked for, where it is another function;
            None where it is the same, up to float rounding.
        ops: What it becomes on the phone, for the cost table; left out where nothing is chosen.
        fit: For an approximate form: takes the site's activations, returns `build`.
        unfit: For an exact form that int8 pays for where a tensor holds other values than it needs:
            takes the site's activations, returns why it must not be taken, or "".
        only: The delegate that `auto` takes it for; None for each.
    """

    name: str
    build: Build | None = None
    approximation: Approximation | None = None
    ops: tuple[CostedOp, ...] = ()
    fit: Callable[[Activations], Build] | None = None
    unfit: Callable[[Activations], str] | None = None
    only: Delegate | None = None

    @property
    def exact(self) -> bool:
        """Whether it is the same function, up to float rounding."""
        return self.approximation is None

    @property
    def changes(self) -> bool:
        """Whether it is more than what is there already."""
        return self.build is not None or self.fit is not None


@dataclass(frozen=True)
class Site:
    """A place in the graph where a rewrite applies.

    Attributes:
        layer: Name of the layer, for people.
        root: The tensor that is computed otherwise.
        boundary: The tensors it is computed from.
        forms: What it can become, the exact one that is always legal first.
        reason: Why one wants it.
        unfit: Forms that what the tensors hold spoke against, and why: the rewriter's to fill.
    """

    layer: str
    root: Value
    boundary: tuple[Value, ...]
    forms: tuple[Form, ...]
    reason: str
    unfit: Mapping[str, str] = field(default_factory=dict, compare=False)

    def layers(self) -> tuple[str, ...]:
        """Name the layers between the boundary and the root, the one it is named after first."""
        found = {self.layer: None}
        pending = [self.root]
        seen = set(self.boundary)
        while pending:
            value = pending.pop()
            if value in seen or value.node.op is None:
                continue
            seen.add(value)
            found[value.node.name] = None
            pending.extend(value.node.inputs)
        return tuple(found)


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
    """A rewrite of the Keras graph: finds its sites; the rewriter does the rest.

    Three more attributes are optional: `approximations`, the families that it has forms of;
    `exact`, False where it has no other forms; `before`, see `Registry.with_own`.
    """

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
