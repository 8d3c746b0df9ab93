"""Mend a finished `.tflite`: rewrites that change no byte of what it computes.

Works on files that others released as well: the Keras model is not needed. Each rewrite is checked
as a whole by running the file before and after on the built-in kernels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.flatbuffer import read_model, serialize
from portrait_tflite.convert.flatbuffer_pruning import drop_unused
from portrait_tflite.convert.layer_names import name_layers
from portrait_tflite.convert.rewrites.flatbuffer_rewrite import FlatbufferRewrite, MendedOp
from portrait_tflite.convert.rewrites.flatten_bias import FlattenBias
from portrait_tflite.convert.rewrites.identity_add import IdentityAdd
from portrait_tflite.convert.rewrites.relu_to_quantize import ReluToQuantize
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import Runner, open_model
from portrait_tflite.tensor_values import random_input, to_stored
from portrait_tflite.vocabulary import Delegate, Level, RewriteRecord, SkippedRewrite

Array = NDArray[Any]

REWRITES: tuple[FlatbufferRewrite, ...] = (
    FlattenBias(),  # first: touches a constant only, and the others do not look at it
    IdentityAdd(),  # before RELU: with the addition gone, a RELU behind it reads its operand
    ReluToQuantize(),  # last: the ops that are left are final
)

_RANDOM_INPUTS = 4
_SEED = 20240


@dataclass(frozen=True)
class MendResult:
    """The mended file; `data` is the very input where nothing could be mended."""

    data: bytes
    records: tuple[RewriteRecord, ...]
    skipped: tuple[SkippedRewrite, ...]


def mend_model(
    data: bytes,
    inputs: Sequence[Array] = (),
    rewrites: Iterable[FlatbufferRewrite] = REWRITES,
    layers: Iterable[str] = (),
) -> MendResult:
    """Apply every rewrite that leaves the outputs byte-equal.

    Args:
        data: The `.tflite`.
        inputs: Arrays to check on, for a file with one input: `[1, h, w, c]` each, in the input's
            dtype or as float (quantized here). Seeded noise over the whole range where empty, and
            for files with several inputs.
        rewrites: In this order.
        layers: Names of the Keras layers, to name the places by.

    Raises:
        UsageError: Not a `.tflite`, or one that the built-in kernels cannot run.
    """
    model = read_model(data)
    name_of = name_layers(model, layers)
    runner = open_model(data, Delegate.CPU)
    checks = _check_inputs(runner, inputs)
    expected: list[list[Array]] = []
    records: list[RewriteRecord] = []
    skipped: list[SkippedRewrite] = []
    for rewrite in rewrites:
        applied = rewrite.apply(model)
        skipped += [
            SkippedRewrite(rewrite.name, name_of(op.tensor), op.reason) for op in applied.refused
        ]
        if not applied.mended:
            continue
        # Only now: most files have nothing to mend, and the built-in kernels are slow.
        expected = expected or [runner.run(*arrays) for arrays in checks]
        drop_unused(model)
        mended = serialize(model)
        if fault := _difference(mended, checks, expected):
            skipped += [
                SkippedRewrite(rewrite.name, name_of(op.tensor), f"undone: {fault}")
                for op in applied.mended
            ]
            model = read_model(data)
            continue
        data = mended
        records += [_record(rewrite, op, name_of(op.tensor)) for op in applied.mended]
    return MendResult(data, tuple(records), tuple(skipped))


def _record(rewrite: FlatbufferRewrite, op: MendedOp, layer: str) -> RewriteRecord:
    return RewriteRecord(
        rewrite=rewrite.name,
        level=Level.FLATBUFFER,
        layer=layer,
        exact=True,
        max_abs_error=0.0,
        max_rel_error=0.0,
        chosen=rewrite.name,
        candidates=(),
        reason=op.reason,
    )


def _check_inputs(runner: Runner, inputs: Sequence[Array]) -> list[tuple[Array, ...]]:
    if inputs and len(runner.inputs) == 1:
        info = runner.inputs[0]
        return [
            (array if array.dtype == info.dtype else to_stored(array, info),) for array in inputs
        ]
    rng = np.random.default_rng(_SEED)
    return [tuple(random_input(info, rng) for info in runner.inputs) for _ in range(_RANDOM_INPUTS)]


def _difference(mended: bytes, checks: list[tuple[Array, ...]], expected: list[list[Array]]) -> str:
    """Say how the mended file differs, or "" where every byte is the same."""
    try:
        runner = open_model(mended, Delegate.CPU)
        results = [runner.run(*arrays) for arrays in checks]
    except UsageError as error:
        return f"the runtime refuses the result ({error})"
    if not all(_same(one, other) for one, other in zip(expected, results, strict=True)):
        return "the outputs are not byte-equal on the built-in kernels"
    return ""


def _same(one: list[Array], other: list[Array]) -> bool:
    return len(one) == len(other) and all(
        (a.dtype, a.shape) == (b.dtype, b.shape) and a.tobytes() == b.tobytes()
        for a, b in zip(one, other, strict=True)
    )
