"""A range of its own for each tensor that hurts: what one choice for all of them cannot give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quantize.remedies.range_families import Choice, Family
from portrait_tflite.quantize.remedies.rounded_alone import RoundedAlone

# All tensors are looked at on two pictures, those that hurt most on more.
_RANKED_ON, _CHOSEN_ON, _MOST = 2, 6, 32
_RANKING = 0.3  # its share of the work
_WORTH = 0.9  # of what the choice for all leaves: what is nearly as good stays with the others


@dataclass(frozen=True, eq=False)
class Own:
    """A tensor, by its place among the families, whose best choice is another than the others'.

    Attributes:
        gain: Error of the outputs that is gone where it alone is rounded.
    """

    place: int
    choice: str
    gain: float


def own_choices(
    network: RangedNetwork,
    families: Sequence[Family],
    base: Choice,
    choices: Mapping[str, Choice],
    frames: Sequence[Frames],
    on_share: Callable[[float], None],
) -> list[Own]:
    """Find the tensors that are better off with a choice of their own, the most gained first.

    Given:  a choice for all, and the tensors that hurt most by it, each rounded alone
    Result: of each the choice by which the outputs err least, where that is clearly less

    Args:
        network: As the steps before left it.
        families: Its tensors, those with one scale together.
        base: The choice for all.
        choices: All that there are, by their names.
        frames: The calibration pictures.
        on_share: Called with the share of the work that is done.
    """
    alone = RoundedAlone(network.data)
    members = [family.members for family in families]
    ranked = alone.errors(
        members,
        [[base(family)] for family in families],
        spread(frames, _RANKED_ON),
        lambda share: on_share(_RANKING * share),
    )
    worst = sorted(range(len(families)), key=lambda place: (-ranked[place][0], place))[:_MOST]
    ranges = [_distinct(families[place], base, choices) for place in worst]
    errors = alone.errors(
        [members[place] for place in worst],
        [list(tried) for tried in ranges],
        spread(frames, _CHOSEN_ON),
        lambda share: on_share(_RANKING + (1 - _RANKING) * share),
    )
    found = []
    for place, tried, erred in zip(worst, ranges, errors, strict=True):
        names, before, least = list(tried.values()), float(erred[0]), float(erred.min())
        if least < _WORTH * before:
            found.append(Own(place, names[int(erred.argmin())], before - least))
    return sorted(found, key=lambda own: (-own.gain, own.place))


def _distinct(family: Family, base: Choice, choices: Mapping[str, Choice]) -> dict[Range, str]:
    """Return the ranges that there are for a family, the one for all first, with their names."""
    found = {base(family): ""}
    for name, choice in choices.items():
        found.setdefault(choice(family), name)
    return found


def first_of(owns: Sequence[Own]) -> Iterator[Sequence[Own]]:
    """Take the first 1, 2, 4, ... and all: what gains alone may not together."""
    size = 1
    while size < len(owns):
        yield owns[:size]
        size *= 2
    if owns:
        yield owns
