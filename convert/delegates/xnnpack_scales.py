"""XNNPACK's rules on scales and zero points that must fit each other.

Source: LiteRT, `tflite/delegates/xnnpack/xnnpack_delegate.cc` (`CheckTensorsInputOutputScale`,
`CheckTensorsInputProductOutputScale` and the functions named at each rule in the table), read at
commit f674577 (August 2026).
"""

from __future__ import annotations

import math

import numpy as np

from portrait_tflite.convert.delegates.site import Site
from portrait_tflite.convert.delegates.xnnpack_types import BYTES, flowing
from portrait_tflite.convert.files.flatbuffer_nodes import Operand

_SUM = (2.0**-10, 2.0**8)  # below the second
_PRODUCT = (2.0**-16, 2.0**8)  # below the second
_REQUANTIZED = (2.0**-8, 2.0**7)
_LEAKY = (-127.99609375, 128.0)


def sum_ratio(site: Site) -> str:
    """Refuse an ADD or SUB that would scale an input by too much or too little."""
    target = site.node.outputs[0]
    for operand in flowing(site):
        ratio = _ratio(site, operand, target)
        if ratio and not _SUM[0] <= ratio < _SUM[1]:
            return _told(operand.name, ratio, _SUM)
    return ""


def product_ratio(site: Site) -> str:
    """Refuse a MUL that would scale the product by too much or too little."""
    target = site.node.outputs[0]
    one, other = flowing(site)
    if len({one.dtype, other.dtype, target.dtype}) > 1 or target.dtype not in BYTES:
        return ""
    # In single precision, as XNNPACK: at the limits the last bit decides.
    ratio = float(np.float32(_scale(site, one)) * np.float32(_scale(site, other)))
    ratio = float(np.float32(ratio) / np.float32(_scale(site, target)))
    return "" if _PRODUCT[0] <= ratio < _PRODUCT[1] else _told("the product", ratio, _PRODUCT)


def requantize_ratio(site: Site) -> str:
    """Refuse a QUANTIZE that would scale by too much or too little."""
    source, target = flowing(site)[0], site.node.outputs[0]
    if source.dtype not in BYTES:
        return ""
    if source.dtype != target.dtype:
        return f"from {source.dtype} to {target.dtype}; XNNPACK requantizes within one dtype"
    ratio = _ratio(site, source, target)
    inside = _REQUANTIZED[0] <= ratio <= _REQUANTIZED[1]
    return "" if inside else _told(source.name, ratio, _REQUANTIZED)


def leaky_ratio(site: Site) -> str:
    """Refuse a LEAKY_RELU that would scale either side by too much or too little."""
    source, target = flowing(site)[0], site.node.outputs[0]
    if source.dtype not in BYTES or target.dtype not in BYTES:
        return ""
    ratio = float(np.float32(_scale(site, source)) / np.float32(_scale(site, target)))
    if not _REQUANTIZED[0] <= ratio <= _REQUANTIZED[1]:
        return _told(source.name, ratio, _REQUANTIZED)
    below = float(np.float32(ratio) * np.float32(site.node.option("alpha", 0.0)))
    if _LEAKY[0] <= below <= _LEAKY[1] and abs(below) >= _REQUANTIZED[0]:
        return ""
    return _told("the negative side", below, _REQUANTIZED)


def same_scale(site: Site) -> str:
    """Refuse a RESHAPE that would requantize."""
    source, target = flowing(site)[0], site.node.outputs[0]
    if target.dtype not in BYTES or _per_tensor(site, source) == _per_tensor(site, target):
        return ""
    return "input and output have another scale or zero point"


def moved_scale(site: Site) -> str:
    """Find a move of integers whose output, or one of them, has another scale than its input."""
    source = flowing(site)[0]
    wanted = _per_tensor(site, source)
    if source.dtype not in BYTES or _is_clamp(site):
        return ""
    other = next((o for o in site.node.outputs if _per_tensor(site, o) != wanted), None)
    return f"{other.name!r} has another scale or zero point than the input" if other else ""


def _is_clamp(site: Site) -> bool:
    """Tell a pool of single pixels with an activation, whose scales nobody compares."""
    window = site.node.option("filterHeight", 0), site.node.option("filterWidth", 0)
    return window == (1, 1) and bool(site.node.option("fusedActivationFunction", 0))


def joined_scales(site: Site) -> str:
    """Refuse to concatenate uint8 values that would have to be requantized."""
    target = site.node.outputs[0]
    if target.dtype != "uint8":
        return ""
    wanted = _per_tensor(site, target)
    other = next((o for o in flowing(site) if _per_tensor(site, o) != wanted), None)
    return f"{other.name!r} has another scale or zero point than the output" if other else ""


def filter_zero_point(site: Site) -> str:
    """Refuse integer weights whose zero is not 0."""
    source, weights = flowing(site)[0], site.inputs((1,))[0]
    if weights.dtype != "int8" or source.dtype != "int8":
        return ""
    found = site.quantization(weights)
    point = found.zero_points[0] if found and len(found.scales) == 1 else 0
    return f"a zero point of the weights is {point}" if point else ""


def _ratio(site: Site, source: Operand, target: Operand) -> float:
    """Scale of one over the other, in single precision; 0.0 where the op is not of bytes."""
    if source.dtype != target.dtype or source.dtype not in BYTES:
        return 0.0
    return float(np.float32(_scale(site, source)) / np.float32(_scale(site, target)))


def _scale(site: Site, operand: Operand) -> float:
    found = site.quantization(operand)
    return found.scales[0] if found else math.nan


def _per_tensor(site: Site, operand: Operand) -> tuple[float, int]:
    found = site.quantization(operand)
    if found is None or len(found.scales) != 1:
        return 0.0, 0
    return found.scales[0], found.zero_points[0]


def _told(what: str, ratio: float, limits: tuple[float, float]) -> str:
    name = what if what.startswith("the ") else f"input {what!r}"
    return (
        f"scale ratio {ratio:.2g} of {name} to the output; "
        f"XNNPACK takes {limits[0]:.2g} to {limits[1]:.3g}"
    )
