"""Better rounding of weights: what each layer gives on the calibration pictures stays nearest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames, observe_tensors
from portrait_tflite.quantize.remedies.compensated_rounding import (
    Doubles,
    round_compensated,
    round_nearest,
    row_errors,
)
from portrait_tflite.quantize.remedies.linear_ops import (
    LinearOp,
    linear_ops,
    read_bias,
    read_weights,
    write_bias,
    write_weights,
)
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quantize.remedies.patches import sample_patches
from portrait_tflite.quantize.remedies.remedy import OnShare, Treated

_PICTURES = 32
_PATCHES = 128  # of a picture
_WIDEST = 2400  # weights of an output channel: their products are inverted as one matrix
_MOST = 2**24  # numbers in the matrices of a convolution in groups, which has one per channel
_OBSERVING = 0.8  # its share of the work


@dataclass(eq=False)
class Products:
    """Sums over patches `x` of what a layer reads: `x` and `x · xᵀ`.

    Of a convolution in groups, a depthwise one included, per output channel, `[o, n]` and
    `[o, n, n]`; else `[n]`, `[n, n]`.
    """

    count: int = 0
    sums: Doubles | float = 0.0
    squares: Doubles | float = 0.0

    def add(self, op: LinearOp, patches: Floats) -> None:
        """Add patches `[p, taps, i]`."""
        count, taps, channels = patches.shape
        groups = op.groups
        if op.depthwise or groups > 1:
            parts = patches.reshape(count, taps, groups, channels // groups)
            seen = parts.transpose(2, 0, 1, 3).reshape(groups, count, -1)
            outputs = op.node.outputs[0].shape[-1] // groups
            squares = np.repeat(seen.transpose(0, 2, 1) @ seen, outputs, axis=0)
            sums = np.repeat(seen.sum(axis=1), outputs, axis=0)
        else:
            rows = patches.reshape(count, taps * channels)
            squares, sums = rows.T @ rows, rows.sum(axis=0)
        self.count += count
        self.sums = self.sums + sums.astype(np.float64)
        self.squares = self.squares + squares.astype(np.float64)

    @property
    def mean(self) -> Doubles:
        """Of the patches."""
        return np.asarray(self.sums) / self.count

    @property
    def plain(self) -> Doubles:
        """Mean products."""
        return np.asarray(self.squares) / self.count

    @property
    def centred(self) -> Doubles:
        """Mean products about the mean, which a bias makes up for."""
        return self.plain - self.mean[..., :, None] * self.mean[..., None, :]


class Rounding:
    """Rounds the weights of convolutions together, not each to the nearest.

    Given:  weights W in float, that the quantizer will round to the nearest steps
    Result: weights that lie on their steps, with the error of each made up for by others
            (`compensated_rounding`), and the mean of what is left taken into the bias

    The largest weight of a channel stays, and so does the channel's scale: the quantizer then finds
    nothing to round. Ranges stay those that were chosen: what rounding changes, int8 has always
    changed.
    """

    name = "rounding"

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | None:
        """Round every convolution that gains by it; see `Remedy`."""
        model = read_model(network.data)
        rounded = [op for op in linear_ops(model) if _may_round(op, network)]
        if not rounded:
            return None
        products = gather_products(
            network.data, spread(frames, _PICTURES), rounded, lambda s: on_share(_OBSERVING * s)
        )
        gains = []
        for done, op in enumerate(rounded, start=1):
            gains.append(_round(model, op, products[op.output]))
            on_share(_OBSERVING + (1 - _OBSERVING) * done / len(rounded))
        detail = (
            f"weights of {len(rounded)} convolutions: the error of what they give falls by "
            f"{100 * float(np.median(gains)):.0f} % in the median"
        )
        treated = replace(network, data=serialize(model), exact=network.unrounded)
        return Treated(treated, detail)


def gather_products(
    data: bytes,
    frames: Sequence[Frames],
    ops: Sequence[LinearOp],
    on_share: Callable[[float], None],
) -> Mapping[int, Products]:
    """Sample what convolutions read on pictures; by the number of the tensor that they give."""
    found = {op.output: Products() for op in ops}
    for number, held in enumerate(observe_tensors(data, frames)):
        for op in ops:
            rng = np.random.default_rng((number, op.node.index))
            patches = sample_patches(op, held[op.source], _PATCHES, rng)
            found[op.output].add(op, patches)
        on_share((number + 1) / len(frames))
    return found


def _may_round(op: LinearOp, network: RangedNetwork) -> bool:
    if op.node.op == "FULLY_CONNECTED":
        return False  # one scale for all its channels, in some versions of the quantizer
    if op.node.tensor in network.in_float:
        return False
    sizes = {operand.index: operand.size for operand in op.node.given()}
    channels = op.node.outputs[0].shape[-1]
    width = sizes[op.weights] // channels
    return width <= _WIDEST and (op.groups == 1 or channels * width**2 <= _MOST)


def _round(model: schema.ModelT, op: LinearOp, products: Products) -> float:
    """Round a convolution in place; the share of its error that is gone."""
    weights = read_weights(model, op)
    rows = op.by_output(weights).astype(np.float64)
    rounded = round_compensated(rows, products.centred)
    values = rounded.T if op.depthwise else rounded
    write_weights(model, op, values.reshape(weights.shape).astype(np.float32))
    shift = ((rows - rounded) * products.mean).sum(axis=1)
    write_bias(model, op, read_bias(model, op) + shift.astype(np.float32))
    before = row_errors(rows - round_nearest(rows), products.plain).sum()
    after = row_errors(rows - rounded, products.centred).sum()
    return float(1 - after / before) if before > 0 else 0.0
