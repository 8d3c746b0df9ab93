"""XNNPACK's rules on dtypes, and on how integers stand for real numbers.

Source: LiteRT, `tflite/delegates/xnnpack/xnnpack_delegate.cc` (the functions `CheckTensor…Type` and
`GetXNNPackDatatype`), read at commit f674577 (August 2026).
"""

from __future__ import annotations

import math

from portrait_tflite.convert.delegates.site import Quantization, Site
from portrait_tflite.convert.delegates.xnnpack_ops import (
    BIAS,
    DATA_INPUTS,
    FILTER,
    INTEGER_BINARY,
    PARAMETERS,
    XNNPACK_FLOAT_ONLY_OPS,
)
from portrait_tflite.convert.files.flatbuffer_nodes import Operand

FLOATS = frozenset({"float32", "float16"})
BYTES = frozenset({"int8", "uint8"})
_RANGE = {"int8": (-128, 127), "uint8": (0, 255), "int32": (0, 0)}

# What the data inputs may be, where that is not all floats and bytes.
_INPUTS: dict[str, frozenset[str]] = {
    **dict.fromkeys(XNNPACK_FLOAT_ONLY_OPS, FLOATS),
    **dict.fromkeys(
        ("MAX_POOL_2D", "RESIZE_BILINEAR", "SPACE_TO_DEPTH", "TRANSPOSE_CONV"),
        BYTES | {"float32"},
    ),
    "DEQUANTIZE": BYTES,
    "ELU": FLOATS | {"int8"},
}
_OUTPUTS: dict[str, frozenset[str]] = {
    **dict.fromkeys(XNNPACK_FLOAT_ONLY_OPS, FLOATS),
    "DEQUANTIZE": FLOATS,
    "ELU": FLOATS | {"int8"},
    "TRANSPOSE_CONV": BYTES | {"float32"},
}
# The dimension of the channels in a filter that has a scale per channel.
_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}


def flowing(site: Site) -> list[Operand]:
    """The inputs that flow through the net, in their order."""
    return site.inputs(DATA_INPUTS.get(site.op, (0,)))


def float_only(site: Site) -> str:
    """Refuse integers where XNNPACK computes in float alone."""
    if site.op not in XNNPACK_FLOAT_ONLY_OPS:
        return ""
    values = (*flowing(site), *site.node.outputs[:1])
    integer = next((o.dtype for o in values if "int" in o.dtype), "")
    return f"XNNPACK has {site.op} in float only; this one is {integer}" if integer else ""


def activations(site: Site) -> str:
    """Refuse other dtypes than its floats and bytes in what flows through the net."""
    taken = [(o, _INPUTS.get(site.op, FLOATS | BYTES)) for o in flowing(site)]
    taken += [(o, _OUTPUTS.get(site.op, FLOATS | BYTES)) for o in _outputs(site)]
    other = next((o.dtype for o, kinds in taken if o.dtype not in kinds), "")
    return f"XNNPACK takes no {other} in {site.op}" if other else ""


def activation_scales(site: Site) -> str:
    """Refuse bytes that have not one scale for the whole tensor."""
    for operand in (*flowing(site), *_outputs(site)):
        if operand.dtype not in BYTES:
            continue
        found = site.quantization(operand)
        if found is None:
            return f"{operand.dtype} values in {operand.name!r} without a scale"
        if len(found.scales) != 1 or found.axis != 0:
            return f"a scale per channel in {operand.name!r}; XNNPACK takes one for all"
    return ""


def mixed(site: Site) -> str:
    """Refuse ops whose inputs and output are not of one dtype."""
    source, target = flowing(site), site.node.outputs[0]
    if site.op in INTEGER_BINARY and len({o.dtype for o in (*source, target)}) > 1:
        return f"mixed dtypes: {', '.join(o.dtype for o in (*source, target))}"
    if site.op not in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
        return ""
    if source[0].dtype != target.dtype:
        return f"{source[0].dtype} in and {target.dtype} out"
    weights = site.inputs((FILTER[site.op],))[0]
    if source[0].dtype == weights.dtype or _computes_from_bytes(site, source[0], weights):
        return ""
    return f"{weights.dtype} weights on {source[0].dtype} values"


