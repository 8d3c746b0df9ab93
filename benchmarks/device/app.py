"""The app on the phone: whether it is there, how it gets there, how it starts and ends."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from portrait_tflite.benchmarks.device.adb import AdbError, Answer, Phone, refusal
from portrait_tflite.errors import UnavailableError, UsageError

PACKAGE = "io.github.portrait_tflite.demo"
ACTIVITY = f"{PACKAGE}/.BenchmarkActivity"
TAG = "PortraitBenchmark"  # of its lines in the phone's log

_STARTING_S = 120.0  # for `am start -W`, on a slow phone
_EXCEPTION = re.compile(r"^[\w.]+Exception: ")

# Where the builds of this repository leave it; none of it exists where the package is installed.
_DEMO = Path(__file__).resolve().parents[2] / "android_demo" / "app"
_BUILT = (
    _DEMO / "target" / "portrait-tflite.apk",
    _DEMO / "build" / "outputs" / "apk" / "release" / "app-release.apk",
    _DEMO / "build" / "outputs" / "apk" / "debug" / "app-debug.apk",
)


def ensure_app(phone: Phone, apk: Path | None) -> None:
    """See that the app is installed; one that is there stays, unless an APK is named.

    Raises:
        UsageError: There is no such APK.
        UnavailableError: The app is neither there nor built, or the phone refuses it.
    """
    if apk is not None and not apk.is_file():
        raise UsageError(f"--apk must be an APK. Received: {apk} (no such file).")
    if apk is None and is_installed(phone):
        return
    # Of several the last: whoever has a phone with pages of 16 KB builds with Gradle beside Maven.
    there = [path for path in _BUILT if path.is_file()]
    built = apk or max(there, key=lambda path: path.stat().st_mtime, default=None)
    if built is None:
        raise UnavailableError(
            f"the app {PACKAGE} is required on the phone. Received: {phone.serial} without it, and "
            "no build here. Build it (android_demo/README.md) and name it by --apk."
        )
    phone.install(built)
    if not is_installed(phone):
        raise refusal("install the app", phone.serial, f"{built.name} holds no {PACKAGE}")


def is_installed(phone: Phone) -> bool:
    """Ask the phone whether it has the app."""
    answer = phone.shell("list its apps", "pm", "path", PACKAGE)
    return answer.status == 0 and answer.out.startswith("package:")


def name_run() -> str:
    """Give a name that no other run has."""
    return f"run-{uuid.uuid4().hex[:8]}"


def start_app(phone: Phone, extras: Iterable[str]) -> None:
    """Wake the phone and start the app's measuring.

    Args:
        extras: Of the intent, as `am start` takes them.
    """
    what = "start the benchmark"
    # An app that somebody left open would be measured along, or be busy.
    phone.shell(what, "am", "force-stop", PACKAGE)
    # Xiaomi's phones may refuse this one; the activity turns the screen on as well.
    phone.shell(what, "input", "keyevent", "KEYCODE_WAKEUP")
    answer = phone.shell(what, "am", "start", "-W", "-n", ACTIVITY, *extras, patience_s=_STARTING_S)
    wrong = _wrong(answer)
    if wrong:
        raise refusal(what, phone.serial, wrong)


def _wrong(answer: Answer) -> str:
    """Return what `am` complains of, or ""; it ends well with most errors, and says them."""
    lines = [line.strip() for line in f"{answer.out}\n{answer.err}".splitlines()]
    errors = [line for line in lines if line.startswith("Error")]
    thrown = [line for line in lines if _EXCEPTION.match(line)]
    if errors or not answer.status:
        return errors[-1] if errors else ""
    return thrown[0] if thrown else f"am ended with {answer.status}"


@contextmanager
def ended(phone: Phone) -> Iterator[None]:
    """End the app afterwards, whatever happens."""
    try:
        yield
    finally:
        with suppress(AdbError):  # where the phone is gone, what went wrong before is what counts
            phone.shell("end the app", "am", "force-stop", PACKAGE)
