"""The value of `--remedies`."""

from __future__ import annotations

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import RemedyName

_NONE = "none"


def parse_remedies(text: str) -> tuple[RemedyName, ...]:
    """Parse `none`, or a list such as `ranges,equalization`.

    Raises:
        UsageError: One of them is no remedy.
    """
    if text.strip() == _NONE:
        return ()
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [name for name in names if name not in list(RemedyName)]
    if unknown:
        raise UsageError(
            f"--remedies must be {_NONE} or a list of {', '.join(RemedyName)}. "
            f"Received: {unknown[0]!r}."
        )
    return tuple(map(RemedyName, names))
