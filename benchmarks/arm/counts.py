"""Counts of executed work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """What ran: of a block once, or of everything between two marks.

    Attributes:
        load_store: Load and store instructions.
        bound: Cycles by width alone: 4 instructions, 2 vector ops, 2 loads or stores a cycle.
        cycles: Cycles until the busiest pipe of each block is done.
    """

    instructions: int = 0
    vector: int = 0
    dot: int = 0
    load_store: int = 0
    bound: float = 0.0
    cycles: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.instructions + other.instructions,
            self.vector + other.vector,
            self.dot + other.dot,
            self.load_store + other.load_store,
            self.bound + other.bound,
            self.cycles + other.cycles,
        )

    def __mul__(self, times: int) -> Counts:
        return Counts(
            self.instructions * times,
            self.vector * times,
            self.dot * times,
            self.load_store * times,
            self.bound * times,
            self.cycles * times,
        )

    def __sub__(self, other: Counts) -> Counts:
        return self + other * -1
