"""The choice of ranges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.convert.graph import trace
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range, measure_ranges
from portrait_tflite.quantize.remedies import ranges
from portrait_tflite.quantize.remedies.output_error import output_error, spread
from portrait_tflite.quantize.remedies.range_families import (
    ALL,
    gather_families,
    range_choices,
    with_choices,
)
from portrait_tflite.quantize.remedies.ranges import RangeChoice
from portrait_tflite.quantize.remedies.rounded_alone import RoundedAlone
from portrait_tflite.quantize.remedies.scale_families import scale_families
from portrait_tflite.vocabulary import Precision

SIDE = 64


@pytest.fixture(scope="module")
def with_outliers(network: RangedNetwork) -> RangedNetwork:
    """Ranges as one odd picture in the calibration set makes them."""
    wide = {n: Range(12 * r.low, 12 * r.high) for n, r in network.ranges.items()}
    return replace(network, ranges=wide).with_picture(Range(0.0, 1.0))


def test_outliers_are_cut_off(with_outliers: RangedNetwork, frames: list[Frames]) -> None:
    shares: list[float] = []
    treated = RangeChoice().apply(with_outliers, frames, shares.append)
    assert treated is not None
    error_of = output_error(with_outliers.data, frames)
    assert error_of(treated.network) < 0.5 * error_of(with_outliers)
    assert "ranges narrower" in treated.detail
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_only_ranges_that_may_change_do(with_outliers: RangedNetwork, frames: list[Frames]) -> None:
    treated = RangeChoice().apply(with_outliers, frames, lambda _: None)
    assert treated is not None
    new, old = treated.network.ranges, with_outliers.ranges
    changed = {n for n in old if new[n] != old[n]}
    assert changed <= {n for members in scale_families(with_outliers.data) for n in members}
    assert all(old[n].low <= new[n].low < new[n].high <= old[n].high for n in changed)
    picture = indices(read_model(with_outliers.data).subgraphs[0].inputs)[0]
    assert new[picture] == Range(0.0, 1.0)
    assert treated.network.data == with_outliers.data


def test_the_same_pictures_give_the_same_choice(
    with_outliers: RangedNetwork, frames: list[Frames]
) -> None:
    one, two = (RangeChoice().apply(with_outliers, frames, lambda _: None) for _ in range(2))
    assert one is not None
    assert two is not None
    assert (one.network.ranges, one.detail) == (two.network.ranges, two.detail)


def test_the_choice_itself_is_left_alone(
    with_outliers: RangedNetwork, frames: list[Frames]
) -> None:
    """A second time there is nothing that is clearly better."""
    network, error_of = with_outliers, output_error(with_outliers.data, frames)
    for _ in range(4):
        treated = RangeChoice().apply(network, frames, lambda _: None)
        if treated is None:
            return
        assert error_of(treated.network) < error_of(network)
        network = treated.network
    pytest.fail("it never ends")


def test_pictures_are_spread_over_the_set() -> None:
    assert spread(range(100), 4) == [0, 33, 66, 99]
    assert spread([1, 2], 4) == [1, 2]


def test_choices_are_compared_with_the_teacher(
    network: RangedNetwork, frames: list[Frames], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    def compare(reference: bytes, frames: list[Frames]) -> Callable[[RangedNetwork], float]:
        asked.append(reference)
        return output_error(reference, frames)

    monkeypatch.setattr(ranges, "output_error", compare)
    taught = replace(network, exact=b"none of its business", teacher=network.data)
    treated = RangeChoice().apply(taught, frames[:4], lambda _: None)
    assert asked == [network.data]
    assert treated is None or treated.network.teacher == network.data


@pytest.fixture(scope="module")
def glaring() -> list[Frames]:
    """Pictures of brightness, a few places of glare, and none to three marks that count."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(24):
        picture = np.zeros((1, SIDE, SIDE, 3), np.float32)
        picture[0, ..., 0] = rng.random((8, 8)).repeat(8, 0).repeat(8, 1)
        places = picture.reshape(-1, 3)
        places[rng.choice(SIDE * SIDE, 20, replace=False), 2] = 0.005
        places[rng.integers(0, SIDE * SIDE, 2), 1] = 1
        places[rng.choice(SIDE * SIDE, rng.integers(0, 4), replace=False), 2] = 1
        found.append((picture,))
    return found


