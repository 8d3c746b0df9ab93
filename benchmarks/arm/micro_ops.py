"""The pipes of a Cortex-A76, and rules that say which of them an instruction occupies.

The core takes up to four instructions a cycle and issues their micro-ops to eight pipes: two for
loads and stores, two for vectors and floats (V0 and V1), three for integers (one of which, M, also
multiplies) and one for branches.

Source: Arm Cortex-A76 Software Optimization Guide, chapters 2 and 3, and that of the Neoverse N1,
the same core for servers, which LLVM holds as a table too (`AArch64SchedNeoverseN1.td`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class MicroOps(NamedTuple):
    """Cycles for which an instruction occupies each kind of pipe.

    Attributes:
        load_store: The two pipes for addresses of loads and stores.
        vector: V0 or V1, whichever is free.
        v0: V0 and no other: integer products, conversions, divisions.
        v1: V1 and no other: shifts, saturating narrowing, sums across lanes.
        integer: The three integer pipes.
        multiply: M and no other.
        branch: The branch pipe.
    """

    load_store: int = 0
    vector: int = 0
    v0: int = 0
    v1: int = 0
    integer: int = 0
    multiply: int = 0
    branch: int = 0


class Rule(NamedTuple):
    """Instruction words with `word & mask == value`, and what they occupy.

    Attributes:
        half: What a scalar or a vector of 64 bits occupies.
        full: What a vector of 128 bits occupies.
    """

    mask: int
    value: int
    half: MicroOps
    full: MicroOps


def rule(pattern: str, half: MicroOps, full: MicroOps | None = None) -> Rule:
    """Make a rule from 32 bits as the architecture manual prints them; `.` is any bit.

    Args:
        pattern: Bit 31 first; blanks do not count, and bits left out at the end are any.
        full: The same as `half` where it is not given.
    """
    bits = pattern.replace(" ", "").ljust(32, ".")
    mask = int("".join("0" if bit == "." else "1" for bit in bits), 2)
    value = int(bits.replace(".", "0"), 2)
    return Rule(mask, value, half, half if full is None else full)


def find(rules: Sequence[Rule], word: int, *, full: bool) -> MicroOps | None:
    """Return what the first rule that fits says; None where none does."""
    for mask, value, narrow, wide in rules:
        if word & mask == value:
            return wide if full else narrow
    return None


def busiest_pipe(block: Iterable[MicroOps]) -> float:
    """Return for how many cycles the busiest pipe is occupied."""
    load_store, vector, v0, v1, integer, multiply, branch = map(sum, zip(*block, strict=True))
    vectors, integers = vector + v0 + v1, integer + multiply
    return max(load_store / 2, vectors / 2, v0, v1, integers / 3, multiply, branch)
