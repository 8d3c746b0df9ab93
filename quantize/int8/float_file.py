"""int8 from a float `.tflite` whose Keras model is gone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, read_model, serialize, text
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.errors import ConversionError
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.lifted_ranges import lift_ranges
from portrait_tflite.quantize.int8.tensor_ranges import Range

_SIGNATURE = "serving_default"
# Pictures between two steps of the progress bar.
_CHUNK = 10


def widened_file(data: bytes) -> bytes:
    """Return a float file whose weights are all float32; float16 ones are widened."""
    return serialize(widen_weights(read_model(data)))


def quantize_float_file(
    data: bytes,
    frames: Sequence[tuple[Floats, ...]],
    on_images: Callable[[int], None] | None = None,
) -> bytes:
    """Quantize to int8 by ai-edge-quantizer: the way for files that `TFLiteConverter` refuses.

    Weights are per channel, activations per tensor, ends included. It leaves some ops between
    DEQUANTIZE and QUANTIZE in float; mending takes most of those away (`quantized_island`).

    Args:
        data: The file; float32, or float16 weights that are widened in front of each op.
        frames: The calibration inputs: an array `[1, h, w, c]` per input each.
        on_images: Called with how many of them were seen.

    Raises:
        ConversionError: ai-edge-quantizer does not take the file.
    """
    from ai_edge_quantizer import quantizer, recipe

    model = widen_weights(read_model(data))
    names = _sign(model)
    worker = quantizer.Quantizer(serialize(model))
    worker.load_quantization_recipe(recipe.static_wi8_ai8())
    fed = [dict(zip(names, frame, strict=True)) for frame in frames]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that all tensors are kept: calibration reads them
            found = _ranges(worker, fed, on_images)
            quantized = worker.quantize(_lifted(model, found)).quantized_model
    # It lets through whatever its many parts raise.
    except Exception as error:
        raise ConversionError(
            "a float .tflite that ai-edge-quantizer can quantize is required. Received: one that "
            f"it refuses ({type(error).__name__}: {str(error).splitlines()[0][:200]}). Convert the "
            "Keras model, or leave out --int8."
        ) from error
    return serialize(read_model(bytes(quantized)))


def _ranges(
    worker: Any, fed: Sequence[dict[str, Floats]], on_images: Callable[[int], None] | None
) -> Any:
    """Measure what every tensor holds, some pictures at a time."""
    ranges = None
    for start in range(0, len(fed), _CHUNK):
        chunk = {_SIGNATURE: fed[start : start + _CHUNK]}
        ranges = worker.calibrate(chunk, previous_calibration_result=ranges)
        if on_images:
            on_images(min(start + _CHUNK, len(fed)))
    return ranges


def _lifted(model: schema.ModelT, found: Any) -> Any:
    """Widen what it measured and could not scale to; see `lift_ranges`."""
    numbers = {text(t.name): number for number, t in enumerate(model.subgraphs[0].tensors)}
    named = {numbers[name]: entry for name, entry in found.items() if name in numbers}
    ranges = {n: Range(float(e["min"].min()), float(e["max"].max())) for n, e in named.items()}
    for number, limits in lift_ranges(model, ranges).items():
        if limits != ranges[number]:
            named[number]["min"] = np.full_like(named[number]["min"], limits.low)
            named[number]["max"] = np.full_like(named[number]["max"], limits.high)
    return found


def widen_weights(model: schema.ModelT) -> schema.ModelT:
    """Hold float16 constants as float32, without the DEQUANTIZE in front of each, in place."""
    graph = model.subgraphs[0]
    widened = [node for node in list_nodes(model) if _widens(node)]
    for node in widened:
        source, target = node.given()[0].index, node.outputs[0].index
        half = np.asarray(model.buffers[graph.tensors[source].buffer].data, np.uint8)
        full = half.view(np.float16).astype(np.float32)
        model.buffers.append(schema.BufferT(data=full.view(np.uint8).ravel()))
        graph.tensors[target].buffer = len(model.buffers) - 1
    gone = {node.index for node in widened}
    graph.operators = [o for i, o in enumerate(graph.operators) if i not in gone]
    return model


def _widens(node: Node) -> bool:
    if node.op != "DEQUANTIZE":
        return False
    source = node.given()[0]
    return source.constant and source.dtype == "float16"


def _sign(model: schema.ModelT) -> list[str]:
    """Give a model one signature of its first subgraph, and return the names of its inputs."""
    graph = model.subgraphs[0]
    inputs, outputs = (
        [
            schema.TensorMapT(name=f"{kind}_{number}".encode(), tensorIndex=tensor)
            for number, tensor in enumerate(indices(ends))
        ]
        for kind, ends in (("input", graph.inputs), ("output", graph.outputs))
    )
    key = _SIGNATURE.encode()
    model.signatureDefs = [schema.SignatureDefT(inputs, outputs, key, 0)]
    return [entry.name.decode() for entry in inputs]
