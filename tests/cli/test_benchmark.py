"""`portrait-tflite benchmark`: table, JSON, result file, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from portrait_tflite.cli.benchmark import command, parse_delegates
from portrait_tflite.errors import PortraitError, UnavailableError, UsageError
from portrait_tflite.vocabulary import Delegate


@pytest.fixture
def file(relu_net: Callable[..., bytes], tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    return path


def test_the_table_has_partitions_and_isa_beside_latencies(file: Path) -> None:
    result = CliRunner().invoke(command, [str(file), "--runs", "3"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "cores" in result.stdout.splitlines()[0]
    header = next(line for line in result.stdout.splitlines() if "median" in line)
    assert header.split()[:5] == ["file", "delegate", "precision", "partitions", "median"]
    rows = [line.split() for line in result.stdout.splitlines() if line.startswith("  net ")]
    assert [row[1:4] for row in rows] == [["cpu", "int8", "0"], ["xnnpack", "int8", "3"]]
    # A doubt about every row names none.
    assert "only 3 runs; use 50 or more" in result.stdout.splitlines()


def test_json_and_the_file_hold_the_same(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "speed"
    arguments = [str(file), "--delegate", "xnnpack", "--runs", "3", "--json", "--out", str(out)]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    printed = json.loads(result.stdout)
    assert printed == json.loads((out / "benchmark.json").read_text())
    assert set(printed) == {"schema", "created", "command", "versions", "machine", "benchmarks"}
    (row,) = printed["benchmarks"]
    assert (row["variant"], row["delegate"], row["threads"]) == ("net", "xnnpack", 1)
    assert row["latency_ms"]["median"] > 0


def test_a_folder_with_other_things_needs_force(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "full"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    arguments = [str(file), "--delegate", "cpu", "--runs", "1", "--out", str(out)]
    with pytest.raises(UsageError, match=r"letter\.txt"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert [path.name for path in out.iterdir()] == ["letter.txt"]
    CliRunner().invoke(command, [*arguments, "--force"], catch_exceptions=False)
    assert (out / "letter.txt").read_text() == "dear"
    assert (out / "benchmark.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--delegate", "gpu"], UnavailableError, r"does not measure the GPU .*Received: gpu"),
        (["--device", "all"], UnavailableError, r"on this machine only\. Received: all"),
        (["--delegate", "cpu,npu"], UsageError, r"list of cpu, xnnpack, gpu\. Received: 'npu'"),
    ],
)
def test_what_is_not_to_be_had_is_refused(
    file: Path, arguments: list[str], error: type[PortraitError], message: str
) -> None:
    with pytest.raises(error, match=message):
        CliRunner().invoke(command, [str(file), *arguments], catch_exceptions=False)


def test_files_of_one_name_are_told_apart_and_one_file_twice_is_refused(
    file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "net.tflite"
    other.parent.mkdir()
    other.write_bytes(file.read_bytes())
    arguments = ["--delegate", "cpu", "--runs", "1", "--json"]
    result = CliRunner().invoke(command, [str(file), str(other), *arguments])
    names = [row["variant"] for row in json.loads(result.stdout)["benchmarks"]]
    assert names == [str(file), str(other)]
    with pytest.raises(UsageError, match="more than once"):
        CliRunner().invoke(command, [str(file), str(file)], catch_exceptions=False)


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_what_is_no_tflite_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"\.tflite file is required.*bad\.tflite"):
        CliRunner().invoke(command, [str(path)], catch_exceptions=False)


def test_delegates_are_parsed_once_each() -> None:
    assert parse_delegates("xnnpack, cpu,xnnpack") == (Delegate.XNNPACK, Delegate.CPU)
