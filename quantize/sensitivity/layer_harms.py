"""What masks lose by each op of a network alone, on more pictures for those that seem worst."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from portrait_tflite.images import Floats
from portrait_tflite.quantize.accuracy.predictors import select_mask
from portrait_tflite.quantize.int8.tensor_ranges import Frames, observe_tensors
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quantize.sensitivity.mask_harm import harm_of, masks_of_file, mean_harm
from portrait_tflite.quantize.sensitivity.probes import Probe, Probes
from portrait_tflite.vocabulary import Harm, OutputSpec

Rounds = tuple[tuple[int, int], ...]
"""So many pictures, in all, for so many ops that seem worst so far."""

_ALL = 1 << 30
# All ops are looked at on one picture, since that is most of the work, those that seem worst on
# more.
THOROUGH: Rounds = ((1, _ALL), (4, 32), (12, 16))
BRIEF: Rounds = ((1, _ALL), (4, 8))  # where nothing depends on it

_Picture = tuple[Frames, Floats]
"""The inputs, and the float network's mask `[h, w]`."""


class LayerHarms:
    """Measures ops, round after round.

    Args:
        data: The float file.
        probes: Its ops.
        frames: The calibration pictures.
        output: Which output is the mask.
        rounds: On how many pictures which ops are looked at.
    """

    def __init__(
        self,
        data: bytes,
        probes: Probes,
        frames: Sequence[Frames],
        output: OutputSpec,
        rounds: Rounds = THOROUGH,
    ) -> None:
        self._data = data
        self._probes = probes
        self._output = output
        self._rounds = rounds
        self._pictures = _telling_first(data, spread(frames, rounds[-1][0]), output)
        # Of an op: by its constants and by its output, picture for picture.
        self._found: Mapping[int, tuple[list[Harm], list[Harm]]] = {
            index: ([], []) for index in probes.pairs
        }

    def of(self, index: int) -> tuple[Harm, Harm]:
        """Return what masks lose by an op's constants and by its output."""
        constants, whole = self._found[index]
        return mean_harm(constants), mean_harm(whole)

    def measure(self, on_share: Callable[[float], None]) -> list[int]:
        """Measure all ops; their positions, the worst first.

        Args:
            on_share: Called with the share of the work that is done, 0 to 1.
        """
        order, before, done = list(self._probes.pairs), 0, 0
        work = self._work()
        for count, ops in self._rounds:
            chosen, pictures = order[:ops], self._pictures[before:count]
            for _ in self._look(chosen, pictures):
                done += 1
                on_share(done / work)
            order = [*sorted(chosen, key=self._worst_first), *order[ops:]]
            before = count
        return order

    def _work(self) -> int:
        """Count the measurements of all rounds."""
        before, work = 0, 0
        for count, ops in self._rounds:
            work += min(ops, len(self._found)) * len(self._pictures[before:count])
            before = count
        return work

    def _worst_first(self, index: int) -> tuple[float, float, int]:
        constants, whole = self.of(index)
        return -constants.points - whole.points, -constants.moved - whole.moved, index

    def _look(self, chosen: Sequence[int], pictures: Sequence[_Picture]) -> Iterator[None]:
        """Measure ops on some more pictures; yield after each."""
        opened: Iterable[Probe] = map(self._probes.open, chosen)
        if len(pictures) > 1:
            opened = list(opened)
        seen = observe_tensors(self._data, [frame for frame, _ in pictures])
        for (_, mask), held in zip(pictures, seen, strict=True):
            for index, probe in zip(chosen, opened, strict=True):
                lost = probe.by_constants(held), probe.by_output(held)
                for outputs, harms in zip(lost, self._found[index], strict=True):
                    if outputs is not None:
                        harms.append(harm_of([select_mask(outputs, self._output)], [mask]))
                yield


def _telling_first(data: bytes, frames: Sequence[Frames], output: OutputSpec) -> list[_Picture]:
    """Put first the pictures that are half person, half not: they tell most."""
    pictures = list(zip(frames, masks_of_file(data, frames, output), strict=True))
    return sorted(pictures, key=lambda picture: abs(float((picture[1] > 0.5).mean()) - 0.5))
