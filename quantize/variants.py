"""Every variant of a network, from the graph that its target wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.export import Export, keras_converter, run_converter
from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.mend import mend_model
from portrait_tflite.quantize.calibration import Representative
from portrait_tflite.quantize.post_training import configure, quantize_model
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import (
    Delegate,
    IoType,
    Precision,
    RewriteRecord,
    SkippedRewrite,
    Target,
)

INTEGER = (Precision.INT8, Precision.INT16X8)


@dataclass(frozen=True)
class Built:
    """A variant's file and what mending it did."""

    data: bytes
    mended: tuple[RewriteRecord, ...] = ()
    skipped: tuple[SkippedRewrite, ...] = ()


def delegate_of(precision: Precision, target: Target) -> Delegate:
    """Return whose delegate a variant is rewritten for: float16 is the GPU's, int8 the CPU's."""
    if target is Target.GPU or (target.gpu and precision is Precision.FLOAT16):
        return Delegate.GPU
    return Delegate.XNNPACK


def build_variants(
    graphs: Mapping[Delegate, Graph],
    precisions: Sequence[Precision],
    target: Target,
    representative: Representative,
    io: IoType,
    checks: Sequence[NDArray[np.float32]],
    on_variant: Callable[[Precision], None] | None = None,
) -> dict[str, Built]:
    """Export, quantize and mend every variant asked for.

    Args:
        graphs: The rewritten graph per delegate.
        checks: Network inputs `[1, h, w, c]` on which mending is checked.
        on_variant: Called before each variant.

    Returns:
        By name of the precision, in the order asked for.
    """
    exports: dict[int, Export] = {}
    built: dict[str, Built] = {}
    for precision in precisions:
        if on_variant:
            on_variant(precision)
        graph = graphs[delegate_of(precision, target)]
        if id(graph) not in exports:
            exports[id(graph)] = Export(graph)
        export = exports[id(graph)]
        if precision in (Precision.FLOAT32, Precision.FLOAT16):
            data = export.float_model(precision)
        else:
            data = quantize_model(export, precision, representative, io)
        layers = [node.name for node in graph.nodes()]
        with quiet():
            mended = mend_model(data, checks, layers=layers)
        built[str(precision)] = Built(mended.data, mended.records, mended.skipped)
    return built


def build_naive(model: keras.Model, representative: Representative, *, batch_one: bool) -> Built:
    """Convert a model as given to int8 with plain `TFLiteConverter`: the baseline.

    Raises:
        ConversionError: `TFLiteConverter` does not take it.
    """
    with quiet():
        converter = keras_converter(model, batch_one=batch_one)
        configure(converter, Precision.INT8, representative, IoType.INT8)
        return Built(run_converter(converter))
