"""`--finetune`: approximate forms, and int8 files, recovered on unlabelled pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from portrait_tflite.cache_folder import cache_folder
from portrait_tflite.convert.finetuning.lessons import Lessons, make_lessons
from portrait_tflite.convert.finetuning.options import FineTuningOptions
from portrait_tflite.convert.finetuning.run import FineTuned, fine_tune
from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.plan import plan_of
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.convert.whole_net import whole_net_error
from portrait_tflite.errors import UsageError
from portrait_tflite.pipeline.network import first_frames
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.pipeline.unlabelled import Unlabelled, may_train_for_int8
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.previous_masks import Frames
from portrait_tflite.quantize.remedies.fake_quant_tuning import LEARNING_RATE
from portrait_tflite.quantize.remedies.finetuning import FineTuningForInt8
from portrait_tflite.quantize.remedies.remedy import Remedy
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import Delegate, FineTuning, ModelSpec, Precision

_COMPARED_ON = 4
_CHECKPOINTS = "finetuning"  # folder in the cache


def int8_tuning(
    request: ConvertRequest,
    unlabelled: Unlabelled | None,
    graph: Graph,
    spec: ModelSpec,
    built: Mapping[str, Built],
) -> Remedy | None:
    """Make the last remedy of the int8 file; None where `--finetune` does not allow it.

    Args:
        graph: The network as it came, whose masks are learned.
        spec: What that takes.
        built: The variants.
    """
    int8 = built.get(Precision.INT8)
    treatable = int8.treatable if int8 else None
    trainable = treatable.trainable if treatable else None
    if unlabelled is None or trainable is None or not may_train_for_int8(request):
        return None
    return FineTuningForInt8(
        trainable=trainable,
        taught=graph,
        spec=spec,
        takes_bytes=int8 is not None and int8.spec is not None,
        pictures=unlabelled.pictures,
        options=FineTuningOptions(learning_rate=LEARNING_RATE, seed=unlabelled.seed),
        folder=cache_folder() / _CHECKPOINTS,
    )


def fine_tune_plans(
    request: ConvertRequest,
    unlabelled: Unlabelled,
    spec: ModelSpec,
    graph: Graph,
    plans: Mapping[Delegate, Rewritten],
    inputs: Frames,
    progress: Progress,
) -> tuple[dict[Delegate, Rewritten], tuple[FineTuning, ...]]:
    """Fine-tune every plan with approximate forms; equal plans share one run, and one graph.

    Args:
        graph: The network as it came, whose masks are learned.
        inputs: To compare the whole net on.

    Returns:
        The plans with their fine-tuned graphs, and what each run came to.

    Raises:
        UsageError: No plan has an approximate form, and int8 is not to be fine-tuned either.
    """
    shared = _shared(plans)
    if not shared and may_train_for_int8(request):
        return dict(plans), ()
    if not shared:
        raise UsageError(
            "--finetune recovers what approximate forms lose. Received: a network in which "
            "--rewrite found nothing to approximate. Leave --finetune out."
        )
    options = FineTuningOptions(seed=unlabelled.seed)
    with progress(len(unlabelled.pictures), "asking the network for its masks") as update, quiet():
        lessons = make_lessons(unlabelled.pictures, spec, graph, options, update)
    changed = dict(plans)
    records = []
    for delegates in shared:
        fitted = plans[delegates[0]]
        tuned = _fine_tune(fitted, lessons, options, progress)
        for delegate in delegates:
            changed[delegate] = replace(plans[delegate], graph=tuned.graph)
        records.append(
            FineTuning(
                source=str(unlabelled.source),
                delegates=delegates,
                images=len(unlabelled.pictures) - len(lessons[1]),
                held_out=len(lessons[1]),
                rounds=tuned.rounds,
                stopped_early=tuned.stopped_early,
                agreement_before=tuned.before,
                agreement_after=tuned.after,
                rewritten_before=whole_net_error(
                    graph, fitted.graph, first_frames(inputs, _COMPARED_ON)
                ),
            )
        )
    return changed, tuple(records)


def _shared(plans: Mapping[Delegate, Rewritten]) -> list[tuple[Delegate, ...]]:
    """Group the delegates whose plans have approximate forms and are the same."""
    groups: list[list[Delegate]] = []
    for delegate, plan in plans.items():
        if all(record.exact for record in plan.records):
            continue
        alike = next((g for g in groups if plan_of(plans[g[0]]) == plan_of(plan)), None)
        if alike is None:
            groups.append([delegate])
        else:
            alike.append(delegate)
    return [tuple(group) for group in groups]


def _fine_tune(
    fitted: Rewritten,
    lessons: tuple[Lessons, Lessons],
    options: FineTuningOptions,
    progress: Progress,
) -> FineTuned:
    approximated = [record.layer for record in fitted.records if not record.exact]
    folder = cache_folder() / _CHECKPOINTS
    with progress(options.total_steps, "fine-tuning") as update, quiet():
        try:
            return fine_tune(
                fitted.graph, approximated, lessons, options, folder, update, say=update.say
            )
        except KeyboardInterrupt:
            update.say("The same command goes on behind the last whole round.")
            raise
