"""From tensor names back to Keras layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.layer_names import name_layers

Build = Callable[..., Any]


def _model(tiny_graph: Build, names: Sequence[str]) -> Any:
    graph = tiny_graph()
    source = value = graph.tensor("x", (1, 4), "float32")
    for name in names:
        target = graph.tensor(name, (1, 4), "float32")
        graph.op("RELU", [value], target)
        value = target
    return read_model(graph.build([source], [value]))


@pytest.mark.parametrize(
    ("names", "layers", "expected"),
    [
        # the network's own scope is shared by all
        (["net/stem/BiasAdd", "net/head/Sigmoid"], (), ["stem", "head"]),
        (["net_1/sub/a/Relu", "net_1/b/Relu"], (), ["sub", "b"]),
        # fused ops carry several names; the layer's inner scopes do not count
        (["net/bn/batchnorm/mul;net/conv/Conv2D", "net/c/Add"], (), ["bn", "c"]),
        # traced a second time: everything has a suffix
        (["net_1/relu_1/Relu", "net_1/relu_1_2/Relu"], (), ["relu", "relu_1"]),
        (["net_1/relu_1/Relu", "net_1/relu_1_2/Relu"], ("relu", "relu_1"), ["relu", "relu_1"]),
        # suffixes that are Keras's own stay
        (["model_1/conv/Relu", "model_1/conv_1/Relu"], (), ["conv", "conv_1"]),
        # known layers win over guesses
        (["net/block/conv/Relu", "net/x/Relu"], ("conv",), ["conv", ""]),
        # nothing to tell by
        (["StatefulPartitionedCall:0", "StatefulPartitionedCall/net/a/Relu"], (), ["", "a"]),
        (["mask", "Identity"], (), ["", ""]),
    ],
)
def test_names(
    tiny_graph: Build, names: list[str], layers: tuple[str, ...], expected: list[str]
) -> None:
    name_of = name_layers(_model(tiny_graph, names), layers)
    assert [name_of(name) for name in names] == expected
