"""Makes the cost table of arm64, and shows how well it predicts whole networks.

    python scripts/measure_cost_tables.py measure
    python scripts/measure_cost_tables.py check NET.tflite…
    python scripts/measure_cost_tables.py spots

Needs the emulated machine: portrait-tflite doctor --install arm64-model.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isclose, prod
from pathlib import Path

import click
from cost_tables.grids import GRIDS, Grid
from cost_tables.moving_ops import parts_of
from cost_tables.one_op_files import one_op_file

from portrait_tflite.benchmarks.arm.count import ArmCell, count_files
from portrait_tflite.benchmarks.arm.setup import status
from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_series import Axis, Series
from portrait_tflite.convert.costs.cost_table import CostTable, write_table
from portrait_tflite.convert.costs.costed_op import BUILTIN, FLOAT32, INT8, CostedOp
from portrait_tflite.vocabulary import ArmCost, Delegate

_TABLE = Path(__file__).parent.parent / "convert" / "costs" / "arm64.json"
_UNIT = "cycles that the pipes of a Cortex-A76 need at least; no caches, no milliseconds"

# The call of the runtime is what a file of an op costs that does next to nothing.
_NOTHING = CostedOp("LOGISTIC", 1, 1, 1, 1)

_SPOT_SIDES, _SPOT_CHANNELS = (3, 6, 10, 14), (24, 40, 48, 96, 144)

# XNNPACK takes every product of two matrices in float. What a type has no kernel for is not written
# in it, and ops without numbers stand among those of float32.
_ONLY_INT8 = {"ABS_RESCALED", "CAST_INT8", "CAST_TO_INT8", "DEQUANTIZE", BUILTIN["BATCH_MATMUL"]}
_ONLY_FLOAT32 = {
    *("CAST_BOOL", "CAST_INT32", "CAST_TO_BOOL", "CAST_TO_INT32", "COS", "FLOOR", "LOGICAL_AND"),
    *("LOGICAL_NOT", "NEG", "SIGN", "SIN"),
}
_NO_OPS = {(kind, FLOAT32) for kind in _ONLY_INT8} | {(kind, INT8) for kind in _ONLY_FLOAT32}

_MAX_ERROR_PERCENT = 15.0

# What surrounds a process moves its count by a cycle or two; each op's own count is without it.
_CALL_TOLERANCE = 0.005

_Key = tuple[str, str, int, tuple[Axis, ...]]


@click.group()
def main() -> None:
    """Make the cost table of arm64, or check it."""


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=_TABLE, show_default=True)
@click.option("--again", multiple=True, help="A kind to count although the table holds it.")
@click.option("--new", is_flag=True, help="Count only what the committed table does not hold.")
def measure(out: Path, again: Sequence[str], new: bool) -> None:
    """Count every size of every op and write the table."""
    held = _held(again) if new else {}
    plans = list(plan_series())
    counted = [plan for plan in plans if _key(*plan) not in held]
    ops = [(op, precision) for grid, precision in counted for op in grid.ops()]
    call, *cycles = count_ops([(_NOTHING, FLOAT32), *ops])
    _require_same_machine(call, held)
    costs = iter(_alone(op, count - call) for (op, _), count in zip(ops, cycles, strict=True))
    fresh = {_key(*plan): _series(*plan, costs) for plan in counted}
    table = CostTable(
        target="arm64",
        unit=_UNIT,
        versions=status().details,
        call=CostTable.load("arm64").call if held else call,
        series=tuple({**held, **fresh}[_key(*plan)] for plan in plans),
    )
    out.write_text(write_table(table), "utf-8")
    click.echo(f"{out}: {len(ops)} ops counted; {len(table.series)} series")


@main.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.pass_context
def check(context: click.Context, files: Sequence[Path]) -> None:
    """Print predicted and counted cycles of networks as a table of Markdown.

    Ends with code 3 where a prediction is off by more than 15 %, and 5 where a file was not
    counted.
    """
    table = CostTable.load("arm64")
    costs = count_files([ArmCell(file.stem, file, Delegate.XNNPACK) for file in files])
    rows = [_Row.of(file, cost, table) for file, cost in zip(files, costs, strict=True)]
    click.echo("| file | counted Mcyc | predicted Mcyc | error | ops without an entry |")
    click.echo("|---|---:|---:|---:|---|")
    for row in rows:
        click.echo(row.line)
    if any(row.error_percent is None for row in rows):
        context.exit(5)
    context.exit(3 if any(abs(row.error_percent or 0) > _MAX_ERROR_PERCENT for row in rows) else 0)


@dataclass(frozen=True)
class _Row:
    """A line of the table; without an error where the file was not counted."""

    line: str
    error_percent: float | None

    @staticmethod
    def of(file: Path, cost: ArmCost, table: CostTable) -> _Row:
        if cost.cycles is None:
            return _Row(f"| {file.stem} | {cost.unavailable} | | | |", None)
        prediction = predict(file.read_bytes(), table)
        error = 100 * (prediction.cycles / cost.cycles - 1)
        figures = f"{cost.cycles / 1e6:.2f} | {prediction.cycles / 1e6:.2f} | {error:+.1f} %"
        return _Row(f"| {file.stem} | {figures} | {', '.join(prediction.unknown)} |", error)


@main.command()
@click.option("--per-series", default=4, show_default=True, help="Sizes drawn of each series.")
def spots(per_series: int) -> None:
    """Count ops of sizes that are no entries, drawn at random, and print how far each kind is off.

    Only channels in multiples of 8 are drawn, which is what networks have.
    """
    table = CostTable.load("arm64")
    drawn = list(draw_ops(per_series))
    rows: dict[tuple[str, str], list[float]] = {}
    for (op, precision), counted in zip(drawn, count_ops(drawn), strict=True):
        predicted = table.call + parts_of(op.kind) * table.op_cost(op, precision)
        rows.setdefault((op.kind, precision), []).append(100 * (predicted / counted - 1))
    click.echo("| op | precision | sizes | mean error | largest |")
    click.echo("|---|---|---:|---:|---:|")
    for (kind, precision), errors in sorted(rows.items()):
        mean, worst = sum(map(abs, errors)) / len(errors), max(errors, key=abs)
        click.echo(f"| {kind} | {precision} | {len(errors)} | {mean:.1f} % | {worst:+.1f} % |")


def draw_ops(per_series: int) -> Iterator[tuple[CostedOp, str]]:
    """Draw sizes of every series between and beyond its entries, always the same ones."""
    rng = random.Random(0)
    for grid, precision in plan_series():
        kernels = sorted({op.kernel for op in grid.ops()})
        for _ in range(per_series):
            depth, side = rng.choice(_SPOT_CHANNELS), grid.stride * rng.choice(_SPOT_SIDES)
            block = grid.stride**2 if grid.kind == "DEPTH_TO_SPACE" else 1
            own_depth = rng.choice(_SPOT_CHANNELS) if "channels_in" in grid.entries else None
            op = CostedOp(
                kind=grid.kind,
                height=side,
                width=side,
                channels_in=own_depth or depth * block,
                channels_out=depth,
                kernel=rng.choice(kernels),
                stride=grid.stride,
            )
            yield op, precision


def plan_series() -> Iterator[tuple[Grid, str]]:
    """Yield every grid with each precision in which the op exists."""
    for grid in GRIDS:
        yield from ((grid, p) for p in (INT8, FLOAT32) if (grid.kind, p) not in _NO_OPS)


def count_ops(ops: Sequence[tuple[CostedOp, str]]) -> list[int]:
    """Count files of one op each, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        cells = []
        for number, (op, precision) in enumerate(ops):
            path = Path(folder) / f"{number}.tflite"
            path.write_bytes(one_op_file(op, precision))
            cells.append(ArmCell(f"{op} in {precision}", path, Delegate.XNNPACK))
        costs = count_files(cells, on_progress=_progress)
    for cost in costs:
        if cost.cycles is None:
            raise click.ClickException(f"{cost.variant}: {cost.unavailable}")
    return [round(cost.cycles) for cost in costs if cost.cycles is not None]


