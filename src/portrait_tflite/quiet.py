"""Keep the chatter of TensorFlow, Keras and the runtimes away from the user.

Their C++ parts write straight to file descriptors 1 and 2, so that replacing `sys.stdout` is not
enough; their Python parts print to `sys.stdout`, which need not be descriptor 1. Both are silenced.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

VERBOSE_VARIABLE = "PORTRAIT_TFLITE_VERBOSE"

# What these warn of is nothing that a user could do anything about: graphs that are traced anew.
_CHATTING_LOGGERS = ("tensorflow", "absl")

_NOTE_CHARACTERS = 4000  # the end of what was said; enough for the line that names the fault


class _State:
    verbose = False
    depth = 0


def set_verbose(verbose: bool) -> None:
    """Let everything through (`True`), for this process. The environment variable does the same."""
    _State.verbose = verbose


def is_verbose() -> bool:
    """Tell whether chatter is let through."""
    return _State.verbose or bool(os.environ.get(VERBOSE_VARIABLE))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow everything that is written to stdout and stderr inside.

    May be nested. An exception that passes through carries the swallowed text as a note, so that
    a traceback (`--debug`) shows it. Does nothing when verbose. Not for several threads at once: a
    progress display that runs meanwhile must write to a duplicate of stderr.
    """
    if is_verbose() or _State.depth:
        yield
        return
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as sink:
        _State.depth += 1
        try:
            for name in _CHATTING_LOGGERS:
                logging.getLogger(name).setLevel(logging.ERROR)
            with _redirected(sink):
                yield
        except BaseException as error:
            _attach(error, sink)
            raise
        finally:
            _State.depth -= 1
            _release(sink)


@contextlib.contextmanager
def _redirected(sink: IO[str]) -> Iterator[None]:
    """Point descriptors 1 and 2, and Python's own streams, at `sink`."""
    _flush()
    saved = {number: os.dup(number) for number in (1, 2)}
    try:
        for number in saved:
            os.dup2(sink.fileno(), number)
        with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            yield
    finally:
        sink.flush()
        # Handlers that kept the old streams (logging, absl) may hold text: it belongs to the sink.
        _flush()
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)


def _release(sink: IO[str]) -> None:
    """Give handlers that a library made meanwhile, as TensorFlow when imported, the real stderr."""
    loggers = [
        logging.getLogger(),
        *map(logging.getLogger, list(logging.Logger.manager.loggerDict)),
    ]
    for handler in {each for logger in loggers for each in logger.handlers}:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sink:
            handler.setStream(sys.stderr)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):
            stream.flush()


def _attach(error: BaseException, sink: IO[str]) -> None:
    size = sink.seek(0, os.SEEK_END)
    sink.seek(max(0, size - _NOTE_CHARACTERS))
    text = sink.read().strip()
    if text:
        error.add_note(f"Said meanwhile:\n{text}")
