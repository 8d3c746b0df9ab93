"""XNNPACK's rules on attributes: strides, windows, masks, activations, slopes.

Source: LiteRT, `tflite/delegates/xnnpack/xnnpack_delegate.cc` (the functions named at each rule in
the table), read at commit f674577 (August 2026).
"""

from __future__ import annotations

import math

import numpy as np

from portrait_tflite.convert.delegates.site import Site, numbers
from portrait_tflite.convert.delegates.xnnpack_types import flowing

# Fused activations, by the schema's numbers.
ACTIVATIONS = {0: "none", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}
_SAME = 0


def activation(site: Site) -> str:
    """Refuse a fused activation that is no clamp."""
    name = ACTIVATIONS.get(site.node.option("fusedActivationFunction", 0), "unknown")
    return f"a fused {name} activation" if name in {"TANH", "SIGN_BIT", "unknown"} else ""


def dense_version(site: Site) -> str:
    """Refuse the one version of the dense layer that stores its weights in another way."""
    return "version 8" if site.node.version == 8 else ""


def dense_format(site: Site) -> str:
    """Refuse weights that are shuffled in the file."""
    return "its weights are stored shuffled" if site.node.option("weightsFormat", 0) else ""


def odd_channels(site: Site) -> str:
    """Refuse a row of packed weights that ends inside a byte."""
    weights = site.inputs((1,))[0]
    count = {"int4": 2, "int2": 4}.get(weights.dtype, 1)
    left = site.shape(weights)[-1] % count
    return f"{site.shape(weights)[-1]} inputs in {weights.dtype}" if left else ""


def groups(site: Site) -> str:
    """Refuse a convolution with fewer channels than its filter."""
    given, wanted = (site.shape(operand)[3] for operand in site.inputs((0, 1)))
    return "" if given >= wanted else f"{given} channels; its filter has {wanted}"


def depth_multiplier(site: Site) -> str:
    """Refuse a depthwise convolution whose channels are no multiple of its multiplier."""
    channels = site.shape(site.inputs((1,))[0])[-1]
    multiplier = site.node.option("depthMultiplier", 1)
    if multiplier > 0 and channels % multiplier == 0:
        return ""
    return f"a depth multiplier of {multiplier} for {channels} channels"


def window(site: Site) -> str:
    """Refuse a pooling window that is smaller than its stride."""
    sizes = (site.node.option("filterHeight", 1), site.node.option("filterWidth", 1))
    strides = (site.node.option("strideH", 1), site.node.option("strideW", 1))
    if all(size >= stride > 0 for size, stride in zip(sizes, strides, strict=True)):
        return ""
    return f"a window {sizes[0]}×{sizes[1]} smaller than its stride {strides[0]}×{strides[1]}"


def transposed_size(site: Site) -> str:
    """Refuse a transposed convolution whose sizes do not fit its padding."""
    shape = numbers(site.inputs((0,))[0])
    weights, source = (site.shape(operand) for operand in site.inputs((1, 2)))
    if len(shape) != 4 or shape[3] != weights[0] or source[3] != weights[3]:
        return "its channels are not those of its filter"
    target, kernel = (int(shape[1]), int(shape[2])), weights[1:3]
    strides = (site.node.option("strideH", 1), site.node.option("strideW", 1))
    if site.node.option("padding", _SAME) != _SAME:
        small = any(k > t for k, t in zip(kernel, target, strict=True))
        return "an output smaller than its kernel" if small else ""
    if any(k < s for k, s in zip(kernel, strides, strict=True)):
        return f"a kernel {kernel[0]}×{kernel[1]} smaller than its stride"
    fitting = tuple(-(-t // s) for t, s in zip(target, strides, strict=True))
    return "" if fitting == source[1:3] else f"an input {source[1:3]} where {fitting} fits"


def block(site: Site) -> str:
    """Refuse blocks of one, and pictures that are no whole number of blocks."""
    size = site.node.option("blockSize", 0)
    if size <= 1:
        return "a block size of 1 or less"
    if site.op == "DEPTH_TO_SPACE":
        return ""
    left = any(length % size for length in site.shape(flowing(site)[0])[1:3])
    return f"a size that is no multiple of the block {size}" if left else ""


def slope(site: Site) -> str:
    """Refuse a LEAKY_RELU whose slope is 0, or too small for a normal number."""
    alpha = float(site.node.option("alpha", 0.0))
    normal = math.isfinite(alpha) and abs(alpha) >= np.finfo(np.float32).smallest_normal
    return "" if normal else f"a slope of {alpha:g}"


def softmax_beta(site: Site) -> str:
    """Refuse a SOFTMAX that scales its logits."""
    beta = site.node.option("beta", 1.0)
    return "" if beta == 1.0 else f"beta {beta:g}; only 1 is taken"


def slice_masks(site: Site) -> str:
    """Refuse slices that change the rank."""
    masks = ("ellipsisMask", "newAxisMask", "shrinkAxisMask")
    return next((f"{mask} is set" for mask in masks if site.node.option(mask, 0)), "")


def slice_strides(site: Site) -> str:
    """Refuse slices that step over elements."""
    strides = numbers(site.inputs((3,))[0])
    return "" if all(strides == 1) else f"strides {strides.tolist()}; only 1 is taken"


def slice_sizes(site: Site) -> str:
    """Refuse slices whose size is "all the rest"."""
    sizes = numbers(site.inputs((2,))[0])
    return "" if all(sizes > 0) else f"sizes {sizes.tolist()}; only numbers above 0 are taken"


def reduced_axes(site: Site) -> str:
    """Refuse a reduction over no dimension."""
    return "" if numbers(site.inputs((1,))[0]).size else "no axes"


def joined_axis(site: Site) -> str:
    """Refuse to concatenate along a dimension that is not there."""
    axis = site.node.option("axis", 0)
    new = any(axis >= len(site.shape(operand)) for operand in flowing(site))
    return f"along a new dimension {axis}" if new else ""


def reshaped_to(site: Site) -> str:
    """Refuse to flatten everything to a list of unknown length."""
    given = site.input(1)
    wanted = site.node.option("newShape") if given is None else numbers(given)
    shape = [] if wanted is None else [int(size) for size in wanted]
    return f"to shape {shape}" if shape in ([-1], [0]) else ""
