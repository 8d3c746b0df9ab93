"""What a network's outputs lose where one family of tensors alone is rounded, by its range."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.int8_steps import rounded_over
from portrait_tflite.quantize.int8.moves import ONE_SCALE
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range, observe_tensors
from portrait_tflite.quantize.remedies.output_error import deviation
from portrait_tflite.quantize.sensitivity.tails import Held, Tail, Tails

_OPENED = 32  # families whose tails are open at a time: each takes memory


class RoundedAlone:
    """Rounds single tensors of a float file, all else being float.

    One tensor at a time, only what is behind it is run: a choice for each of many tensors would
    take a whole run for each otherwise.

    Args:
        data: The float file.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        model = read_model(data)
        self._tails = Tails(model)
        self._ends = indices(model.subgraphs[0].outputs)
        # What only moves a tensor has been rounded with it.
        self._given_by: Mapping[int, int] = {
            operand.index: node.index
            for node in list_nodes(model)
            if node.op not in ONE_SCALE
            for operand in node.outputs
        }

    def errors(
        self,
        families: Sequence[Sequence[int]],
        ranges: Sequence[Sequence[Range]],
        frames: Sequence[Frames],
        on_share: Callable[[float], None],
    ) -> list[NDArray[np.float64]]:
        """Return the mean error of the outputs for each family and each of its ranges.

        Args:
            families: Numbers of the tensors of each.
            ranges: What it is to hold: as many as one likes.
            frames: The pictures to compare on.
            on_share: Called with the share of the work that is done.
        """
        found = [np.zeros(len(tried)) for tried in ranges]
        work = len(families) * len(frames)
        done = 0
        for start in range(0, len(families), _OPENED):
            chunk = range(start, min(start + _OPENED, len(families)))
            tails = {i: self._open(families[i]) for i in chunk}
            for held in observe_tensors(self._data, frames):
                for i, opened in tails.items():
                    for place, limits in enumerate(ranges[i]):
                        found[i][place] += self._error(opened, held, limits) / len(frames)
                    done += 1
                    on_share(done / work)
        return found

    def _open(self, members: Sequence[int]) -> dict[int, Tail]:
        given = [number for number in members if number in self._given_by]
        return {n: self._tails.open(self._given_by[n], n) for n in given}

    def _error(self, tails: Mapping[int, Tail], held: Held, limits: Range) -> float:
        """Sum what the members lose, one by one."""
        exact: list[Floats] = [held[number] for number in self._ends if number in held]
        lost = 0.0
        for number, tail in tails.items():
            given = tail.outputs(held, rounded_over(held[number], limits))
            outputs = [output for output in given if output.size]
            lost += deviation(outputs, exact)
        return lost
