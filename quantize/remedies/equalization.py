"""Cross-layer equalization: the channels of a tensor brought to like ranges, exactly in float.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction",
section 4.1. There weights have one scale per tensor, and those of two layers are balanced. In
TFLite they have one per output channel; it is the tensor between the layers that has a single one.
So here its channels are balanced against the weights that read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range
from portrait_tflite.quantize.remedies.chains import Chain, find_chains
from portrait_tflite.quantize.remedies.channel_statistics import (
    ChannelStatistics,
    channel_statistics,
)
from portrait_tflite.quantize.remedies.linear_ops import (
    read_bias,
    read_weights,
    write_bias,
    write_weights,
)
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quantize.remedies.remedy import OnShare, Treated
from portrait_tflite.quantize.remedies.same_function import same_function

_OBSERVED_ON = 64
# A channel that pictures hardly move may hold more on others.
_LEAST_CHANNEL = 1e-4  # of the largest
# A channel multiplied by more than this against another would be clipped on pictures where it holds
# but a little more than on those seen.
MOST_APART = 64.0
_BY_RANGE = (0.0, 0.25, 0.5, 0.75, 1.0)
_BY_WEIGHTS = (0.0, 0.25, 0.5)
_WORTH = 0.9  # of the noise without: what is nearly as good stays as it is
_STEPS = 255
_WEIGHT_STEPS = 127


@dataclass(frozen=True, eq=False)
class Scaled:
    """A chain, and what its channels are divided by `[c]`."""

    chain: Chain
    factors: Floats


class Equalization:
    """Divides each channel between two layers by a number, and multiplies behind.

    Given:  linear (W₁, b₁) → f → linear (W₂), f(s · x) = s · f(x)
    Result: linear (W₁ / s, b₁ / s) → f → linear (W₂ · s)
            s = r^a / w^b, of the channel's largest magnitude r and that of the weights w that read
            it; of a few a and b the pair with the least predicted noise behind the second layer.
            The largest s of a chain is at most 64 times the smallest

    It starts from the ranges as they were measured: one chosen for channels that differ clips the
    large ones, or leaves the small ones no step, which is no longer needed. Other choices are tried
    again behind it.

    RELU6 between is refused: each channel would need a bound of its own, and ReLU instead of it is
    another function.
    """

    name = "equalization"

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | None:
        """Equalize every chain that gains by it; see `Remedy`."""
        model = read_model(network.data)
        chains = find_chains(model)
        if not chains:
            return None
        tensors = {number for chain in chains for number in chain.tensors}
        seen = channel_statistics(network.data, spread(frames, _OBSERVED_ON), tensors, on_share)
        scaled = _choose(model, chains, seen)
        same = same_function(network.data, frames)
        if not same(_scale(network.data, scaled)):
            scaled = [each for each in scaled if same(_scale(network.data, [each]))]
        if not scaled or not same(data := _scale(network.data, scaled)):
            return None
        measured = network.ranges if network.measured is None else network.measured
        ranges = {**measured, **_ranges(measured, scaled, seen)}
        exact = network.exact and _scale(network.exact, scaled)
        treated = replace(network, data=data, ranges=ranges, exact=exact, measured=None)
        widest = max(float(each.factors.max() / each.factors.min()) for each in scaled)
        detail = f"{len(scaled)} of {len(chains)} chains, channels up to 1 : {widest:.3g} apart"
        return Treated(treated, detail, afresh=network.measured is not None)


def _choose(
    model: schema.ModelT, chains: Sequence[Chain], seen: Mapping[int, ChannelStatistics]
) -> list[Scaled]:
    """Choose the factors of each chain, in the order of the file; those that gain nothing fall out.

    The weights of an op between two chains are scaled on both sides; neither changes what the other
    is chosen by: a factor per output channel goes into the channel's scale.
    """
    found = []
    for chain in chains:
        weights = read_weights(model, chain.second)
        factors = choose_factors(chain, weights, seen[chain.tensors[-1]])
        if factors is not None:
            found.append(Scaled(chain, factors))
    return found


def choose_factors(chain: Chain, weights: Floats, seen: ChannelStatistics) -> Floats | None:
    """Return what each channel of a chain is best divided by; None where nothing is as good.

    Args:
        chain: The two ops.
        weights: Of the second.
        seen: What the second reads.
    """
    channels = _largest(seen)
    if channels is None:
        return None
    reading = _by_input(chain, np.abs(weights), channels.size)
    largest = np.maximum(reading.max(0), _LEAST_CHANNEL * reading.max())
    if largest.max() == 0:
        return None
    noise_of = _noise_of(chain, reading, seen, channels)
    best, least = None, _WORTH * noise_of(np.ones_like(channels))
    for a, b in product(_BY_RANGE, _BY_WEIGHTS):
        factors = channels**a / largest**b
        factors = np.maximum(factors, factors.max() / MOST_APART)
        # The tensor keeps its largest magnitude.
        factors *= (channels / factors).max() / channels.max()
        noise = noise_of(factors)
        if noise < least:
            best, least = factors, noise
    return None if best is None else np.asarray(best, np.float32)


def _largest(seen: ChannelStatistics) -> Floats | None:
    """Return the largest magnitude of each channel; None where all are zero."""
    channels = np.maximum(np.abs(seen.low), np.abs(seen.high))
    if channels.max() == 0:
        return None
    return np.asarray(np.maximum(channels, _LEAST_CHANNEL * channels.max()), np.float32)


def _by_input(chain: Chain, weights: Floats, channels: int) -> Floats:
    """View magnitudes of weights as `[o, c]`: the largest of all taps from c to o."""
    if chain.second.depthwise:
        # [1, h, w, c · m]: m outputs read c.
        by_channel = weights.reshape(-1, channels, weights.shape[-1] // channels).max(0).T
    else:
        by_channel = weights.reshape(len(weights), -1, channels).max(1)
    return np.asarray(by_channel, np.float32)


def _noise_of(
    chain: Chain, reading: Floats, seen: ChannelStatistics, channels: Floats
) -> Callable[[Floats], float]:
    """Return what predicts the squared noise behind the second op by the factors."""

    def noise(factors: Floats) -> float:
        step = (channels / factors).max() / _STEPS
        scaled = reading * factors
        of_tensor = step**2 * (scaled**2 * seen.nonzero).sum()
        # An output has the scale of its largest weight; depthwise it has but one input.
        largest = scaled if chain.second.depthwise else scaled.max(1, keepdims=True)
        of_weights = ((largest / _WEIGHT_STEPS) ** 2 * (seen.square / factors**2)).sum()
        return float(of_tensor + of_weights)

    return noise


def _scale(data: bytes, scaled: Sequence[Scaled]) -> bytes:
    model = read_model(data)
    for each in scaled:
        first, second, factors = each.chain.first, each.chain.second, each.factors
        less = np.float32(1) / factors
        write_weights(model, first, first.scale_outputs(read_weights(model, first), less))
        write_bias(model, first, read_bias(model, first) * less)
        write_weights(model, second, second.scale_inputs(read_weights(model, second), factors))
    return serialize(model)


def _ranges(
    ranges: Mapping[int, Range], scaled: Sequence[Scaled], seen: Mapping[int, ChannelStatistics]
) -> dict[int, Range]:
    """Return what the tensors between hold now, by what they were to hold."""
    return {
        number: _scaled_range(ranges[number], seen[number], each.factors)
        for each in scaled
        for number in each.chain.tensors
    }


def _scaled_range(before: Range, seen: ChannelStatistics, factors: Floats) -> Range:
    """Scale a range by what scaling its channels did to the pictures seen."""

    def share(old: float, new: float) -> float:
        return new / old if old else 1.0

    low = before.low * share(float(seen.low.min()), float((seen.low / factors).min()))
    high = before.high * share(float(seen.high.max()), float((seen.high / factors).max()))
    return Range(low, high)
