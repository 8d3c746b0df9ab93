"""Let ARM compute a float file in float16: XNNPACK does so where the file says that it may.

`TFLiteConverter` itself writes `fp16accfp32` into float16 files, which XNNPACK passes over: its
half-precision kernels sum up in float16, too. With `fp16accfp16` the packaged net executes 42 %
fewer instructions on arm64 (docs/io.md). x86 goes on in float32, except with AVX512-FP16.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.convert.files.model_metadata import records_of, with_record
from portrait_tflite.convert.mending.mend import Array, observe
from portrait_tflite.vocabulary import SkippedRewrite

NAME = "half_precision"
RECORD = "reduced_precision_support"
ALLOWED = b"fp16accfp16"

_LARGEST = 65504.0  # of float16
_HEADROOM = 16.0  # for other pictures, and for sums on the way to a value


def allow_half_precision(
    data: bytes, checks: Sequence[tuple[Array, ...]]
) -> tuple[bytes, SkippedRewrite | None]:
    """Allow a float file to be computed in float16, where no value of it comes near the limit.

    Args:
        data: The `.tflite`, with float inputs.
        checks: Its inputs, to compute the values on.

    Returns:
        The file, and why it was left as it is, or None.
    """
    largest, tensor = largest_value(data, checks)
    if largest * _HEADROOM > _LARGEST:
        reason = f"a value of {largest:.4g} comes near float16's largest, {_LARGEST:.0f}"
        return data, SkippedRewrite(NAME, tensor, reason)
    return with_record(data, RECORD, ALLOWED), None


def is_allowed(data: bytes) -> bool:
    """Whether a file may be computed in float16 on ARM."""
    return records_of(data).get(RECORD, b"") == ALLOWED


def largest_value(data: bytes, checks: Sequence[tuple[Array, ...]]) -> tuple[float, str]:
    """Return the largest magnitude that a float tensor holds, and its name; "" of an input.

    A value that is no number is larger than all.
    """
    model = read_model(data)
    graph = model.subgraphs[0]
    computed = {index for op in graph.operators for index in indices(op.outputs)}
    floats = [i for i in computed if graph.tensors[i].type == schema.TensorType.FLOAT32]
    largest, name = 0.0, ""
    for frame in checks:
        largest = max(largest, *(float(np.abs(array).max(initial=0)) for array in frame))
        for index, (values,) in observe(model, floats, [frame]).items():
            magnitude = float(np.nan_to_num(np.abs(values), nan=np.inf).max(initial=0.0))
            if magnitude > largest:
                largest, name = magnitude, graph.tensors[index].name.decode(errors="replace")
    return largest, name
