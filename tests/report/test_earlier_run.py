"""Which files of a folder an earlier conversion of the same model wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.report.earlier_run import files_of_earlier_run
from portrait_tflite.report.files import write_outputs


def test_those_that_its_report_names(report: Any, tmp_path: Path) -> None:
    write_outputs(tmp_path, report, {"int8": b"8", "naive": b"n"}, {}, None)
    (tmp_path / "net-int8-mine.tflite").touch()
    ours = files_of_earlier_run(tmp_path, report.model.name)
    written = {path.name for path in tmp_path.iterdir()}
    assert written - ours == {"net-int8-mine.tflite"}


def test_not_those_of_another_model(report: Any, tmp_path: Path) -> None:
    write_outputs(tmp_path, report, {"int8": b"8", "naive": b"n"}, {}, None)
    assert files_of_earlier_run(tmp_path, "other") == frozenset()


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"schema": 1, "model": {"name": "net"}}'])
def test_none_without_a_report_of_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"format": "graph-model"}))
    assert files_of_earlier_run(tmp_path, "net") == frozenset()
    (tmp_path / "report.json").write_text(text)
    assert files_of_earlier_run(tmp_path, "net") == frozenset()
