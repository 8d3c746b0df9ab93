"""`--metadata`: files that describe themselves to MediaPipe's ImageSegmenter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from portrait_tflite.convert.files.task_metadata import find_fault, with_task_metadata
from portrait_tflite.errors import UsageError
from portrait_tflite.file_names import is_tflite
from portrait_tflite.pipeline.network import Network
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.quiet import quiet
from portrait_tflite.report.model_json import labels_of
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, IoType, ModelSpec, Precision


def require_describable(request: ConvertRequest, spec: ModelSpec) -> None:
    """Refuse `--metadata` before the work starts where MediaPipe could not run the network.

    Raises:
        UsageError: The int8 file would have int8 IO, or the network is none for MediaPipe.
    """
    if not request.metadata:
        return
    if is_tflite(request.source) and (
        Precision.INT8 in request.variants or request.pictures.calibration is not None
    ):
        raise UsageError(
            "--metadata is for MediaPipe, which fills uint8 or float32 inputs, and int8 of a "
            ".tflite takes int8. Received: a .tflite to quantize. Give its Keras model and --io "
            "uint8, or leave --int8 and --calibration out."
        )
    if Precision.INT8 in request.variants and request.io is IoType.INT8:
        raise UsageError(
            "--metadata is for MediaPipe, which fills uint8 or float32 inputs: --io uint8 (or "
            "float32) is required. Received: --io int8. Add --io uint8, or leave --int8 out."
        )
    if fault := find_fault(spec):
        raise UsageError(
            f"--metadata is for MediaPipe's ImageSegmenter. Received: a network {fault}"
        )


def described(request: ConvertRequest, network: Network) -> Network:
    """Write the description into every file for an app, if it was asked for.

    Raises:
        UsageError: MediaPipe could not run one of them as it is meant.
    """
    if not request.metadata:
        return network
    with quiet():
        files = {name: _describe(network, name, data) for name, data in network.files.items()}
    return replace(network, files=files)


def _describe(network: Network, variant: str, data: bytes) -> bytes:
    spec = network.own_spec(variant) or network.spec
    labels: Sequence[str] = labels_of(
        open_model(data, Delegate.CPU).outputs[spec.output.index].shape, spec.output.channel
    )
    return with_task_metadata(data, spec, labels, f"{network.name}-{variant}", network.licence)
