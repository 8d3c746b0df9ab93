"""Descriptions for MediaPipe; `tests/test_default_model.py` has them read by MediaPipe itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import flatbuffers
import pytest
from flatbuffers import encode, number_types

from portrait_tflite.convert.files.flat_tables import Byte, Floats, Uint, write_flatbuffer
from portrait_tflite.convert.files.model_metadata import attached_files, records_of
from portrait_tflite.convert.files.task_metadata import RECORD, find_fault, with_task_metadata
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Channels, Fit, ModelSpec, StateSpec

Build = Callable[..., Any]
BYTES = ModelSpec(8, 8, input_range=(0.0, 255.0))


@pytest.fixture
def net(tiny_graph: Build) -> Callable[..., bytes]:
    """Give a builder of one LOGISTIC from a picture to three channels."""

    def build(dtype: str = "uint8", scale: float = 1.0, outputs: int = 1) -> bytes:
        graph = tiny_graph()
        steps = {"scale": None} if dtype == "float32" else {"scale": scale}
        image = graph.tensor("image", (1, 8, 8, 3), dtype, **steps)
        ends = []
        for number in range(outputs):
            ends.append(graph.tensor(f"mask_{number}", (1, 8, 8, 3), dtype, **steps))
            graph.op("RELU", [image], ends[-1])
        data: bytes = graph.build([image], ends)
        return data

    return build


def test_the_record_and_the_labels_are_there_once(net: Build) -> None:
    data = net("float32")
    once = with_task_metadata(data, BYTES, ["a", "b", "c"], "net", "free")
    assert attached_files(once) == {"labels.txt": b"a\nb\nc\n"}
    content = records_of(once)[RECORD]
    assert content[4:8] == b"M001"
    for text in (b"net", b"free", b"image", b"mask_0", b"labels.txt", b"SEGMENTER_METADATA"):
        assert text in content
    again = with_task_metadata(once, BYTES, ["person"], "net", "free")
    assert attached_files(again) == {"labels.txt": b"person\n"}
    assert list(records_of(again)) == [RECORD]
    assert with_task_metadata(data, BYTES, ["a", "b", "c"], "net", "free") == once


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"channels": Channels.BGR}, "bgr: MediaPipe gives RGB"),
        ({"channels": Channels.GRAY}, "gray: MediaPipe gives RGB"),
        ({"fit": Fit.LETTERBOX}, "letterbox: MediaPipe stretches pictures. Add --fit stretch"),
        ({"state": StateSpec(1)}, "its last mask, which MediaPipe does not do"),
    ],
)
def test_networks_that_are_none_for_mediapipe(
    net: Build, changed: dict[str, Any], said: str
) -> None:
    spec = replace(BYTES, **changed)
    assert said in find_fault(spec)
    assert find_fault(BYTES) == ""
    with pytest.raises(UsageError, match=said):
        with_task_metadata(net("float32"), spec, ["person"], "net")


def test_files_that_are_none_for_mediapipe(tiny_graph: Build, net: Build) -> None:
    with pytest.raises(UsageError, match="cannot take raw bytes.*--io float32"):
        with_task_metadata(_uint8(tiny_graph), BYTES, ["p"], "net")
    with pytest.raises(UsageError, match="2 outputs"):
        with_task_metadata(net("float32", outputs=2), BYTES, ["p"], "net")


def test_floats_take_one_mean_and_std(net: Build) -> None:
    data = net("float32")
    for one in ({"mean": (0.5, 0.4, 0.5)}, {"std": (1.0, 1.0, 2.0)}):
        with pytest.raises(UsageError, match="mean or std per channel.*Convert its Keras model"):
            with_task_metadata(data, replace(BYTES, **one), ["person"], "net")
    alike = replace(BYTES, mean=(0.1, 0.1, 0.1), std=(0.3,))
    assert with_task_metadata(data, alike, ["person"], "net")


def test_an_int8_file_names_io(relu_net: Build) -> None:
    with pytest.raises(UsageError, match="input is int8.*--io uint8"):
        with_task_metadata(relu_net(), ModelSpec(8, 8), ["person"], "net")


def _uint8(tiny_graph: Build) -> bytes:
    """A file whose uint8 input stores byte `v` as half of it."""
    graph = tiny_graph()
    image = graph.tensor("image", (1, 8, 8, 3), "uint8", 2.0)
    mask = graph.tensor("mask", (1, 24, 8, 1), "uint8", 2.0)
    shape = graph.tensor("shape", (4,), "int32", data=[1, 24, 8, 1])
    graph.op("RESHAPE", [image, shape], mask)
    data: bytes = graph.build([image], [mask])
    return data


def test_tables_hold_what_was_written() -> None:
    inner = {0: "text", 2: Floats([0.5, -2.0])}
    data = write_flatbuffer(
        {0: Byte(2), 1: Uint(70000), 3: [inner, inner], 4: b"\x01\x02"}, b"TEST"
    )
    assert data[4:8] == b"TEST"
    start = encode.Get(number_types.UOffsetTFlags.packer_type, data, 0)
    table = flatbuffers.table.Table(data, start)
    at = [table.Offset(4 + 2 * field) for field in range(5)]
    assert at[2] == 0  # absent
    assert table.Get(number_types.Int8Flags, start + at[0]) == 2
    assert table.Get(number_types.Uint32Flags, start + at[1]) == 70000
    assert table.VectorLen(at[3]) == 2
    assert table.VectorLen(at[4]) == 2
    assert bytes(data[table.Vector(at[4]) :][:2]) == b"\x01\x02"
    first = flatbuffers.table.Table(data, table.Indirect(table.Vector(at[3])))
    assert first.String(first.Pos + first.Offset(4)) == b"text"
    floats = first.Vector(first.Offset(8))
    assert first.Get(number_types.Float32Flags, floats + 4) == -2.0
