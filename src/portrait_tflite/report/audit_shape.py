"""The one form in which an audit leaves the program: in `report.json` and in `audit --json`."""

from __future__ import annotations

from portrait_tflite.vocabulary import Json


def shape_audit(data: Json) -> Json:
    """Bring `data["audit"]`, an `Audit` as a dict, to the report's form.

    What is of no delegate stands above it; the GPU's rules are applied and not run: its partitions
    are predicted ones.
    """
    audit = data["audit"]
    gpu = {"complete": audit["gpu"]["complete"], "rejected": audit["gpu"]["outside"]}
    if audit["gpu"]["predicted"] is not None:
        gpu["predicted"] = audit["gpu"]["predicted"]
    above = {key: audit[key] for key in ("ops", "min_runtime", "min_runtime_op")}
    return {
        **data,
        **above,
        "audit": {"xnnpack": _shown(audit["xnnpack"]), "gpu": gpu, "cpu": _shown(audit["cpu"])},
    }


def _shown(delegate: Json) -> Json:
    """Leave out what there is not: a finding, or a prediction."""
    absent = {"finding": "", "predicted": None}
    return {key: value for key, value in delegate.items() if value != absent.get(key, ...)}
