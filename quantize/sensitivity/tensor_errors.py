"""How far the tensors of an int8 file are from the float network's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.place import cut_out
from portrait_tflite.images import Floats
from portrait_tflite.quantize.accuracy.predictors import run_in_real
from portrait_tflite.quantize.int8.tensor_ranges import Frames, observe_tensors
from portrait_tflite.runtime import open_model


def tensor_errors(
    data: bytes, quantized: bytes, pairs: Iterable[tuple[Node, Node]], frames: Sequence[Frames]
) -> Mapping[int, tuple[float, float]]:
    """Return the error of every op's output, in steps and as a share, by the op's position.

    Args:
        data: The float file.
        quantized: The int8 file.
        pairs: Ops of both that give the same tensor.
        frames: The pictures to compare on.
    """
    rounded = [(ours, int8) for ours, int8 in pairs if int8.outputs[0].scale]
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
    return [run_in_real(runner, frame) for frame in frames]
