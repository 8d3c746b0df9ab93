"""The app's folder: made by the app, and tried out before minutes of measuring."""

from __future__ import annotations

from pathlib import Path
from time import monotonic, sleep

from portrait_tflite.benchmarks.device.adb import Phone, refusal
from portrait_tflite.benchmarks.device.app import start_app
from portrait_tflite.benchmarks.device.looking import look_for
from portrait_tflite.benchmarks.device.phone_files import Tell, one_run, read_result

PAUSE_S = 1.0
_PATIENCE_S = 60.0
_WHAT = "share the app's folder"


def open_folder(phone: Phone, scratch: Path, tell: Tell) -> None:
    """Have the app make its folder, and see that what it writes there can be read.

    Android gives the folder to the app when that first asks for it; one that adb makes is closed
    to the app. So the app is started with an order that it refuses at once, in its result file.

    Raises:
        AdbError: The app cannot write, or adb cannot read there.
    """
    with one_run(phone, tell) as run:
        start_app(phone, ("--es", "run", run, "--ei", "runs", "0"))
        _wait(phone, run)
        read_result(phone, run, scratch / f"{run}.json")


def _wait(phone: Phone, run: str) -> None:
    begun = monotonic()
    while not (look := look_for(phone, run)).there:
        late = monotonic() - begun > _PATIENCE_S
        if look.reason or late:
            silent = f"its app wrote nothing for {_PATIENCE_S:g} s" if late else look.reason
            # What it logged is that it refuses the order, and not where its result is.
            unwritten = (
                "nothing there; is its storage full, or another user of the phone signed in?"
            )
            reason = look.denied or (unwritten if look.logged else silent)
            raise refusal(_WHAT, phone.serial, reason)
        sleep(PAUSE_S)
