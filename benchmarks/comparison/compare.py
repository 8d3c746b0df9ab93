"""Compare two result files: what changed by more than chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from portrait_tflite.benchmarks.comparison.resampling import Ratio, ratio_of_medians
from portrait_tflite.benchmarks.comparison.result_file import CountedCell, ResultFile, TimedCell
from portrait_tflite.errors import UsageError

# Counting is deterministic; what differs by more than this is another program.
_COUNTED_ALIKE = 1e-4
_DROP_POINTS = 0.01  # what a report prints of an accuracy
_ONE_PROCESS = "one process says nothing of the spread between them; use more --processes"


@dataclass(frozen=True)
class SpeedChange:
    """One cell before and after; `note` says why it could not be judged."""

    variant: str
    delegate: str
    device: str
    precision: str
    threads: int
    old_ms: float
    new_ms: float
    ratio: float | None
    low: float | None
    high: float | None
    significant: bool
    regression: bool
    note: str = ""


@dataclass(frozen=True)
class ValueChange:
    """A figure without chance before and after: `arm_cycles`, `bytes`, `drop_miou`, `passed`."""

    variant: str
    what: str
    delegate: str
    old: float
    new: float
    regression: bool = False


@dataclass(frozen=True)
class Comparison:
    """All that two files share, and what only one has.

    Attributes:
        speed: Every cell of both files, significant or not.
        values: What differs of the figures without chance.
        unlike: What of the machines or the settings differs, in words; only with `force`.
    """

    speed: tuple[SpeedChange, ...]
    values: tuple[ValueChange, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    unlike: tuple[str, ...]

    @property
    def regressions(self) -> tuple[SpeedChange | ValueChange, ...]:
        """What became slower by more than is allowed."""
        changes: tuple[SpeedChange | ValueChange, ...] = (*self.speed, *self.values)
        return tuple(change for change in changes if change.regression)


def compare_results(
    old: ResultFile, new: ResultFile, max_slowdown: float = 10.0, *, force: bool = False
) -> Comparison:
    """Compare the cells that both files have.

    Args:
        max_slowdown: Percent by which a cell may become slower.
        force: Also compare what was measured on unlike machines or with other threads.

    Raises:
        UsageError: The files have no cell in common, or are not comparable without `force`.
    """
    pairs, only_old, only_new = _pair(old.timed, new.timed, force=force)
    unlike = tuple(_unlike(old, new, pairs))
    if unlike and not force:
        raise UsageError(
            f"results of one machine and setting are required. Received: {'; '.join(unlike)}. "
            "Measure both on one machine, or add --force."
        )
    limit = 1 + max_slowdown / 100
    speed = tuple(_speed_change(before, after, limit) for before, after in pairs)
    values = tuple(_value_changes(old, new, limit))
    if not speed and not _shared_values(old, new):
        raise UsageError(
            "results with a variant and delegate in common are required. Received: "
            f"{_names(old.timed)} and {_names(new.timed)}. Cells are matched by the file's name: "
            "measure both files under the same name."
        )
    return Comparison(speed, values, only_old, only_new, unlike)


def _pair(
    old: Sequence[TimedCell], new: Sequence[TimedCell], *, force: bool
) -> tuple[list[tuple[TimedCell, TimedCell]], tuple[str, ...], tuple[str, ...]]:
    """Match cells by all of their key; with `force` then also those of other threads."""
    pairs: list[tuple[TimedCell, TimedCell]] = []
    lone_old, lone_new = list(old), list(new)
    keys: list[Callable[[TimedCell], object]] = [lambda cell: cell.key]
    if force:
        keys.append(lambda cell: cell.key[:-1])
    for key in keys:
        after = {key(cell): cell for cell in lone_new}
        found = [(cell, after[key(cell)]) for cell in lone_old if key(cell) in after]
        pairs += found
        lone_old = [cell for cell in lone_old if cell not in [pair[0] for pair in found]]
        lone_new = [cell for cell in lone_new if cell not in [pair[1] for pair in found]]
    return pairs, tuple(map(_name, lone_old)), tuple(map(_name, lone_new))


def _unlike(
    old: ResultFile, new: ResultFile, pairs: Sequence[tuple[TimedCell, TimedCell]]
) -> Iterator[str]:
    before, after = old.machine, new.machine
    threads = [{cell.threads for cell in file.timed} for file in (old, new)]
    shared = bool(pairs) and all(a.threads == b.threads for a, b in pairs)
    if all(threads) and threads[0] != threads[1] and not shared:
        yield " and ".join(f"{'/'.join(map(str, sorted(one)))} threads" for one in threads)
    if not pairs:  # counted figures do not depend on the machine
        return
    if set(before.isa) != set(after.isa):
        yield f"instruction sets {' '.join(before.isa) or '?'} and {' '.join(after.isa) or '?'}"
    if before.cpu != after.cpu:
        yield f"CPUs {before.cpu!r} and {after.cpu!r}"
    if before.cores != after.cores:
        yield f"{before.cores} and {after.cores} cores"


def _speed_change(old: TimedCell, new: TimedCell, limit: float) -> SpeedChange:
    gap = "; ".join(
        f"{side}: {cell.gap}" for side, cell in (("old", old), ("new", new)) if cell.gap
    )
    ratio = None if gap else ratio_of_medians(old.samples_ms, new.samples_ms)
    significant = ratio is not None and ratio.significant
    return SpeedChange(
        variant=new.variant,
        delegate=new.delegate,
        device=new.device,
        precision=new.precision,
        threads=new.threads,
        old_ms=old.median_ms,
        new_ms=new.median_ms,
        ratio=ratio.value if ratio else None,
        low=ratio.low if ratio else None,
        high=ratio.high if ratio else None,
        significant=significant,
        regression=ratio is not None and significant and ratio.value > limit,
        note=gap or _unknown_spread(ratio),
    )


def _unknown_spread(ratio: Ratio | None) -> str:
    return _ONE_PROCESS if ratio is not None and ratio.low is None else ""


def _value_changes(old: ResultFile, new: ResultFile, limit: float) -> Iterator[ValueChange]:
    before, after = _cycles(old), _cycles(new)
    for key in before.keys() & after.keys():
        variant, delegate, _ = key
        ratio = after[key] / before[key] if before[key] else 1.0
        if abs(ratio - 1) > _COUNTED_ALIKE:
            figures = before[key], after[key]
            yield ValueChange(variant, "arm_cycles", delegate, *figures, regression=ratio > limit)
    for variant in (name for name in old.variants if name in new.variants):
        yield from _fact_changes(variant, old, new)


def _fact_changes(variant: str, old: ResultFile, new: ResultFile) -> Iterator[ValueChange]:
    before, after = old.variants[variant], new.variants[variant]
    facts = (
        ("bytes", before.bytes, after.bytes, 1.0),
        ("drop_miou", before.drop_miou, after.drop_miou, _DROP_POINTS),
        ("passed", before.passed, after.passed, 1.0),
    )
    for what, was, now, least in facts:
        if was is not None and now is not None and abs(now - was) >= least:
            yield ValueChange(variant, what, "", was, now)


def _shared_values(old: ResultFile, new: ResultFile) -> bool:
    return bool(_cycles(old).keys() & _cycles(new).keys() or old.variants.keys() & new.variants)


def _cycles(file: ResultFile) -> Mapping[tuple[str, str, str], float]:
    return {_counted_key(cell): cell.cycles for cell in file.counted}


def _counted_key(cell: CountedCell) -> tuple[str, str, str]:
    return cell.variant, cell.delegate, cell.cpu


def _name(cell: TimedCell) -> str:
    threads = f", {cell.threads} threads" if cell.threads > 1 else ""
    return f"{cell.variant} on {cell.delegate}{threads}"


def _names(cells: Sequence[TimedCell]) -> str:
    return ", ".join(_name(cell) for cell in cells[:3]) or "none"
