"""What the app writes, read by the host: the file that a Robolectric test of its benchmark left."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from portrait_tflite.benchmarks.device.result_file import read_device_result
from portrait_tflite.vocabulary import Delegate, DeviceResult, Fault

_BUILT = Path(__file__).parents[2] / "android_demo/app/target"
_RESULT = _BUILT / "device-results/first.json"
_MODEL = _BUILT / "test-assets/portrait/model.json"  # what the tests' app carries


@pytest.fixture(scope="module")
def result(require_or_skip: Callable[[str], NoReturn]) -> DeviceResult:
    """The benchmark of float16 on xnnpack and gpu with one thread and three runs."""
    if not _RESULT.is_file():
        require_or_skip("the app's tests have not run: cd android_demo && mvn verify")
    digest = hashlib.sha256(_MODEL.read_bytes()).hexdigest()
    return read_device_result(_RESULT, "robolectric", digest)


def test_a_cell_that_was_measured_is_whole(result: DeviceResult) -> None:
    cell = result.benchmarks[0]
    assert (cell.variant, cell.delegate, cell.threads) == ("float16", Delegate.XNNPACK, 1)
    assert (cell.runs, cell.processes, cell.fault) == (3, 1, None)
    assert [len(series) for series in cell.samples_ms] == [3]
    assert cell.latency_ms
    assert 0 < cell.latency_ms.min <= cell.latency_ms.median <= cell.latency_ms.p90
    assert cell.init_ms
    assert cell.first_ms
    assert cell.peak_rss_mb
    assert cell.peak_rss_mb > 1
    assert cell.frame_ms
    for stage in (
        cell.frame_ms.camera,
        cell.frame_ms.preprocess,
        cell.frame_ms.inference,
        cell.frame_ms.effect,
    ):
        assert stage
        assert stage.median > 0


def test_a_delegate_that_is_not_there_is_the_machines_fault(result: DeviceResult) -> None:
    cell = result.benchmarks[1]
    assert (cell.delegate, cell.fault, cell.latency_ms) == (Delegate.GPU, Fault.MACHINE, None)
    assert "gpu needs a library" in cell.unavailable


def test_the_self_test_came_along(result: DeviceResult) -> None:
    *ran, missing = result.self_test
    assert [(row.delegate, row.golden, row.passed) for row in ran] == [
        (Delegate.XNNPACK, golden, True) for golden in range(3)
    ]
    assert all(row.iou and row.iou > 0.99 for row in ran)
    assert missing.delegate is Delegate.GPU
    assert missing.unavailable


def test_phone_and_app_are_named(result: DeviceResult) -> None:
    assert result.device.android
    assert result.device.cores >= 1
    assert result.app.runtime == "2.6.2"  # the desktop's interpreter
    assert len(result.benchmarks) == 2
