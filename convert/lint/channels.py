"""A rule about numbers of channels: kernels compute whole tiles of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.lint.net import Net, Shape, is_grouped
from portrait_tflite.convert.lint.rule import Found
from portrait_tflite.vocabulary import LintChange

_EVEN = 8
_LEAST = 3  # one and two channels are masks and classes, not features
_FREE_SHARE = 0.01  # of what it concerns: more channels at this price are a gift
_FREE = frozenset({"CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"})
_MIXING = frozenset({"CONCATENATION", "GATHER", "RESHAPE", "TRANSPOSE"})


def odd_channels(net: Net) -> Iterator[Found]:
    """Find numbers of channels that are no multiples of 8 and that the net's author may choose."""
    groups = _channel_groups(net)
    by_count: dict[int, list[_Group]] = defaultdict(list)
    for group in groups:
        if group.free and group.channels % _EVEN and group.channels >= _LEAST:
            by_count[group.channels].append(group)
    for channels, odd in sorted(by_count.items()):
        tensors = {number for group in odd for number in group.tensors}
        nodes = [n for n in net.nodes if _touches(n, tensors)]
        makers = [n for n in nodes if n.op in _FREE and n.outputs[0].index in tensors]
        if not makers:  # shapes, which are lists of four, and other numbers
            continue
        spent = net.cost_of({node.index for node in nodes})
        below, above = channels // _EVEN * _EVEN, -(-channels // _EVEN) * _EVEN
        saved = {n: _saved(net, groups, tensors, n) for n in (below, above) if n}
        # Where every even number costs more, the odd one is the better choice.
        if max(saved.values()) >= -_FREE_SHARE * spent:
            changes = (LintChange(f"{count} channels", each) for count, each in saved.items())
            yield Found(net.places(makers), f"{channels} channels", spent, tuple(changes))


@dataclass
class _Group:
    """Tensors that have the same channels.

    Attributes:
        tensors: Their numbers.
        channels: How many they have.
        free: Whether the net's author may choose another number.
        joined: The groups that a CONCATENATION makes it of; empty for another one.
    """

    tensors: set[int]
    channels: int
    free: bool = True
    joined: tuple[_Group, ...] = ()


def _channel_groups(net: Net) -> list[_Group]:
    """Group the maps whose channels must be equally many, and see which a convolution makes."""
    group_of = _unite(net)
    for number in (*net.inputs, *net.outputs):
        if number in group_of:
            group_of[number].free = False
    for node in net.nodes:
        _bind(net, node, group_of)
    groups = list({id(group): group for group in group_of.values()}.values())
    _hold_back(groups)
    return groups


def _unite(net: Net) -> dict[int, _Group]:
    group_of: dict[int, _Group] = {}
    for node in net.nodes:
        for operand in (*_maps(net, node), *node.outputs):
            if operand.shape:
                group_of.setdefault(operand.index, _Group({operand.index}, operand.shape[-1]))
        for operand in (united := _of_equal_channels(net, node))[1:]:
            _merge(united[0].index, operand.index, group_of)
    return group_of


def _merge(one: int, other: int, group_of: dict[int, _Group]) -> None:
    target, source = group_of[one], group_of[other]
    if target is not source:
        target.tensors |= source.tensors
        group_of.update(dict.fromkeys(source.tensors, target))


def _bind(net: Net, node: Node, group_of: Mapping[int, _Group]) -> None:
    """Note what else than a convolution makes the channels of a group."""
    if node.op in _FREE or _of_equal_channels(net, node):
        return
    targets = [group_of[o.index] for o in node.outputs if o.index in group_of]
    sources = [group_of[o.index] for o in _maps(net, node) if o.index in group_of]
    if _joins(node, sources, targets):
        targets[0].joined = tuple(sources)
        return
    # Something that rearranges channels, or two that must agree.
    for group in (*targets, *sources):
        group.free = False


def _joins(node: Node, sources: Sequence[_Group], targets: Sequence[_Group]) -> bool:
    if node.op != "CONCATENATION" or not targets or targets[0].joined:
        return False
    return sum(group.channels for group in sources) == targets[0].channels


def _hold_back(groups: list[_Group]) -> None:
    """Hold what is joined where the result is held; a joined number is nobody's own choice."""
    changed = True
    while changed:
        held = [g for g in groups if g.joined and not g.free]
        changed = any(source.free for group in held for source in group.joined)
        for group in held:
            for source in group.joined:
                source.free = False
    for group in groups:
        group.free = group.free and not group.joined


def _saved(net: Net, groups: list[_Group], tensors: set[int], count: int) -> float:
    new = {id(group): count for group in groups if not group.tensors.isdisjoint(tensors)}
    pending = [group for group in groups if group.joined]
    while pending:  # joined ones may be joined again
        group = pending.pop(0)
        if any(source in pending for source in group.joined):
            pending.append(group)
            continue
        new[id(group)] = sum(new.get(id(source), source.channels) for source in group.joined)
    counts = {number: new[id(g)] for g in groups if id(g) in new for number in g.tensors}
    return net.mcycles - net.with_shapes(_reshaped(net, counts))


def _reshaped(net: Net, counts: Mapping[int, int]) -> dict[int, Shape]:
    operands = {o.index: o for node in net.nodes for o in (*node.given(), *node.outputs)}
    shapes = {number: (*operands[number].shape[:-1], count) for number, count in counts.items()}
    for node in net.nodes:
        # Else the weights of as many channels as there were would be those of a group.
        if node.op == "CONV_2D" and not is_grouped(node) and node.given()[0].index in counts:
            weights = node.given()[1]
            shapes[weights.index] = (*weights.shape[:-1], counts[node.given()[0].index])
    return shapes


def _of_equal_channels(net: Net, node: Node) -> list[Operand]:
    """List what an op reads and writes channel by channel; empty where it mixes them."""
    if node.op in _FREE or node.op in _MIXING or not node.outputs or not node.outputs[0].shape:
        return []
    channels = node.outputs[0].shape[-1]
    # A map of one channel is read again for each.
    given = [o for o in _maps(net, node) if o.shape[-1] == channels or o.shape[-1] != 1]
    listed = [*given, *node.outputs]
    return listed if all(o.shape[-1:] == (channels,) for o in listed) else []


def _maps(net: Net, node: Node) -> list[Operand]:
    """What an op reads that depends on the input and is no single number."""
    return [o for o in node.given() if o.index in net.computed and o.size != 1 and o.shape]


def _touches(node: Node, tensors: set[int]) -> bool:
    return any(o.index in tensors for o in (*node.given(), *node.outputs))
