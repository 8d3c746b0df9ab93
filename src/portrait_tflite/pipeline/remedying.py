"""Remedies for an int8 file that misses the gate: the ladder, between verifying and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from portrait_tflite.errors import UsageError
from portrait_tflite.pipeline.blaming import blame, find_culprits
from portrait_tflite.pipeline.network import Network
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.accuracy.predictors import Predictor
from portrait_tflite.quantize.accuracy.remembering import tflite_predictor
from portrait_tflite.quantize.accuracy.summary import MIN_FLOAT_IOU
from portrait_tflite.quantize.accuracy.verify import verify_variants
from portrait_tflite.quantize.built import Built, Treatable
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.quantize.remedies.float_trials import Budget
from portrait_tflite.quantize.remedies.ladder import Rung, climb, loss, step_not_needed
from portrait_tflite.quantize.remedies.order import remedies_for
from portrait_tflite.quantize.remedies.remedy import OnShare, Remedy
from portrait_tflite.quantize.remedies.remembered import remembered
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import (
    Accuracy,
    FloatLayer,
    LayerError,
    Precision,
    RemedyName,
    RemedyStep,
    Variant,
)

_INT8 = str(Precision.INT8)
# That a network may have without pictures to train on.
_EVERY = frozenset(RemedyName) - {RemedyName.FINETUNING}
_PARTS = 100  # of a remedy's work, for the progress bar


@dataclass(frozen=True)
class Remedied:
    """What the ladder came to.

    Attributes:
        network: With the best int8 file.
        scores: With that file's.
        steps: What was tried, in order; empty where the gate held at once.
        float_layers: What the file keeps in float.
        blamed: What harms most and what is left to try, in words; "" where the gate holds.
        sensitivity: What each op of plain int8 loses, the worst first. Of the file itself where no
            remedy was enough; empty where there is no int8 file that was quantized here.
    """

    network: Network
    scores: Mapping[str, Accuracy]
    steps: tuple[RemedyStep, ...] = ()
    float_layers: tuple[FloatLayer, ...] = ()
    blamed: str = ""
    sensitivity: tuple[LayerError, ...] = ()

    def noted(self, variants: Mapping[str, Variant]) -> dict[str, Variant]:
        """Write what was done into the int8 variant's record."""
        found = dict(variants)
        if self.steps or self.sensitivity:
            found[_INT8] = replace(
                found[_INT8],
                remedies=self.steps,
                float_layers=self.float_layers,
                sensitivity=self.sensitivity,
            )
        return found


def require_float_layers(request: ConvertRequest) -> None:
    """Refuse `--float-budget` before the work starts where no layer may stay in float.

    Raises:
        UsageError: The remedy is not among those named, or int8 not among the variants.
    """
    if request.float_budget is None:
        return
    named = request.remedies is None or RemedyName.SELECTIVE_FLOAT in request.remedies
    if not named or (request.variants and Precision.INT8 not in request.variants):
        raise UsageError(
            f"--float-budget is for --int8 with the remedy {RemedyName.SELECTIVE_FLOAT}. "
            f"Received: {request.float_budget:g} without {'--int8' if named else 'that remedy'}. "
            "Allow it, or leave --float-budget out."
        )


def remedy(
    request: ConvertRequest,
    network: Network,
    pictures: Pictures,
    scores: Mapping[str, Accuracy],
    progress: Progress,
) -> Remedied:
    """Climb the ladder with the int8 file where it fails for what it loses against float."""
    built, plain = network.built.get(_INT8), scores.get(_INT8)
    treatable = built.treatable if built else None
    if built is None or treatable is None or plain is None:
        return Remedied(network, scores)
    start = Rung(treatable.network, built, plain)
    best, steps = start, tuple[RemedyStep, ...]()
    if missed := _loses(plain):
        climbing = _Climbing(progress, loss(plain))
        best, steps = climb(
            start,
            remedies_for(
                network.spec.output,
                network.layers,
                request.remedies,
                network.finetuning,
                max_drop=request.max_drop,
                finish=lambda treated: treatable.build(treated).data,
                budget=lambda: _budget(request, network),
            ),
            treatable.frames,
            treatable.build,
            _judge(request, network, pictures),
            climbing.show,
            climbing.on_step,
        )
    lost = _loses(best.accuracy)
    errors = find_culprits(
        best.network if lost else treatable.network,
        treatable,
        network.spec.output,
        network.layers,
        progress,
        thorough=missed,
    )
    return Remedied(
        network=network if best is start else _with(network, best.built),
        scores={**scores, _INT8: best.accuracy},
        steps=(*steps, *_not_needed(network.finetuning, best, steps)),
        float_layers=(*best.built.in_float, *best.float_layers),
        blamed="; ".join(filter(None, [blame(errors), _left(request, network, treatable)]))
        if lost
        else "",
        sensitivity=errors,
    )


