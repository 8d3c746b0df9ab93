"""Whether the ranges of a finished int8 file hold, for the report's calibration checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from portrait_tflite.convert.network_inputs import file_ends
from portrait_tflite.pipeline.network import Network, prepare_samples, single_frames
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.accuracy.predictors import runner_outputs
from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.checks.range_checks import (
    MOST_MEASURED,
    check_saturation,
    check_stability,
)
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.quantize.previous_masks import Feeder
from portrait_tflite.quiet import quiet
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Check, Precision

_CLIPPED_ON = 16


def examine_ranges(network: Network, pictures: Pictures, progress: Progress) -> Pictures:
    """Add to the calibration record what the float network's tensors say of the ranges.

    Nothing is added where nothing was calibrated.
    """
    calibration = pictures.calibration
    if calibration is None:
        return pictures
    frames = single_frames(calibration.frames, len(calibration.inputs))
    checks: list[Check] = []
    with progress(min(len(frames), MOST_MEASURED), "examining the ranges") as update, quiet():
        checks.append(check_stability(network.reference, frames, update))
        int8 = network.built.get(Precision.INT8)
        if int8 is not None and (unseen := _unseen(network, int8, pictures)):
            checks.append(check_saturation(_made_of(network, int8), int8.data, unseen))
    return replace(pictures, calibration=calibration.checked(*checks))


def _made_of(network: Network, int8: Built) -> bytes:
    """Return the float file that int8 was made of: rewriting the graph names tensors anew."""
    return int8.treatable.network.unrounded if int8.treatable else network.reference


def _unseen(network: Network, int8: Built, pictures: Pictures) -> Sequence[Frames]:
    """Prepare pictures that were not calibrated on, in the units of the int8 file."""
    spec = int8.spec or network.spec
    fed = prepare_samples(pictures.samples[:_CLIPPED_ON], spec)
    if fed is None:
        return ()
    runner = open_model(network.reference, network.scored_with)
    # As in calibration, half of them follow on the network's own mask, where it takes one.
    feeder = Feeder(spec, runner_outputs(runner, spec), file_ends(runner.inputs))
    return single_frames(feeder.frames(fed), _CLIPPED_ON)
