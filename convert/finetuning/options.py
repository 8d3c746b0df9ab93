"""How to fine-tune."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FineTuningOptions:
    """How to fine-tune. The work is set in steps, so that it does not grow with the folder.

    Attributes:
        rounds: Most rounds; behind each, the held-out pictures are scored.
        steps: Steps of a round.
        batch_size: Pictures per step.
        learning_rate: Of Adam (Kingma and Ba 2015), falling to zero over all rounds by a cosine.
        patience: Rounds without a better agreement after which it stops.
        seed: Same seed and pictures, same weights.
    """

    rounds: int = 8
    steps: int = 112
    batch_size: int = 4
    learning_rate: float = 1e-3
    patience: int = 3
    seed: int = 0

    @property
    def total_steps(self) -> int:
        """Steps of all rounds."""
        return self.rounds * self.steps
