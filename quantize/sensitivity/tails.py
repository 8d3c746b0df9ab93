"""What leads from one tensor of a float network to its outputs, as networks of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.rewrites.flatbuffer.place import cut_out
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.tensor_ranges import activation_tensors
from portrait_tflite.runtime import open_model

# Ops between two cuts. Writing and opening a file of everything behind an op takes longer than
# running it; up to the next cut it is short, and what is behind the cut many ops share.
_SECTION = 12
_NOTHING = np.zeros(0, np.float32)

Held = Mapping[int, Floats]
"""Activation tensors on one picture, by their numbers."""


class Part:
    """Some ops of a network: from tensors that are given to tensors that are wanted.

    Args:
        model: The float file.
        sources: Numbers of the tensors that are given.
        targets: Numbers of the tensors that are wanted; they depend on the sources.
    """

    def __init__(
        self, model: schema.ModelT, sources: Sequence[int], targets: Sequence[int]
    ) -> None:
        self._sources, self._targets = sources, targets
        self._runner = open_model(cut_out(model, sources, targets)) if targets else None

    def run(self, held: Held) -> Held:
        """Return what is held with the wanted tensors computed anew."""
        if self._runner is None:
            return held
        found = self._runner.run(*(held[number] for number in self._sources))
        return {**held, **dict(zip(self._targets, found, strict=True))}


class Tail:
    """All that depends on a tensor; what else that reads is given, not computed again."""

    def __init__(self, tensor: int, outputs: Sequence[int], parts: Sequence[Part]) -> None:
        self._tensor, self._outputs, self._parts = tensor, outputs, parts

    def outputs(self, held: Held, values: Floats) -> list[Floats]:
        """Return all outputs of the network where its tensor holds other values.

        Args:
            held: Every activation tensor on a picture.
            values: What the tensor holds instead.
        """
        found: Held = {**held, self._tensor: values}
        for part in self._parts:
            found = part.run(found)
        # An output of another dtype that does not depend on the tensor is no mask.
        return [found.get(number, _NOTHING) for number in self._outputs]


class Tails:
    """Opens what is behind the ops of a float network.

    Args:
        model: The float file.
    """

    def __init__(self, model: schema.ModelT) -> None:
        self._model = model
        self._held = set(activation_tensors(model))
        graph = model.subgraphs[0]
        self._reads = [indices(operator.inputs) for operator in graph.operators]
        self._gives = [indices(operator.outputs) for operator in graph.operators]
        self._ends = indices(graph.outputs)
        self._behind: dict[int, Part] = {}

    def open(self, index: int, tensor: int) -> Tail:
        """Open what is behind the op at a position that gives a tensor."""
        cut = (index // _SECTION + 1) * _SECTION
        if not self._held.issuperset(self._crossing(cut)):  # a computed shape is not held
            cut = len(self._reads)
        moved = self._depending_on(tensor, cut)
        targets = [n for n in self._crossing(cut) if n in moved and n != tensor]
        first = Part(self._model, [tensor, *self._beside(moved, cut)], targets)
        return Tail(tensor, self._ends, [first, self._from(cut)])

    def _from(self, cut: int) -> Part:
        """Open the ops from a position on, once."""
        if cut not in self._behind:
            later = {number for given in self._gives[cut:] for number in given}
            targets = [number for number in self._ends if number in later]
            sources = [number for number in self._crossing(cut) if self._is_read(number, cut)]
            self._behind[cut] = Part(self._model, sources, targets)
        return self._behind[cut]

    def _crossing(self, cut: int) -> list[int]:
        """List the tensors that are given before a position and read, or wanted, behind."""
        earlier = {number for given in self._gives[:cut] for number in given} | self._inputs()
        wanted = [number for read in self._reads[cut:] for number in read] + list(self._ends)
        return [number for number in dict.fromkeys(wanted) if number in earlier]

    def _inputs(self) -> set[int]:
        return set(indices(self._model.subgraphs[0].inputs))

    def _is_read(self, number: int, cut: int) -> bool:
        return any(number in read for read in self._reads[cut:])

    def _depending_on(self, tensor: int, cut: int) -> set[int]:
        """Number what changes with a tensor before a position."""
        moved = {tensor}
        for read, given in zip(self._reads[:cut], self._gives[:cut], strict=True):
            if not moved.isdisjoint(read):
                moved.update(given)
        return moved

    def _beside(self, moved: set[int], cut: int) -> list[int]:
        """Number what else is read for what changes."""
        read = [
            number
            for reads in self._reads[:cut]
            if not moved.isdisjoint(reads)
            for number in reads
            if number in self._held and number not in moved
        ]
        return list(dict.fromkeys(read))
