"""The output of a released file that is asked for, without the others."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, text
from portrait_tflite.convert.files.flatbuffer_pruning import drop_unused
from portrait_tflite.convert.loading.exact_record import exact_record
from portrait_tflite.vocabulary import RewriteRecord


def keep_output(model: schema.ModelT, output: int) -> tuple[int, tuple[RewriteRecord, ...]]:
    """Drop all other outputs, and the ops that they alone need; the model is changed in place.

    Given:
        y, z = ...    # y is asked for

    Result:
        y = ...       # whatever computes z, custom ops too, is left out

    What may be fed back to a second input stays.

    Returns:
        Which of the outputs it is now, and what was changed.
    """
    graph = model.subgraphs[0]
    outputs = indices(graph.outputs)
    if output >= len(outputs):
        return output, ()  # the message that it is none lists them all
    kept = [n for n in outputs if n == outputs[output] or _may_be_fed_back(graph, n)]
    dropped = [n for n in dict.fromkeys(outputs) if n not in kept]
    if not dropped:
        return output, ()
    names = ", ".join(text(graph.tensors[n].name) for n in dropped)
    place = kept.index(outputs[output])
    record = exact_record(
        "asked_output",
        text(graph.tensors[outputs[output]].name),
        f"output {place} of {len(kept)}",
        f"not asked for, and left out with all that only they need: {names}",
    )
    graph.outputs = np.array(kept, np.int32)
    for signature in model.signatureDefs or []:
        if signature.subgraphIndex == 0:
            entries = signature.outputs or []
            signature.outputs = [one for one in entries if one.tensorIndex not in dropped]
    drop_unused(model)
    return place, (record,)


def _may_be_fed_back(graph: schema.SubGraphT, output: int) -> bool:
    """Whether an output has the shape of an input, where there are several: a last mask."""
    inputs = indices(graph.inputs)
    shapes = [tuple(indices(graph.tensors[n].shape)) for n in inputs]
    return len(inputs) > 1 and tuple(indices(graph.tensors[output].shape)) in shapes
