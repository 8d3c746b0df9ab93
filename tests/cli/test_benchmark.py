"""`portrait-tflite benchmark`: tables, JSON, result file, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from portrait_tflite.benchmarks import measure
from portrait_tflite.benchmarks.arm import count
from portrait_tflite.benchmarks.cell import find_damage
from portrait_tflite.benchmarks.gpu import doubts
from portrait_tflite.cli.benchmark import command
from portrait_tflite.cli.delegate_option import parse_delegates
from portrait_tflite.errors import PortraitError, UnavailableError, UsageError
from portrait_tflite.vocabulary import (
    ArmCost,
    ArmOpCost,
    BenchmarkResult,
    Delegate,
    Fault,
    LatencyMs,
    MaskDifference,
)

FEW = ["--runs", "2", "--processes", "1"]


@pytest.fixture
def file(relu_net: Callable[..., bytes], tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    return path


@pytest.fixture
def custom(tiny_graph: Callable[[], Any], tmp_path: Path) -> Path:
    """Give a file with an op that no runtime here knows."""
    graph = tiny_graph()
    source = graph.tensor("x", (1, 8, 8, 4), "float32")
    target = graph.tensor("y", (1, 8, 8, 4), "float32")
    graph.op("CUSTOM", [source], target)
    graph.model.operatorCodes[0].customCode = b"Frobnicate"
    path = tmp_path / "custom.tflite"
    path.write_bytes(graph.build([source], [target]))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [*map(str, arguments), *FEW])


def rows_of(result: Result, name: str) -> list[list[str]]:
    lines = result.stdout.splitlines()
    return [line.split() for line in lines if line.startswith(f"  {name} ")]


def test_the_table_has_partitions_and_isa_beside_latencies(file: Path) -> None:
    result = run(file)
    assert result.exit_code == 0
    assert "cores" in result.stdout.splitlines()[0]
    assert "2 runs in 1 process, interleaved, 1 thread; ms" in result.stdout
    header = next(line for line in result.stdout.splitlines() if "median" in line)
    assert header.split()[:5] == ["file", "delegate", "precision", "partitions", "median"]
    assert [row[1:4] for row in rows_of(result, "net")] == [
        ["cpu", "int8", "0"],
        ["xnnpack", "int8", "3"],
    ]
    # A doubt about every row names none.
    assert "only 2 runs; use 50 or more" in result.stdout.splitlines()


def test_json_and_the_file_hold_the_same(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "speed"
    result = run(file, "--delegate", "xnnpack", "--json", "--out", out)
    printed = json.loads(result.stdout)
    assert printed == json.loads((out / "benchmark.json").read_text())
    assert set(printed) == {
        "schema", "created", "command", "versions", "machine", "benchmarks", "arm_cost",
    }  # fmt: skip
    (row,) = printed["benchmarks"]
    assert (row["variant"], row["delegate"], row["threads"]) == ("net", "xnnpack", 1)
    assert row["latency_ms"]["median"] > 0
    assert [len(one) for one in row["samples_ms"]] == [2]


def test_the_profile_names_ops_and_who_ran_them(file: Path) -> None:
    result = run(file, "--delegate", "xnnpack", "--profile")
    assert "net on xnnpack: the dearest ops" in result.stdout
    who = {row[1]: row[2] for row in map(str.split, result.stdout.splitlines()) if len(row) == 5}
    assert who["relu_0"] == "cpu"
    assert who["head"] == "xnnpack"


def test_a_folder_with_other_things_needs_force(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "full"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    refused = run(file, "--delegate", "cpu", "--out", out)
    assert isinstance(refused.exception, UsageError)
    assert "letter.txt" in str(refused.exception)
    assert [path.name for path in out.iterdir()] == ["letter.txt"]
    run(file, "--delegate", "cpu", "--out", out, "--force")
    assert (out / "letter.txt").read_text() == "dear"
    assert (out / "benchmark.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--device", "hots"], UnavailableError, "other than host, arm64-model and all: a phone"),
        (["--delegate", "cpu,npu"], UsageError, r"list of cpu, xnnpack, gpu\. Received: 'npu'"),
    ],
)
def test_what_is_not_to_be_had_is_refused(
    file: Path, arguments: list[str], error: type[PortraitError], message: str
) -> None:
    with pytest.raises(error, match=message):
        CliRunner().invoke(command, [str(file), *arguments], catch_exceptions=False)


def test_a_file_that_the_runtime_refuses_ends_with_2_and_the_others_are_kept(
    file: Path, custom: Path, tmp_path: Path
) -> None:
    out = tmp_path / "speed"
    result = run(custom, file, "--delegate", "xnnpack", "--out", out)
    assert isinstance(result.exception, UsageError)
    assert "Frobnicate" in str(result.exception)
    assert rows_of(result, "net")
    assert "not measured: custom on xnnpack: " in result.stdout
    rows = json.loads((out / "benchmark.json").read_text())["benchmarks"]
    assert [bool(row["unavailable"]) for row in rows] == [True, False]


@pytest.mark.parametrize("device", ["host", "arm64-model", "all"])
@pytest.mark.parametrize("cut", [True, False])
def test_a_damaged_or_missing_file_ends_with_2_and_the_others_are_kept(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, cut: bool
) -> None:
    monkeypatch.setattr(count, "count_files", counted_if_whole)
    out, bad = tmp_path / "speed", tmp_path / "bad.tflite"
    if cut:
        bad.write_bytes(file.read_bytes()[:200])
    result = run(file, bad, "--delegate", "xnnpack", "--device", device, "--out", out)
    assert isinstance(result.exception, UsageError)
    reason = "which is damaged or cut off" if cut else "no such file"
    runner = "arm64-model" if device == "arm64-model" else "xnnpack"
    assert str(result.exception) == (
        f"a .tflite that {runner} runs is required. Received: bad: {reason}."
    )
    written = json.loads((out / "benchmark.json").read_text())
    rows = written["benchmarks"] or written["arm_cost"]
    assert [row["unavailable"] for row in rows] == ["", reason]
    assert [row["fault"] for row in rows] == [None, "file"]


@pytest.mark.parametrize("device", ["arm64-model", "all"])
def test_an_op_that_the_emulated_runtime_lacks_is_the_files_fault(
    file: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setattr(count, "count_files", counted("custom op: Frobnicate", Fault.FILE))
    result = run(file, "--delegate", "cpu", "--device", device)
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == (
        "a .tflite that arm64-model runs is required. Received: net: custom op: Frobnicate."
    )


def test_a_process_that_was_killed_ends_with_5(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = "the runtime was killed (SIGKILL; out of memory?) in a timed run"
    row = BenchmarkResult(
        "net", "host", Delegate.CPU, "int8", 1, unavailable=killed, fault=Fault.MACHINE
    )
    monkeypatch.setattr(measure, "measure_host", lambda *_: [row])
    result = run(file, "--delegate", "cpu")
    assert isinstance(result.exception, UnavailableError)
    assert str(result.exception) == f"--delegate cpu is not available. Received: net: {killed}."


@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
def test_seconds_are_a_number(file: Path, value: str) -> None:
    assert run(file, "--seconds", value).exit_code == 2


def test_where_nothing_was_measured_nothing_is_written(custom: Path, tmp_path: Path) -> None:
    out = tmp_path / "speed"
    result = run(custom, "--out", out)
    assert isinstance(result.exception, UsageError)
    assert not out.exists()


def on_gpu(**known: Any) -> Callable[..., BenchmarkResult]:
    """Stand in for the GPU's measurement."""

    def measured(cell: measure.Cell, *_: object, **__: object) -> BenchmarkResult:
        return BenchmarkResult(cell.variant, "host", Delegate.GPU, "int8", 1, **known)

    return measured


