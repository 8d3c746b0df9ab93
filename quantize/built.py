"""A finished variant, and how an int8 one is made again of a treated network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.mending.mend import MendResult, mend_model
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite
from portrait_tflite.quantize.int8.post_training import float_ops, quantize_ranged
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import (
    Delegate,
    FloatLayer,
    IoType,
    ModelSpec,
    RewriteRecord,
    SkippedRewrite,
)


@dataclass(frozen=True, eq=False)
class Trainable:
    """A Keras graph that can be trained, and exported again.

    Attributes:
        graph: In the units of the network: what takes bytes as they are has weights so small that
            training would ruin them.
        exported: Makes of it, with whatever weights, the graph that goes into the file.
    """

    graph: Graph
    exported: Callable[[Graph], Graph] = lambda graph: graph


@dataclass(frozen=True)
class Built:
    """A variant's file and what making and mending it did.

    Attributes:
        spec: What it takes, where that is not what the network does.
        treatable: How it was made, for remedies; None of what has none.
        in_float: What stayed in float because it has no int8 form.
    """

    data: bytes
    mended: tuple[RewriteRecord, ...] = ()
    skipped: tuple[SkippedRewrite, ...] = ()
    spec: ModelSpec | None = None
    treatable: Treatable | None = field(default=None, repr=False, compare=False)
    in_float: tuple[FloatLayer, ...] = ()

    def with_mended(self, result: MendResult) -> Built:
        """Note what else was mended."""
        mended, skipped = (*self.mended, *result.records), (*self.skipped, *result.skipped)
        return replace(self, mended=mended, skipped=skipped)


@dataclass(frozen=True, eq=False)
class Treatable:
    """An int8 variant before it is quantized.

    Attributes:
        network: What is quantized.
        frames: The calibration pictures as it takes them.
        checks: Inputs that mending is checked on.
        io: Element type of its input and output.
        mending: Rewrites of the finished file.
        layers: Names of the Keras layers where they are known.
        delegate: Who is to run it.
        naive_cost: As of `mend_model`.
        before: What was done before, for this variant alone.
        trainable: The Keras graph that it was exported from; None of a released file.
    """

    network: RangedNetwork
    frames: Sequence[Frames]
    checks: Sequence[Frames]
    io: IoType
    mending: Sequence[FlatbufferRewrite]
    layers: Sequence[str] = ()
    delegate: Delegate = Delegate.XNNPACK
    naive_cost: Callable[[], float] | None = None
    before: Built = Built(b"")
    trainable: Trainable | None = None

    def build(self, network: RangedNetwork | None = None) -> Built:
        """Quantize and mend the network, or what a remedy made of it.

        Raises:
            ConversionError: It cannot be quantized.
        """
        treated = replace(self, network=network or self.network)
        with quiet():
            data = quantize_ranged(treated.network, self.io)
            mended = mend_model(
                data, self.checks, self.mending, self.layers, self.delegate, self.naive_cost
            )
        return replace(
            self.before.with_mended(mended),
            data=mended.data,
            treatable=treated,
            in_float=_without_int8(data, treated.network.in_float),
        )


def _without_int8(data: bytes, wanted: Collection[str]) -> tuple[FloatLayer, ...]:
    """List what stayed in float unasked; data is the file before it was mended."""
    return tuple(
        FloatLayer(node.tensor, f"{node.op} has no int8 form here")
        for node in float_ops(data)
        if node.tensor not in wanted
    )