def _budget(request: ConvertRequest, network: Network) -> Budget:
    """Say what layers in float may cost: what was asked for, or never more than what it replaces.

    What plain `TFLiteConverter` makes of a Keras model is what a file of ours stands in for.
    """
    if request.float_budget is not None:
        return Budget(max_cost=1 + request.float_budget / 100)
    return Budget() if network.naive_cost is None else Budget(max_cycles=network.naive_cost())


def _left(request: ConvertRequest, network: Network, treatable: Treatable) -> str:
    """Say what was not tried; "" where that is nothing."""
    if request.remedies is not None and not set(request.remedies) >= _EVERY:
        return "all remedies are tried without --remedies"
    left = []
    if request.float_budget is None:
        left.append("--float-budget PERCENT lets layers in float cost more")
    alone = network.spec.state is None and not network.spec.others
    if network.finetuning is None and treatable.trainable is not None and alone:
        left.append("--finetune DIR trains the weights for int8")
    return ", ".join(left)


def _loses(accuracy: Accuracy) -> bool:
    """Tell whether it fails for what int8 loses: not where the float network itself fails."""
    float_iou = accuracy.iou + accuracy.drop.iou / 100
    return not accuracy.passed and not (accuracy.labelled and float_iou < MIN_FLOAT_IOU)


def _judge(
    request: ConvertRequest, network: Network, pictures: Pictures
) -> Callable[[Built], Accuracy]:
    with quiet():
        predictor = tflite_predictor(network.reference, network.spec, network.scored_with)
    # Its masks are the same for every file that is judged.
    reference: Predictor = remembered(predictor)

    def judge(built: Built) -> Accuracy:
        with quiet():
            candidate = _with(network, built).predictor(_INT8)
        found = verify_variants(
            reference, {_INT8: candidate}, network.spec, pictures.samples, request.max_drop
        )
        return found[_INT8]

    return judge


def _with(network: Network, built: Built) -> Network:
    """Put another int8 file, and what was mended in it, in the place of the network's."""
    others = [one for name, one in network.built.items() if name != _INT8]
    before = network.built[_INT8]
    gone = {*before.mended, *before.skipped}
    gone -= {each for one in others for each in (*one.mended, *one.skipped)}
    records = [*(one for one in network.records if one not in gone), *built.mended]
    skipped = [*(one for one in network.skipped if one not in gone), *built.skipped]
    return replace(
        network,
        files={**network.files, _INT8: built.data},
        built={**network.built, _INT8: built},
        records=tuple(dict.fromkeys(records)),
        skipped=tuple(dict.fromkeys(skipped)),
    )


def _not_needed(
    finetuning: Remedy | None, best: Rung, steps: Sequence[RemedyStep]
) -> tuple[RemedyStep, ...]:
    """Record that pictures to fine-tune on were given, and the gate held without."""
    if finetuning is None or not best.accuracy.passed:
        return ()
    if any(step.name == finetuning.name for step in steps):
        return ()
    why = "--finetune was not needed: the gate holds without"
    return (step_not_needed(finetuning.name, best, why),)


class _Climbing:
    """Shows each remedy at work, with what the file loses until then."""

    def __init__(self, progress: Progress, lost: float) -> None:
        self._progress = progress
        self._lost = lost

    @contextmanager
    def show(self, name: str) -> Iterator[OnShare]:
        title = f"remedy: {name} ({self._lost:.2f} points lost)"
        with self._progress(_PARTS, title) as update, quiet():
            yield lambda share: update(round(_PARTS * share))

    def on_step(self, step: RemedyStep) -> None:
        if step.kept:
            self._lost = step.loss