def test_a_named_gpu_that_is_missing_ends_with_5_and_the_others_are_kept(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "measure_gpu", on_gpu(unavailable="no adapter."))
    out = tmp_path / "speed"
    result = run(file, "--delegate", "cpu,gpu", "--out", out)
    assert isinstance(result.exception, UnavailableError)
    assert str(result.exception) == ("--delegate gpu is not available. Received: net: no adapter.")
    assert len(rows_of(result, "net")) == 1
    assert (out / "benchmark.json").is_file()


def test_a_software_gpu_is_labelled_and_in_no_ratio(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(file.read_bytes())
    latency = LatencyMs(50.0, 50.0, 50.0, 50.0, 50.0, 0.0)
    difference = MaskDifference(0.0123, 0.9987)
    measured = on_gpu(
        latency_ms=latency, software=True, adapter="SwiftShader", against_cpu=difference,
        warnings=(doubts.SOFTWARE,), computed_in="float32",
    )  # fmt: skip
    monkeypatch.setattr(measure, "measure_gpu", measured)
    result = run(file, other, "--delegate", "cpu,gpu")
    assert "(software adapter: no speed)" in result.stdout
    (on_cpu, _), (other_on_cpu, other_on_software) = (
        rows_of(result, "net"),
        rows_of(result, "other"),
    )
    assert on_cpu[-1] == "1.00"
    assert float(other_on_cpu[-1]) > 0
    assert other_on_software[2] == "50.000"
    assert "× first" not in result.stdout.split("SwiftShader")[1]
    assert "SwiftShader, computed in float32" in result.stdout
    assert "IoU 0.9987" in result.stdout


def counted(unavailable: str = "", fault: Fault = Fault.MACHINE) -> Callable[..., list[ArmCost]]:
    """Stand in for the counting under qemu."""

    def count_files(
        cells: Sequence[count.ArmCell], *, per_op: bool = False, **_: object
    ) -> list[ArmCost]:
        if unavailable:
            return [
                ArmCost(c.variant, "cortex-a76", c.delegate, unavailable=unavailable, fault=fault)
                for c in cells
            ]
        ops = (ArmOpCost("CONV_2D", "stem", 100, 2.5e6),) if per_op else ()
        return [
            ArmCost(c.variant, "cortex-a76", c.delegate, 9_000_000, 5e6, 3_000_000, 1_000_000,
                    2_000_000, 3, ops=ops)
            for c in cells
        ]  # fmt: skip

    return count_files


def counted_if_whole(cells: Sequence[count.ArmCell], **_: object) -> list[ArmCost]:
    """Stand in for the counting of files, of which damaged ones are not counted."""
    costs = []
    for cell in cells:
        damage = find_damage(cell.path)
        count_files = counted(damage, Fault.FILE) if damage else counted()
        costs += count_files([cell])
    return costs


def test_arm_costs_stand_in_a_table_of_their_own_that_says_what_they_are(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count, "count_files", counted())
    result = run(file, "--device", "arm64-model", "--delegate", "xnnpack,gpu", "--profile")
    assert result.exit_code == 0
    (row,) = rows_of(result, "net")
    assert row == ["net", "xnnpack", "3", "5.00", "9.00", "3.00", "1.00", "2.00"]
    text = " ".join(result.stdout.split())
    assert "a bound on the cycles of one inference, for comparing, without caches; no" in text
    assert "CONV_2D stem 2.50 100.0%" in text
    assert "median" not in text


def test_an_arm_model_that_is_missing_ends_with_5_only_where_it_was_named(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count, "count_files", counted("not set up"))
    out = tmp_path / "speed"
    named = run(file, "--device", "arm64-model", "--delegate", "cpu", "--out", out)
    assert isinstance(named.exception, UnavailableError)
    assert str(named.exception) == (
        "--device arm64-model is not available. Received: net: not set up."
    )
    assert not out.exists()
    everything = run(file, "--device", "all", "--delegate", "cpu", "--out", out)
    assert everything.exit_code == 0
    assert "not counted: net on cpu: not set up" in everything.stdout
    assert json.loads((out / "benchmark.json").read_text())["arm_cost"][0]["unavailable"]


def test_files_of_one_name_are_told_apart_and_one_file_twice_is_refused(
    file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "net.tflite"
    other.parent.mkdir()
    other.write_bytes(file.read_bytes())
    result = run(file, other, "--delegate", "cpu", "--json")
    names = [row["variant"] for row in json.loads(result.stdout)["benchmarks"]]
    assert names == [str(file), str(other)]
    twice = run(file, file)
    assert isinstance(twice.exception, UsageError)
    assert "more than once" in str(twice.exception)


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_what_is_no_tflite_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"a \.tflite that cpu runs is required.*Received: bad: "):
        CliRunner().invoke(command, [str(path)], catch_exceptions=False)


def test_delegates_are_parsed_once_each() -> None:
    assert parse_delegates("xnnpack, cpu,xnnpack") == (Delegate.XNNPACK, Delegate.CPU)
