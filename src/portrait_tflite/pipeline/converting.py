"""How far converting is: variants, and the calibration pictures that some of them ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.quantize.variants import INTEGER
from portrait_tflite.vocabulary import Precision

# Exporting, quantizing and mending take about as long as calibrating on so many pictures.
_BESIDES = 50


class ConvertingSteps:
    """Counts the steps of all variants for one progress display.

    Attributes:
        total: Steps in all.
        update: Shows how many are done; None where nobody looks.
    """

    def __init__(self, variants: Sequence[Precision], pictures: Pictures) -> None:
        """Count the steps of `variants` with these calibration pictures."""
        calibration = pictures.calibration
        count = 0 if calibration is None else len(calibration.inputs)
        self._pictures = {each: count if each in INTEGER else 0 for each in variants}
        self._done = 0
        self._current: Precision | None = None
        self.total = sum(count + _BESIDES for count in self._pictures.values())
        self.update: Callable[[int], None] | None = None

    def on_variant(self, precision: Precision) -> None:
        """Begin a variant; the one before is done."""
        if self._current is not None:
            self._done += self._pictures[self._current] + _BESIDES
        self._current = precision
        self._show(self._done)

    def on_picture(self, number: int) -> None:
        """Count a calibration picture of the variant that was begun."""
        if self._current is not None:
            self._show(self._done + min(number, self._pictures[self._current]))

    def _show(self, done: int) -> None:
        if self.update:
            self.update(done)
