"""`--finetune`: approximate forms recovered on unlabelled pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from portrait_tflite.cache_folder import cache_folder
from portrait_tflite.convert.finetuning.lessons import (
    FEWEST,
    Lessons,
    make_lessons,
    read_pictures,
)
from portrait_tflite.convert.finetuning.options import FineTuningOptions
from portrait_tflite.convert.finetuning.run import FineTuned, fine_tune
from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.plan import RewriteRequest, plan_of, whole_net_error
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.errors import UsageError
from portrait_tflite.images import Bytes
from portrait_tflite.pipeline.network import first_frames
from portrait_tflite.pipeline.request import ConvertRequest, Progress, stage
from portrait_tflite.quantize.calibration import calibration_images
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.quantize.previous_masks import Frames
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import Approximation, Delegate, FineTuning, ModelSpec

_COMPARED_ON = 4


@dataclass(frozen=True)
class Unlabelled:
    """The pictures to fine-tune on.

    Attributes:
        source: The folder.
        pictures: Bytes `[n, h, w, c]`.
    """

    source: Path
    pictures: Bytes


def may_approximate(wanted: RewriteRequest) -> bool:
    """Whether a form may be taken that is another function: by name, or by an earlier plan."""
    return bool(wanted.approximate) or wanted.plans is not None


def require_reason(request: ConvertRequest) -> None:
    """Refuse `--finetune` before the work starts where there will be nothing to recover.

    Raises:
        UsageError: No approximation was asked for, or the folder holds no pictures.
    """
    if request.finetune is None:
        return
    if not may_approximate(request.rewrite):
        raise UsageError(
            "--finetune recovers what approximate forms lose: --rewrite with one of "
            f"{', '.join(Approximation)} is required. Received: none. Name one, or leave "
            "--finetune out."
        )
    found = len(calibration_images(request.finetune))
    if found < FEWEST:
        raise UsageError(
            f"--finetune must be a folder with {FEWEST} pictures or more, 500 are good. "
            f"Received: {request.finetune} with {found}."
        )


def read_unlabelled(
    request: ConvertRequest, spec: ModelSpec, scored: Pictures, progress: Progress
) -> Unlabelled | None:
    """Read the folder of `--finetune`, without the pictures that are scored on.

    Raises:
        UsageError: Too few of them can be read, or the network remembers pictures.
    """
    folder = request.finetune
    if folder is None or request.explained is not None:
        return None
    if spec.state is not None:
        raise UsageError(
            "--finetune takes networks that look at one picture alone. Received: one that is fed "
            "with its last mask. Leave --finetune out."
        )
    held = {sample.image.resolve() for sample in scored.samples}
    paths = [path for path in calibration_images(folder) if path.resolve() not in held]
    with stage(progress, "reading unlabelled pictures"):
        return Unlabelled(folder, read_pictures(paths, spec, request.pictures.seed, folder))


def fine_tune_plans(
    unlabelled: Unlabelled,
    spec: ModelSpec,
    seed: int,
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
        UsageError: No plan has an approximate form.
    """
    shared = _shared(plans)
    if not shared:
        raise UsageError(
            "--finetune recovers what approximate forms lose. Received: a network in which "
            "--rewrite found nothing to approximate. Leave --finetune out."
        )
    options = FineTuningOptions(seed=seed)
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
    folder = cache_folder() / "finetuning"
    with progress(options.total_steps, "fine-tuning") as update, quiet():
        return fine_tune(fitted.graph, approximated, lessons, options, folder, update)
