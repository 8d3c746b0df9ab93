"""The points that a verdict is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """What a point of the verdict comes to."""

    GOOD = "good"
    LOOK = "look"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Point:
    """One reason of the verdict."""

    mark: Mark
    topic: str
    text: str
