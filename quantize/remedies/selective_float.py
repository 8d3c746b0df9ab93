"""Selective float: the layers that harm the masks most are not quantized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.convert.mending.mend_burden import weigh
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quantize.remedies.bias_correction import BiasCorrection
from portrait_tflite.quantize.remedies.float_choice import choose_layers
from portrait_tflite.quantize.remedies.float_trials import Attempt, Budget, Trial, ops_of
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quantize.remedies.remedy import OnShare, Treated
from portrait_tflite.quantize.sensitivity.ranking import sensitivity
from portrait_tflite.vocabulary import FloatLayer, LayerError, OutputSpec

_PICTURES = 16
_LEAST = 0.1  # points that a layer must harm by to be a candidate
_MOST = 16  # candidates
# Shares of the work: ranking, choosing; then correcting biases anew.
_RANKED, _CHOSEN = 0.6, 0.9


@dataclass(frozen=True)
class SelectiveFloat:
    """Keep ranked layers in float, within a budget.

    A tensor that int8 has too few steps for needs the op that gives it and those that read it in
    float; constants only their own op. Between float and int8 stand QUANTIZE and DEQUANTIZE, which
    XNNPACK takes: they cost work, but mostly no partition.

    Attributes:
        output: Which output is the mask.
        layers: Names of the Keras layers where they are known.
        budget: Says what layers in float may cost; asked only where there may be some.
        enough: Points of mIoU between its masks and float's at which it stops.
        finish: Makes the file that is scored and priced, as it will be used.
    """

    output: OutputSpec = field(default_factory=OutputSpec)
    layers: tuple[str, ...] = ()
    budget: Callable[[], Budget] = Budget
    enough: float = 0.3
    finish: Callable[[RangedNetwork], bytes] = quantize_network
    name: str = "selective_float"

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | str | None:
        """Keep in float what is worth it; None where nothing is, or nothing fits the budget.

        Where that is for what it costs alone, it is said.
        """
        # Biases that make up for what ops lose would be wrong behind ops that lose it no more.
        corrected, network = network.uncorrected is not None, _uncorrected(network)
        errors = sensitivity(
            network, frames, self.output, self.layers, lambda share: on_share(_RANKED * share)
        )
        worst = [error for error in errors if error.points >= _LEAST][:_MOST]
        budget = self.budget()
        trial = Trial(network, spread(frames, _PICTURES), self.output, budget, self.finish)
        kept = choose_layers(
            trial,
            worst,
            self.enough,
            lambda share: on_share(_RANKED + (_CHOSEN - _RANKED) * share),
        )
        if not kept:
            on_share(1.0)
            return _too_dear(trial, budget)
        found = trial.attempt(kept)
        detail, named = _detail(trial, found, kept, budget), self._named(network, kept)
        again = (
            BiasCorrection().apply(
                found.network, frames, lambda share: on_share(_CHOSEN + (1 - _CHOSEN) * share)
            )
            if corrected
            else None
        )
        on_share(1.0)
        # Other ranges may leave a requantization more.
        if again is None or not budget.holds(weigh(self.finish(again.network)), trial.plain):
            return Treated(found.network, detail, named)
        return Treated(again.network, f"{detail}; then {again.detail} corrected anew", named)

    def _named(self, network: RangedNetwork, kept: Sequence[LayerError]) -> tuple[FloatLayer, ...]:
        """Name every layer in float, with the reason."""
        model = read_model(network.data)
        name_of = name_layers(model, self.layers)
        reasons: dict[str, str] = {}
        for error in kept:
            for tensor in ops_of(list_nodes(model), error):
                reason = f"{_reason(error)}, the {_RANKS.get(error.rank, f'{error.rank}th')} worst"
                if tensor != error.tensor:
                    reason = f"reads what {error.layer} gives in float"
                reasons.setdefault(name_of(tensor) or tensor, reason)
        return tuple(FloatLayer(layer, reason) for layer, reason in reasons.items())


_RANKS = {1: "very", 2: "2nd", 3: "3rd", 21: "21st", 22: "22nd", 23: "23rd"}


def _uncorrected(network: RangedNetwork) -> RangedNetwork:
    return replace(network, data=network.uncorrected or network.data, uncorrected=None)


def _reason(error: LayerError) -> str:
    what = "output" if error.output.points >= error.constants.points else "weights"
    return f"{what} in int8 alone: {error.points:.1f} points of mIoU"


def _detail(trial: Trial, found: Attempt, kept: Sequence[LayerError], budget: Budget) -> str:
    share = found.burden.cycles / trial.plain.cycles - 1
    ops = len(list_nodes(read_model(found.network.data)))
    return (
        f"{len(found.network.in_float)} of {ops} ops in "
        f"float for {', '.join(dict.fromkeys(error.layer for error in kept))}: ARM cost "
        f"{100 * share:+.0f} % of {_most(trial, budget)}, {found.burden.partitions} of at "
        f"most {trial.plain.partitions + budget.more_partitions} partitions"
    )


def _too_dear(trial: Trial, budget: Budget) -> str | None:
    cost = trial.least_too_dear()
    if cost is None:
        return None
    share = f"{100 * (cost - 1):+.0f} %"
    return f"layers in float that help: ARM cost {share} of {_most(trial, budget)}"


def _most(trial: Trial, budget: Budget) -> str:
    whose = " (no more than TFLiteConverter's file)" if budget.bounded(trial.plain) else ""
    return f"at most {100 * (budget.most_cost(trial.plain) - 1):+.0f} %{whose}"
