"""`portrait-tflite convert released.tflite`: int8 from float files, and gates without labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.files.flatbuffer import op_code_index, read_model, serialize
from portrait_tflite.convert.files.half_precision import RECORD, is_allowed
from portrait_tflite.convert.files.model_metadata import with_record
from portrait_tflite.runtime import open_model, runs_on
from portrait_tflite.vocabulary import Delegate

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def made(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files to take for released ones."""
    from portrait_tflite.cli.main import _run

    folder: Path = tmp_path_factory.mktemp("made") / "out"
    code = _run(
        [
            *("-q", "convert", str(tiny.keras), "--input-range", "0,1", "--no-benchmark"),
            *("--calibration", str(tiny.calibration), "--validation", str(tiny.validation)),
            *("--fp32", "--fp16", "--int8", "--dynamic", "--baseline", "--out", str(folder)),
        ],
        debug=False,
    )
    assert code == 0
    return folder


def _report(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text("utf-8"))


@pytest.fixture
def release(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Give a function that copies one of the files to where no model.json says its spec."""

    def copied(variant: str) -> Path:
        path = tmp_path / f"released-{variant}.tflite"
        path.write_bytes((made / f"tiny-{variant}.tflite").read_bytes())
        return path

    return copied


@pytest.mark.parametrize("variant", ["float32", "float16"])
def test_a_float_file_becomes_int8(
    run: Run, tiny: Any, release: Callable[[str], Path], tmp_path: Path, variant: str
) -> None:
    said = run(
        "convert", release(variant), "--int8", "--input-range", "0,1", "--no-benchmark",
        "--calibration", tiny.calibration, "--validation", tiny.validation,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    report = _report(tmp_path / "out")
    assert list(report["variants"]) == [variant, "int8", "as_released"]
    int8 = report["variants"]["int8"]
    assert (int8["input"]["dtype"], int8["output"]["dtype"]) == ("int8", "int8")
    assert int8["audit"]["xnnpack"]["partitions"] == 1
    assert int8["audit"]["xnnpack"]["outside"] == []
    assert int8["accuracy"]["labelled"]
    assert int8["accuracy"]["drop"]["miou"] <= 1
    assert (tmp_path / "out" / "calibration.json").is_file()


@pytest.mark.parametrize(("rewrite", "allowed"), [("auto", True), ("none", False)])
def test_arm_may_compute_a_float16_file_in_float16(
    run: Run, release: Callable[[str], Path], tmp_path: Path, rewrite: str, allowed: bool
) -> None:
    source = release("float16")
    source.write_bytes(with_record(source.read_bytes(), RECORD, b"fp16accfp32"))
    assert not is_allowed(source.read_bytes())
    said = run(
        "convert", source, "--input-range", "0,1", "--no-benchmark", "--rewrite", rewrite,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    (mended,) = (tmp_path / "out").glob("*-float16.tflite")
    assert is_allowed(mended.read_bytes()) is allowed
    assert ("ARM CPUs compute it in float32" in said.out) is not allowed


def test_int8_needs_pictures(refuse: Run, release: Callable[[str], Path], tmp_path: Path) -> None:
    source = release("float32")
    said = refuse("convert", source, "--int8", "--input-range", "0,1", "--out", tmp_path / "out")
    assert "--calibration DIR is required" in said


def test_int8_needs_a_float_file(
    refuse: Run, tiny: Any, release: Callable[[str], Path], tmp_path: Path
) -> None:
    said = refuse(
        "convert", release("dynamic"), "--int8", "--input-range", "0,1",
        "--calibration", tiny.calibration, "--out", tmp_path / "out",
    )  # fmt: skip
    assert "a float .tflite is required for --int8" in said
    assert "which is dynamic" in said


def test_without_labels_the_same_kernels_compare(
    run: Run, release: Callable[[str], Path], tmp_path: Path
) -> None:
    said = run(
        "convert", release("naive_batch1"), "--input-range", "0,1", "--no-benchmark",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "on the built-in kernels" in said.out
    report = _report(tmp_path / "out")
    assert report["scored_with"] == "cpu"
    assert report["variants"]["int8"]["accuracy"]["labelled"] is False


def test_a_free_batch_is_fixed(run: Run, release: Callable[[str], Path], tmp_path: Path) -> None:
    source = release("naive")
    assert len(audit_model(source).gpu.outside) > 1  # all that has an open size
    said = run(
        "convert", source, "--input-range", "0,1", "--no-benchmark", "--rewrite", "none",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    variants = _report(tmp_path / "out")["variants"]
    files = {name: (tmp_path / "out" / each["file"]) for name, each in variants.items()}
    # For its activation alone.
    assert [op.op for op in audit_model(files["int8"]).gpu.outside] == ["TRANSPOSE_CONV"]
    assert files["as_released"].read_bytes() == source.read_bytes()
    assert "fixed_sizes" in said.out


def _spoilt(data: bytes) -> bytes:
    """Put a border on the picture and off again, in a scale with which XNNPACK fails on the PAD."""
    model = read_model(data)
    graph = model.subgraphs[0]
    picture = int(graph.inputs[0])
    shape = [int(size) for size in graph.tensors[picture].shape]
    wide = np.add(shape, [0, 2, 2, 0])
    first = len(graph.tensors)
    for number, constant in enumerate(([[0, 0], [1, 1], [1, 1], [0, 0]], [0, 1, 1, 0], shape)):
        numbers = np.array(constant, np.int32)
        model.buffers.append(schema.BufferT(data=np.frombuffer(numbers.tobytes(), np.uint8)))
        name, place = f"numbers_{number}", len(model.buffers) - 1
        graph.tensors.append(_tensor(name, numbers.shape, schema.TensorType.INT32, buffer=place))
    graph.tensors += [
        _tensor("tiny", shape, schema.TensorType.INT8, scale=1e-40),
        _tensor("wide", wide, schema.TensorType.INT8, scale=1e-40),
        _tensor("cut", shape, schema.TensorType.INT8, scale=1e-40),
        _tensor("back", shape, schema.TensorType.INT8),
    ]
    tiny, padded, cut, back = range(first + 3, first + 7)
    graph.tensors[back].quantization = graph.tensors[picture].quantization
    for operator in graph.operators:
        operator.inputs = np.where(operator.inputs == picture, back, operator.inputs)
    graph.operators[:0] = [
        schema.OperatorT(
            opcodeIndex=op_code_index(model, op, version),
            inputs=np.array(inputs, np.int32),
            outputs=np.array([output], np.int32),
        )
        for op, inputs, output, version in (
            ("RESHAPE", [picture, first + 2], tiny, 1),
            ("PAD", [tiny, first], padded, 2),
            ("SLICE", [padded, first + 1, first + 2], cut, 2),
            ("RESHAPE", [cut, first + 2], back, 1),
        )
    ]
    return serialize(model)


def _tensor(name: str, shape: Any, kind: int, buffer: int = 0, scale: float = 0) -> Any:
    quantization = schema.QuantizationParametersT(
        scale=np.array([scale], np.float32), zeroPoint=np.array([-128], np.int64)
    )
    return schema.TensorT(
        name=name.encode(),
        shape=np.array(shape, np.int32),
        type=kind,
        buffer=buffer,
        quantization=quantization if scale else None,
    )


def test_a_file_that_xnnpack_refuses_is_mended_on_the_built_in_kernels(
    run: Run, tiny: Any, made: Path, tmp_path: Path
) -> None:
    data = _spoilt((made / "tiny-naive_batch1.tflite").read_bytes())
    assert not runs_on(data, Delegate.XNNPACK)
    assert runs_on(data, Delegate.CPU)
    released = tmp_path / "released.tflite"
    released.write_bytes(data)
    said = run(
        "convert", released, "--input-range", "0,1", "--no-benchmark",
        "--validation", tiny.validation, "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    report = _report(tmp_path / "out")
    assert report["scored_with"] == "cpu"
    assert report["variants"]["int8"]["accuracy"]["passed"]
    assert "relu_to_quantize" in {each["rewrite"] for each in report["rewrites"]}


def _with_points(data: bytes) -> bytes:
    """Add an output that a custom op makes of the first op's result."""
    model = read_model(data)
    graph = model.subgraphs[0]
    read = int(graph.operators[0].outputs[0])
    graph.tensors.append(_tensor("points", [1, 17, 2], schema.TensorType.FLOAT32))
    model.operatorCodes.append(
        schema.OperatorCodeT(
            deprecatedBuiltinCode=32, customCode=b"PosenetDecoderOp", version=1, builtinCode=32
        )
    )
    graph.operators.append(
        schema.OperatorT(
            opcodeIndex=len(model.operatorCodes) - 1,
            inputs=np.array([read], np.int32),
            outputs=np.array([len(graph.tensors) - 1], np.int32),
        )
    )
    graph.outputs = np.array([len(graph.tensors) - 1, *graph.outputs], np.int32)
    return serialize(model)


def test_of_several_outputs_the_one_asked_for_is_left(
    run: Run, refuse: Run, tiny: Any, release: Callable[[str], Path], tmp_path: Path
) -> None:
    released = tmp_path / "posenet.tflite"
    released.write_bytes(_with_points(release("float32").read_bytes()))
    options = (
        *("--int8", "--input-range", "0,1", "--no-benchmark", "--calibration", tiny.calibration),
        *("--validation", tiny.validation, "--out", tmp_path / "out"),
    )
    assert "PosenetDecoderOp" in refuse("convert", released, *options, code=4)
    said = run("convert", released, "--output", "1", *options)
    assert said.code == 0, said.err
    report = _report(tmp_path / "out")
    assert report["model"]["spec"]["output"]["index"] == 0
    assert (
        "points" in next(r for r in report["rewrites"] if r["rewrite"] == "asked_output")["reason"]
    )
    for variant in report["variants"].values():
        assert len(open_model(tmp_path / "out" / variant["file"]).outputs) == 1


def test_metadata_of_int8_from_a_float_file_needs_its_keras_model(
    refuse: Run, tiny: Any, release: Callable[[str], Path], tmp_path: Path
) -> None:
    said = refuse(
        "convert", release("float32"), "--metadata", "--input-range", "0,1",
        "--calibration", tiny.calibration, "--out", tmp_path / "out",
    )  # fmt: skip
    assert "Give its Keras model and --io uint8" in said
