"""Normalizations, log-softmax and powers, computed by what XNNPACK has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer import spelled_out
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op
from portrait_tflite.convert.rewrites.flatbuffer.spelled_out import SpelledOut
from portrait_tflite.runtime import open_model

from .drawing import many

Build = Callable[..., Any]
SHAPE = (1, 8, 8, 4)
FLOAT = (SHAPE, "float32", None, 0)
OPTIONS = {
    "L2_NORMALIZATION": schema.L2NormOptionsT(),
    "LOG_SOFTMAX": schema.LogSoftmaxOptionsT(),
    "POW": schema.PowOptionsT(),
}
# What the integer kernels write in.
OUTPUTS = {"L2_NORMALIZATION": (1 / 128, 0), "LOG_SOFTMAX": (16 / 256, 127)}
OPS = {
    "L2_NORMALIZATION": ["MUL", "SUM", "MAXIMUM", "RSQRT", "MUL"],
    "LOG_SOFTMAX": ["REDUCE_MAX", "SUB", "EXP", "SUM", "LOG", "SUB"],
}


@many
@given(
    op=st.sampled_from(sorted(OPS)),
    channels=st.integers(2, 9),
    form=st.one_of(st.none(), st.tuples(st.floats(0.002, 0.2), st.integers(-128, 127))),
)
def test_every_tensor_is_computed_by_hand(
    one_op: Build, mend_with: Build, op: str, channels: int, form: Any
) -> None:
    shape = (1, 8, 8, channels)
    x = (shape, "int8", *form) if form else (shape, "float32", None, 0)
    y = (shape, "int8", *OUTPUTS[op]) if form else x
    data = one_op(op, x, y, version=2 if form else 1, options=OPTIONS[op])
    result = mend_with(data, SpelledOut())
    assert result.ops == (["DEQUANTIZE", *OPS[op], "QUANTIZE"] if form else OPS[op])
    assert result.steps <= (1 if form else 1e-5)


@pytest.mark.parametrize(
    ("exponent", "ops"), [(3.0, ["MUL", "MUL"]), (4.0, ["MUL", "MUL"]), (0.5, ["SQRT"])]
)
def test_a_power_is_a_product_or_a_root(
    one_op: Build, mend_with: Build, exponent: float, ops: list[str]
) -> None:
    constant = ((1,), "float32", None, 0, [exponent])
    data = one_op("POW", FLOAT, FLOAT, constant, version=1, options=OPTIONS["POW"])
    model = mend_with(data, SpelledOut(), accept if exponent == 0.5 else None)
    assert model.ops == ops
    positive = np.abs(np.random.default_rng(1).normal(0, 3, SHAPE)).astype(np.float32)
    before, after = (open_model(one).run(positive)[0] for one in (data, model.data))
    np.testing.assert_allclose(after, before, rtol=1e-5)


@pytest.mark.parametrize(
    ("op", "kind"),
    [("L2_NORMALIZATION", "int8"), ("L2_NORMALIZATION", "float32"), ("LOG_SOFTMAX", "float32")],
)
def test_nothing_is_outside(one_op: Build, op: str, kind: str) -> None:
    form = (0.05, 3) if kind == "int8" else (None, 0)
    out = OUTPUTS[op] if kind == "int8" else (None, 0)
    version = 2 if kind == "int8" else 1
    x, y = ((SHAPE, kind, *one) for one in (form, out))
    data = one_op(op, x, y, version=version, options=OPTIONS[op])
    assert [node.op for node in open_model(data).outside] == [op]
    result = mend_model(data, rewrites=(SpelledOut(),))
    assert [record.rewrite for record in result.records] == ["spelled_out"]
    assert open_model(result.data).outside == ()


def test_an_int8_log_softmax_stays(one_op: Build) -> None:
    """In float it counts 1.4 times as much as the built-in kernel takes."""
    x, y = (SHAPE, "int8", 0.05, 3), (SHAPE, "int8", *OUTPUTS["LOG_SOFTMAX"])
    data = one_op("LOG_SOFTMAX", x, y, version=2, options=OPTIONS["LOG_SOFTMAX"])
    result = mend_model(data, rewrites=(SpelledOut(),))
    assert (result.data, result.records) == (data, ())
    # It is the cost that speaks against it.
    assert SpelledOut().apply(read_model(data), accept).mended


@pytest.mark.parametrize("exponents", [[2.5], [3.0, 3.0, 3.0, 2.0]])
def test_other_powers_stay(one_op: Build, mend_with: Build, exponents: list[float]) -> None:
    constant = ((len(exponents),), "float32", None, 0, exponents)
    data = one_op("POW", FLOAT, FLOAT, constant, version=1, options=OPTIONS["POW"])
    result = mend_with(data, SpelledOut(), accept)
    assert (result.done, result.refusals) == (False, [])


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("form", [(None, 0), (0.05, 3)])
def test_a_broken_one_is_caught(
    one_op: Build, mend_with: Build, monkeypatch: pytest.MonkeyPatch, op: str, form: Any
) -> None:
    wrong = {"RSQRT": "SQRT", "LOG": "EXP"}
    monkeypatch.setattr(spelled_out, "Op", lambda name, *others: Op(wrong.get(name, name), *others))
    kind = "float32" if form[0] is None else "int8"
    out = (None, 0) if form[0] is None else OUTPUTS[op]
    x, y = ((SHAPE, kind, *one) for one in (form, out))
    data = one_op(op, x, y, version=1 if form[0] is None else 2, options=OPTIONS[op])
    result = mend_with(data, SpelledOut())
    assert not result.done
    assert "the output moves by" in result.refusals[0]
