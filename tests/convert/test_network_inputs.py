"""Which input is the picture, and what each of the others is fed with."""

from __future__ import annotations

import numpy as np
import pytest

from portrait_tflite.convert.network_inputs import (
    End,
    Fed,
    draw_others,
    file_ends,
    fill_inputs,
    find_picture,
    other_inputs,
    place_inputs,
    plain_name,
)
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Channels, ModelSpec, OtherInput, StateSpec, TensorInfo

PHOTO, TRIMAP = End("photo", (16, 16, 3)), End("trimap", (16, 16, 1))
BACK, LEVEL = End("background", (16, 16, 3)), End("level", (1,))
FEATURES = End("r1", (8, 8, 16))
SPEC = ModelSpec(
    16, 16, others=(OtherInput(1, "trimap", (16, 16, 1)), OtherInput(2, "level", (1,)))
)


@pytest.mark.parametrize(
    ("inputs", "arrays", "picture"),
    [
        ([TRIMAP, PHOTO], (), 1),
        ([FEATURES, LEVEL, End("x", (16, 16, 3))], (), 2),
        # Two of three channels: a name tells, or the array that goes by no input's name.
        ([BACK, PHOTO], (), 1),
        ([BACK, End("input_image", (16, 16, 3))], (), 1),
        ([BACK, End("a", (16, 16, 3))], ("background", "images"), 1),
        ([PHOTO, End("a", (16, 16, 3))], ("photo", "images"), 1),
        # A net of gray pictures.
        ([LEVEL, End("a", (16, 16, 1))], (), 1),
        ([TRIMAP, End("gray", (16, 16, 1))], ("trimap", "images"), 1),
    ],
)
def test_the_picture_is_told_by_channels_names_and_arrays(
    inputs: list[End], arrays: tuple[str, ...], picture: int
) -> None:
    assert find_picture(inputs, "net", arrays) == picture


@pytest.mark.parametrize(
    ("inputs", "arrays"),
    [
        ([BACK, End("a", (16, 16, 3))], ()),
        ([BACK, End("background_image", (16, 16, 3))], ()),
        ([PHOTO, End("image", (16, 16, 3))], ()),
        ([PHOTO, End("image", (16, 16, 3)), LEVEL], ("images", "level")),
        ([FEATURES, LEVEL], ()),
    ],
)
def test_what_may_be_the_picture_or_not_is_asked_for(
    inputs: list[End], arrays: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match=r"one input that is the picture .* net with .*'images'"):
        find_picture(inputs, "net", arrays)


def test_the_others_are_listed_without_picture_and_last_mask() -> None:
    inputs = [TRIMAP, PHOTO, LEVEL]
    assert other_inputs(inputs, 1, None) == (
        OtherInput(0, "trimap", (16, 16, 1)),
        OtherInput(2, "level", (1,)),
    )
    assert other_inputs(inputs[:2], 1, StateSpec(0)) == ()


@pytest.mark.parametrize("wrong", [End("hints", (None, 2)), End("image", (4,)), End("images", ())])
def test_sizes_must_be_known_and_names_the_pictures_own(wrong: End) -> None:
    with pytest.raises(UsageError, match=wrong.name):
        other_inputs([PHOTO, wrong], 0, None)


def test_each_array_goes_where_its_name_is() -> None:
    rng = np.random.default_rng(0)
    fed = Fed(
        rng.random((2, 16, 16, 3), np.float32),
        {"trimap": np.zeros((2, 16, 16, 1), np.float32), "level": np.ones((2, 1), np.float32)},
    )
    # As plain conversions name and order them.
    shapes = {
        "serving_default_level:0": (1, 1),
        "image": (1, 16, 16, 3),
        "trimap:0": (1, 16, 16, 1),
    }
    infos = [TensorInfo(name, shape, "float32", 0.0, 0) for name, shape in shapes.items()]
    level, picture, trimap = fill_inputs(fed, file_ends(infos), SPEC)
    assert level is fed.others["level"]
    assert picture is fed.picture
    assert trimap is fed.others["trimap"]
    places = place_inputs(file_ends(infos), SPEC)
    assert (places.picture, places.state, sorted(places.others)) == (1, None, [0, 2])


def test_a_picture_of_the_shape_of_another_input_goes_to_its_own() -> None:
    spec = ModelSpec(16, 16, others=(OtherInput(1, "background", (16, 16, 3)),))
    fed = Fed(np.ones((1, 16, 16, 3), np.float32), {"background": np.zeros((1, 16, 16, 3), "f")})
    for ends in ([PHOTO, BACK], [BACK, PHOTO]):
        arrays = fill_inputs(fed, ends, spec)
        assert [bool(array.any()) for array in arrays] == [end is PHOTO for end in ends]


@pytest.mark.parametrize(
    ("ends", "state", "picture"),
    [
        (("previous_mask", "image"), 0, 1),
        # A plain conversion's order is not that of the spec: the name tells.
        (("previous_mask", "serving_default_image:0"), 1, 1),
        (("a", "b"), 0, 1),
        (("a", "b"), 1, 0),
    ],
)
def test_a_gray_picture_is_told_from_a_last_mask_of_its_shape(
    ends: tuple[str, str], state: int, picture: int
) -> None:
    gray = ModelSpec(16, 16, channels=Channels.GRAY, state=StateSpec(state))
    places = place_inputs([End(name, (16, 16, 1)) for name in ends], gray)
    assert (places.picture, places.state) == (picture, 1 - picture)


def test_without_arrays_the_others_are_noise_of_0_to_1() -> None:
    picture, trimap, level = fill_inputs(
        np.zeros((3, 16, 16, 3), np.float32), [PHOTO, TRIMAP, LEVEL], SPEC
    )
    assert (trimap.shape, level.shape, len(picture)) == ((3, 16, 16, 1), (3, 1), 3)
    assert trimap.min() >= 0
    assert 0.9 < trimap.max() <= 1
    assert len(np.unique(level)) == 3
    drawn = draw_others(SPEC, 3, seed=1)
    assert not np.array_equal(drawn["trimap"], trimap)
    assert np.array_equal(drawn["trimap"], draw_others(SPEC, 3, seed=1)["trimap"])


@pytest.mark.parametrize(
    ("name", "plain"),
    [("trimap", "trimap"), ("serving_default_a:0", "a"), ("a-b/c:1", "a_b_c"), ("r1:0", "r1")],
)
def test_names_are_told_without_what_converters_add(name: str, plain: str) -> None:
    assert plain_name(name) == plain
