"""A float file that `TFLiteConverter`'s quantizer refuses goes to ai-edge-quantizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from portrait_tflite.cli.output import progress
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.errors import ConversionError
from portrait_tflite.pipeline.from_tflite import build_from_tflite
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.quantize.built import Treatable
from portrait_tflite.quantize.pictures import PictureRequest
from portrait_tflite.vocabulary import ModelSpec, Precision


def _refuse(*_: Any) -> Any:
    raise ConversionError("refused")


def test_it_becomes_int8_all_the_same(
    tiny_graph: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    tiny = tiny_graph()
    source = tiny.tensor("x", (1, 8, 8, 3), "float32")
    target = tiny.tensor("y", (1, 8, 8, 3), "float32")
    tiny.op("LOGISTIC", [source], target)
    released = tmp_path / "released.tflite"
    released.write_bytes(tiny.build([source], [target]))
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(20):
        cv2.imwrite(str(photos / f"{number}.png"), rng.integers(0, 256, (8, 8, 3), np.uint8))
    request = ConvertRequest(
        str(released),
        out=tmp_path / "out",
        tflite_spec=ModelSpec(8, 8),
        variants=(Precision.INT8,),
        pictures=PictureRequest(str(photos), 16, None, 0),
    )
    network, _, _ = build_from_tflite(request, tmp_path, progress)
    treatable = network.built[Precision.INT8].treatable
    assert treatable is not None
    monkeypatch.setattr(Treatable, "build", _refuse)
    refused, _, _ = build_from_tflite(request, tmp_path, progress)
    assert refused.built[Precision.INT8].treatable is None
    for one in (network, refused):
        nodes = list_nodes(read_model(one.files[Precision.INT8]))
        assert nodes[0].inputs[0].dtype == "int8"
