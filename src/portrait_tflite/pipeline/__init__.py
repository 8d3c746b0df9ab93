"""The façade: from a Keras model, or a released `.tflite`, to verified files and a report.

Stages hand each other files and records; this package only says in which order.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from portrait_tflite.file_names import is_tflite
from portrait_tflite.pipeline.assets import assets_folder
from portrait_tflite.pipeline.explaining import explain_network
from portrait_tflite.pipeline.finishing import finish
from portrait_tflite.pipeline.from_keras import build_from_keras
from portrait_tflite.pipeline.from_tflite import build_from_tflite
from portrait_tflite.pipeline.remedying import require_float_layers
from portrait_tflite.pipeline.request import Converted, ConvertRequest
from portrait_tflite.pipeline.selecting import select_rewrites
from portrait_tflite.progress import Progress
from portrait_tflite.report.explanation import Explanation

__all__ = ["ConvertRequest", "Converted", "Progress", "convert_model", "explain_layer"]


def convert_model(request: ConvertRequest, progress: Progress) -> Converted:
    """Convert a model, prove it and write everything to the output folder.

    Raises:
        UsageError: Bad options or input; nothing is written.
        ConversionError: The model cannot be converted; nothing is written.
    """
    request = select_rewrites(request)
    require_float_layers(request)
    assets = assets_folder(request)
    with tempfile.TemporaryDirectory(prefix="portrait-tflite-") as scratch:
        build = build_from_tflite if is_tflite(request.source) else build_from_keras
        return finish(request, *build(request, Path(scratch), progress), progress, assets)


def explain_layer(request: ConvertRequest, layer: str, progress: Progress) -> Explanation:
    """Convert a model as far as its files, and say what each rewrite made of one layer.

    Nothing is written.

    Raises:
        UsageError: Bad options or input, or no such layer.
        ConversionError: The model cannot be converted.
    """
    request = select_rewrites(request)
    with tempfile.TemporaryDirectory(prefix="portrait-tflite-") as scratch:
        build = build_from_tflite if is_tflite(request.source) else build_from_keras
        asked = replace(request, out=Path(scratch) / "out", explained=layer)
        network, _, _ = build(asked, Path(scratch), progress)
    return explain_network(network, layer, asked.rewrite)
