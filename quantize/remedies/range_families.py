"""What tensors with one scale hold, and the choices there are for their range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range, common, observe_tensors
from portrait_tflite.quantize.remedies.histogram import Histogram
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quantize.remedies.scale_families import scale_families, told_apart

_COUNTED_ON = 32
_PERCENTILES = (0.99999, 0.9999, 0.999)


@dataclass(frozen=True, eq=False)
class Family:
    """Tensors with one scale.

    Attributes:
        members: Their numbers.
        whole: What they hold by the network's ranges.
        needed: What of that the ops behind them tell apart.
        typical: The ends of single pictures, averaged.
        numbers: All that they held.
    """

    members: Sequence[int]
    whole: Range
    needed: Range
    typical: Range
    numbers: Histogram


Choice = Callable[[Family], Range]

ALL = "all that was seen"


def range_choices() -> dict[str, Choice]:
    """Return the choices by their names in the report; the first changes nothing."""
    choices: dict[str, Choice] = {ALL: lambda family: family.whole}
    choices["what is told apart"] = lambda family: family.needed
    choices["the average picture"] = lambda family: common(family.needed, family.typical)
    for share in _PERCENTILES:
        choices[f"percentile {share:.5%}".rstrip("0%")] = _percentile(share)
    choices["least squared error"] = _least_error
    return choices


def gather_families(
    network: RangedNetwork, frames: Sequence[Frames], on_share: Callable[[float], None]
) -> list[Family]:
    """Count what the tensors of a network hold on some of the calibration pictures."""
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


def with_choices(
    network: RangedNetwork, families: Sequence[Family], choices: Sequence[Choice]
) -> RangedNetwork:
    """Give each family the range of its choice; a member that holds less keeps its own."""
    ranges = dict(network.ranges)
    for family, choice in zip(families, choices, strict=True):
        limits = choice(family)
        ranges |= {number: common(ranges[number], limits) for number in family.members}
    return replace(network, ranges=ranges)


def _percentile(share: float) -> Choice:
    return lambda family: common(family.needed, family.numbers.percentile(share))


def _least_error(family: Family) -> Range:
    return common(family.needed, family.numbers.least_error(common(family.whole, family.needed)))


def _limits(
    members: Sequence[int], ranges: Mapping[int, Range], needed: Mapping[int, Range]
) -> tuple[Range, Range]:
    """Return what a family holds, and what of it is needed: all where one member is."""
    whole = _joined(ranges[number] for number in members)
    if any(number not in needed for number in members):
        return whole, whole
    return whole, common(whole, _joined(needed[number] for number in members))


def _joined(ranges: Iterable[Range]) -> Range:
    return reduce(Range.joined, ranges)
