"""Sizes that a released file leaves open, as Keras exports leave the batch: fixed once and for all.

The runtime starts with a batch of 1 anyway. But XNNPACK takes no shape that the net computes, the
GPU delegate takes no open size at all, and what reads a file here goes by the sizes in it.
"""

from __future__ import annotations

from collections.abc import Container

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, serialize, text
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes, read_node
from portrait_tflite.convert.files.flatbuffer_pruning import drop_unused
from portrait_tflite.convert.loading.exact_record import exact_record
from portrait_tflite.convert.rewrites.flatbuffer.fold_constants import FoldConstants, write_constant
from portrait_tflite.convert.rewrites.flatbuffer.place import is_output
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    Match,
    copy_graph,
    restore_graph,
)
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate, RewriteRecord

_SIZE_OPS = frozenset({"SHAPE", "RANK"})
_FOLD = FoldConstants()
_SEED = 20240


def size_inputs(model: schema.ModelT, size: tuple[int, int] | None, source: str) -> bool:
    """Give inputs of open size the one that they are to have; the model is changed in place.

    A batch is 1. Height and width are what the runtime would start with, or `size` where that is a
    picture of 1×1.

    Args:
        size: Height and width of a picture of any size; None where nobody said.
        source: What messages call the file.

    Returns:
        Whether the runtime would have started with another size.

    Raises:
        UsageError: The network takes pictures of any size, and `size` is None.
    """
    graph = model.subgraphs[0]
    changed = False
    for tensor in (graph.tensors[number] for number in indices(graph.inputs)):
        started, signature = indices(tensor.shape), indices(tensor.shapeSignature)
        free = [axis for axis, length in enumerate(signature) if length == -1]
        if not free:
            continue
        shape = [1 if axis in free and axis == 0 else n for axis, n in enumerate(started)]
        sides = [axis for axis in free if axis in (1, 2) and len(shape) == 4 and shape[axis] <= 1]
        if sides and size is None:
            listed = ", ".join("?" if length == -1 else str(length) for length in signature)
            raise UsageError(
                f"{source} takes images of any size ([{listed}]): --size HxW is required, "
                "e.g. --size 256x256."
            )
        for axis in sides:
            shape[axis] = size[axis - 1] if size else 1
        tensor.shape, tensor.shapeSignature = np.array(shape, np.int32), None
        changed |= shape != started
    return changed


def fix_sizes(model: schema.ModelT, source: str) -> tuple[RewriteRecord, ...]:
    """Write down every size that follows from the inputs', and what is computed from sizes alone.

    Given:
        y = TRANSPOSE_CONV(PACK(STRIDED_SLICE(SHAPE(x)), …), …)    # x, y [-1, h, w, c]

    Result:
        y = TRANSPOSE_CONV(constant, …)    # x, y [1, h, w, c]

    The model is changed in place, behind `size_inputs`. Sizes that follow from the picture stay
    open.

    Raises:
        UsageError: The built-in kernels do not load the file.
    """
    opened = list_nodes(model)
    if not any(_is_open(node) for node in opened):
        return ()
    before, saved = serialize(model), copy_graph(model)
    rounds = [_settle(model, source)]
    while rounds[-1]:  # what stands behind a computed size is known by now
        rounds.append(_settle(model, source))
    computed = sum(rounds)
    if not computed and _sizes(list_nodes(model)) == _sizes(opened):
        restore_graph(model, saved)
        return ()
    drop_unused(model)
    if not _same_outputs(before, serialize(model)):
        restore_graph(model, saved)
        return ()
    first = model.subgraphs[0].tensors[indices(model.subgraphs[0].inputs)[0]]
    constants = f"; {computed} ops that compute sizes became constants" if computed else ""
    reason = f"the sizes that the runtime starts with{constants}"
    return (exact_record("fixed_sizes", text(first.name), f"{indices(first.shape)}", reason),)


def _is_open(node: Node) -> bool:
    # Files older than TensorFlow 2 give a tensor of unknown size no dimensions at all.
    unknown = any(-1 in operand.shape or not operand.shape for operand in node.outputs)
    return unknown or node.op in _SIZE_OPS


def _sizes(nodes: list[Node]) -> list[tuple[int, ...]]:
    return [operand.shape for node in nodes for operand in node.outputs]


def _settle(model: schema.ModelT, source: str) -> int:
    """Write the sizes that the runtime knows before it runs; fold what is computed from them.

    Returns:
        Number of ops that were folded.
    """
    known = open_model(serialize(model), Delegate.CPU, name=source).known_shapes()
    for number, tensor in enumerate(model.subgraphs[0].tensors):
        if number in known and model.buffers[tensor.buffer].data is None:
            tensor.shape, tensor.shapeSignature = np.array(known[number], np.int32), None
    sizes: set[int] = set()
    position = 0
    while position < len(model.subgraphs[0].operators):
        node = read_node(model, position)
        if not _fold(model, node, sizes, known):
            position += 1
    return len(sizes)


def _fold(model: schema.ModelT, node: Node, sizes: set[int], known: Container[int]) -> bool:
    """Make a constant of what an op computes from sizes alone, where it does."""
    if node.op in _SIZE_OPS:
        source, target = node.given()[0], node.outputs[0]
        if source.index not in known or is_output(model, target.index):
            return False
        size = source.shape if node.op == "SHAPE" else len(source.shape)
        write_constant(model, node, np.array(size, target.dtype))
    elif any(operand.index in sizes for operand in node.given()):
        match = _FOLD.match(model, node)
        if not isinstance(match, Match):
            return False
        _FOLD.change(model, node, match)
    else:
        return False
    sizes.add(node.outputs[0].index)
    return True


def _same_outputs(before: bytes, after: bytes) -> bool:
    runners = [open_model(data, Delegate.CPU) for data in (before, after)]
    rng = np.random.default_rng(_SEED)
    arrays = [random_input(info, rng) for info in runners[0].inputs]
    first, second = ([array.tobytes() for array in runner.run(*arrays)] for runner in runners)
    return first == second
