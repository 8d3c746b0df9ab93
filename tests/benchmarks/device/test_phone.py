"""`benchmark --device SERIAL` against a stand-in for adb: what is sent, and what comes out."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from portrait_tflite.benchmarks.comparison.compare import compare_results
from portrait_tflite.benchmarks.comparison.result_file import read_results
from portrait_tflite.benchmarks.device import app
from portrait_tflite.benchmarks.device.order import DeviceOrder
from portrait_tflite.benchmarks.device.staging import stage_model
from portrait_tflite.errors import GateError, PortraitError, UnavailableError, UsageError
from portrait_tflite.vocabulary import Delegate

SERIAL = "R5CT1234567"
Measure = Callable[..., Result]
Refused = Callable[[Result, type[PortraitError]], str]


def started(desk: Any) -> list[str]:
    """Return the words of the call that started the app to measure."""
    lines = [call[3] for call in desk.calls() if call[2:3] == ["shell"]]
    return shlex.split([line for line in lines if line.startswith("am start")][-1])


def test_a_run_comes_to_the_same_file_as_the_hosts(
    desk: Any, assets: Path, tmp_path: Path, measure: Measure
) -> None:
    out = tmp_path / "out"
    result = measure(assets, "--out", out, "--runs", 60)
    assert result.exit_code == 0, result.exception
    data = json.loads((out / "benchmark.json").read_text())
    assert data["device"]["soc"] == "T1000"
    assert data["machine"] == {
        "cpu": "T1000 (Acme One)", "isa": [], "cores": 8, "os": "Android 14",
    }  # fmt: skip
    cells = [(row["variant"], row["delegate"], row["threads"]) for row in data["benchmarks"]]
    on_cpu = [(delegate, n) for delegate in ("cpu", "xnnpack") for n in (1, 2, 4)]
    assert cells == [(v, *c) for v in ("float16", "int8") for c in [*on_cpu, ("gpu", 1)]]
    row = data["benchmarks"][3]
    assert row["thermal"] == {"before": "none", "after": "light"}
    assert row["battery_c"] == {"before": 25.5, "after": 27.0}
    assert row["frame_ms"]["preprocess"]["median"] == row["latency_ms"]["median"] == 10.0
    assert row["frame_ms"]["effect"] is None
    assert [len(series) for series in row["samples_ms"]] == [60]
    assert len(data["self_test"]) == 6
    page = (out / "benchmark.html").read_text()
    assert "Benchmark on Acme One" in page
    assert "none → light" in page
    assert "<li>int8 on xnnpack: passed" in page
    assert "self-test, int8 on xnnpack: passed, least IoU 1.0000, largest step 0" in result.stdout
    assert "Acme One, T1000, Android 14, arm64-v8a, 8 cores" in result.stdout
    assert desk.left() == []  # nothing stays on the phone


def test_what_is_sent_is_the_contract(desk: Any, assets: Path, measure: Measure) -> None:
    measure(assets, "--delegate", "xnnpack", "--threads", "4", "--seconds", "2.5", "--cooldown", 7)
    words = started(desk)
    name = "io.github.portrait_tflite.demo/.BenchmarkActivity"
    assert words[:5] == ["am", "start", "-W", "-n", name]
    sent = dict(zip(words[6::3], words[7::3], strict=True))
    kinds = dict(zip(words[6::3], words[5::3], strict=True))
    pushed = next(call for call in desk.calls() if call[2:3] == ["push"])[4]
    copied = next(call[3] for call in desk.calls() if f"cp -r {pushed} " in call[-1])
    home = "/sdcard/Android/data/io.github.portrait_tflite.demo/files/models/"
    assert f"cp -r {pushed} {home}{sent.pop('model')} " in copied
    assert sent.pop("run")
    assert sent == {
        "variants": "float16,int8", "delegates": "xnnpack", "threads": "4", "runs": "50",
        "seconds": "2.5", "cooldown": "7",
    }  # fmt: skip
    assert (kinds["runs"], kinds["seconds"], kinds["cooldown"]) == ("--ei", "--ef", "--ei")


def test_the_model_is_pushed_whole_and_alone(assets: Path, tmp_path: Path) -> None:
    (assets / "letter.txt").write_text("mine")
    folder = tmp_path / "staged"
    folder.mkdir()
    model = stage_model(assets, folder)
    assert {path.name for path in folder.iterdir()} == {
        "model.json", "net-int8.tflite", "net-float16.tflite", "golden-0.png",
    }  # fmt: skip
    assert model.name.startswith("my-net-")
    assert model.variants == ("float16", "int8")


def test_one_file_is_one_variant(desk: Any, assets: Path, measure: Measure) -> None:
    result = measure(assets / "net-int8.tflite", "--json")
    data = json.loads(result.stdout)
    assert {row["variant"] for row in data["benchmarks"]} == {"int8"}


def test_an_app_that_takes_a_while_is_waited_for(desk: Any, assets: Path, measure: Measure) -> None:
    desk.script(app="slow")
    assert measure(assets).exit_code == 0


def test_the_app_is_installed_where_it_is_not(
    desk: Any, assets: Path, apk: Path, measure: Measure, refused: Refused
) -> None:
    desk.installed.unlink()
    said = refused(measure(assets), UnavailableError)
    assert "the app io.github.portrait_tflite.demo is required on the phone" in said
    assert "--apk" in said
    assert measure(assets, "--apk", apk).exit_code == 0
    before = len([call for call in desk.calls() if call[2:3] == ["install"]])
    assert measure(assets).exit_code == 0
    assert len([call for call in desk.calls() if call[2:3] == ["install"]]) == before
    said = refused(measure(assets, "--apk", apk.with_name("no.apk")), UsageError)
    assert "--apk must be an APK" in said


@pytest.mark.parametrize("later", ["first", "second"])
def test_the_apk_that_was_built_here_last_is_taken(
    desk: Any,
    assets: Path,
    apk: Path,
    monkeypatch: pytest.MonkeyPatch,
    measure: Measure,
    later: str,
) -> None:
    desk.installed.unlink()
    built = [apk.with_name(f"{name}.apk") for name in ("none", "first", "second")]
    for path in built[1:]:
        path.write_bytes(b"apk")
        os.utime(path, (2, 2) if path.stem == later else (1, 1))
    monkeypatch.setattr(app, "_BUILT", tuple(built))
    assert measure(assets).exit_code == 0
    (install,) = (call for call in desk.calls() if call[2:3] == ["install"])
    assert install[-1] == str(apk.with_name(f"{later}.apk"))


def test_a_second_phone_does_not_disturb(desk: Any, assets: Path, measure: Measure) -> None:
    desk.script(attached={"emulator-5554": "device", SERIAL: "device", "X": "offline"})
    assert measure(assets).exit_code == 0
    assert all(call[:2] == ["-s", SERIAL] for call in desk.calls()[1:])


def test_wrong_masks_end_with_3_and_all_is_written(
    desk: Any, assets: Path, tmp_path: Path, measure: Measure, refused: Refused
) -> None:
    desk.script(app="wrong_masks")
    out = tmp_path / "out"
    result = measure(assets, "--out", out)
    said = refused(result, GateError)
    assert "Received: 2 of 6 outside of it on Acme One (float16 on xnnpack, golden 0;" in said
    assert "self-test, int8 on xnnpack: FAILED on 1 of 1, least IoU 0.7000" in result.stdout
    assert (out / "benchmark.json").is_file()


def test_a_gpu_that_is_missing_counts_only_where_it_was_named(
    desk: Any, assets: Path, measure: Measure
) -> None:
    desk.script(app="no_gpu")
    result = measure(assets)
    assert result.exit_code == 0
    assert "not measured: int8 on gpu: this phone has no OpenCL." in result.stdout
    said = str(measure(assets, "--delegate", "gpu").exception)
    assert said == "--delegate gpu is not available. Received: Acme One: this phone has no OpenCL."


def test_a_file_that_the_app_does_not_run_ends_with_2(
    desk: Any, assets: Path, measure: Measure, refused: Refused
) -> None:
    desk.script(app="unknown_op")
    said = refused(measure(assets), UsageError)
    assert "float16 on Acme One: Frobnicate is no op." in said


def test_patience_grows_with_the_cells() -> None:
    order = DeviceOrder((Delegate.CPU, Delegate.XNNPACK, Delegate.GPU), (1, 2, 4), 50, 10, 30)
    few = DeviceOrder((Delegate.GPU,), (1, 2, 4), 50, 10, 30)
    assert order.patience_s(("int8",)) > 7 * (30 + 10)
    assert few.patience_s(("int8",)) < order.patience_s(("int8",))
    assert order.patience_s(("int8", "float16")) > order.patience_s(("int8",))


def test_processes_are_starts_of_the_app(
    desk: Any, assets: Path, tmp_path: Path, measure: Measure
) -> None:
    out, command_line = tmp_path / "out", ("--delegate", "xnnpack", "--threads", "2")
    result = measure(assets, *command_line, "--processes", 3, "--runs", 20, "--out", out)
    assert result.exit_code == 0, result.exception
    assert "in 3 processes" in result.stdout
    data = json.loads((out / "benchmark.json").read_text())
    row = data["benchmarks"][0]
    assert (row["processes"], row["runs"]) == (3, 60)
    assert [len(series) for series in row["samples_ms"]] == [20, 20, 20]
    assert row["latency_ms"]["median"] == row["latency_ms"]["p95"] == 5.0
    assert len(data["self_test"]) == 6
    assert len([call for call in desk.calls() if call[2:3] == ["push"]]) == 1
    assert desk.left() == []
    # What several processes say, `compare` takes.
    read = read_results(out)
    compared = compare_results(read, read)
    assert [change.ratio for change in compared.speed] == [1.0, 1.0]


def test_compare_reads_a_phones_results(
    desk: Any, assets: Path, tmp_path: Path, measure: Measure
) -> None:
    assert measure(assets, "--out", tmp_path / "out").exit_code == 0
    read = read_results(tmp_path / "out")
    assert len(read.timed) == 14
    assert {cell.device for cell in read.timed} == {"Acme One"}
    assert not any(cell.gap for cell in read.timed)