def _held(again: Sequence[str]) -> dict[_Key, Series]:
    """The committed series by what they hold, without those to be counted again."""
    kept = (one for one in CostTable.load("arm64").series if one.kind not in again)
    return {(s.kind, s.precision, s.stride, s.axes): s for s in kept}


def _key(grid: Grid, precision: str) -> _Key:
    return grid.kind, precision, grid.stride, grid.axes(precision)


def _require_same_machine(call: int, held: dict[_Key, Series]) -> None:
    """Refuse to put counts of two machines in one table."""
    table = CostTable.load("arm64")
    same = table.versions == status().details and isclose(table.call, call, rel_tol=_CALL_TOLERANCE)
    if held and not same:
        raise click.ClickException(
            f"the machine of the committed table is required: {table.versions}, {table.call} "
            f"cycles a call. Received: {status().details}, {call}. Leave --new out."
        )


def _alone(op: CostedOp, cycles: int) -> int:
    """What one op costs of what its file does, the call of the runtime left out."""
    return max(0, round(cycles / parts_of(op.kind)))


def _series(grid: Grid, precision: str, costs: Iterator[int]) -> Series:
    axes = grid.axes(precision)
    sizes = prod(len(axis.entries) for axis in axes)
    return Series(grid.kind, precision, grid.stride, axes, tuple(islice(costs, sizes)))


def _progress(done: int, total: int) -> None:
    if done % 100 == 0 or done == total:
        click.echo(f"{done} of {total}", err=True)


if __name__ == "__main__":
    main()
