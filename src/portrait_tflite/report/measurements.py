"""What was measured, for people on a terminal: tables, and below them every doubt and gap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from portrait_tflite.report.tables import new_table
from portrait_tflite.vocabulary import ArmCost, BenchmarkResult, Delegate, Machine

_NAMED_ROWS = 3
_SHOWN_OPS = 12
_ARM_CAPTION = (
    "Counted, not timed: a bound on the cycles of one inference, for comparing, without caches; "
    "no milliseconds"
)


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
    if any(row.latency_ms for row in timed):
        yield _latency_table(timed)
    yield from map(Text, (*_gpu_facts(timed), *_doubts(timed)))
    if per_op:
        yield from (_op_table(row) for row in timed if row.ops)
    if any(cost.cycles is not None for cost in counted):
        yield _arm_table(counted)
    if per_op:
        yield from (_arm_op_table(cost) for cost in counted if cost.ops)
    yield from map(Text, _gaps(timed, counted))


def _latency_table(rows: Sequence[BenchmarkResult]) -> Table:
    first = next(row for row in rows if row.latency_ms)
    threads = f"{first.threads} thread{'s' if first.threads > 1 else ''}"
    several = len({row.variant for row in rows}) > 1
    table = new_table(
        f"{first.runs} runs in {first.processes} processes, interleaved, {threads}; ms",
        "file", "delegate", "precision", "partitions",
        "median", "MAD", "p90", "min", "init", "first", "MiB", "of peak",
        *(["× first"] if several else []),
    )  # fmt: skip
    table.columns[0].no_wrap = True
    for row in rows:
        if row.latency_ms:
            table.add_row(
                row.variant,
                f"{row.delegate}, software" if row.software else str(row.delegate),
                row.precision,
                *_figures(row),
                *([_ratio(row, rows)] if several else []),
            )
    return table


def _figures(row: BenchmarkResult) -> list[str]:
    latency = row.latency_ms
    times = [latency.median, latency.mad, latency.p90, latency.min] if latency else []
    figures = [f"{ms:.3f}" for ms in times] + [
        "" if ms is None else f"{ms:.1f}" for ms in (row.init_ms, row.first_ms, row.peak_rss_mb)
    ]
    share = "" if row.peak_share is None else f"{row.peak_share:.0%}"
    # Partitions stand beside every latency: a number without them says little.
    return ["" if row.partitions is None else str(row.partitions), *figures, share]


def _ratio(row: BenchmarkResult, rows: Sequence[BenchmarkResult]) -> str:
    """How many times as fast as the first file on the same delegate; none for software GPUs."""
    same = [one for one in rows if one.delegate is row.delegate and one.variant == rows[0].variant]
    before = same[0].latency_ms if same and not same[0].software else None
    if before is None or row.latency_ms is None or row.software:
        return "–"
    return f"{before.median / row.latency_ms.median:.2f}"


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


def _op_table(row: BenchmarkResult) -> Table:
    table = new_table(
        f"{row.variant} on {row.delegate}: the dearest ops",
        "op", "layer", "ran in", "ms", "share",
    )  # fmt: skip
    dearest = sorted(row.ops, key=lambda op: -op.median_ms)
    for op in dearest[:_SHOWN_OPS]:
        table.add_row(op.op, op.layer, str(op.delegate), f"{op.median_ms:.3f}", f"{op.share:.1%}")
    rest = dearest[_SHOWN_OPS:]
    if rest:
        share = sum(op.share for op in rest)
        total = sum(op.median_ms for op in rest)
        table.add_row(f"{len(rest)} others", "", "", f"{total:.3f}", f"{share:.1%}")
    return table


def _arm_table(costs: Sequence[ArmCost]) -> Table:
    table = new_table(
        f"On {next(cost.cpu for cost in costs if cost.cpu)}, million per inference",
        "file", "delegate", "partitions", "cycles", "instructions", "vector", "dot", "load/store",
    )  # fmt: skip
    table.caption, table.caption_justify = _ARM_CAPTION, "left"
    for cost in costs:
        if cost.cycles is not None:
            counts = (cost.cycles, cost.instructions, cost.vector, cost.dot, cost.load_store)
            table.add_row(
                cost.variant,
                str(cost.delegate),
                "" if cost.partitions is None else str(cost.partitions),
                *("" if count is None else f"{count / 1e6:,.2f}" for count in counts),
            )
    return table


def _arm_op_table(cost: ArmCost) -> Table:
    table = new_table(
        f"{cost.variant} on {cost.delegate}, {cost.cpu}: the dearest ops; a bound",
        "op", "layer", "Mcycles", "share",
    )  # fmt: skip
    total = sum(op.cycles for op in cost.ops) or 1.0
    for op in sorted(cost.ops, key=lambda op: -op.cycles)[:_SHOWN_OPS]:
        table.add_row(op.op, op.layer, f"{op.cycles / 1e6:,.2f}", f"{op.cycles / total:.1%}")
    return table


def _gaps(timed: Sequence[BenchmarkResult], counted: Sequence[ArmCost]) -> Iterator[str]:
    for row in timed:
        if row.unavailable:
            yield f"not measured: {row.variant} on {row.delegate}: {row.unavailable}"
    for cost in counted:
        if cost.unavailable:
            yield f"not counted: {cost.variant} on {cost.delegate}: {cost.unavailable}"
