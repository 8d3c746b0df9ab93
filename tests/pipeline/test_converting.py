"""Progress of converting: it only goes forwards, and never beyond its end."""

from __future__ import annotations

from portrait_tflite.pipeline.converting import ConvertingSteps
from portrait_tflite.quantize.calibration import load_calibration, representative_dataset
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.vocabulary import ModelSpec, Precision


def test_variants_and_pictures_are_counted() -> None:
    calibration = load_calibration("synthetic", ModelSpec(8, 8), 9)
    variants = (Precision.FLOAT32, Precision.INT8, Precision.INT16X8)
    steps = ConvertingSteps(variants, Pictures(calibration, [], ""))
    assert steps.total == 3 * 50 + 2 * 9
    seen: list[int] = []
    steps.update = seen.append
    for precision in variants:
        steps.on_variant(precision)
        for _ in range(2 if precision is Precision.INT8 else 1):  # a converter may ask twice
            pictures = representative_dataset(calibration, steps.on_picture)
            if precision is not Precision.FLOAT32:
                assert len(list(pictures())) == 9
    assert seen[:3] == [0, 50, 51]
    assert seen[-1] == steps.total - 50
    assert max(seen) < steps.total


def test_without_calibration_only_variants_are() -> None:
    steps = ConvertingSteps((Precision.FLOAT32, Precision.FLOAT16), Pictures(None, [], ""))
    assert steps.total == 100
    steps.on_variant(Precision.FLOAT32)
    steps.on_picture(1)
