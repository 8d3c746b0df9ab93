"""Range choice: what each tensor is to hold, where the smallest and the largest are not best.

The more a range holds, the coarser its 255 steps. What lies outside is clipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from portrait_tflite.convert.files.flatbuffer import read_model, text
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quantize.remedies.output_error import output_error
from portrait_tflite.quantize.remedies.own_ranges import Own, first_of, own_choices
from portrait_tflite.quantize.remedies.range_families import (
    ALL,
    Choice,
    Family,
    gather_families,
    range_choices,
    with_choices,
)
from portrait_tflite.quantize.remedies.remedy import OnShare, Treated

# Shares of the work: counting, one choice for all, choices of their own; then trying these.
_COUNTED, _FOR_ALL, _OWN = 0.3, 0.6, 0.9
_WORTH = 0.97  # of the error by one choice for all: what is nearly as good is not worth it


@dataclass(frozen=True, eq=False)
class _Tried:
    """Ranges that were tried.

    Attributes:
        label: The choice for all.
        own: Tensors with another one.
    """

    network: RangedNetwork
    error: float
    label: str
    own: Sequence[Own] = ()


@dataclass(frozen=True)
class RangeChoice:
    """Takes the choices of ranges that bring the outputs nearest to the float network's.

    Given:  every range holds the smallest and the largest number of the calibration pictures
    Result: every range holds what the ops behind it tell apart; or of that what the average
            picture holds (as ai-edge-quantizer does); or all but one of 10⁵, 10⁴,
            10³ numbers at either end; or the part with the least squared error (Nagel et al. 2021,
            "A White Paper on Neural Network Quantization", section 3.1). First one choice for all
            tensors; then those that hurt most have their own, by what the outputs err by where
            that tensor alone is rounded, as far as this gains for all together

    Tensors with one scale are chosen for together. Inputs, which keep a step for every byte, and
    what has a given scale are left alone.

    Attributes:
        layers: Names of the Keras layers where they are known.
    """

    layers: tuple[str, ...] = ()
    name: str = "ranges"

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | None:
        """Try every choice for all tensors, then for each, and keep the best; see `Remedy`."""
        families = gather_families(network, frames, lambda share: on_share(_COUNTED * share))
        choices = range_choices()
        error_of = output_error(network.reference, frames)
        plain = _Tried(network, error_of(network), ALL)
        best = _one_for_all(
            plain, families, choices, error_of, _between(on_share, _COUNTED, _FOR_ALL)
        )
        own = own_choices(
            network,
            families,
            choices[best.label],
            choices,
            frames,
            _between(on_share, _FOR_ALL, _OWN),
        )
        best = _with_own(best, plain, families, choices, own, error_of)
        on_share(1.0)
        if best is plain:
            return None
        measured = network.ranges if network.measured is None else network.measured
        chosen = replace(best.network, measured=measured)
        return Treated(chosen, self._detail(best, network, families))

    def _detail(self, best: _Tried, before: RangedNetwork, families: Sequence[Family]) -> str:
        """Say which choice it is, how many ranges it changed, and which tensors have their own."""
        ranges = best.network.ranges
        narrower = sum(ranges[n] != before.ranges[n] for n in ranges)
        said = f"{best.label}: {narrower} of {len(ranges)} ranges narrower"
        if not best.own:
            return said
        model = read_model(before.data)
        name_of = name_layers(model, self.layers)
        by_choice: dict[str, list[str]] = {}
        for own in best.own:
            tensor = text(model.subgraphs[0].tensors[families[own.place].members[0]].name)
            by_choice.setdefault(own.choice, []).append(name_of(tensor) or tensor)
        named = (f"{choice} for {', '.join(layers)}" for choice, layers in by_choice.items())
        return f"{said}; but {'; '.join(named)}"


def _one_for_all(
    plain: _Tried,
    families: Sequence[Family],
    choices: Mapping[str, Choice],
    error_of: Callable[[RangedNetwork], float],
    on_share: Callable[[float], None],
) -> _Tried:
    best = plain
    for done, (label, choose) in enumerate(choices.items(), start=1):
        if label != ALL:
            network = with_choices(plain.network, families, [choose] * len(families))
            tried = _Tried(network, error_of(network), label)
            best = tried if tried.error < best.error else best
        on_share(done / len(choices))
    return best


def _with_own(
    best: _Tried,
    plain: _Tried,
    families: Sequence[Family],
    choices: Mapping[str, Choice],
    own: Sequence[Own],
    error_of: Callable[[RangedNetwork], float],
) -> _Tried:
    """Let the first few tensors have their own choices, or all, where that is clearly better."""
    limit, found = _WORTH * best.error, best
    for some in first_of(own):
        chosen = [choices[best.label]] * len(families)
        for each in some:
            chosen[each.place] = choices[each.choice]
        network = with_choices(plain.network, families, chosen)
        tried = _Tried(network, error_of(network), best.label, some)
        if tried.error < limit:
            limit, found = tried.error, tried
    return found


def _between(on_share: OnShare, start: float, end: float) -> Callable[[float], None]:
    return lambda share: on_share(start + (end - start) * share)
