"""Transposed convolutions as ordinary ones: every form is exact for every shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.choice import cost
from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.costs.costed_op import FLOAT32, CostedOp
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras import phase_forms
from portrait_tflite.convert.rewrites.keras.rearrange import Interleave
from portrait_tflite.convert.rewrites.keras.site import Site
from portrait_tflite.convert.rewrites.keras.transposed_convolution import TransposedConvolution
from portrait_tflite.convert.rewrites.phases import transposed_axis

Build = Callable[..., Any]
REWRITE = TransposedConvolution()
FORMS = ("subpixel", "rows", "phases")


def _net(size: tuple[int, int, int], kernel: Any, **options: Any) -> keras.Model:
    x = keras.Input(size)
    options = {"filters": 2, **options}
    return keras.Model(x, layers.Conv2DTranspose(kernel_size=kernel, name="up", **options)(x))


def _fits(kernel: int, stride: int, padding: str, output_padding: int) -> bool:
    """Whether Keras takes an output padding, and TensorFlow the size that comes of it."""
    whole = padding == "valid" or 1 <= kernel % 2 + output_padding <= stride
    return output_padding < stride and whole


@settings(deadline=None, max_examples=300, derandomize=True)
@given(
    kernel=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    strides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.sampled_from(["same", "valid"]),
    output_padding=st.none() | st.tuples(st.integers(0, 3), st.integers(0, 3)),
    use_bias=st.booleans(),
    activation=st.sampled_from([None, "relu", "sigmoid", "gelu", "softmax"]),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)),
    seed=st.integers(0, 9),
    form=st.integers(0, 5),  # one of them each time, all equally often: each takes a while
)
def test_every_form_is_exact_for_every_shape(
    randomized: Build,
    every_form: Build,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    padding: str,
    output_padding: tuple[int, int] | None,
    use_bias: bool,
    activation: str | None,
    size: tuple[int, int, int],
    seed: int,
    form: int,
) -> None:
    for axis in (0, 1) if output_padding else ():
        assume(_fits(kernel[axis], strides[axis], padding, output_padding[axis]))
    options = {"strides": strides, "padding": padding, "output_padding": output_padding}
    model = _net(size, kernel, use_bias=use_bias, activation=activation, **options)
    errors = every_form(randomized(model, seed), REWRITE, form)
    assert list(errors) == _expected_forms(kernel, strides, model.output.shape, size)
    (error,) = (error for error in errors.values() if error is not None)
    assert error <= 1e-5


def _expected_forms(
    kernel: tuple[int, int], strides: tuple[int, int], output: Any, size: Any
) -> list[str]:
    if strides == (1, 1):
        return ["convolution"]
    # A phase without a tap is none of its own: those need a kernel that covers the stride.
    covered = [k >= s for k, s in zip(kernel, strides, strict=True)]
    forms = ["subpixel"]
    forms += ["rows"] * (strides[0] > 1 and covered[0])
    return forms + ["phases"] * (strides[1] > 1 and all(covered))


@pytest.mark.parametrize(
    ("options", "ops"),
    [
        # k = s: nothing to pad; k = 4, s = 2: one cell each side, as padding="same" has it
        ({"kernel": 2, "strides": 2}, ["Conv2D", "function"]),
        ({"kernel": 4, "strides": 2}, ["Conv2D", "function"]),
        ({"kernel": 3, "strides": 2}, ["ZeroPadding2D", "Conv2D", "function"]),
        ({"kernel": 4, "strides": 3}, ["ZeroPadding2D", "Conv2D", "function"]),
        ({"kernel": 3, "strides": 1}, ["Conv2D"]),
        (
            {"kernel": 3, "strides": 2, "padding": "valid"},
            ["ZeroPadding2D", "Conv2D", "function", "Cropping2D"],
        ),
        # the rows keep their places: nothing moves in memory
        ({"kernel": (1, 2), "strides": (1, 2)}, ["Conv2D", "Reshape"]),
        ({"kernel": (2, 1), "strides": (2, 1)}, ["Conv2D", "Interleave"]),
        # every channel counts in a softmax: it cannot go before the rearrangement
        (
            {"kernel": 2, "strides": 2, "activation": "softmax"},
            ["Conv2D", "function", "Activation"],
        ),
    ],
)
def test_no_more_ops_than_are_needed(
    randomized: Build, rewrite_with: Build, options: dict[str, Any], ops: list[str]
) -> None:
    model = randomized(_net((4, 4, 3), **{"padding": "same", **options}))
    outcome = rewrite_with(model, (REWRITE,))
    assert outcome.error <= 1e-5
    assert outcome.ops == ops


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"data_format": "channels_first"}, "channels come first"),
    ],
)
def test_what_cannot_be_verified_is_refused(
    refusal_of: Build, options: dict[str, Any], reason: str
) -> None:
    assert refusal_of(_net((4, 4, 3), 3, **options), REWRITE) == reason


def test_subclasses_and_other_layers_are_none_of_its_business() -> None:
    class Custom(layers.Conv2DTranspose):
        """May compute anything."""

    for layer in (Custom(2, 3), layers.Conv2D(2, 3)):
        x = keras.Input((4, 4, 3))
        graph = trace(keras.Model(x, layer(x)))
        assert REWRITE.match(graph.output, graph.uses()) is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("broken", ["kernel", "pad", "bias", "order"])
def test_the_verifier_catches_a_broken_form(
    randomized: Build, verdict_on: Build, monkeypatch: pytest.MonkeyPatch, form: str, broken: str
) -> None:
    model = randomized(_net((4, 5, 3), 3, strides=2, padding="same", activation="relu"))
    assert verdict_on(model, REWRITE, form, "up") == ""
    _break(monkeypatch, broken)
    assert f"verification failed: {form} differs by" in verdict_on(model, REWRITE, form, "up")


def _break(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    def replace(name: str, wrong: Callable[..., Any]) -> None:
        right = getattr(phase_forms, name)
        monkeypatch.setattr(phase_forms, name, lambda *a, **k: wrong(right, *a, **k))

    if what == "kernel":
        replace("phase_kernel", lambda right, *a: right(*a).swapaxes(0, 1).reshape(right(*a).shape))
    elif what == "pad":
        replace("pad", lambda right, n, v, rows, columns: right(n, v, rows[::-1], columns))
    elif what == "bias":
        replace("convolution", lambda right, n, v, kernel, _, **k: right(n, v, kernel, None, **k))
    else:
        replace("phase_kernel", lambda right, *a: right(*a)[..., ::-1])


@pytest.mark.parametrize(("rows", "columns"), [(2, 1), (1, 3), (2, 3), (4, 2), (3, 3)])
@pytest.mark.parametrize("pictures", [1, 3])
def test_interleaving_is_a_depth_to_space_by_two_factors(
    rows: int, columns: int, pictures: int
) -> None:
    x = np.random.default_rng(0).normal(size=(pictures, 3, 4, rows * columns * 2)).astype("f")
    y = np.asarray(Interleave(rows, columns)(x))
    cells = x.reshape(pictures, 3, 4, rows, columns, 2).transpose(0, 1, 3, 2, 4, 5)
    assert np.array_equal(y, cells.reshape(pictures, 3 * rows, 4 * columns, 2))
    if rows == columns:
        assert np.array_equal(y, np.asarray(keras.ops.depth_to_space(x, rows)))


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("subpixel", {"strides": (2, 3), "kernel": 3, "padding": "same"}),
        ("rows", {"strides": 2, "kernel": 3, "padding": "valid", "output_padding": 1}),
        ("rows", {"strides": (2, 1), "kernel": 3, "padding": "same", "activation": "softmax"}),
        ("phases", {"strides": (3, 2), "kernel": 4, "padding": "same", "activation": "relu"}),
        ("subpixel", {"strides": (1, 2), "kernel": 3, "padding": "same", "activation": "relu"}),
    ],
)
def test_the_file_is_what_the_form_says(
    randomized: Build, export_form: Build, form: str, options: dict[str, Any]
) -> None:
    options = {"filters": 8, **options}
    data, taken = export_form(randomized(_net((16, 16, 8), **options)), REWRITE, form)
    audit = audit_model(data)
    assert (audit.xnnpack.partitions, audit.xnnpack.outside) == (1, ())
    assert audit.gpu.outside == ()
    shapes = [o.shape for node in list_nodes(read_model(data)) for o in node.outputs]
    assert max(map(len, shapes)) == 4
    table = CostTable.load("arm64")
    # The softmax is the same in every form and not among their ops; the table has no TRANSPOSE.
    known = [op for op in taken.ops if form != "subpixel" or op.kind != "DEPTH_TO_SPACE"]
    expected = cost(type(taken)("", ops=tuple(known)), table, FLOAT32) * 1e6 + table.call
    softmax = CostedOp("SOFTMAX", 32, 16, 8, 8)
    expected += table.op_cost(softmax, FLOAT32) * (options.get("activation") == "softmax")
    assert predict(data, table).cycles == pytest.approx(expected, rel=0.02)


def test_every_form_says_what_it_becomes_on_the_phone() -> None:
    graph = trace(_net((4, 6, 3), 3, strides=2, padding="same", activation="relu"))
    site = REWRITE.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    ops = {form.name: form.ops for form in site.forms}
    # 2×2 cells for each of 4 phases; 7 of the 16 taps are zeros
    assert ops["subpixel"] == (
        CostedOp("CONV_2D", 4, 6, 3, 8, (2, 2)),
        CostedOp("DEPTH_TO_SPACE", 8, 12, 8, 2, stride=2),
    )
    # two rows of cells for the even rows, one for the odd ones: none of the 9 taps is a zero
    assert [(op.kernel, op.channels_out) for op in ops["rows"][:2]] == [((2, 2), 4), ((1, 2), 4)]
    kernels = [op.kernel for op in ops["phases"] if op.kind == "CONV_2D"]
    assert kernels == [(2, 2), (2, 1), (1, 2), (1, 1)]
    assert ops["transpose_conv"] == (
        CostedOp("TRANSPOSE_CONV", 8, 12, 3, 2, (3, 3), stride=2, fused=True),
    )
    assert [op.kind for op in ops["resize_conv"]] == ["RESIZE_BILINEAR", "CONV_2D"]
    assert [op.channels_in for op in ops["resize_depthwise"]] == [3, 2, 2]


@pytest.mark.parametrize("options", [{"strides": (2, 1)}, {"strides": 2, "output_padding": 1}])
def test_a_resize_fits_square_strides_alone(options: dict[str, Any]) -> None:
    graph = trace(_net((4, 6, 3), 3, padding="same", **options))
    site = REWRITE.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    assert all(form.exact for form in site.forms)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_an_axis_uses_every_tap_once(kernel: int, stride: int, padding: str) -> None:
    length = 5 * stride + (max(kernel - stride, 0) if padding == "valid" else 0)
    axis = transposed_axis(5, kernel, stride, padding, length)
    assert sorted(tap.index for tap in axis.taps) == list(range(kernel))
    assert axis.cells * stride >= axis.length > (axis.cells - 1) * stride
    assert min(axis.padding) >= 0
    assert axis.whole == (kernel >= stride)
    assert np.ptp([tap.offset for tap in axis.taps]) + 1 == axis.size
