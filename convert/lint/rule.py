"""What a lint rule is: a name, where it is from, and a function that finds its places."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from portrait_tflite.convert.lint.net import Net
from portrait_tflite.vocabulary import LintChange

LEAST_SHARE = 0.02  # of the file's cost: what concerns less is not worth a line


@dataclass(frozen=True)
class Found:
    """One place, or several of a kind, where a rule is not kept.

    Attributes:
        places: The layers that it concerns.
        finding: What is there.
        mcycles: What it concerns costs, in million cycles.
        changes: Ways to keep the rule, with what each saves.
    """

    places: tuple[str, ...]
    finding: str
    mcycles: float
    changes: tuple[LintChange, ...] = ()


@dataclass(frozen=True)
class LintRule:
    """One rule of the guides.

    Attributes:
        name: As reports have it.
        find: Lists what does not keep it.
        advice: What to do instead.
        source: The guide that says so.
        least_share: Share of the file's cost below which a finding is left away.
    """

    name: str
    find: Callable[[Net], Iterable[Found]]
    advice: str
    source: str
    least_share: float = LEAST_SHARE
