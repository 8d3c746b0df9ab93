"""Custom ops that are a built-in op under another name."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait_tflite.cli.main import _run
from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.files.model_metadata import (
    attach_files,
    attached_files,
    records_of,
    with_record,
)
from portrait_tflite.convert.files.task_metadata import RECORD, with_task_metadata
from portrait_tflite.convert.loading.released import read_released
from portrait_tflite.errors import ConversionError
from portrait_tflite.metrics import iou
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Channels, ModelSpec

Build = Callable[..., bytes]
_MEDIAPIPE = "PORTRAIT_TFLITE_MEDIAPIPE_PYTHON"
_WORKER = Path(__file__).parents[1] / "mediapipe_worker.py"
_SAME, _VALID = 1, 2  # the runtime's numbers


@pytest.fixture
def transposed(tiny_graph: Callable[[], Any]) -> Build:
    """Give a builder of a file of MediaPipe's transposed convolution, and a sigmoid behind it."""

    def build(
        size: Any, kernel: Any, strides: Any, padding: int = _SAME, *, channels: tuple[int, int],
        out: Any = None, name: str = "Convolution2DTransposeBias", options: bytes | None = None,
        seed: int = 0,
    ) -> bytes:  # fmt: skip
        graph, rng = tiny_graph(), np.random.default_rng(seed)
        depth, filters = channels
        weights = rng.normal(0, 0.5, (filters, *kernel, depth)).astype(np.float32)
        bias = rng.normal(0, 0.5, filters).astype(np.float32)
        out = out or _sizes(size, kernel, strides, padding)[0]
        x = graph.tensor("x", (1, *size, depth), "float32")
        w = graph.tensor("segment/Kernel", weights.shape, "float32", data=weights)
        b = graph.tensor("segment/Bias", bias.shape, "float32", data=bias)
        y = graph.tensor("segment", (1, *out, filters), "float32")
        mask = graph.tensor("mask", (1, *out, filters), "float32")
        raw = struct.pack("<3i", padding, strides[1], strides[0]) if options is None else options
        graph.model.operatorCodes.append(
            schema.OperatorCodeT(
                deprecatedBuiltinCode=32, customCode=name.encode(), version=1, builtinCode=32
            )
        )
        graph.graph.operators.append(
            schema.OperatorT(
                opcodeIndex=len(graph.model.operatorCodes) - 1,
                inputs=np.array([x, w, b], np.int32),
                outputs=np.array([y], np.int32),
                customOptions=np.frombuffer(raw, np.uint8),
            )
        )
        graph.op("LOGISTIC", [y], mask, 1)
        return bytes(graph.build([x], [mask]))

    return build


def _sizes(size: Any, kernel: Any, strides: Any, padding: int) -> tuple[Any, Any]:
    """Return the output's size, and what is cut off at the borders in all."""
    cuts = [
        max(0, k - (n - 1) % s - 1) if padding == _SAME else 0
        for n, k, s in zip(size, kernel, strides, strict=True)
    ]
    whole = [s * (n - 1) + k for n, k, s in zip(size, kernel, strides, strict=True)]
    return tuple(w - c for w, c in zip(whole, cuts, strict=True)), cuts


def _by_definition(data: bytes, x: Any, strides: Any, padding: int) -> Any:
    """Scatter every pixel through the kernel, as MediaPipe's kernel does; then the sigmoid."""
    model = read_model(data)
    tensors = model.subgraphs[0].tensors
    weights, bias = (
        np.asarray(model.buffers[t.buffer].data, np.uint8).view(np.float32).reshape(t.shape)
        for t in tensors[1:3]
    )
    height, width = x.shape[1:3]
    (out_h, out_w), (cut_h, cut_w) = _sizes((height, width), weights.shape[1:3], strides, padding)
    rows, columns = weights.shape[1:3]
    full = np.zeros(
        (strides[0] * (height - 1) + rows, strides[1] * (width - 1) + columns, len(bias))
    )
    for i in range(height):
        for j in range(width):
            part = np.einsum("oyxi,i->yxo", weights, x[0, i, j])
            top, left = i * strides[0], j * strides[1]
            full[top : top + rows, left : left + columns] += part
    top, left = cut_h // 2, cut_w // 2
    return 1 / (1 + np.exp(-full[top : top + out_h, left : left + out_w] - bias))


