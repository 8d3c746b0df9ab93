"""Which input takes the previous mask, and which output it comes from: by shape, never a guess."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.loading.load import LoadedModel, LoadOptions, load_model
from portrait_tflite.convert.network_inputs import End, fill_inputs, find_picture
from portrait_tflite.convert.plan import mask_graph, mask_spec
from portrait_tflite.convert.previous_mask import find_state
from portrait_tflite.errors import ConversionError, UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Channels, Delegate, ModelSpec, OutputSpec, StateSpec

Build = Callable[..., Any]
PHOTO, OLD = End("photo", (16, 16, 3)), End("old_mask", (16, 16, 1))
MASK, HALF = End("mask", (16, 16, 1)), End("coarse", (8, 8, 1))


def test_one_input_is_the_picture() -> None:
    assert find_picture([PHOTO], "net") == 0
    assert find_state([PHOTO], [MASK], 0, "net") is None


@pytest.mark.parametrize("swapped", [False, True])
def test_the_input_of_one_channel_is_the_previous_mask(swapped: bool) -> None:
    inputs = [OLD, PHOTO] if swapped else [PHOTO, OLD]
    assert find_picture(inputs, "net") == int(swapped)
    state = find_state(inputs, [MASK], 0, "net")
    assert state == StateSpec(0 if swapped else 1, None, 0.0, 0)


def test_a_fourth_channel_is_the_previous_mask() -> None:
    state = find_state([End("photo", (16, 16, 4))], [HALF, MASK], 1, "net")
    assert state == StateSpec(0, 3, 0.0, 1)


@pytest.mark.parametrize(
    ("outputs", "mask", "origin"),
    [
        ([MASK], 0, 0),
        ([HALF, MASK], 1, 1),
        # The mask is coarser than what is fed back, which is another output then.
        ([HALF, End("refined", (16, 16, 1))], 0, 1),
        ([HALF], 0, 0),
        # Both fit; a name tells.
        ([End("aux", (16, 16, 1)), MASK], 1, 1),
        ([End("old", (16, 16, 1)), End("person", (16, 16, 1))], 1, 0),
    ],
)
def test_the_output_that_is_fed_back(outputs: list[End], mask: int, origin: int) -> None:
    state = find_state([PHOTO, OLD], outputs, mask, "net")
    assert state is not None
    assert state.from_output == origin


@pytest.mark.parametrize(
    "inputs",
    [
        [PHOTO, OLD, End("older", (16, 16, 1))],
        [PHOTO, End("background", (16, 16, 3))],
        [PHOTO, End("vector", (16,))],
        [PHOTO, End("features", (16, 16, 8))],
        [PHOTO, End("old", (4, 4, 1))],
        [PHOTO, End("trimap", (16, 16, 1))],
    ],
)
def test_anything_else_is_no_last_mask(inputs: list[End]) -> None:
    assert find_state(inputs, [MASK], 0, "net") is None


def test_what_calibration_has_an_array_for_is_no_last_mask() -> None:
    assert find_state([PHOTO, OLD], [MASK], 0, "net", ["images"]) is not None
    assert find_state([PHOTO, OLD], [MASK], 0, "net", ["images", "old_mask"]) is None


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([PHOTO, OLD], [MASK, End("mask_2", (16, 16, 1))]),
        ([PHOTO, End("x", (16, 16, 1))], [MASK, End("y", (16, 16, 1))]),
    ],
)
def test_one_output_must_be_what_is_fed_back(inputs: list[End], outputs: list[End]) -> None:
    with pytest.raises(ConversionError, match=r"one output that is fed back .* fit\. .*npz"):
        find_state(inputs, outputs, 0, "net")


def _spec(state: StateSpec) -> ModelSpec:
    return ModelSpec(16, 16, state=state)


def test_a_picture_is_fed_with_the_state_as_it_begins() -> None:
    picture = np.ones((2, 16, 16, 3), np.float32)
    inputs = [End("old", (8, 8, 1)), PHOTO]
    state, fed = fill_inputs(picture, inputs, _spec(StateSpec(0, initial=0.25)))
    assert fed is picture
    np.testing.assert_array_equal(state, np.full((2, 8, 8, 1), 0.25, np.float32))
    assert fill_inputs(picture, [PHOTO]) == [picture]
    assert fill_inputs(picture, [PHOTO], _spec(StateSpec(0, 3))) == [picture]


def test_the_last_mask_is_brought_to_the_size_of_the_state() -> None:
    last = np.zeros((4, 4), np.float32)
    last[:, 2:] = 1
    picture = np.zeros((1, 16, 16, 4), np.float32)
    inputs = [End("old", (8, 8, 1)), PHOTO]
    state, _ = fill_inputs(picture[..., :3], inputs, _spec(StateSpec(0)), last)
    assert state.shape == (1, 8, 8, 1)
    assert state[0, 0, :, 0].tolist() == [0, 0, 0, 0.25, 0.75, 1, 1, 1]
    (filled,) = fill_inputs(picture, [End("photo", (16, 16, 4))], _spec(StateSpec(0, 3)), last)
    assert filled[0, 0, ::5, 3].tolist() == [0, 0, 1, 1]
    assert not filled[..., :3].any()
    assert not picture.any()


def _net(size: int | None = 16, *, swapped: bool = False, heads: int = 1) -> keras.Model:
    photo = keras.Input((size, size, 3), name="photo")
    old = keras.Input((size, size, 1), name="old_mask")
    x = layers.Concatenate()([photo, old])
    x = layers.Conv2D(4, 3, padding="same", bias_initializer="uniform", name="mix")(x)
    names = ("person", "next_old")[:heads]
    outputs = [layers.Conv2D(1, 1, activation="sigmoid", name=name)(x) for name in names]
    return keras.Model([old, photo] if swapped else [photo, old], outputs)


def _load(path: Path, model: keras.Model, **options: Any) -> LoadedModel:
    model.save(path)
    return load_model(str(path), LoadOptions(input_range=(0.0, 1.0), **options))


@pytest.mark.parametrize("swapped", [False, True])
def test_the_picture_becomes_the_first_input(
    randomized: Build, tmp_path: Path, swapped: bool
) -> None:
    model = randomized(_net(swapped=swapped))
    loaded = _load(tmp_path / "net.keras", model)
    assert [tensor.shape[-1] for tensor in loaded.model.inputs] == [3, 1]
    assert loaded.spec.state == StateSpec(1)
    rng = np.random.default_rng(0)
    photo, old = (rng.random((1, 16, 16, n)).astype(np.float32) for n in (3, 1))
    given = [old, photo] if swapped else [photo, old]
    np.testing.assert_allclose(loaded.model([photo, old]), model(given), atol=1e-6)


def test_another_size_is_that_of_both_inputs(randomized: Build, tmp_path: Path) -> None:
    for native in (16, None):
        loaded = _load(tmp_path / "net.keras", randomized(_net(native)), size=(24, 32))
        assert [t.shape[1:] for t in loaded.model.inputs] == [(24, 32, 3), (24, 32, 1)]


def test_four_channels_need_their_order(randomized: Build, tmp_path: Path) -> None:
    image = keras.Input((16, 16, 4))
    model = randomized(keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(image)))
    loaded = _load(tmp_path / "net.keras", model, channels=Channels.BGR, mean=(0.1, 0.2, 0.3))
    assert (loaded.spec.state, loaded.spec.depth) == (StateSpec(0, 3), 4)
    for channels in (None, Channels.GRAY):
        with pytest.raises(UsageError, match=r"or of 4 with --channels rgb"):
            _load(tmp_path / "net.keras", model, channels=channels)


def test_a_rescaling_of_colours_and_mask_states_no_range(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 4))
    x = layers.Conv2D(1, 1, activation="sigmoid")(layers.Rescaling(1 / 255)(image))
    keras.Model(image, x).save(tmp_path / "net.keras")
    with pytest.raises(UsageError, match="--input-range is required"):
        load_model(str(tmp_path / "net.keras"), LoadOptions(channels=Channels.RGB))


@pytest.mark.parametrize("heads", [1, 2])
def test_the_file_takes_and_gives_the_state_in_second_place(
    randomized: Build, tmp_path: Path, heads: int
) -> None:
    model = randomized(_net(heads=heads))
    loaded = _load(tmp_path / "net.keras", model, output=0)
    assert loaded.spec.state == StateSpec(1, from_output=heads - 1)
    graph, _ = mask_graph(loaded.model, loaded.spec)
    assert mask_spec(loaded.spec).state == StateSpec(1, from_output=heads - 1)
    runner = open_model(Export(graph).convert(), Delegate.CPU)
    assert [info.name for info in runner.inputs] == ["image", "state"]
    assert [info.name for info in runner.outputs] == ["mask", "next_state"][:heads]
    rng = np.random.default_rng(0)
    frame = [rng.random((1, 16, 16, n)).astype(np.float32) for n in (3, 1)]
    expected = keras.tree.flatten(model(frame))
    assert heads == 1 or float(np.abs(expected[0] - expected[1]).max()) > 0.1
    for found, wanted in zip(runner.run(*frame), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_an_output_that_nothing_needs_is_not_in_the_file(randomized: Build, tmp_path: Path) -> None:
    photo, old = keras.Input((16, 16, 3)), keras.Input((16, 16, 1))
    x = layers.Concatenate()([photo, old])
    heads = [layers.Conv2D(n, 1, strides=n, name=f"head{n}")(x) for n in (1, 2)]
    loaded = _load(
        tmp_path / "net.keras", randomized(keras.Model([photo, old], heads)), output=0,
        activation="sigmoid",
    )  # fmt: skip
    graph, _ = mask_graph(loaded.model, loaded.spec)
    assert "head2" not in [node.name for node in graph.nodes()]
    assert mask_spec(loaded.spec).output == OutputSpec()
    runner = open_model(Export(graph).convert(), Delegate.CPU)
    assert (len(runner.inputs), len(runner.outputs)) == (2, 1)
