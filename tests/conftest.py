"""Shared fixtures: `.tflite` files of a few ops, built directly, without TensorFlow."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import op_code_index, serialize
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate

REQUIRE_ALL = "PORTRAIT_TFLITE_REQUIRE_ALL"
_MEDIAPIPE = "PORTRAIT_TFLITE_MEDIAPIPE_PYTHON"
_MEDIAPIPE_WORKER = Path(__file__).with_name("mediapipe_worker.py")


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let child processes hear Ctrl-C: a shell that runs pytest in the background makes it deaf."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def require_or_skip() -> Callable[[str], NoReturn]:
    """Give what a test calls where a part is missing: it skips, but fails on a machine for all.

    CI installs everything and says so in `PORTRAIT_TFLITE_REQUIRE_ALL=1`: a test that silently
    skipped there would prove nothing.
    """

    def leave(reason: str) -> NoReturn:
        if os.environ.get(REQUIRE_ALL) == "1":
            pytest.fail(f"{REQUIRE_ALL} is set, and a part is missing: {reason}")
        pytest.skip(reason)

    return leave


@pytest.fixture
def mediapipe_segment(
    require_or_skip: Callable[[str], NoReturn],
) -> Callable[[Path, Path], list[str]]:
    """Give MediaPipe: it runs a file on every PNG of a folder, and returns the labels it found.

    The person's mask of each lies beside it as `.npy` then.
    """
    python = os.environ.get(_MEDIAPIPE)
    if not python:
        require_or_skip(f"{_MEDIAPIPE} names no Python with mediapipe")

    def segment(model: Path, folder: Path) -> list[str]:
        command = [python, str(_MEDIAPIPE_WORKER), str(model), str(folder)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return said.splitlines()[-1].split(",")

    return segment


class TinyGraph:
    """Builds a one-graph `.tflite`; tensors are known by their index."""

    def __init__(self) -> None:
        self.graph = schema.SubGraphT(tensors=[], operators=[])
        self.model = schema.ModelT(
            version=3, operatorCodes=[], subgraphs=[self.graph], buffers=[schema.BufferT()]
        )

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str = "int8",
        scale: Any = None,
        zero_point: Any = 0,
        data: Any = None,
        axis: int = 0,
    ) -> int:
        """Add a tensor; `scale` may be a list for a per-channel one."""
        tensor = schema.TensorT(
            shape=np.array(shape, np.int32),
            type=getattr(schema.TensorType, dtype.upper()),
            name=name.encode(),
        )
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            points = np.broadcast_to(np.asarray(zero_point, np.int64), scales.shape).copy()
            tensor.quantization = schema.QuantizationParametersT(
                scale=scales, zeroPoint=points, quantizedDimension=axis
            )
        if data is not None:
            raw = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            self.model.buffers.append(schema.BufferT(data=raw))
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def op(
        self, name: str, inputs: list[int], output: int, version: int = 1, options: Any = None
    ) -> None:
        """Add an op; the option record names its own kind."""
        kind = type(options).__name__.removesuffix("T") if options is not None else "NONE"
        self.graph.operators.append(
            schema.OperatorT(
                opcodeIndex=op_code_index(self.model, name, version),
                inputs=np.array(inputs, np.int32),
                outputs=np.array([output], np.int32),
                builtinOptions=options,
                builtinOptionsType=getattr(schema.BuiltinOptions, kind),
            )
        )

    def build(self, inputs: list[int], outputs: list[int]) -> bytes:
        """Close the graph, with a signature as converters write it."""
        self.graph.inputs = np.array(inputs, np.int32)
        self.graph.outputs = np.array(outputs, np.int32)
        self.model.signatureDefs = [
            schema.SignatureDefT(
                inputs=[schema.TensorMapT(name=f"in_{i}".encode(), tensorIndex=i) for i in inputs],
                outputs=[
                    schema.TensorMapT(name=f"out_{i}".encode(), tensorIndex=i) for i in outputs
                ],
                signatureKey=b"serving_default",
            )
        ]
        return serialize(self.model)


def _convolution(graph: TinyGraph, source: int, name: str, seed: int, activation: int = 0) -> int:
    """Add an int8 1×1 convolution 4 → 4 with random weights and bias; return its output."""
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.004, 0.01, 4)
    weights = graph.tensor(
        f"{name}/weights", (4, 1, 1, 4), "int8", scales, data=rng.integers(-127, 128, (4, 1, 1, 4))
    )
    bias = graph.tensor(
        f"{name}/bias", (4,), "int32", scales * 0.02, data=rng.integers(-4000, 4000, 4)
    )
    target = graph.tensor(f"net/{name}/BiasAdd", (1, 8, 8, 4), "int8", 0.03, 5)
    options = schema.Conv2DOptionsT(
        strideW=1,
        strideH=1,
        dilationWFactor=1,
        dilationHFactor=1,
        fusedActivationFunction=activation,
    )
    graph.op("CONV_2D", [source, weights, bias], target, 3, options)
    return target


@pytest.fixture
def tiny_graph() -> Callable[[], TinyGraph]:
    """Give the builder of `.tflite` files."""
    return TinyGraph


@pytest.fixture
def relu_net() -> Callable[..., bytes]:
    """Give a builder of conv → RELU → conv → RELU → conv in int8, 8×8×4."""

    def build(zero_point: int = -128, relu: str = "RELU", scale: float = 0.017) -> bytes:
        graph = TinyGraph()
        source = value = graph.tensor("serving_default_x:0", (1, 8, 8, 4), "int8", 0.02, -3)
        for number in (0, 1):
            value = _convolution(graph, value, f"conv_{number}", number)
            active = graph.tensor(
                f"net/relu_{number}/Relu", (1, 8, 8, 4), "int8", scale, zero_point
            )
            graph.op(relu, [value], active, 2)
            value = active
        value = _convolution(graph, value, "head", 2)
        return graph.build([source], [value])

    return build


@pytest.fixture
def float_net() -> Callable[..., bytes]:
    """Give a builder of one float op that keeps the shape `[1, 8, 8, 4]`."""

    def build(op: str = "RELU", version: int = 1, options: Any = None) -> bytes:
        graph = TinyGraph()
        source = graph.tensor("x", (1, 8, 8, 4), "float32")
        target = graph.tensor("net/only/op", (1, 8, 8, 4), "float32")
        graph.op(op, [source], target, version, options)
        return graph.build([source], [target])

    return build


@pytest.fixture
def run_once() -> Callable[[bytes], list[bytes]]:
    """Give a function that runs a file on the built-in kernels, on the same noise every time."""

    def run(data: bytes) -> list[bytes]:
        runner = open_model(data, Delegate.CPU)
        rng = np.random.default_rng(7)
        images = [random_input(info, rng) for info in runner.inputs]
        return [array.tobytes() for array in runner.run(*images)]

    return run


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """Give a builder of videos whose red is twice the number of the frame."""

    def build(count: int, name: str = "clip.mp4") -> Path:
        path = tmp_path / name
        code = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(path), code, 25, (64, 48))
        for number in range(count):
            frame = np.zeros((48, 64, 3), np.uint8)
            frame[..., 2] = 2 * number
            writer.write(frame)
        writer.release()
        return path

    return build
