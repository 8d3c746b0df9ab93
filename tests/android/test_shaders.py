"""The app's shaders, run in a browser, against `portrait_tflite.effects`.

WebGL 2 takes the very sources of OpenGL ES 3.0. `shader_passes.js` sets their numbers as the app's
Kotlin does; a phone's driver and that Kotlin are not tested here.
"""

from __future__ import annotations

import base64
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import pytest

from portrait_tflite.effects import (
    BLUR_STRENGTH,
    GREEN,
    apply_effect,
    edge_step,
    refine_edges,
)
from portrait_tflite.images import Bytes, Floats, placement, restore_mask
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.vocabulary import Effect, Fit, ModelSpec

_SHADERS = Path(__file__).parents[2] / "android_demo/app/src/main/res/raw"
_KOTLIN = Path(__file__).parents[2] / "android_demo/core/src/main/kotlin"
_PASSES = Path(__file__).with_name("shader_passes.js")
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_HEIGHT, _WIDTH = 176, 192  # a blurred cell is 2 pixels wide
_MASK = 32
_STRETCH = ModelSpec(_MASK, _MASK)
_EFFECTS = tuple(Effect)


@pytest.fixture(scope="module")
def page(require_or_skip: Callable[[str], NoReturn]) -> Iterator[Any]:
    if _CHROMIUM is None:
        require_or_skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=flags)
        yield browser.new_page()
        browser.close()


def _kotlin_effects() -> list[str]:
    source = (_KOTLIN / "io/github/portrait_tflite/core/effect/Effect.kt").read_text()
    return re.findall(r'^    [A-Z]+\("(\w+)"\)', source, flags=re.MULTILINE)


def _planes(picture: Bytes) -> dict[str, Any]:
    """Turn RGB into YUV 4:2:0 as cameras lay it out: chroma with other bytes between."""
    y, cr, cb = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb))

    def plane(values: Bytes, stride: int) -> dict[str, Any]:
        spread = np.zeros((values.shape[0], (values.shape[1] - 1) * stride + 1), np.uint8)
        spread[:, ::stride] = values
        height, width = spread.shape
        return {"bytes": _text(spread), "width": width, "height": height}

    return {
        "luma": plane(y, 1),
        "blue": plane(cb[::2, ::2], 2),
        "red": plane(cr[::2, ::2], 2),
    }


def _backdrop() -> Bytes:
    y, x = np.mgrid[0:100, 0:140].astype(np.float32)
    return np.dstack([x, y, 255 - x]).astype(np.uint8)


def _mask() -> Bytes:
    """Draw a disk with a soft edge, as coarse as a network's mask."""
    y, x = np.mgrid[0:_MASK, 0:_MASK]
    distance = np.hypot(y - 18, x - 15)
    return np.asarray(np.clip((11 - distance) * 64 + 128, 0, 255), np.uint8)


