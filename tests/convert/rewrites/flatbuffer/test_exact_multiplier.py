"""Requantizations whose ratio of scales XNNPACK would round to 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.mending.kernel_agreement import count_differences
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.mending.mend_burden import weigh
from portrait_tflite.convert.rewrites.flatbuffer.exact_multiplier import ExactMultiplier
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import QUANTIZE
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Match, accept

from .drawing import many
from .producers import SHAPE, WEIGHTED, produce

Build = Callable[..., Any]
EVERY_BYTE = (1, 16, 16, 1)
READERS = ["ADD", "DEQUANTIZE", "LEAKY_RELU", "LOGISTIC", *WEIGHTED]
_RESULTS = {"LOGISTIC": (1 / 256, -128)}  # the only form that it has


def _read_by(
    graph: Any, forms: Any, reader: str = "ADD", op: str = "QUANTIZE", dtype: str = "int8"
) -> bytes:
    """Build x → op → y → reader; forms are (scale, zero point) of x and of y."""
    x, y = (
        graph.tensor(f"net/{name}/op", SHAPE, dtype, *form)
        for name, form in zip("xy", forms, strict=True)
    )
    _requantize(graph, op, x, y)
    end = graph.tensor("net/end/op", SHAPE, dtype, *_RESULTS.get(reader, (0.031, 1)))
    if reader == "DEQUANTIZE":
        end = graph.tensor("net/end/op", SHAPE, "float32")
        graph.op(reader, [y], end, 2)
    elif reader == "LOGISTIC":
        graph.op(reader, [y], end, 2)
    else:
        produce(graph, reader, y, end, dtype, forms[1])
    return bytes(graph.build([x], [end]))


def _requantize(graph: Any, op: str, x: int, y: int) -> None:
    graph.op(op, [x], y, 2, schema.LeakyReluOptionsT(alpha=0.25) if op != "QUANTIZE" else None)


def _between(graph: Any, forms: Any, reader: str = "DEQUANTIZE", keep: bool = False) -> bytes:
    """Build x → ADD → z → QUANTIZE → y, which is an output; another op reads z."""
    x, z, y = (
        graph.tensor(f"net/{name}/op", SHAPE, "int8", *form)
        for name, form in zip("xzy", forms, strict=True)
    )
    form = ("float32",) if reader == "DEQUANTIZE" else ("int8", *forms[1])
    other = graph.tensor("net/other/op", SHAPE, *form)
    graph.op("ADD", [x, x], z, 2, schema.AddOptionsT())
    graph.op("QUANTIZE", [z], y, 2)
    graph.op(reader, [z], other, 2)
    return bytes(graph.build([x], [y, other, *([z] if keep else [])]))


def _requantization(data: bytes, op: str = "QUANTIZE") -> Node:
    return next(node for node in list_nodes(read_model(data)) if node.op == op)


def _parts(data: bytes, op: str = "QUANTIZE") -> float:
    """Return the ratio of its scales in 256ths."""
    node = _requantization(data, op)
    return 256 * node.given()[0].scale / node.outputs[0].scale


ratios = st.floats(np.log(0.01), np.log(20)).map(lambda power: float(np.exp(power)))
points = st.integers(-128, 127)


@many
@given(
    ratio=ratios, points=st.tuples(points, points), reader=st.sampled_from(READERS),
    op=st.sampled_from(["QUANTIZE", "LEAKY_RELU"]),
)  # fmt: skip
def test_every_ratio_becomes_one_of_256ths(
    tiny_graph: Build, mend_with: Build, ratio: float, points: Any, reader: str, op: str
) -> None:
    forms = ((0.03 * ratio, points[0]), (0.03, points[1]))
    data = _read_by(tiny_graph(), forms, reader, op)
    result = mend_with(data, ExactMultiplier(), accept)
    parts, before = _parts(result.data, op), _parts(data, op)
    assert parts == pytest.approx(round(parts), rel=2e-7)
    assert parts == pytest.approx(before, abs=0.5 * (1 + 1e-6))
    if reader == "DEQUANTIZE":
        scales = [_requantization(d, op).outputs[0].scale for d in (data, result.data)]
        assert result.steps <= max(scales) * (1 + 1e-5)


@many
@given(ratio=st.floats(0.5, 20), zero_point=points, scale=st.floats(1e-3, 1))
def test_a_clamp_gives_the_same_bytes_by_both_kernel_sets(
    one_op: Build, tiny_graph: Build, ratio: float, zero_point: int, scale: float
) -> None:
    """What RELU becomes: nothing negative is left, of which halves go the other way."""
    forms = ((scale * ratio, zero_point), (scale, -128))
    model = read_model(_read_by(tiny_graph(), forms))
    ExactMultiplier().apply(model)
    node = next(node for node in list_nodes(model) if node.op == "QUANTIZE")
    tensors = [(EVERY_BYTE, "int8", o.scale, o.zero_point) for o in (*node.given(), *node.outputs)]
    assert count_differences(one_op("QUANTIZE", *tensors), [_every_byte()]) == 0


def _every_byte() -> tuple[Any]:
    return (np.arange(-128, 128, dtype=np.int8).reshape(EVERY_BYTE),)


@pytest.mark.parametrize(("ratio", "before"), [(2.104, 10), (1.7, 12), (0.71, 7)])
def test_both_kernel_sets_differed_before(one_op: Build, ratio: float, before: int) -> None:
    """The figures are XNNPACK's of 8 bits: a kernel that held more would have none."""
    tensors = [(EVERY_BYTE, "int8", 0.02 * ratio, 7), (EVERY_BYTE, "int8", 0.02, -128)]
    assert count_differences(one_op("QUANTIZE", *tensors), [_every_byte()]) == before
    nearest = round(256 * ratio) / 256
    tensors[0] = (EVERY_BYTE, "int8", 0.02 * nearest * (1 + 1e-7), 7)
    assert count_differences(one_op("QUANTIZE", *tensors), [_every_byte()]) == 0


