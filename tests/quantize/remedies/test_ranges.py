"""The choice of ranges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.quantize.ranged_network import RangedNetwork
from portrait_tflite.quantize.remedies import ranges
from portrait_tflite.quantize.remedies.output_error import output_error, spread
from portrait_tflite.quantize.remedies.ranges import RangeChoice
from portrait_tflite.quantize.remedies.scale_families import scale_families
from portrait_tflite.quantize.tensor_ranges import Frames, Range


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
