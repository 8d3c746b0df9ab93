"""The IO card, by hand-worked scales."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from portrait_tflite.images import affine_of_bytes, normalize, stored_pixels, takes_raw_bytes
from portrait_tflite.report.cautions import cautions
from portrait_tflite.report.io_card import card_lines, card_rows, io_card
from portrait_tflite.report.model_json import labels_of, model_json
from portrait_tflite.tensor_values import to_real
from portrait_tflite.vocabulary import (
    Activation,
    Channels,
    ModelSpec,
    OutputSpec,
    Report,
    StateSpec,
    TensorInfo,
    Variant,
)

SHAPE = (1, 8, 8, 3)
MASK = TensorInfo("mask", (1, 8, 8, 1), "uint8", 1 / 256, 0)
UNIT = ModelSpec(8, 8)
BYTES = ModelSpec(8, 8, input_range=(0.0, 255.0))
IMAGENET = ModelSpec(8, 8, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
SIGNED = ModelSpec(8, 8, input_range=(-1.0, 1.0))
GRAY = ModelSpec(8, 8, channels=Channels.GRAY)


def _image(dtype: str, scale: float = 0.0, zero_point: int = 0, channels: int = 3) -> TensorInfo:
    return TensorInfo("image", (*SHAPE[:3], channels), dtype, scale, zero_point)


@pytest.fixture
def variant(report: Report) -> Variant:
    return report.variants["int8"]


@pytest.mark.parametrize(
    ("spec", "image", "put", "black", "white"),
    [
        (BYTES, _image("uint8", 1.0), "the byte v itself", (0,), (255,)),
        (UNIT, _image("uint8", 1 / 255), "the byte v itself", (0,), (255,)),
        (UNIT, _image("int8", 1 / 255, -128), "v − 128", (-128,), (127,)),
        (SIGNED, _image("int8", 2 / 255 + 1e-9, -1), "v − 128", (-128,), (127,)),
        (SIGNED, _image("int8", 2 / 255 - 1e-9, -1), "v − 128", (-128,), (127,)),
        (SIGNED, _image("int8", 2 / 255, 0), "v − 128", (-128,), (127,)),
        (SIGNED, _image("uint8", 2 / 255, 127), "the byte v itself", (0,), (255,)),
        (SIGNED, _image("uint8", 2 / 255, 128), "the byte v itself", (0,), (255,)),
        (SIGNED, _image("int8", 2 / 255, 2), "v − 126 kept within -128 and 127", (-126,), (127,)),
        (SIGNED, _image("int8", 0.01, 3), "round(v · 0.784314 − 97) kept within -128 and 127",
         (-97,), (103,)),
        (BYTES, _image("float32"), "v as float32", (0,), (255,)),
        (UNIT, _image("float32"), "v · 1/255", (0,), (1,)),
        (SIGNED, _image("float32"), "v · 0.00784314 − 1", (-1,), (1,)),
        (GRAY, _image("uint8", 1 / 255, channels=1), "the byte v itself", (0,), (255,)),
    ],
)  # fmt: skip
def test_what_to_put(
    variant: Variant, spec: ModelSpec, image: TensorInfo, put: str, black: Any, white: Any
) -> None:
    card = io_card(replace(variant, input=image, output=MASK), spec).input
    assert card.put == put
    assert card.black == black * spec.channels.depth
    assert card.white == pytest.approx(white * spec.channels.depth)


def test_channels_that_differ_are_listed(variant: Variant) -> None:
    card = io_card(replace(variant, input=_image("float32"), output=MASK), IMAGENET).input
    assert card.put == "v · (0.0171248, 0.017507, 0.0174292) + (-2.1179, -2.03571, -1.80444)"
    assert card.white == pytest.approx((2.2489, 2.4286, 2.64), abs=1e-4)


@pytest.mark.parametrize("spec", [UNIT, BYTES, SIGNED, IMAGENET, GRAY])
def test_bytes_are_normalized_as_everywhere(spec: ModelSpec) -> None:
    pixels = np.arange(256, dtype=np.uint8)[:, None].repeat(spec.channels.depth, axis=1)
    scale, shift = affine_of_bytes(spec)
    np.testing.assert_allclose(pixels * scale + shift, normalize(pixels, spec), atol=1e-4)
    info = _image("int8", 0.03, 7)
    real = to_real(stored_pixels(spec, info), info)
    inside = np.abs(normalize(pixels, spec) / 0.03 + 7) < 127
    np.testing.assert_allclose(real[inside], normalize(pixels, spec)[inside], atol=0.016)


def test_raw_bytes_are_taken_where_all_are_themselves() -> None:
    assert takes_raw_bytes(BYTES, _image("uint8", 1.0))
    assert takes_raw_bytes(UNIT, _image("uint8", 1 / 255))
    assert not takes_raw_bytes(UNIT, _image("uint8", 1 / 256))
    assert not takes_raw_bytes(BYTES, _image("float32"))
    assert not takes_raw_bytes(UNIT, _image("int8", 1 / 255, -128))


@pytest.mark.parametrize(
    ("mask", "activation", "read", "ends", "person_from"),
    [
        (MASK, Activation.NONE, "probability = q / 256", (0, 255 / 256), 128),
        (replace(MASK, dtype="int8", zero_point=-128), Activation.NONE,
         "probability = (q + 128) / 256", (0, 255 / 256), 0),
        (replace(MASK, dtype="float32", scale=0.0), Activation.NONE,
         "probability = q", (None, None), 0.5),
        (replace(MASK, dtype="int8", scale=0.1, zero_point=10), Activation.SIGMOID,
         "probability = sigmoid((q − 10) / 10)", (1 / (1 + np.exp(13.8)), 1 / (1 + np.exp(-11.7))),
         10),
        (replace(MASK, dtype="float32", scale=0.0), Activation.SIGMOID,
         "probability = sigmoid(q)", (None, None), 0),
        (replace(MASK, shape=(1, 8, 8, 2)), Activation.SOFTMAX,
         "probability = softmax(q / 256) in channel 1", (0, 255 / 256), None),
        (replace(MASK, scale=0.001), Activation.NONE,
         "probability = q / 1000", (0, 0.255), None),
    ],
)  # fmt: skip
def test_how_to_read(
    variant: Variant,
    mask: TensorInfo,
    activation: Activation,
    read: str,
    ends: Any,
    person_from: Any,
) -> None:
    spec = replace(UNIT, output=OutputSpec(channel=1, activation=activation))
    card = io_card(replace(variant, input=_image("uint8", 1 / 255), output=mask), spec).output
    assert card.read == read
    assert (card.lowest, card.highest) == pytest.approx(ends, abs=1e-6)
    assert card.person_from == person_from


def test_other_inputs_and_outputs_say_what_their_numbers_mean(
    report: Report, variant: Variant
) -> None:
    level = TensorInfo("level", (1, 1), "int8", 1 / 32, -31)
    kept = TensorInfo("r1", (1, 4, 4, 8), "int8", 0.01, 3)
    floats = [replace(info, dtype="float32", scale=0.0, zero_point=0) for info in (level, kept)]
    others = {
        "int8": replace(variant, other_inputs=(level,), other_outputs=(kept,)),
        "float32": replace(variant, other_inputs=(floats[0],), other_outputs=(floats[1],)),
    }
    lines = list(card_lines(replace(report, variants=others)))
    for line in (
        "int8: put round(x · 32 − 31) kept within -128 and 127 into level: int8 1×1, scale 1/32, "
        "zero point -31",
        "int8: read x = (q − 3) / 100 from r1: int8 1×4×4×8, scale 1/100, zero point 3",
        "float32: put x into level: float32 1×1",
        "float32: read x = q from r1: float32 1×4×4×8",
    ):
        assert line in lines


def test_a_previous_mask_says_how_it_begins_and_goes_on(variant: Variant) -> None:
    spec = replace(UNIT, state=StateSpec(1, initial=1.0))
    state = TensorInfo("state", (1, 8, 8, 1), "uint8", 1 / 255, 0)
    fed = replace(variant, input=_image("uint8", 1 / 255), output=MASK, state_input=state)
    card = io_card(fed, spec).input
    assert card.state == (
        "255 into state: uint8 1×8×8×1, scale 1/255, zero point 0 for the first picture, then mask "
        "of the picture before, by both scales and zero points"
    )
    same = replace(fed, state_input=replace(state, scale=MASK.scale))
    assert io_card(same, spec).input.state.endswith("as it is")
    beside = replace(UNIT, state=StateSpec(0, channel=3))
    alone = replace(fed, state_input=None, input=_image("uint8", 1 / 255, channels=4))
    assert "0 into channel 3 of image" in io_card(alone, beside).input.state


def test_a_files_own_spec_goes_first(variant: Variant) -> None:
    own = replace(variant, input=_image("uint8", 1.0), output=MASK, spec=BYTES)
    assert io_card(own, IMAGENET).input.put == "the byte v itself"


def test_lines_and_rows_are_of_what_is_shipped(report: Report) -> None:
    lines = list(card_lines(report))
    assert len(lines) == 3
    assert all(line.startswith("int8: ") for line in lines)
    assert [row.variant for row in card_rows(report)] == ["int8"]


def test_cautions_of_what_looks_good(report: Report) -> None:
    one = replace(report.variants["int8"], output=MASK)
    several = replace(
        report,
        variants={
            "dynamic": one,
            "int16x8": one,
            "float16": replace(one, half_precision=True),
            "int8": one,
            "naive": one,
        },
    )
    dynamic, wide, half = cautions(several)
    assert dynamic.startswith("dynamic: ")
    assert "1 op outside XNNPACK" in dynamic
    assert wide.startswith("int16x8: XNNPACK takes no 16-bit activations")
    assert "ARM CPUs compute it in float16" in half
    assert "in float32" in cautions(replace(report, variants={"float16": one}))[0]
    assert cautions(replace(report, variants={"int8": one})) == ()


@pytest.mark.parametrize(("channels", "wanted"), [(1, "sigmoid"), (2, r"softmax \(or sigmoid\)")])
def test_caution_of_logits_that_are_scored_as_a_probability(
    report: Report, channels: int, wanted: str
) -> None:
    mask = TensorInfo("mask", (1, 8, 8, channels), "int8", 0.2, -10)
    logits = replace(report.variants["int8"], output=mask)
    released = replace(report, variants={"int8": logits})
    (caution,) = cautions(released)
    assert re.search(f"int8: its mask goes from -23.6 to 27.4.* --activation {wanted}$", caution)
    spec = replace(report.model.spec, output=OutputSpec(0, 0, Activation.SIGMOID))
    known = replace(released, model=replace(report.model, spec=spec))
    assert cautions(known) == ()


@pytest.mark.parametrize(
    ("shape", "person", "labels"),
    [
        ((1, 8, 8, 1), 0, ["person"]),
        ((1, 8, 8), 0, ["person"]),
        ((1, 8, 8, 2), 1, ["background", "person"]),
        ((1, 8, 8, 2), 0, ["person", "background"]),
        ((1, 8, 8, 3), 2, ["class 0", "class 1", "person"]),
    ],
)
def test_labels_are_of_the_masks_channels(
    shape: tuple[int, ...], person: int, labels: list[str]
) -> None:
    assert labels_of(shape, person) == labels


def test_model_json_has_the_card_and_no_golden_masks(report: Report) -> None:
    data = model_json(report)
    assert data["golden"] == []
    int8 = data["variants"]["int8"]
    assert int8["tolerance"] == {}
    assert set(int8["io"]) == {"input", "output"}
    assert int8["half_precision"] is False
    assert list(data["variants"]) == ["int8"]
