"""What MediaPipe's ImageSegmenter reads in a `.tflite`: TFLite metadata, written here.

The packages with a writer of it (`mediapipe`, `tflite-support`) bring a runtime of their own, and
the latter a protobuf that TensorFlow refuses. Field numbers are those of `metadata_schema.fbs` 1.5
and `image_segmenter_metadata_schema.fbs` 1.0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.files.flat_tables import Byte, Floats, Table, Uint, write_flatbuffer
from portrait_tflite.convert.files.model_metadata import attach_files, with_record, without_files
from portrait_tflite.errors import UsageError
from portrait_tflite.images import affine_of_bytes, normalizes_alike, takes_raw_bytes
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Activation, Channels, Delegate, Fit, ModelSpec, TensorInfo

LABELS_FILE = "labels.txt"
RECORD = "TFLITE_METADATA"

_IDENTIFIER, _SEGMENTER_IDENTIFIER = b"M001", b"V001"
_PARSER = "1.5.0"  # custom metadata came with it
_SEGMENTER_PARSER = "1.0.0"
_SEGMENTER = "SEGMENTER_METADATA"
_AXIS_LABELS = Byte(2)
_IMAGE_PROPERTIES, _NORMALIZATION = Byte(2), Byte(1)
_RGB = Byte(1)
_ACTIVATIONS = {
    Activation.NONE: Byte(0),
    Activation.SIGMOID: Byte(1),
    Activation.SOFTMAX: Byte(2),
}


def with_task_metadata(
    data: bytes, spec: ModelSpec, labels: Sequence[str], name: str, licence: str = ""
) -> bytes:
    """Describe a file for MediaPipe's ImageSegmenter.

    Args:
        data: The `.tflite`.
        spec: What it takes and gives.
        labels: Of the channels of its mask, in order.
        name: The network's.
        licence: Of its weights.

    Raises:
        UsageError: MediaPipe could not run it as it is meant.
    """
    runner = open_model(data, Delegate.CPU)
    image, mask = runner.inputs[0], runner.outputs[0]
    if fault := find_fault(spec) or _fault_of_ends(spec, image, len(runner.outputs)):
        raise UsageError(f"--metadata is for MediaPipe's ImageSegmenter. Received: {name}, {fault}")
    table = _model_table(spec, image, mask, name, licence)
    described = with_record(data, RECORD, write_flatbuffer(table, _IDENTIFIER))
    files = {LABELS_FILE: "".join(f"{label}\n" for label in labels).encode()}
    return attach_files(without_files(described), files)


def find_fault(spec: ModelSpec) -> str:
    """Say why ImageSegmenter cannot run a network as it is meant, and what to do; or "".

    What depends on a file's tensors is said by `with_task_metadata`.
    """
    if spec.state is not None:
        return "fed with its last mask, which MediaPipe does not do. Leave --metadata out."
    if spec.others:
        return "that takes more than MediaPipe gives, the picture. Leave --metadata out."
    if spec.channels is not Channels.RGB:
        return f"which takes {spec.channels}: MediaPipe gives RGB. Leave --metadata out."
    if spec.fit is not Fit.STRETCH:
        return (
            f"meant for {spec.fit}: MediaPipe stretches pictures. Add --fit stretch to have the "
            "network scored so, or leave --metadata out."
        )
    return ""


def _fault_of_ends(spec: ModelSpec, image: TensorInfo, outputs: int) -> str:
    if image.dtype not in ("uint8", "float32"):
        return f"whose input is {image.dtype}: MediaPipe fills uint8 or float32. Use --io uint8."
    if image.dtype == "float32" and not normalizes_alike(spec):
        return (
            "with a mean or std per channel, where MediaPipe has one for all, and no first "
            "convolution that takes them. Convert its Keras model, or leave --metadata out."
        )
    if outputs > 1:
        return f"with {outputs} outputs: MediaPipe takes one mask. Leave --metadata out."
    if image.dtype == "uint8" and not takes_raw_bytes(spec, image):
        return "whose first layer cannot take raw bytes, as MediaPipe fills in. Add --io float32."
    return ""


def _model_table(
    spec: ModelSpec, image: TensorInfo, mask: TensorInfo, name: str, licence: str
) -> Table:
    graph: Table = {
        2: [_image_table(spec, image)],
        3: [{0: mask.name, 1: "probability of the person", 3: _content(spec), 6: [_labels()]}],
        9: [{0: _SEGMENTER, 1: write_flatbuffer(_segmenter_table(spec), _SEGMENTER_IDENTIFIER)}],
    }
    described: Table = {0: name, 1: "segments portraits", 3: [graph], 7: _PARSER}
    return {**described, 5: licence} if licence else described


def _image_table(spec: ModelSpec, image: TensorInfo) -> Table:
    mean, std = _mean_and_std(spec)
    normalization: Table = {0: Floats(list(mean)), 1: Floats(list(std))}
    return {
        0: image.name,
        1: "picture",
        3: _content(spec),
        4: [{0: _NORMALIZATION, 1: normalization}],
    }


def _mean_and_std(spec: ModelSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what is subtracted from a byte, and what that is divided by, `[channels]` each."""
    scale, shift = affine_of_bytes(spec)
    # A byte v becomes `scale · v + shift`, which is `(v − mean) / std`.
    return -shift / scale, 1 / scale


def _content(spec: ModelSpec) -> Table:
    size: Table = {0: Uint(spec.width), 1: Uint(spec.height)}
    return {0: _IMAGE_PROPERTIES, 1: {0: _RGB, 1: size}}


def _labels() -> Table:
    return {0: LABELS_FILE, 1: "what each channel is", 2: _AXIS_LABELS}


def _segmenter_table(spec: ModelSpec) -> Table:
    return {0: _ACTIVATIONS[spec.output.activation], 1: _SEGMENTER_PARSER}
