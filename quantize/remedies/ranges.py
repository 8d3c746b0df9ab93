"""Range choice: what each tensor is to hold, where the smallest and the largest are not best.

The more a range holds, the coarser its 255 steps. What lies outside is clipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from portrait_tflite.quantize.ranged_network import RangedNetwork
from portrait_tflite.quantize.remedies.histogram import Histogram
from portrait_tflite.quantize.remedies.output_error import output_error, spread
from portrait_tflite.quantize.remedies.remedy import OnShare, Treated
from portrait_tflite.quantize.remedies.scale_families import scale_families, told_apart
from portrait_tflite.quantize.tensor_ranges import Frames, Range, observe_tensors

_COUNTED_ON = 32
_PERCENTILES = (0.99999, 0.9999, 0.999)

Choice = Callable[["Family"], Range]


@dataclass(frozen=True, eq=False)
class Family:
    """Tensors with one scale.

    Attributes:
        members: Their numbers.
        whole: What they hold by the network's ranges.
        needed: What the ops behind them tell apart.
        typical: The ends of single pictures, averaged.
        numbers: All that they held.
    """

    members: Sequence[int]
    whole: Range
    needed: Range
    typical: Range
    numbers: Histogram


class RangeChoice:
    """Takes the choice of ranges that brings the outputs nearest to the float network's.

    Given:  every range holds the smallest and the largest number of the calibration pictures
    Result: every range holds what the ops behind it tell apart; or of that what the average
            picture holds (as ai-edge-quantizer does); or all but one of 10⁵, 10⁴,
            10³ numbers at either end; or the part with the least squared error (Nagel et al. 2021,
            "A White Paper on Neural Network Quantization", section 3.1)

    Tensors with one scale are chosen for together. Inputs, which keep a step for every byte, and
    what has a given scale are left alone.
    """

    name = "ranges"

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | None:
        """Try every choice for all tensors, and keep the best by its masks; see `Remedy`."""
        families = _families(network, frames, lambda share: on_share(share / 2))
        choices = _choices()
        error_of = output_error(network.reference, frames)
        best, least, detail = None, error_of(network), ""
        for done, (label, choose) in enumerate(choices.items(), start=1):
            tried = _chosen(network, families, choose)
            error = error_of(tried)
            if error < least:
                narrower = sum(tried.ranges[n] != network.ranges[n] for n in tried.ranges)
                detail = f"{label}: {narrower} of {len(tried.ranges)} ranges narrower"
                best, least = tried, error
            on_share(0.5 + done / len(choices) / 2)
        return Treated(best, detail) if best else None


def _choices() -> dict[str, Choice]:
    choices: dict[str, Choice] = {"what is told apart": lambda family: family.needed}
    choices["the average picture"] = lambda family: family.typical
    for share in _PERCENTILES:
        choices[f"percentile {share:.5%}".rstrip("0%")] = _percentile(share)
    choices["least squared error"] = lambda family: family.numbers.least_error(
        _common(family.whole, family.needed)
    )
    return choices


def _percentile(share: float) -> Choice:
    return lambda family: family.numbers.percentile(share)


def _families(network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare) -> list[Family]:
    groups = scale_families(network.data)
    histograms = [Histogram() for _ in groups]
    of_tensor = {n: i for i, members in enumerate(groups) for n in members}
    ends = {n: np.zeros(2) for n in of_tensor}
    counted = spread(frames, _COUNTED_ON)
    for done, held in enumerate(observe_tensors(network.data, counted), start=1):
        for number in of_tensor.keys() & held.keys():
            values = held[number]
            histograms[of_tensor[number]].add(values, seed=number)
            ends[number] += [float(values.min()), float(values.max())]
        on_share(done / len(counted))
    needed = told_apart(network.data)
    typical = {n: Range(*(total / len(counted)).tolist()) for n, total in ends.items()}
    return [
        Family(
            members,
            *_limits(members, network.ranges, needed),
            _joined(typical[number] for number in members).joined(Range(0.0, 0.0)),
            numbers,
        )
        for members, numbers in zip(groups, histograms, strict=True)
    ]


def _limits(
    members: Sequence[int], ranges: Mapping[int, Range], needed: Mapping[int, Range]
) -> tuple[Range, Range]:
    """Return what a family holds, and what of it is needed: all where one member is."""
    whole = _joined(ranges[number] for number in members)
    if any(number not in needed for number in members):
        return whole, whole
    return whole, _joined(needed[number] for number in members)


def _chosen(network: RangedNetwork, families: Sequence[Family], choose: Choice) -> RangedNetwork:
    ranges = dict(network.ranges)
    for family in families:
        limits = _common(family.needed, choose(family))
        # A member that holds less than its family keeps its own.
        ranges |= {number: _common(ranges[number], limits) for number in family.members}
    return replace(network, ranges=ranges)


def _common(one: Range, other: Range) -> Range:
    """Return what two ranges have in common; the first where that is nothing."""
    low, high = max(one.low, other.low), min(one.high, other.high)
    return Range(low, high) if low < high else one


def _joined(ranges: Iterator[Range]) -> Range:
    first = next(ranges)
    for other in ranges:
        first = first.joined(other)
    return first
