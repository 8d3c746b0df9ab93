"""The folder that the emulated machine lives in, and a lock on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from portrait_tflite.cache_folder import CACHE_VARIABLE, cache_folder
from portrait_tflite.errors import UnavailableError
from portrait_tflite.vocabulary import ARM_MODEL


def machine_folder() -> Path:
    """Return where the emulated machine is, or would be."""
    return cache_folder() / ARM_MODEL


@contextmanager
def locked(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Keep other processes from setting up `folder` meanwhile; wait for one that does already.

    Raises:
        UnavailableError: The folder above cannot be written.
    """
    import fcntl  # Unix only; this module is imported everywhere

    path = folder.with_name(f"{folder.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise UnavailableError(
            f"a cache folder to write to is required. Received: {path.parent}: {error.strerror}. "
            f"Name another one in {CACHE_VARIABLE}."
        ) from error
    with file:  # closing it releases the lock
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process that is setting up the same folder")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
