"""Fine-tuning with int8 played: weights that are good where they are rounded.

The teacher is the float network itself, so that no labels are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from portrait_tflite.convert.finetuning.lessons import Lessons
from portrait_tflite.convert.finetuning.options import FineTuningOptions
from portrait_tflite.convert.finetuning.run import FineTuned, fine_tune
from portrait_tflite.convert.graph import Graph
from portrait_tflite.images import Floats
from portrait_tflite.quantize.remedies.fake_quant_graph import (
    measured_places,
    with_fake_quantization,
)

# The weights are good already: they are to move by steps of int8, not to learn anew.
LEARNING_RATE = 1e-4


def fine_tune_for_int8(
    graph: Graph,
    batches: Sequence[Floats],
    lessons: tuple[Lessons, Lessons],
    options: FineTuningOptions,
    folder: Path,
    on_step: Callable[[int, int], None] | None = None,
) -> FineTuned:
    """Train a copy of a graph so that its masks in int8 are those of its teacher in float.

    Given:  the graph whose int8 file loses too much
    Result: the same graph with other weights, still float: to be exported, ranged and quantized

    Args:
        graph: What is quantized; it stays as it is.
        batches: Calibration pictures `[n, h, w, c]`, over which the tensors are rounded.
        lessons: To train on, and to score on, with the float network's own masks.
        options: How long, how fast (`LEARNING_RATE` is meant for this), by which seed.
        folder: Where the checkpoint is while it runs: a run that was cut off goes on.
        on_step: Called with `(steps done, steps in all)`.

    Returns:
        What was trained; agreements are those with int8 played.

    Raises:
        UsageError: `folder` cannot be written.
    """
    ranges = measured_places(graph, batches)
    played = partial(with_fake_quantization, ranges=ranges)
    return fine_tune(graph, (), lessons, options, folder, on_step, played)
