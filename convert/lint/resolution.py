"""Rules about how large a net's tensors are: the size of its input, and when it shrinks it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, lcm

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.lint.net import Net, Shape
from portrait_tflite.convert.lint.rule import Found
from portrait_tflite.vocabulary import LintChange

Steps = tuple[Fraction, Fraction]

_EVEN = 8
_STRIDED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"})


def input_size(net: Net) -> Iterator[Found]:
    """Find an input whose sides are no multiples of 8 and of the net's stride."""
    if net.image is None:
        return
    steps = pixel_steps(net)
    sides = net.image.shape[1:3]
    even = tuple(_even_side(steps, axis) for axis in (0, 1))
    if all(side % unit == 0 for side, unit in zip(sides, even, strict=True)):
        return
    smaller = tuple(side // unit * unit for side, unit in zip(sides, even, strict=True))
    larger = tuple(-(-side // unit) * unit for side, unit in zip(sides, even, strict=True))
    sizes = [size for size in (smaller, larger) if min(size)]
    stride = max(int(max(step)) for step in steps.values())
    yield Found(
        places=(net.image.name,),
        finding=f"{_size(sides)} pixels go in, the net shrinks them {stride} times",
        mcycles=net.mcycles,
        changes=tuple(LintChange(_size(size), _saved_at(net, steps, size)) for size in sizes),
    )


def late_downsampling(net: Net) -> Iterator[Found]:
    """Find nets that spend much above half of the input's resolution."""
    if net.image is None:
        return
    steps = pixel_steps(net)
    large = [s for s in net.steps if max(steps.get(s.nodes[-1].outputs[0].index, _FAR)) < 2]
    spent = sum(step.cycles for step in large) / 1e6
    costliest = sorted(large, key=lambda step: -step.cycles)
    yield Found(
        places=net.places(step.nodes[-1] for step in costliest),
        finding=f"{spent:.3g} of {net.mcycles:.3g} Mcyc are spent above half resolution",
        mcycles=spent,
        changes=(LintChange("at half, and the mask resized ×2", _saved_by_halving(net, steps)),),
    )


_FAR = (Fraction(10**6), Fraction(10**6))


def pixel_steps(net: Net) -> dict[int, Steps]:
    """Tell how many pixels of the input lie between two positions of each tensor, down and right.

    Tensors that are no maps, such as those behind a mean over all positions, are left away.
    """
    if net.image is None:
        return {}
    found: dict[int, Steps] = {net.image.index: (Fraction(1), Fraction(1))}
    maps: dict[int, Operand] = {net.image.index: net.image}  # the last map before each tensor
    for node in net.nodes:
        known = [maps[o.index] for o in node.given() if o.index in maps]
        if not known:
            continue
        source = max(known, key=lambda one: one.shape[1] * one.shape[2])
        for target in node.outputs:
            if len(target.shape) != 4:
                maps[target.index] = source
            elif min(target.shape[1:3]) > 1:
                maps[target.index] = target
                found[target.index] = _behind(node, found[source.index], source, target)
    return found


def _behind(node: Node, steps: Steps, source: Operand, target: Operand) -> Steps:
    if node.op in _STRIDED:
        return steps[0] * node.option("strideH", 1), steps[1] * node.option("strideW", 1)
    ratios = (_ratio(source.shape[axis], target.shape[axis]) for axis in (1, 2))
    down, right = (step * ratio for step, ratio in zip(steps, ratios, strict=True))
    return down, right


def _ratio(before: int, after: int) -> Fraction:
    """Round to a whole factor: cropping and padding change a size without changing the scale."""
    if before >= after:
        return Fraction(round(before / max(after, 1)))
    return Fraction(1, round(after / max(before, 1)))


def _even_side(steps: dict[int, Steps], axis: int) -> int:
    return lcm(_EVEN, *(int(step[axis]) for step in steps.values() if step[axis] >= 1))


def _saved_at(net: Net, steps: dict[int, Steps], size: Shape) -> float:
    maps = {o.index: o for node in net.nodes for o in (*node.given(), *node.outputs)}
    shapes = {
        number: _shape(maps[number], *(ceil(s / step) for s, step in zip(size, pair, strict=True)))
        for number, pair in steps.items()
    }
    return net.mcycles - net.with_shapes(shapes)


def _saved_by_halving(net: Net, steps: dict[int, Steps]) -> float | None:
    """Count the layers above half resolution at half of theirs, and a resize of what they give."""
    full = {number for number, pair in steps.items() if max(pair) < 2} - {*net.inputs}
    written = {o.index: (node, o) for node in net.nodes for o in node.outputs}
    shapes = {
        number: _shape(written[number][1], *(-(-s // 2) for s in written[number][1].shape[1:3]))
        for number in full
    }
    saved = net.mcycles - net.with_shapes(shapes)
    for number in full & {*net.outputs}:
        node, target = written[number]
        _, height, width, channels = target.shape
        resize = CostedOp("RESIZE_BILINEAR", height, width, channels, channels)
        if (cost := net.cost_as([resize], node)) is None:
            return None
        saved -= cost
    return saved


def _shape(operand: Operand, height: int, width: int) -> Shape:
    return (operand.shape[0], height, width, operand.shape[3])


def _size(sides: Shape) -> str:
    return "×".join(map(str, sides))
