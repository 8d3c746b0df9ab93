"""What bringing an op inside XNNPACK is worth: by mending the file, else by the fix that helps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.costs.costed_nodes import costed_ops, precision_of_node
from portrait_tflite.convert.delegates.fixes import BECOMES, FIXES
from portrait_tflite.convert.delegates.partitions import find_partitions
from portrait_tflite.convert.delegates.xnnpack_prediction import predict_xnnpack
from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.files.flatbuffer_pruning import drop_unused
from portrait_tflite.convert.loading.fixed_sizes import fix_sizes, size_inputs
from portrait_tflite.convert.mending.mend_judge import PlaceJudge
from portrait_tflite.convert.rewrites.flatbuffer.order import REWRITES
from portrait_tflite.convert.rewrites.flatbuffer.place import Place
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Judge,
    Verdict,
    copy_graph,
)
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Audit, OutsideOp

_MCYCLES = 1e6
_MOST_ELEMENTS = 1 << 24  # of a tensor: a judge runs every place several times


def value_fixes(
    data: bytes, audit: Audit, rewrites: Iterable[FlatbufferRewrite] = REWRITES
) -> Audit:
    """Say of each op outside XNNPACK what mends it, and what that is worth on arm64 by the table.

    An op that a rewrite of finished files brings inside is worth the difference of its place
    before and after, which is judged here as `convert` judges it. For another one whose fix is
    known to make it an op of the table, it is the difference of the two ops. Else it is None.

    Args:
        data: The file.
        audit: Its audit.
        rewrites: Those to try; with none of them this costs next to nothing.
    """
    model = read_model(data)
    nodes = list_nodes(model)
    mendings = _mend(model, rewrites) if audit.xnnpack.outside else {}
    valued = [_valued(op, nodes[op.index], mendings) for op in audit.xnnpack.outside]
    saved = _partitions_saved(nodes, valued)
    outside = tuple(replace(op, partitions_saved=saved[op.index]) for op in valued)
    return replace(audit, xnnpack=replace(audit.xnnpack, outside=outside))


@dataclass(frozen=True)
class _Mending:
    """How an op comes inside; `certain` where it holds for all values, not for pictures alone."""

    rewrite: str
    mcycles: float | None
    certain: bool


def _valued(op: OutsideOp, node: Node, mendings: dict[int, _Mending]) -> OutsideOp:
    found = mendings.get(op.index)
    if found is None:
        return replace(op, worth_mcycles=_worth_of_fix(op, node))
    condition = "" if found.certain else ", where the pictures show that it may"
    fix = f"`portrait-tflite convert FILE.tflite` does it: {found.rewrite}{condition}"
    return replace(op, fix=fix, rewrite=found.rewrite, worth_mcycles=found.mcycles)


def _worth_of_fix(op: OutsideOp, node: Node) -> float | None:
    """Compare an op with what its fix makes of it; None where the table knows one of them not."""
    kind = BECOMES.get(op.op) if op.fix == FIXES.get(op.op) else None
    if kind is None or not node.inputs:
        return None
    table, precision = CostTable.load("arm64"), precision_of_node(node)
    (costed,) = costed_ops(node)
    if not all(table.knows(one, precision) for one in (costed.kind, kind) if one):
        return None
    after = table.op_cost(replace(costed, kind=kind), precision) if kind else 0.0
    return (table.op_cost(costed, precision) - after) / _MCYCLES


def _partitions_saved(nodes: list[Node], outside: list[OutsideOp]) -> dict[int, int]:
    """Bring the ops inside one after another, first what the file's mending does."""
    inside = {node.index for node in nodes} - {op.index for op in outside}
    count = len(find_partitions(nodes, inside))
    saved = {}
    for op in sorted(outside, key=lambda op: (not op.rewrite, op.index)):
        inside.add(op.index)
        left = len(find_partitions(nodes, inside))
        saved[op.index], count = count - left, left
    return saved


def _mend(model: schema.ModelT, rewrites: Iterable[FlatbufferRewrite]) -> dict[int, _Mending]:
    """Mend a copy; how each op outside came inside, by its position in the file."""
    positions = {str(n.outputs[0].index): n.index for n in list_nodes(model) if n.outputs}
    copied = copy_graph(model)
    copied.signatureDefs = copied.metadata = None  # nothing here is written
    # Rewrites renumber tensors: the name tells which one it was.
    for number, tensor in enumerate(copied.subgraphs[0].tensors):
        tensor.name = str(number).encode()
    notes = _Notes(PlaceJudge())
    if rewrites := tuple(rewrites):
        notes.found |= _fix_sizes(copied)
    for rewrite in rewrites:
        notes.rewrite = rewrite.name
        if rewrite.apply(copied, notes).mended:
            drop_unused(copied)
    return {positions[name]: found for name, found in notes.found.items() if name in positions}


def _fix_sizes(model: schema.ModelT) -> dict[str, _Mending]:
    """Fix the sizes that a copy leaves open, as `convert` does first; which ops that brings inside.

    What it is worth is not known: the table has no ops that compute sizes.
    """
    before = _outside(serialize(model))
    try:
        size_inputs(model, None, "")
        records = fix_sizes(model, "")
    except UsageError:  # it takes any size, or no kernel loads it
        return {}
    if not records:
        return {}
    gained = before - _outside(serialize(model))
    return dict.fromkeys(gained, _Mending(records[0].rewrite, None, True))


@dataclass
class _Notes:
    """A judge that lets pass what brings an op inside, and notes what that is worth."""

    judge: Judge
    rewrite: str = ""
    found: dict[str, _Mending] = field(default_factory=dict)

    def __call__(self, place: Place) -> Verdict:
        before = _outside(place.before)
        after = set() if place.after is None else _outside(place.after)
        gained = sorted(before - after)
        if not gained or len(after) >= len(before):
            return Verdict("it brings no op inside")
        if _largest(place.before) > _MOST_ELEMENTS:
            return Verdict("it is too large to be tried here")
        # What holds for pictures alone cannot be judged without them.
        if not place.observed and (verdict := self.judge(place)).refusal:
            return verdict
        worth = _worth_of_place(place)
        each = None if worth is None else worth / len(gained)
        mending = _Mending(self.rewrite, each, not place.observed)
        self.found |= dict.fromkeys(gained, mending)
        return Verdict()


def _outside(part: bytes) -> set[str]:
    """Name the tensors that the ops outside XNNPACK write."""
    model = read_model(part)
    nodes = list_nodes(model)
    return {nodes[index].tensor for index in predict_xnnpack(model).refused}


def _largest(part: bytes) -> int:
    return max(abs(o.size) for n in list_nodes(read_model(part)) for o in (*n.given(), *n.outputs))


def _worth_of_place(place: Place) -> float | None:
    table = CostTable.load("arm64")
    before = predict(place.before, table)
    # Nothing at all is left of it but the call, which the rest of the net has anyway.
    after = predict(place.after, table) if place.after is not None else None
    if before.unknown or (after is not None and after.unknown):
        return None
    return (before.cycles - (after.cycles if after else table.call)) / _MCYCLES
