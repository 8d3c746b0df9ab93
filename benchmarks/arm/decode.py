"""Instruction words of A64: their class, and what a block of them costs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from portrait_tflite.benchmarks.arm.counts import Counts
from portrait_tflite.benchmarks.arm.micro_ops import MicroOps, busiest_pipe, find
from portrait_tflite.benchmarks.arm.other_rules import (
    INTEGER_RULES,
    LOAD_STORE_RULES,
    ONE_ACCESS,
    ONE_INTEGER,
)
from portrait_tflite.benchmarks.arm.simd_rules import EITHER
from portrait_tflite.benchmarks.arm.simd_rules import RULES as SIMD_RULES

_WIDTH = 4  # instructions that the core takes in a cycle
_FULL_VECTOR = 1 << 30  # the bit called Q
_SCALAR = 1 << 28


def block_cost(words: Iterable[int]) -> Counts:
    """Add up a block of instruction words, which runs from its first to its last."""
    block = tuple(words)
    vector, load_store = sum(map(is_vector, block)), sum(map(is_load_store, block))
    width = len(block) / _WIDTH
    return Counts(
        instructions=len(block),
        vector=vector,
        dot=sum(map(is_dot, block)),
        load_store=load_store,
        bound=max(width, vector / 2, load_store / 2),
        cycles=max(width, busiest_pipe(map(micro_ops, block))),
    )


def is_load_store(word: int) -> bool:
    """Tell whether bits 28–25 are `.1.0`: a load, store or prefetch."""
    return word >> 25 & 0b0101 == 0b0100


def is_vector(word: int) -> bool:
    """Tell whether bits 28–25 are `.111`: vectors and floats."""
    return word >> 25 & 0b0111 == 0b0111


def is_dot(word: int) -> bool:
    """Tell whether it is SDOT or UDOT, by vector or by element."""
    return word & 0x9F20FC00 == 0x0E009400 or word & 0x9F00F400 == 0x0F00E000


@cache
def micro_ops(word: int) -> MicroOps:
    """Return which pipes an instruction occupies."""
    full = bool(word & _FULL_VECTOR) and not word & _SCALAR
    if is_vector(word):
        return find(SIMD_RULES, word, full=full) or EITHER
    if is_load_store(word):
        return find(LOAD_STORE_RULES, word, full=full) or ONE_ACCESS
    return find(INTEGER_RULES, word, full=full) or ONE_INTEGER
