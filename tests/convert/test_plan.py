"""From what the user asks for to a rewritten graph, and plans that are written and read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers

from portrait_tflite.convert.choice import CheapestForm, EveryExactForm, PlannedForm
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.plan import (
    RewriteRequest,
    chooser_for,
    mask_spec,
    plan_of,
    read_plans,
    require_met,
    require_plans,
    rewrite_for,
)
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import (
    Activation,
    Approximation,
    Delegate,
    ModelSpec,
    OutputSpec,
    RewriteMode,
)

Build = Callable[..., Any]
XNNPACK, GPU = Delegate.XNNPACK, Delegate.GPU
RESIZE = RewriteRequest(approximate=frozenset({Approximation.RESIZE}))


def _net(randomized: Build) -> keras.Model:
    # Wide enough that one convolution per phase is the cheapest form on a CPU.
    x = keras.Input((6, 6, 16))
    y = layers.Conv2DTranspose(32, 4, strides=2, padding="same", activation="relu", name="up")(x)
    y = layers.Conv2DTranspose(4, 2, strides=2, name="last")(y)
    return randomized(keras.Model(x, layers.Conv2D(1, 1, name="mask")(y)))


@pytest.mark.parametrize(
    ("mode", "delegate", "forms"),
    [
        ("auto", XNNPACK, {"up": "phases", "last": "subpixel"}),
        ("auto", GPU, {"up": "subpixel", "last": "subpixel"}),
        ("exact", XNNPACK, {"up": "subpixel", "last": "subpixel"}),
        ("resize", XNNPACK, {"up": "resize_depthwise", "last": "resize_depthwise"}),
        ("none", XNNPACK, {}),
    ],
)
def test_a_mode_takes_its_forms(
    randomized: Build, images_for: Build, mode: str, delegate: Delegate, forms: dict[str, str]
) -> None:
    model = _net(randomized)
    request = RESIZE if mode == "resize" else RewriteRequest(RewriteMode(mode))
    rewritten = rewrite_for(trace(model), delegate, request, images_for(model))
    assert {r.layer: r.chosen for r in rewritten.records} == forms


def test_a_plan_that_was_written_is_replayed(
    randomized: Build, images_for: Build, tmp_path: Path
) -> None:
    model = _net(randomized)
    graph, images = trace(model), images_for(model)
    first = rewrite_for(graph, GPU, RewriteRequest(), images)
    path = tmp_path / "rewrites.json"
    path.write_text(json.dumps({"schema": 1, "plans": {"gpu": plan_of(first)}}))
    plans = read_plans(path)
    # Whatever the mode is, the plan decides; a delegate that it lacks is not rewritten.
    request = RewriteRequest(RewriteMode.NONE, plans=plans)
    again = rewrite_for(graph, GPU, request, images)
    assert plan_of(again) == plan_of(first)
    assert [r.max_abs_error for r in again.records] == [r.max_abs_error for r in first.records]
    assert rewrite_for(graph, XNNPACK, request, images).records == ()


@pytest.mark.parametrize(
    ("rewrite", "layer"), [("transposed_convolution", "upper"), ("transposed", "up")]
)
def test_what_a_plan_names_must_be_there(
    randomized: Build, images_for: Build, rewrite: str, layer: str
) -> None:
    model = _net(randomized)
    known = {("transposed_convolution", "up"): "subpixel"}
    for plan, text in ((known, ""), (known | {(rewrite, layer): "subpixel"}, f"{rewrite} at")):
        request = RewriteRequest(plans={XNNPACK: plan})
        done = rewrite_for(trace(model), XNNPACK, request, images_for(model))
        if not text:
            require_met(request, XNNPACK, done)
            continue
        with pytest.raises(UsageError, match=rf"Received, for xnnpack: {text} layer '{layer}'"):
            require_met(request, XNNPACK, done)


def test_what_was_left_out_by_name_need_not_be_found(randomized: Build, images_for: Build) -> None:
    model = _net(randomized)
    plan = {("transposed_convolution", "up"): "subpixel"}
    request = RewriteRequest(plans={XNNPACK: plan}, dropped=("transposed_convolution",))
    done = rewrite_for(trace(model), XNNPACK, request, images_for(model))
    assert done.records == ()
    require_met(request, XNNPACK, done)


def test_a_plan_is_for_all_that_is_made() -> None:
    require_plans(None, [XNNPACK, GPU])
    require_plans({XNNPACK: {}, GPU: {}}, [XNNPACK])
    with pytest.raises(UsageError, match=r"a plan for gpu, .* Received: plans for xnnpack\."):
        require_plans({XNNPACK: {}}, [XNNPACK, GPU])


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "[]",
        '{"plans": {}}',
        '{"schema": 2, "plans": {}}',
        '{"schema": 1, "plans": {}, "more": 1}',
        '{"schema": 1, "plans": {"npu": []}}',
        '{"schema": 1, "plans": []}',
        '{"schema": 1, "plans": {"gpu": [{"rewrite": "a", "layer": "b"}]}}',
        '{"schema": 1, "plans": {"gpu": [{"rewrite": "a", "layer": "b", "form": "c", "x": 1}]}}',
        '{"schema": 1, "plans": {"gpu": [1]}}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_plan_is_a_usage_error(tmp_path: Path, data: str | bytes) -> None:
    path = tmp_path / "rewrites.json"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(UsageError, match=r"--rewrite-plan must be .* Received: .*rewrites\.json"):
        read_plans(path)


def test_a_missing_plan_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Received: .*none.json"):
        read_plans(tmp_path / "none.json")


def test_the_chooser_follows_the_request() -> None:
    assert chooser_for(GPU, RewriteRequest()) == CheapestForm(GPU)
    assert chooser_for(GPU, RESIZE) == CheapestForm(GPU, RESIZE.approximate)
    assert isinstance(chooser_for(GPU, RewriteRequest(RewriteMode.EXACT)), EveryExactForm)
    planned = chooser_for(GPU, RewriteRequest(RewriteMode.EXACT, plans={GPU: {("a", "b"): "c"}}))
    assert isinstance(planned, PlannedForm)
    assert planned.forms == {("a", "b"): "c"}


def test_the_masks_spec_has_nothing_left_to_choose() -> None:
    spec = ModelSpec(8, 6, output=OutputSpec(1, 2, Activation.SIGMOID))
    assert mask_spec(spec) == ModelSpec(8, 6)


def test_forms_that_the_graph_chose_stay_in_its_files() -> None:
    """--rewrite-plan and --tune may keep a transposed convolution that the table finds dearer."""
    name = "transposed_to_depth"
    usual = RewriteRequest()
    assert name in [one.name for one in usual.flatbuffer]
    assert name not in [one.name for one in usual.behind_keras]
    without = RewriteRequest(dropped=("transposed_convolution",))
    assert name in [one.name for one in without.behind_keras]
