"""Loading Keras networks that take more than the picture: order, sizes, names."""

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
from portrait_tflite.convert.plan import mask_graph, mask_spec
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, OtherInput, StateSpec

Build = Callable[..., Any]


def _net(size: int | None = 16, *, named: bool = False) -> keras.Model:
    """Take a picture, a trimap and two numbers, in another order than ours."""
    photo = keras.Input((size, size, 3), name="photo")
    trimap = keras.Input((size, size, 1), name="tri-map")
    levels = keras.Input((2,), name="levels")
    x = layers.Conv2D(4, 3, padding="same")(layers.Concatenate()([photo, trimap]))
    x = layers.Multiply()([x, layers.Reshape((1, 1, 4))(layers.Dense(4)(levels))])
    mask = layers.Conv2D(1, 1, activation="sigmoid", name="person")(x)
    inputs = [levels, trimap, photo]
    if named:
        return keras.Model({tensor.name: tensor for tensor in inputs}, {"alpha": mask})
    return keras.Model(inputs, mask)


def _load(path: Path, model: keras.Model, **options: Any) -> LoadedModel:
    model.save(path)
    return load_model(str(path), LoadOptions(input_range=(0.0, 1.0), **options))


@pytest.mark.parametrize("named", [False, True])
def test_the_picture_comes_first_and_each_keeps_its_place(
    randomized: Build, tmp_path: Path, named: bool
) -> None:
    model = randomized(_net(named=named))
    loaded = _load(tmp_path / "net.keras", model)
    assert {other.name: other.shape for other in loaded.spec.others} == {
        "levels": (2,),
        "tri_map": (16, 16, 1),
    }
    assert sorted(other.input for other in loaded.spec.others) == [1, 2]
    assert loaded.spec.picture_input == 0
    rng = np.random.default_rng(0)
    shapes = {tensor.name: (1, *tensor.shape[1:]) for tensor in loaded.model.inputs}
    given = {name: rng.random(shape).astype(np.float32) for name, shape in shapes.items()}
    expected = model(given if named else [given[tensor.name] for tensor in model.inputs])
    (expected,) = keras.tree.flatten(expected)
    assert next(iter(given)) == "photo"
    found = loaded.model(list(given.values()))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    graph, _ = mask_graph(loaded.model, loaded.spec)
    assert mask_spec(loaded.spec).others == loaded.spec.others
    runner = open_model(Export(graph).convert(), Delegate.CPU)
    names = [info.name for info in runner.inputs]
    assert names == ["image", *(other.name for other in loaded.spec.others)]
    np.testing.assert_allclose(runner.run(*given.values())[0], expected, atol=1e-5)


@pytest.mark.parametrize("native", [None, 16])
def test_another_size_is_that_of_all_maps_and_of_no_vector(
    randomized: Build, tmp_path: Path, native: int | None
) -> None:
    loaded = _load(tmp_path / "net.keras", randomized(_net(native)), size=(24, 32))
    assert loaded.spec.others == (
        OtherInput(1, "levels", (2,)),
        OtherInput(2, "tri_map", (24, 32, 1)),
    )


def test_an_array_makes_of_a_last_mask_what_its_owner_says(
    randomized: Build, tmp_path: Path
) -> None:
    photo, old = keras.Input((16, 16, 3), name="photo"), keras.Input((16, 16, 1), name="hint")
    mask = layers.Conv2D(1, 1, activation="sigmoid")(layers.Concatenate()([photo, old]))
    model = randomized(keras.Model([photo, old], mask))
    loaded = _load(tmp_path / "net.keras", model)
    assert (loaded.spec.state, loaded.spec.others) == (StateSpec(1), ())
    loaded = _load(tmp_path / "net.keras", model, arrays=("images", "hint"))
    assert loaded.spec.state is None
    assert loaded.spec.others == (OtherInput(1, "hint", (16, 16, 1)),)


def test_features_that_are_given_back_are_outputs_of_the_file(
    randomized: Build, tmp_path: Path
) -> None:
    photo = keras.Input((16, 16, 3), name="photo")
    old, trimap = keras.Input((8, 8, 4), name="r"), keras.Input((16, 16, 1), name="trimap")
    x = layers.Concatenate()([layers.Conv2D(4, 3, 2, padding="same")(photo), old])
    new = layers.Conv2D(4, 3, padding="same", name="r_out")(x)
    wide = layers.Concatenate()([layers.UpSampling2D()(new), trimap])
    masks = [layers.Conv2D(1, 1, activation="sigmoid", name=name)(wide) for name in ("aux", "fine")]
    model = randomized(keras.Model([photo, old, trimap], [masks[0], new, masks[1]]))
    loaded = _load(tmp_path / "net.keras", model, output=2)
    graph, _ = mask_graph(loaded.model, loaded.spec)
    # The auxiliary mask has the shape of the trimap, and is for training alone.
    assert graph.output_names == ("mask", "r_out")
    runner = open_model(Export(graph).convert(), Delegate.CPU)
    assert [info.shape for info in runner.outputs] == [(1, 16, 16, 1), (1, 8, 8, 4)]
