"""Masks that a released file gives as the number of the best class: its last op is an ARG_MAX."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.loading.exact_record import exact_record
from portrait_tflite.convert.loading.flat_masks import take_instead
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of
from portrait_tflite.vocabulary import RewriteRecord

# Ops that only bring the numbers of classes into another shape or type.
_BEHIND = frozenset({"CAST", "EXPAND_DIMS", "RESHAPE", "SQUEEZE"})


def open_class_map(model: schema.ModelT, output: int) -> tuple[RewriteRecord, ...]:
    """Take the ARG_MAX off an output that leaves of each pixel its best class; changed in place.

    Given:
        y = ARG_MAX(x [1, h, w, k], over k)    # an output, or RESHAPE, CAST and the like behind

    Result:
        y = x    # the channel of a class is soft, and no delegate takes ARG_MAX
    """
    outputs = indices(model.subgraphs[0].outputs)
    record = _open(model, outputs[output]) if output < len(outputs) else None
    return () if record is None else (record,)


def _open(model: schema.ModelT, output: int) -> RewriteRecord | None:
    node, behind = producer_of(model, output), [output]
    while node is not None and node.op in _BEHIND:
        behind.append(node.given()[0].index)
        node = producer_of(model, behind[-1])
    if node is None or node.op != "ARG_MAX" or not _chooses_class(node):
        return None
    if any(count_readers(model, tensor) != 1 for tensor in behind):
        return None
    scores = node.given()[0]
    if scores.index in indices(model.subgraphs[0].outputs):  # which --output can name
        return None
    take_instead(model, output, scores.index)
    return exact_record(
        "class_map",
        node.tensor,
        f"{list(scores.shape)}",
        "what the ARG_MAX chooses from, of which --output-channel is the person",
    )


def _chooses_class(node: Node) -> bool:
    scores, axis = node.given()[:2]
    if axis.data is None or len(scores.shape) != 4 or scores.shape[0] != 1:
        return False
    return axis.data.view(axis.dtype)[0] in (-1, 3) and min(scores.shape[1:3]) > 1