@pytest.mark.parametrize(
    ("op", "dtype"), [("QUANTIZE", "int8"), ("QUANTIZE", "uint8"), ("LEAKY_RELU", "int8")]
)
def test_the_judge_lets_it_pass_for_kernels_that_agree(
    tiny_graph: Build, op: str, dtype: str
) -> None:
    low = 0 if dtype == "uint8" else -128
    forms = ((0.02 * 0.71, low + 135), (0.02, low))
    data = _read_by(tiny_graph(), forms, op=op, dtype=dtype)
    (record,) = mend_model(data, rewrites=(ExactMultiplier(),)).records
    assert (record.rewrite, record.layer, record.exact) == ("exact_multiplier", "y", False)
    assert 0 < record.max_abs_error <= 0.0201
    kept, taken = record.candidates
    assert kept.cost == taken.cost


@pytest.mark.parametrize("reader", WEIGHTED)
def test_a_bias_behind_it_stands_for_the_same_numbers(tiny_graph: Build, reader: str) -> None:
    data = _read_by(tiny_graph(), ((0.0123, 5), (0.02, -128)), reader)
    mended = mend_model(data, rewrites=(ExactMultiplier(),)).data
    forms = []
    for file in (data, mended):
        model = read_model(file)
        node = next(node for node in list_nodes(model) if node.op == reader)
        weights, bias = (node.inputs[p] for p in ((1, 3) if len(node.inputs) == 4 else (1, 2)))
        assert weights is not None
        assert bias is not None
        scales = [np.asarray(model.subgraphs[0].tensors[o.index].quantization.scale, float)
                  for o in (weights, bias)]  # fmt: skip
        y = _requantization(file).outputs[0].scale
        np.testing.assert_allclose(scales[1], scales[0] * y, rtol=1e-6)
        assert bias.data is not None
        forms.append((bias.data.view(np.int32), scales[1]))
    (old, old_scale), (new, new_scale) = forms
    assert (old != new).any()  # of thousands, a change of 1 in 500 shows
    assert (np.abs(old * old_scale - new * new_scale) <= 0.5001 * new_scale).all()


