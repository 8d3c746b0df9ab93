"""Which layers an int8 file's masks suffer from, looked at as long as it is worth."""

from __future__ import annotations

from collections.abc import Sequence

from portrait_tflite.errors import ConversionError, UsageError
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.built import Treatable
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.sensitivity.layer_harms import BRIEF, THOROUGH
from portrait_tflite.quantize.sensitivity.ranking import sensitivity
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import LayerError, OutputSpec

_BLAMED = 3  # layers named where nothing helped
_PARTS = 100  # of the work, for the progress bar


def find_culprits(
    network: RangedNetwork,
    treatable: Treatable,
    output: OutputSpec,
    layers: Sequence[str],
    progress: Progress,
    *,
    thorough: bool,
) -> tuple[LayerError, ...]:
    """Measure what each op loses in int8, the worst first; nothing where that cannot be done.

    Args:
        network: What is looked at: `treatable`'s own, or what remedies made of it.
        output: Which output is the mask.
        layers: Names of the Keras layers where they are known.
        thorough: Whether the gate was missed. Else the chart is all that it is for, and takes a
            fourth of the time.
    """
    rounds = THOROUGH if thorough else BRIEF
    with progress(_PARTS, "finding the layers that suffer most") as update, quiet():
        try:
            return sensitivity(
                network,
                treatable.frames,
                output,
                layers,
                lambda share: update(round(_PARTS * share)),
                rounds,
            )
        # A part of a network that the runtime does not load alone must not cost the whole.
        except (ConversionError, UsageError):
            return ()


def blame(errors: Sequence[LayerError]) -> str:
    """Name the worst layers, in words; "" where they are not known.

    Args:
        errors: The worst first. A layer of several ops stands for its worst.
    """
    by_layer: dict[str, LayerError] = {}
    for error in errors:
        by_layer.setdefault(error.layer, error)
    worst = [error for error in list(by_layer.values())[:_BLAMED] if error.points > 0]
    if errors and not worst:
        return "no layer alone harms"
    named = ", ".join(f"{error.layer} ({error.points:.2f} points)" for error in worst)
    return f"{named} {'harm' if len(worst) > 1 else 'harms'} most" if worst else ""
