"""int8 variants that can be made again of a treated network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes, op_names
from portrait_tflite.convert.mending.mend import REWRITES
from portrait_tflite.errors import ConversionError
from portrait_tflite.quantize.built import Built, Treatable
from portrait_tflite.quantize.int8.post_training import float_ops, require_ends
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range
from portrait_tflite.vocabulary import IoType, SkippedRewrite


@pytest.fixture
def treatable(network: RangedNetwork, frames: list[Frames]) -> Treatable:
    before = Built(b"", skipped=(SkippedRewrite("raw_input", "first", "why"),))
    return Treatable(network, frames, frames[:2], IoType.INT8, REWRITES, before=before)


def test_it_is_made_again_bit_for_bit(treatable: Treatable) -> None:
    one = treatable.build()
    assert one.treatable is not None
    assert one.treatable.build().data == one.data
    assert one.skipped[0].rewrite == "raw_input"
    assert float_ops(one.data) == ()
    assert one.in_float == ()


def test_a_treated_network_is_what_is_built(treatable: Treatable) -> None:
    wider = treatable.network.with_picture(Range(-4.0, 4.0))
    built = treatable.build(wider)
    assert built.treatable is not None
    assert built.treatable.network is wider
    assert built.data != treatable.build().data


def test_what_is_to_stay_in_float_does(treatable: Treatable) -> None:
    nodes = list_nodes(read_model(treatable.network.data))
    named = next(node.tensor for node in nodes if node.op == "DEPTHWISE_CONV_2D")
    built = treatable.build(replace(treatable.network, in_float=frozenset({named})))
    assert "DEQUANTIZE" in op_names(read_model(built.data))
    assert named in {node.tensor for node in float_ops(built.data)}
    # It was asked for, and whoever asked says so.
    assert built.in_float == ()


def test_ends_are_checked(network: RangedNetwork) -> None:
    data = quantize_network(network, IoType.FLOAT32)
    with pytest.raises(ConversionError, match="must be int8"):
        require_ends(data, IoType.INT8)
