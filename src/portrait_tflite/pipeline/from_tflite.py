"""From a finished `.tflite`, as released, to a mended one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from portrait_tflite.convert.describe import count_parameters
from portrait_tflite.convert.mend import mend_model
from portrait_tflite.convert.precision import precision_of
from portrait_tflite.errors import UsageError
from portrait_tflite.file_names import network_name
from portrait_tflite.output_folder import OutputFolder
from portrait_tflite.pipeline.explaining import layers_of_file, require_layer
from portrait_tflite.pipeline.network import MENDED_ON, Network, probe_frames, single_frames
from portrait_tflite.pipeline.request import (
    ConvertRequest,
    Progress,
    output_folder,
    stage,
)
from portrait_tflite.quantize.calibration import CalibrationSet
from portrait_tflite.quantize.float_file import quantize_float_file
from portrait_tflite.quantize.pictures import Pictures, gather_pictures
from portrait_tflite.quantize.predictors import runner_outputs
from portrait_tflite.quantize.previous_masks import Feeder
from portrait_tflite.quantize.variants import Built
from portrait_tflite.quiet import quiet
from portrait_tflite.report.roles import AS_RELEASED
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, ModelSpec, Precision


def build_from_tflite(
    request: ConvertRequest, scratch: Path, progress: Progress
) -> tuple[Network, Pictures, OutputFolder]:
    """Mend a finished file, and quantize one that is float where int8 is wanted.

    The reference of both is the file as it came. int8 is wanted where `--int8` or `--calibration`
    was given.

    Args:
        request: What was asked for, with `tflite_spec`.
        scratch: Folder for drawn pictures; may go when the conversion is done.
        progress: Shows the work.

    Raises:
        UsageError: Bad options or input.
        ConversionError: The file cannot be quantized.
    """
    if request.tflite_spec is None:
        raise UsageError("a .tflite needs its spec. Received: none.")
    path = Path(request.source)
    data = path.read_bytes()
    named = layers_of_file(data)
    require_layer(request.explained, named)
    variant = Precision(precision_of(data) or Precision.FLOAT32)
    quantized = _wants_int8(request, variant)
    folder = output_folder(request, network_name(path), path.stem)
    with stage(progress, "reading pictures"):
        pictures = gather_pictures(
            request.pictures, request.tflite_spec, scratch / "drawn", needed=quantized, zoo=False
        )
        feeder = _feeder(data, request.tflite_spec)
        if pictures.calibration is not None:
            pictures = replace(pictures, calibration=feeder.complete(pictures.calibration))
        frames = probe_frames(pictures, feeder)
    made = {variant: data}
    if pictures.calibration is not None:
        made[Precision.INT8] = _quantize(data, pictures.calibration, progress)
    with stage(progress, "mending"), quiet():
        checks = single_frames(frames, MENDED_ON)
        results = {
            str(name): mend_model(one, checks, request.rewrite.flatbuffer)
            for name, one in made.items()
        }
    network = Network(
        name=network_name(path),
        spec=request.tflite_spec,
        parameters=count_parameters(data),
        scored_with=_scored_with(variant, pictures),
        licence="",
        reference=data,
        files={name: mended.data for name, mended in results.items()},
        extra={AS_RELEASED: data},
        extra_spec=request.tflite_spec,
        records=tuple(r for mended in results.values() for r in mended.records),
        skipped=tuple(s for mended in results.values() for s in mended.skipped),
        rewritten=results[variant].whole,
        named=named,
        built={name: Built(m.data, m.records, m.skipped) for name, m in results.items()},
    )
    return network, pictures, folder


def _scored_with(precision: Precision, pictures: Pictures) -> Delegate:
    """Choose who runs an integer file for comparing it with itself before mending.

    XNNPACK and the built-in kernels round differently, and a mended file has more of its ops in
    XNNPACK. Networks near a tie turn that into other masks than those before, no worse ones: only
    labels can tell. Without labels both are run by the same kernels, and the mended file has to
    agree as well as the released one does with itself on XNNPACK.
    """
    labelled = all(sample.label is not None for sample in pictures.samples)
    integer = precision in (Precision.INT8, Precision.INT16X8)
    return Delegate.CPU if integer and not labelled else Delegate.XNNPACK


def _wants_int8(request: ConvertRequest, precision: Precision) -> bool:
    asked = Precision.INT8 in request.variants
    if precision in (Precision.FLOAT32, Precision.FLOAT16):
        return asked or request.pictures.calibration is not None
    if asked and precision is not Precision.INT8:
        raise UsageError(
            f"a float .tflite is required for --int8. Received: {request.source}, which is "
            f"{precision}. Take the float file that it was made from."
        )
    return False


def _quantize(data: bytes, calibration: CalibrationSet, progress: Progress) -> bytes:
    frames = single_frames(calibration.frames, len(calibration.inputs))
    with progress(len(frames), "quantizing") as update, quiet():
        return quantize_float_file(data, frames, update)


def _feeder(data: bytes, spec: ModelSpec) -> Feeder:
    runner = open_model(data)
    shapes = [info.shape for info in runner.inputs]
    return Feeder(spec, runner_outputs(runner, spec.state), shapes)
