"""Ops that move values: each draws its attributes, and returns what it moves to."""

from __future__ import annotations

from math import prod

import hypothesis.strategies as st
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .random_net import Net, Value


def joined(net: Net, x: Value) -> Value:
    count, axis = net.one_of(1, 2, 2, 3, 5, 6), net.one_of(-1, 0, len(x.shape) - 1)
    others = [net.source(x.shape, x.dtype).index for _ in range(count - 1)]
    shape = list(x.shape)
    shape[axis] *= count
    same = x.dtype == "uint8" and not net.rarely()
    target = net.value(tuple(shape), x.dtype, x if same or net.draw(st.booleans()) else None)
    return net.op("CONCATENATION", [x.index, *others], target, schema.ConcatenationOptionsT(axis))


def packed(net: Net, x: Value) -> Value:
    other = net.source(x.shape, x.dtype).index
    target = net.value((*x.shape, 2), x.dtype, x)
    options = schema.PackOptionsT(valuesCount=2, axis=len(x.shape))
    return net.op("PACK", [x.index, other], target, options)


def padded(net: Net, x: Value) -> Value:
    pads = [[0, 0] for _ in x.shape]
    pads[net.one_of(*range(len(pads)))] = [net.one_of(0, 1), 1]
    shape = tuple(n + sum(pad) for n, pad in zip(x.shape, pads, strict=True))
    if net.rarely():
        options = schema.MirrorPadOptionsT(mode=net.one_of(0, 1))
        inputs = [x.index, net.list_of(pads)]
        return net.op("MIRROR_PAD", inputs, net.moved(shape, x), options)
    dtype = "int64" if net.rarely() else "int32"
    return net.op("PAD", [x.index, net.list_of(pads, dtype)], net.moved(shape, x))


def reshaped(net: Net, x: Value) -> Value:
    shape = net.one_of(x.shape[1:], (prod(x.shape),), (1, *x.shape), (1, 1, 1, *x.shape))
    same = None if net.rarely() else x
    wanted = [-1] if len(shape) == 1 and net.draw(st.booleans()) else list(shape)
    options = schema.ReshapeOptionsT(newShape=np.int32(wanted))
    inputs = [x.index] if net.rarely() else [x.index, net.list_of(wanted)]
    return net.op("RESHAPE", inputs, net.value(shape, x.dtype, same), options)


def squeezed(net: Net, x: Value) -> Value:
    if net.draw(st.booleans()) and x.shape[0] == 1:
        options = schema.SqueezeOptionsT(squeezeDims=np.int32([0]))
        return net.op("SQUEEZE", [x.index], net.value(x.shape[1:], x.dtype, x), options)
    inputs = [x.index, net.list_of([0])]
    return net.op("EXPAND_DIMS", inputs, net.value((1, *x.shape), x.dtype, x))


def resized(net: Net, x: Value) -> Value:
    size = [2 * n for n in x.shape[1:3]]
    inputs = [x.index, net.list_of(size)]
    target = net.moved((1, *size, x.shape[3]), x)
    corners, centers = net.one_of((False, False), (True, False), (False, True))
    if net.draw(st.booleans()):
        nearest = schema.ResizeNearestNeighborOptionsT(corners, centers)
        net.graph.op("RESIZE_NEAREST_NEIGHBOR", inputs, target.index, 3, nearest)
    else:
        bilinear = schema.ResizeBilinearOptionsT(alignCorners=corners, halfPixelCenters=centers)
        net.graph.op("RESIZE_BILINEAR", inputs, target.index, 3, bilinear)
    return target


def sliced(net: Net, x: Value) -> Value:
    sizes = [max(1, n // 2) for n in x.shape]
    dtype = net.one_of("int32", "int32", "int64")
    told = [-1, *sizes[1:]] if net.rarely() else sizes
    sizes[0] = x.shape[0] if told[0] == -1 else sizes[0]
    inputs = [x.index, net.list_of([0] * len(sizes), dtype), net.list_of(told, dtype)]
    return net.op("SLICE", inputs, net.moved(tuple(sizes), x))


def strided(net: Net, x: Value) -> Value:
    step = net.one_of(1, 1, 1, 2)
    ends = [max(1, n // 2) for n in x.shape]
    shape = tuple(-(-n // step) for n in ends)
    shrink = int(net.rarely() and x.shape[0] == 1)
    lists = ([0] * len(ends), ends, [step] * len(ends))
    inputs = [x.index, *(net.list_of(numbers) for numbers in lists)]
    options = schema.StridedSliceOptionsT(shrinkAxisMask=shrink)
    return net.op("STRIDED_SLICE", inputs, net.moved(shape[shrink:], x), options)


def split(net: Net, x: Value) -> Value:
    axis = len(x.shape) - 1
    count = net.one_of(*(n for n in (1, 2, 4, 8) if x.shape[axis] % n == 0))
    shape = (*x.shape[:axis], x.shape[axis] // count)
    parts = [net.moved(shape, x) for _ in range(count)]
    inputs = [net.list_of(axis), x.index]
    net.op("SPLIT", inputs, parts[0], schema.SplitOptionsT(numSplits=count))
    outputs = np.int32([part.index for part in parts])
    net.graph.graph.operators[-1].outputs = outputs
    return parts[-1]


def turned(net: Net, x: Value) -> Value:
    order = net.draw(st.permutations(range(len(x.shape))))
    target = net.moved(tuple(x.shape[i] for i in order), x)
    return net.op("TRANSPOSE", [x.index, net.list_of(order)], target)


def blocks(net: Net, x: Value) -> Value:
    n, height, width, depth = x.shape
    if depth % 4 == 0 and net.draw(st.booleans()):
        target = net.moved((n, height * 2, width * 2, depth // 4), x)
        return net.op("DEPTH_TO_SPACE", [x.index], target, schema.DepthToSpaceOptionsT(2))
    size = net.one_of(1, 2) if height % 2 == 0 and width % 2 == 0 else 1
    target = net.moved((n, height // size, width // size, depth * size * size), x)
    return net.op("SPACE_TO_DEPTH", [x.index], target, schema.SpaceToDepthOptionsT(size))


def tiled(net: Net, x: Value) -> Value:
    times = [2] + [1] * (len(x.shape) - 1)
    target = net.value((x.shape[0] * 2, *x.shape[1:]), x.dtype, x)
    return net.op("TILE", [x.index, net.list_of(times)], target)
