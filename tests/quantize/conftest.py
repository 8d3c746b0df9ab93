"""Validation folders of drawn pictures: the person is a red rectangle on blue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

Build = Callable[..., Path]


@pytest.fixture
def red_folder(tmp_path: Path) -> Build:
    """Give a builder of a folder with `images/` and, unless told otherwise, `masks/`."""

    def build(count: int = 4, *, labelled: bool = True, height: int = 24, width: int = 32) -> Path:
        folder = tmp_path / "val"
        (folder / "images").mkdir(parents=True)
        rng = np.random.default_rng(0)
        for number in range(count):
            mask = np.zeros((height, width), np.uint8)
            top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
            mask[top : top + height // 2, left : left + width // 2] = 255
            blue_green_red = np.dstack([255 - mask, np.zeros_like(mask), mask])
            cv2.imwrite(str(folder / "images" / f"{number:02}.png"), blue_green_red)
            if labelled:
                (folder / "masks").mkdir(exist_ok=True)
                cv2.imwrite(str(folder / "masks" / f"{number:02}.png"), mask)
        return folder

    return build