@settings(
    deadline=None,
    max_examples=200,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from([_SAME, _VALID]),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 3)),
    seed=st.integers(0, 99),
)
def test_it_is_the_built_in_op_or_refused(
    transposed: Build, tmp_path: Path, size: Any, kernel: Any, strides: Any, padding: int,
    channels: Any, seed: int,
) -> None:  # fmt: skip
    out, _ = _sizes(size, kernel, strides, padding)
    if min(out) < 1:
        return
    data = transposed(size, kernel, strides, padding, channels=channels, seed=seed)
    path = tmp_path / "released.tflite"
    path.write_bytes(data)
    if padding == _SAME and any(
        -(-o // s) != n for o, n, s in zip(out, size, strides, strict=True)
    ):
        with pytest.raises(ConversionError, match="not the float picture"):
            read_released(path)
        return
    translated = read_released(path)
    x = np.random.default_rng(seed).normal(size=(1, *size, channels[0])).astype(np.float32)
    found = open_model(translated.data).run(x)[0]
    np.testing.assert_allclose(found[0], _by_definition(data, x, strides, padding), atol=1e-5)
    assert [record.chosen for record in translated.records] == ["TRANSPOSE_CONV"]


def test_the_file_comes_wholly_into_xnnpack(transposed: Build, tmp_path: Path) -> None:
    path = tmp_path / "released.tflite"
    path.write_bytes(transposed((8, 8), (2, 2), (2, 2), channels=(16, 1)))
    translated = read_released(path)
    assert op_names(read_model(translated.data)) == ["TRANSPOSE_CONV", "LOGISTIC"]
    runner = open_model(translated.data)
    assert (runner.partitions, runner.outside) == (1, ())


def test_a_file_without_custom_ops_is_left_alone(relu_net: Build, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    translated = read_released(path)
    assert (translated.data, translated.records) == (path.read_bytes(), ())


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"name": "Landmarks2TransformMatrix"}, "not known here"),
        ({"options": b"\1\0\0\0"}, "options or inputs"),
        ({"padding": 7}, "padding or strides"),
        ({"strides": (0, 2)}, "padding or strides"),
        ({"out": (15, 16)}, "not the float picture of"),
    ],
)
def test_what_is_not_known_is_refused_by_name(
    transposed: Build, tmp_path: Path, details: Any, reason: str
) -> None:
    arguments = {"strides": (2, 2), "out": (16, 16), **details}
    path = tmp_path / "released.tflite"
    path.write_bytes(transposed((8, 8), (2, 2), channels=(4, 1), **arguments))
    with pytest.raises(ConversionError, match=f"'segment' is CUSTOM op .*{reason}"):
        read_released(path)


def test_convert_refuses_an_unknown_op_at_once(
    transposed: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "released.tflite"
    path.write_bytes(transposed((8, 8), (2, 2), (2, 2), channels=(3, 1), name="Mystery"))
    arguments = ["convert", str(path), "--input-range", "0,1", "--out", f"{tmp_path}/out"]
    assert _run(arguments, debug=False) == 4
    assert "'segment' is CUSTOM op Mystery" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kernel", "strides", "padding"),
    [((2, 2), (2, 2), _SAME), ((3, 4), (2, 2), _SAME), ((3, 2), (1, 2), _VALID)],
)
def test_mediapipe_gives_the_same_mask(
    transposed: Build, tmp_path: Path, require_or_skip: Callable[[str], NoReturn], kernel: Any,
    strides: Any, padding: int,
) -> None:  # fmt: skip
    python = os.environ.get(_MEDIAPIPE)
    if not python:
        require_or_skip(f"{_MEDIAPIPE} names no Python with mediapipe")
    path = tmp_path / "released.tflite"
    data = transposed((32, 24), kernel, strides, padding, channels=(3, 1), seed=3)
    path.write_bytes(data)
    translated = read_released(path).data
    spec = ModelSpec(32, 24, Channels.RGB, input_range=(-1.0, 1.0))
    described = with_task_metadata(translated, spec, ["person"], "net")
    record = with_record(data, RECORD, records_of(described)[RECORD])
    path.write_bytes(attach_files(record, attached_files(described)))
    picture = np.random.default_rng(1).integers(0, 256, (32, 24, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "picture.png"), picture[..., ::-1])
    subprocess.run([python, str(_WORKER), str(path), str(tmp_path)], check=True)
    x = (picture / 127.5 - 1).astype(np.float32)[None]
    ours = open_model(translated).run(x)[0][0, ..., 0]
    theirs = np.load(tmp_path / "picture.npy")
    assert 0.05 < np.mean(ours >= 0.5) < 0.95
    # MediaPipe resizes the mask to the picture.
    ours = cv2.resize(ours, (24, 32), interpolation=cv2.INTER_LINEAR)
    assert iou(ours, theirs) >= 0.99


def test_audit_says_that_convert_knows_it(transposed: Build) -> None:
    data = transposed((8, 8), (2, 2), (2, 2), channels=(3, 1))
    assert "TRANSPOSE_CONV" in audit_model(data).xnnpack.outside[0].fix
    other = transposed((8, 8), (2, 2), (2, 2), channels=(3, 1), name="Mystery")
    assert "link the op" in audit_model(other).xnnpack.outside[0].fix
