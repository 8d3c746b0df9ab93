"""What was measured, for people on a terminal: tables, and below them every doubt and gap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.text import Text

from portrait_tflite.report import formats
from portrait_tflite.report.latencies import ops_on_gpu
from portrait_tflite.report.profiles import profile_of
from portrait_tflite.report.tables import FittingTable, new_table
from portrait_tflite.vocabulary import ArmCost, BenchmarkResult, Delegate, Machine

_NAMED_ROWS = 3
_SPARE = ("precision", "p90", "min", "init", "first", "MiB", "of peak")
_SPARE_COUNTS = ("vector", "dot", "load/store")
_ARM_CAPTION = (
    "Counted, not timed: a bound on the cycles of one inference, for comparing, without caches; "
    "no milliseconds"
)
_NO_SPEED = "software adapter: no speed"
_RATIO = "× first's time"


def measured_parts(
    machine: Machine,
    timed: Sequence[BenchmarkResult],
    counted: Sequence[ArmCost],
    *,
    per_op: bool,
) -> Iterator[RenderableType]:
    """Lay out what was measured and counted.

    Args:
        per_op: Also list the dearest ops of each file, where they are known.
    """
    yield Text(f"{machine.cpu}, {machine.cores} cores, {' '.join(machine.isa) or 'isa unknown'}")
    yield from _latency_tables(timed)
    yield from map(Text, (*_gpu_facts(timed), *_doubts(timed)))
    if per_op:
        yield from (_op_table(row) for row in timed if row.ops)
    if any(cost.cycles is not None for cost in counted):
        yield _arm_table(counted)
    if per_op:
        yield from (_op_table(cost) for cost in counted if cost.ops)
    yield from map(Text, _gaps(timed, counted))


def _latency_tables(rows: Sequence[BenchmarkResult]) -> Iterator[RenderableType]:
    """One table of the CPU's rows, and one per adapter: a GPU is measured in another way."""
    on_gpu = [row for row in rows if row.latency_ms and row.delegate is Delegate.GPU]
    on_cpu = [row for row in rows if row.latency_ms and row.delegate is not Delegate.GPU]
    if on_cpu:
        cells = [_cpu_cells(row, rows) for row in on_cpu]
        yield FittingTable(_cpu_title(on_cpu[0]), cells, spare=_SPARE)
    for _, same in groupby(on_gpu, key=lambda row: (row.adapter, row.runs)):
        group = list(same)
        cells = [_gpu_cells(row, rows) for row in group]
        yield FittingTable(_gpu_title(group[0]), cells, spare=_SPARE)


def _cpu_title(row: BenchmarkResult) -> str:
    return f"{_taken(row)}, interleaved, {formats.count(row.threads, 'thread')}; ms"


def _gpu_title(row: BenchmarkResult) -> str:
    title = f"On the GPU, {row.adapter}: {_taken(row)}; ms"
    return f"{title} ({_NO_SPEED})" if row.software else title


def _taken(row: BenchmarkResult) -> str:
    processes = formats.count(row.processes, "process", "processes")
    return f"{formats.count(row.runs, 'run')} in {processes}"


def _cpu_cells(row: BenchmarkResult, rows: Sequence[BenchmarkResult]) -> dict[str, str]:
    return {
        "file": row.variant,
        "delegate": row.delegate,
        "precision": row.precision,
        # Partitions stand beside every latency: a number without them says little.
        "partitions": "" if row.partitions is None else str(row.partitions),
        **_times(row),
        "MiB": formats.fixed(row.peak_rss_mb, 1),
        "of peak": formats.percent(row.peak_share, 0),
        **_ratio(row, rows),
    }


def _gpu_cells(row: BenchmarkResult, rows: Sequence[BenchmarkResult]) -> dict[str, str]:
    return {
        "file": row.variant,
        "precision": row.precision,
        "on the GPU": ops_on_gpu(row),
        **_times(row),
        **({} if row.software else _ratio(row, rows)),
    }


