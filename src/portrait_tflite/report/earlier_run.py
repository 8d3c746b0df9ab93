"""What an earlier conversion left in an output folder."""

from __future__ import annotations

import json
from pathlib import Path

from portrait_tflite.report.files import REPORTS
from portrait_tflite.vocabulary import REPORT_FILE, SCHEMA


def files_of_earlier_run(folder: Path, model: str) -> frozenset[str]:
    """Name the files that an earlier conversion of `model` wrote to `folder`.

    By that run's own `report.json`: a file that only looks like one of ours is somebody else's.
    """
    try:
        report = json.loads((folder / REPORT_FILE).read_text("utf-8"))
        if report["schema"] != SCHEMA or report["model"]["name"] != model:
            return frozenset()
        return REPORTS | {str(variant["file"]) for variant in report["variants"].values()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return frozenset()