def test_constants_beside_it_move_along(tiny_graph: Build, mend_with: Build) -> None:
    """A border of constants, of one scale with the tensor that it is put around."""
    graph = tiny_graph()
    x = graph.tensor("x", SHAPE, "int8", 0.0123, 5)
    y = graph.tensor("net/y/op", SHAPE, "int8", 0.02, -28)
    row = graph.tensor("row", (1, 1, 4, 4), "int8", 0.02, -28, data=np.full(16, 100))
    wide = graph.tensor("net/wide/op", (1, 5, 4, 4), "int8", 0.02, -28)
    flat = graph.tensor("net/flat/op", (1, 20, 4), "int8", 0.02, -28)
    end = graph.tensor("net/end/op", (1, 20, 4), "float32")
    graph.op("QUANTIZE", [x], y, 2)
    graph.op("CONCATENATION", [y, row], wide, 2, schema.ConcatenationOptionsT(axis=1))
    sizes = graph.tensor("s", (3,), "int32", data=(1, 20, 4))
    graph.op("RESHAPE", [wide, sizes], flat, 1, schema.ReshapeOptionsT(newShape=[1, 20, 4]))
    graph.op("DEQUANTIZE", [flat], end, 2)
    result = mend_with(graph.build([x], [end]), ExactMultiplier())
    assert result.done
    assert _parts(result.data) == pytest.approx(157, rel=2e-7)
    assert result.steps <= 0.0201
    (joined,) = (node for node in list_nodes(read_model(result.data)) if len(node.given()) > 1
                 and node.op == "CONCATENATION")  # fmt: skip
    constant = joined.given()[1]
    assert constant.data is not None
    # 128 steps of 0.02 are as many of 0.02006, to the nearest.
    assert set(constant.data.view(np.int8).tolist()) == {round(128 * 0.02 / constant.scale) - 28}


def test_where_the_output_stands_its_input_moves(tiny_graph: Build) -> None:
    data = _between(tiny_graph(), ((0.01, 3), (0.0123, 5), (0.02, -28)))
    result = mend_model(data, rewrites=(ExactMultiplier(),))
    assert [record.rewrite for record in result.records] == ["exact_multiplier"]
    assert _parts(result.data) == pytest.approx(157, rel=2e-7)
    assert _requantization(result.data).outputs[0].scale == np.float32(0.02)


@pytest.mark.parametrize(
    ("reader", "keep", "why"),
    [
        ("DEQUANTIZE", True, "of its input: an input or output of the file has it"),
        ("RELU", False, "of its input: a reader wants this very one"),
    ],
)
def test_with_both_ends_given_it_stays(
    tiny_graph: Build, mend_with: Build, reader: str, keep: bool, why: str
) -> None:
    data = _between(tiny_graph(), ((0.01, 3), (0.0123, 5), (0.02, -28)), reader, keep)
    (reason,) = mend_with(data, ExactMultiplier(), accept).refusals
    assert "scale of its output: an input or output of the file has it" in reason
    assert why in reason


def _joined_with(graph: Any, exact: bool) -> bytes:
    """Build QUANTIZE → y, joined with what another requantization writes, or read by one."""
    x, other = (graph.tensor(n, SHAPE, "int8", 0.0123, 5) for n in ("x", "other"))
    y, z = (graph.tensor(f"net/{n}/op", SHAPE, "int8", 0.02, -28) for n in "yz")
    graph.op("QUANTIZE", [x], y, 2)
    if exact:
        end = graph.tensor("net/end/op", SHAPE, "int8", 0.01, -28)
        graph.op("QUANTIZE", [y], end, 2)
        return bytes(graph.build([x], [end]))
    end = graph.tensor("net/end/op", (1, 4, 4, 8), "int8", 0.02, -28)
    last = graph.tensor("net/last/op", (1, 4, 4, 8), "float32")
    graph.op("QUANTIZE", [other], z, 2)
    graph.op("CONCATENATION", [y, z], end, 2, schema.ConcatenationOptionsT(axis=3))
    graph.op("DEQUANTIZE", [end], last, 2)
    return bytes(graph.build([x, other], [last]))


@pytest.mark.parametrize(
    ("exact", "why"),
    [(False, "another op writes it"), (True, "a requantization that is exact reads it")],
)
def test_a_scale_that_others_need_stays(
    tiny_graph: Build, mend_with: Build, exact: bool, why: str
) -> None:
    result = mend_with(_joined_with(tiny_graph(), exact), ExactMultiplier(), accept)
    assert not result.done
    assert f"scale of its output: {why}" in result.refusals[0]


