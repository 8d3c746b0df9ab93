"""The stages behind the files: audit, verify, benchmark, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from portrait_tflite.benchmarks.machine import read_machine, read_versions
from portrait_tflite.convert.files.describe import describe_variant
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import count_macs
from portrait_tflite.convert.files.op_versions import runtime_order
from portrait_tflite.output_folder import OutputFolder
from portrait_tflite.pipeline.assets import staged_assets, write_assets
from portrait_tflite.pipeline.describing import described
from portrait_tflite.pipeline.examining import examine_ranges
from portrait_tflite.pipeline.measuring import measure
from portrait_tflite.pipeline.network import Network
from portrait_tflite.pipeline.remedying import remedy
from portrait_tflite.pipeline.request import (
    Converted,
    ConvertRequest,
    stage,
)
from portrait_tflite.pipeline.strips import make_strips
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.accuracy.diagnosis import diagnose_low_iou
from portrait_tflite.quantize.accuracy.predictors import tflite_outputs
from portrait_tflite.quantize.accuracy.remembering import tflite_predictor
from portrait_tflite.quantize.accuracy.verify import verify_variants
from portrait_tflite.quantize.calibration import manifest
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.quiet import quiet
from portrait_tflite.report.files import write_outputs
from portrait_tflite.report.graph_picture import graph_svg
from portrait_tflite.report.roles import AS_RELEASED, main_variant
from portrait_tflite.runtime import runs_on
from portrait_tflite.vocabulary import (
    Accuracy,
    Delegate,
    ModelRecord,
    ModelSpec,
    Precision,
    Report,
    Variant,
)


def finish(
    request: ConvertRequest,
    network: Network,
    pictures: Pictures,
    folder: OutputFolder,
    progress: Progress,
    assets: OutputFolder | None = None,
) -> Converted:
    """Audit, verify and benchmark the files, then write them with the report, and for an app."""
    scores: Mapping[str, Accuracy] = _verify(request, network, pictures, progress)
    remedied = remedy(request, network, pictures, scores, progress)
    network, scores = described(request, remedied.network), remedied.scores
    everything = network.everything
    with stage(progress, "auditing"), quiet():
        variants = {
            name: describe_variant(
                f"{network.name}-{name}.tflite",
                data,
                network.layers,
                _spec_of(network, name),
            )
            for name, data in everything.items()
        }
    pictures = examine_ranges(network, pictures, progress)
    variants = {
        name: replace(
            _scored(variant, scores.get(name), gated=name in network.files),
            spec=network.own_spec(name),
        )
        for name, variant in variants.items()
    }
    variants = remedied.noted(variants)
    measured = measure(request, network, pictures, variants, progress)
    shipped = {name: variants[name] for name in network.files}
    failures = _failures(request, shipped, remedied.blamed)
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
        scored_with=network.scored_with,
        benchmarks=measured.benchmarks,
        arm_cost=measured.arm_cost,
        selection=request.rewrite.selection(),
        fine_tuning=network.fine_tuning,
    )
    calibration = manifest(pictures.calibration) if pictures.calibration else None
    with stage(progress, "drawing the report"), quiet():
        strips = make_strips(network, pictures.samples, variants)
        main = main_variant(network.files)
        graph = graph_svg(network.files[main]) if main else ""
    with folder.staged() as staging, staged_assets(assets) as beside:
        write_outputs(
            staging, report, everything, network.plans, calibration, strips, failures, graph
        )
        if beside is not None:
            with stage(progress, "running the golden pictures"), quiet():
                write_assets(beside, report, network.files)
    return Converted(report, folder.path, failures)


def _spec_of(network: Network, variant: str) -> ModelSpec:
    if variant in network.baselines:
        return network.baselines[variant].spec
    return network.own_spec(variant) or network.spec


def _verify(
    request: ConvertRequest, network: Network, pictures: Pictures, progress: Progress
) -> dict[str, Accuracy]:
    with quiet():
        reference = tflite_predictor(network.reference, network.spec, network.scored_with)
        predictors = {
            name: reference if data is network.reference else network.predictor(name)
            for name, data in network.files.items()
        }
        # What was released is the reference; on other kernels it shows what rounding alone does.
        other_kernels = network.scored_with is Delegate.CPU and runs_on(
            network.reference, Delegate.XNNPACK
        )
        predictors |= {
            name: reference
            if one.data is network.reference and not other_kernels
            else tflite_predictor(one.data, one.spec)
            for name, one in network.baselines.items()
        }
    with progress(len(pictures.samples), "verifying") as update:
        return verify_variants(
            reference,
            predictors,
            network.spec,
            pictures.samples,
            request.max_drop,
            on_image=update,
            same_net=AS_RELEASED if other_kernels else None,
            diagnose=lambda: diagnose_low_iou(
                tflite_outputs(network.reference, network.scored_with, spec=network.spec),
                network.spec,
                pictures.samples,
            ),
        )


def _failures(
    request: ConvertRequest, variants: Mapping[str, Variant], blamed: str
) -> tuple[str, ...]:
    failures = []
    for name, variant in variants.items():
        if variant.accuracy and not variant.accuracy.passed:
            why = f"; {blamed}" if blamed and name == Precision.INT8 else ""
            failures.append(f"{name}: {variant.accuracy.reason}{why}")
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
