"""Every error that a user can meet, one branch per exit code.

    PortraitError              never raised itself
    ├── UsageError        2    bad usage or a bad input file
    ├── GateError         3    accuracy, regression or runtime gate failed
    ├── ConversionError   4    the model cannot be converted; names the layer
    └── UnavailableError  5    not available on this machine; names the part

A message says what is required, what was received and how to go on, in one or two lines.
"""

from __future__ import annotations

from typing import ClassVar


class PortraitError(Exception):
    """Base of all expected errors; the command line prints it without a traceback."""

    exit_code: ClassVar[int] = 1


class UsageError(PortraitError):
    """Bad usage, or an input file that is not what it should be."""

    exit_code = 2


class GateError(PortraitError):
    """A gate failed: the results are complete and on disk, and do not pass."""

    exit_code = 3


class ConversionError(PortraitError):
    """The model cannot be converted; the message names the layer and the op."""

    exit_code = 4


class UnavailableError(PortraitError):
    """What was asked for by name is not available on this machine."""

    exit_code = 5
