"""The value of `--delegate`."""

from __future__ import annotations

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Delegate


def parse_delegates(text: str) -> tuple[Delegate, ...]:
    """Parse a list such as `cpu,xnnpack`.

    Raises:
        UsageError: One of them is no delegate.
    """
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [name for name in names if name not in list(Delegate)]
    if unknown:
        raise UsageError(
            f"--delegate must be a list of {', '.join(Delegate)}. Received: {unknown[0]!r}."
        )
    return tuple(map(Delegate, names))
