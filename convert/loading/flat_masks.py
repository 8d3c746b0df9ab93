"""Masks that a released file gives as one long row or as [h, w]: its last op was a reshape."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.files.flatbuffer_pruning import drop_unused
from portrait_tflite.convert.loading.exact_record import exact_record
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of, redirect
from portrait_tflite.vocabulary import RewriteRecord

_BY_ELEMENT = frozenset({"DEQUANTIZE", "LOGISTIC", "QUANTIZE"})
_BY_CHANNEL = frozenset({"SOFTMAX"})
_RESHAPES = frozenset({"RESHAPE", "SQUEEZE"})


def unflatten_masks(model: schema.ModelT) -> tuple[RewriteRecord, ...]:
    """Take the reshape off that flattens a mask; the model is changed in place.

    Given:
        y = RESHAPE(x [1, h, w, c]) [1, h·w·c] or [1, h·w, c]    # an output, or LOGISTIC,
                                                                 # SOFTMAX and the like behind
        y = RESHAPE or SQUEEZE(x [1, h, w] or [1, h, w, 1]) [h, w]

    Result:
        y = x    # and the ops behind on [1, h, w, c]

    The numbers are the same, and in the same order.
    """
    outputs = indices(model.subgraphs[0].outputs)
    return tuple(record for output in outputs if (record := _unflatten(model, output)) is not None)


def _unflatten(model: schema.ModelT, output: int) -> RewriteRecord | None:
    behind: list[int] = []
    node = producer_of(model, output)
    while node is not None and node.op in _BY_ELEMENT | _BY_CHANNEL:
        behind.append(node.outputs[0].index)
        node = producer_of(model, node.given()[0].index)
    if node is None or node.op not in _RESHAPES or not _flattens(node):
        return None
    source, flat = node.given()[0], node.outputs[0]
    # Over several channels SOFTMAX needs them as the last dimension, before and after.
    if behind and flat.shape[-1] != source.shape[-1]:
        return None
    if any(count_readers(model, tensor) != 1 for tensor in (flat.index, *behind)):
        return None
    for tensor in behind:
        model.subgraphs[0].tensors[tensor].shape = np.array(source.shape, np.int32)
        model.subgraphs[0].tensors[tensor].shapeSignature = None
    take_instead(model, flat.index, source.index)
    return exact_record(
        "flat_mask",
        node.tensor,
        f"{list(source.shape)}",
        "the same numbers in the same order: its reshape is left out",
    )


def _flattens(node: Node) -> bool:
    source, flat = node.given()[0].shape, node.outputs[0].shape
    if len(source) not in (3, 4) or source[0] != 1 or -1 in source:
        return False
    _, height, width, channels = (*source, 1)[:4]
    rows = ((1, height * width * channels), (1, height * width, channels))
    picture = (height, width) if channels == 1 else None
    return min(height, width) > 1 and flat in (*rows, picture)


def take_instead(model: schema.ModelT, old: int, new: int) -> None:
    """Let readers and the graph's ends take tensor `new` for `old`, and drop what is left over."""
    graph = model.subgraphs[0]
    redirect(model, old, new)
    graph.outputs = np.array([new if i == old else i for i in indices(graph.outputs)], np.int32)
    for signature in model.signatureDefs or []:
        for entry in signature.outputs or []:
            if signature.subgraphIndex == 0 and entry.tensorIndex == old:
                entry.tensorIndex = new
    drop_unused(model)
