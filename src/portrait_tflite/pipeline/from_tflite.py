"""From a finished `.tflite`, as released, to a mended one."""

from __future__ import annotations

from pathlib import Path

from portrait_tflite.convert.describe import count_parameters
from portrait_tflite.convert.mend import mend_model
from portrait_tflite.convert.precision import precision_of
from portrait_tflite.errors import UsageError
from portrait_tflite.file_names import network_name
from portrait_tflite.output_folder import OutputFolder
from portrait_tflite.pipeline.network import MENDED_ON, Network, probe_inputs
from portrait_tflite.pipeline.request import (
    ConvertRequest,
    Progress,
    output_folder,
    stage,
)
from portrait_tflite.quantize.pictures import Pictures, gather_pictures
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import Precision


def build_from_tflite(
    request: ConvertRequest, scratch: Path, progress: Progress
) -> tuple[Network, Pictures, OutputFolder]:
    """Mend a finished file; its reference is the file as it came.

    Args:
        request: What was asked for, with `tflite_spec`.
        scratch: Folder for drawn pictures; may go when the conversion is done.
        progress: Shows the work.

    Raises:
        UsageError: Bad options or input.
    """
    if request.tflite_spec is None:
        raise UsageError("a .tflite needs its spec. Received: none.")
    path = Path(request.source)
    data = path.read_bytes()
    folder = output_folder(request, network_name(path), path.stem)
    with stage(progress, "reading pictures"):
        pictures = gather_pictures(
            request.pictures, request.tflite_spec, scratch / "drawn", needed=False, zoo=False
        )
    with stage(progress, "mending"), quiet():
        inputs = probe_inputs(pictures, request.tflite_spec)
        mended = mend_model(data, [image[None] for image in inputs[:MENDED_ON]])
    network = Network(
        name=network_name(path),
        spec=request.tflite_spec,
        parameters=count_parameters(data),
        licence="",
        reference=data,
        files={precision_of(data) or Precision.FLOAT32: mended.data},
        extra={"as_released": data},
        extra_spec=request.tflite_spec,
        records=mended.records,
        skipped=mended.skipped,
    )
    return network, pictures, folder
