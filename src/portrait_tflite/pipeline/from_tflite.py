"""From a finished `.tflite`, as released, to a mended one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from portrait_tflite.convert.files.describe import count_parameters
from portrait_tflite.convert.files.precision import precision_of
from portrait_tflite.convert.loading.released import Released, asked_for_class, read_released
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.network_inputs import file_ends
from portrait_tflite.convert.raw_input import full_range
from portrait_tflite.errors import ConversionError, UsageError
from portrait_tflite.file_names import network_name
from portrait_tflite.output_folder import OutputFolder
from portrait_tflite.pipeline.describing import require_describable
from portrait_tflite.pipeline.explaining import layers_of_file, require_layer
from portrait_tflite.pipeline.network import MENDED_ON, Baseline, Network, single_frames
from portrait_tflite.pipeline.other_inputs import require_pictures_alone
from portrait_tflite.pipeline.reading import read_pictures
from portrait_tflite.pipeline.request import (
    ConvertRequest,
    output_folder,
    stage,
)
from portrait_tflite.pipeline.unlabelled import require_reason
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.accuracy.predictors import runner_outputs
from portrait_tflite.quantize.built import Built, Treatable
from portrait_tflite.quantize.calibration import CalibrationSet
from portrait_tflite.quantize.int8.beforehand import rewritten_beforehand
from portrait_tflite.quantize.int8.float_file import quantize_float_file, widened_file
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.quantize.previous_masks import Feeder
from portrait_tflite.quantize.variants import delegate_of, in_half_precision
from portrait_tflite.quiet import quiet
from portrait_tflite.report.roles import AS_RELEASED
from portrait_tflite.runtime import open_model, require_harmless, runs_on
from portrait_tflite.vocabulary import Delegate, IoType, ModelSpec, Precision


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
    require_reason(request)
    require_describable(request, request.tflite_spec)
    require_pictures_alone(request, request.tflite_spec)
    path = Path(request.source)
    asked = asked_for_class(request.load.output, request.load.output_channel)
    released = read_released(path, request.load.output, scores_of=asked, size=request.load.size)
    data = released.data
    # XNNPACK takes some released files only when they are mended.
    host = Delegate.XNNPACK if runs_on(data, Delegate.XNNPACK) else Delegate.CPU
    named = layers_of_file(data)
    require_layer(request.explained, named)
    variant = Precision(precision_of(data) or Precision.FLOAT32)
    quantized = _wants_int8(request, variant)
    folder = output_folder(request, network_name(path), path.stem)
    pictures, frames = read_pictures(
        request,
        _feeder(data, request.tflite_spec, host),
        scratch,
        progress,
        needed=quantized,
        zoo=False,
    )
    with stage(progress, "mending"), quiet():
        checks = single_frames(frames, MENDED_ON)
        mended = mend_model(
            data,
            checks,
            request.rewrite.flatbuffer,
            delegate=delegate_of(variant, request.target),
        )
        if variant is Precision.FLOAT16 and request.rewrite.flatbuffer:
            mended = in_half_precision(mended, checks)
    # Mending may have helped; what still ends the process would do so on a phone as well.
    require_harmless(mended.data, Delegate.XNNPACK, request.source)
    built = {str(variant): Built(mended.data, mended.records, mended.skipped)}
    if pictures.calibration is not None:
        built[Precision.INT8] = _quantize(request, data, pictures.calibration, checks, progress)
    network = Network(
        name=network_name(path),
        spec=request.tflite_spec,
        parameters=count_parameters(data),
        scored_with=_scored_with(variant, host, pictures),
        licence="",
        reference=data,
        files={name: one.data for name, one in built.items()},
        baselines={AS_RELEASED: Baseline(_as_released(released, host), request.tflite_spec)},
        records=(*released.records, *(each for one in built.values() for each in one.mended)),
        skipped=tuple(skipped for one in built.values() for skipped in one.skipped),
        rewritten=mended.whole,
        named=named,
        built=built,
    )
    return network, pictures, folder


def _as_released(released: Released, host: Delegate) -> bytes:
    """Return the file with which the mended one is compared: the one that came, if it runs so."""
    came = released.as_released
    return came if came is not None and runs_on(came, host) else released.data


def _scored_with(precision: Precision, host: Delegate, pictures: Pictures) -> Delegate:
    """Choose who runs a file for comparing it with itself before mending.

    The host that runs it, but for integer files:

    XNNPACK and the built-in kernels round differently, and a mended file has more of its ops in
    XNNPACK. Networks near a tie turn that into other masks than those before, no worse ones: only
    labels can tell. Without labels both are run by the same kernels, and the mended file has to
    agree as well as the released one does with itself on XNNPACK.
    """
    labelled = all(sample.label is not None for sample in pictures.samples)
    integer = precision in (Precision.INT8, Precision.INT16X8)
    return Delegate.CPU if integer and not labelled else host


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


def _quantize(
    request: ConvertRequest,
    data: bytes,
    calibration: CalibrationSet,
    checks: Sequence[Frames],
    progress: Progress,
) -> Built:
    frames = single_frames(calibration.frames, len(calibration.inputs))
    spec, mending = request.tflite_spec, request.rewrite.flatbuffer
    # A previous mask in the picture itself has a range of its own.
    whole = Range(*full_range(spec)) if spec is not None and spec.state is None else None
    place = spec.picture_input if spec is not None else 0
    with progress(len(frames), "quantizing") as update, quiet():
        prepared = rewritten_beforehand(widened_file(data), checks, mending)
        network = measured_network(prepared.data, frames, whole, update, place)
        delegate = delegate_of(Precision.INT8, request.target)
        before = Built(b"").with_mended(prepared)
        try:
            return Treatable(
                network,
                frames,
                checks,
                IoType.INT8,
                mending,
                delegate=delegate,
                before=before,
            ).build()
        except ConversionError:  # it has no remedies then
            mended = mend_model(quantize_float_file(data, frames), checks, mending)
    return Built(mended.data, mended.records, mended.skipped)


def _feeder(data: bytes, spec: ModelSpec, host: Delegate) -> Feeder:
    runner = open_model(data, host)
    return Feeder(spec, runner_outputs(runner, spec), file_ends(runner.inputs))
