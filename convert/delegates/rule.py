"""A delegate's rules as data: what it refuses, why, what would help, and where that is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from portrait_tflite.convert.delegates.fixes import FIXES
from portrait_tflite.convert.delegates.site import Site

_CUSTOM_FIX = "use built-in ops only, or link the op into the app"


@dataclass(frozen=True)
class Rule:
    """One reason for which a delegate leaves an op outside.

    Attributes:
        ops: The ops it concerns; empty for all.
        breaks: Returns the reason where the op breaks the rule, else "".
        source: The function of the delegate that it was read from; the table names the file.
        fix: What would help, or what says it of an op; empty where that depends on the op's kind
            alone: see `FIXES`.
    """

    ops: frozenset[str]
    breaks: Callable[[Site], str]
    source: str
    fix: str | Callable[[Site], str] = ""

    def fix_for(self, site: Site) -> str:
        """Say what would help an op that breaks the rule."""
        return (self.fix if isinstance(self.fix, str) else self.fix(site)) or fix_of(site.op)


@dataclass(frozen=True)
class Refusal:
    """Why a delegate leaves one op outside, what would help, and where the rule was read."""

    reason: str
    fix: str
    source: str = ""


def op_set(names: str) -> frozenset[str]:
    """Read op names, separated by blanks or line ends."""
    return frozenset(names.split())


def first_broken(rules: Iterable[Rule], site: Site) -> Refusal | None:
    """Return the refusal by the first rule that an op breaks; None where it keeps all."""
    for rule in rules:
        if (not rule.ops or site.op in rule.ops) and (reason := rule.breaks(site)):
            return Refusal(reason, rule.fix_for(site), rule.source)
    return None


def fix_of(op: str) -> str:
    """Say what to do about an op that a delegate has not at all, or not in this type."""
    return FIXES.get(op, _CUSTOM_FIX if is_custom(op) else "replace the layer")


def custom(site: Site) -> str:
    """Refuse an op that is not built in."""
    return "it is no built-in op" if is_custom(site.op) else ""


def is_custom(op: str) -> bool:
    """Whether an op is none of the runtime's own."""
    return op.startswith(("CUSTOM", "UNKNOWN"))
