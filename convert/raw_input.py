"""A network that takes other units than it was trained on: the bytes of a picture as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from portrait_tflite.convert.choice import CheapestForm, EveryExactForm
from portrait_tflite.convert.graph import Graph, Node, Value, apply_op, replaced
from portrait_tflite.convert.rewriter import rewrite_graph
from portrait_tflite.convert.rewrites.keras.affine import ChannelAffine, affine_of
from portrait_tflite.convert.rewrites.keras.affine_before import FoldAffineBefore
from portrait_tflite.convert.rewrites.keras.packed_columns import ColumnsAsChannels
from portrait_tflite.convert.rewrites.keras.site import Site, Uses, single
from portrait_tflite.convert.stated_range import BYTES
from portrait_tflite.images import Floats, affine_of_bytes, normalizes_alike
from portrait_tflite.vocabulary import Delegate, ModelSpec, RewriteRecord, SkippedRewrite

_LAYER = "input_normalization"
_NAME = "raw_input"


@dataclass(frozen=True)
class RawInput:
    """A graph that takes other units.

    Attributes:
        graph: Its input is `[1, h, w, c]` in the units of `spec`.
        spec: What it takes.
        records: How the normalization went into the first convolution.
    """

    graph: Graph
    spec: ModelSpec
    records: tuple[RewriteRecord, ...]


class _BehindPacks:
    """Brings a scale and shift behind the reshape that makes columns channels.

    Given:  x → ChannelAffine(s, t) → ColumnsAsChannels → y
    Result: x → ColumnsAsChannels → ChannelAffine(s, t, for every column of a pack) → y
    """

    name = "affine_behind_packs"

    def match(self, value: Value, uses: Uses) -> Site | None:
        reshape = value.node
        if not isinstance(reshape.op, ColumnsAsChannels):
            return None
        before = reshape.inputs[0]
        affine = affine_of(before.node)
        packs = value.shape[-1] // before.shape[-1]
        if affine is None or uses[before] > 1 or not packs:
            return None
        tiled = ChannelAffine(np.tile(affine.scale, packs), np.tile(affine.shift, packs))

        def build(boundary: Sequence[Value]) -> Value:
            packed = apply_op(reshape.name, reshape.op, boundary[0])
            return apply_op(before.node.name, tiled, packed)

        return Site(before.node.name, value, before.node.inputs, single("moved", build), "it folds")


def stores_bytes(spec: ModelSpec) -> bool:
    """Tell whether an 8-bit input of the spec's full range stores byte `v` as `v`.

    So it is where all channels are normalized alike and zero is itself a byte.
    """
    scale, shift = affine_of_bytes(spec)
    zero = -shift[0] / scale[0]
    alike = normalizes_alike(spec) and scale[0] > 0
    return bool(alike and abs(zero - round(zero)) < 1e-6 and 0 <= round(zero) <= 255)


def of_bytes(spec: ModelSpec) -> ModelSpec:
    """Return the spec of a network that takes bytes and is else the same."""
    return replace(spec, input_range=BYTES, mean=(), std=())


def of_one_range(spec: ModelSpec) -> ModelSpec:
    """Return the spec of a network whose channels have one range, and that is else the same."""
    return replace(spec, mean=(), std=())


def full_range(spec: ModelSpec) -> tuple[float, float]:
    """Return the smallest and the largest number that a byte of a picture can become."""
    scale, shift = affine_of_bytes(spec)
    ends = np.concatenate([shift, 255 * scale + shift])
    return float(ends.min()), float(ends.max())


def take_units(
    graph: Graph, spec: ModelSpec, taken: ModelSpec, pictures: Floats
) -> RawInput | SkippedRewrite:
    """Fold what lies between two normalizations of a byte into the first convolution.

    Given:  picture in the units of `spec` → Conv2D → …
    Result: picture in those of `taken` → Conv2D with other weights, and a border of its own → …

    Args:
        graph: As it is exported, rewritten already.
        spec: Of its input.
        taken: What its input is to be.
        pictures: `[n, h, w, c]` in the units of `taken`, to verify it on.

    Returns:
        The graph, or why its input must stay as it is.
    """
    if spec.state is not None:
        return SkippedRewrite(_NAME, _LAYER, "the network remembers: its inputs have one range")
    if spec.others:
        return SkippedRewrite(_NAME, _LAYER, "the network takes more than the picture")
    source = Node(graph.input.node.name, None, (), (), {}, graph.input.node.shapes).output
    (scale, shift), (old_scale, old_shift) = affine_of_bytes(spec), affine_of_bytes(taken)
    between = ChannelAffine(scale / old_scale, shift - old_shift * scale / old_scale)
    normalized = apply_op(_LAYER, between, source)
    whole = _fed_by(graph, source, normalized)
    chooser = EveryExactForm(CheapestForm(Delegate.XNNPACK))
    rewritten = rewrite_graph(whole, pictures, chooser, (_BehindPacks(), FoldAffineBefore()))
    if any(_LAYER in node.name for node in rewritten.graph.nodes()):
        why = next((s.reason for s in rewritten.skipped if s.layer == _LAYER), "no convolution")
        return SkippedRewrite(_NAME, _LAYER, f"the first layer cannot take it ({why})")
    return RawInput(rewritten.graph, taken, rewritten.records)


def _fed_by(graph: Graph, source: Value, normalized: Value) -> Graph:
    """Put `normalized` in the place of a graph's picture, which is computed from `source`."""
    fed = replaced(graph, lambda old, kept, _: normalized if old == graph.input else kept)
    return replace(fed, input=source)
