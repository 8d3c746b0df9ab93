"""Read what `benchmark` and `convert` wrote, as far as comparing needs it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import SCHEMA, Json, Machine

RESULT_FILE = "benchmark.json"
REPORT_FILE = "report.json"


@dataclass(frozen=True)
class TimedCell:
    """A cell of a result file; `samples_ms` holds a series per process.

    Attributes:
        label: The latency as a person would name it, for messages.
        gap: Why there is nothing to compare, or "".
    """

    variant: str
    delegate: str
    threads: int
    device: str
    precision: str
    median_ms: float
    samples_ms: tuple[tuple[float, ...], ...]
    gap: str

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What a cell of the other file must share."""
        return self.variant, self.delegate, self.device, self.precision, self.threads


@dataclass(frozen=True)
class CountedCell:
    """A counted ARM cost."""

    variant: str
    delegate: str
    cpu: str
    cycles: float


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
            counted=tuple(_counted(data.get("arm_cost", []))),
            variants={name: _facts(v) for name, v in data.get("variants", {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
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
    samples = tuple(tuple(map(float, one)) for one in row.get("samples_ms") or () if one)
    return TimedCell(
        variant=row["variant"],
        delegate=row["delegate"],
        threads=int(row["threads"]),
        device=row["device"],
        precision=row["precision"],
        median_ms=float(latency["median"]) if latency else 0.0,
        samples_ms=samples,
        gap=_gap(row, samples),
    )


def _gap(row: Json, samples: tuple[tuple[float, ...], ...]) -> str:
    if row["unavailable"]:
        return str(row["unavailable"])
    if row["software"]:
        return "a software adapter proves function, never speed"
    return "" if samples else "the single timings are not in the file; measure again"


def _counted(rows: Iterable[Any]) -> Iterable[CountedCell]:
    for row in rows:
        if row["cycles"] is not None:
            yield CountedCell(row["variant"], row["delegate"], row["cpu"], float(row["cycles"]))


def _facts(variant: Json) -> VariantFacts:
    accuracy = variant["accuracy"]
    return VariantFacts(
        bytes=int(variant["bytes"]),
        drop_miou=float(accuracy["drop"]["miou"]) if accuracy else None,
        passed=bool(accuracy["passed"]) if accuracy else None,
    )
