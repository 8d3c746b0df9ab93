"""What the tensors of a float `.tflite` hold on pictures, measured by XNNPACK."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, read_model, serialize
from portrait_tflite.images import Floats
from portrait_tflite.runtime import Runner, open_model

_GROUP_BYTES = 1 << 30

Frames = tuple[Floats, ...]
"""One array `[1, h, w, c]` per input of a network."""


@dataclass(frozen=True)
class Range:
    """The smallest and the largest number that a tensor is to hold."""

    low: float
    high: float

    def joined(self, other: Range) -> Range:
        """Return the range that holds both."""
        return Range(min(self.low, other.low), max(self.high, other.high))


def common(one: Range, other: Range) -> Range:
    """Return what two ranges have in common; the first where that is nothing."""
    low, high = max(one.low, other.low), min(one.high, other.high)
    return Range(low, high) if low < high else one


def activation_tensors(model: schema.ModelT) -> list[int]:
    """Number the float tensors that depend on the picture, inputs first, in execution order."""
    graph = model.subgraphs[0]
    found = dict.fromkeys(indices(graph.inputs))
    for operator in graph.operators:
        # An op that reads constants alone gives one.
        if not found.keys().isdisjoint(indices(operator.inputs)):
            found |= dict.fromkeys(indices(operator.outputs))
    return [n for n in found if graph.tensors[n].type == schema.TensorType.FLOAT32]


def observe_tensors(data: bytes, frames: Iterable[Frames]) -> Iterator[Mapping[int, Floats]]:
    """Run a float file and yield every activation tensor, by its number, picture for picture.

    The file is opened with all of them as its outputs: the runtime would otherwise give their
    memory to the next tensor, not compute them where ops are fused, or compute the next one in
    their place. `TFLiteConverter`'s own calibrator reads tensors that were overwritten so: a RELU
    before a MUL gets the range of both.
    """
    model = read_model(data)
    inputs = indices(model.subgraphs[0].inputs)
    computed = [number for number in activation_tensors(model) if number not in inputs]
    groups = [(group, _giving(model, group)) for group in _in_groups(model, computed)]
    for frame in frames:
        held = dict(zip(inputs, frame, strict=True))
        for group, runner in groups:
            held |= zip(group, runner.run(*frame), strict=True)
        yield held


def _in_groups(model: schema.ModelT, tensors: Sequence[int]) -> list[list[int]]:
    """Split tensors so that those of one group fit into memory together."""
    groups: list[list[int]] = [[]]
    room = _GROUP_BYTES
    for number in tensors:
        size = 4 * int(np.prod(model.subgraphs[0].tensors[number].shape))
        if size > room and groups[-1]:
            groups.append([])
            room = _GROUP_BYTES
        groups[-1].append(number)
        room -= size
    return groups


def _giving(model: schema.ModelT, tensors: Sequence[int]) -> Runner:
    """Open a network whose outputs are `tensors`."""
    graph = copy.copy(model.subgraphs[0])
    graph.outputs = np.array(tensors, np.int32)
    whole = copy.copy(model)
    whole.subgraphs, whole.signatureDefs = [graph, *model.subgraphs[1:]], []
    return open_model(serialize(whole))


def measure_ranges(
    data: bytes, frames: Iterable[Frames], on_images: Callable[[int], None] | None = None
) -> dict[int, Range]:
    """Return the smallest and largest number of every activation tensor over all pictures.

    Args:
        data: A float32 `.tflite`.
        frames: The calibration pictures.
        on_images: Called with how many of them were seen.
    """
    ranges: dict[int, Range] = {}
    for done, held in enumerate(observe_tensors(data, frames), start=1):
        for number, values in held.items():
            found = Range(float(values.min()), float(values.max()))
            ranges[number] = ranges.get(number, found).joined(found)
        if on_images:
            on_images(done)
    return ranges