@pytest.fixture(scope="module")
def torn(glaring: list[Frames]) -> RangedNetwork:
    """Two tensors with rare large numbers: in `bright` they spoil all else, in `marks` they count.

    The mask is the bright places, brighter or darker by how many marks the whole picture has.
    """
    x = keras.Input((SIDE, SIDE, 3))
    bright = layers.Conv2D(2, 1, activation="relu", name="bright")
    marks = layers.Conv2D(1, 1, activation="relu", name="marks")
    gate, logits = (layers.Conv2D(1, 1, name=name) for name in ("gate", "logits"))
    share = layers.GlobalAveragePooling2D(keepdims=True)(marks(x))
    y = layers.Add(name="add")([logits(bright(x)), gate(share)])
    model = keras.Model(x, layers.Activation("sigmoid", name="mask")(y))
    _set(bright, [[1, 0], [0, 300], [0, 0]], [0, 0])
    _set(logits, [[12], [0.02]], [-6])
    _set(marks, [[0], [0], [100]], [0])
    _set(gate, [[4 * SIDE * SIDE / 100]], [-6])
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    return RangedNetwork(data, measure_ranges(data, glaring))


def _set(layer: Any, kernel: Any, bias: Any) -> None:
    layer.set_weights([np.array(kernel, np.float32)[None, None], np.array(bias, np.float32)])


def test_tensors_with_their_own_choice_beat_every_choice_for_all(
    torn: RangedNetwork, glaring: list[Frames]
) -> None:
    error_of = output_error(torn.data, glaring)
    families = gather_families(torn, glaring, lambda _: None)
    one_for_all = {
        label: error_of(with_choices(torn, families, [choice] * len(families)))
        for label, choice in range_choices().items()
    }
    assert one_for_all[ALL] == error_of(torn)
    treated = RangeChoice(("bright", "marks", "mask")).apply(torn, glaring, lambda _: None)
    assert treated is not None
    assert error_of(treated.network) < 0.1 * min(one_for_all.values())
    assert treated.detail.endswith("; but percentile 99.9 for bright")


def test_what_gains_alone_and_not_together_is_left_out(
    torn: RangedNetwork, glaring: list[Frames], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The choice for all stays where files with choices of their own are no better."""
    asked = []

    def compare(*_: Any) -> Callable[[RangedNetwork], float]:
        def error(network: RangedNetwork) -> float:
            asked.append(network)
            return float(len(asked))

        return error

    monkeypatch.setattr(ranges, "output_error", compare)
    assert RangeChoice().apply(torn, glaring[:8], lambda _: None) is None
    assert len(asked) > len(range_choices())  # some with their own were tried


def test_every_choice_has_two_ends(frames: list[Frames]) -> None:
    """Hard-swish tells numbers apart from -3 on, without an end; what the tensor holds has one."""
    x = keras.Input(frames[0][0].shape[1:])
    wide = layers.Conv2D(2, 1, name="wide")
    y = layers.Activation("hard_swish")(wide(x))
    model = keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid", name="mask")(y))
    _set(wide, [[20, 0], [0, 20], [-20, -20]], [0, 0])
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    network = RangedNetwork(data, measure_ranges(data, frames))
    families = gather_families(network, frames, lambda _: None)
    assert any(family.needed.low == -3 > family.whole.low for family in families)
    for choose in range_choices().values():
        for family in families:
            limits = choose(family)
            assert np.isfinite([limits.low, limits.high]).all()
            assert limits.low < limits.high


def test_a_tensor_is_rounded_alone(network: RangedNetwork, frames: list[Frames]) -> None:
    groups = scale_families(network.data)
    alone = RoundedAlone(network.data)
    shares: list[float] = []
    tried = [[network.ranges[members[0]], Range(-100.0, 100.0)] for members in groups]
    errors = alone.errors(groups, tried, frames[:3], shares.append)
    assert shares[-1] == 1.0
    assert len(errors) == len(groups)
    for fine, coarse in errors:
        assert 0 < fine < coarse
