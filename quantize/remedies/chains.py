"""Linear ops between which channels can be scaled without a change of the function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand, list_nodes
from portrait_tflite.quantize.int8.tensor_ranges import activation_tensors
from portrait_tflite.quantize.remedies.gates import Gate, read_gate
from portrait_tflite.quantize.remedies.linear_ops import NONE, RELU, LinearOp, linear_ops

# f(s · x) = s · f(x) for every s > 0, channel for channel.
_SCALES_THROUGH = frozenset(
    {
        "AVERAGE_POOL_2D",
        "LEAKY_RELU",
        "MAX_POOL_2D",
        "PAD",
        "RELU",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
    }
)
# s · x + s · y = s · (x + y): what is added is scaled alike.
_SUMS = frozenset({"ADD", "SUB"})
# RELU6 is none: its bound would be another one for every channel.
_HOMOGENEOUS = frozenset({NONE, RELU})


@dataclass(frozen=True, eq=False)
class Chain:
    """Linear ops that give channels, those that read them, and what lies between.

    Attributes:
        firsts: Give the channels; several where they are added.
        seconds: Read them.
        tensors: Between the two, in their order.
        rounded: Those of them that int8 rounds before a sum or a second: what the scale matters to.
        gates: Gates whose factors are among them: int8 rounds these, too.
    """

    firsts: tuple[LinearOp, ...]
    seconds: tuple[LinearOp, ...]
    tensors: tuple[int, ...]
    rounded: tuple[int, ...]
    gates: tuple[Gate, ...] = ()

    @property
    def channels(self) -> int:
        """How many there are."""
        return int(self.firsts[0].node.outputs[0].shape[-1])


def find_chains(model: schema.ModelT) -> list[Chain]:
    """Find the chains of a float file, in its order.

    Given:  linear+ → [ReLU, pooling, padding, resizing, sum]* → linear+, read by nothing else

    The channels of a gate's product are scaled with its factors, and not with the picture, which
    other ops read as well.
    """
    graph = model.subgraphs[0]
    nodes, linear = list_nodes(model), {op.node.index: op for op in linear_ops(model)}
    tensors = activation_tensors(model)
    tied = _Tied(tensors)
    tied.bar([*indices(graph.inputs), *indices(graph.outputs)])
    for node in nodes:
        if node.index in linear:
            _tie_linear(tied, linear[node.index])
        elif (gate := read_gate(node)) and tied.join([gate.factors, gate.product]):
            tied.bar([gate.picture.index])
        elif not _scales_through(node) or not tied.join(_touched(node)):
            tied.bar(operand.index for operand in (*node.given(), *node.outputs))
    found = [_chain(members, nodes, linear) for members in tied.groups()]
    return sorted((chain for chain in found if chain), key=lambda chain: chain.tensors[0])


class _Tied:
    """Tensors that must be scaled alike, and those that cannot be."""

    def __init__(self, tensors: Sequence[int]) -> None:
        self._root = {number: number for number in tensors}
        self._barred = set[int]()

    def join(self, operands: Sequence[Operand]) -> bool:
        """Tie what an op touches; False where a constant or other channels are among it."""
        channels = {operand.shape[-1:] for operand in operands}
        if len(channels) > 1 or any(operand.index not in self._root for operand in operands):
            return False
        for operand in operands[1:]:
            self._root[self._find(operand.index)] = self._find(operands[0].index)
        return True

    def bar(self, tensors: Iterable[int]) -> None:
        """Let tensors, and all that are tied to them, stay as they are."""
        self._barred.update(tensors)

    def groups(self) -> list[tuple[int, ...]]:
        """Return what is tied together and not barred."""
        members: dict[int, list[int]] = {}
        for number in self._root:
            members.setdefault(self._find(number), []).append(number)
        return [tuple(some) for some in members.values() if self._barred.isdisjoint(some)]

    def _find(self, number: int) -> int:
        while self._root[number] != number:
            number = self._root[number]
        return number


def _tie_linear(tied: _Tied, op: LinearOp) -> None:
    if not _homogeneous(op.node):
        tied.bar([op.output])
    if not _reads_each_channel(op):
        tied.bar([op.source])


def _touched(node: Node) -> list[Operand]:
    """List the tensors of an op whose channels are the same: of a PAD not the amounts."""
    read = node.given() if node.op in _SUMS else node.given()[:1]
    return [*read, *node.outputs]


def _scales_through(node: Node) -> bool:
    if node.op in _SUMS:
        # A constant that is added would have to be scaled, too.
        return _homogeneous(node) and len(node.given()) == 2
    return node.op in _SCALES_THROUGH and _homogeneous(node)


def _homogeneous(node: Node) -> bool:
    return int(node.option("fusedActivationFunction", NONE)) in _HOMOGENEOUS


def _chain(
    members: Sequence[int], nodes: Sequence[Node], linear: dict[int, LinearOp]
) -> Chain | None:
    inside = set(members)
    firsts = tuple(op for op in linear.values() if op.output in inside)
    seconds = tuple(op for op in linear.values() if op.source in inside)
    if not firsts or not seconds:
        return None
    added = {o.index for node in nodes if node.op in _SUMS for o in node.given()}
    read = added | {op.source for op in seconds}
    gates = [gate for gate in map(read_gate, nodes) if gate and gate.factors.index in inside]
    rounded = tuple(n for n in members if n in read)
    return Chain(firsts, seconds, tuple(members), rounded, tuple(gates))


def _reads_each_channel(op: LinearOp) -> bool:
    """Refuse groups, and dense layers on something flattened: their inputs are no channels."""
    source = next(operand for operand in op.node.given() if operand.index == op.source)
    weights = next(operand for operand in op.node.inputs if operand and operand.index == op.weights)
    if op.depthwise:
        return weights.shape[-1] % source.shape[-1] == 0
    return weights.shape[-1] == source.shape[-1]
