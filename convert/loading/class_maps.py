"""Masks that a released file gives as the number of the best class: its last op is an ARG_MAX."""

from __future__ import annotations

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.loading.exact_record import exact_record
from portrait_tflite.convert.loading.flat_masks import take_instead
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op
from portrait_tflite.vocabulary import RewriteRecord

# Ops that only bring numbers into another shape or type, where they keep all of them.
_RESHAPING = frozenset({"EXPAND_DIMS", "RESHAPE", "SLICE", "SQUEEZE", "STRIDED_SLICE"})
_BEHIND = _RESHAPING | {"CAST"}


def open_class_map(model: schema.ModelT, output: int) -> tuple[RewriteRecord, ...]:
    """Take the ARG_MAX off an output that leaves of each pixel its best class; changed in place.

    Given:
        y = ARG_MAX(x [1, h, w, k], over k)    # an output, or RESHAPE, CAST, STRIDED_SLICE and the
                                               # like behind, or ONE_HOT

    Result:
        y = x    # cropped where the classes were

    The channel of a class is soft, and no delegate takes ARG_MAX.
    """
    outputs = indices(model.subgraphs[0].outputs)
    record = _open(model, outputs[output]) if output < len(outputs) else None
    return () if record is None else (record,)


def _open(model: schema.ModelT, output: int) -> RewriteRecord | None:
    node, behind = producer_of(model, output), [output]
    crops: list[Node] = []
    while node is not None and (_keeps_all(node, _BEHIND) or _is_one_hot(node) or _is_crop(node)):
        if not _keeps_all(node, _BEHIND) and node.op != "ONE_HOT":
            crops.insert(0, node)
        behind.append(node.given()[0].index)
        node = producer_of(model, behind[-1])
    if node is None or node.op != "ARG_MAX":
        return None
    if any(count_readers(model, tensor) != 1 for tensor in behind):
        return None
    scores = _scores(model, node)
    if scores is None or scores.index in indices(model.subgraphs[0].outputs):  # --output names it
        return None
    taken = _cropped(model, node, scores, crops) if crops else scores.index
    take_instead(model, output, taken)
    return exact_record(
        "class_map",
        node.tensor,
        f"{list(scores.shape)}",
        "what the ARG_MAX chooses from, of which --output-channel is the person",
    )


def _cropped(model: schema.ModelT, node: Node, scores: Operand, crops: list[Node]) -> int:
    """Cut the scores as the classes were cut, in the place of the ARG_MAX; return what is left."""
    built = Replacement(model, node)
    taken, depth = scores.index, scores.shape[-1]
    for crop in crops:
        begin, end, strides = (stored_values(one)[:3] for one in crop.given()[1:])
        options = copy.copy(crop.options)
        options.endMask |= 1 << 3  # all channels
        whole = [np.append(one, last) for one, last in ((begin, 0), (end, depth), (strides, 1))]
        constants = [built.constant(one.astype(np.int32)) for one in whole]
        cut = built.tensor((*crop.outputs[0].shape[:3], depth), scores)
        built.op(Op("STRIDED_SLICE", crop.version, options), [taken, *constants], cut)
        taken = cut
    built.finish()
    return taken


def _is_crop(node: Node) -> bool:
    """Whether a map of classes [1, h, w] or [1, h, w, 1] loses rows or columns."""
    before, after = node.given()[0].shape if node.inputs else (), node.outputs[0].shape
    if node.op != "STRIDED_SLICE" or not all(o.constant for o in node.given()[1:]):
        return False
    other = ("shrinkAxisMask", "newAxisMask", "ellipsisMask")
    if any(node.option(mask, 0) for mask in other) or len(before) not in (3, 4):
        return False
    return (before[0], *before[3:]) == (after[0], *after[3:]) and set(before[3:]) <= {1}


def _scores(model: schema.ModelT, node: Node) -> Operand | None:
    """Return the map [1, h, w, k] that an ARG_MAX chooses from, over its channels."""
    scores, axis = node.given()[:2]
    over = int(axis.data.view(axis.dtype)[0]) if axis.data is not None else 0
    if over not in (-1, len(scores.shape) - 1):
        return None
    producer = producer_of(model, scores.index)
    # Without its batch it is [h, w, k].
    if len(scores.shape) == 3 and producer is not None and _keeps_all(producer, _RESHAPING):
        without, scores = scores, producer.given()[0]
        if scores.shape != (1, *without.shape):
            return None
    whole = len(scores.shape) == 4 and scores.shape[0] == 1
    return scores if whole and min(scores.shape[1:3]) > 1 else None


def _keeps_all(node: Node, ops: frozenset[str]) -> bool:
    return node.op in ops and node.given()[0].size == node.outputs[0].size


def _is_one_hot(node: Node) -> bool:
    """Whether a class becomes a channel of ones: the scores are the same, but soft."""
    return node.op == "ONE_HOT" and node.option("axis", -1) in (-1, len(node.outputs[0].shape) - 1)
