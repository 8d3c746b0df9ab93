"""Interpreters: partitions and what they hide, dtypes, errors, timing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait_tflite.errors import UnavailableError, UsageError
from portrait_tflite.runtime import open_model, time_inferences
from portrait_tflite.tensor_values import random_input, to_real, to_stored
from portrait_tflite.vocabulary import Delegate, TensorInfo

Build = Callable[..., Any]


def test_inputs_and_outputs_are_described(relu_net: Build) -> None:
    runner = open_model(relu_net())
    scale = float(np.float32(0.02))
    assert runner.inputs == (TensorInfo("serving_default_x:0", (1, 8, 8, 4), "int8", scale, -3),)
    assert runner.outputs[0].name == "net/head/BiasAdd"


def test_partitions_are_counted_and_the_ops_outside_are_named(relu_net: Build) -> None:
    runner = open_model(relu_net())
    assert runner.partitions == 3
    assert [(node.index, node.op, node.tensor) for node in runner.outside] == [
        (1, "RELU", "net/relu_0/Relu"),
        (3, "RELU", "net/relu_1/Relu"),
    ]


def test_one_partition_does_not_hide_the_op_behind_it(tiny_graph: Build) -> None:
    graph = tiny_graph()
    source = graph.tensor("x", (1, 4, 4, 2), "int8", 0.1)
    middle = graph.tensor("net/act/Sigmoid", (1, 4, 4, 2), "int8", 1 / 256, -128)
    target = graph.tensor("net/soft/Softmax", (1, 4, 4, 2), "int8", 1 / 256, -128)
    graph.op("LOGISTIC", [source], middle, 2)
    graph.op("SOFTMAX", [middle], target, 2, schema.SoftmaxOptionsT(beta=1.0))
    runner = open_model(graph.build([source], [target]))
    assert runner.partitions == 1
    assert [node.op for node in runner.outside] == ["SOFTMAX"]


def test_weights_unpacked_for_a_partition_are_inside_it(tiny_graph: Build) -> None:
    graph = tiny_graph()
    rng = np.random.default_rng(0)
    source = graph.tensor("x", (1, 4, 4, 3), "float32")
    packed = graph.tensor("w16", (2, 1, 1, 3), "float16", data=rng.normal(size=(2, 1, 1, 3)))
    weights = graph.tensor("w", (2, 1, 1, 3), "float32")
    bias = graph.tensor("b", (2,), "float32", data=rng.normal(size=2))
    target = graph.tensor("y", (1, 4, 4, 2), "float32")
    options = schema.Conv2DOptionsT(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
    graph.op("DEQUANTIZE", [packed], weights, 3)
    graph.op("CONV_2D", [source, weights, bias], target, 1, options)
    runner = open_model(graph.build([source], [target]))
    assert (runner.partitions, runner.outside) == (1, ())


@pytest.mark.parametrize("kinds", [("TANH", "LOGISTIC"), ("TANH", "SIGN")])
def test_ops_that_no_output_needs_are_where_the_delegate_takes_them(
    tiny_graph: Build, kinds: tuple[str, str]
) -> None:
    graph = tiny_graph()
    shape = (1, 4, 4, 4)
    x = graph.tensor("x", shape, "float32")
    y = graph.tensor("y", shape, "float32")
    graph.op("TANH", [x], y)
    idle = x
    for number, kind in enumerate(kinds):
        numbers = graph.tensor(f"k{number}", shape, "float32", data=np.ones(shape))
        product, result = (
            graph.tensor(f"{name}{number}", shape, "float32") for name in ("product", "idle")
        )
        graph.op("MUL", [idle, numbers], product, 1, schema.MulOptionsT())
        graph.op(kind, [product], result)
        idle = result
    runner = open_model(graph.build([x], [y]))
    assert runner.partitions == 1
    assert [node.op for node in runner.outside] == [k for k in kinds if k == "SIGN"]


def test_the_built_in_kernels_have_no_partition(relu_net: Build) -> None:
    runner = open_model(relu_net(), Delegate.CPU)
    assert runner.partitions == 0
    assert len(runner.outside) == 5


def test_integers_are_converted_by_scale_and_zero_point(relu_net: Build) -> None:
    runner = open_model(relu_net(), Delegate.CPU)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 4)).astype(np.float32)
    raw = runner.run(to_stored(image, runner.inputs[0]))[0]
    assert raw.dtype == np.int8
    real = to_real(raw, runner.outputs[0])
    assert real.dtype == np.float32
    np.testing.assert_allclose(real, (raw.astype(np.float32) - 5) * 0.03, rtol=1e-6)


@pytest.mark.parametrize(
    ("zero_point", "stored"),
    [(10, [10, 11, 9, 8, 10, 11, 127, -128]), (-10, [-9, -8, -10, -11, -9, -9, 127, -128])],
)
def test_halves_go_where_zero_has_more_steps(zero_point: int, stored: list[int]) -> None:
    info = TensorInfo("x", (1,), "int8", 1.0, zero_point)
    values = np.array([0.5, 1.5, -0.5, -1.5, 0.49999997, 0.502, 1e9, -1e9], np.float32)
    assert to_stored(values, info).tolist() == stored


@given(
    dtype=st.sampled_from(["int8", "uint8"]),
    scale=st.floats(2**-10, 2.0, width=32),
    below=st.integers(0, 255),
)
def test_what_lies_amid_two_steps_stays_apart(dtype: str, scale: float, below: int) -> None:
    lowest = np.iinfo(dtype).min
    first = np.float32((0.5 - below) * scale)
    halves = np.arange(255, dtype=np.float32) * np.float32(scale) + first  # as bytes are normalized
    stored = to_stored(halves, TensorInfo("x", (255,), dtype, scale, lowest + below))
    up = below <= 127
    np.testing.assert_array_equal(stored, np.arange(255) + lowest + up)


@given(
    dtype=st.sampled_from(["int8", "uint8"]),
    scale=st.floats(2**-10, 2.0, width=32),
    below=st.integers(0, 255),
    steps=st.lists(st.floats(-300, 300), min_size=1, max_size=8),
)
def test_what_is_no_half_goes_to_the_nearest_step(
    dtype: str, scale: float, below: int, steps: list[float]
) -> None:
    exact = np.array(steps)
    exact = exact[np.abs(exact - np.floor(exact) - 0.5) > 2e-3]
    ends = np.iinfo(dtype)
    info = TensorInfo("x", exact.shape, dtype, scale, ends.min + below)
    nearest = np.clip(np.rint(exact) + info.zero_point, ends.min, ends.max)
    found = to_stored((exact * scale).astype(np.float32), info)
    np.testing.assert_array_equal(found, nearest)


@settings(deadline=None, max_examples=20)
@given(
    scale=st.floats(2**-10, 2.0, width=32),
    zero_point=st.integers(-128, 127),
    values=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=8),
)
def test_quantizing_and_back_stays_within_half_a_step(
    scale: float, zero_point: int, values: list[float]
) -> None:
    info = TensorInfo("x", (len(values),), "int8", scale, zero_point)
    low, high = (-128 - zero_point) * scale, (127 - zero_point) * scale
    inside = np.clip(np.array(values, np.float32), low, high).astype(np.float32)
    error = np.abs(to_real(to_stored(inside, info), info) - inside)
    assert error.max() <= scale * 0.501


def test_float_tensors_pass_unchanged(float_net: Build) -> None:
    image = np.linspace(-1, 1, 256, dtype=np.float32).reshape(1, 8, 8, 4)
    runner = open_model(float_net())
    (output,) = runner.run(to_stored(image, runner.inputs[0]))
    np.testing.assert_array_equal(to_real(output, runner.outputs[0]), np.maximum(image, 0))


@pytest.mark.parametrize(
    ("shape", "dtype", "said"),
    [
        ((1, 8, 8, 3), "int8", r"Received: int8 \(1, 8, 8, 3\)"),
        ((1, 8, 8, 4), "float32", "float32"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(
    relu_net: Build, shape: tuple[int, ...], dtype: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        open_model(relu_net()).run(np.zeros(shape, dtype))


def test_the_number_of_arrays_is_checked(relu_net: Build) -> None:
    with pytest.raises(UsageError, match=r"1 inputs are required\. Received: 0"):
        open_model(relu_net()).run()


@pytest.mark.parametrize("data", [b"", b"garbage", b"0123TFL3", b"PK\x03\x04" * 100])
def test_what_is_no_tflite_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"net\.tflite") as caught:
        open_model(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        open_model(tmp_path / "none.tflite")


def test_a_truncated_file_is_refused(relu_net: Build) -> None:
    data = relu_net()
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(UsageError):
            open_model(data[: int(len(data) * share)])


def test_a_custom_op_is_named(tiny_graph: Build, capfd: pytest.CaptureFixture[str]) -> None:
    graph = tiny_graph()
    source, target = (graph.tensor(name, (1, 4), "float32") for name in "xy")
    graph.op("CUSTOM", [source], target)
    graph.model.operatorCodes[0].customCode = b"MyOwnOp"
    with pytest.raises(UsageError, match="MyOwnOp"):
        open_model(graph.build([source], [target]))
    assert capfd.readouterr() == ("", "")


def test_the_runtime_is_silent(relu_net: Build, capfd: pytest.CaptureFixture[str]) -> None:
    runner = open_model(relu_net())
    runner.run(random_input(runner.inputs[0], np.random.default_rng(0)))
    assert capfd.readouterr() == ("", "")


def test_the_gpu_is_not_offered_here(relu_net: Build) -> None:
    with pytest.raises(UnavailableError, match="cpu or xnnpack"):
        open_model(relu_net(), Delegate.GPU)


def test_timing_runs_on_inputs_set_once(relu_net: Build) -> None:
    runner = open_model(relu_net(), Delegate.XNNPACK, threads=1)
    runner.set_inputs(random_input(runner.inputs[0], np.random.default_rng(0)))
    timings = time_inferences(runner, 5)
    assert runner.init_ms > 0
    assert len(timings) == 5
    assert min(timings) > 0


def test_random_inputs_fill_the_range() -> None:
    rng = np.random.default_rng(0)
    integers = random_input(TensorInfo("x", (4000,), "int8", 0.1, 0), rng)
    assert (integers.min(), integers.max()) == (-128, 127)
    floats = random_input(TensorInfo("x", (100,), "float32", 0.0, 0), rng)
    assert floats.dtype == np.float32
    assert 0 <= floats.min() <= floats.max() <= 1
