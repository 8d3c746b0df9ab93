"""Rules about single layers and their neighbours: convolutions, pooling, activations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.lint.net import Net, is_grouped, only_op
from portrait_tflite.convert.lint.rule import Found
from portrait_tflite.vocabulary import LintChange

_POOLS = frozenset({"MAX_POOL_2D", "AVERAGE_POOL_2D"})
_ACTIVATIONS = frozenset({"HARD_SWISH", "LEAKY_RELU", "PRELU", "RELU", "RELU6"})
_COSTLY = frozenset({"HARD_SWISH", "LEAKY_RELU", "PRELU"})
_FEW = 8  # channels: what XNNPACK computes at one time


def convolution_and_pool(net: Net) -> Iterator[Found]:
    """Find a convolution that is pooled right away: most of its results are thrown away."""
    for pool in net.nodes:
        if pool.op not in _POOLS or pool.option("strideH", 1) < 2:
            continue
        between, convolution = _pooled(net, pool)
        if convolution is None or convolution.option("strideH", 1) != 1:
            continue
        if convolution.op == "CONV_2D" and is_grouped(convolution):
            continue  # nobody counted one group beside another
        chain = [convolution, *between, pool]
        spent = net.cost_of({node.index for node in chain})
        strided = [_at(node, pool) for node in (convolution, *between)]
        cost = net.cost_as(strided, convolution)
        saved = None if cost is None else spent - cost
        yield Found(
            places=net.places((convolution, pool)),
            finding=f"{convolution.op} and then {pool.op}",
            mcycles=spent,
            changes=(LintChange("one strided convolution", saved),),
        )


def dense_convolution(net: Net) -> Iterator[Found]:
    """Find convolutions over many channels and taps at one time."""
    found = [
        (node, saved)
        for node in net.nodes
        if node.op == "CONV_2D"
        and not is_grouped(node)
        and (saved := _saved_by_separation(net, node)) > 0
    ]
    yield from _together(net, found, "dense convolutions", "depthwise and 1×1")


def transposed_convolution(net: Net) -> Iterator[Found]:
    """Find transposed convolutions of a window larger than their stride."""
    found = [
        (node, saved)
        for node in net.nodes
        if node.op == "TRANSPOSE_CONV" and (saved := _saved_by_resize(net, node)) > 0
    ]
    yield from _together(
        net, found, "transposed convolutions", "1×1, resize bilinearly, depthwise 3×3"
    )


def costly_activation(net: Net) -> Iterator[Found]:
    """Find activations that are ops of their own, where a clamp would cost nothing."""
    found = [(node, net.cost_of({node.index})) for node in net.nodes if node.op in _COSTLY]
    found += [(node, net.cost_of({node.index})) for node in _swishes(net)]
    found.sort(key=lambda one: one[0].index)
    yield from _together(net, found, "activations that are ops of their own", "ReLU6, fused")


def _together(
    net: Net, found: Iterable[tuple[Node, float]], kind: str, change: str
) -> Iterator[Found]:
    """Make one finding of all places of a kind, those that save most first."""
    listed = sorted(found, key=lambda one: -one[1])
    if listed:
        nodes = [node for node, _ in listed]
        yield Found(
            places=net.places(nodes),
            finding=f"{len(nodes)} {kind}",
            mcycles=net.cost_of({node.index for node in nodes}),
            changes=(LintChange(change, sum(saved for _, saved in listed)),),
        )


def _pooled(net: Net, pool: Node) -> tuple[list[Node], Node | None]:
    """Go back from a pool, over activations, to the convolution that it alone reads."""
    between: list[Node] = []
    tensor = pool.given()[0].index
    while net.read_alone(tensor) and (node := net.producers.get(tensor)) is not None:
        if node.op in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
            return between[::-1], node
        if node.op not in _ACTIVATIONS:
            break
        between.append(node)
        tensor = node.given()[0].index
    return [], None


def _at(node: Node, pool: Node) -> CostedOp:
    """An op at the resolution behind the pool; the convolution takes the pool's stride."""
    size, op = only_op(pool), only_op(node)
    stride = size.stride if "CONV" in node.op else 1
    return replace(op, height=size.height, width=size.width, stride=stride)


def _saved_by_separation(net: Net, node: Node) -> float:
    op = only_op(node)
    # A thin one keeps its tiles full as little as a depthwise one.
    if op.taps < 4 or min(op.channels_in, op.channels_out) < _FEW:
        return 0.0
    depthwise = replace(op, kind="DEPTHWISE_CONV_2D", channels_out=op.channels_in)
    pointwise = replace(op, kernel=(1, 1), stride=1)
    return _saved(net, node, (depthwise, pointwise))


def _saved_by_resize(net: Net, node: Node) -> float:
    op = only_op(node)
    if op.stride < 2 or op.taps <= op.stride**2 or not net.cost_of({node.index}):
        return 0.0
    low = op.positions // op.stride**2
    pointwise = CostedOp("CONV_2D", low, 1, op.channels_in, op.channels_out)
    resize = CostedOp("RESIZE_BILINEAR", op.positions, 1, op.channels_out, op.channels_out)
    depthwise = replace(resize, kind="DEPTHWISE_CONV_2D", kernel=(3, 3))
    return _saved(net, node, (pointwise, resize, depthwise))


def _saved(net: Net, node: Node, ops: Iterable[CostedOp]) -> float:
    cost = net.cost_as(ops, node)
    return 0.0 if cost is None else net.cost_of({node.index}) - cost


def _swishes(net: Net) -> Iterator[Node]:
    """List the two ops of each `x · sigmoid(x)`."""
    for node in net.nodes:
        if node.op != "MUL" or len(node.given()) != 2:
            continue
        one, other = (operand.index for operand in node.given())
        for tensor, gate in ((one, other), (other, one)):
            sigmoid = net.producers.get(gate)
            gated = sigmoid is not None and sigmoid.op == "LOGISTIC" and net.read_alone(gate)
            if sigmoid is not None and gated and sigmoid.given()[0].index == tensor:
                yield from (sigmoid, node)
