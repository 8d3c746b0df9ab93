"""The second operand of an op of two, which may be smaller than the first."""

from __future__ import annotations

from cost_tables.one_op_net import OneOpNet

from portrait_tflite.convert.costs.costed_op import CostedOp


def broadcasts_of(kind: str) -> tuple[str, ...]:
    """Name an op with a second operand of each size, as of `CostedOp.kind`."""
    return kind, f"{kind}_SCALAR", f"{kind}_CHANNELS", f"{kind}_POSITIONS"


def read_again(net: OneOpNet, op: CostedOp) -> int:
    """Add the operand: another tensor, or what the kind says is read again and again."""
    if op.kind.endswith("_SCALAR"):
        return net.add_operand()
    if op.kind.endswith("_CHANNELS"):
        return net.add_operand(op.channels_out)
    depth = 1 if op.kind.endswith("_POSITIONS") else op.channels_out
    return net.add_input(1, op.height, op.width, depth)
