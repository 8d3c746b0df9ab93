"""What a file weighs, and whether Android's older runtime loads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.files.file_facts import count_inside, weigh_file
from portrait_tflite.errors import UsageError

Build = Callable[..., Any]


def test_sizes_are_counted(relu_net: Build) -> None:
    data = relu_net()
    facts = weigh_file(data)
    assert facts.bytes == len(data)
    assert facts.parameters == 3 * (16 + 4)  # three 1×1 convolutions 4 → 4 with bias
    assert facts.macs == 3 * 16 * 64
    table = CostTable.load("arm64")
    assert facts.arm_mcycles == pytest.approx(predict(data, table).cycles / 1e6)
    assert (facts.arm_unknown, facts.graphs, facts.signatures) == ((), 1, ("serving_default",))
    # Input and output are kept; between them one tensor is read while the next is written.
    assert facts.peak_activation_bytes == 3 * 256


def test_a_skip_stays_in_memory(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x, a, b, y = (graph.tensor(name, (1, 8), "float32") for name in "xaby")
    graph.op("ABS", [x], a)
    graph.op("EXP", [a], b)
    graph.op("ADD", [a, b], y)
    assert weigh_file(graph.build([x], [y])).peak_activation_bytes == 4 * 32


def test_unpacked_weights_are_no_activations(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(name, (1, 8), "float32") for name in "xy")
    packed = graph.tensor("half", (1, 8), "float16", data=[[1] * 8])
    unpacked = graph.tensor("full", (1, 8), "float32")
    graph.op("DEQUANTIZE", [packed], unpacked, 3)
    graph.op("ADD", [x, unpacked], y)
    assert weigh_file(graph.build([x], [y])).peak_activation_bytes == 2 * 32


@pytest.mark.parametrize(("version", "reason"), [(5, ""), (6, "ADD v6 needs 2.23")])
def test_the_android_runtime_has_a_limit(tiny_graph: Build, version: int, reason: str) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(name, (1, 8), "float32") for name in "xy")
    graph.op("ADD", [x, x], y, version)
    assert weigh_file(graph.build([x], [y])).android_aar == reason


def test_a_custom_op_is_named(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(name, (1, 4), "float32") for name in "xy")
    graph.op("CUSTOM", [x], y)
    graph.model.operatorCodes[0].customCode = b"Mine"
    facts = weigh_file(graph.build([x], [y]))
    assert facts.android_aar == "CUSTOM:Mine v1 is no built-in op"
    assert facts.arm_unknown == ("CUSTOM:Mine in float32",)


def test_ops_per_delegate(relu_net: Build) -> None:
    data = relu_net()
    assert count_inside(data, audit_model(data).xnnpack.outside) == {"CONV_2D": 3}


def test_garbage_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        weigh_file(b"garbage")
