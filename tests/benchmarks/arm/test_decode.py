"""Classes and prices of A64 words; the words were assembled by llvm-mc 19."""

from __future__ import annotations

import pytest

from portrait_tflite.benchmarks.arm.decode import (
    block_cost,
    is_dot,
    is_load_store,
    is_vector,
    micro_ops,
)
from portrait_tflite.benchmarks.arm.micro_ops import MicroOps, busiest_pipe, find, rule

_VECTORS = {
    "fmla v0.4s, v1.4s, v2.s[0]": (0x4F821020, MicroOps(vector=1)),
    "fadd s0, s1, s2": (0x1E222820, MicroOps(vector=1)),
    "fmul v0.8h, v1.8h, v2.8h": (0x6E421C20, MicroOps(vector=1)),
    "smax v0.16b, v1.16b, v2.16b": (0x4E226420, MicroOps(vector=1)),
    "movi v0.4s, #1": (0x4F000420, MicroOps(vector=1)),
    "smull v0.8h, v1.8b, v2.8b": (0x0E22C020, MicroOps(v0=1)),
    "smlal2 v0.4s, v1.8h, v2.h[3]": (0x4F722020, MicroOps(v0=1)),
    "mul v0.2s, v1.2s, v2.2s": (0x0EA29C20, MicroOps(v0=1)),
    "mul v0.4s, v1.4s, v2.4s": (0x4EA29C20, MicroOps(v0=2)),
    "sqrdmulh v0.4s, v1.4s, v2.4s": (0x6EA2B420, MicroOps(v0=2)),
    "scvtf v0.4s, v1.4s": (0x4E21D820, MicroOps(v0=2)),
    "fdiv v0.4s, v1.4s, v2.4s": (0x6E22FC20, MicroOps(v0=7)),
    "fcmp s0, s1": (0x1E212000, MicroOps(v0=1)),
    "srshl v0.4s, v1.4s, v2.4s": (0x4EA25420, MicroOps(v1=1)),
    "sadalp v0.4s, v1.8h": (0x4E606820, MicroOps(v1=1)),
    "sqxtn v0.4h, v1.4s": (0x0E614820, MicroOps(v1=1)),
    "shl v0.4s, v1.4s, #3": (0x4F235420, MicroOps(v1=1)),
    "saddlv h0, v1.16b": (0x4E303820, MicroOps(v1=2)),
    "fmov w0, s1": (0x1E260020, MicroOps(v1=1)),
    "dup v0.4s, w1": (0x4E040C20, MicroOps(multiply=1)),
    "scvtf s0, w1": (0x1E220020, MicroOps(v0=1, multiply=1)),
    "fcvtzs w0, s1": (0x1E380020, MicroOps(v0=1, v1=1)),
}
_DOTS = {
    "sdot v0.4s, v1.16b, v2.16b": (0x4E829420, MicroOps(vector=1)),
    "sdot v0.4s, v1.16b, v2.4b[1]": (0x4FA2E020, MicroOps(vector=1)),
    "udot v0.2s, v1.8b, v2.8b": (0x2E829420, MicroOps(vector=1)),
    "udot v0.4s, v1.16b, v2.4b[3]": (0x6FA2E820, MicroOps(vector=1)),
}
_LOADS_STORES = {
    "ldr w0, [x1]": (0xB9400020, MicroOps(load_store=1)),
    "ldr q0, [x1], #16": (0x3CC10420, MicroOps(load_store=1)),
    "ldp q0, q1, [x2], #32": (0xACC10440, MicroOps(load_store=2)),
    "ld1 {v0.4s-v3.4s}, [x1]": (0x4C402820, MicroOps(load_store=4)),
    "ld1r {v0.4s}, [x1]": (0x4D40C820, MicroOps(load_store=1, vector=1)),
    "str w0, [x1]": (0xB9000020, MicroOps(load_store=1)),
    "str d0, [x1]": (0xFD000020, MicroOps(load_store=1, vector=1)),
    "str q0, [x1]": (0x3D800020, MicroOps(load_store=2, vector=2)),
    "stp q0, q1, [x2]": (0xAD000440, MicroOps(load_store=4, vector=2)),
    "prfm pldl1keep, [x0]": (0xF9800000, MicroOps(load_store=1)),
    "ldxr w0, [x1]": (0x885F7C20, MicroOps(load_store=1)),
}
_OTHERS = {
    "add x0, x1, #16": (0x91004020, MicroOps(integer=1)),
    "add x0, x1, x2, lsl #2": (0x8B020820, MicroOps(integer=1)),
    "add x0, x1, x2, lsl #8": (0x8B022020, MicroOps(multiply=1)),
    "madd w0, w1, w2, w3": (0x1B020C20, MicroOps(multiply=1)),
    "umulh x0, x1, x2": (0x9BC27C20, MicroOps(multiply=3)),
    "sdiv w0, w1, w2": (0x1AC20C20, MicroOps(multiply=5)),
    "b.ne #16": (0x54000081, MicroOps(branch=1)),
    "bl #16": (0x94000004, MicroOps(branch=1, integer=1)),
    "ret": (0xD65F03C0, MicroOps(branch=1)),
    "nop": (0xD503201F, MicroOps()),
    "adrp x0, #4096": (0xB0000000, MicroOps(integer=1)),
}
_ALL = _VECTORS | _DOTS | _LOADS_STORES | _OTHERS


@pytest.mark.parametrize("text", _ALL)
def test_a_word_has_its_class_and_its_pipes(text: str) -> None:
    word, occupied = _ALL[text]
    assert is_vector(word) is (text in _VECTORS or text in _DOTS)
    assert is_dot(word) is (text in _DOTS)
    assert is_load_store(word) is (text in _LOADS_STORES)
    assert micro_ops(word) == occupied


def words(*texts: str) -> list[int]:
    return [_ALL[text][0] for text in texts]


def test_a_block_is_priced_by_its_busiest_pipe() -> None:
    loop = block_cost(words("ldr q0, [x1], #16", *["mul v0.4s, v1.4s, v2.4s"] * 3, "b.ne #16"))
    assert (loop.instructions, loop.vector, loop.dot, loop.load_store) == (5, 3, 0, 1)
    assert loop.bound == 1.5  # three vector ops, two a cycle
    assert loop.cycles == 6  # but products go through one pipe, in halves


def test_the_width_of_the_core_prices_a_block_of_cheap_ones() -> None:
    cheap = block_cost(words("add x0, x1, #16", "ldr w0, [x1]", "nop", "movi v0.4s, #1"))
    assert cheap.bound == cheap.cycles == 1


def test_a_block_costs_its_runs() -> None:
    block = block_cost(words(*_DOTS))
    assert (block * 3 - block).dot == 2 * len(_DOTS)
    assert (block * 3 - block).cycles == 2 * block.cycles == 4


def test_either_vector_pipe_counts_beside_the_one_that_is_named() -> None:
    assert busiest_pipe([MicroOps(vector=1), MicroOps(v0=1)]) == 1
    assert busiest_pipe([MicroOps(v0=2), MicroOps(v1=1)]) == 2


def test_the_first_rule_that_fits_holds() -> None:
    rules = (rule("1.0", MicroOps(v0=1), MicroOps(v0=2)), rule("1..", MicroOps(v1=1)))
    assert find(rules, 0x80000000, full=False) == MicroOps(v0=1)
    assert find(rules, 0xC0000000, full=True) == MicroOps(v0=2)
    assert find(rules, 0xA0000000, full=True) == MicroOps(v1=1)
    assert find(rules, 0x20000000, full=True) is None
