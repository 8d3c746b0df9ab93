"""Audit any `.tflite`: what each delegate makes of it, why ops stay outside, what would help."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.fixes import DYNAMIC_FIX
from portrait_tflite.convert.delegates.gpu import predict_gpu
from portrait_tflite.convert.delegates.partitions import find_partitions
from portrait_tflite.convert.delegates.rule import Refusal, fix_of, is_custom
from portrait_tflite.convert.delegates.xnnpack_prediction import Prediction, predict_xnnpack
from portrait_tflite.convert.files.flatbuffer import op_name, read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, count_ops, list_nodes
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.convert.files.op_versions import first_runtime, runtime_order
from portrait_tflite.deadly_ops import find_deadly_op
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import Runner, open_model
from portrait_tflite.vocabulary import Audit, Delegate, DelegateAudit, OutsideOp

NameOf = Callable[[str], str]


def audit_model(source: Path | bytes, layers: Iterable[str] = ()) -> Audit:
    """Audit a `.tflite`.

    XNNPACK is predicted from its rules and confirmed on the real runtime, the GPU delegate is
    predicted alone (its `partitions` is None), the built-in kernels take every built-in op.

    Args:
        source: The file, or what is in it.
        layers: Names of the Keras layers, where they are known.

    Raises:
        UsageError: Not a `.tflite`, or refused by the runtime for another reason than a custom op.
    """
    model = read_model(source)
    found = _Found(list_nodes(model), name_layers(model, layers))
    # First: the rules read ops as the runtime would have them.
    loaded = _load(source, found)
    runtime, op = _min_runtime(model)
    gpu = predict_gpu(model)
    return Audit(
        xnnpack=_audit_xnnpack(predict_xnnpack(model), loaded, found),
        gpu=found.audit(None, gpu, predicted=found.partitions(gpu)),
        cpu=found.audit(0, found.custom()),
        ops=count_ops(model),
        min_runtime=runtime,
        min_runtime_op=op,
    )


def _load(source: Path | bytes, found: _Found) -> Runner | str:
    """Load a file with XNNPACK, or say why it is not loaded."""
    # The runtime does not even load a file with a custom op that it has not.
    if found.custom():
        return _NOT_RUN
    data = source if isinstance(source, bytes) else source.read_bytes()
    if deadly := find_deadly_op(data, Delegate.XNNPACK):
        return f"{_DEADLY} {deadly}"
    try:
        return open_model(source, Delegate.XNNPACK)
    except UsageError:
        open_model(source, Delegate.CPU)  # raises where the file itself is at fault
        return _NOT_LOADED


def _audit_xnnpack(predicted: Prediction, loaded: Runner | str, found: _Found) -> DelegateAudit:
    count = len(predicted.partitions)
    if isinstance(loaded, str):
        fatal = predicted.fatal if loaded == _NOT_LOADED else {}
        return found.audit(None, {**predicted.refused, **fatal}, loaded, count)
    refused = {row.index: predicted.refused.get(row.index, _UNKNOWN) for row in loaded.outside}
    finding = _compare(loaded.partitions, set(refused), predicted)
    return found.audit(loaded.partitions, refused, finding, count)


def _compare(partitions: int, outside: set[int], predicted: Prediction) -> str:
    """Say where the runtime and our rules differ, or ""."""
    if outside == set(predicted.refused) and partitions == len(predicted.partitions):
        return ""
    return (
        f"predicted were {len(predicted.partitions)} partitions with {len(predicted.refused)} ops "
        f"outside: this runtime has other rules than the table"
    )


_NOT_RUN = "this runtime has not the custom op: the rules alone were asked"
_DEADLY = "not run, since the runtime ends the process on"
_NOT_LOADED = "the runtime does not load this file with XNNPACK, which takes an op and then fails"
_UNKNOWN = Refusal(
    "this runtime refuses it by a rule that is not in our table", "replace the layer"
)


@dataclass(frozen=True)
class _Found:
    """The ops of a file, and how their layers are named."""

    nodes: list[Node]
    name_of: NameOf

    @cached_property
    def sizing(self) -> frozenset[int]:
        """The ops that compute sizes at run time, by position: a SHAPE, and integers behind it."""
        found: set[int] = set()
        tensors: set[int] = set()
        for node in self.nodes:
            reads = any(operand.index in tensors for operand in node.given())
            integer = all(operand.dtype in {"int32", "int64"} for operand in node.outputs)
            if node.op == "SHAPE" or (reads and integer):
                found.add(node.index)
                tensors.update(operand.index for operand in node.outputs)
        return frozenset(found)

    def custom(self) -> dict[int, Refusal]:
        return {
            node.index: Refusal("it is no built-in op", fix_of(node.op))
            for node in self.nodes
            if is_custom(node.op)
        }

    def partitions(self, refused: Collection[int]) -> int:
        """Count the calls of a delegate that leaves some ops outside."""
        unpacking = {node.index for node in self.nodes if _unpacks(node)}
        computing = {node.index for node in self.nodes} - {*refused}
        # A partition that only unpacks weights is none: a delegate does that at the start.
        return sum(
            not unpacking.issuperset(group) for group in find_partitions(self.nodes, computing)
        )

    def audit(
        self,
        partitions: int | None,
        refused: dict[int, Refusal],
        finding: str = "",
        predicted: int | None = None,
    ) -> DelegateAudit:
        return DelegateAudit(
            partitions=partitions,
            complete=not refused,
            outside=tuple(self._outside(self.nodes[i], refused[i]) for i in sorted(refused)),
            finding=finding,
            predicted=predicted,
        )

    def _outside(self, node: Node, refusal: Refusal) -> OutsideOp:
        return OutsideOp(
            op=node.op,
            tensor=node.tensor,
            layer=self.name_of(node.tensor),
            reason=refusal.reason,
            fix=DYNAMIC_FIX if node.index in self.sizing else refusal.fix,
            rule=refusal.source,
            index=node.index,
        )


def _unpacks(node: Node) -> bool:
    return node.op == "DEQUANTIZE" and all(operand.constant for operand in node.given())


def _min_runtime(model: schema.ModelT) -> tuple[str, str]:
    """Find the op that asks for the newest runtime; first the runtime, then `OP vN`."""
    used = {
        operator.opcodeIndex: model.operatorCodes[operator.opcodeIndex]
        for graph in model.subgraphs
        for operator in graph.operators
    }
    needs = [
        (first_runtime(op_name(code), int(code.version)), f"{op_name(code)} v{code.version}")
        for _, code in sorted(used.items())
    ]
    return max(needs, key=lambda need: runtime_order(need[0]))
