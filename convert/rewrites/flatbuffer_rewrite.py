"""What a rewrite of a finished `.tflite` is: a match apart from a change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.flatbuffer_nodes import Node, list_nodes


@dataclass(frozen=True)
class MendedOp:
    """A place that was rewritten: the name of the op's output, and why it may be."""

    tensor: str
    reason: str


@dataclass(frozen=True)
class RefusedOp:
    """A place that looks right and is not exact, or is of no use: left as it is."""

    tensor: str
    reason: str


@dataclass(frozen=True)
class Match:
    """A place where a rewrite applies.

    Attributes:
        reason: Why the result is the same.
        details: What `change` needs to know; the rewrite's own.
    """

    reason: str
    details: Any = None


@dataclass(frozen=True)
class Applied:
    """What a rewrite did to a model."""

    mended: tuple[MendedOp, ...]
    refused: tuple[RefusedOp, ...]


class FlatbufferRewrite(ABC):
    """One exact rewrite of a `.tflite`; its docstring says Given and Result."""

    name: ClassVar[str]

    @abstractmethod
    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Say whether this op can be rewritten; None where it is not this rewrite's concern."""

    @abstractmethod
    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Change the model at a matched op. Ops keep their positions, so that others stay valid."""

    def apply(self, model: schema.ModelT) -> Applied:
        """Rewrite every place in the first subgraph; the model is changed in place."""
        mended: list[MendedOp] = []
        refused: list[RefusedOp] = []
        nodes = list_nodes(model)
        for position in range(len(nodes)):
            node = nodes[position]
            found = self.match(model, node)
            if isinstance(found, RefusedOp):
                refused.append(found)
            elif found is not None:
                self.change(model, node, found)
                mended.append(MendedOp(node.tensor, found.reason))
                # A change may alter what a later op reads.
                nodes = list_nodes(model)
        return Applied(tuple(mended), tuple(refused))
