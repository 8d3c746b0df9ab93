"""A calibration set: pictures as the network gets them, with what is wrong with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from portrait_tflite.convert.network_inputs import Fed, draw_others, stack_rows
from portrait_tflite.errors import UsageError
from portrait_tflite.images import Floats, reading_folder
from portrait_tflite.progress import Progress, unwatched
from portrait_tflite.quantize.calibration.choosing import in_order
from portrait_tflite.quantize.calibration.picture import Picture
from portrait_tflite.quantize.calibration.sources import Source, open_source
from portrait_tflite.quantize.checks.other_checks import check_others
from portrait_tflite.quantize.checks.picture_checks import check_inputs, check_skipped, some
from portrait_tflite.vocabulary import CalibrationRecord, Check, ModelSpec

FEWEST = 8  # below, ranges of activations are chance

Representative = Callable[[], Iterator[list[Floats]]]
"""What `TFLiteConverter.representative_dataset` takes: an array `[1, h, w, c]` per input each."""

OnPicture = Callable[[int], None]
"""Called with how many pictures are done."""


@dataclass(frozen=True)
class CalibrationEntry:
    """One picture; `sha256` is of its file or array, or `synthetic:<seed>` for a drawn one."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Origin:
    """Where a set comes from, to be made again: what was asked for, and where it lies."""

    source: str
    path: str = ""
    count: int = 0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Pictures ready for the converter.

    Attributes:
        record: What the report says of them.
        entries: Where each comes from, in order.
        inputs: What the network is fed with, `[images, height, width, channels]`.
        others: What it takes besides, by the names of the inputs, `[images, …]` each.
        frames: One array per input of the network, in their order, once it was asked for that.
        origin: What the manifest says of them besides.
        held_out: Pictures of the same source that are scored on.
    """

    record: CalibrationRecord
    entries: tuple[CalibrationEntry, ...]
    inputs: Floats
    others: Mapping[str, Floats] = field(default_factory=dict)
    frames: tuple[Floats, ...] = ()
    origin: Origin = field(default_factory=lambda: Origin(""))
    held_out: tuple[CalibrationEntry, ...] = ()

    @property
    def fed(self) -> Fed:
        """The pictures with what else the network takes."""
        return Fed(self.inputs, self.others)

    def checked(self, *checks: Check) -> CalibrationSet:
        """Return the set with more checks on record."""
        return replace(self, record=replace(self.record, checks=(*self.record.checks, *checks)))


def load_calibration(
    source: str | Path | Source,
    spec: ModelSpec,
    count: int = 200,
    seed: int = 0,
    exclude: frozenset[Path] = frozenset(),
    progress: Progress = unwatched,
) -> CalibrationSet:
    """Prepare `count` pictures, or as many as there are.

    Args:
        source: See `open_source`; or what that returns.
        seed: Same seed and files, same choice in the same order.
        exclude: Pictures that are kept for scoring.
        progress: Shows how far choosing and reading are.

    Raises:
        UsageError: The source cannot be read or holds fewer than `FEWEST` usable pictures, or what
            came out of them is unfit to measure ranges on.
    """
    if count < FEWEST:
        raise UsageError(
            f"--calibration-count must be {FEWEST} or more; 200 is usual. Received: {count}."
        )
    opened = source if isinstance(source, Source) else open_source(source, spec, count, seed)
    entries, inputs, rows, skipped = _read(opened, spec, (count, seed), exclude, progress)
    stacked = np.concatenate(inputs)
    others = stack_rows(rows) or draw_others(spec, len(entries), seed)
    digest = _digest(stacked, others)
    colours = stacked[..., : spec.channels.depth]
    checks = [*check_inputs(colours, spec), check_skipped(skipped, len(entries))]
    if others:
        checks.append(check_others(others, drawn=not any(rows)))
    if opened.manifest:
        checks.append(opened.manifest.check(digest))
    _require_fit(checks, opened.text)
    record = CalibrationRecord(opened.text, len(entries), digest, tuple(checks))
    origin = _origin(opened, count, seed)
    return CalibrationSet(record, tuple(entries), stacked, others, (stacked,), origin)


def _digest(pictures: Floats, others: Mapping[str, Floats]) -> str:
    whole = hashlib.sha256(pictures.tobytes())
    for name in sorted(others):
        whole.update(others[name].tobytes())
    return whole.hexdigest()


def representative_dataset(
    calibration: CalibrationSet, on_picture: OnPicture | None = None
) -> Representative:
    """Return a function that yields every picture once.

    Args:
        on_picture: Called with how many were asked for.
    """

    def pictures() -> Iterator[list[Floats]]:
        for index in range(len(calibration.inputs)):
            yield [array[index : index + 1] for array in calibration.frames]
            if on_picture:
                on_picture(index + 1)

    return pictures


def _require_fit(checks: list[Check], source: str) -> None:
    for check in checks:
        if check.level == "fail" and not check.passed:
            raise UsageError(
                f"calibration pictures fit to measure ranges on are required. Received: {source}, "
                f"which fails {check.name!r}: {check.detail}."
            )


def _origin(source: Source, count: int, seed: int) -> Origin:
    """Say what the set can be made from again; a manifest is made from what it was made from."""
    if source.manifest:
        written = source.manifest
        path = str(source.path.resolve()) if source.path else ""
        return Origin(written.source, path, written.count, written.seed)
    return Origin(source.text, str(source.path.resolve()) if source.path else "", count, seed)


def _read(
    source: Source,
    spec: ModelSpec,
    wanted: tuple[int, int],
    exclude: frozenset[Path],
    progress: Progress,
) -> tuple[list[CalibrationEntry], list[Floats], list[Mapping[str, Floats]], list[str]]:
    """Read pictures until there are enough.

    Args:
        wanted: Count and seed.

    Returns:
        Where they are from, what they are, what the network takes besides, and what is none.
    """
    skipped = list(source.skipped)
    candidates = _without(source.pictures, exclude)
    count = len(source.manifest.entries) if source.manifest else wanted[0]
    entries: list[CalibrationEntry] = []
    inputs: list[Floats] = []
    rows: list[Mapping[str, Floats]] = []
    pictures = in_order(source, candidates, *wanted, progress)
    with progress(min(count, len(pictures)), "reading pictures") as update:
        for picture in pictures:
            prepared = picture.prepared(spec)
            if prepared is None:
                skipped.append(picture.name)
                continue
            entries.append(CalibrationEntry(picture.name, picture.digest()))
            inputs.append(prepared)
            rows.append(picture.others)
            update(len(inputs))
            if len(entries) == count:
                break
    if len(entries) < FEWEST:
        raise _too_few(source, len(entries), skipped, len(source.pictures) - len(candidates))
    return entries, inputs, rows, skipped


def _without(pictures: tuple[Picture, ...], exclude: frozenset[Path]) -> list[Picture]:
    excluded = {path.resolve() for path in exclude}
    return [picture for picture in pictures if picture.place.resolve() not in excluded]


def _too_few(source: Source, found: int, skipped: Sequence[str], held: int) -> UsageError:
    none = "frames that cannot be decoded" if source.ordered else "files that are none"
    unusable = f", {len(skipped)} {none} ({some(skipped)})" if skipped else ""
    kept = f", {held} kept for scoring" if held else ""
    is_folder = source.path is None or source.path.is_dir()
    within = _folders_within(source) if is_folder else ""
    return UsageError(
        f"a calibration {'folder' if is_folder else 'file'} with at least {FEWEST} pictures is "
        f"required, 100 or more are better. Received: {source.text} with "
        f"{found}{unusable}{kept}{within}."
    )


def _folders_within(source: Source) -> str:
    """Say that pictures may lie deeper, where there are none; or ""."""
    if source.path is None or source.pictures:
        return ""
    with reading_folder(source.path):
        folders = [path.name for path in source.path.iterdir() if path.is_dir()]
    return f", and folders in it that are not looked into ({some(folders)})" if folders else ""
