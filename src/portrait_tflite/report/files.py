"""The files of an output folder: variants, reports, `model.json`, plans and manifests."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from portrait_tflite.report.audit_shape import shape_audit
from portrait_tflite.report.html import render_html
from portrait_tflite.report.roles import delegate_for, shipped_variants
from portrait_tflite.report.spec import known_ends, spec_json
from portrait_tflite.report.strips import Strip
from portrait_tflite.vocabulary import REPORT_FILE, SCHEMA, Delegate, Json, Report, Variant

PAGE, MODEL, REWRITES, CALIBRATION = (
    "report.html",
    "model.json",
    "rewrites.json",
    "calibration.json",
)
REPORTS = frozenset({REPORT_FILE, PAGE, MODEL, REWRITES, CALIBRATION})
_PERSON = "person"


def write_outputs(
    folder: Path,
    report: Report,
    files: Mapping[str, bytes],
    plans: Mapping[Delegate, list[dict[str, str]]],
    calibration: Json | None,
    strips: Sequence[Strip] = (),
    failures: Sequence[str] = (),
    graph: str = "",
) -> None:
    """Write everything to an empty folder.

    Args:
        files: Content by variant; their names are in the report.
        plans: The rewrites taken per delegate.
        calibration: The manifest of the calibration set, or None where none was used.
        strips: Pictures for `report.html`.
        failures: The gates that failed, in words.
        graph: SVG of the main variant's ops, for `report.html`.
    """
    for name, data in files.items():
        (folder / report.variants[name].file).write_bytes(data)
    _write(folder / MODEL, model_json(report))
    _write(folder / REWRITES, {"schema": SCHEMA, "plans": dict(plans)})
    if calibration is not None:
        _write(folder / CALIBRATION, calibration)
    (folder / PAGE).write_text(render_html(report, strips, failures, graph), "utf-8")
    _write(folder / REPORT_FILE, report_json(report))


def report_json(report: Report) -> Json:
    """Return what `report.json` holds."""
    data: Json = _plain(asdict(report))
    data["model"]["spec"] = spec_json(report.model.spec)
    data["variants"] = {
        name: known_ends(shape_audit(each)) for name, each in data["variants"].items()
    }
    rewrites, skipped, error = data["rewrites"], data.pop("skipped"), data.pop("rewritten")
    # Beside the list of rewrites stand the ones that were skipped and the whole net's error.
    ordered: Json = {}
    for key, value in data.items():
        ordered[key] = value
        if key == "rewrites":
            ordered |= {"rewrites": rewrites, "skipped": skipped, "rewritten": error}
    return {"schema": ordered.pop("schema"), **ordered}


def model_json(report: Report) -> Json:
    """Return what `model.json` holds: all that an app needs to run the files."""
    variants = shipped_variants(report)
    return {
        "schema": SCHEMA,
        "name": report.model.name,
        "licence": report.model.licence,
        "variants": {name: _variant_json(name, variant) for name, variant in variants.items()},
        "spec": spec_json(report.model.spec),
        "labels": [_PERSON],
        "person_channel": report.model.spec.output.channel,
        "golden": [],
    }


def _variant_json(name: str, variant: Variant) -> Json:
    data: Json = {
        "file": variant.file,
        "bytes": variant.bytes,
        "sha256": variant.sha256,
        "input": asdict(variant.input),
        "output": asdict(variant.output),
        "state_input": variant.state_input and asdict(variant.state_input),
        "state_output": variant.state_output and asdict(variant.state_output),
        "recommended_delegate": delegate_for(name),
        "passed": variant.accuracy is None or variant.accuracy.passed,
        "spec": variant.spec and spec_json(variant.spec),
    }
    return known_ends(data)


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
