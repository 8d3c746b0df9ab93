"""What every worker process does: take commands, answer, stay on its cores, die with its parent.

A worker reads one JSON list a line on stdin, the name of a command and its arguments, and answers
one JSON object a line on stdout; `{"error": …}` where the runtime refused. It ends when stdin does.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import IO, Any

from portrait_tflite.errors import PortraitError

_PR_SET_PDEATHSIG = 1  # Linux: a signal to this process when its parent dies
_LONGEST = 300  # characters of an unexpected error


def serve(worker: object) -> None:
    """Answer commands with the worker's methods of the same names until there are no more."""
    _die_with_parent()
    replies = _take_stdout()
    gc.disable()  # nothing but timings is kept, and a collection would be in one of them
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        replies.write(json.dumps(_answer(worker, name, arguments)) + "\n")
        replies.flush()


def pin(cores: Sequence[int]) -> None:
    """Stay on these cores; threads that are started later inherit it. Linux only."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def _answer(worker: object, name: str, arguments: Sequence[Any]) -> Any:
    try:
        return getattr(worker, name)(*arguments)
    except PortraitError as error:
        return {"error": str(error)}
    except Exception as error:  # the parent can do nothing with a traceback
        said = " ".join(str(error).split())[:_LONGEST]
        return {"error": f"{type(error).__name__}: {said}"}


def _die_with_parent() -> None:
    """Be killed when the parent dies, even by SIGKILL inside of a run that hangs. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _take_stdout() -> IO[str]:
    """Keep stdout for replies alone: whatever else writes to descriptor 1 goes to stderr."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return replies
