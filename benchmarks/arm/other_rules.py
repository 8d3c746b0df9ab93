"""Loads, stores, integer instructions and branches of A64: which pipes they occupy.

The encodings are those of the Arm Architecture Reference Manual, C4.1. A pair of registers, or of
vectors, goes through the load pipes one after the other; a store of a vector also passes a vector
pipe. Additions that move an address along with a load are not counted.
"""

from __future__ import annotations

from portrait_tflite.benchmarks.arm.micro_ops import MicroOps, Rule, rule


def _uses(load_store: int, vector: int) -> MicroOps:
    return MicroOps(load_store=load_store, vector=vector)


ONE_ACCESS = MicroOps(load_store=1)
ONE_INTEGER = MicroOps(integer=1)
_M = MicroOps(multiply=1)
_M_THREE = MicroOps(multiply=3)

_LOADED_STRUCTURES = (
    rule("0.001100 .1...... 0111....", ONE_ACCESS),  # LD1, one register
    rule("0.001100 .1...... 1010....", _uses(2, 0)),  # … two
    rule("0.001100 .1...... 0110....", _uses(3, 0)),  # … three
    rule("0.001100 .1...... 0010....", _uses(4, 0)),  # … four
    rule("0.001100 .1...... 1000....", _uses(2, 2)),  # LD2
    rule("0.001100 .1...... 0100....", _uses(3, 3)),  # LD3
    rule("0.001100 .1...... 0000....", _uses(3, 4), _uses(4, 4)),  # LD4
    rule("0.001101 .10..... ..0.....", _uses(1, 1)),  # LD1 of a lane, LD1R
    rule("0.001101 .11..... ..0.....", _uses(2, 2)),  # LD2 of a lane, LD2R
    rule("0.001101 .10..... ..1.....", _uses(2, 3)),  # LD3 of a lane, LD3R
    rule("0.001101 .11..... ..1.....", _uses(4, 4)),  # LD4 of a lane, LD4R
)

_STORED_STRUCTURES = (
    rule("0.001100 .0...... 0111....", _uses(1, 1)),  # ST1, one register
    rule("0.001100 .0...... 1010....", _uses(1, 2), _uses(2, 2)),  # … two
    rule("0.001100 .0...... 0110....", _uses(2, 3), _uses(3, 3)),  # … three
    rule("0.001100 .0...... 0010....", _uses(2, 2), _uses(4, 4)),  # … four
    rule("0.001100 .0...... 1000....", _uses(1, 1), _uses(2, 2)),  # ST2
    rule("0.001100 .0...... 0100....", _uses(2, 2), _uses(3, 3)),  # ST3
    rule("0.001100 .0...... 0000....", _uses(3, 3), _uses(6, 6)),  # ST4
    rule("0.001101 .0...... ..0.....", _uses(1, 1)),  # ST1, ST2 of a lane
    rule("0.001101 .0...... ..1.....", _uses(3, 3)),  # ST3, ST4 of a lane
)

_PAIRS = (
    rule("0.1010.. .1......", ONE_ACCESS),  # LDP of 32 bits, LDPSW
    rule("101010.. .1......", _uses(2, 0)),  # LDP of 64 bits
    rule("..1011.. .1......", _uses(2, 0)),  # LDP of vectors
    rule("001010.. .0......", ONE_ACCESS),  # STP of 32 bits
    rule("101010.. .0......", _uses(2, 0)),  # STP of 64 bits
    rule("001011.. .0......", _uses(1, 1)),  # STP of vectors of 32 bits
    rule("011011.. .0......", _uses(2, 2)),  # … of 64
    rule("101011.. .0......", _uses(4, 2)),  # … of 128
)

_SINGLE_STORES = (
    rule("..1111.. 00......", _uses(1, 1)),  # STR of a vector up to 64 bits
    rule("001111.. 10......", _uses(2, 2)),  # STR of 128 bits
)

_INTEGERS = (
    rule("...01011 000..... 0000....", ONE_INTEGER),  # ADD, SUB, shifted by less than 4
    rule("...01011 000..... 000100..", ONE_INTEGER),  # … by 4
    rule("...01011", _M),  # … by more, or extended
    rule(".0110011 0.......", _M),  # BFM
    rule(".0011010 110..... 00001...", MicroOps(multiply=5)),  # UDIV, SDIV
    rule(".0011010 110..... 010.....", _M),  # CRC32
    rule("1..11011 000.....", _M_THREE),  # MADD, MSUB of 64 bits
    rule("1..11011 .10.....", _M_THREE),  # SMULH, UMULH
    rule("...11011", _M),  # other products
)

_BRANCHES = (
    rule("11010101", MicroOps()),  # barriers, hints, system registers
    rule("100101..", MicroOps(branch=1, integer=1)),  # BL
    rule("...101..", MicroOps(branch=1)),
)

LOAD_STORE_RULES: tuple[Rule, ...] = (
    *_LOADED_STRUCTURES,
    *_STORED_STRUCTURES,
    *_PAIRS,
    *_SINGLE_STORES,
)
INTEGER_RULES: tuple[Rule, ...] = (*_INTEGERS, *_BRANCHES)
