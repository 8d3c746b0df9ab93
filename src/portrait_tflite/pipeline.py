"""The façade: from a Keras model, or a released `.tflite`, to verified files and a report.

Stages hand each other files and records; this module only says in which order.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.benchmarks.machine import read_machine, read_versions
from portrait_tflite.benchmarks.measure import Cell, measure_files, unavailable_arm_cost
from portrait_tflite.convert.describe import count_parameters, describe_variant
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.flatbuffer import read_model
from portrait_tflite.convert.flatbuffer_nodes import count_macs
from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.load import LoadedModel, LoadOptions, load_model
from portrait_tflite.convert.mend import mend_model
from portrait_tflite.convert.op_versions import runtime_order
from portrait_tflite.convert.plan import (
    RewriteRequest,
    mask_graph,
    mask_spec,
    plan_of,
    rewrite_for,
    whole_net_error,
)
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.errors import ConversionError, UsageError
from portrait_tflite.images import Floats, prepare, read_usable
from portrait_tflite.models.registry import find_net
from portrait_tflite.output_folder import OutputFolder
from portrait_tflite.quantize.accuracy import verify_variants
from portrait_tflite.quantize.calibration import manifest, representative_dataset
from portrait_tflite.quantize.diagnosis import diagnose_low_iou
from portrait_tflite.quantize.pictures import PictureRequest, Pictures, gather_pictures
from portrait_tflite.quantize.predictors import tflite_outputs, tflite_predictor
from portrait_tflite.quantize.variants import (
    INTEGER,
    Built,
    build_naive,
    build_variants,
    delegate_of,
)
from portrait_tflite.quiet import quiet
from portrait_tflite.report.files import is_output, write_outputs
from portrait_tflite.vocabulary import (
    Accuracy,
    BenchmarkResult,
    Delegate,
    IoType,
    ModelRecord,
    ModelSpec,
    Precision,
    Report,
    RewriteMode,
    RewriteRecord,
    SkippedRewrite,
    Target,
    Variant,
    WholeNetError,
)

Progress = Callable[[int, str], AbstractContextManager[Callable[..., None]]]
"""`progress(total, description)` shows work; what it yields is called with the steps done."""

# Pictures that rewrites are verified on, and those that approximate ones are fitted on.
_VERIFIED_ON = 2
_FITTED_ON = 16
_WHOLE_NET_ON = 4
_MENDED_ON = 3
# Baselines of `--baseline`: whether the batch is fixed to 1.
_NAIVE = {"naive": False, "naive_batch1": True}


@dataclass(frozen=True)
class ConvertRequest:
    """What `convert` was asked for; see its help for each.

    Attributes:
        source: Path or zoo name.
        tflite_spec: The spec of a `.tflite`, which says less of itself than a Keras file.
        min_runtime: Oldest runtime that must load every file, e.g. `2.9`, or "".
        delegates: What is benchmarked; empty for nothing.
        command: The command line, for the report.
    """

    source: str
    out: Path | None = None
    load: LoadOptions = field(default_factory=LoadOptions)
    tflite_spec: ModelSpec | None = None
    variants: tuple[Precision, ...] = (Precision.FLOAT32, Precision.FLOAT16, Precision.INT8)
    pictures: PictureRequest = field(default_factory=PictureRequest)
    max_drop: float = 1.0
    io: IoType = IoType.INT8
    rewrite: RewriteRequest = field(default_factory=RewriteRequest)
    target: Target = Target.BOTH
    min_runtime: str = ""
    delegates: tuple[Delegate, ...] = (Delegate.CPU, Delegate.XNNPACK)
    runs: int = 50
    baseline: bool = False
    force: bool = False
    command: str = ""


@dataclass(frozen=True)
class Converted:
    """The report, where it lies, and the gates that failed."""

    report: Report
    out: Path
    failures: tuple[str, ...]


@dataclass(frozen=True)
class _Network:
    """What both routes, Keras and `.tflite`, come down to.

    Attributes:
        files: Finished files by variant.
        reference: The float file that accuracy is measured against.
        extra: Baselines, by variant.
    """

    name: str
    spec: ModelSpec
    parameters: int
    licence: str
    reference: bytes
    files: dict[str, bytes]
    extra: dict[str, bytes]
    extra_spec: ModelSpec | None
    layers: tuple[str, ...] = ()
    plans: dict[Delegate, list[dict[str, str]]] = field(default_factory=dict)
    records: tuple[RewriteRecord, ...] = ()
    skipped: tuple[SkippedRewrite, ...] = ()
    rewritten: WholeNetError | None = None


def convert_model(request: ConvertRequest, progress: Progress) -> Converted:
    """Convert a model, prove it and write everything to the output folder.

    Raises:
        UsageError: Bad options or input; nothing is written.
        ConversionError: The model cannot be converted; nothing is written.
    """
    with tempfile.TemporaryDirectory(prefix="portrait-tflite-") as scratch:
        if request.source.lower().endswith(".tflite"):
            return _convert_file(request, Path(scratch), progress)
        return _convert_keras(request, Path(scratch), progress)


def _convert_keras(request: ConvertRequest, scratch: Path, progress: Progress) -> Converted:
    with _stage(progress, "loading"), quiet():
        loaded = load_model(request.source, request.load)
    folder = _folder(request, loaded.name)
    quantized = request.baseline or any(p in INTEGER for p in request.variants)
    with _stage(progress, "reading pictures"):
        pictures = gather_pictures(
            request.pictures, loaded.spec, scratch / "drawn", needed=quantized, zoo=loaded.zoo
        )
    network = _build_keras(request, loaded, pictures, progress)
    return _finish(request, network, pictures, folder, progress)


def _build_keras(
    request: ConvertRequest, loaded: LoadedModel, pictures: Pictures, progress: Progress
) -> _Network:
    inputs = _probe_inputs(pictures, loaded.spec)
    graph, opaque = mask_graph(loaded.model, loaded.spec)
    plans = _rewrite(request, graph, inputs, progress)
    representative = _representative(pictures)
    with progress(len(request.variants), "converting") as update:
        done: list[Precision] = []

        def on_variant(precision: Precision) -> None:
            update(len(done))
            done.append(precision)

        built = build_variants(
            {delegate: plan.graph for delegate, plan in plans.items()},
            request.variants,
            request.target,
            representative,
            request.io,
            [image[None] for image in inputs[:_MENDED_ON]],
            on_variant,
        )
    reference = _reference(request, graph, built)
    extra, failed = _baselines(request, loaded, representative, progress)
    return _Network(
        name=loaded.name,
        spec=mask_spec(loaded.spec),
        parameters=int(loaded.model.count_params()),
        licence=find_net(loaded.source).licence if loaded.zoo else "",
        reference=reference,
        files={name: one.data for name, one in built.items()},
        extra=extra,
        # A baseline keeps all outputs, in an order that is the converter's: scored where it is one.
        extra_spec=loaded.spec if len(loaded.model.outputs) == 1 else None,
        layers=tuple(node.name for node in graph.nodes()),
        plans={delegate: plan_of(plan) for delegate, plan in plans.items()},
        records=_once([*_of(plans, "records"), *(r for b in built.values() for r in b.mended)]),
        skipped=_once(
            [
                *opaque,
                *_of(plans, "skipped"),
                *(s for b in built.values() for s in b.skipped),
                *failed,
            ]
        ),
        rewritten=_whole_net(graph, plans, inputs),
    )


def _convert_file(request: ConvertRequest, scratch: Path, progress: Progress) -> Converted:
    """Mend, audit, verify and benchmark a finished file; its reference is the file as it came."""
    if request.tflite_spec is None:
        raise UsageError("a .tflite needs its spec. Received: none.")
    path = Path(request.source)
    data = path.read_bytes()
    folder = _folder(request, path.stem)
    with _stage(progress, "reading pictures"):
        pictures = gather_pictures(
            request.pictures, request.tflite_spec, scratch / "drawn", needed=False, zoo=False
        )
    with _stage(progress, "mending"), quiet():
        inputs = _probe_inputs(pictures, request.tflite_spec)
        mended = mend_model(data, [image[None] for image in inputs[:_MENDED_ON]])
    network = _Network(
        name=path.stem,
        spec=request.tflite_spec,
        parameters=count_parameters(data),
        licence="",
        reference=data,
        files={_precision_of(data): mended.data},
        extra={"as_released": data},
        extra_spec=request.tflite_spec,
        records=mended.records,
        skipped=mended.skipped,
    )
    return _finish(request, network, pictures, folder, progress)


def _finish(
    request: ConvertRequest,
    network: _Network,
    pictures: Pictures,
    folder: OutputFolder,
    progress: Progress,
) -> Converted:
    """Audit, verify and benchmark the files, then write them with the report."""
    everything = {**network.files, **network.extra}
    with _stage(progress, "auditing"), quiet():
        variants = {
            name: describe_variant(f"{network.name}-{name}.tflite", data, network.layers)
            for name, data in everything.items()
        }
    scores = _verify(request, network, pictures, progress)
    variants = {
        name: _scored(variant, scores.get(name), gated=name in network.files)
        for name, variant in variants.items()
    }
    benchmarks = _benchmark(request, everything, variants, progress)
    failures = _failures(request, {name: variants[name] for name in network.files})
    report = Report(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=request.command,
        versions=read_versions(),
        machine=read_machine(),
        model=ModelRecord(
            source=request.source,
            name=network.name,
            parameters=network.parameters,
            macs=count_macs(read_model(network.reference)),
            spec=network.spec,
            licence=network.licence,
        ),
        rewrites=network.records,
        skipped=network.skipped,
        rewritten=network.rewritten,
        calibration=pictures.calibration.record if pictures.calibration else None,
        variants=variants,
        max_drop=request.max_drop,
        passed=not failures,
        scored_on=pictures.scored_on,
        benchmarks=tuple(benchmarks),
        arm_cost=unavailable_arm_cost(list(variants)),
    )
    calibration = manifest(pictures.calibration) if pictures.calibration else None
    with folder.staged() as staging:
        write_outputs(staging, report, everything, network.plans, calibration)
    return Converted(report, folder.path, failures)


def _rewrite(
    request: ConvertRequest, graph: Graph, inputs: Floats, progress: Progress
) -> dict[Delegate, Rewritten]:
    delegates = list(dict.fromkeys(delegate_of(p, request.target) for p in request.variants))
    images = inputs[: _FITTED_ON if request.rewrite.mode is RewriteMode.RESIZE else _VERIFIED_ON]
    plans: dict[Delegate, Rewritten] = {}
    with progress(len(delegates), "rewriting") as update:
        for delegate in delegates:
            with quiet():
                plans[delegate] = rewrite_for(graph, delegate, request.rewrite, images)
            update(len(plans))
    return plans


def _reference(request: ConvertRequest, graph: Graph, built: Mapping[str, Built]) -> bytes:
    """The float file to score against: of the network as it came where rewrites are not exact."""
    if request.rewrite.mode is not RewriteMode.RESIZE and Precision.FLOAT32 in built:
        return built[Precision.FLOAT32].data
    return Export(graph).float_model(Precision.FLOAT32)


def _baselines(
    request: ConvertRequest,
    loaded: LoadedModel,
    representative: Callable[[], Iterator[list[NDArray[np.float32]]]],
    progress: Progress,
) -> tuple[dict[str, bytes], list[SkippedRewrite]]:
    """Convert the model as given with plain `TFLiteConverter`, with and without batch 1."""
    if not request.baseline:
        return {}, []
    built: dict[str, bytes] = {}
    failed: list[SkippedRewrite] = []
    with progress(len(_NAIVE), "converting the baselines") as update:
        for name, batch_one in _NAIVE.items():
            try:
                naive = build_naive(loaded.model, representative, batch_one=batch_one)
                built[name] = naive.data
            except ConversionError as error:
                failed.append(SkippedRewrite(name, loaded.model.name, str(error)))
            update(len(built) + len(failed))
    return built, failed


def _verify(
    request: ConvertRequest, network: _Network, pictures: Pictures, progress: Progress
) -> dict[str, Accuracy]:
    with quiet():
        reference = tflite_predictor(network.reference, network.spec)
        predictors = {
            name: reference if data is network.reference else tflite_predictor(data, network.spec)
            for name, data in network.files.items()
        }
        if network.extra_spec is not None:
            predictors |= {
                name: reference
                if data is network.reference
                else tflite_predictor(data, network.extra_spec)
                for name, data in network.extra.items()
            }
    with progress(len(pictures.samples), "verifying") as update:
        return verify_variants(
            reference,
            predictors,
            network.spec,
            pictures.samples,
            request.max_drop,
            on_image=update,
            diagnose=lambda: diagnose_low_iou(
                tflite_outputs(network.reference), network.spec, pictures.samples
            ),
        )


def _benchmark(
    request: ConvertRequest,
    files: Mapping[str, bytes],
    variants: Mapping[str, Variant],
    progress: Progress,
) -> list[BenchmarkResult]:
    with tempfile.TemporaryDirectory(prefix="portrait-tflite-") as folder:
        cells = []
        for name, data in files.items():
            path = Path(folder) / variants[name].file
            path.write_bytes(data)
            precision = variants[name].input.dtype if name not in list(Precision) else name
            cells += [
                Cell(name, path, delegate, precision=precision) for delegate in request.delegates
            ]
        if not cells:
            return []
        with progress(request.runs, "benchmarking") as update, quiet():
            return measure_files(cells, runs=request.runs, on_progress=update)


def _failures(request: ConvertRequest, variants: Mapping[str, Variant]) -> tuple[str, ...]:
    failures = []
    for name, variant in variants.items():
        if variant.accuracy and not variant.accuracy.passed:
            failures.append(f"{name}: {variant.accuracy.reason}")
        needed = variant.audit.min_runtime
        if request.min_runtime and runtime_order(needed) > runtime_order(request.min_runtime):
            failures.append(
                f"{name}: {variant.audit.min_runtime_op} needs runtime {needed}, "
                f"--min-runtime allows {request.min_runtime}"
            )
    return tuple(failures)


def _scored(variant: Variant, accuracy: Accuracy | None, *, gated: bool) -> Variant:
    failed = gated and accuracy is not None and not accuracy.passed
    file = variant.file.replace(".tflite", ".failed.tflite") if failed else variant.file
    return replace(variant, accuracy=accuracy, file=file)


def _folder(request: ConvertRequest, name: str) -> OutputFolder:
    out = request.out or Path(f"{name}-tflite")
    return OutputFolder(out, lambda file: is_output(file, name), force=request.force)


def _probe_inputs(pictures: Pictures, spec: ModelSpec) -> Floats:
    """A few network inputs `[n, h, w, c]` to verify rewrites on."""
    if pictures.calibration is not None:
        return pictures.calibration.inputs[:_FITTED_ON]
    paths = [sample.image for sample in pictures.samples[:_FITTED_ON]]
    inputs = [prepare(image, spec) for _, image in read_usable(paths)]
    if not inputs:
        raise UsageError("pictures that can be read are required. Received: none.")
    return np.concatenate(inputs)


def _representative(
    pictures: Pictures,
) -> Callable[[], Iterator[list[NDArray[np.float32]]]]:
    if pictures.calibration is None:
        return lambda: iter(())
    return representative_dataset(pictures.calibration)


def _whole_net(graph: Graph, plans: Mapping[Delegate, Rewritten], inputs: Floats) -> WholeNetError:
    errors = [whole_net_error(graph, plan.graph, inputs[:_WHOLE_NET_ON]) for plan in plans.values()]
    return max(errors, key=lambda error: error.max_rel_error)


def _of(plans: Mapping[Delegate, Rewritten], attribute: str) -> list:  # type: ignore[type-arg]
    return [record for plan in plans.values() for record in getattr(plan, attribute)]


def _once(records: Sequence) -> tuple:  # type: ignore[type-arg]
    """Drop the records that two plans share."""
    return tuple(dict.fromkeys(records))


def _precision_of(data: bytes) -> str:
    """Name a finished file by what it computes in, or else by what its weights are kept in."""
    model = read_model(data)
    constants: set[int] = set()
    computed: set[int] = set()
    for tensor in model.subgraphs[0].tensors:
        data_of = model.buffers[tensor.buffer].data
        (computed if data_of is None or len(data_of) == 0 else constants).add(tensor.type)
    types = schema.TensorType
    if types.INT16 in computed:
        return str(Precision.INT16X8)
    if {types.INT8, types.UINT8} & computed:
        return str(Precision.INT8)
    if types.INT8 in constants:
        return str(Precision.DYNAMIC)
    return str(Precision.FLOAT16 if types.FLOAT16 in constants else Precision.FLOAT32)


@contextmanager
def _stage(progress: Progress, description: str) -> Iterator[None]:
    with progress(1, description) as update:
        yield
        update(1)
