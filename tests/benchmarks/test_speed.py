"""Timings of what surrounds inference; run with `pytest --benchmark-only`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portrait_tflite import metrics
from portrait_tflite.images import prepare, restore_mask
from portrait_tflite.quantize.accuracy.scoring import Prepared, score_sample
from portrait_tflite.vocabulary import Fit, ModelSpec

SPEC = ModelSpec(height=256, width=256, input_range=(-1, 1))


def blob(size: int, shift: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A soft disc, `[size, size]`."""
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    distance = np.hypot(rows - size / 2, columns - size / 2 - shift)
    return np.clip(size / 3 - distance + 0.5, 0, 1).astype(np.float32)


@pytest.mark.parametrize("fit", list(Fit))
def test_prepare(benchmark: Any, fit: Fit) -> None:
    image = np.random.default_rng(0).integers(0, 256, (800, 600, 3), np.uint8)
    spec = ModelSpec(height=256, width=256, input_range=(-1, 1), fit=fit)
    assert benchmark(prepare, image, spec).shape == (1, 256, 256, 3)


def test_restore_mask(benchmark: Any) -> None:
    assert benchmark(restore_mask, blob(256), 800, 600, SPEC).shape == (800, 600)


def test_overlap(benchmark: Any) -> None:
    assert 0.9 < benchmark(metrics.overlap, blob(512), blob(512, 3)).iou < 1


def test_boundary_f(benchmark: Any) -> None:
    assert benchmark(metrics.boundary_f, blob(256), blob(256, 1)) == 1


def test_score_of_three_variants(benchmark: Any) -> None:
    label = metrics.threshold(blob(320))
    sample = Prepared(
        "a", blob(256)[None, ..., None], 320, 320, label, metrics.threshold(blob(256))
    )
    masks = {name: blob(256, shift) for shift, name in enumerate(("float16", "int8", "dynamic"))}
    scores = benchmark(score_sample, sample, blob(256), masks, SPEC)
    assert scores.variants["int8"].iou < scores.float_score.iou
