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
from portrait_tflite.quantize.remedies.gates import scalable_gates
from portrait_tflite.quantize.remedies.linear_ops import (
    LinearOp,
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

    Where several layers are added, or several read the sum, as on the trunk of a residual network,
    all of them are scaled by the same s.

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
        before = scalable_gates(network.data)
        model = read_model(before)
        chains = find_chains(model)
        if not chains:
            return None
        tensors = {number for chain in chains for number in _observed(chain)}
        seen = channel_statistics(before, spread(frames, _OBSERVED_ON), tensors, on_share)
        scaled = _choose(model, chains, seen)
        same = same_function(network.data, frames)
        if not same(_scale(before, scaled)):
            scaled = [each for each in scaled if same(_scale(before, [each]))]
        if not scaled or not same(data := _scale(before, scaled)):
            return None
        measured = network.ranges if network.measured is None else network.measured
        ranges = {**measured, **_ranges(measured, scaled, seen)}
        exact = network.exact and _scale(scalable_gates(network.exact), scaled)
        treated = replace(network, data=data, ranges=ranges, exact=exact, measured=None)
        widest = max(float(each.factors.max() / each.factors.min()) for each in scaled)
        detail = f"{len(scaled)} of {len(chains)} chains, channels up to 1 : {widest:.3g} apart"
        return Treated(treated, detail, afresh=network.measured is not None)


def _observed(chain: Chain) -> set[int]:
    return {*chain.tensors, *(gate.picture.index for gate in chain.gates)}


def _choose(
    model: schema.ModelT, chains: Sequence[Chain], seen: Mapping[int, ChannelStatistics]
) -> list[Scaled]:
    """Choose the factors of each chain, in the order of the file; those that gain nothing fall out.

    The weights of an op between two chains are scaled on both sides; neither changes what the other
    is chosen by: a factor per output channel goes into the channel's scale.
    """
    found = []
    for chain in chains:
        factors = choose_factors(chain, [read_weights(model, op) for op in chain.seconds], seen)
        if factors is not None:
            found.append(Scaled(chain, factors))
    return found


def choose_factors(
    chain: Chain, weights: Sequence[Floats], seen: Mapping[int, ChannelStatistics]
) -> Floats | None:
    """Return what each channel of a chain is best divided by; None where nothing is as good.

    Args:
        chain: The ops.
        weights: Of those that read the channels.
        seen: What its tensors hold.
    """
    held = {number: _largest(seen[number]) for number in chain.rounded}
    channels = np.max(list(held.values()), axis=0)
    if channels.max() == 0:
        return None
    channels = np.maximum(channels, _LEAST_CHANNEL * channels.max())
    pairs = zip(chain.seconds, weights, strict=True)
    readers = [_Reader(op, values, seen[op.source], chain.channels) for op, values in pairs]
    readers = [reader for reader in readers if reader.weights.max() > 0]
    if not readers:
        return None
    largest = np.max([reader.largest() for reader in readers], axis=0)
    # What a step of a tensor does behind it: nothing where it is zero; and for a gate's factor it
    # is multiplied by what that multiplies.
    held_and_weighed = [(held[number], seen[number].nonzero) for number in chain.rounded]
    for gate in chain.gates:
        magnitudes = _largest(seen[gate.factors.index])
        held_and_weighed.append((magnitudes, seen[gate.picture.index].square))
    noise_of = _noise_of(readers, held_and_weighed)
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


def _largest(seen: ChannelStatistics) -> Floats:
    """Return the largest magnitude of each channel `[c]`."""
    return np.asarray(np.maximum(np.abs(seen.low), np.abs(seen.high)), np.float32)


class _Reader:
    """An op that reads the channels of a chain: what int8 adds to what it gives.

    Attributes:
        weights: Magnitudes `[o, c]`: the largest of all taps from c to o.
    """

    def __init__(
        self, op: LinearOp, weights: Floats, seen: ChannelStatistics, channels: int
    ) -> None:
        self.weights = _by_input(op, np.abs(weights), channels)
        self._depthwise = op.depthwise
        self._seen = seen

    def largest(self) -> Floats:
        """Return the largest weight of each channel, as a share of the largest of all."""
        shares = self.weights.max(0) / self.weights.max()
        return np.asarray(np.maximum(shares, _LEAST_CHANNEL), np.float32)

    def of_tensor(self, factors: Floats, weighed: Floats) -> float:
        """Predict the squared noise behind the op for a step of 1 of a tensor."""
        return float(((self.weights * factors) ** 2 * weighed).sum())

    def of_weights(self, factors: Floats) -> float:
        """Predict the squared noise that its rounded weights add."""
        scaled = self.weights * factors
        # An output has the scale of its largest weight; depthwise it has but one input.
        largest = scaled if self._depthwise else scaled.max(1, keepdims=True)
        return float(((largest / _WEIGHT_STEPS) ** 2 * (self._seen.square / factors**2)).sum())


def _by_input(op: LinearOp, weights: Floats, channels: int) -> Floats:
    """View magnitudes of weights as `[o, c]`: the largest of all taps from c to o."""
    if op.depthwise:
        # [1, h, w, c · m]: m outputs read c.
        by_channel = weights.reshape(-1, channels, weights.shape[-1] // channels).max(0).T
    else:
        by_channel = weights.reshape(len(weights), -1, channels).max(1)
    return np.asarray(by_channel, np.float32)


def _noise_of(
    readers: Sequence[_Reader], held: Sequence[tuple[Floats, Floats]]
) -> Callable[[Floats], float]:
    """Return what predicts the squared noise behind the readers by the factors.

    Each reader counts by what it has more or less than with channels as they are: what one gives is
    not to be compared with what another gives.

    Args:
        readers: The ops behind.
        held: Largest magnitudes of the channels of what is rounded, and how much a squared step of
            it counts.
    """

    def noise(reader: _Reader, factors: Floats) -> float:
        of_tensors = sum(
            float((magnitudes / factors).max() / _STEPS) ** 2 * reader.of_tensor(factors, weighed)
            for magnitudes, weighed in held
        )
        return of_tensors + reader.of_weights(factors)

    even = [noise(reader, np.ones_like(held[0][0])) for reader in readers]
    return lambda factors: sum(
        noise(reader, factors) / before
        for reader, before in zip(readers, even, strict=True)
        if before > 0
    )


def _scale(data: bytes, scaled: Sequence[Scaled]) -> bytes:
    model = read_model(data)
    for each in scaled:
        less = np.float32(1) / each.factors
        for op in each.chain.firsts:
            write_weights(model, op, op.scale_outputs(read_weights(model, op), less))
            write_bias(model, op, read_bias(model, op) * less)
        for op in each.chain.seconds:
            write_weights(model, op, op.scale_inputs(read_weights(model, op), each.factors))
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
