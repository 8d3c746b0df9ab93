"""Remedies for an int8 file that misses the gate: the ladder, between verifying and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from portrait_tflite.convert.mending.mend_burden import weigh
from portrait_tflite.pipeline.network import Network
from portrait_tflite.pipeline.request import ConvertRequest, Progress
from portrait_tflite.quantize.accuracy import verify_variants
from portrait_tflite.quantize.accuracy_summary import MIN_FLOAT_IOU
from portrait_tflite.quantize.built import Built, Treatable
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.quantize.predictors import Predictor, tflite_predictor
from portrait_tflite.quantize.ranged_network import RangedNetwork
from portrait_tflite.quantize.remedies.ladder import Rung, climb, loss
from portrait_tflite.quantize.remedies.order import remedies_for
from portrait_tflite.quantize.remedies.remedy import OnShare, Remedy
from portrait_tflite.quantize.remedies.remembered import remembered
from portrait_tflite.quantize.sensitivity import sensitivity
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import (
    Accuracy,
    FloatLayer,
    LayerError,
    Precision,
    RemedyStep,
    Variant,
)

_INT8 = str(Precision.INT8)
_BLAMED = 3  # layers named where nothing helped
_PARTS = 100  # of a remedy's work, for the progress bar


@dataclass(frozen=True)
class Remedied:
    """What the ladder came to.

    Attributes:
        network: With the best int8 file.
        scores: With that file's.
        steps: What was tried, in order; empty where the gate held at once.
        float_layers: What the file keeps in float.
        blamed: What harms most, in words; "" where the gate holds.
        sensitivity: What each op of plain int8 loses, the worst first; empty where the gate held at
            once. Of the file itself where no remedy was enough.
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
        if self.steps:
            found[_INT8] = replace(
                found[_INT8],
                remedies=self.steps,
                float_layers=self.float_layers,
                sensitivity=self.sensitivity,
            )
        return found


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
    remedies = remedies_for(
        network.spec.output, network.layers, request.remedies, network.finetuning
    )
    if built is None or treatable is None or plain is None or not remedies or not _helps(plain):
        return Remedied(network, scores, _not_needed(network.finetuning, built, plain))
    judge = _judge(request, network, pictures)
    climbing = _Climbing(progress, loss(plain))
    best, steps = climb(
        Rung(treatable.network, built, plain),
        remedies,
        treatable.frames,
        treatable.build,
        judge,
        climbing.show,
        climbing.on_step,
    )
    passed = best.accuracy.passed
    looked_at = treatable.network if passed else best.network
    errors = _sensitivity(looked_at, network, treatable, progress)
    return Remedied(
        network=_with(network, best.built),
        scores={**scores, _INT8: best.accuracy},
        steps=(*steps, *_not_needed(network.finetuning, best.built, best.accuracy, steps)),
        float_layers=best.float_layers,
        blamed="" if passed else _blame(errors),
        sensitivity=errors,
    )


def _helps(accuracy: Accuracy) -> bool:
    """Tell whether a remedy can make it pass: not where the float network itself fails."""
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
    """Put another int8 file in the place of the network's."""
    records = [*network.records, *built.mended]
    return replace(
        network,
        files={**network.files, _INT8: built.data},
        built={**network.built, _INT8: built},
        records=tuple(dict.fromkeys(records)),
    )


def _not_needed(
    finetuning: Remedy | None,
    built: Built | None,
    accuracy: Accuracy | None,
    steps: Sequence[RemedyStep] = (),
) -> tuple[RemedyStep, ...]:
    """Record that pictures to fine-tune on were given, and the gate held without."""
    if finetuning is None or built is None or accuracy is None or not accuracy.passed:
        return ()
    if any(step.name == finetuning.name for step in steps):
        return ()
    burden = weigh(built.data)
    mcycles = burden.cycles / 1e6
    return (
        RemedyStep(
            name=finetuning.name,
            gain=0.0,
            cost=0.0,
            kept=False,
            passed=True,
            loss=loss(accuracy),
            mcycles_before=mcycles,
            mcycles_after=mcycles,
            partitions_before=burden.partitions,
            partitions_after=burden.partitions,
            minutes=0.0,
            detail="--finetune was not needed: the gate holds without",
            ran=False,
        ),
    )


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


def _sensitivity(
    looked_at: RangedNetwork, network: Network, treatable: Treatable, progress: Progress
) -> tuple[LayerError, ...]:
    with progress(_PARTS, "finding the layers to blame") as update, quiet():
        return sensitivity(
            looked_at,
            treatable.frames,
            network.spec.output,
            network.layers,
            lambda share: update(round(_PARTS * share)),
        )


def _blame(errors: Sequence[LayerError]) -> str:
    named = [f"{error.layer} ({error.points:.2f} points)" for error in errors[:_BLAMED]]
    return f"{', '.join(named)} harm most"
