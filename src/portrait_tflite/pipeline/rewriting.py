"""Rewriting the Keras graph for every delegate, with fine-tuning in between if asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from portrait_tflite.convert.choice import BeforeFineTuning, CheapestForm, Chooser
from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.plan import chooser_for, require_met, require_plans, rewrite_for
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.pipeline.fine_tuning import fine_tune_plans
from portrait_tflite.pipeline.network import FITTED_ON, first_frames
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.pipeline.tuning import HostTiming
from portrait_tflite.pipeline.unlabelled import Unlabelled, may_approximate
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.previous_masks import Frames
from portrait_tflite.quantize.variants import INTEGER, delegate_of
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import Delegate, FineTuning, ModelSpec

# Pictures that exact rewrites are verified on.
_VERIFIED_ON = 2


def rewrite_graphs(
    request: ConvertRequest,
    spec: ModelSpec,
    graph: Graph,
    inputs: Frames,
    unlabelled: Unlabelled | None,
    progress: Progress,
) -> tuple[dict[Delegate, Rewritten], tuple[FineTuning, ...]]:
    """Rewrite a network for every delegate that a variant is meant for.

    Where it is fine-tuned, approximate forms come before that, and what cost decides behind it.

    Args:
        spec: Of the network.
        graph: As it came.
        inputs: To verify and fit on.
        unlabelled: Pictures to fine-tune on, or None.

    Returns:
        What was done for each delegate, and what fine-tuning came to.

    Raises:
        UsageError: Approximate forms were named, and there is nothing to fine-tune; or a plan is
            not of this network or not of these variants.
        ConversionError: A rewrite fails.
    """
    wanted = dict.fromkeys(delegate_of(p, request.target) for p in request.variants)
    # What no delegate takes is converted as it came.
    plain = {d: Rewritten(graph, (), ()) for d in wanted if d is Delegate.CPU}
    delegates = [delegate for delegate in wanted if delegate not in plain]
    require_plans(request.rewrite.plans, delegates)
    choosers = {delegate: _chooser(request, delegate) for delegate in delegates}
    graphs = dict.fromkeys(delegates, graph)
    if unlabelled is None or not may_approximate(request.rewrite):
        rewritten = _rewrite(request, graphs, choosers, inputs, progress)
        return plain | _met(request, rewritten), ()
    before = {delegate: BeforeFineTuning(chooser) for delegate, chooser in choosers.items()}
    fitted = _rewrite(request, graphs, before, inputs, progress)
    tuned, records = fine_tune_plans(request, unlabelled, spec, graph, fitted, inputs, progress)
    exact = replace(request, rewrite=replace(request.rewrite, approximate=frozenset()))
    done = _rewrite(
        exact,
        {delegate: plan.graph for delegate, plan in tuned.items()},
        {delegate: _chooser(exact, delegate) for delegate in delegates},
        inputs,
        progress,
    )
    joined = {delegate: tuned[delegate].followed_by(done[delegate]) for delegate in delegates}
    return plain | _met(request, joined), records


def _met(
    request: ConvertRequest, rewritten: dict[Delegate, Rewritten]
) -> dict[Delegate, Rewritten]:
    for delegate, plan in rewritten.items():
        require_met(request.rewrite, delegate, plan)
    return rewritten


def _rewrite(
    request: ConvertRequest,
    graphs: Mapping[Delegate, Graph],
    choosers: Mapping[Delegate, Chooser],
    inputs: Frames,
    progress: Progress,
) -> dict[Delegate, Rewritten]:
    images = first_frames(inputs, FITTED_ON if may_approximate(request.rewrite) else _VERIFIED_ON)
    plans: dict[Delegate, Rewritten] = {}
    with progress(len(graphs), "rewriting") as update:
        for delegate, graph in graphs.items():
            with quiet():
                plans[delegate] = rewrite_for(
                    graph, delegate, request.rewrite, images, choosers[delegate]
                )
            update(len(plans))
    return plans


def _chooser(request: ConvertRequest, delegate: Delegate) -> Chooser:
    if not request.rewrite.tune:
        return chooser_for(delegate, request.rewrite)
    precisions = [p for p in request.variants if delegate_of(p, request.target) is delegate]
    integer = any(p in INTEGER for p in precisions)
    return HostTiming(CheapestForm(delegate, request.rewrite.approximate), integer=integer)
