"""What a phone measured, for people on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from portrait_tflite.report import formats
from portrait_tflite.report.tables import FittingTable
from portrait_tflite.vocabulary import BenchmarkResult, Delegate, DeviceResult, LatencyMs, SelfTest

_SPARE = ("p90", "min", "init", "first", "MB")
_STAGES = ("camera", "preprocess", "inference", "effect")


def phone_parts(result: DeviceResult) -> Iterator[RenderableType]:
    """Lay out what a phone measured: self-test, latencies, stages of a frame, doubts and gaps."""
    yield Text(describe_phone(result))
    yield from (Text(f"self-test, {line}") for line in self_test_lines(result.self_test))
    measured = [row for row in result.benchmarks if row.latency_ms]
    if measured:
        started = formats.count(measured[0].processes, "process", "processes")
        title = f"Latency on the phone, in {started}; ms"
        yield FittingTable(title, [_cells(row) for row in measured], spare=_SPARE)
    staged = [row for row in measured if row.frame_ms]
    if staged:
        title = "Stages of a frame at the camera's resolution; median / p90 in ms"
        yield FittingTable(title, [_stage_cells(row) for row in staged], spare=())
    yield from map(Text, phone_notes(result.benchmarks))


def describe_phone(result: DeviceResult) -> str:
    """Describe the phone and the app in one line."""
    phone = result.device
    return (
        f"{phone.name}, {phone.soc}, Android {phone.android}, {phone.abi}, "
        f"{formats.count(phone.cores, 'core')}; app {result.app.version}, TensorFlow Lite "
        f"{result.app.runtime}; {result.model.name}"
    )


def self_test_lines(rows: Sequence[SelfTest]) -> Iterator[str]:
    """Say per variant and delegate how the golden masks came out."""
    for key in dict.fromkeys((row.variant, row.delegate) for row in rows):
        same = [row for row in rows if (row.variant, row.delegate) == key]
        yield f"{key[0]} on {key[1]}: {_verdict(same)}"


def _verdict(rows: Sequence[SelfTest]) -> str:
    said = next((row.error or row.unavailable for row in rows if row.error or row.unavailable), "")
    if said:
        return f"FAILED: {said}" if any(row.error for row in rows) else f"not run: {said}"
    failed = [row for row in rows if row.passed is False]
    promised = "nothing is promised" if all(row.passed is None for row in rows) else "passed"
    verdict = f"FAILED on {len(failed)} of {len(rows)}" if failed else promised
    ious = [row.iou for row in rows if row.iou is not None]
    steps = [row.max_step for row in rows if row.max_step is not None]
    least = f", least IoU {formats.fixed(min(ious), 4)}" if ious else ""
    return f"{verdict}{least}" + (f", largest step {max(steps):g}" if steps else "")


def _cells(row: BenchmarkResult) -> dict[str, str]:
    latency = row.latency_ms
    assert latency
    times = {"median": latency.median, "MAD": latency.mad, "p90": latency.p90, "min": latency.min}
    return {
        "variant": row.variant,
        "delegate": row.delegate,
        "threads": threads_of(row),
        "partitions": formats.MISSING if row.partitions is None else str(row.partitions),
        **{name: formats.fixed(ms) for name, ms in times.items()},
        "init": formats.fixed(row.init_ms, 1),
        "first": formats.fixed(row.first_ms, 1),
        "MB": formats.fixed(row.peak_rss_mb, 0),
        "thermal": _thermal(row),
        "battery °C": _battery(row),
    }


def threads_of(row: BenchmarkResult) -> str:
    """Write the threads of a cell; a GPU has none."""
    return "" if row.delegate is Delegate.GPU else str(row.threads)


def _thermal(row: BenchmarkResult) -> str:
    return _around(row.thermal.before, row.thermal.after) if row.thermal else formats.MISSING


def _battery(row: BenchmarkResult) -> str:
    if row.battery_c is None:
        return formats.MISSING
    ends = (row.battery_c.before, row.battery_c.after)
    return _around(*(formats.fixed(value, 1) for value in ends))


def _around(before: str | None, after: str | None) -> str:
    """Write a reading before and after: one where it is the same."""
    if before == after:
        return before or formats.MISSING
    return f"{before or formats.MISSING} → {after or formats.MISSING}"


def _stage_cells(row: BenchmarkResult) -> dict[str, str]:
    cells = {"variant": row.variant, "delegate": row.delegate, "threads": threads_of(row)}
    return cells | {name: stage_time(getattr(row.frame_ms, name)) for name in _STAGES}


def stage_time(latency: LatencyMs | None) -> str:
    """Write a stage as median and p90."""
    if latency is None:
        return formats.MISSING
    return f"{formats.fixed(latency.median, 1)} / {formats.fixed(latency.p90, 1)}"


def phone_notes(rows: Sequence[BenchmarkResult]) -> Iterator[str]:
    """List doubts with the cells that they are about, then what was not measured and why."""
    doubts: dict[str, list[str]] = {}
    for row in rows:
        # A software GPU's time is no speed: whether it is steady says nothing.
        steady = row.stable or row.software
        unsettled = () if steady else ("half of the runs differ by over 5 %",)
        for doubt in (*row.warnings, *unsettled) if row.latency_ms else ():
            doubts.setdefault(doubt, []).append(_name(row))
    for doubt, names in doubts.items():
        yield f"{doubt} ({', '.join(names)})"
    for row in rows:
        if row.unavailable:
            yield f"not measured: {_name(row)}: {row.unavailable}"


def _name(row: BenchmarkResult) -> str:
    threads = "" if row.delegate is Delegate.GPU else f" × {row.threads}"
    return f"{row.variant} on {row.delegate}{threads}"
