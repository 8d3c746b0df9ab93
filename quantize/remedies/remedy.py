"""What a remedy is: a function on a network that is about to be quantized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.vocabulary import FloatLayer

OnShare = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1."""


@dataclass(frozen=True)
class Treated:
    """What a remedy made of a network.

    Attributes:
        network: Quantized plainly, it holds what the remedy chose.
        detail: What was done, for the report: one line.
        float_layers: What the network keeps in float now, all of it; None where that is as before.
        afresh: Whether it was made anew, without what the steps before did; they are tried again
            behind it.
    """

    network: RangedNetwork
    detail: str = ""
    float_layers: tuple[FloatLayer, ...] | None = None
    afresh: bool = False


class Remedy(Protocol):
    """A step of the ladder.

    It may change ranges, weights and biases of the float file, or what stays in float; never the
    graph: the tensors keep their numbers and names, unless it makes the file afresh. Where it
    changes weights, the ranges that it gives are those of the new ones. The same network and
    pictures give the same result.
    """

    @property
    def name(self) -> str:
        """As `--remedies` and the report say it, e.g. `bias_correction`."""

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | str | None:
        """Treat a network; None where there is nothing for this remedy in it.

        A sentence where there is something, and why it was not done.

        Args:
            network: As the steps before left it.
            frames: The calibration pictures.
            on_share: Called as the work goes on.
        """
