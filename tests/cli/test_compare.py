"""`portrait-tflite compare`: tables, JSON, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

SAMPLES = [[4.0, 4.1, 3.9, 4.0], [4.1, 4.0, 4.0, 3.9], [3.95, 4.0, 4.05, 4.0]]
ROW = {
    "variant": "int8", "device": "host", "delegate": "xnnpack", "precision": "int8", "threads": 1,
    "software": False, "unavailable": "", "latency_ms": {"median": 4.0}, "samples_ms": SAMPLES,
}  # fmt: skip
RESULT: dict[str, Any] = {
    "schema": 1,
    "versions": {"ai-edge-litert": "2.3.0"},
    "machine": {"cpu": "C", "isa": ["avx2"], "cores": 2, "os": "Linux"},
    "benchmarks": [ROW, {**ROW, "delegate": "cpu"}],
    "arm_cost": [{"variant": "int8", "cpu": "a76", "delegate": "xnnpack", "cycles": 1e8}],
    "variants": {"int8": {"bytes": 4096, "accuracy": {"drop": {"miou": 0.3}, "passed": True}}},
}


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Give a function that writes a result and an edited copy of it."""

    def write(edit: Callable[[dict[str, Any]], object]) -> tuple[Path, Path]:
        after = deepcopy(RESULT)
        edit(after)
        paths = tmp_path / "old.json", tmp_path / "new.json"
        for path, data in zip(paths, (RESULT, after), strict=True):
            path.write_text(json.dumps(data))
        return paths

    return write


def slower(factor: float) -> Callable[[dict[str, Any]], None]:
    def edit(data: dict[str, Any]) -> None:
        row = data["benchmarks"][0]
        row["samples_ms"] = [[factor * run for run in one] for one in row["samples_ms"]]
        row["latency_ms"] = {"median": factor * 4.0}

    return edit


def test_a_regression_ends_with_3_and_is_printed_first(run: Any, files: Any) -> None:
    said = run("compare", *files(slower(1.25)))
    assert said.code == 3
    (row,) = [line.split() for line in said.out.splitlines() if line.startswith("  int8")]
    assert row[1:6] == ["xnnpack", "4.000", "5.000", "+25.0", "%"]
    assert row[-1] == "regression"
    assert "Not significant: 1 of 2 latencies." in said.out
    assert said.err == (
        "Error: slower by more than 10 %: int8 on xnnpack. "
        "Raise --max-slowdown where that is meant.\n"
    )
    assert run("compare", *files(slower(1.25)), "--max-slowdown", "30").code == 0


def test_what_does_not_differ_is_not_printed(run: Any, files: Any) -> None:
    said = run("compare", *files(dict))
    assert said.code == 0
    assert said.out == "Not significant: 2 of 2 latencies.\n"


def test_figures_without_chance_have_a_table_of_their_own(run: Any, files: Any) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["arm_cost"][0]["cycles"] = 1.5e8
        data["variants"]["int8"] = {
            "bytes": 8192, "accuracy": {"drop": {"miou": 1.5}, "passed": False},
        }  # fmt: skip

    said = run("compare", *files(edit))
    assert said.code == 3
    text = " ".join(said.out.split())
    assert (
        "ARM cost, Mcycles (a bound, no milliseconds), xnnpack 100.00 150.00 +50.0 % regr" in text
    )
    assert "size, KiB 4.00 8.00 +100.0 %" in text
    assert "accuracy drop, points of mIoU +0.30 +1.50 +1.20" in text
    assert "accuracy gate passed failed" in text


def test_json_holds_every_cell_and_nothing_else_is_printed(run: Any, files: Any) -> None:
    old, new = files(slower(1.25))
    said = run("compare", old, new, "--json")
    assert said.code == 3
    data = json.loads(said.out)
    assert set(data) == {
        "schema", "old", "new", "confidence", "max_slowdown", "passed", "speed", "values",
        "only_old", "only_new", "unlike",
    }  # fmt: skip
    assert (data["old"], data["passed"], data["confidence"]) == (str(old), False, 0.95)
    assert [row["regression"] for row in data["speed"]] == [True, False]


def test_gaps_and_lone_cells_are_said(run: Any, files: Any) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["versions"]["ai-edge-litert"] = "2.4.0"
        data["benchmarks"][0].update(software=True)
        data["benchmarks"][1].update(variant="float[32]")

    said = run("compare", *files(edit))
    assert said.code == 0
    assert "Not compared: int8 on xnnpack (new: a software adapter proves function" in said.out
    assert "Only in OLD, and so not compared: int8 on cpu" in said.out
    assert "Only in NEW: float[32] on cpu" in said.out
    assert "The runtimes differ: ai-edge-litert 2.3.0 and 2.4.0" in said.out


def test_a_cell_that_crashes_now_ends_with_3(run: Any, files: Any) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["benchmarks"][1].update(unavailable="it crashed", latency_ms=None, samples_ms=[])

    said = run("compare", *files(edit))
    assert said.code == 3
    assert "measured in OLD, unavailable in NEW: int8 on cpu (new: it crashed)" in said.out
    assert said.err == "Error: measured in OLD, unavailable in NEW: int8 on cpu.\n"


def test_an_arm_cost_is_called_a_bound_and_never_slow(run: Any, files: Any) -> None:
    said = run("compare", *files(lambda data: data["arm_cost"][0].update(cycles=2e8)))
    assert said.code == 3
    assert said.err == (
        "Error: ARM cost (a bound) higher by more than 10 %: int8 on arm64-model, xnnpack. "
        "Raise --max-slowdown where that is meant.\n"
    )


def test_tables_fit_80_columns_with_whole_figures(
    run: Any, files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portrait_tflite.cli import output

    def edit(data: dict[str, Any]) -> None:
        slower(1.25)(data)
        data["arm_cost"][0]["cycles"] = 1.5e8

    monkeypatch.setattr(output, "_PLAIN_WIDTH", 80)
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("compare", *files(edit)).out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    text = "\n".join(lines)
    assert text.count("regression") == 2
    for figure in ("xnnpack", "4.000", "5.000", "+25.0 % (+", "100.00", "150.00", "+50.0 %"):
        assert figure in text


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "x"])
def test_a_slowdown_that_is_no_share_ends_with_2(refuse: Any, files: Any, value: str) -> None:
    error = refuse("compare", *files(dict), "--max-slowdown", value)
    assert "--max-slowdown" in error
    assert len(error.splitlines()) == 1


def test_another_instruction_set_ends_with_2_without_force(run: Any, files: Any) -> None:
    paths = files(lambda data: data["machine"].update(isa=["avx2", "avx512_vnni"]))
    said = run("compare", *paths)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("Error: results of one machine and setting are required")
    assert len(said.err.splitlines()) == 1
    forced = run("compare", *paths, "--force")
    assert forced.code == 0
    assert "Unlike, by --force: instruction sets avx2 and avx2 avx512_vnni" in forced.out


@pytest.mark.parametrize("text", ["", "{}", "[]", "\x00"])
def test_what_is_no_result_file_ends_with_2(
    refuse: Any, tmp_path: Path, text: str, files: Any
) -> None:
    good, bad = files(dict)[0], tmp_path / "bad.json"
    bad.write_text(text)
    assert "bad.json" in refuse("compare", good, bad)
    assert "missing.json" in refuse("compare", tmp_path / "missing.json", good)
