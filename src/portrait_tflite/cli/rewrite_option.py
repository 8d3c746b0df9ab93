"""`--rewrite`: which forms the rewrites may take."""

from __future__ import annotations

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Approximation, RewriteMode

METAVAR = "|".join((*RewriteMode, *Approximation))
RewriteChoice = tuple[RewriteMode, frozenset[Approximation]]


def parse_rewrite(text: str) -> RewriteChoice:
    """Read a mode, the names of approximations, or both, separated by commas.

    Raises:
        UsageError: An unknown name, two modes, or an approximation of nothing.
    """
    names = [name.strip() for name in text.split(",")]
    modes = [RewriteMode(name) for name in names if name in list(RewriteMode)]
    families = frozenset(Approximation(name) for name in names if name in list(Approximation))
    unknown = [name for name in names if name not in [*RewriteMode, *Approximation]]
    if unknown or len(modes) > 1 or (families and RewriteMode.NONE in modes):
        raise UsageError(
            f"--rewrite must be one of {', '.join(RewriteMode)}; {', '.join(Approximation)} may "
            f"stand alone or behind auto or exact and a comma. Received: {text!r}."
        )
    return modes[0] if modes else RewriteMode.AUTO, families
