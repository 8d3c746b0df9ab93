"""What a phone is asked to measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from portrait_tflite.vocabulary import Delegate

_STARTING_S = 120.0  # installing files, self-test, and what nobody foresees
_CELL_S = 60.0  # of a cell, beside its timed runs and its rest: loading, warming up, stages
_SLOW_S = 1.0  # an inference on a slow phone without a delegate
_USUAL_S = 0.05  # and on a usual one, over all delegates


@dataclass(frozen=True)
class DeviceOrder:
    """The extras of the benchmark's intent.

    Attributes:
        delegates: On which every variant is measured.
        threads: Each with every delegate of the CPU.
        runs: Timed runs of each cell, at least.
        seconds: Time that the timed runs of each cell take, at least.
        cooldown_s: Rest before each cell but the first.
    """

    delegates: tuple[Delegate, ...]
    threads: tuple[int, ...]
    runs: int
    seconds: float
    cooldown_s: int

    def extras(self, run: str, model: str, variants: tuple[str, ...]) -> Iterator[str]:
        """Write the extras as `am start` takes them."""
        texts = {
            "run": run,
            "model": model,
            "variants": ",".join(variants),
            "delegates": ",".join(self.delegates),
            "threads": ",".join(map(str, self.threads)),
        }
        for key, text in texts.items():
            yield from ("--es", key, text)
        yield from ("--ei", "runs", str(self.runs))
        yield from ("--ef", "seconds", f"{self.seconds:g}")
        yield from ("--ei", "cooldown", str(self.cooldown_s))

    def patience_s(self, variants: tuple[str, ...]) -> float:
        """Return how long a phone may take for it; far more than it should."""
        timed_s = 2 * max(self.seconds, self.runs * _SLOW_S)
        return _STARTING_S + self._cells(variants) * (_CELL_S + timed_s + self.cooldown_s)

    def usual_s(self, variants: tuple[str, ...]) -> float:
        """Return about how long it takes, for whoever waits."""
        timed_s = max(self.seconds, self.runs * _USUAL_S)
        return self._cells(variants) * (_CELL_S / 4 + timed_s + self.cooldown_s)

    def _cells(self, variants: tuple[str, ...]) -> int:
        on_cpu = [each for each in self.delegates if each is not Delegate.GPU]
        on_gpu = Delegate.GPU in self.delegates
        return len(variants) * (len(on_cpu) * len(self.threads) + on_gpu)
