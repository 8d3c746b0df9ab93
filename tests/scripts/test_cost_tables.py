"""The script that makes the cost tables: its files of one op, and the table it made."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from portrait_tflite.benchmarks.arm import setup
from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable, read_table
from portrait_tflite.convert.costs.costed_op import BUILTIN, FLOAT32, INT8, CostedOp
from portrait_tflite.runtime import open_model

SCRIPTS = Path(__file__).parents[2] / "scripts"

# What XNNPACK has no kernels for, so that the built-in ones were counted.
_OUTSIDE = {"GATHER", "LOG_SOFTMAX", "LOGICAL_AND", "LOGICAL_NOT", "MIRROR_PAD", "PACK"}
_OUTSIDE |= {"ARG_MAX_CHANNELS", "RESIZE_NEAREST_NEIGHBOR", "SIGN", "TILE", *BUILTIN.values()}
_BUILT_IN = {
    INT8: ("CAST_", "GREATER", "MAXIMUM", "SELECT"),
    FLOAT32: ("CAST_", "GREATER", "SELECT"),
}
OUTSIDE = {
    INT8: {
        "ABS",
        "ABS_RESCALED",
        "AVERAGE_POOL_2D",
        "DIV",
        "EXP",
        "GELU",
        "HARD_SWISH",
        "LOG",
        "MINIMUM",
    }
    | {"PRELU", "RELU", "RELU6", "RSQRT", "SOFTMAX", "SQRT", "SQUARED_DIFFERENCE"}
    | _OUTSIDE,
    FLOAT32: _OUTSIDE,
}


@pytest.fixture(scope="module")
def script() -> Any:
    """Give the module of the script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        import measure_cost_tables  # type: ignore[import-not-found]

        yield measure_cost_tables
        for name in [name for name in sys.modules if name.startswith("cost_tables")]:
            del sys.modules[name]


def test_the_committed_table_is_of_these_grids(script: Any) -> None:
    held = {(s.kind, s.precision, s.stride): s.axes for s in CostTable.load("arm64").series}
    assert held == {(g.kind, p, g.stride): g.axes(p) for g, p in script.plan_series()}


def test_every_op_runs_where_networks_have_it(script: Any) -> None:
    for grid, precision in script.plan_series():
        for op in (next(iter(grid.ops())), _middle(grid)):
            runner = open_model(script.one_op_file(op, precision))
            outside = grid.kind in OUTSIDE[precision] or grid.kind.startswith(_BUILT_IN[precision])
            assert (runner.partitions, len(runner.outside)) == (not outside, outside), (
                op,
                precision,
            )


def test_a_file_of_one_op_is_predicted_as_its_entry(script: Any) -> None:
    """The size that is read from a file is the one that the file was built with."""
    table = CostTable.load("arm64")
    for grid, precision in script.plan_series():
        op = _middle(grid)
        prediction = predict(script.one_op_file(op, precision), table)
        expected = table.call + script.parts_of(op.kind) * table.op_cost(op, precision)
        assert prediction.cycles == pytest.approx(expected), (op, precision)
        assert prediction.unknown == ()


def _middle(grid: Any) -> CostedOp:
    """An op inside of the grid: no entry, so that a wrong size would cost something else."""
    op = list(grid.ops())[-1]
    block = grid.stride**2 if grid.kind == "DEPTH_TO_SPACE" else 1
    depth = 20 if "channels_in" in grid.entries else 24 * block
    # XNNPACK takes a TRANSPOSE_CONV whose kernel covers its stride.
    kernel = 1 if op.kernel == (1, 1) else max(3, grid.stride)
    size = {"height": 8, "width": 12}
    if grid.kind == "TRANSPOSE":  # of runs, whatever their order
        size, depth = {"height": 384, "width": 1}, 24
    return replace(op, **size, channels_in=depth, channels_out=24, kernel=(kernel, kernel))


def test_only_what_the_table_lacks_is_counted(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = CostTable.load("arm64")
    counted: list[str] = []

    def count(ops: Any) -> list[int]:
        counted.extend(op.kind for op, _ in ops)
        return [table.call + 7] * len(ops)

    monkeypatch.setattr(script, "count_ops", count)
    monkeypatch.setattr(script, "status", lambda: SimpleNamespace(details=table.versions))
    out = tmp_path / "table.json"
    measure = ["measure", "--out", str(out), "--new", "--again", "TANH"]
    result = CliRunner().invoke(script.main, measure)
    assert result.exit_code == 1
    assert "the machine of the committed table is required" in result.output

    counted.clear()
    call = iter([table.call])
    monkeypatch.setattr(script, "count_ops", lambda ops: [next(call), *count(ops[1:])])
    result = CliRunner().invoke(script.main, measure)
    assert result.exit_code == 0, result.output
    assert set(counted) == {"TANH"}
    made = read_table(out.read_text("utf-8"))
    old, new = ({(s.kind, s.precision, s.stride): s for s in t.series} for t in (table, made))
    assert {key[0] for key in old if old[key] != new[key]} == {"TANH"}
    assert set(new["TANH", INT8, 1].cycles) == {7}


@pytest.fixture
def emulated(require_or_skip: Any) -> None:
    """Skip where there is no emulated machine."""
    now = setup.status()
    if not now.ready:
        require_or_skip(now.reason)


def test_the_committed_table_is_what_is_counted_today(script: Any, emulated: None) -> None:
    table = CostTable.load("arm64")
    ops = [
        (CostedOp("CONV_2D", 16, 16, 16, 32, (3, 3)), INT8),
        (CostedOp("DEPTHWISE_CONV_2D", 16, 16, 16, 16, (3, 3)), INT8),
        (CostedOp("TRANSPOSE_CONV", 16, 16, 16, 16, (3, 3), 2), INT8),
        (CostedOp("CONV_2D", 16, 16, 64, 8), FLOAT32),
        (CostedOp("RESIZE_BILINEAR", 16, 16, 8, 8), FLOAT32),
        (CostedOp("AVERAGE_POOL_2D", 1, 1, 64, 64, (16, 16)), INT8),
        (CostedOp("TRANSPOSE", 64, 64, 16, 16, stride=4), INT8),
        (CostedOp(BUILTIN["TRANSPOSE_CONV"], 16, 16, 16, 16, (3, 3)), INT8),
        (CostedOp("GREATER_SCALAR", 64, 64, 1, 1), INT8),
        (CostedOp("MEAN_CHANNELS", 16, 16, 16, 16), FLOAT32),
    ]
    counted = script.count_ops(ops)
    expected = [table.call + table.op_cost(*op) for op in ops]
    assert counted == pytest.approx(expected, rel=0.02)


def test_check_prints_a_table_and_fails_where_the_prediction_is_off(
    script: Any, emulated: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pointwise.tflite"
    file.write_bytes(script.one_op_file(CostedOp("CONV_2D", 24, 24, 40, 48), INT8))
    result = CliRunner().invoke(script.main, ["check", str(file)])
    assert result.exit_code == 0, result.output
    assert "| pointwise | " in result.stdout
    assert " % |  |" in result.stdout

    wrong = replace(CostTable.load("arm64"), call=1_000_000)
    monkeypatch.setattr(script.CostTable, "load", lambda _: wrong)
    assert CliRunner().invoke(script.main, ["check", str(file)]).exit_code == 3

    file.write_bytes(b"no network")
    result = CliRunner().invoke(script.main, ["check", str(file)])
    assert (result.exit_code, result.stdout.count("| pointwise |")) == (5, 1)
