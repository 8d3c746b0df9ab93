"""Which folder is written to, and that what is converted is never taken for an earlier result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from portrait_tflite.errors import UsageError
from portrait_tflite.pipeline.request import ConvertRequest, output_folder


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The folder of an earlier conversion of `net`."""
    folder = tmp_path / "net-tflite"
    folder.mkdir()
    files = {"float32": {"file": "net-float32.tflite"}, "int8": {"file": "net-int8.tflite"}}
    report = {"schema": 1, "model": {"name": "net"}, "variants": files}
    (folder / "report.json").write_text(json.dumps(report))
    for variant in files.values():
        (folder / variant["file"]).write_text("before")
    return folder


def test_results_of_the_same_network_are_replaced(earlier: Path, tmp_path: Path) -> None:
    source = tmp_path / "net-int8.tflite"
    folder = output_folder(ConvertRequest(str(source), out=earlier), "net", "net-int8")
    with folder.staged() as staging:
        (staging / "net-int8.tflite").write_text("after")
    assert [path.name for path in earlier.iterdir()] == ["net-int8.tflite"]


def test_a_source_among_earlier_results_is_not_replaced(earlier: Path) -> None:
    source = str(earlier / "net-int8.tflite")
    with pytest.raises(UsageError, match=r"--out must be empty or hold results"):
        output_folder(ConvertRequest(source, out=earlier), "net", "net-int8")
    folder = output_folder(ConvertRequest(source, out=earlier, force=True), "net", "net-int8")
    with folder.staged() as staging:
        (staging / "net-as_released.tflite").write_text("after")
    assert (earlier / "net-int8.tflite").read_text() == "before"
    assert (earlier / "net-float32.tflite").read_text() == "before"


def test_the_default_folder_has_the_sources_own_name(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(earlier.parent)
    source = str(earlier / "net-int8.tflite")
    assert output_folder(ConvertRequest(source), "net", "net-int8").path == Path("net-int8-tflite")
