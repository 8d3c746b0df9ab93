"""Measure on a phone: push, start, wait, pull, and leave nothing behind."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from portrait_tflite.benchmarks.device.adb import Adb, AdbError, Phone, refusal
from portrait_tflite.benchmarks.device.app import PACKAGE, ensure_app
from portrait_tflite.benchmarks.device.merging import merge_starts
from portrait_tflite.benchmarks.device.order import DeviceOrder
from portrait_tflite.benchmarks.device.result_file import read_device_result
from portrait_tflite.benchmarks.device.staging import StagedModel, stage_model
from portrait_tflite.vocabulary import DeviceResult

Progress = Callable[[int, int], None]

_FILES = f"/sdcard/Android/data/{PACKAGE}/files"
ACTIVITY = f"{PACKAGE}/.BenchmarkActivity"
TAG = "PortraitBenchmark"
POLL_S = 2.0  # between two looks for the result
_STARTING_S = 120.0  # for `am start -W`, on a slow phone
_WHAT = "finish the benchmark"


def measure_on_phone(
    source: Path,
    serial: str,
    order: DeviceOrder,
    *,
    starts: int = 1,
    apk: Path | None = None,
    timeout_s: float | None = None,
    on_progress: Progress | None = None,
) -> DeviceResult:
    """Measure a model on a phone, by the app.

    Args:
        source: A folder of `convert --assets`, or a `.tflite` in it.
        starts: How often the app is started and measures everything, as a process of its own.
        apk: Installed first; None keeps the app that is there, or installs this repository's.
        timeout_s: The longest that a start may take; None works it out of the order.
        on_progress: Called with `(seconds waited, seconds that it takes or so)`.

    Raises:
        UsageError: The model or the APK is not what it should be.
        UnavailableError: No adb, no such phone, or the phone did not do it; the message says which.
    """
    phone = Adb().phone(serial)
    with tempfile.TemporaryDirectory(prefix="portrait-tflite-") as scratch:
        staged = Path(scratch) / "model"
        staged.mkdir()
        model = stage_model(source, staged)
        ensure_app(phone, apk)
        home = f"{_FILES}/models/{model.name}"
        with _removed(phone, home):
            phone.push(model.folder, home)
            patience_s = order.patience_s(model.variants) if timeout_s is None else timeout_s
            results = []
            for number in range(starts):
                show = _shown(on_progress, number, starts, order.usual_s(model.variants))
                pulled = Path(scratch) / f"result-{number}.json"
                _measure(phone, model, order, pulled, patience_s, show)
                results.append(read_device_result(pulled, serial, model.sha256))
    return merge_starts(results)


def _shown(
    on_progress: Progress | None, number: int, starts: int, usual_s: float
) -> Callable[[int], None]:
    """Give what shows the seconds of one start among all."""

    def show(waited_s: int) -> None:
        if on_progress:
            done = number * usual_s + min(waited_s, usual_s)
            on_progress(round(done), round(starts * usual_s))

    return show


def _measure(
    phone: Phone,
    model: StagedModel,
    order: DeviceOrder,
    pulled: Path,
    patience_s: float,
    show: Callable[[int], None],
) -> None:
    """Start the app once, wait for its result and copy it to `pulled`."""
    run = f"run-{uuid.uuid4().hex[:8]}"
    with _removed(phone, _result(run), f"{_result(run)}.part"):
        _start(phone, run, model, order)
        _wait(phone, run, patience_s, show)
        phone.pull(_result(run), pulled)


@contextmanager
def _removed(phone: Phone, *places: str) -> Iterator[None]:
    """Make room at some places, end the app afterwards and remove what is there then.

    It is done whatever happens; where the phone is gone, what went wrong before is what counts.
    """
    phone.shell("make room for a model", "rm", "-rf", *places)
    try:
        yield
    finally:
        with suppress(AdbError):
            phone.shell("end the app", "am", "force-stop", PACKAGE)
            phone.shell("clean up", "rm", "-rf", *places)


def _start(phone: Phone, run: str, model: StagedModel, order: DeviceOrder) -> None:
    what = "start the benchmark"
    # An app that somebody left open would be measured along, or be busy.
    phone.shell(what, "am", "force-stop", PACKAGE)
    phone.shell(what, "input", "keyevent", "KEYCODE_WAKEUP")
    extras = order.extras(run, model.name, model.variants)
    answer = phone.shell(what, "am", "start", "-W", "-n", ACTIVITY, *extras, patience_s=_STARTING_S)
    # `am` ends well with most errors, and says them.
    wrong = [line for line in answer.out.splitlines() if line.startswith("Error")]
    if answer.status or wrong:
        raise refusal(what, phone.serial, (wrong or [f"am ended with {answer.status}"])[-1])


def _wait(phone: Phone, run: str, patience_s: float, show: Callable[[int], None]) -> None:
    """Wait for the result.

    Raises:
        AdbError: The app could not write it, was ended, or did not come to an end.
    """
    begun = monotonic()
    while not _is_there(phone, run):
        running = phone.shell(_WHAT, "pidof", PACKAGE).status == 0
        reason = _logged(phone, run)
        # It may have ended well in between.
        if not (running or reason or _is_there(phone, run)):
            reason = "its app ended without a result (killed, or out of memory?)"
        waited_s = monotonic() - begun
        if not reason and waited_s > patience_s:
            reason = f"no result after {patience_s:.0f} s; name more by --timeout"
        if reason:
            raise refusal(_WHAT, phone.serial, reason)
        show(int(waited_s))
        sleep(POLL_S)


def _is_there(phone: Phone, run: str) -> bool:
    return phone.shell(_WHAT, "ls", _result(run)).status == 0


def _logged(phone: Phone, run: str) -> str:
    """Return what the app logged of a run that failed, or "": it may have no room for a result."""
    log = phone.shell(_WHAT, "logcat", "-d", "-s", f"{TAG}:*").out
    marked = [line.partition(f"failed {run} ")[2] for line in log.splitlines()]
    return next(filter(None, reversed(marked)), "").strip()


def _result(run: str) -> str:
    return f"{_FILES}/results/{run}.json"
