"""Plain `TFLiteConverter` keeps all outputs of a model; the mask is found among them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import numpy as np
import pytest

from portrait_tflite import deadly_ops
from portrait_tflite.convert.loading.load import LoadedModel
from portrait_tflite.errors import ConversionError
from portrait_tflite.pipeline import baselines
from portrait_tflite.pipeline.baselines import (
    Baselines,
    build_baselines,
    naive_cost,
    spec_of_baseline,
)
from portrait_tflite.quantize.accuracy.remembering import tflite_predictor
from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.variants import build_naive
from portrait_tflite.vocabulary import IoType, ModelSpec, OutputSpec

_SIZE = 8
_SPEC = ModelSpec(height=_SIZE, width=_SIZE)
_OUTPUTS = 12  # the SavedModel's names sort `output_10` before `output_2`


@contextmanager
def _progress(total: int, description: str) -> Iterator[Callable[..., None]]:
    assert total
    assert description
    yield lambda *_: None


def _net(*, by_name: bool) -> keras.Model:
    """A net whose k-th output is `(k + 1) / 16` everywhere."""
    image = keras.Input((_SIZE, _SIZE, 3))
    values = [(k + 1) / 16 for k in range(_OUTPUTS)]
    outputs = [
        keras.layers.Conv2D(
            1,
            1,
            activation="sigmoid",
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(np.log(v / (1 - v))),
        )(image)
        for v in values
    ]
    # The keys of a dictionary are sorted, whatever their order is here.
    named = {f"mask_{chr(ord('a') + k)}": output for k, output in enumerate(outputs)}
    return keras.Model(image, dict(reversed(named.items())) if by_name else outputs)


def _pictures() -> Iterator[list[np.ndarray]]:
    yield [np.random.default_rng(0).random((1, _SIZE, _SIZE, 3), np.float32)]


def _loaded(model: keras.Model, index: int = 0) -> LoadedModel:
    spec = dataclasses.replace(_SPEC, output=OutputSpec(index=index))
    return LoadedModel(model, spec, "", "net", zoo=False)


def _built(model: keras.Model, index: int) -> Baselines:
    return build_baselines(_loaded(model, index), _pictures, _progress)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("index", [0, 1, 2, 10, 11])
def test_the_mask_is_found_among_many_outputs(by_name: bool, index: int) -> None:
    built = _built(_net(by_name=by_name), index)
    assert not built.failed
    for one in built.made.values():
        mask = tflite_predictor(one.data, one.spec)(np.zeros((1, _SIZE, _SIZE, 3), np.float32))
        np.testing.assert_allclose(mask, (index + 1) / 16, atol=1 / 256)


def test_the_converter_does_reorder_them() -> None:
    # Else the tests above could not fail.
    one = _built(_net(by_name=False), 0).made["naive"]
    asked = [dataclasses.replace(_SPEC, output=OutputSpec(index=k)) for k in range(_OUTPUTS)]
    places = [spec_of_baseline(one.data, spec).output.index for spec in asked]
    assert sorted(places) == list(range(_OUTPUTS)) != places


def test_a_model_that_the_converter_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConversionError("no builtin")

    monkeypatch.setattr(baselines, "build_naive", refuse)
    built = _built(_net(by_name=False), 0)
    assert not built.made
    assert [one.reason for one in built.failed] == ["no builtin"] * 2


def test_a_file_that_litert_dies_of_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadly_ops, "find_deadly_op", lambda *_: "an ADD that ends it")
    built = _built(_net(by_name=False), 0)
    assert not built.made
    assert ["an ADD that ends it" in one.reason for one in built.failed] == [True, True]


def test_a_file_that_divides_by_0_in_int8_is_said() -> None:
    image = keras.Input((_SIZE, _SIZE, 3))
    divisor = 1e-3 + 1e3 * keras.ops.relu(image - 0.5) ** 4
    model = keras.Model(image, keras.layers.Activation("sigmoid")(0.3 * image / divisor))
    built = _built(model, 0)
    assert not built.made
    assert ["div.cc" in one.reason for one in built.failed] == [True, True]


def test_what_the_plain_converter_costs_is_asked_once_and_only_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded, calls = _loaded(_net(by_name=False)), []

    def counted(*arguments: object, batch_one: bool, io: IoType = IoType.INT8) -> Built:
        calls.append(batch_one)
        return build_naive(*arguments, batch_one=batch_one, io=io)

    monkeypatch.setattr(baselines, "build_naive", counted)
    cost = naive_cost(loaded, _pictures)
    assert calls == []
    found = cost()
    assert cost() == found > 0
    assert calls == [True]
    made = build_baselines(loaded, _pictures, _progress)
    calls.clear()
    assert naive_cost(loaded, _pictures, baselines=made)() == found
    assert calls == []
    # The baseline has int8 ends; float ones cost two ops more.
    assert naive_cost(loaded, _pictures, IoType.FLOAT32, made)() > found
    assert calls == [True]


def test_a_model_that_the_converter_refuses_bounds_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConversionError("no builtin")

    monkeypatch.setattr(baselines, "build_naive", refuse)
    loaded = _loaded(_net(by_name=False))
    for made in (None, Baselines({}, ())):
        assert naive_cost(loaded, _pictures, baselines=made)() == math.inf
