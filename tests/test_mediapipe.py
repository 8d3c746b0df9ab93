"""Files that describe themselves, run by the real MediaPipe: kinds that the packaged net is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.task_metadata import with_task_metadata
from portrait_tflite.images import prepare, read_image, restore_mask
from portrait_tflite.metrics import iou
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.quantize.accuracy.remembering import tflite_predictor
from portrait_tflite.vocabulary import Activation, ModelSpec, OutputSpec

_SIZE = 32
_LABELS = ["background", "person"]
_SEEDS = (0, 1)


def _bright_is_the_person(graph: Any, *, softmax: bool) -> bytes:
    """Build a float network of two classes from colours in −1–1, by softmax or as logits."""
    picture = graph.tensor("image", (1, _SIZE, _SIZE, 3), "float32")
    kernel = np.array([[-1.0, -2.0, -1.0], [1.0, 2.0, 1.0]]).reshape(2, 1, 1, 3)
    weights = graph.tensor("weights", kernel.shape, "float32", data=kernel)
    bias = graph.tensor("bias", (2,), "float32", data=[0.1, -0.1])
    shape = (1, _SIZE, _SIZE, 2)
    logits = graph.tensor("logits", shape, "float32")
    options = schema.Conv2DOptionsT(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
    graph.op("CONV_2D", [picture, weights, bias], logits, 1, options)
    end = logits
    if softmax:
        end = graph.tensor("mask", shape, "float32")
        graph.op("SOFTMAX", [logits], end, 1, schema.SoftmaxOptionsT(beta=1.0))
    data: bytes = graph.build([picture], [end])
    return data


@pytest.mark.parametrize("in_file", [True, False], ids=["softmax", "logits"])
def test_two_classes_of_a_float_file(
    tiny_graph: Callable[..., Any],
    mediapipe_segment: Callable[[Path, Path], list[str]],
    tmp_path: Path,
    *,
    in_file: bool,
) -> None:
    activation = Activation.NONE if in_file else Activation.SOFTMAX
    output = OutputSpec(channel=1, activation=activation)
    spec = ModelSpec(_SIZE, _SIZE, input_range=(-1.0, 1.0), output=output)
    data = _bright_is_the_person(tiny_graph(), softmax=in_file)
    path = tmp_path / "net.tflite"
    path.write_bytes(with_task_metadata(data, spec, _LABELS, "net"))
    pictures = [tmp_path / f"{seed}.png" for seed in _SEEDS]
    for seed, picture in zip(_SEEDS, pictures, strict=True):
        image, _ = draw_portrait(seed, _SIZE, _SIZE)
        cv2.imwrite(str(picture), image[..., ::-1])
    assert mediapipe_segment(path, tmp_path) == _LABELS
    predict = tflite_predictor(path, spec)
    for picture in pictures:
        read = read_image(picture)
        assert read is not None
        ours = restore_mask(predict(prepare(read, spec)), *read.shape[:2], spec)
        assert 0.05 < np.mean(ours >= 0.5) < 0.95
        theirs = np.load(picture.with_suffix(".npy"))
        assert iou(ours, theirs) >= 0.99
        np.testing.assert_allclose(theirs, ours, atol=0.02)
