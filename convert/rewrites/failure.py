"""A rewrite that fails, ours or the user's: an error that names it, and how to go on without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from portrait_tflite.errors import ConversionError, PortraitError

_LONGEST = 200  # characters of a message; Keras lists whole networks


@contextmanager
def named_failure(name: str) -> Iterator[None]:
    """Turn whatever a rewrite raises into a ConversionError that names it."""
    try:
        yield
    except PortraitError:
        raise
    except Exception as error:  # a user's own code raises whatever it likes
        raise ConversionError(
            f"a rewrite must take any network. Received from {name}: {type(error).__name__}: "
            f"{_gist(error)}.\nLeave it out with --rewrite -{name}."
        ) from error


def _gist(error: Exception) -> str:
    """Return the line that says what is wrong: the first, or the last of a TensorFlow trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    said = lines[-1] if lines[0] == "in user code:" else lines[0]
    return said[:_LONGEST].rstrip(". ")
