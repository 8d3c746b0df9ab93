"""Nearest-neighbour upsampling on its own: copies of pixels, by any whole factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.choice import cost
from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.costs.costed_op import FLOAT32
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras import nearest_upsampling
from portrait_tflite.convert.rewrites.keras.nearest_upsampling import NearestUpsampling
from portrait_tflite.convert.rewrites.keras.site import Site

Build = Callable[..., Any]
REWRITE = NearestUpsampling()
SPELLINGS = ("UpSampling2D", "Resizing", "image.resize")


def _net(size: tuple[int, int, int], factors: tuple[int, int], spelling: str) -> keras.Model:
    x = keras.Input(size)
    target = (size[0] * factors[0], size[1] * factors[1])
    if spelling == "UpSampling2D":
        y = layers.UpSampling2D(factors, name="up")(x)
    elif spelling == "Resizing":
        y = layers.Resizing(*target, interpolation="nearest", name="up")(x)
    else:
        y = keras.ops.image.resize(x, target, interpolation="nearest")
    return keras.Model(x, y)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(
    spelling=st.sampled_from(SPELLINGS),
    factors=st.tuples(st.integers(1, 16), st.integers(1, 16)) | st.sampled_from([(2, 2), (8, 8)]),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3)),
)
def test_every_form_repeats_pixels_exactly(
    every_form: Build, spelling: str, factors: tuple[int, int], size: tuple[int, int, int]
) -> None:
    errors = every_form(_net(size, factors, spelling), REWRITE)
    doubling = factors[0] == factors[1] and factors[0] in (1, 2, 4, 8, 16)
    assert list(errors) == [
        *["copies"] * doubling,
        "rows",
        *["resize"] * (spelling == "UpSampling2D"),  # the others are one
    ]
    assert max(errors.values()) == 0


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_copies_double_step_by_step(rewrite_with: Build, factor: int) -> None:
    outcome = rewrite_with(_net((3, 2, 2), (factor, factor), "UpSampling2D"), (REWRITE,))
    assert (outcome.forms, outcome.error) == (["copies"], 0)
    assert outcome.ops.count("Concatenate") == factor.bit_length() - 1


@pytest.mark.parametrize("size", [(5, 8), (2, 4), (6, 7)])
def test_uneven_factors_are_refused(refusal_of: Build, size: tuple[int, int]) -> None:
    x = keras.Input((3, 4, 2))
    model = keras.Model(x, layers.Resizing(*size, interpolation="nearest", name="up")(x))
    assert refusal_of(model, REWRITE) == f"(3, 4) to {size}: no whole factors"


@pytest.mark.parametrize(
    "layer",
    [
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Resizing(6, 8),
        layers.Resizing(6, 8, interpolation="nearest", crop_to_aspect_ratio=True),
        layers.Resizing(6, 8, interpolation="nearest", pad_to_aspect_ratio=True),
        layers.ZeroPadding2D(2),
    ],
)
def test_other_layers_are_none_of_its_business(layer: Any) -> None:
    x = keras.Input((3, 4, 2))
    graph = trace(keras.Model(x, layer(x)))
    assert REWRITE.match(graph.output, graph.uses()) is None


@pytest.mark.parametrize("form", ["copies", "rows"])
def test_the_verifier_catches_copies_of_the_wrong_pixels(
    verdict_on: Build, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    model = _net((3, 4, 2), (2, 2), "UpSampling2D")
    assert verdict_on(model, REWRITE, form, "up") == ""
    join = nearest_upsampling.join

    def by_width(name: str, values: Any, axis: int) -> Any:
        """Concatenate side by side what belongs into the channels, in the same shape."""
        wide = join(name, values, 2)
        height, width, depth = wide.shape[1:]
        shape = (height, width // len(values), depth * len(values))
        layer = layers.Reshape(shape)
        return nearest_upsampling_apply(name, layer, wide)

    monkeypatch.setattr(nearest_upsampling, "join", by_width)
    assert f"verification failed: {form} differs by" in verdict_on(model, REWRITE, form, "up")


def nearest_upsampling_apply(name: str, layer: Any, value: Any) -> Any:
    from portrait_tflite.convert.graph import apply_op

    return apply_op(f"{name}_wrong", layer, value)


@pytest.mark.parametrize(
    ("form", "factors"), [("copies", (4, 4)), ("rows", (3, 2)), ("rows", (8, 1)), ("rows", (1, 2))]
)
def test_the_file_is_what_the_form_says(
    export_form: Build, form: str, factors: tuple[int, int]
) -> None:
    data, taken = export_form(_net((16, 16, 8), factors, "UpSampling2D"), REWRITE, form)
    audit = audit_model(data)
    assert (audit.xnnpack.partitions, audit.xnnpack.outside) == (1, ())
    table = CostTable.load("arm64")
    expected = cost(taken, table, FLOAT32) * 1e6 + table.call
    assert predict(data, table).cycles == pytest.approx(expected, rel=0.03)


def test_a_gpu_gets_one_op(export_form: Build) -> None:
    data, _ = export_form(_net((4, 5, 3), (2, 3), "UpSampling2D"), REWRITE, "resize")
    audit = audit_model(data)
    assert (audit.ops, audit.gpu.outside) == ({"RESIZE_NEAREST_NEIGHBOR": 1}, ())


def test_copies_of_a_factor_of_4_double_twice() -> None:
    graph = trace(_net((3, 4, 2), (4, 4), "UpSampling2D"))
    site = REWRITE.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    ops = [(op.kind, op.positions, op.channels_out) for op in site.forms[0].ops]
    first = [("CONCATENATION", 12, 2)] * 4 + [("DEPTH_TO_SPACE", 48, 2)]
    assert ops == [*first, *[("CONCATENATION", 48, 2)] * 4, ("DEPTH_TO_SPACE", 192, 2)]