def _filtered_by(graph: Any) -> tuple[list[int], int]:
    """Multiply by y where weights are constants mostly."""
    x, y = (graph.tensor(n, (4, 4), "int8", *f) for n, f in (("x", (0.0123, 5)), ("y", (0.02, 0))))
    pixels = graph.tensor("pixels", SHAPE, "int8", 0.05, 3)
    end = graph.tensor("net/end/op", SHAPE, "int8", 0.1, 0)
    graph.op("QUANTIZE", [x], y, 2)
    options = schema.FullyConnectedOptionsT(keepNumDims=True)
    graph.op("FULLY_CONNECTED", [pixels, y, -1], end, 5, options)
    return [x, pixels], end


def _with_a_computed_bias(graph: Any) -> tuple[list[int], int]:
    x, y = (graph.tensor(n, SHAPE, "int8", *f) for n, f in (("x", (0.0123, 5)), ("y", (0.02, 0))))
    bias = graph.tensor("bias", (4,), "int32", 0.0002)
    weights = graph.tensor("w", (4, 4), "int8", 0.01, data=np.arange(16))
    end = graph.tensor("net/end/op", SHAPE, "int8", 0.1, 0)
    graph.op("QUANTIZE", [x], y, 2)
    options = schema.FullyConnectedOptionsT(keepNumDims=True)
    graph.op("FULLY_CONNECTED", [y, weights, bias], end, 5, options)
    return [x, bias], end


def _moved_to_another_scale(graph: Any) -> tuple[list[int], int]:
    """The built-in RESHAPE copies the integers, whatever they stand for."""
    x, y = (graph.tensor(n, SHAPE, "int8", *f) for n, f in (("x", (0.0123, 5)), ("y", (0.02, 0))))
    end = graph.tensor("net/end/op", SHAPE, "int8", 0.1, 0)
    sizes = graph.tensor("s", (4,), "int32", data=SHAPE)
    graph.op("QUANTIZE", [x], y, 2)
    graph.op("RESHAPE", [y, sizes], end, 1, schema.ReshapeOptionsT(newShape=list(SHAPE)))
    return [x], end


@pytest.mark.parametrize("build", [_filtered_by, _with_a_computed_bias, _moved_to_another_scale])
def test_what_its_scale_has_a_part_in_keeps_it(tiny_graph: Build, build: Any) -> None:
    graph = tiny_graph()
    inputs, end = build(graph)
    applied = ExactMultiplier().apply(read_model(bytes(graph.build(inputs, [end]))))
    assert [op.reason for op in applied.refused] == [
        "scale of its output: a reader wants this very one; "
        "of its input: an input or output of the file has it"
    ]


def test_an_exact_ratio_is_no_refusal(one_op: Build) -> None:
    for scale, count in ((0.02, 0), (0.0123, 1)):
        data = one_op("QUANTIZE", (SHAPE, "int8", scale, 5), (SHAPE, "int8", 0.01, 5))
        assert len(ExactMultiplier().apply(read_model(data)).refused) == count


@pytest.mark.parametrize(
    ("forms", "op"),
    [
        (((0.01, 5), (0.02, -28)), "QUANTIZE"),  # 128 / 256, and no hair below
        (((0.0123, 5), (8.0, -28)), "QUANTIZE"),  # XNNPACK leaves it to the built-in kernels
        (((0.0123, 5), (0.02, -28)), "RELU"),  # nor does it have this one
    ],
)
def test_what_is_exact_or_not_its_stays(
    tiny_graph: Build, mend_with: Build, forms: Any, op: str
) -> None:
    graph = tiny_graph()
    x, y = (
        graph.tensor(f"net/{n}/op", SHAPE, "int8", *f) for n, f in zip("xy", forms, strict=True)
    )
    end = graph.tensor("net/end/op", SHAPE, "float32")
    graph.op(op, [x], y, 2)
    graph.op("DEQUANTIZE", [y], end, 2)
    result = mend_with(graph.build([x], [end]), ExactMultiplier(), accept)
    assert not result.done
    assert result.refusals == []


def test_where_the_kernels_agree_it_stays(tiny_graph: Build) -> None:
    """A ratio so near that no number of the 256 is rounded otherwise."""
    data = _read_by(tiny_graph(), ((0.04 * (1 + 1e-5), 5), (0.02, -128)))
    result = mend_model(data, rewrites=(ExactMultiplier(),))
    assert result.data is data
    (skipped,) = result.skipped
    assert "differ on 0 of the numbers tried, before on 0" in skipped.reason