def _times(row: BenchmarkResult) -> dict[str, str]:
    latency = row.latency_ms
    assert latency
    times = {"median": latency.median, "MAD": latency.mad, "p90": latency.p90, "min": latency.min}
    return {
        **{name: formats.fixed(ms, 3) for name, ms in times.items()},
        "init": formats.fixed(row.init_ms, 1),
        "first": formats.fixed(row.first_ms, 1),
    }


def _ratio(row: BenchmarkResult, rows: Sequence[BenchmarkResult]) -> dict[str, str]:
    """Hold a row's time against the first file's on the same delegate; none of a single file."""
    if len({one.variant for one in rows}) < 2:
        return {}
    same = [one for one in rows if (one.delegate, one.adapter) == (row.delegate, row.adapter)]
    first = next((one.latency_ms for one in same if one.variant == rows[0].variant), None)
    if first is None or row.latency_ms is None:
        return {_RATIO: formats.MISSING}
    return {_RATIO: formats.fixed(row.latency_ms.median / first.median)}


def _gpu_facts(rows: Sequence[BenchmarkResult]) -> Iterator[str]:
    for row in rows:
        if row.delegate is Delegate.GPU and row.against_cpu:
            computed = f", computed in {row.computed_in}" if row.computed_in else ""
            yield (
                f"{row.variant} on gpu: {row.adapter}{computed}; against the CPU's mask: largest "
                f"difference {row.against_cpu.max_abs:.4f}, IoU {row.against_cpu.iou:.4f}"
            )


def _doubts(rows: Sequence[BenchmarkResult]) -> Iterator[str]:
    """Group the warnings by text, with the rows that they are about."""
    found: dict[str, list[str]] = {}
    measured = [row for row in rows if row.latency_ms]
    for row in measured:
        unsettled = not row.stable and not row.software
        more = ("not stable: half of the runs differ by over 5 %",) if unsettled else ()
        for doubt in (*row.warnings, *more):
            found.setdefault(doubt, []).append(f"{row.variant} on {row.delegate}")
    for doubt, names in found.items():
        few = names if len(names) <= _NAMED_ROWS else [f"{len(names)} of {len(measured)} rows"]
        yield doubt if len(names) == len(measured) else f"{doubt} ({', '.join(few)})"


def _op_table(row: BenchmarkResult | ArmCost) -> RenderableType:
    profile = profile_of(row)
    ran_in = ["ran in"] if any(bar.delegate for bar in profile.bars) else []
    core = f", {row.cpu}" if isinstance(row, ArmCost) else ""
    table = new_table(
        f"{row.variant} on {row.delegate}{core}: the dearest ops",
        "op", "layer", *ran_in, profile.unit, "share", text=("layer",),
    )  # fmt: skip
    for bar in (*profile.bars, *([profile.others] if profile.rest else [])):
        delegate = [bar.delegate] if ran_in else []
        table.add_row(bar.op, Text(bar.layer), *delegate, bar.value, f"{bar.share:.1%}")
    return Group(table, Text(profile.remark, style="italic")) if profile.remark else table


def _arm_table(costs: Sequence[ArmCost]) -> RenderableType:
    counted = [cost for cost in costs if cost.cycles is not None]
    title = f"On {counted[0].cpu}, million per inference"
    cells = [_arm_cells(cost) for cost in counted]
    return FittingTable(title, cells, spare=_SPARE_COUNTS, caption=_ARM_CAPTION)


def _arm_cells(cost: ArmCost) -> dict[str, str]:
    counts = {
        "cycles": cost.cycles,
        "instructions": cost.instructions,
        "vector": cost.vector,
        "dot": cost.dot,
        "load/store": cost.load_store,
    }
    return {
        "file": cost.variant,
        "delegate": cost.delegate,
        "partitions": "" if cost.partitions is None else str(cost.partitions),
        **{what: "" if n is None else f"{n / 1e6:,.2f}" for what, n in counts.items()},
    }


def _gaps(timed: Sequence[BenchmarkResult], counted: Sequence[ArmCost]) -> Iterator[str]:
    for row in timed:
        if row.unavailable:
            yield f"not measured: {row.variant} on {row.delegate}: {row.unavailable}"
    for cost in counted:
        if cost.unavailable:
            yield f"not counted: {cost.variant} on {cost.delegate}: {cost.unavailable}"
