"""The pictures of a conversion, read and examined: what both routes begin with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from portrait_tflite.pipeline.network import probe_frames
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.pipeline.unlabelled import may_approximate
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.checks.network_checks import MOST_ASKED, check_channel_order
from portrait_tflite.quantize.pictures import Pictures, gather_pictures
from portrait_tflite.quantize.previous_masks import Feeder, Frames
from portrait_tflite.quiet import quiet


def read_pictures(
    request: ConvertRequest,
    feeder: Feeder,
    scratch: Path,
    progress: Progress,
    *,
    needed: bool,
    zoo: bool,
) -> tuple[Pictures, Frames]:
    """Read calibration pictures, put a previous mask beside them, and ask the network about them.

    Args:
        feeder: The float network.
        scratch: Folder for drawn pictures.
        needed: Whether a variant is quantized.
        zoo: Whether the net is our own.

    Returns:
        The pictures, and a few network inputs `[n, h, w, c]` to verify rewrites on.

    Raises:
        UsageError: Pictures are missing, or unfit.
    """
    pictures = gather_pictures(
        request.pictures,
        feeder.spec,
        scratch / "drawn",
        needed=needed,
        zoo=zoo,
        fitted=may_approximate(request.rewrite),
        progress=progress,
    )
    calibration = pictures.calibration
    if calibration is not None:
        asked = min(MOST_ASKED, len(calibration.inputs))
        with progress(asked, "asking the network about the pictures") as update, quiet():
            order = check_channel_order(calibration, feeder, update)
        complete = feeder.complete(calibration, progress).checked(order)
        pictures = replace(pictures, calibration=complete)
    return pictures, probe_frames(pictures, feeder)
