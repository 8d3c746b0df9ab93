"""Audit any `.tflite`: what each delegate makes of it, why ops stay outside, what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegate_rules import first_broken
from portrait_tflite.convert.flatbuffer import op_name, read_model
from portrait_tflite.convert.flatbuffer_nodes import Node, count_ops, list_nodes
from portrait_tflite.convert.gpu_rules import GPU_RULES
from portrait_tflite.convert.layer_names import name_layers
from portrait_tflite.convert.op_versions import first_runtime, runtime_order
from portrait_tflite.convert.xnnpack_rules import explain_outside
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Audit, Delegate, DelegateAudit, OutsideOp

NameOf = Callable[[str], str]


def audit_model(data: bytes, layers: Iterable[str] = ()) -> Audit:
    """Audit a `.tflite`.

    XNNPACK is asked on the real runtime, the GPU delegate is predicted from its rules (its
    `partitions` is None), the built-in kernels take every built-in op.

    Args:
        data: The file.
        layers: Names of the Keras layers, where they are known.

    Raises:
        UsageError: Not a `.tflite`, or refused by the runtime for another reason than a custom op.
    """
    model = read_model(data)
    nodes = list_nodes(model)
    name_of = name_layers(model, layers)
    runtime, op = _min_runtime(model)
    return Audit(
        xnnpack=_audit_xnnpack(data, nodes, name_of),
        gpu=_audit_gpu(nodes, name_of),
        cpu=_audit_cpu(nodes, name_of),
        ops=count_ops(model),
        min_runtime=runtime,
        min_runtime_op=op,
    )


def _audit_xnnpack(data: bytes, nodes: list[Node], name_of: NameOf) -> DelegateAudit:
    # The runtime does not even load a file with a custom op that it has not.
    if _custom(nodes):
        return _delegate_audit(None, [_outside(n, name_of, *_CUSTOM) for n in _custom(nodes)])
    runner = open_model(data, Delegate.XNNPACK)
    outside = [nodes[row.index] for row in runner.outside]
    return _delegate_audit(
        runner.partitions, [_outside(node, name_of, *explain_outside(node)) for node in outside]
    )


def _audit_gpu(nodes: list[Node], name_of: NameOf) -> DelegateAudit:
    broken = [(node, found) for node in nodes if (found := first_broken(GPU_RULES, node))]
    return _delegate_audit(None, [_outside(node, name_of, *found) for node, found in broken])


def _audit_cpu(nodes: list[Node], name_of: NameOf) -> DelegateAudit:
    return _delegate_audit(0, [_outside(node, name_of, *_CUSTOM) for node in _custom(nodes)])


_CUSTOM = ("it is no built-in op", "use built-in ops only, or link the op into the app")


def _custom(nodes: list[Node]) -> list[Node]:
    return [node for node in nodes if node.op.startswith(("CUSTOM", "UNKNOWN"))]


def _outside(node: Node, name_of: NameOf, reason: str, fix: str) -> OutsideOp:
    return OutsideOp(
        op=node.op, tensor=node.tensor, layer=name_of(node.tensor), reason=reason, fix=fix
    )


def _delegate_audit(partitions: int | None, outside: list[OutsideOp]) -> DelegateAudit:
    return DelegateAudit(partitions=partitions, complete=not outside, outside=tuple(outside))


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
