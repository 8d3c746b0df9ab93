"""The app on the phone: whether it is there, and how it gets there."""

from __future__ import annotations

from pathlib import Path

from portrait_tflite.benchmarks.device.adb import Phone, refusal
from portrait_tflite.errors import UnavailableError, UsageError

PACKAGE = "io.github.portrait_tflite.demo"

# Where the builds of this repository leave it; none of it exists where the package is installed.
_DEMO = Path(__file__).resolve().parents[2] / "android_demo" / "app"
_BUILT = (
    _DEMO / "target" / "portrait-tflite.apk",
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
    built = apk or next((path for path in _BUILT if path.is_file()), None)
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
