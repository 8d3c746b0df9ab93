"""The pictures that int8 ranges are measured on, chosen, checked and written down."""

from portrait_tflite.quantize.calibration.calibration_set import (
    FEWEST,
    CalibrationEntry,
    CalibrationSet,
    Representative,
    load_calibration,
    representative_dataset,
)
from portrait_tflite.quantize.calibration.held_out import hold_out
from portrait_tflite.quantize.calibration.manifest import manifest
from portrait_tflite.quantize.calibration.picture import SYNTHETIC
from portrait_tflite.quantize.calibration.sources import calibration_images

__all__ = [
    "FEWEST",
    "SYNTHETIC",
    "CalibrationEntry",
    "CalibrationSet",
    "Representative",
    "calibration_images",
    "hold_out",
    "load_calibration",
    "manifest",
    "representative_dataset",
]
