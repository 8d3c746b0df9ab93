"""A finished net as the lint rules see it: its ops, what they cost, and what they would cost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from portrait_tflite.convert.costs.cost_prediction import Step, cost_steps
from portrait_tflite.convert.costs.cost_table import TARGET, CostTable
from portrait_tflite.convert.costs.costed_nodes import costed_ops, precision_of_node
from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand, list_nodes
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.convert.mending.xnnpack_steps import constant_nodes
from portrait_tflite.vocabulary import DelegateAudit

_MCYCLES = 1e6

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Net:
    """The first subgraph of a file.

    Attributes:
        nodes: Its ops in their order, without those that run once at the start.
        inputs: Numbers of the tensors that it is fed with.
        outputs: Numbers of those that it gives.
        table: What its ops cost.
        name_of: From a tensor's name to its Keras layer, or "".
        xnnpack: What XNNPACK leaves outside.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: CostTable
    name_of: Callable[[str], str] = field(repr=False)
    xnnpack: DelegateAudit = field(repr=False)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """What XNNPACK runs as one, in order, with its cost."""
        return tuple(self._cost(self.nodes))

    @cached_property
    def mcycles(self) -> float:
        """What one inference costs, as `predict` has it."""
        return (self.table.call + sum(step.cycles for step in self.steps)) / _MCYCLES

    @cached_property
    def computed(self) -> frozenset[int]:
        """The tensors that depend on what the net is fed with."""
        written = (operand.index for node in self.nodes for operand in node.outputs)
        return frozenset((*self.inputs, *written))

    @cached_property
    def producers(self) -> dict[int, Node]:
        """The op that writes each tensor."""
        return {operand.index: node for node in self.nodes for operand in node.outputs}

    @cached_property
    def readers(self) -> dict[int, list[Node]]:
        """The ops that read each tensor."""
        found: dict[int, list[Node]] = {}
        for node in self.nodes:
            for operand in node.given():
                found.setdefault(operand.index, []).append(node)
        return found

    @cached_property
    def image(self) -> Operand | None:
        """The first input of four dimensions whose sides are known; None where there is none."""
        given = {o.index: o for node in self.nodes for o in node.given()}
        pictures = (given[number] for number in self.inputs if number in given)
        return next((o for o in pictures if len(o.shape) == 4 and min(o.shape[1:]) > 0), None)

    def read_alone(self, tensor: int) -> bool:
        """Whether exactly one op reads a tensor, and it is no output."""
        return len(self.readers.get(tensor, ())) == 1 and tensor not in self.outputs

    def cost_of(self, nodes: Collection[int]) -> float:
        """What some ops, by position, cost together, in million cycles."""
        concerned = (s for s in self.steps if any(node.index in nodes for node in s.nodes))
        return sum(step.cycles for step in concerned) / _MCYCLES

    def places(self, nodes: Iterable[Node]) -> tuple[str, ...]:
        """Name the layers of some ops, each once."""
        return tuple(dict.fromkeys(self.name_of(node.tensor) or node.tensor for node in nodes))

    def with_shapes(self, shapes: Mapping[int, Shape]) -> float:
        """What the net would cost in million cycles if tensors had other shapes."""
        nodes = [_reshaped(node, shapes) for node in self.nodes]
        return (self.table.call + sum(step.cycles for step in self._cost(nodes))) / _MCYCLES

    def _cost(self, nodes: Sequence[Node]) -> list[Step]:
        outside = {op.index for op in self.xnnpack.outside}
        return cost_steps(nodes, self.table, outside, self.outputs)

    def cost_as(self, ops: Iterable[CostedOp], like: Node) -> float | None:
        """What ops would cost in the precision of another one; None where the table lacks one."""
        listed, precision = list(ops), precision_of_node(like)
        if not all(self.table.knows(op.kind, precision) for op in listed):
            return None
        return sum(self.table.op_cost(op, precision) for op in listed) / _MCYCLES


def open_net(data: bytes, xnnpack: DelegateAudit, layers: Iterable[str] = ()) -> Net:
    """Read a `.tflite`.

    Args:
        data: The file.
        xnnpack: What XNNPACK makes of it.
        layers: Names of the Keras layers, where they are known.

    Raises:
        UsageError: Not a `.tflite`.
    """
    model = read_model(data)
    graph = model.subgraphs[0]
    nodes = list_nodes(model)
    constant = constant_nodes(nodes)
    return Net(
        nodes=tuple(node for node in nodes if node.index not in constant),
        inputs=tuple(indices(graph.inputs)),
        outputs=tuple(indices(graph.outputs)),
        table=CostTable.load(TARGET),
        name_of=name_layers(model, layers),
        xnnpack=xnnpack,
    )


def only_op(node: Node) -> CostedOp:
    """An op that its cost sees as one, or as equal ones: then the first, as of groups."""
    return next(costed_ops(node))


def is_grouped(convolution: Node) -> bool:
    """Whether a CONV_2D reads its channels in groups."""
    source, weights = convolution.given()[:2]
    return bool(source.shape[-1] != weights.shape[-1])


def _reshaped(node: Node, shapes: Mapping[int, Shape]) -> Node:
    def changed(operand: Operand) -> Operand:
        shape = shapes.get(operand.index)
        return operand if shape is None else replace(operand, shape=shape)

    return replace(
        node,
        inputs=tuple(None if o is None else changed(o) for o in node.inputs),
        outputs=tuple(changed(o) for o in node.outputs),
    )
