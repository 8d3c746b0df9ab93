"""Mend a finished `.tflite`: rewrites that change no byte of it, or one step of an op.

Works on files that others released as well: the Keras model is not needed. Every rewritten place
is cut out and judged on its own, then the whole file on the built-in kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.files.flatbuffer_pruning import drop_unused
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.convert.files.model_metadata import attach_files, attached_files
from portrait_tflite.convert.mending.mend_burden import (
    PLACE_MARGINS,
    Burden,
    is_above,
    is_dearer_file,
    weigh,
)
from portrait_tflite.convert.mending.mend_judge import PlaceJudge
from portrait_tflite.convert.rewrites.failure import named_failure
from portrait_tflite.convert.rewrites.flatbuffer.order import REWRITES
from portrait_tflite.convert.rewrites.flatbuffer.place import cut_out
from portrait_tflite.convert.rewrites.flatbuffer.replacement import original_name
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    MendedOp,
    RefusedOp,
    copy_graph,
)
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import Runner, open_model
from portrait_tflite.tensor_values import random_input, to_real, to_stored
from portrait_tflite.vocabulary import (
    Delegate,
    Level,
    RewriteRecord,
    SkippedRewrite,
    WholeNetError,
)

Array = NDArray[Any]

__all__ = ["REWRITES", "MendResult", "mend_model"]

_RANDOM_INPUTS = 4
_SEED = 20240


@dataclass(frozen=True)
class MendResult:
    """The mended file; `data` is the very input where nothing could be mended.

    Attributes:
        whole: How far the outputs moved on the check inputs; None where not a byte of them did.
    """

    data: bytes
    records: tuple[RewriteRecord, ...]
    skipped: tuple[SkippedRewrite, ...]
    whole: WholeNetError | None = None


def mend_model(
    data: bytes,
    inputs: Sequence[Array | tuple[Array, ...]] = (),
    rewrites: Iterable[FlatbufferRewrite] = REWRITES,
    layers: Iterable[str] = (),
    delegate: Delegate = Delegate.XNNPACK,
    naive_cost: Callable[[], float] | None = None,
) -> MendResult:
    """Apply every rewrite that leaves the outputs byte-equal, or moves an op by one step.

    Args:
        data: The `.tflite`.
        inputs: What to check on, one array `[1, h, w, c]` per input of the file each time, in the
            input's dtype or as float (quantized here). Seeded noise over the whole range where
            empty, and where a file has more inputs than are given.
        rewrites: In this order.
        layers: Names of the Keras layers, to name the places by.
        delegate: Who is to run the file; for the GPU, rewrites that are of no use there are left
            out.
        naive_cost: Cycles of what plain `TFLiteConverter` makes of the same model, which the file
            must not cost more than; asked where a place costs more than it did. None where there is
            no model: an int8 file must not cost more than `data` then, a float one a tenth more.

    Raises:
        UsageError: Not a `.tflite`, or one that the built-in kernels cannot run.
        ConversionError: A rewrite fails; it is named.
    """
    original = open_model(data, Delegate.CPU)
    checks = _check_inputs(original, inputs)
    name_of = name_layers(read_model(data), layers)
    gpu = delegate is Delegate.GPU
    forms = tuple(rewrite for rewrite in rewrites if rewrite.helps_gpu or not gpu)
    run = _Run(data, checks, name_of, delegate)
    burden = run.apply_all(forms)
    before = weigh(data)
    # What brings an op inside may cost more than it did outside: together that must not be.
    for margin in PLACE_MARGINS:
        if run.has_dear_place and is_dearer_file(burden, before, naive_cost):
            run = _Run(data, checks, name_of, delegate, margin)
            burden = run.apply_all(forms)
    # Each place is better on its own; together they might still cut the graph in more pieces, ...
    gained = burden < before or (run.aligned and not burden.asks_more(before))
    undone = "" if gained else "undone: the whole file gains nothing"
    # ... or keep XNNPACK from looking a row of ops up in one table. No CPU's cost outweighs what
    # the GPU takes more of.
    dearer = is_above(burden, before.cycles) and is_dearer_file(burden, before, naive_cost)
    if dearer and burden.refused >= before.refused:
        undone = "undone: the whole file would cost too much"
    if run.records and undone:
        skipped = [SkippedRewrite(r.rewrite, r.layer, undone, r.candidates) for r in run.records]
        return MendResult(data, (), (*run.skipped, *skipped))
    mended = attach_files(run.data, attached_files(data)) if run.records else data
    return MendResult(mended, tuple(run.records), tuple(run.skipped), run.whole_error(original))


class _Run:
    """The state of `mend_model`: the file so far and what it has to give.

    Attributes:
        aligned: Whether something was mended that is gained without weighing less.
    """

    def __init__(
        self,
        data: bytes,
        checks: list[tuple[Array, ...]],
        name_of: Callable[[str], str],
        delegate: Delegate,
        margin: float | None = None,
    ) -> None:
        self.data = data
        self._delegate = delegate
        self._margin = margin
        self.records: list[RewriteRecord] = []
        self.skipped: list[SkippedRewrite] = []
        self.aligned = False
        self._model = read_model(data)
        self._checks = checks
        self._name_of = name_of
        self._expected: list[list[Array]] = []
        self._same_bytes = True

    @property
    def has_dear_place(self) -> bool:
        """Whether a place costs more than it did, or what the table does not know."""
        forms = [record.candidates for record in self.records if record.candidates]
        return any(
            before.cost is not None and (after.cost is None or after.cost > before.cost)
            for before, after in forms
        )

    def apply_all(self, rewrites: Iterable[FlatbufferRewrite]) -> Burden:
        """Apply the rewrites in their order; what the file weighs then."""
        for rewrite in rewrites:
            with named_failure(rewrite.name):
                self.apply(rewrite)
        return weigh(self.data)

    def apply(self, rewrite: FlatbufferRewrite) -> None:
        """Apply a rewrite, and undo it where the whole file shows what its places did not."""
        model = copy_graph(self._model)
        observed = observe(model, rewrite.sources(model), self._checks)
        applied = rewrite.apply(model, PlaceJudge(observed, self._margin, self._delegate))
        for refused in applied.refused:
            self._skip(rewrite, refused, refused.reason)
        if not applied.mended:
            return
        # Only now: most files have nothing to mend, and the built-in kernels are slow.
        self._expected = self._expected or self._outputs(self.data)
        drop_unused(model)
        mended = serialize(model)
        if fault := self._fault(mended, all(op.exact for op in applied.mended)):
            for op in applied.mended:
                self._skip(rewrite, op, f"undone: {fault}")
            return
        self.data, self._model = mended, model
        self.records += [_record(rewrite, op, self._place(op)) for op in applied.mended]
        self._same_bytes &= all(op.exact for op in applied.mended)
        self.aligned |= rewrite.aligns_kernels

    def whole_error(self, original: Runner) -> WholeNetError | None:
        """Compare the outputs with the original's."""
        if self._same_bytes:
            return None
        pairs = [
            (to_real(old, info), to_real(new, info))
            for arrays, found in zip(self._checks, self._expected, strict=True)
            for old, new, info in zip(original.run(*arrays), found, original.outputs, strict=True)
        ]
        error = max(float(np.abs(old - new).max()) for old, new in pairs)
        magnitude = max(float(np.abs(old).max()) for old, _ in pairs)
        return WholeNetError(error, error / magnitude if magnitude else 0.0, len(self._checks))

    def _fault(self, mended: bytes, exact: bool) -> str:
        """Say what is wrong with the mended file, or ""."""
        try:
            found = self._outputs(mended)
        except UsageError as error:
            return f"the runtime refuses the result ({error})"
        pairs = list(zip(self._expected, found, strict=True))
        if not all(_same_form(one, other) for one, other in pairs):
            return "the outputs have another type or shape"
        if exact and not all(_same(one, other) for one, other in pairs):
            return "the outputs are not byte-equal on the built-in kernels"
        self._expected = found
        return ""

    def _outputs(self, data: bytes) -> list[list[Array]]:
        runner = open_model(data, Delegate.CPU)
        return [runner.run(*arrays) for arrays in self._checks]

    def _skip(self, rewrite: FlatbufferRewrite, op: MendedOp | RefusedOp, reason: str) -> None:
        skipped = SkippedRewrite(rewrite.name, self._place(op), reason, op.candidates)
        self.skipped.append(skipped)

    def _place(self, op: MendedOp | RefusedOp) -> str:
        """Name a place: by its layer, or where the file does not tell that by its tensor."""
        return self._name_of(op.tensor) or original_name(op.tensor)


