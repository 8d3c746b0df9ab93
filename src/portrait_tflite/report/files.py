"""The files of an output folder: variants, reports, `model.json`, plans and manifests."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from portrait_tflite.report.accuracy_figures import accuracy_csv
from portrait_tflite.report.audit_shape import shape_audit
from portrait_tflite.report.html import render_html
from portrait_tflite.report.model_json import model_json
from portrait_tflite.report.sensitivity import sensitivity_csv
from portrait_tflite.report.spec import known_ends, spec_json
from portrait_tflite.report.strips import Strip
from portrait_tflite.vocabulary import MANIFEST_FILE, REPORT_FILE, SCHEMA, Delegate, Json, Report

PAGE, MODEL, REWRITES, ACCURACY, SENSITIVITY = (
    "report.html",
    "model.json",
    "rewrites.json",
    "accuracy.csv",
    "sensitivity.csv",
)
REPORTS = frozenset({REPORT_FILE, PAGE, MODEL, REWRITES, MANIFEST_FILE, ACCURACY, SENSITIVITY})


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
    write_json(folder / MODEL, model_json(report))
    write_json(folder / REWRITES, {"schema": SCHEMA, "plans": dict(plans)})
    if calibration is not None:
        write_json(folder / MANIFEST_FILE, calibration)
    scores = {name: v.accuracy for name, v in report.variants.items() if v.accuracy}
    if scores:
        (folder / ACCURACY).write_text(accuracy_csv(scores), "utf-8")
    if any(variant.sensitivity for variant in report.variants.values()):
        (folder / SENSITIVITY).write_text(sensitivity_csv(report.variants), "utf-8")
    (folder / PAGE).write_text(render_html(report, strips, failures, graph), "utf-8")
    write_json(folder / REPORT_FILE, report_json(report))


def report_json(report: Report) -> Json:
    """Return what `report.json` holds."""
    data: Json = _plain(asdict(report))
    for each in data["variants"].values():
        del each["sensitivity"]  # it is in sensitivity.csv
        if each["accuracy"]:
            del each["accuracy"]["images_scored"]  # they are in accuracy.csv
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


def write_json(path: Path, data: Json) -> None:
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
