"""Rewrites of finished files: each alone, and the byte check over them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from portrait_tflite.convert.flatbuffer import read_model
from portrait_tflite.convert.flatbuffer_nodes import Node, list_nodes, op_names
from portrait_tflite.convert.mend import REWRITES, mend_model
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import QUANTIZE
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite, Match
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Level

Build = Callable[..., Any]
RunOnce = Callable[[bytes], list[bytes]]


# RELU → QUANTIZE


def test_relus_become_quantize_and_one_partition(relu_net: Build, run_once: RunOnce) -> None:
    data = relu_net()
    result = mend_model(data)
    assert op_names(read_model(result.data)) == [
        "CONV_2D", "QUANTIZE", "CONV_2D", "QUANTIZE", "CONV_2D"
    ]  # fmt: skip
    assert open_model(data).partitions == 3
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert run_once(result.data) == run_once(data)
    assert [(r.rewrite, r.level, r.layer, r.exact) for r in result.records] == [
        ("relu_to_quantize", Level.FLATBUFFER, "relu_0", True),
        ("relu_to_quantize", Level.FLATBUFFER, "relu_1", True),
    ]
    assert result.skipped == ()


def test_the_quantize_is_one_that_runtimes_know(relu_net: Build) -> None:
    nodes = list_nodes(read_model(mend_model(relu_net()).data))
    assert [node.version for node in nodes if node.op == "QUANTIZE"] == [2, 2]


def test_a_relu_that_xnnpack_would_refuse_as_a_quantize_stays(relu_net: Build) -> None:
    data = relu_net(scale=10.0)
    result = mend_model(data)
    assert result.data is data
    assert result.records == ()
    assert len(result.skipped) == 2
    assert all("scale ratio" in skipped.reason for skipped in result.skipped)


def test_a_relu6_that_cuts_nothing_off_is_mended(relu_net: Build) -> None:
    result = mend_model(relu_net(relu="RELU6", scale=0.02))  # 255 steps reach 5.1
    assert open_model(result.data).partitions == 1


def test_a_float_relu_is_none_of_its_business(float_net: Build) -> None:
    data = float_net()
    assert mend_model(data) == (result := mend_model(data))
    assert (result.data, result.records, result.skipped) == (data, (), ())


# the byte check


class _Rounder(FlatbufferRewrite):
    """A broken rewrite: drops a clamp that is needed."""

    name = "broken"

    def match(self, model: Any, node: Node) -> Match | None:
        return Match("so it seems") if node.op == "RELU" else None

    def change(self, model: Any, node: Node, match: Match) -> None:
        built = Replacement(model, node)
        built.op(QUANTIZE, [node.given()[0].index])
        built.finish()


class _Wrecker(_Rounder):
    """A broken rewrite: leaves a file that does not load."""

    name = "wrecker"

    def change(self, model: Any, node: Node, match: Match) -> None:
        model.subgraphs[0].operators[node.index].inputs = np.array([], np.int32)


@pytest.mark.parametrize(
    ("broken", "reason"), [(_Rounder(), "not byte-equal"), (_Wrecker(), "refuses the result")]
)
def test_a_broken_rewrite_is_undone_and_reported(
    relu_net: Build, broken: FlatbufferRewrite, reason: str
) -> None:
    data = relu_net(zero_point=0)
    result = mend_model(data, rewrites=(broken, *REWRITES))
    assert broken.name not in {record.rewrite for record in result.records}
    undone = [skipped for skipped in result.skipped if skipped.rewrite == broken.name]
    assert [skipped.layer for skipped in undone] == ["relu_0", "relu_1"]
    assert all(reason in skipped.reason for skipped in undone)


def test_a_broken_rewrite_does_not_spoil_the_next(relu_net: Build) -> None:
    result = mend_model(relu_net(), rewrites=(_Wrecker(), *REWRITES))
    assert {record.rewrite for record in result.records} == {"relu_to_quantize"}
    assert open_model(result.data).partitions == 1


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_checks_on_given_images(relu_net: Build, dtype: type) -> None:
    images: list[Any] = [
        np.random.default_rng(n).integers(-2, 2, (1, 8, 8, 4)).astype(dtype) for n in (0, 1)
    ]
    assert len(mend_model(relu_net(), images).records) == 2


def test_garbage_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        mend_model(b"garbage")
