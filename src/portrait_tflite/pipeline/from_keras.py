"""From a Keras model to finished files: rewrite, export, quantize, mend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.loading.load import LoadedModel, load_model
from portrait_tflite.convert.network_inputs import keras_ends
from portrait_tflite.convert.plan import (
    mask_graph,
    mask_spec,
    plan_of,
)
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.convert.whole_net import require_same_net, whole_net_error
from portrait_tflite.images import normalize
from portrait_tflite.models.registry import find_net
from portrait_tflite.output_folder import OutputFolder
from portrait_tflite.pipeline.baselines import build_baselines, naive_cost
from portrait_tflite.pipeline.converting import ConvertingSteps
from portrait_tflite.pipeline.describing import require_describable
from portrait_tflite.pipeline.explaining import layers_of_graph, require_layer
from portrait_tflite.pipeline.fine_tuning import int8_tuning
from portrait_tflite.pipeline.network import (
    FITTED_ON,
    MENDED_ON,
    Network,
    first_frames,
    single_frames,
)
from portrait_tflite.pipeline.no_dearer import no_dearer
from portrait_tflite.pipeline.other_inputs import require_pictures_alone
from portrait_tflite.pipeline.reading import read_pictures
from portrait_tflite.pipeline.request import (
    ConvertRequest,
    output_folder,
    stage,
)
from portrait_tflite.pipeline.rewriting import rewrite_graphs
from portrait_tflite.pipeline.unlabelled import (
    Unlabelled,
    read_unlabelled,
    require_reason,
    require_trainable,
)
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.accuracy.predictors import keras_outputs
from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.calibration import Representative, representative_dataset
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.quantize.previous_masks import Feeder, Frames
from portrait_tflite.quantize.variants import (
    INTEGER,
    build_variants,
)
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import (
    Delegate,
    Precision,
    WholeNetError,
)

_WHOLE_NET_ON = 4


def build_from_keras(
    request: ConvertRequest, scratch: Path, progress: Progress
) -> tuple[Network, Pictures, OutputFolder]:
    """Load a Keras model, read the pictures and build every variant.

    Args:
        request: What was asked for.
        scratch: Folder for drawn pictures; may go when the conversion is done.
        progress: Shows the work.

    Raises:
        UsageError: Bad options or input.
        ConversionError: The model cannot be converted.
    """
    require_reason(request)
    with stage(progress, "loading"), quiet():
        loaded = load_model(request.source, request.load)
    require_describable(request, loaded.spec)
    require_pictures_alone(request, loaded.spec)
    folder = output_folder(request, loaded.name, loaded.name)
    quantized = request.baseline or any(p in INTEGER for p in request.variants)
    pictures, frames = read_pictures(
        request, _feeder(loaded), scratch, progress, needed=quantized, zoo=loaded.zoo
    )
    unlabelled = read_unlabelled(request, loaded.spec, pictures, progress)
    if pictures.calibration is None and unlabelled is not None:
        # Rather than those that are scored on: forms are fitted to them.
        frames = (normalize(unlabelled.pictures[:FITTED_ON], loaded.spec),)
    return _build(request, loaded, pictures, frames, unlabelled, progress), pictures, folder


def _feeder(loaded: LoadedModel) -> Feeder:
    outputs_of = keras_outputs(loaded.model, loaded.spec)
    return Feeder(loaded.spec, outputs_of, keras_ends(loaded.model.inputs))


def _build(
    request: ConvertRequest,
    loaded: LoadedModel,
    pictures: Pictures,
    inputs: Frames,
    unlabelled: Unlabelled | None,
    progress: Progress,
) -> Network:
    graph, opaque = mask_graph(loaded.model, loaded.spec)
    require_trainable(request, graph)
    named = layers_of_graph(graph)
    require_layer(request.explained, named)
    chosen, fine_tuning = rewrite_graphs(request, loaded.spec, graph, inputs, unlabelled, progress)
    whole = _whole_net(graph, chosen, inputs)
    baselines = (
        build_baselines(loaded, _representative(pictures), progress) if request.baseline else None
    )
    plain_cost = naive_cost(loaded, _representative(pictures), request.io, baselines)

    def build(plans: Mapping[Delegate, Rewritten]) -> dict[str, Built]:
        steps = ConvertingSteps(request.variants, pictures)
        with progress(steps.total, "converting") as steps.update:
            return build_variants(
                {delegate: plan.graph for delegate, plan in plans.items()},
                request.variants,
                request.target,
                _representative(pictures, steps.on_picture),
                request.io,
                single_frames(inputs, MENDED_ON),
                steps.on_variant,
                request.rewrite.flatbuffer if opaque else request.rewrite.behind_keras,
                mask_spec(loaded.spec),
                one_range=request.metadata,  # MediaPipe has one for all channels
                naive_cost=plain_cost,
            )

    def shown_cost() -> float:
        with stage(progress, "pricing plain conversion"):
            return plain_cost()

    plans, built = no_dearer(request.rewrite, request.target, graph, chosen, build, shown_cost)
    if plans is not chosen:
        whole = _whole_net(graph, plans, inputs)
    reference = _reference(plans, graph, built)
    return Network(
        name=loaded.name,
        spec=mask_spec(loaded.spec),
        parameters=int(loaded.model.count_params()),
        licence=find_net(loaded.source).licence if loaded.zoo else "",
        reference=reference,
        files={name: one.data for name, one in built.items()},
        baselines=baselines.made if baselines else {},
        layers=tuple(node.name for node in graph.nodes()),
        plans={d: plan_of(plan) for d, plan in plans.items() if d is not Delegate.CPU},
        records=_once([*_of(plans, "records"), *(r for b in built.values() for r in b.mended)]),
        skipped=_once(
            [
                *opaque,
                *_of(plans, "skipped"),
                *(s for b in built.values() for s in b.skipped),
                *(baselines.failed if baselines else ()),
            ]
        ),
        rewritten=whole,
        named=named,
        rewritings=plans,
        built=built,
        fine_tuning=fine_tuning,
        finetuning=int8_tuning(request, unlabelled, graph, mask_spec(loaded.spec), built),
        naive_cost=plain_cost,
    )


def _reference(
    plans: Mapping[Delegate, Rewritten], graph: Graph, built: Mapping[str, Built]
) -> bytes:
    """The float file to score against: of the network as it came where rewrites are not exact.

    It takes what the network does, which a finished file need not.
    """
    exact = all(record.exact for record in _of(plans, "records"))
    finished = built.get(Precision.FLOAT32)
    if exact and finished is not None and finished.spec is None:
        return finished.data
    return Export(graph).float_model(Precision.FLOAT32)


def _representative(
    pictures: Pictures, on_picture: Callable[[int], None] | None = None
) -> Representative:
    if pictures.calibration is None:
        return lambda: iter(())
    return representative_dataset(pictures.calibration, on_picture)


def _whole_net(graph: Graph, plans: Mapping[Delegate, Rewritten], inputs: Frames) -> WholeNetError:
    images = first_frames(inputs, _WHOLE_NET_ON)
    errors = []
    for plan in plans.values():
        errors.append(whole_net_error(graph, plan.graph, images))
        require_same_net(graph, plan, images, errors[-1])
    return max(errors, key=lambda error: error.max_rel_error)


def _of(plans: Mapping[Delegate, Rewritten], attribute: str) -> list:  # type: ignore[type-arg]
    return [record for plan in plans.values() for record in getattr(plan, attribute)]


def _once(records: Sequence) -> tuple:  # type: ignore[type-arg]
    """Drop the records that two plans share."""
    return tuple(dict.fromkeys(records))
