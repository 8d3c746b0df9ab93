"""The `.tflite` of one op that only moves numbers, or puts others between them."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema
from cost_tables.one_op_net import OneOpNet

from portrait_tflite.convert.costs.costed_op import CostedOp

# Inputs of an op that is counted for the copying of one.
_COPIED = {"CONCATENATION": 2, "PACK": 2}


def parts_of(kind: str) -> int:
    """Return how many ops of the cost tables the file of one op of a kind is."""
    return _COPIED.get(kind, 1)


def output_of(op: CostedOp) -> tuple[int, int, int, int]:
    """Return the shape of what an op computes."""
    return 1, op.height, op.width, op.channels_out


def pad(net: OneOpNet, op: CostedOp) -> bytes:
    """Adds a row and a column."""
    source = net.add_input(1, op.height - 1, op.width - 1, op.channels_in)
    inputs = (source, net.add_numbers([[0, 0], [0, 1], [0, 1], [0, 0]]))
    return net.finish("PAD", 2, inputs, output_of(op), schema.PadOptionsT())


def concatenation(net: OneOpNet, op: CostedOp) -> bytes:
    """Two inputs of the op's size: so many times what copying one costs."""
    inputs = tuple(net.add_input(*output_of(op)) for _ in range(parts_of(op.kind)))
    output = (1, op.height, op.width, len(inputs) * op.channels_out)
    return net.finish("CONCATENATION", 2, inputs, output, schema.ConcatenationOptionsT(axis=3))


def pack(net: OneOpNet, op: CostedOp) -> bytes:
    """Two inputs of the op's size, side by side in a new dimension before the channels."""
    inputs = tuple(net.add_input(*output_of(op)) for _ in range(parts_of(op.kind)))
    output = (1, op.height, op.width, len(inputs), op.channels_out)
    options = schema.PackOptionsT(axis=3, valuesCount=len(inputs))
    return net.finish("PACK", 2, inputs, output, options)


def gather(net: OneOpNet, op: CostedOp) -> bytes:
    """All columns, from the last to the first."""
    indices = net.add_numbers([*reversed(range(op.width))])
    inputs = (net.add_input(*output_of(op)), indices)
    return net.finish("GATHER", 2, inputs, output_of(op), schema.GatherOptionsT(axis=2))


def mirror(net: OneOpNet, op: CostedOp) -> bytes:
    """Adds a row and a column, which the border itself is not repeated for."""
    source = net.add_input(1, op.height - 1, op.width - 1, op.channels_in)
    inputs = (source, net.add_numbers([[0, 0], [0, 1], [0, 1], [0, 0]]))
    options = schema.MirrorPadOptionsT(mode=schema.MirrorPadMode.REFLECT)
    return net.finish("MIRROR_PAD", 2, inputs, output_of(op), options)


def transpose(net: OneOpNet, op: CostedOp) -> bytes:
    """Rows and columns change places; one of them is as many as the stride."""
    other = op.positions // op.stride
    source = net.add_input(1, other, op.stride, op.channels_out)
    inputs = (source, net.add_numbers([0, 2, 1, 3]))
    output = (1, op.stride, other, op.channels_out)
    return net.finish("TRANSPOSE", 2, inputs, output, schema.TransposeOptionsT())


def depth_to_space(net: OneOpNet, op: CostedOp) -> bytes:
    """Channels become a block of positions."""
    block = op.stride
    source = net.add_input(1, op.height // block, op.width // block, op.channels_in)
    options = schema.DepthToSpaceOptionsT(blockSize=block)
    return net.finish("DEPTH_TO_SPACE", 2, (source,), output_of(op), options)


def resize(net: OneOpNet, op: CostedOp) -> bytes:
    """Twice as many rows and columns, in between."""
    source = net.add_input(1, op.height // 2, op.width // 2, op.channels_in)
    inputs = (source, net.add_numbers([op.height, op.width]))
    options = schema.ResizeBilinearOptionsT(halfPixelCenters=True)
    return net.finish("RESIZE_BILINEAR", 3, inputs, output_of(op), options)


def nearest(net: OneOpNet, op: CostedOp) -> bytes:
    """Twice as many rows and columns, repeated."""
    source = net.add_input(1, op.height // 2, op.width // 2, op.channels_in)
    inputs = (source, net.add_numbers([op.height, op.width]))
    options = schema.ResizeNearestNeighborOptionsT(halfPixelCenters=True)
    return net.finish("RESIZE_NEAREST_NEIGHBOR", 3, inputs, output_of(op), options)


def tile(net: OneOpNet, op: CostedOp) -> bytes:
    """One of the two that Keras's nearest upsampling becomes: each column twice."""
    height, width = op.height, op.width // 2
    source = net.add_input(1, height, width, 1, op.channels_in)
    inputs = (source, net.add_numbers([1, 1, 1, 2, 1]))
    return net.finish(
        "TILE", 1, inputs, (1, height, width, 2, op.channels_in), schema.TileOptionsT()
    )


def cut(net: OneOpNet, op: CostedOp) -> bytes:
    """Cuts off the last row and column."""
    source = net.add_input(1, op.height + 1, op.width + 1, op.channels_in)
    ends = (net.add_numbers([0, 0, 0, 0]), net.add_numbers(output_of(op)))
    inputs = (source, *ends, net.add_numbers([1, 1, 1, 1]))
    return net.finish("STRIDED_SLICE", 2, inputs, output_of(op), schema.StridedSliceOptionsT())


def pick(net: OneOpNet, op: CostedOp) -> bytes:
    """Takes one of two numbers everywhere: a single index, which XNNPACK leaves outside."""
    source = net.add_input(*output_of(op), 2)
    rows = ([0, 0, 0, 0, 1], [*output_of(op), 2], [1, 1, 1, 1, 1])
    inputs = (source, *(net.add_numbers(row) for row in rows))
    options = schema.StridedSliceOptionsT(shrinkAxisMask=1 << 4)
    return net.finish("STRIDED_SLICE", 2, inputs, output_of(op), options)
