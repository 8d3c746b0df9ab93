"""What the host sends and reads is what the app's sources take and write."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.benchmarks.device import run
from portrait_tflite.benchmarks.device.app import ACTIVITY, TAG
from portrait_tflite.benchmarks.device.order import DeviceOrder
from portrait_tflite.benchmarks.device.phone_files import FILES
from portrait_tflite.benchmarks.device.result_file import read_device_result
from portrait_tflite.benchmarks.device.run import measure_on_phone
from portrait_tflite.vocabulary import Delegate, DeviceResult

SERIAL = "R5CT1234567"
ORDER = DeviceOrder((Delegate.XNNPACK,), (1,), 50, 10.0, 30)

_ANDROID = Path(__file__).parents[3] / "android_demo"
_SOURCES = sorted(_ANDROID.glob("*/src/main/**/*.kt"))


def _source(name: str) -> str:
    (path,) = (path for path in _SOURCES if path.name == name)
    return _text(path)


def _text(path: Path) -> str:
    return path.read_text("utf-8")


def test_the_stand_in_writes_the_keys_of_the_app(
    desk: Any, assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []

    def keep(path: Path, *_: object) -> DeviceResult:
        texts.append(path.read_text("utf-8"))
        return read_device_result(path, *_)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "read_device_result", keep)
    measure_on_phone(assets, SERIAL, ORDER)
    text = _source("DeviceResultWriter.kt")
    written = set(re.findall(r'put\("(\w+)"', text)) | set(re.findall(r'"(\w+)" to', text))
    # That one the app puts only where something failed.
    assert set(_keys(json.loads(texts[0]))) | {"error"} == written


def _keys(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        yield from data
    children = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    for child in children:
        yield from _keys(child)


def test_the_extras_are_those_that_the_app_reads() -> None:
    sent = list(ORDER.extras("run-1", "net-1", ("int8",)))
    found = dict(zip(sent[1::3], sent[::3], strict=True))
    text = _source("BenchmarkOrder.kt")
    read = dict.fromkeys(re.findall(r'extras\.(?:text|names)\("(\w+)"', text), "--es")
    for kind, key in re.findall(r'extras\.number<(\w+)>\("(\w+)"', text):
        read[key] = {"Int": "--ei", "Float": "--ef"}[kind]
    assert found == read


def test_the_activity_and_the_logs_tag_are_the_apps() -> None:
    package, activity = ACTIVITY.split("/.")
    manifest = (_ANDROID / "app" / "src" / "main" / "AndroidManifest.xml").read_text("utf-8")
    assert re.search(rf'android:name="(?:{re.escape(package)})?\.{activity}"', manifest)
    (logging,) = (text for text in map(_text, _SOURCES) if 'Log.i(TAG, "done $name ' in text)
    assert f'TAG = "{TAG}"' in logging
    assert 'Log.e(TAG, "failed $name ' in logging


def test_models_and_results_lie_where_the_app_has_them(desk: Any, assets: Path) -> None:
    asked = re.findall(r'getExternalFilesDir\("(\w+)"\)', "".join(map(_text, _SOURCES)))
    lines = " ".join(call[-1] for call in _calls(desk, assets))
    used = re.findall(rf"{re.escape(FILES)}/(\w+)/", lines)
    assert set(used) == set(asked) == {"models", "results"}


def test_the_order_that_opens_the_folder_is_refused_by_the_app(desk: Any, assets: Path) -> None:
    """It must end in a result file, and at once."""
    lines = [call[-1] for call in _calls(desk, assets) if "am start" in call[-1]]
    opening, measuring = map(shlex.split, lines)
    assert opening[5:] == ["--es", "run", opening[7], "--ei", "runs", "0"]
    assert 'extras.number<Int>("runs", "--ei runs 50") { it > 0 }' in _source("BenchmarkOrder.kt")
    assert opening[7] != measuring[7]


def _calls(desk: Any, assets: Path) -> list[list[str]]:
    """Return what adb is asked for one run."""
    measure_on_phone(assets, SERIAL, ORDER)
    return desk.calls()  # type: ignore[no-any-return]


def test_a_run_and_a_model_are_named_as_the_app_takes_them(desk: Any, assets: Path) -> None:
    sent = _started(desk, assets)
    (pattern,) = re.findall(r'FILE_NAME = Regex\("(.+)"\)', _source("BenchmarkOrder.kt"))
    assert re.fullmatch(pattern, sent["run"])
    assert re.fullmatch(pattern, sent["model"])


def _started(desk: Any, assets: Path) -> dict[str, str]:
    """Return the extras that the app was started with."""
    lines = (call[3] for call in _calls(desk, assets) if call[2:3] == ["shell"])
    words = shlex.split([line for line in lines if line.startswith("am start")][-1])
    return dict(zip(words[6::3], words[7::3], strict=True))
