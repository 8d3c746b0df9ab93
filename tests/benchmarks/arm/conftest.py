"""The emulated machine, and small int8 nets that differ in what they execute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from portrait_tflite.benchmarks.arm import setup
from portrait_tflite.benchmarks.arm.emulator import Emulator, Program

SIZE = 32


@pytest.fixture(scope="session")
def program(require_or_skip: Callable[[str], NoReturn]) -> Program:
    """Give what starts an emulator; `doctor --install arm64-model` sets it up."""
    now = setup.status()
    if not now.ready:
        require_or_skip(now.reason)
    return setup.require_program()


@pytest.fixture(scope="module")
def emulator(program: Program) -> Iterator[Emulator]:
    """Give an emulator that several tests share."""
    with Emulator(program, timeout_s=300) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def zoo_int8(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give every net of the zoo with random weights, int8, 32×32."""
    from portrait_tflite.convert.export import Export
    from portrait_tflite.convert.plan import mask_graph
    from portrait_tflite.models.registry import all_nets
    from portrait_tflite.quantize.int8.post_training import quantize_model
    from portrait_tflite.vocabulary import IoType, ModelSpec, Precision

    folder, files = tmp_path_factory.mktemp("zoo"), {}
    for name, net in all_nets().items():
        model = net.build_at(SIZE, SIZE)
        _randomize(model)
        graph, _ = mask_graph(model, ModelSpec(SIZE, SIZE))
        data = quantize_model(Export(graph), Precision.INT8, _pictures, IoType.INT8)
        files[name] = folder / f"{name}.tflite"
        files[name].write_bytes(data)
    return files


def _randomize(model: Any) -> None:
    rng = np.random.default_rng(0)
    for weight in model.weights:
        fan_in = max(1, int(np.prod(weight.shape[:-1])))
        value = rng.normal(0, fan_in**-0.5 if len(weight.shape) > 1 else 0.3, weight.shape)
        if "variance" in weight.name or "gamma" in weight.name:
            value = rng.uniform(0.5, 2, weight.shape)
        weight.assign(value.astype(np.float32))


def _pictures() -> Iterator[list[Any]]:
    rng = np.random.default_rng(1)
    for _ in range(4):
        yield [rng.uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)]


@pytest.fixture
def pointwise_net(tiny_graph: Callable[[], Any]) -> Callable[..., bytes]:
    """Give a builder of one 1×1 convolution 64 → 64 at 16×16, of 1,048,576 products."""
    from ai_edge_litert import schema_py_generated as schema

    def build(dtype: str) -> bytes:
        graph, rng = tiny_graph(), np.random.default_rng(0)
        scale = {"int8": 0.02}.get(dtype)
        weights = {
            "int8": rng.integers(-127, 128, (64, 1, 1, 64)),
            "float32": rng.normal(size=(64, 1, 1, 64)),
        }[dtype]
        bias_dtype = {"int8": "int32"}.get(dtype, dtype)
        source = graph.tensor("x", (1, 16, 16, 64), dtype, scale)
        kernel = graph.tensor("w", (64, 1, 1, 64), dtype, scale and [0.01] * 64, data=weights)
        bias = graph.tensor(
            "b", (64,), bias_dtype, scale and [0.0002] * 64, data=rng.integers(-9, 9, 64)
        )
        target = graph.tensor("y", (1, 16, 16, 64), dtype, scale and 0.5)
        options = schema.Conv2DOptionsT(
            strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1, fusedActivationFunction=0
        )
        graph.op("CONV_2D", [source, kernel, bias], target, 3, options)
        return graph.build([source], [target])

    return build
