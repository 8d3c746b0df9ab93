"""Vector and floating-point instructions of A64 (bits 28–25 are `.111`): which pipes they occupy.

The encodings are those of the Arm Architecture Reference Manual, C4.1, "Data Processing — Scalar
Floating-Point and Advanced SIMD"; a scalar vector instruction is its vector form with bits 30 and
28 set. What fits no rule occupies either vector pipe once, as most do.
"""

from __future__ import annotations

from portrait_tflite.benchmarks.arm.micro_ops import MicroOps, Rule, rule

EITHER = MicroOps(vector=1)
_V0 = MicroOps(v0=1)
_V0_TWICE = MicroOps(v0=2)
_V0_FOUR = MicroOps(v0=4)
_V1 = MicroOps(v1=1)
_DIVIDE = MicroOps(v0=7)
_DIVIDE_8H = MicroOps(v0=10)
_TO_INTEGER = MicroOps(v0=1, v1=1)
_FROM_INTEGER = MicroOps(v0=1, multiply=1)

_SCALAR_FLOAT = (
    rule("00011111", EITHER),  # FMADD, FMSUB, FNMADD, FNMSUB
    rule(".0011110 ..1..110 000000..", _V1),  # FMOV to an integer register
    rule(".0011110 ..1..111 000000..", MicroOps(multiply=1)),  # FMOV from one
    rule(".0011110 ..1..01. 000000..", _FROM_INTEGER),  # SCVTF, UCVTF
    rule(".0011110 ..1..... 000000..", _TO_INTEGER),  # FCVT?S, FCVT?U
    rule(".0011110 ..0..01.", _FROM_INTEGER),  # SCVTF, UCVTF of fixed point
    rule(".0011110 ..0.....", _TO_INTEGER),  # FCVTZS, FCVTZU to fixed point
    rule("00011110 ..100001 110000..", _DIVIDE),  # FSQRT
    rule("00011110 ..1001.. .10000..", _V0),  # FRINT?
    rule("00011110 ..1..... ..1000..", _V0),  # FCMP, FCMPE
    rule("00011110 ..1..... ....01..", _V0),  # FCCMP, FCCMPE
    rule("00011110 ..1..... 000110..", _DIVIDE),  # FDIV
    rule("00011110", EITHER),
)

_SAME_SHAPE = (
    rule("0...1110 ..1..... 010..1..", _V1),  # SSHL, SQSHL, SRSHL, SQRSHL, also unsigned
    rule("0...1110 ..1..... 011111..", _V1),  # SABA, UABA
    rule("0...1110 ..1..... 1001.1..", _V0, _V0_TWICE),  # MLA, MLS, MUL, PMUL
    rule("0...1110 ..1..... 101101..", _V0, _V0_TWICE),  # SQDMULH, SQRDMULH
    rule("0.1.1110 0.1..... 111111..", _DIVIDE),  # FDIV
    rule("0.1.1110 010..... 001111..", _DIVIDE, _DIVIDE_8H),  # FDIV of 16-bit floats
    rule("0.1.1110 ..0..... 1000.1..", _V0, _V0_TWICE),  # SQRDMLAH, SQRDMLSH
)

_TWICE_AS_WIDE = (
    rule("0...1110 ..1..... 010100..", _V1),  # SABAL, UABAL
    rule("0...1110 ..1..... 1...00..", _V0),  # SMULL, SMLAL, SMLSL, SQDMULL, PMULL …
)

