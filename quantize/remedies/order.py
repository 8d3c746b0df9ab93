"""The order of the remedies: cheapest first, in minutes and in what they cost on the phone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.remedies.bias_absorption import BiasAbsorption
from portrait_tflite.quantize.remedies.bias_correction import BiasCorrection
from portrait_tflite.quantize.remedies.equalization import Equalization
from portrait_tflite.quantize.remedies.float_trials import Budget
from portrait_tflite.quantize.remedies.ranges import RangeChoice
from portrait_tflite.quantize.remedies.remedy import Remedy
from portrait_tflite.quantize.remedies.rounding import Rounding
from portrait_tflite.quantize.remedies.selective_float import SelectiveFloat
from portrait_tflite.vocabulary import OutputSpec, RemedyName

# Of what the gate allows: layers were chosen by the calibration pictures, which flatter.
_ENOUGH = 0.3


def remedies_for(
    output: OutputSpec,
    layers: Sequence[str] = (),
    wanted: Collection[RemedyName] | None = None,
    finetuning: Remedy | None = None,
    *,
    max_drop: float = 1.0,
    finish: Callable[[RangedNetwork], bytes] = quantize_network,
    budget: Callable[[], Budget] = Budget,
) -> list[Remedy]:
    """Make the remedies for a network, cheapest first.

    Args:
        output: Which of its outputs is the mask.
        layers: Names of its Keras layers where they are known.
        wanted: Those to make; all of them where None.
        finetuning: The last one, where there are pictures for it: it takes the longest by far.
        max_drop: Points of mIoU that the gate allows.
        finish: Makes the file of a network, as it will be used.
        budget: Says what layers in float may cost; asked when it comes to them.
    """
    enough = _ENOUGH * max_drop
    floating = SelectiveFloat(output, tuple(layers), budget, enough, finish)
    made = [*_in_order(layers, floating), *([finetuning] if finetuning else [])]
    return [remedy for remedy in made if wanted is None or remedy.name in wanted]


def _in_order(layers: Sequence[str], floating: SelectiveFloat) -> tuple[Remedy, ...]:
    return (
        # Only ranges change; it shows what a few odd numbers cost.
        RangeChoice(tuple(layers)),
        # Exact in float. Before what looks at weights, which it changes.
        Equalization(),
        # Behind equalization, whose channels are alike.
        BiasAbsorption(),
        # It takes most of a layer's error away, its mean too, ...
        Rounding(),
        # ... and this what is left of the means. Before any other it would soon be out of date.
        BiasCorrection(),
        # The only one that costs work on the phone.
        floating,
    )