def _run(
    page: Any,
    picture: Bytes,
    degrees: int = 0,
    mirrored: bool = False,
    spec: ModelSpec = _STRETCH,
) -> dict[str, Any]:
    height, width = picture.shape[:2]
    upright = (width, height) if degrees % 180 == 0 else (height, width)
    sigma = BLUR_STRENGTH * min(upright)
    cell = max(1, math.floor(sigma / 2))
    backdrop = np.dstack([_backdrop(), np.full((100, 140), 255, np.uint8)])
    # The middle of 140 × 100 in the shape of the frame, in shares of its sides: core's Placement.
    shown = round(100 * upright[0] / upright[1])
    cover = ((140 - shown) // 2 / 140, 0, shown / 140, 1)
    at = placement(upright[1], upright[0], spec)
    coarser = _MASK / spec.width  # the mask may be smaller than the network's input
    inner = (at.inner_left, at.inner_top, at.inner_width, at.inner_height)
    found = page.evaluate(
        _PASSES.read_text(),
        {
            "shaders": {path.stem: path.read_text() for path in _SHADERS.glob("*.glsl")},
            "planes": _planes(picture),
            "stride": 2,
            "size": upright,
            "degrees": degrees,
            "mirrored": int(mirrored),
            "mask": {"bytes": _text(_mask()), "width": _MASK, "height": _MASK},
            "region": (at.left, at.top, at.right - at.left, at.bottom - at.top),
            "inner": [side * coarser for side in inner],
            "spacing": edge_step(upright[1], upright[0], _MASK, _MASK),
            "cell": cell,
            "sigma": sigma / cell,
            "fill": [value / 255 for value in GREEN],
            "backdrop": {"bytes": _text(backdrop), "width": 140, "height": 100},
            "cover": cover,
            "effects": [_kotlin_effects().index(effect) for effect in _EFFECTS],
        },
    )
    assert found is not None, "this browser has no WebGL 2"
    return {
        "upright": _picture(found["upright"], upright),
        "matte": _picture(found["matte"], upright)[..., 0],
        "effects": {
            effect: _picture(values, upright)
            for effect, values in zip(_EFFECTS, found["effects"], strict=True)
        },
    }


def _text(values: Bytes) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _picture(text: str, upright: tuple[int, int]) -> Bytes:
    values = np.frombuffer(base64.b64decode(text), np.uint8)
    return values.reshape(upright[1], upright[0], 4)[..., :3]


@pytest.fixture(scope="module")
def drawn(page: Any) -> Mapping[str, Any]:
    return _run(page, draw_portrait(3, _HEIGHT, _WIDTH)[0])


def _matte(picture: Bytes, spec: ModelSpec = _STRETCH) -> Floats:
    height, width = picture.shape[:2]
    coarse = _mask().astype(np.float32) / np.float32(255)
    restored = restore_mask(coarse, height, width, spec)
    return refine_edges(picture, restored, edge_step(height, width, _MASK, _MASK))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_frames_are_turned_upright(page: Any, degrees: int, mirrored: bool) -> None:
    picture = draw_portrait(3, 48, 64)[0]
    straight = _run(page, picture)["upright"]
    # Smooth enough that only chroma, at half the size, may differ.
    assert np.abs(straight.astype(int) - picture).mean() < 4
    turned = np.rot90(straight, -degrees // 90)
    expected = np.fliplr(turned) if mirrored else turned
    np.testing.assert_array_equal(_run(page, picture, degrees, mirrored)["upright"], expected)


def test_the_matte_is_that_of_refine_edges(drawn: Mapping[str, Any]) -> None:
    expected = _matte(drawn["upright"]) * 255
    difference = np.abs(drawn["matte"].astype(np.float32) - expected)
    assert difference.max() <= 3
    assert difference.mean() < 0.5


@pytest.mark.parametrize("input_side", [_MASK, 2 * _MASK])
@pytest.mark.parametrize("shape", [(120, 192), (192, 120)])
@pytest.mark.parametrize("fit", [Fit.LETTERBOX, Fit.CROP])
def test_the_matte_undoes_the_fit(
    page: Any, fit: Fit, shape: tuple[int, int], input_side: int
) -> None:
    spec = ModelSpec(input_side, input_side, fit=fit)
    found = _run(page, draw_portrait(3, *shape)[0], spec=spec)
    difference = np.abs(found["matte"].astype(np.float32) - _matte(found["upright"], spec) * 255)
    assert difference.max() <= 3
    assert difference.mean() < 0.5
    stretched = np.abs(found["matte"].astype(np.float32) - _matte(found["upright"]) * 255)
    assert stretched.max() > 100  # another fit would be seen


@pytest.mark.parametrize("effect", _EFFECTS)
def test_effects_are_those_of_python(drawn: Mapping[str, Any], effect: Effect) -> None:
    matte = drawn["matte"].astype(np.float32) / np.float32(255)
    expected = apply_effect(effect, drawn["upright"], matte, background=_backdrop())
    if effect is Effect.CUTOUT:  # nothing shows through a screen: it is black there
        expected = expected[..., :3] * (expected[..., 3:] / 255)
    difference = np.abs(drawn["effects"][effect].astype(int) - expected)
    assert difference.max() <= 2, effect


def test_a_blur_that_ignores_the_matte_would_be_seen(drawn: Mapping[str, Any]) -> None:
    nobody = np.zeros((_HEIGHT, _WIDTH), np.float32)
    other = apply_effect(Effect.BLUR, drawn["upright"], nobody)
    assert np.abs(drawn["effects"][Effect.BLUR].astype(int) - other).max() > 20
