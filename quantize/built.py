"""A finished variant, and how an int8 one is made again of a treated network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.mending.mend import MendResult, mend_model
from portrait_tflite.convert.mending.mend_burden import is_above, weigh
from portrait_tflite.convert.network_inputs import INPUT_NAME
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite
from portrait_tflite.quantize.int8.post_training import float_ops, quantize_ranged
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, has_rescalings
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

_TIED_INPUT = SkippedRewrite(
    "own_input_scale",
    INPUT_NAME,
    "it has the steps of the features that it is joined with: others would cost a QUANTIZE, and so "
    "more than plain TFLiteConverter's file",
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
        network = network or self.network
        built = self._made(network)
        # Bytes go in as they are only over a scale of their own: that is asked for.
        if self.naive_cost is None or self.io is IoType.UINT8 or not has_rescalings(network):
            return built
        if not is_above(weigh(built.data), self.naive_cost()):
            return built
        tied = self._made(replace(network, own_scales=False))
        if is_above(weigh(tied.data), self.naive_cost()):  # it costs too much either way
            return built
        return replace(tied, skipped=(*tied.skipped, _TIED_INPUT))

    def _made(self, network: RangedNetwork) -> Built:
        with quiet():
            data = quantize_ranged(network, self.io)
            mended = mend_model(
                data, self.checks, self.mending, self.layers, self.delegate, self.naive_cost
            )
        return replace(
            self.before.with_mended(mended),
            data=mended.data,
            treatable=replace(self, network=network),
            in_float=_without_int8(data, network.in_float),
        )


def _without_int8(data: bytes, wanted: Collection[str]) -> tuple[FloatLayer, ...]:
    """List what stayed in float unasked; data is the file before it was mended."""
    return tuple(
        FloatLayer(node.tensor, f"{node.op} has no int8 form here")
        for node in float_ops(data)
        if node.tensor not in wanted
    )