def filter_type(site: Site) -> str:
    """Refuse weights of another dtype, or with scales along another dimension."""
    weights = site.inputs((FILTER[site.op],))[0]
    small = site.op == "FULLY_CONNECTED" and weights.dtype in {"int4", "int2"}
    if weights.dtype not in FLOATS | BYTES and not small:
        return f"{weights.dtype} weights"
    if weights.dtype in FLOATS:
        return ""
    found = site.quantization(weights)
    if found is None:
        return f"{weights.dtype} weights without a scale"
    return _channel_fault(found, weights, _CHANNEL_AXIS[site.op])


def product_types(site: Site) -> str:
    """Refuse a matrix product of two dtypes, or of a second one whose zero is not 0."""
    one, other = site.inputs((0, 1))
    found = site.quantization(other)
    if other.dtype in BYTES:
        if found is None:
            return f"{other.dtype} values in {other.name!r} without a scale"
        axis = len(site.shape(other)) - (2 if site.node.option("adjY") else 1)
        if fault := _channel_fault(found, other, axis):
            return fault
    if one.dtype == "float32" and other.dtype == "int8":
        return ""
    if one.dtype != other.dtype or (found and len(found.scales) > 1):
        return f"{other.dtype} weights on {one.dtype} values"
    point = found.zero_points[0] if found and other.dtype == "int8" else 0
    return f"a zero point of {other.name!r} is {point}; XNNPACK takes 0" if point else ""


def bias_type(site: Site) -> str:
    """Refuse a bias of another dtype, or one whose scales XNNPACK cannot read."""
    bias = site.input(BIAS[site.op])
    if bias is None or bias.dtype in FLOATS:
        return ""
    found = site.quantization(bias)
    if bias.dtype != "int32" or found is None:
        return f"a bias of {bias.dtype} without a scale"
    return _channel_fault(found, bias, 0)


def bias_like_filter(site: Site) -> str:
    """Refuse a bias that is packed to float16 where the weights are not."""
    weights, bias = site.inputs((FILTER[site.op], BIAS[site.op]))[:1], site.input(BIAS[site.op])
    if not weights or bias is None or site.op == "TRANSPOSE_CONV":
        return ""
    kind = site.stored(weights[0])
    taken = {"float16": {"float16", "float32"}, "float32": {"float32"}}.get(kind)
    if taken is None or site.stored(bias) in taken:
        return ""
    return f"a {site.stored(bias)} bias with {kind} weights"


def packed_bias(site: Site) -> str:
    """Find a bias packed to float16 beside integer weights."""
    weights, bias = site.inputs((FILTER[site.op],))[0], site.input(BIAS[site.op])
    if bias is None or site.stored(bias) != "float16" or weights.dtype in FLOATS:
        return ""
    return f"a float16 bias with {weights.dtype} weights"


def parameter_type(site: Site) -> str:
    """Refuse axes, shapes and paddings of another dtype than int32."""
    if site.op == "TRANSPOSE":
        return ""
    kinds = {"int32", "int64"} if site.op == "SLICE" else {"int32"}
    given = site.inputs(PARAMETERS.get(site.op, ()))
    other = next((o for o in given if o.dtype not in kinds), None)
    return f"{other.name!r} is {other.dtype}; XNNPACK takes int32" if other else ""


def _outputs(site: Site) -> tuple[Operand, ...]:
    return site.node.outputs if site.op == "SPLIT" else site.node.outputs[:1]


def _computes_from_bytes(site: Site, source: Operand, weights: Operand) -> bool:
    """Whether XNNPACK quantizes the values itself, to meet integer weights."""
    if site.op == "CONV_2D":
        return source.dtype == "float32" and weights.dtype == "int8"
    small = weights.dtype in {"int8", "int4", "int2"}
    return site.op == "FULLY_CONNECTED" and small and source.dtype in FLOATS | {"int8"}


def _channel_fault(found: Quantization, operand: Operand, axis: int) -> str:
    if len(found.scales) > 1 and found.axis != axis:
        return f"scales of {operand.name!r} along dimension {found.axis}; XNNPACK takes {axis}"
    if operand.dtype == "uint8" and (len(found.scales) > 1 or found.axis != 0):
        return f"a scale per channel in {operand.name!r}, which is uint8"
    if any(not math.isfinite(scale) or scale <= 0 for scale in found.scales):
        return f"a scale of {operand.name!r} is no number above 0"
    low, high = _RANGE.get(operand.dtype, (-8, 8)) if len(found.scales) == 1 else (0, 0)
    if not all(low <= point <= high for point in found.zero_points):
        return f"a zero point of {operand.name!r} is {found.zero_points[0]}"
    return ""
