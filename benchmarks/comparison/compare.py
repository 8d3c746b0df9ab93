"""Compare two result files: what changed by more than chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from portrait_tflite.benchmarks.comparison.resampling import Ratio, level_ms, ratio_of_medians
from portrait_tflite.benchmarks.comparison.result_file import CountedCell, ResultFile, TimedCell
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import ARM_MODEL

# Counting is deterministic; what differs by more than this is another program.
_COUNTED_ALIKE = 1e-4
_DROP_POINTS = 0.01  # what a report prints of an accuracy
_ONE_PROCESS = "one process says nothing of the spread between them"


@dataclass(frozen=True)
class SpeedChange:
    """One cell before and after.

    Attributes:
        old_ms: Mean over processes of their medians, which the ratio is made of; where there is no
            ratio, the median of the file, or 0.
        lost: Whether it was measured before and is not now, by no lack of this machine.
        note: Why it could not be judged.
    """

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
    lost: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        """What it is of, for messages."""
        return f"{self.variant} on {self.delegate}"


@dataclass(frozen=True)
class ValueChange:
    """A figure without chance before and after: `arm_cycles`, `bytes`, `drop_miou`, `passed`.

    Attributes:
        new: None where it is not known any more, for the reason that `note` gives.
        lost: As of `SpeedChange`.
    """

    variant: str
    what: str
    delegate: str
    old: float
    new: float | None
    regression: bool = False
    lost: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        """What it is of, for messages."""
        return _cost_name(self.variant, self.delegate) if self.delegate else self.variant


Change = SpeedChange | ValueChange


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
    def changes(self) -> tuple[Change, ...]:
        """All cells and figures."""
        return (*self.speed, *self.values)

    @property
    def slower(self) -> tuple[SpeedChange, ...]:
        """What became slower by more than is allowed."""
        return tuple(one for one in self.speed if one.regression and not one.lost)

    @property
    def dearer(self) -> tuple[ValueChange, ...]:
        """What of the ARM costs, which are bounds, rose by more than is allowed."""
        return tuple(one for one in self.values if one.regression and not one.lost)

    @property
    def lost(self) -> tuple[Change, ...]:
        """What was measured before and is not now."""
        return tuple(one for one in self.changes if one.lost)

    @property
    def regressions(self) -> tuple[Change, ...]:
        """All of these three."""
        return (*self.slower, *self.dearer, *self.lost)


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
    only_old += tuple(_names_of_costs(old, new))
    only_new += tuple(_names_of_costs(new, old))
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
    lost = bool(old.median_ms and not new.median_ms) and not new.excused
    significant = ratio is not None and ratio.significant
    return SpeedChange(
        variant=new.variant,
        delegate=new.delegate,
        device=new.device,
        precision=new.precision,
        threads=new.threads,
        old_ms=level_ms(old.samples_ms) if ratio else old.median_ms,
        new_ms=level_ms(new.samples_ms) if ratio else new.median_ms,
        ratio=ratio.value if ratio else None,
        low=ratio.low if ratio else None,
        high=ratio.high if ratio else None,
        significant=significant,
        regression=lost or (ratio is not None and significant and ratio.value > limit),
        lost=lost,
        note=gap or _unknown_spread(ratio),
    )


def _unknown_spread(ratio: Ratio | None) -> str:
    return _ONE_PROCESS if ratio is not None and ratio.low is None else ""


def _value_changes(old: ResultFile, new: ResultFile, limit: float) -> Iterator[ValueChange]:
    after = {cell.key: cell for cell in new.counted}
    for cell in old.counted:
        if cell.cycles is not None and cell.key in after:
            yield from _cost_changes(cell, cell.cycles, after[cell.key], limit)
    for variant in (name for name in old.variants if name in new.variants):
        yield from _fact_changes(variant, old, new)


def _cost_changes(
    cell: CountedCell, cycles: float, now: CountedCell, limit: float
) -> Iterator[ValueChange]:
    change = ValueChange(cell.variant, "arm_cycles", cell.delegate, cycles, now.cycles)
    if now.cycles is None:
        lost = not now.excused
        yield replace(change, regression=lost, lost=lost, note=f"new: {now.gap}")
    elif abs(now.cycles / cycles - 1) > _COUNTED_ALIKE:
        yield replace(change, regression=now.cycles / cycles > limit)


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
    after = {cell.key for cell in new.counted}
    costs = any(cell.key in after for cell in old.counted if cell.cycles is not None)
    return bool(costs or old.variants.keys() & new.variants)


def _names_of_costs(one: ResultFile, other: ResultFile) -> Iterator[str]:
    """Name the costs that were counted in `one` and are not in `other`, not even as a gap."""
    there = {cell.key for cell in other.counted}
    for cell in one.counted:
        if cell.cycles is not None and cell.key not in there:
            yield _cost_name(cell.variant, cell.delegate)


def _cost_name(variant: str, delegate: str) -> str:
    return f"{variant} on {ARM_MODEL}, {delegate}"


def _name(cell: TimedCell) -> str:
    threads = f", {cell.threads} threads" if cell.threads > 1 else ""
    return f"{cell.variant} on {cell.delegate}{threads}"


def _names(cells: Sequence[TimedCell]) -> str:
    return ", ".join(_name(cell) for cell in cells[:3]) or "none"
