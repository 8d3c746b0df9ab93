"""Trials of which ops a network keeps in float: what masks then lose, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.mending.mend_burden import Burden, weigh
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.moves import MOVES
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quantize.remedies.linear_ops import (
    linear_ops,
    read_bias,
    read_weights,
    write_bias,
    write_weights,
)
from portrait_tflite.quantize.sensitivity.mask_harm import harm_of, masks_of_file
from portrait_tflite.vocabulary import Harm, LayerError, OutputSpec


@dataclass(frozen=True)
class Budget:
    """What layers in float may cost.

    Attributes:
        max_cost: Most that the file may cost by the table of ARM, plain int8 being 1.
        more_partitions: How many partitions of XNNPACK it may have more than plain int8.
        max_cycles: Most that the file may cost by that table where plain int8 does not cost more
            itself.
    """

    max_cost: float = 1.25
    more_partitions: int = 1
    max_cycles: float = math.inf

    def bounded(self, plain: Burden) -> bool:
        """Tell whether `max_cycles` leaves less room than `max_cost` does."""
        return self.max_cycles < self.max_cost * plain.cycles

    def most_cost(self, plain: Burden) -> float:
        """Return the most that a file may cost, plain int8 being 1."""
        return min(self.max_cost, max(1.0, self.max_cycles / plain.cycles))

    def holds(self, burden: Burden, plain: Burden) -> bool:
        """Tell whether a file is within it, beside plain int8; more ops outside never are."""
        return (
            burden.cycles <= self.most_cost(plain) * plain.cycles
            and burden.partitions <= plain.partitions + self.more_partitions
            and burden.outside <= plain.outside
            # What the table does not know is no bargain.
            and burden.unknown <= plain.unknown
        )


@dataclass(frozen=True, eq=False)
class Attempt:
    """A network with some layers in float, and what it came to."""

    network: RangedNetwork
    harm: Harm
    burden: Burden


class Trial:
    """Quantizes a network with other layers in float each time, and compares the masks.

    Args:
        network: As the steps before left it.
        frames: The pictures to compare on.
        output: Which output is the mask.
        budget: What may be spent.
        finish: Makes the file of a network that is scored and priced, as it will be used.
    """

    def __init__(
        self,
        network: RangedNetwork,
        frames: Sequence[Frames],
        output: OutputSpec,
        budget: Budget,
        finish: Callable[[RangedNetwork], bytes] = quantize_network,
    ) -> None:
        self._network = network
        self._frames = frames
        self._output = output
        self._budget = budget
        self._finish = finish
        self._nodes = list_nodes(read_model(network.data))
        self._expected: list[Floats] = masks_of_file(network.reference, frames, output)
        self._made: dict[frozenset[str], Attempt] = {}
        self.plain = self.attempt([]).burden

    def attempt(self, errors: Iterable[LayerError]) -> Attempt:
        """Keep in float what spares the network these errors."""
        names = frozenset(self.names(errors))
        if names not in self._made:
            self._made[names] = self._attempt(names)
        return self._made[names]

    def _attempt(self, names: frozenset[str]) -> Attempt:
        network = replace(
            self._network,
            data=_unrounded(self._network, names),
            in_float=self._network.in_float | names,
        )
        data = self._finish(network)
        masks = masks_of_file(data, self._frames, self._output)
        return Attempt(network, harm_of(masks, self._expected), weigh(data))

    def names(self, errors: Iterable[LayerError]) -> set[str]:
        """Name the tensors whose ops are in float then."""
        return {name for error in errors for name in ops_of(self._nodes, error)}

    def affordable(self, attempt: Attempt) -> bool:
        """Tell whether a file is within the budget."""
        return self._budget.holds(attempt.burden, self.plain)

    def least_too_dear(self) -> float | None:
        """Return the least cost of what helped and was too dear, plain int8 being 1, or None."""
        lost, most = self.attempt([]).harm.points, self._budget.most_cost(self.plain)
        costs = [
            tried.burden.cycles / self.plain.cycles
            for tried in self._made.values()
            if tried.harm.points < lost
        ]
        return min((cost for cost in costs if cost > most), default=None)


def _unrounded(network: RangedNetwork, names: Collection[str]) -> bytes:
    """Give ops in float the weights and biases that they had before these were fitted to int8."""
    if network.exact is None:
        return network.data
    model, exact = read_model(network.data), read_model(network.exact)
    ops = {op.node.tensor: op for op in linear_ops(model)}
    for op in linear_ops(exact):
        if op.node.tensor in names:
            write_weights(model, ops[op.node.tensor], read_weights(exact, op))
            write_bias(model, ops[op.node.tensor], read_bias(exact, op))
    return serialize(model)


def ops_of(nodes: Sequence[Node], error: LayerError) -> list[str]:
    """Name the tensors whose ops must be in float so that an error is not made."""
    spared = [error.tensor]
    if error.output.points >= error.constants.points / 4:
        spared += _readers(nodes, next(node for node in nodes if node.tensor == error.tensor))
    return spared


def _readers(nodes: Sequence[Node], source: Node) -> list[str]:
    """Name what reads an op's output, through all that only moves it."""
    given = {operand.index for operand in source.outputs}
    found = []
    for node in nodes:
        if not given.isdisjoint(operand.index for operand in node.given()):
            found.append(node.tensor)
            if node.op in MOVES:
                given |= {operand.index for operand in node.outputs}
    return found
