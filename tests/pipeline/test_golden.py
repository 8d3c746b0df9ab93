"""Golden cases of small nets: what is fed, what is fed back, and what is promised of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.describe import describe_variant
from portrait_tflite.pipeline.golden import CASES, computes_in_float, make_golden
from portrait_tflite.report.model_json import Golden
from portrait_tflite.vocabulary import ModelSpec, StateSpec

SIZE = 16
FED = ModelSpec(SIZE, SIZE, state=StateSpec(1))
BESIDE = ModelSpec(SIZE, SIZE, state=StateSpec(0, channel=3))


@pytest.fixture
def net(tiny_graph: Callable[[], Any]) -> Callable[[bool], bytes]:
    """Give a builder of a net that finds what is bright, or was; its state is an input or not."""

    def build(own_input: bool) -> bytes:
        graph, shape = tiny_graph(), (1, SIZE, SIZE)
        image = graph.tensor("image", (*shape, 3 if own_input else 4), "float32")
        joined, inputs = image, [image]
        if own_input:
            state = graph.tensor("state", (*shape, 1), "float32")
            joined = graph.tensor("joined", (*shape, 4), "float32")
            options = schema.ConcatenationOptionsT(axis=3, fusedActivationFunction=0)
            graph.op("CONCATENATION", [image, state], joined, options=options)
            inputs.append(state)
        weights = graph.tensor("w", (1, 1, 1, 4), "float32", data=[[[[4, 4, 4, 2]]]])
        bias = graph.tensor("b", (1,), "float32", data=[-6])
        logits = graph.tensor("logits", (*shape, 1), "float32")
        convolution = schema.Conv2DOptionsT(
            strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1, fusedActivationFunction=0
        )
        graph.op("CONV_2D", [joined, weights, bias], logits, options=convolution)
        mask = graph.tensor("mask", (*shape, 1), "float32")
        graph.op("LOGISTIC", [logits], mask)
        data: bytes = graph.build(inputs, [mask])
        return data

    return build


def _golden(data: bytes, spec: ModelSpec, name: str = "float32") -> Golden:
    return make_golden(
        {name: describe_variant(f"{name}.tflite", data, spec=spec)}, {name: data}, spec
    )


def _read(golden: Golden, file: dict[str, Any], channels: int) -> Any:
    return np.frombuffer(golden.files[file["file"]], np.float32).reshape(1, SIZE, SIZE, channels)


def test_a_mask_is_fed_to_the_next_picture(net: Callable[[bool], bytes]) -> None:
    golden = _golden(net(True), FED)
    assert len(golden.cases) == CASES
    cases = [case["variants"]["float32"] for case in golden.cases]
    state = np.zeros((1, SIZE, SIZE, 1), np.float32)
    for case in cases:
        np.testing.assert_array_equal(_read(golden, case["inputs"]["state"], 1), state)
        assert _read(golden, case["inputs"]["image"], 3).max() > 0.5
        state = _read(golden, case["mask"], 1)
        assert 0.05 < np.mean(state >= 0.5) < 0.95


def test_a_mask_is_fed_beside_the_colours(net: Callable[[bool], bytes]) -> None:
    golden = _golden(net(False), BESIDE)
    first, second, _ = (case["variants"]["float32"] for case in golden.cases)
    assert (_read(golden, first["inputs"]["image"], 4)[..., 3] == 0).all()
    fed = _read(golden, second["inputs"]["image"], 4)
    np.testing.assert_array_equal(fed[..., 3:], _read(golden, first["mask"], 1))


def test_what_is_promised_of_each_delegate(net: Callable[[bool], bytes]) -> None:
    data = net(True)
    whole = {"least_iou": 0.995}
    assert _golden(data, FED).tolerances["float32"] == {
        "xnnpack": whole,
        "cpu": {"least_iou": 0.99},
        "gpu": whole,
    }
    # Integer files run on a GPU in floats that nobody promises anything of.
    for name in ("int8", "dynamic"):
        assert "gpu" not in _golden(data, FED, name).tolerances[name]
    # A file of that name that computes in float, as `through_float` leaves some.
    assert _golden(data, FED, "int8").tolerances["int8"]["xnnpack"] == {"least_iou": 0.99}
    assert _golden(data, FED, "dynamic").tolerances["dynamic"]["xnnpack"] == {"least_iou": 0.99}


def test_variants_that_are_fed_alike_share_their_inputs(net: Callable[[bool], bytes]) -> None:
    data = net(True)
    variants = {
        name: describe_variant(f"{name}.tflite", data, spec=FED) for name in ("float32", "float16")
    }
    golden = make_golden(variants, dict.fromkeys(variants, data), FED)
    for case in golden.cases:
        one, other = case["variants"].values()
        assert one["inputs"] == other["inputs"]
    again = make_golden(variants, dict.fromkeys(variants, data), FED)
    assert again == golden


def test_what_only_changes_the_type_computes_nothing(
    relu_net: Callable[..., bytes], tiny_graph: Callable[[], Any], net: Callable[[bool], bytes]
) -> None:
    graph = tiny_graph()
    image = graph.tensor("image", (1, 8, 8, 3), "uint8", 1.0)
    between = graph.tensor("between", (1, 8, 8, 3), "float32")
    mask = graph.tensor("mask", (1, 8, 8, 3), "int8", 1.0, -128)
    graph.op("DEQUANTIZE", [image], between, 2)
    graph.op("QUANTIZE", [between], mask)
    assert not computes_in_float(graph.build([image], [mask]))
    assert not computes_in_float(relu_net())
    assert computes_in_float(net(True))
