"""The pictures that int8 ranges are measured on, chosen, checked and written down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from portrait_tflite.errors import UsageError
from portrait_tflite.images import Floats, list_images, prepare, read_image, reading_folder
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.quantize.calibration_checks import check_inputs, check_skipped
from portrait_tflite.vocabulary import SCHEMA, CalibrationRecord, Json, ModelSpec

SYNTHETIC = "synthetic"
FEWEST = 8  # below, ranges of activations are chance
_HELD_OUT = 5  # one in so many

Representative = Callable[[], Iterator[list[Floats]]]
"""What `TFLiteConverter.representative_dataset` takes: an array `[1, h, w, c]` per input each."""

_Loaded = tuple[list["CalibrationEntry"], list[Floats], list[str]]


@dataclass(frozen=True)
class CalibrationEntry:
    """One picture; `sha256` is of its file, or `synthetic:<seed>` for a drawn one."""

    name: str
    sha256: str


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Pictures ready for the converter.

    Attributes:
        record: What the report says of them.
        entries: Where each comes from, in order.
        inputs: What the network is fed with, `[images, height, width, channels]`.
        states: What a second input is fed with beside them; None where there is none.
    """

    record: CalibrationRecord
    entries: tuple[CalibrationEntry, ...]
    inputs: Floats
    states: Floats | None = None

    @property
    def frames(self) -> tuple[Floats, ...]:
        """One array per input of the network."""
        return (self.inputs,) if self.states is None else (self.inputs, self.states)


def load_calibration(
    source: str | Path,
    spec: ModelSpec,
    count: int = 200,
    seed: int = 0,
    exclude: frozenset[Path] = frozenset(),
) -> CalibrationSet:
    """Prepare `count` pictures, or as many as there are.

    Args:
        source: `synthetic`, or a folder with pictures in `images/` or directly in it.
        seed: Same seed and files, same choice in the same order.
        exclude: Pictures that are kept for scoring.

    Raises:
        UsageError: The folder cannot be read or holds fewer than `FEWEST` usable pictures, or what
            came out of them is unfit to measure ranges on.
    """
    if count < FEWEST:
        raise UsageError(
            f"--calibration-count must be {FEWEST} or more; 200 is usual. Received: {count}."
        )
    if str(source) == SYNTHETIC:
        entries, inputs, skipped = _draw(spec, count, seed)
    else:
        entries, inputs, skipped = _read(Path(source), spec, count, seed, exclude)
    stacked = np.concatenate(inputs)
    colours = stacked[..., : spec.channels.depth]
    checks = (*check_inputs(colours, spec), check_skipped(skipped, len(entries)))
    for check in checks:
        if check.level == "fail" and not check.passed:
            raise UsageError(
                f"calibration pictures fit to measure ranges on are required. Received: {source}, "
                f"where {check.detail}."
            )
    digest = hashlib.sha256(stacked.tobytes()).hexdigest()
    record = CalibrationRecord(str(source), len(entries), digest, checks)
    return CalibrationSet(record, tuple(entries), stacked)


def calibration_images(folder: Path) -> list[Path]:
    """List the pictures of a calibration folder: of its `images/` where it has one.

    Raises:
        UsageError: It does not exist or cannot be read.
    """
    images = folder / "images"
    with reading_folder(folder):
        nested = images.is_dir()
    return list_images(images if nested else folder)


def hold_out(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Split pictures into those to calibrate on and a fifth to score on.

    The split is by what the files hold, not by their names, so that copies of a picture never lie
    on both sides, and adding pictures moves few of the others.

    Returns:
        Calibration and validation, each in the order given. Validation has at least one, and none
        that cannot be read: those are counted where calibration reads.
    """
    digests = {path: digest for path in paths if (digest := _try_sha256(path))}
    if not digests:
        return list(paths), []
    wanted = max(1, round(len(digests) / _HELD_OUT))
    last = sorted(digests.values())[wanted - 1]
    validation = [path for path, digest in digests.items() if digest <= last]
    held = set(validation)
    return [path for path in paths if path not in held], validation


def manifest(calibration: CalibrationSet) -> Json:
    """Return what `calibration.json` holds: enough to find the very same pictures again."""
    return {
        "schema": SCHEMA,
        **asdict(calibration.record),
        "entries": [asdict(entry) for entry in calibration.entries],
    }


def representative_dataset(calibration: CalibrationSet) -> Representative:
    """Return a function that yields every picture once."""

    def pictures() -> Iterator[list[Floats]]:
        for index in range(len(calibration.inputs)):
            yield [array[index : index + 1] for array in calibration.frames]

    return pictures


def _draw(spec: ModelSpec, count: int, seed: int) -> _Loaded:
    seeds = range(seed * count, seed * count + count)
    entries = [CalibrationEntry(f"portrait-{i}", f"{SYNTHETIC}:{i}") for i in seeds]
    inputs = [prepare(draw_portrait(i, spec.height, spec.width)[0], spec) for i in seeds]
    return entries, inputs, []


def _read(
    folder: Path, spec: ModelSpec, count: int, seed: int, exclude: frozenset[Path]
) -> _Loaded:
    """Read pictures in an order that only seed and names set, until there are enough."""
    paths = calibration_images(folder)
    skipped = _other_files(folder, paths)
    excluded = {path.resolve() for path in exclude}
    candidates = [path for path in paths if path.resolve() not in excluded]
    entries: list[CalibrationEntry] = []
    inputs: list[Floats] = []
    for path in sorted(candidates, key=lambda path: _rank(path.name, seed)):
        image = read_image(path)
        if image is None:
            skipped.append(path.name)
            continue
        entries.append(CalibrationEntry(path.name, _sha256(path)))
        inputs.append(prepare(image, spec))
        if len(entries) == count:
            break
    if len(entries) < FEWEST:
        kept = f", {len(paths) - len(candidates)} kept for scoring" if exclude else ""
        unusable = f", {len(skipped)} files that are none" if skipped else ""
        raise UsageError(
            f"a calibration folder with at least {FEWEST} pictures is required, 100 or more are "
            f"better. Received: {folder} with {len(entries)}{unusable}{kept}."
        )
    return entries, inputs, skipped


def _other_files(folder: Path, paths: list[Path]) -> list[str]:
    """Name what lies beside the pictures and is none; folders and hidden files do not count."""
    inside = paths[0].parent if paths else folder
    known = set(paths)
    with reading_folder(inside):
        return sorted(
            path.name
            for path in inside.iterdir()
            if path not in known and path.is_file() and not path.name.startswith(".")
        )


def _rank(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _try_sha256(path: Path) -> str:
    """Digest a file; "" where it cannot be read."""
    try:
        return _sha256(path)
    except OSError:
        return ""
