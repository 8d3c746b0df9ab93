"""Measure on a phone: lay the model there, start, wait, read, and leave nothing behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from portrait_tflite.benchmarks.device.adb import Adb, Phone
from portrait_tflite.benchmarks.device.app import ensure_app, start_app
from portrait_tflite.benchmarks.device.conditions import battery_saver, with_warnings
from portrait_tflite.benchmarks.device.looking import wait_for_result
from portrait_tflite.benchmarks.device.merging import merge_starts
from portrait_tflite.benchmarks.device.opening import open_folder
from portrait_tflite.benchmarks.device.order import DeviceOrder
from portrait_tflite.benchmarks.device.phone_files import Tell, one_run, placed, read_result
from portrait_tflite.benchmarks.device.result_file import read_device_result
from portrait_tflite.benchmarks.device.staging import StagedModel, stage_model
from portrait_tflite.vocabulary import DeviceResult

Progress = Callable[[int, int], None]


def measure_on_phone(
    source: Path,
    serial: str,
    order: DeviceOrder,
    *,
    starts: int = 1,
    apk: Path | None = None,
    timeout_s: float | None = None,
    on_progress: Progress | None = None,
    tell: Tell = lambda _: None,
) -> DeviceResult:
    """Measure a model on a phone, by the app.

    Args:
        source: A folder of `convert --assets`, or a `.tflite` in it.
        starts: How often the app is started and measures everything, as a process of its own.
        apk: Installed first; None keeps the app that is there, or installs this repository's.
        timeout_s: The longest that a start may take; None works it out of the order.
        on_progress: Called with `(seconds waited, seconds that it takes or so)`.
        tell: Told of what stays on the phone.

    Raises:
        UsageError: The model or the APK is not what it should be.
        UnavailableError: No adb, no such phone, or the phone did not do it; the message says which.
    """
    phone = Adb().phone(serial)
    with tempfile.TemporaryDirectory(prefix="portrait-tflite-") as folder:
        scratch = Path(folder)
        staged = scratch / "model"
        staged.mkdir()
        model = stage_model(source, staged)
        ensure_app(phone, apk)
        open_folder(phone, scratch, tell)
        patience_s = order.patience_s(model.variants) if timeout_s is None else timeout_s
        with placed(phone, model, tell):
            results = []
            for number in range(starts):
                show = _shown(on_progress, number, starts, order.usual_s(model.variants))
                results.append(_measure(phone, model, order, scratch, patience_s, show, tell))
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
    scratch: Path,
    patience_s: float,
    show: Callable[[int], None],
    tell: Tell,
) -> DeviceResult:
    """Start the app once, wait for its result and read it."""
    with one_run(phone, tell) as run:
        read = scratch / f"{run}.json"
        warnings = battery_saver(phone)
        start_app(phone, order.extras(run, model.name, model.variants))
        wait_for_result(phone, run, patience_s, show)
        read_result(phone, run, read)
    return with_warnings(read_device_result(read, phone.serial, model.sha256), warnings)
