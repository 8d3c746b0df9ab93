"""Strips of pictures: what is drawn where the masks differ, and how it is embedded."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from portrait_tflite.report import strips


def decoded(panel: strips.Panel) -> Any:
    """Decode a panel to `[h, w, 3]`, RGB."""
    data = np.frombuffer(base64.b64decode(panel.uri.split(",", 1)[1]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_four_panels_of_the_pictures_size(make_strip: Callable[..., Any]) -> None:
    panels = strips.panels(make_strip(height=40, width=32), "float model")
    assert [panel.label for panel in panels] == ["input", "float model", "int8", "difference"]
    assert {(panel.width, panel.height) for panel in panels} == {(32, 40)}
    assert {decoded(panel).shape for panel in panels} == {(40, 32, 3)}
    kinds = [panel.uri.split(";")[0] for panel in panels]
    assert kinds == ["data:image/jpeg", *["data:image/png"] * 3]


def test_masks_are_drawn_soft(make_strip: Callable[..., Any]) -> None:
    before, after = (decoded(p) for p in strips.panels(make_strip(), "float model")[1:3])
    assert tuple(before[20, 9]) == (230, 230, 230)  # 0.9
    assert tuple(after[20, 9]) == (26, 26, 26)  # 0.1
    assert tuple(before[0, 10]) == (0, 0, 0)


def test_the_difference_has_a_colour_for_every_case(make_strip: Callable[..., Any]) -> None:
    strip = make_strip()
    panel = strips.panels(strip, "float model")[3]
    image = decoded(panel)
    assert tuple(image[20, 9]) == strips.LOST
    assert tuple(image[0, 0]) == strips.GAINED
    assert tuple(image[20, 20]) == strips.BOTH_PERSON
    assert tuple(image[35, 5]) == strips.BOTH_BACKGROUND
    # 20 × 2 pixels lost and 2 × 2 gained, of 40 × 32.
    assert strips.differing(strip) == pytest.approx(44 / 1280)
    assert panel.alt == "where the two masks differ: 3.44 % of the picture"


def test_differences_are_drawn_a_pixel_wider_and_hide_no_other(
    make_strip: Callable[..., Any],
) -> None:
    strip = make_strip()
    before, after = strip.float_mask.copy(), strip.mask.copy()
    before[32, 20], after[32, 21] = 1, 1  # one lost beside one gained
    image = strips.difference(replace(strip, float_mask=before, mask=after))
    assert tuple(image[32, 20]) == strips.LOST
    assert tuple(image[32, 21]) == strips.GAINED
    assert tuple(image[31, 19]) == strips.LOST
    assert tuple(image[33, 22]) == strips.GAINED
    assert tuple(image[34, 20]) == strips.BOTH_BACKGROUND


def test_the_style_sheet_names_the_same_colours() -> None:
    from importlib.resources import files

    style = (files("portrait_tflite.report") / "templates" / "report.css").read_text("utf-8")
    for name, colour in (
        ("both", strips.BOTH_PERSON),
        ("none", strips.BOTH_BACKGROUND),
        ("lost", strips.LOST),
        ("gained", strips.GAINED),
    ):
        assert f".swatch.{name} {{ background: rgb({' '.join(map(str, colour))}); }}" in style
