"""The files of an output folder: variants, `report.json`, `model.json`, plans and manifests."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from portrait_tflite.vocabulary import SCHEMA, Delegate, Json, Precision, Report, Variant

REPORT, MODEL, REWRITES, CALIBRATION = (
    "report.json",
    "model.json",
    "rewrites.json",
    "calibration.json",
)
_JSON_FILES = frozenset({REPORT, MODEL, REWRITES, CALIBRATION, "report.html"})
_PERSON = "person"


def is_output(file: str, name: str) -> bool:
    """Whether a run that converts the model `name` may have written `file`."""
    variant = rf"{re.escape(name)}-[a-z0-9_]+(\.failed)?\.tflite"
    return file in _JSON_FILES or re.fullmatch(variant, file) is not None


def write_outputs(
    folder: Path,
    report: Report,
    files: Mapping[str, bytes],
    plans: Mapping[Delegate, list[dict[str, str]]],
    calibration: Json | None,
) -> None:
    """Write everything to an empty folder.

    Args:
        files: Content by variant; their names are in the report.
        plans: The rewrites taken per delegate.
        calibration: The manifest of the calibration set, or None where none was used.
    """
    for name, data in files.items():
        (folder / report.variants[name].file).write_bytes(data)
    _write(folder / MODEL, model_json(report))
    _write(folder / REWRITES, {"schema": SCHEMA, "plans": dict(plans)})
    if calibration is not None:
        _write(folder / CALIBRATION, calibration)
    _write(folder / REPORT, report_json(report))


def report_json(report: Report) -> Json:
    """Return what `report.json` holds."""
    data: Json = _plain(asdict(report))
    for variant in data["variants"].values():
        _shape_audit(variant)
    rewrites, skipped, error = data["rewrites"], data.pop("skipped"), data.pop("rewritten")
    # Beside the list of rewrites stand the ones that were skipped and the whole net's error.
    ordered: Json = {}
    for key, value in data.items():
        ordered[key] = value
        if key == "rewrites":
            ordered |= {"rewrites": rewrites, "skipped": skipped, "rewritten": error}
    return {"schema": ordered.pop("schema"), **ordered}


def _shape_audit(variant: Json) -> None:
    """Bring a variant's audit to the report's form: what is not of a delegate stands above it."""
    audit = variant["audit"]
    variant["min_runtime_op"] = audit["min_runtime_op"]
    gpu = {"complete": audit["gpu"]["complete"], "rejected": audit["gpu"]["outside"]}
    variant["audit"] = {"xnnpack": audit["xnnpack"], "gpu": gpu, "cpu": audit["cpu"]}


def model_json(report: Report) -> Json:
    """Return what `model.json` holds: all that an app needs to run the files."""
    variants = {name: v for name, v in report.variants.items() if name in list(Precision)}
    return {
        "schema": SCHEMA,
        "name": report.model.name,
        "licence": report.model.licence,
        "variants": {name: _variant_json(name, variant) for name, variant in variants.items()},
        "spec": _plain(asdict(report.model.spec)),
        "labels": [_PERSON],
        "person_channel": report.model.spec.output.channel,
        "golden": [],
    }


def _variant_json(name: str, variant: Variant) -> Json:
    delegate = Delegate.GPU if name == Precision.FLOAT16 else Delegate.XNNPACK
    data: Json = {
        "file": variant.file,
        "bytes": variant.bytes,
        "sha256": variant.sha256,
        "input": asdict(variant.input),
        "output": asdict(variant.output),
        "delegate": delegate if name != Precision.INT16X8 else Delegate.CPU,
    }
    return data


def _write(path: Path, data: Json) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def _plain(item: Any) -> Any:
    """Replace what JSON cannot hold: infinities become null."""
    if isinstance(item, dict):
        return {key: _plain(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(value) for value in item]
    if isinstance(item, float) and not math.isfinite(item):
        return None
    return item
