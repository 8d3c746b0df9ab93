"""Every variant of a network, from the graph that its target wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.export import Export, keras_converter, run_converter
from portrait_tflite.convert.files.half_precision import allow_half_precision
from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.mending.mend import REWRITES, MendResult, mend_model
from portrait_tflite.convert.raw_input import (
    full_range,
    of_bytes,
    of_one_range,
    stores_bytes,
    take_units,
)
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite
from portrait_tflite.errors import ConversionError
from portrait_tflite.images import denormalize, normalize, normalizes_alike
from portrait_tflite.quantize.built import Built, Trainable, Treatable
from portrait_tflite.quantize.calibration import Representative
from portrait_tflite.quantize.int8.beforehand import rewritten_beforehand
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.post_training import configure, quantize_model
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import (
    Delegate,
    IoType,
    ModelSpec,
    Precision,
    SkippedRewrite,
    Target,
)

INTEGER = (Precision.INT8, Precision.INT16X8)


def delegate_of(precision: Precision, target: Target) -> Delegate:
    """Return whose delegate a variant is rewritten for: float16 is the GPU's, int8 the CPU's.

    int16x8 has none: many ops of the rewritten graph have no 16-bit kernel.
    """
    if precision is Precision.INT16X8:
        return Delegate.CPU
    if target is Target.GPU or (target.gpu and precision is Precision.FLOAT16):
        return Delegate.GPU
    return Delegate.XNNPACK


_NOTHING = Built(b"")


@dataclass(frozen=True)
class _Source:
    """What a variant is made of; see `build_variants`.

    Attributes:
        before: What was done for this variant alone.
        trainable: What `graph` was made of for this variant; None where it is that itself.
        naive_cost: As of `mend_model`.
    """

    graph: Graph
    representative: Representative
    checks: Sequence[tuple[NDArray[np.float32], ...]]
    spec: ModelSpec | None
    before: Built = _NOTHING
    trainable: Trainable | None = None
    naive_cost: Callable[[], float] | None = None

    @property
    def layers(self) -> list[str]:
        """Names of the Keras layers."""
        return [node.name for node in self.graph.nodes()]


def build_variants(
    graphs: Mapping[Delegate, Graph],
    precisions: Sequence[Precision],
    target: Target,
    representative: Representative,
    io: IoType,
    checks: Sequence[tuple[NDArray[np.float32], ...]],
    on_variant: Callable[[Precision], None] | None = None,
    mending: Sequence[FlatbufferRewrite] = REWRITES,
    spec: ModelSpec | None = None,
    *,
    one_range: bool = False,
    naive_cost: Callable[[], float] | None = None,
) -> dict[str, Built]:
    """Export, quantize and mend every variant asked for.

    Args:
        graphs: The rewritten graph per delegate.
        checks: Network inputs on which mending is checked: an array `[1, h, w, c]` per input each.
        on_variant: Called before each variant.
        mending: The rewrites of the finished files.
        spec: What the network takes, where the int8 file may know it: its input then has a step for
            every byte of a picture, and with `IoType.UINT8` takes the bytes as they are.
        one_range: Whether inputs are to have one range for all channels, where they can.
        naive_cost: What the int8 file may cost if need be; see `mend_model`.

    Returns:
        By name of the precision, in the order asked for.
    """
    exports: dict[int, Export] = {}
    built: dict[str, Built] = {}
    for precision in precisions:
        if on_variant:
            on_variant(precision)
        graph = graphs[delegate_of(precision, target)]
        source = _Source(graph, representative, checks, spec, naive_cost=naive_cost)
        taken = _taken(spec, precision, io, one_range=one_range)
        if taken is not None:
            source = _taking(source, taken)
        if id(source.graph) not in exports:
            exports[id(source.graph)] = Export(source.graph)
        export = exports[id(source.graph)]
        delegate = delegate_of(precision, target)
        if precision is Precision.INT8:
            one = _treatable(source, export, io, mending, delegate).build()
        else:
            data = _export(source, export, precision, io)
            one = _mended(source, data, precision, mending, delegate)
        built[str(precision)] = one
    return built


def _export(source: _Source, export: Export, precision: Precision, io: IoType) -> bytes:
    if precision in (Precision.FLOAT32, Precision.FLOAT16):
        return export.float_model(precision)
    return quantize_model(export, precision, source.representative, io)


def _mended(
    source: _Source,
    data: bytes,
    precision: Precision,
    mending: Sequence[FlatbufferRewrite],
    delegate: Delegate,
) -> Built:
    with quiet():
        mended = mend_model(data, source.checks, mending, source.layers, delegate)
        if precision is Precision.FLOAT16:
            mended = in_half_precision(mended, source.checks)
    return replace(source.before.with_mended(mended), data=mended.data)


def in_half_precision(mended: MendResult, checks: Sequence[Frames]) -> MendResult:
    """Let ARM compute a float16 file in float16; where values are too large, say why not.

    Args:
        mended: The file.
        checks: Its inputs, to compute the values on.
    """
    data, kept = allow_half_precision(mended.data, checks)
    return replace(mended, data=data, skipped=(*mended.skipped, *([kept] if kept else [])))


def _treatable(
    source: _Source,
    export: Export,
    io: IoType,
    mending: Sequence[FlatbufferRewrite],
    delegate: Delegate,
) -> Treatable:
    """Measure the ranges of a graph: what its int8 file, and remedies, begin with."""
    # A previous mask in the picture itself has a range of its own.
    spec = source.spec
    whole = Range(*full_range(spec)) if spec is not None and spec.state is None else None
    frames: list[Frames] = []

    def kept() -> Iterator[Frames]:
        # One by one as they are measured: a picture that is asked for is counted as done.
        for frame in source.representative():
            frames.append(tuple(frame))
            yield frames[-1]

    with quiet():
        exported = export.float_model(Precision.FLOAT32)
        prepared = rewritten_beforehand(exported, source.checks, mending, source.layers)
    return Treatable(
        network=measured_network(prepared.data, kept(), whole),
        frames=frames,
        checks=source.checks,
        io=io,
        mending=mending,
        layers=source.layers,
        delegate=delegate,
        naive_cost=source.naive_cost,
        before=source.before.with_mended(prepared),
        trainable=source.trainable or Trainable(source.graph),
    )


def _taken(
    spec: ModelSpec | None, precision: Precision, io: IoType, *, one_range: bool
) -> ModelSpec | None:
    """Say what a variant is to take where that is not what the network does; else None."""
    if spec is None:
        return None
    if precision is Precision.INT8 and io is IoType.UINT8:
        return None if stores_bytes(spec) else of_bytes(spec)
    return of_one_range(spec) if one_range and not normalizes_alike(spec) else None


def _taking(source: _Source, taken: ModelSpec) -> _Source:
    """Let a network take other units than its own, where it can."""
    spec = source.spec
    assert spec is not None

    def converted(frame: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        return normalize(denormalize(frame[0], spec), taken)

    def pictures() -> Iterator[list[NDArray[np.float32]]]:
        return ([converted(frame)] for frame in source.representative())

    checks = [(converted(frame),) for frame in source.checks]
    shown = np.concatenate([frame[0] for frame in checks])
    found = take_units(source.graph, spec, taken, shown)
    if isinstance(found, SkippedRewrite):
        return replace(source, before=Built(b"", skipped=(found,)))

    def exported(graph: Graph) -> Graph:
        again = take_units(graph, spec, taken, shown)
        if isinstance(again, SkippedRewrite):
            raise ConversionError(f"a trained network must take its input: {again.reason}.")
        return again.graph

    done = Built(b"", found.records, spec=taken)
    trainable = Trainable(source.graph, exported)
    return _Source(found.graph, pictures, checks, taken, done, trainable, source.naive_cost)


def build_naive(
    model: keras.Model,
    representative: Representative,
    *,
    batch_one: bool,
    io: IoType = IoType.INT8,
) -> Built:
    """Convert a model as given to int8 with plain `TFLiteConverter`: the baseline.

    Raises:
        ConversionError: `TFLiteConverter` does not take it.
    """
    named = [tensor.name for tensor in model.inputs]

    def by_name() -> Iterator[Any]:
        # The converter puts the inputs of a Keras model in an order of its own.
        return (dict(zip(named, frame, strict=True)) for frame in representative())

    frames = representative if batch_one or len(named) == 1 else by_name
    with quiet():
        converter = keras_converter(model, batch_one=batch_one)
        configure(converter, Precision.INT8, frames, io)
        return Built(run_converter(converter))