class _OtherMultiplier(ExactMultiplier):
    """Moves to a multiplier that is not the nearest."""

    def change(self, model: Any, node: Node, match: Match) -> None:
        super().change(model, node, match)
        tensor = model.subgraphs[0].tensors[node.outputs[0].index]
        parts = round(256 * node.given()[0].scale / tensor.quantization.scale[0])
        tensor.quantization.scale = tensor.quantization.scale * np.float32(parts / (parts + 3))


class _OtherZero(ExactMultiplier):
    """Moves the zero point, too."""

    def change(self, model: Any, node: Node, match: Match) -> None:
        super().change(model, node, match)
        record = model.subgraphs[0].tensors[node.outputs[0].index].quantization
        record.zeroPoint = record.zeroPoint + 1


class _Dearer(ExactMultiplier):
    """Requantizes twice."""

    def change(self, model: Any, node: Node, match: Match) -> None:
        super().change(model, node, match)
        built = Replacement(model, node)
        twice = built.tensor(node.outputs[0].shape, node.outputs[0], match.details.scale)
        built.op(QUANTIZE, [node.given()[0].index], twice)
        built.op(QUANTIZE, [twice])
        built.finish()


def test_what_costs_more_is_undone_though_kernels_agree(tiny_graph: Build) -> None:
    data = _read_by(tiny_graph(), ((0.02 * 0.71, 7), (0.02, -128)))
    assert mend_model(data, rewrites=(ExactMultiplier(),)).records
    result = mend_model(data, rewrites=(_Dearer(),))
    assert result.data is data
    assert [skipped.reason for skipped in result.skipped] == ["QUANTIZE: nothing gained"]


class _ScaleAlone(ExactMultiplier):
    """Moves the scale of what a move copies: the same integers, which stand for more."""

    factor, shift = 1.2, 0

    def match(self, model: Any, node: Node) -> Any:
        return Match("so it seems", exact=False) if node.op == "RESHAPE" else None

    def change(self, model: Any, node: Node, match: Match) -> None:
        record = model.subgraphs[0].tensors[node.outputs[0].index].quantization
        record.scale = record.scale * np.float32(self.factor)
        record.zeroPoint = record.zeroPoint + self.shift


class _ZeroAlone(_ScaleAlone):
    """Moves the zero point of what a move copies."""

    factor, shift = 1.0, 1


class _ScaleUnsaid(_ScaleAlone):
    """Moves a scale without saying that it may."""

    aligns_kernels, factor = False, 1.001


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        # The farthest is 131 steps from the zero point, and a fifth of them is 22 of the new ones.
        (_ScaleAlone(), "the output moves by 22 steps"),
        (_ZeroAlone(), "the output has another scale"),
        (_ScaleUnsaid(), "the output has another scale"),
    ],
)
def test_integers_that_stand_for_other_numbers_are_caught(
    tiny_graph: Build, broken: Any, reason: str
) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(f"net/{name}/op", SHAPE, "int8", 0.02, 3) for name in "xy")
    sizes = graph.tensor("s", (4,), "int32", data=SHAPE)
    graph.op("RESHAPE", [x, sizes], y, 1, schema.ReshapeOptionsT(newShape=list(SHAPE)))
    result = mend_model(graph.build([x], [y]), rewrites=(broken,))
    assert f"undone: {reason}" in result.skipped[0].reason


def test_a_larger_file_asks_no_more(one_op: Build) -> None:
    burden = weigh(one_op("QUANTIZE", (SHAPE, "int8", 0.02, 5), (SHAPE, "int8", 0.01, 5)))
    assert not replace(burden, size_bytes=burden.size_bytes + 1).asks_more(burden)
    assert not burden.asks_more(replace(burden, size_bytes=burden.size_bytes + 1))
    assert replace(burden, cycles=burden.cycles + 1).asks_more(burden)


@pytest.mark.parametrize("broken", [_OtherMultiplier(), _OtherZero()])
def test_a_broken_one_is_caught(tiny_graph: Build, broken: Any) -> None:
    data = _read_by(tiny_graph(), ((0.0123, 5), (0.02, -28)))
    result = mend_model(data, rewrites=(broken,))
    assert result.data is data
    assert [skipped.reason[:7] for skipped in result.skipped] == ["undone:"]