_ONE_SOURCE = (
    rule("0...1110 ..100000 011010..", _V1),  # SADALP, UADALP
    rule("0.1.1110 ..100001 001010..", _V1),  # SQXTUN
    rule("0.1.1110 ..100001 001110..", _V1),  # SHLL
    rule("0...1110 ..100001 010010..", _V1),  # SQXTN, UQXTN
    rule("0...1110 .0100001 011.10..", _V0_TWICE),  # FCVTN, FCVTL from and to 16 bits
    rule("0...1110 .1100001 011.10..", _V0),  # FCVTN, FCVTL from and to 64 bits
    rule("0.1.1110 1.100001 111110..", _DIVIDE),  # FSQRT
    rule("0.1.1110 11111001 111110..", _DIVIDE, _DIVIDE_8H),  # FSQRT of 16-bit floats
    # FRINT?, FCVT?S, FCVT?U, SCVTF, UCVTF, FRECPE, FRSQRTE: two lanes a cycle.
    rule("0..11110 ..100001 1...10..", _V0),
    rule("0..01110 .1100001 1...10..", _V0),
    rule("0..01110 .0100001 1...10..", _V0, _V0_TWICE),
    rule("0..11110 .1111001 1...10..", _V0),
    rule("0..01110 .1111001 1...10..", _V0_TWICE, _V0_FOUR),
)

_ACROSS_LANES = (
    rule("0..01110 ..110000 11..10..", MicroOps(vector=1), MicroOps(vector=3)),  # FMAXV …
    rule("0..01110 1.11000. ....10..", _V1),  # ADDV, SADDLV, SMAXV … of 32 bits
    rule("0..01110 0111000. ....10..", _V1, MicroOps(v1=1, vector=1)),  # … of 16 bits
    rule("0..01110 0011000. ....10..", MicroOps(v1=1, vector=1), MicroOps(v1=2)),  # … of 8
)

_BETWEEN_REGISTERS = (
    rule("0.001110 000..... 000011..", MicroOps(multiply=1)),  # DUP from an integer register
    rule("01001110 000..... 000111..", MicroOps(multiply=1, vector=1)),  # INS from one
    rule("0.001110 000..... 001.11..", _V1),  # SMOV, UMOV
    rule("0.001110 000..... 010000..", MicroOps(vector=4)),  # TBL with 3 registers of table
    rule("0.001110 000..... 011000..", MicroOps(vector=3)),  # TBL with 4
    rule("0.001110 000..... 001100..", MicroOps(vector=4)),  # TBX with 2
    rule("0.001110 000..... 010100..", MicroOps(vector=3)),  # TBX with 3
    rule("0.001110 000..... 011100..", MicroOps(vector=5)),  # TBX with 4
)

_BY_CONSTANT = (
    rule("0..01111 00000... .....1..", EITHER),  # MOVI, MVNI, FMOV, ORR, BIC
    rule("0...1111 0....... 111..1..", _V0, _V0_TWICE),  # SCVTF, FCVTZS … of fixed point
    rule("0...1111 0....... .....1..", _V1),  # all shifts
)

_BY_ELEMENT = (
    rule("0...1111 ........ 0.01.0..", EITHER),  # FMLA, FMLS
    rule("0...1111 ........ 1001.0..", EITHER),  # FMUL, FMULX
    rule("0...1111 ........ 1110.0..", EITHER),  # SDOT, UDOT
    rule("0...1111 ........ 11.1.0..", _V0, _V0_TWICE),  # SQRDMULH, SQRDMLAH, SQRDMLSH
    rule("0...1111 ........ ..1..0..", _V0),  # SMULL, SMLAL, SQDMULL …
    rule("0.1.1111 ........ 0.00.0..", _V0, _V0_TWICE),  # MLA, MLS
    rule("0.0.1111 ........ 1.00.0..", _V0, _V0_TWICE),  # MUL, SQDMULH
)

# Scalar floats stand first: a vector's wildcards would take some of them.
RULES: tuple[Rule, ...] = (
    *_SCALAR_FLOAT,
    *_SAME_SHAPE,
    *_TWICE_AS_WIDE,
    *_ONE_SOURCE,
    *_ACROSS_LANES,
    *_BETWEEN_REGISTERS,
    *_BY_CONSTANT,
    *_BY_ELEMENT,
)