def observe(
    model: schema.ModelT, tensors: Sequence[int], checks: Sequence[tuple[Array, ...]]
) -> dict[int, list[Array]]:
    """Compute what tensors hold on the check inputs, by their numbers."""
    wanted = sorted(set(tensors))
    if not wanted:
        return {}
    ends = [int(index) for index in model.subgraphs[0].inputs]
    runner = open_model(cut_out(model, ends, wanted), Delegate.CPU)
    held = [runner.run(*arrays) for arrays in checks]
    return {number: [arrays[n] for arrays in held] for n, number in enumerate(wanted)}


def _record(rewrite: FlatbufferRewrite, op: MendedOp, layer: str) -> RewriteRecord:
    return RewriteRecord(
        rewrite=rewrite.name,
        level=Level.FLATBUFFER,
        layer=layer,
        exact=op.exact or op.real,
        max_abs_error=op.max_abs_error,
        max_rel_error=op.max_rel_error,
        # The last one is the one that was taken.
        chosen=op.candidates[-1].form if op.candidates else rewrite.name,
        candidates=op.candidates,
        reason=op.reason,
    )


def _check_inputs(
    runner: Runner, inputs: Sequence[Array | tuple[Array, ...]]
) -> list[tuple[Array, ...]]:
    frames = [frame if isinstance(frame, tuple) else (frame,) for frame in inputs]
    if frames and len(frames[0]) == len(runner.inputs):
        return [
            tuple(
                array if array.dtype == info.dtype else to_stored(array, info)
                for array, info in zip(frame, runner.inputs, strict=True)
            )
            for frame in frames
        ]
    rng = np.random.default_rng(_SEED)
    return [tuple(random_input(info, rng) for info in runner.inputs) for _ in range(_RANDOM_INPUTS)]


def _same_form(one: list[Array], other: list[Array]) -> bool:
    forms = [[(array.dtype, array.shape) for array in arrays] for arrays in (one, other)]
    return forms[0] == forms[1]


def _same(one: list[Array], other: list[Array]) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))
