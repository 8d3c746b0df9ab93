"""ELU, which the quantizer does not know, between two int8 scales."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes, op_names
from portrait_tflite.convert.graph import trace
from portrait_tflite.quantize.int8.post_training import quantize_ranged
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.stand_ins import put_stand_ins, take_stand_ins_away
from portrait_tflite.quantize.int8.tensor_ranges import measure_ranges
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, IoType, Precision

SHAPE = (16, 16, 3)


def _pictures(count: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.random((1, *SHAPE), np.float32) for _ in range(count)]


@pytest.fixture(scope="module")
def network() -> RangedNetwork:
    """A U-Net of one step: the first ELU is read by a convolution and by the skip."""
    keras.utils.set_random_seed(3)
    x = keras.Input(SHAPE)
    skip = layers.ELU(name="first")(layers.Conv2D(8, 3, padding="same")(x))
    y = layers.ELU(name="second")(layers.Conv2D(8, 3, 2, padding="same")(skip))
    y = layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(y), skip])
    y = layers.Activation("hard_silu")(layers.Conv2D(8, 3, padding="same")(y))
    y = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(y)
    data = Export(trace(keras.Model(x, y))).float_model(Precision.FLOAT32)
    return RangedNetwork(data, measure_ranges(data, [(frame,) for frame in _pictures()]))


@pytest.mark.parametrize("delegate", [Delegate.CPU, Delegate.XNNPACK])
def test_a_skip_of_elus_is_int8_and_gives_the_float_mask(
    network: RangedNetwork, delegate: Delegate
) -> None:
    data = quantize_ranged(network, IoType.FLOAT32)
    counts = Counter(op_names(read_model(data)))
    assert (counts["ELU"], counts["HARD_SWISH"], counts["CONV_2D"]) == (2, 1, 4)
    for picture in _pictures(3):
        masks = [open_model(each, delegate).run(picture)[0] for each in (data, network.data)]
        assert np.abs(masks[0] - masks[1]).max() < 0.02


def test_xnnpack_takes_it(network: RangedNetwork) -> None:
    outside = audit_model(quantize_ranged(network, IoType.INT8)).xnnpack.outside
    assert [op.op for op in outside] == ["HARD_SWISH"]  # the network's own, which mending mends


def test_one_that_is_to_stay_in_float_does(network: RangedNetwork) -> None:
    (first, _) = (n for n in list_nodes(read_model(network.data)) if n.op == "ELU")
    data = quantize_ranged(replace(network, in_float=frozenset({first.tensor})), IoType.INT8)
    elus = [n for n in list_nodes(read_model(data)) if n.op == "ELU"]
    assert len(elus) == 2
    assert "HARD_SWISH" in op_names(read_model(data))  # the network's own
    assert elus[0].outputs[0].name == first.tensor  # as it was; the other is between two scales


def test_what_was_put_in_is_taken_away(network: RangedNetwork) -> None:
    model = read_model(network.data)
    names = put_stand_ins(model)
    assert len(names) == 2
    assert Counter(op_names(model))["HARD_SWISH"] == 3
    take_stand_ins_away(model, names)
    assert op_names(model) == op_names(read_model(network.data))


def test_a_file_without_elu_is_left_alone() -> None:
    x = keras.Input(SHAPE)
    data = Export(trace(keras.Model(x, layers.Conv2D(1, 3)(x)))).float_model(Precision.FLOAT32)
    model = read_model(data)
    assert put_stand_ins(model) == frozenset()
    assert op_names(model) == ["CONV_2D"]
