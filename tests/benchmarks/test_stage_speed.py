"""Timings of the pipeline's stages on a real net; run with `pytest --benchmark-only`.

`hodzic_unet` with random weights: its plain int8 file has stand-alone ReLUs to be mended. See
CONTRIBUTING.md for how to compare with the stored baseline.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.loading.load import LoadedModel, LoadOptions, load_model
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.plan import RewriteRequest, mask_graph, rewrite_for
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.quantize.accuracy.remembering import tflite_predictor
from portrait_tflite.quantize.accuracy.validation import load_validation
from portrait_tflite.quantize.accuracy.verify import verify_variants
from portrait_tflite.quantize.calibration import (
    CalibrationSet,
    load_calibration,
    representative_dataset,
)
from portrait_tflite.quantize.int8.post_training import quantize_model
from portrait_tflite.quantize.variants import build_naive
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import Delegate, IoType, Precision

_PICTURES = 10
_ROUNDS = 3


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    with quiet():
        return load_model("hodzic_unet", LoadOptions(random_weights=True))


@pytest.fixture(scope="module")
def calibration(loaded: LoadedModel) -> CalibrationSet:
    return load_calibration("synthetic", loaded.spec, _PICTURES)


@pytest.fixture(scope="module")
def naive(loaded: LoadedModel, calibration: CalibrationSet) -> bytes:
    return build_naive(loaded.model, representative_dataset(calibration), batch_one=True).data


@pytest.fixture
def validation(tmp_path: Path) -> Path:
    """Drawn portraits with their masks."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for seed in range(_PICTURES):
        image, mask = draw_portrait(seed, 320, 240)
        cv2.imwrite(
            str(tmp_path / "images" / f"{seed}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        )
        cv2.imwrite(str(tmp_path / "masks" / f"{seed}.png"), mask)
    return tmp_path


def few(benchmark: Any, stage: Callable[[], Any]) -> Any:
    """Time a stage that takes seconds; a first round that is not counted warms libraries up."""
    with quiet():
        return benchmark.pedantic(stage, rounds=_ROUNDS, warmup_rounds=1)


def test_rewriting(benchmark: Any, loaded: LoadedModel, calibration: CalibrationSet) -> None:
    def rewrite() -> Any:
        graph, _ = mask_graph(loaded.model, loaded.spec)
        return rewrite_for(graph, Delegate.XNNPACK, RewriteRequest(), calibration.inputs[:2])

    assert few(benchmark, rewrite).records


def test_calibration_pass(benchmark: Any, loaded: LoadedModel, calibration: CalibrationSet) -> None:
    with quiet():
        export = Export(mask_graph(loaded.model, loaded.spec)[0])
        export.float_model(Precision.FLOAT32)  # traced once, as in `convert`
    representative = representative_dataset(calibration)
    assert few(
        benchmark, lambda: quantize_model(export, Precision.INT8, representative, IoType.INT8)
    )


def test_calibration_pass_of_the_plain_converter(
    benchmark: Any, loaded: LoadedModel, calibration: CalibrationSet
) -> None:
    # What the pass above is to be no slower than.
    representative = representative_dataset(calibration)
    assert few(benchmark, lambda: build_naive(loaded.model, representative, batch_one=True))


def test_mending(benchmark: Any, naive: bytes, calibration: CalibrationSet) -> None:
    checks = [image[None] for image in calibration.inputs[:3]]
    assert few(benchmark, lambda: mend_model(naive, checks)).records


def test_audit(benchmark: Any, naive: bytes) -> None:
    assert few(benchmark, lambda: audit_model(naive)).xnnpack.outside


def test_verify(benchmark: Any, loaded: LoadedModel, naive: bytes, validation: Path) -> None:
    predictor = tflite_predictor(naive, loaded.spec)
    samples = load_validation(validation)
    scores = few(
        benchmark,
        lambda: verify_variants(predictor, {"int8": predictor}, loaded.spec, samples, 1.0),
    )
    assert scores["int8"].images == _PICTURES
