"""Which layers an int8 file's masks suffer from, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.convert.rewrites.flatbuffer.place import cut_out
from portrait_tflite.images import Floats
from portrait_tflite.metrics import mae, mean_iou
from portrait_tflite.quantize.predictors import select_mask
from portrait_tflite.quantize.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quantize.sensitivity_probes import Probes
from portrait_tflite.quantize.tensor_ranges import Frames, observe_tensors
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import Harm, LayerError, OutputSpec

# All ops are looked at on few pictures, and those that seem worst on more.
_SCREENED_ON = 2
_FINALISTS = 24
_PICTURES = 16
_SCREENING = 0.6  # its share of the work
_OBSERVED = 4  # pictures: every tensor of both files is in memory for each


def sensitivity(
    network: RangedNetwork,
    frames: Sequence[Frames],
    output: OutputSpec | None = None,
    layers: Sequence[str] = (),
    on_share: Callable[[float], None] | None = None,
) -> tuple[LayerError, ...]:
    """Measure what each op of a network loses in int8, the worst first.

    Every op's constants and output are put in int8 alone, all else being float: that needs no
    labels, and shows each culprit where there are several.

    Args:
        network: What is quantized; what it keeps in float loses nothing.
        frames: The calibration pictures, of which some are looked at.
        output: Which output is the mask; the first where None.
        layers: Names of the Keras layers where they are known.
        on_share: Called with the share of the work that is done, 0 to 1.
    """
    quantized = quantize_network(network)
    probes = Probes(network.reference, quantized)
    errors = _tensor_errors(network.reference, quantized, probes, spread(frames, _OBSERVED))
    name_of = name_layers(read_model(network.reference), layers)
    harm = _Harms(network, probes, frames, output or OutputSpec())
    found = []
    for done, (index, (node, _)) in enumerate(probes.pairs.items(), start=1):
        steps, share = errors.get(index, (0.0, 0.0))
        named = name_of(node.tensor) or node.tensor
        harms = harm.by(index, _SCREENED_ON)
        found.append(LayerError(0, named, node.op, node.tensor, index, steps, share, *harms))
        if on_share:
            on_share(_SCREENING * done / len(probes.pairs))
    worst, others = _worst_first(found)[:_FINALISTS], _worst_first(found)[_FINALISTS:]
    for place, error in enumerate(worst):
        constants, whole = harm.by(error.index, _PICTURES)
        worst[place] = replace(error, constants=constants, output=whole)
        if on_share:
            on_share(_SCREENING + (1 - _SCREENING) * (place + 1) / len(worst))
    ranked = [*_worst_first(worst), *others]
    return tuple(replace(error, rank=rank) for rank, error in enumerate(ranked, start=1))


class _Harms:
    """Runs probes on more or fewer pictures."""

    def __init__(
        self, network: RangedNetwork, probes: Probes, frames: Sequence[Frames], output: OutputSpec
    ) -> None:
        self._probes = probes
        self._output = output
        self._frames = {count: spread(frames, count) for count in (_SCREENED_ON, _PICTURES)}
        self._expected = {
            count: masks_of_file(network.reference, some, output)
            for count, some in self._frames.items()
        }

    def by(self, index: int, count: int) -> tuple[Harm, Harm]:
        """Return what masks lose by an op's constants and by its output."""
        probed = self._probes.constants(index), self._probes.output(index)
        constants, whole = (self._harm(probe, count) for probe in probed)
        return constants, whole

    def _harm(self, probe: bytes | None, count: int) -> Harm:
        if probe is None:
            return Harm()
        masks = masks_of_file(probe, self._frames[count], self._output)
        return harm_of(masks, self._expected[count])


def _worst_first(errors: Sequence[LayerError]) -> list[LayerError]:
    return sorted(errors, key=lambda error: (-error.points, -error.moved, error.index))


def harm_of(masks: Sequence[Floats], expected: Sequence[Floats]) -> Harm:
    """Compare masks `[h, w]` with those of the float network."""
    pairs = list(zip(masks, expected, strict=True))
    return Harm(
        100 * (1 - float(np.mean([mean_iou(*pair) for pair in pairs]))),
        float(np.mean([mae(*pair) for pair in pairs])),
    )


def masks_of_file(data: bytes, frames: Sequence[Frames], output: OutputSpec) -> list[Floats]:
    """Run a `.tflite`, float or not, on pictures; its masks `[h, w]`."""
    runner = open_model(data)
    masks = []
    for frame in frames:
        given = [to_stored(array, info) for array, info in zip(frame, runner.inputs, strict=True)]
        outputs = [
            to_real(array, info)
            for array, info in zip(runner.run(*given), runner.outputs, strict=True)
        ]
        masks.append(select_mask(outputs, output))
    return masks


def _tensor_errors(
    data: bytes, quantized: bytes, probes: Probes, frames: Sequence[Frames]
) -> Mapping[int, tuple[float, float]]:
    """Return the error of every op's output, in steps and as a share, by the op's position."""
    rounded = [(ours, int8) for ours, int8 in probes.pairs.values() if int8.outputs[0].scale]
    held = observe_tensors(data, frames)
    found = _observed_int8(quantized, [int8 for _, int8 in rounded], frames)
    squares, largest = np.zeros(len(rounded)), np.zeros(len(rounded))
    for exact, stored in zip(held, found, strict=True):
        for place, ((ours, _), values) in enumerate(zip(rounded, stored, strict=True)):
            true = exact[ours.outputs[0].index]
            squares[place] += float(np.mean((values - true) ** 2, dtype=np.float64))
            largest[place] = max(largest[place], float(np.abs(true).max()))
    roots = np.sqrt(squares / len(frames))
    return {
        ours.index: (root / int8.outputs[0].scale, root / top if top else 0.0)
        for (ours, int8), root, top in zip(rounded, roots.tolist(), largest.tolist(), strict=True)
    }


def _observed_int8(
    data: bytes, nodes: Sequence[Node], frames: Sequence[Frames]
) -> list[list[Floats]]:
    """Run an int8 file; what its ops give in real values, picture for picture."""
    model = read_model(data)
    inputs = indices(model.subgraphs[0].inputs)
    runner = open_model(cut_out(model, inputs, [node.outputs[0].index for node in nodes]))
    return [
        [
            to_real(array, info)
            for array, info in zip(
                runner.run(*map(to_stored, frame, runner.inputs)), runner.outputs, strict=True
            )
        ]
        for frame in frames
    ]
