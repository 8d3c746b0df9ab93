"""Read what `benchmark` and `convert` wrote, as far as comparing needs it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import (
    REPORT_FILE,
    RESULT_FILE,
    SCHEMA,
    Delegate,
    Fault,
    Json,
    Machine,
)


@dataclass(frozen=True)
class TimedCell:
    """A cell of a result file; `samples_ms` holds a series per process.

    Attributes:
        median_ms: Of all single timings; 0 where it was not measured.
        gap: Why there is nothing to compare, or "".
        excused: Whether it was not measured for want of a GPU, which says nothing of the file.
    """

    variant: str
    delegate: str
    threads: int
    device: str
    precision: str
    median_ms: float
    samples_ms: tuple[tuple[float, ...], ...]
    gap: str
    excused: bool = False

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What a cell of the other file must share."""
        return self.variant, self.delegate, self.device, self.precision, self.threads


@dataclass(frozen=True)
class CountedCell:
    """A counted ARM cost.

    Attributes:
        cycles: None where it was not counted, for the reason that `gap` gives.
        excused: Whether that was for want of the emulated machine.
    """

    variant: str
    delegate: str
    cpu: str
    cycles: float | None
    gap: str = ""
    excused: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """What a cost of the other file must share."""
        return self.variant, self.delegate, self.cpu


@dataclass(frozen=True)
class VariantFacts:
    """What a report says of a file; accuracy is None where it was not measured."""

    bytes: int
    drop_miou: float | None
    passed: bool | None


@dataclass(frozen=True)
class ResultFile:
    """One side of a comparison; `variants` is empty for a benchmark alone."""

    path: Path
    machine: Machine
    versions: dict[str, str]
    timed: tuple[TimedCell, ...]
    counted: tuple[CountedCell, ...]
    variants: dict[str, VariantFacts]


def read_results(path: Path) -> ResultFile:
    """Read a `benchmark.json` or `report.json`, or the one in a folder.

    Raises:
        UsageError: There is none, or it is not of schema 1.
    """
    file = _find(path)
    data = _load(file)
    if data.get("schema") != SCHEMA or not isinstance(data.get("benchmarks"), list):
        raise UsageError(
            f"a {RESULT_FILE} or {REPORT_FILE} of schema {SCHEMA} is required. Received: {file}, "
            f"of schema {data.get('schema', 'unknown')}."
        )
    try:
        return ResultFile(
            path=file,
            machine=_machine(data["machine"]),
            versions=dict(data["versions"]),
            timed=tuple(_timed(row) for row in data["benchmarks"]),
            counted=tuple(map(_counted, data.get("arm_cost", []))),
            variants={name: _facts(v) for name, v in data.get("variants", {}).items()},
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UsageError(
            f"a {RESULT_FILE} or {REPORT_FILE} is required. Received: {file}, in which something "
            f"is missing or wrong: {error}."
        ) from error


def _find(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = [path / name for name in (REPORT_FILE, RESULT_FILE) if (path / name).is_file()]
    if not found:
        raise UsageError(
            f"a folder with {RESULT_FILE} or {REPORT_FILE} is required. Received: {path}."
        )
    return found[0]


def _load(file: Path) -> Json:
    try:
        data = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(
            f"a {RESULT_FILE} or {REPORT_FILE} is required. Received: {file} "
            f"({error.strerror or error})."
        ) from error
    except ValueError as error:
        raise UsageError(
            f"a {RESULT_FILE} or {REPORT_FILE} is required. Received: {file}, which is no JSON."
        ) from error
    return data if isinstance(data, dict) else {}


def _machine(data: Json) -> Machine:
    return Machine(data["cpu"], tuple(data["isa"]), int(data["cores"]), data["os"])


def _timed(row: Json) -> TimedCell:
    latency = row["latency_ms"]
    # Files of the first version hold no samples.
    samples = tuple(tuple(map(_positive, one)) for one in row.get("samples_ms") or () if one)
    return TimedCell(
        variant=row["variant"],
        delegate=row["delegate"],
        threads=int(row["threads"]),
        device=row["device"],
        precision=row["precision"],
        median_ms=_positive(latency["median"]) if latency else 0.0,
        samples_ms=samples,
        gap=_gap(row, samples),
        excused=_lacks_gpu(row),
    )


def _positive(value: Any) -> float:
    """Read a figure that cannot be zero, negative, infinite or no number."""
    number = float(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{number:g} where a positive number is required")
    return number


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number:g} where a number is required")
    return number


def _lacks_gpu(row: Json) -> bool:
    if row["delegate"] != Delegate.GPU or not row["unavailable"]:
        return False
    # Files of the first version do not say whose fault it was; an adapter is named once found.
    return bool(row.get("fault", "" if row.get("adapter") else Fault.MACHINE) == Fault.MACHINE)


def _gap(row: Json, samples: tuple[tuple[float, ...], ...]) -> str:
    if row["unavailable"]:
        return str(row["unavailable"])
    if row["software"]:
        return "a software adapter proves function, never speed"
    return "" if samples else "the single timings are not in the file; measure again"


def _counted(row: Json) -> CountedCell:
    return CountedCell(
        variant=row["variant"],
        delegate=row["delegate"],
        cpu=row["cpu"],
        cycles=None if row["cycles"] is None else _positive(row["cycles"]),
        gap=str(row.get("unavailable", "")),
        excused=row.get("fault") == Fault.MACHINE,
    )


def _facts(variant: Json) -> VariantFacts:
    accuracy = variant["accuracy"]
    return VariantFacts(
        bytes=int(_positive(variant["bytes"])),
        drop_miou=_finite(accuracy["drop"]["miou"]) if accuracy else None,
        passed=bool(accuracy["passed"]) if accuracy else None,
    )
