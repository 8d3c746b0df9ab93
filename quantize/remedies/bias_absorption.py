"""Bias absorption: what a channel never falls below goes into the next layer's bias.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction",
section 4.1.3. There the least value is estimated from batch normalization; here it is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range
from portrait_tflite.quantize.remedies.chains import Chain, find_chains
from portrait_tflite.quantize.remedies.channel_statistics import (
    ChannelStatistics,
    channel_statistics,
)
from portrait_tflite.quantize.remedies.linear_ops import (
    NONE,
    read_bias,
    read_weights,
    write_bias,
)
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quantize.remedies.remedy import OnShare, Treated
from portrait_tflite.quantize.remedies.same_function import same_function

_OBSERVED_ON = 64
# Of the least value seen: the rest is room for other pictures. With ReLU only, what falls below on
# them is cut off.
_TAKEN = 0.9
_WORTH = 0.95  # of the range before: what is hardly narrower stays as it is


@dataclass(frozen=True, eq=False)
class Shifted:
    """A chain, and what each of its channels `[c]` is lowered by."""

    chain: Chain
    amounts: Floats


class BiasAbsorption:
    """Lowers channels that stay away from zero, and makes up for it behind.

    Given:  linear (W₁, b₁) → linear (W₂, b₂), with or without ReLU between
    Result: linear (W₁, b₁ − c) → linear (W₂, b₂ + W₂ · c)
            c between 0 and the least value of the channel on the calibration pictures; without
            ReLU, also from its largest one where all are negative

    Only where the second pads no border: a border is zero, and would be `−c` away from it.
    """

    name = "bias_absorption"

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | None:
        """Absorb where a range gets narrower by it; see `Remedy`."""
        model = read_model(network.data)
        chains = [chain for chain in find_chains(model) if _may_shift(model, chain)]
        if not chains:
            return None
        tensors = {chain.tensors[0] for chain in chains}
        seen = channel_statistics(network.data, spread(frames, _OBSERVED_ON), tensors, on_share)
        shifted = [each for each in (_shift(chain, seen) for chain in chains) if each]
        same = same_function(network.data, frames)
        shifted = [each for each in shifted if same(_absorb(network.data, [each]))]
        if not shifted or not same(data := _absorb(network.data, shifted)):
            return None
        ranges = {**network.ranges, **_ranges(network.ranges, shifted, seen)}
        measured = network.measured and {
            **network.measured,
            **_ranges(network.measured, shifted, seen),
        }
        exact = network.exact and _absorb(network.exact, shifted)
        treated = replace(network, data=data, ranges=ranges, exact=exact, measured=measured)
        return Treated(treated, f"{len(shifted)} of {len(chains)} chains")


def _may_shift(model: schema.ModelT, chain: Chain) -> bool:
    # Depthwise with a multiplier: the bias would have to be summed by rows of outputs.
    if not len(chain.firsts) == len(chain.seconds) == len(chain.tensors) == 1:
        return False
    (second,) = chain.seconds
    plain = not second.depthwise or read_weights(model, second).shape[-1] == chain.channels
    return plain and not _pads(second.node)


def _pads(node: Node) -> bool:
    if node.op == "FULLY_CONNECTED":
        return False
    weights = node.inputs[1]
    assert weights is not None
    if node.op == "TRANSPOSE_CONV":
        return True  # its outputs see unlike numbers of taps
    return int(node.option("padding")) == schema.Padding.SAME and weights.shape[1:3] != (1, 1)


def _shift(chain: Chain, seen: Mapping[int, ChannelStatistics]) -> Shifted | None:
    found = seen[chain.tensors[0]]
    amounts = np.maximum(found.low, 0)
    if chain.firsts[0].activation == NONE:
        amounts += np.minimum(found.high, 0)
    amounts = np.asarray(_TAKEN * amounts, np.float32)
    before = _held(found.low, found.high)
    after = _held(found.low - amounts, found.high - amounts)
    narrower = after.high - after.low < _WORTH * (before.high - before.low)
    return Shifted(chain, amounts) if narrower else None


def _held(low: Floats, high: Floats) -> Range:
    """Return what int8 must hold of some channels: zero, too."""
    return Range(min(0.0, float(low.min())), max(0.0, float(high.max())))


def _absorb(data: bytes, shifted: Sequence[Shifted]) -> bytes:
    model = read_model(data)
    for each in shifted:
        (first,), (second,) = each.chain.firsts, each.chain.seconds
        write_bias(model, first, read_bias(model, first) - each.amounts)
        weights = second.scale_inputs(read_weights(model, second), each.amounts)
        # Depthwise, each output sees one channel; else all of them.
        behind = second.by_output(weights).sum(1, dtype=np.float64).astype(np.float32)
        write_bias(model, second, read_bias(model, second) + behind)
    return serialize(model)


def _ranges(
    ranges: Mapping[int, Range], shifted: Sequence[Shifted], seen: Mapping[int, ChannelStatistics]
) -> dict[int, Range]:
    """Return what the tensors hold now; ends that no channel has moved stay where they were."""
    found = {}
    for each in shifted:
        number = each.chain.tensors[0]
        old, new = seen[number], ranges[number]
        found[number] = Range(
            new.low + float((old.low - each.amounts).min() - old.low.min()),
            new.high + float((old.high - each.amounts).max() - old.high.max()),
        )
    return found
