"""Waiting for the app's result, while disturbing what it measures as little as can be.

A look is one call of adb and three short processes on the phone, every quarter of a minute.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep

from portrait_tflite.benchmarks.device.adb import AdbError, Phone, refusal
from portrait_tflite.benchmarks.device.app import PACKAGE, TAG
from portrait_tflite.benchmarks.device.phone_files import result_path

FIRST_S = 2.0  # until the second look; then a quarter of what was waited, which costs few seconds
POLL_S = 15.0  # at most, between two looks
_SHOW_S = 1.0
_WHAT = "finish the benchmark"
_GONE = 3  # exit status of a look's line where the app does not run

# Of other processes nothing is read: the filter by process works in the phone's log service.
_LINE = (
    "ls {result} 2>&1 && exit 0; p=$(pidof -s {package}) || exit {gone}; "
    "logcat -d --pid=$p -s '{tag}:*'; exit 1"
)


@dataclass(frozen=True)
class Look:
    """What was seen of a run.

    Attributes:
        there: Whether the result is there.
        running: Whether the app runs.
        denied: What was said where its folder is closed to adb.
        logged: What the app said at its end; a failure, or where its result is.
    """

    there: bool
    running: bool = True
    denied: str = ""
    logged: str = ""

    @property
    def reason(self) -> str:
        """Why there is nothing to wait for; "" while there is."""
        if self.there or (self.running and not self.denied and not self.logged):
            return ""
        ended = "its app ended without a result (killed, or out of memory?)"
        return self.denied or self.logged or ended


def wait_for_result(phone: Phone, run: str, patience_s: float, show: Callable[[int], None]) -> None:
    """Wait until a run's result is there.

    Args:
        show: Called every second with the seconds waited.

    Raises:
        AdbError: The app could not write it, was ended, or did not come to an end.
    """
    begun = monotonic()
    while not (look := look_for(phone, run)).there:
        waited_s = monotonic() - begun
        if look.reason or waited_s > patience_s:
            late = f"no result after {patience_s:.0f} s; name more by --timeout"
            raise refusal(_WHAT, phone.serial, look.reason or late)
        _rest(min(POLL_S, max(FIRST_S, waited_s / 4)), begun, show)


def look_for(phone: Phone, run: str) -> Look:
    """Look for a run's result.

    Raises:
        AdbError: The phone is gone, and still is when it is looked for again.
    """
    try:
        look = _look(phone, run)
    except AdbError:
        # A cable or network that fails for a moment must not cost a run of minutes.
        sleep(POLL_S)
        look = _look(phone, run)
    # The result may have come after it was looked for, and before the app was.
    return _look(phone, run) if look.reason else look


def _look(phone: Phone, run: str) -> Look:
    line = _LINE.format(result=result_path(run), package=PACKAGE, gone=_GONE, tag=TAG)
    answer = phone.script(_WHAT, line)
    if answer.status == 0:
        return Look(there=True)
    first = answer.out.partition("\n")[0]
    running = answer.status != _GONE
    log = answer.out if running else phone.shell(_WHAT, "logcat", "-d", "-s", f"{TAG}:*").out
    return Look(
        there=False,
        running=running,
        denied=first if "Permission denied" in first else "",
        logged=_logged(log, run),
    )


def _logged(log: str, run: str) -> str:
    """Return what the app logged at a run's end, or ""; it may have had no room for a result."""
    said = re.findall(rf"(done|failed) {re.escape(run)} (.*)", log)
    if not said:
        return ""
    word, text = said[-1]
    return text.strip() if word == "failed" else f"its result is not where it says: {text.strip()}"


def _rest(seconds: float, begun: float, show: Callable[[int], None]) -> None:
    """Leave the phone alone for a while, and show that time goes by."""
    until = monotonic() + seconds
    while (left := until - monotonic()) > 0:
        show(int(monotonic() - begun))
        sleep(min(_SHOW_S, left))
