"""Drawn portraits on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from portrait_tflite.models.synthetic import draw_portrait


@pytest.fixture(scope="session")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of twelve drawn portraits with their masks."""
    folder = tmp_path_factory.mktemp("portraits")
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for seed in range(12):
        image, mask = draw_portrait(seed, 48, 40)
        cv2.imwrite(str(folder / "images" / f"{seed:02}.png"), image[..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"{seed:02}.png"), mask)
    return folder
