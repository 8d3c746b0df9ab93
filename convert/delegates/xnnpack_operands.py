"""XNNPACK's rules on how many tensors an op has, of which rank, and which must be in the file.

Source: LiteRT, `tflite/delegates/xnnpack/xnnpack_delegate.cc` (the functions `CheckNum…`,
`Check…Shape` and `CheckTensorStaticAllocation`), read at commit f674577 (August 2026).
"""

from __future__ import annotations

from math import prod

from portrait_tflite.convert.delegates.site import Site, numbers
from portrait_tflite.convert.delegates.xnnpack_ops import (
    BIAS,
    BINARY,
    CONVOLUTIONS,
    DATA_INPUTS,
    FILTER,
    INPUT_COUNTS,
    PARAMETERS,
    REDUCTIONS,
    UNARY,
)
from portrait_tflite.convert.files.flatbuffer_nodes import Operand

MAX_RANK = 6
MAX_SPLITS = 4
_UNLIMITED = 99
_FOUR = CONVOLUTIONS | {"RESIZE_BILINEAR"}


def input_count(site: Site) -> str:
    """Refuse too few or too many inputs."""
    count = len(site.node.inputs)
    least, most = INPUT_COUNTS.get(site.op, (0, count))
    if least <= count <= most:
        return ""
    return f"{count} inputs; XNNPACK takes {least if least == most else f'{least} to {most}'}"


def split_count(site: Site) -> str:
    """Refuse a split into one part, or into more than four."""
    count = len(site.node.outputs)
    return "" if 2 <= count <= MAX_SPLITS else f"{count} outputs; XNNPACK takes 2 to {MAX_SPLITS}"


def no_bias(site: Site) -> str:
    """Refuse a convolution whose bias is left out."""
    return "" if site.input(BIAS[site.op]) is not None else "it has no bias"


def data_rank(site: Site) -> str:
    """Refuse values of another rank, or without elements."""
    least, most = _ranks(site.op)
    given = [*site.inputs(DATA_INPUTS.get(site.op, (0,)))]
    if site.op in _FOUR | {"PAD", "RESHAPE"}:
        given += site.node.outputs[:1]
    return next((fault for o in given if (fault := _rank_fault(site, o, least, most))), "")


def too_many_dimensions(site: Site) -> str:
    """Find values of a rank that XNNPACK has no room for."""
    given = [*site.inputs(DATA_INPUTS.get(site.op, (0,))), *site.node.outputs]
    most = max((len(site.shape(operand)) for operand in given), default=0)
    return f"rank {most}; XNNPACK has {MAX_RANK} at most" if most > MAX_RANK else ""


def filter_rank(site: Site) -> str:
    """Refuse weights of another rank."""
    rank = 2 if site.op == "FULLY_CONNECTED" else 4
    return _rank_fault(site, site.inputs((FILTER[site.op],))[0], rank, rank)


def bias_rank(site: Site) -> str:
    """Refuse a bias that is not one number per channel, in one dimension."""
    bias = site.input(BIAS[site.op])
    if bias is None:
        return ""
    if site.op == "FULLY_CONNECTED":
        channels = site.shape(site.inputs((1,))[0])[0]
        size = prod(site.shape(bias))
        return "" if size == channels else f"{size} biases for {channels} channels"
    rank = len(site.shape(bias))
    return "" if rank == 1 else f"its bias has {rank} dimensions; XNNPACK takes one"


def computed_weights(site: Site) -> str:
    """Refuse weights and biases that the net computes."""
    positions = (FILTER[site.op], BIAS[site.op]) if site.op in FILTER else (1,)
    computed = next((o for o in site.inputs(positions) if not site.fixed(o)), None)
    return f"{computed.name!r} is computed; XNNPACK takes constant weights" if computed else ""


def computed_parameters(site: Site) -> str:
    """Refuse axes, shapes and paddings that the net computes."""
    given = site.inputs(PARAMETERS.get(site.op, ()))
    computed = next((o for o in given if not o.constant), None)
    return f"{computed.name!r} is computed; XNNPACK takes a constant" if computed else ""


def parameter_shape(site: Site) -> str:
    """Refuse axes, shapes and paddings that are not laid out as one list."""
    source = site.inputs(DATA_INPUTS.get(site.op, (0,)))[0]
    rank = len(site.shape(source))
    for operand in site.inputs(PARAMETERS.get(site.op, ())):
        shape = site.shape(operand)
        if fault := _list_fault(site.op, shape, rank):
            return f"{operand.name!r} has shape {list(shape)}; {fault}"
    return ""


def negative_paddings(site: Site) -> str:
    """Refuse paddings that cut."""
    return "a padding below 0" if any(numbers(o).min() < 0 for o in site.inputs((1,))) else ""


def _list_fault(op: str, shape: tuple[int, ...], rank: int) -> str:
    if op == "PAD":
        return "" if shape == (rank, 2) else f"XNNPACK takes {[rank, 2]}"
    if op in REDUCTIONS:
        return "" if len(shape) <= 1 else "XNNPACK takes a list"
    if op == "STRIDED_SLICE":
        return "" if shape == (rank,) else f"XNNPACK takes {[rank]}"
    if op in {"SLICE", "RESIZE_BILINEAR"}:
        return "" if len(shape) == 1 else "XNNPACK takes a list"
    if op == "TRANSPOSE_CONV":
        return "" if shape == (4,) else "XNNPACK takes [4]"
    if op == "RESHAPE":
        return "" if len(shape) == 1 or set(shape[:-1]) == {1} else "XNNPACK takes a list"
    return ""


def _ranks(op: str) -> tuple[int, int]:
    if op in _FOUR:
        return 4, 4
    if op in {"PAD", "TRANSPOSE"}:
        return 1, MAX_RANK
    if op == "BATCH_MATMUL":
        return 2, MAX_RANK
    limited = UNARY | BINARY | {"RESHAPE", "SLICE", "STRIDED_SLICE"}
    return 0, MAX_RANK if op in limited else _UNLIMITED


def _rank_fault(site: Site, operand: Operand, least: int, most: int) -> str:
    shape = site.shape(operand)
    if not least <= len(shape) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        return f"{operand.name!r} has rank {len(shape)}; XNNPACK takes {wanted}"
    return f"{operand.name!r} is empty" if 0 in shape and most <= MAX_RANK else ""
