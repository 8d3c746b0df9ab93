"""A Cropping2D before the layer that computed what it cuts off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Node, Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import reconfigured
from portrait_tflite.convert.rewrites.keras.frame import (
    Frame,
    Side,
    extent,
    frame_of,
    framed,
    same_frame,
)
from portrait_tflite.convert.rewrites.keras.padding_into_same import WINDOWS, with_padding
from portrait_tflite.convert.rewrites.keras.site import Form, Refusal, Site, Uses, single
from portrait_tflite.convert.rewrites.keras.upsampling import resize_of


class EarlierCropping:
    """Cuts off what a layer needs not compute.

    Given:  x → Conv2D(3×3, SAME) → Cropping2D(1) → y
    Result: x → Conv2D(3×3, VALID) → y

    Given:  x → Conv2DTranspose(4×4, strides 2, VALID) → Cropping2D(1) → y
    Result: x → Conv2DTranspose(4×4, strides 2, SAME) → y

    Given:  x → UpSampling2D(2, nearest) → Cropping2D(2) → y
    Result: x → Cropping2D(1) → UpSampling2D(2, nearest) → y

    Also depthwise and separable convolutions, with strides and dilation; where more is cut than was
    padded, lines of x go, if the table has that for less. The second is how nets of other
    frameworks spell a transposed convolution that pads.
    """

    name = "earlier_cropping"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        frame = frame_of(node)
        # A padding adds; a cropping of nothing is another rewrite's.
        if frame is None or frame.added != Frame() or frame == Frame():
            return None
        producer = node.inputs[0].node
        forms = _forms(node, producer, frame)
        if not forms:
            return None
        # What is cut off here is needed there.
        if uses[node.inputs[0]] > 1:
            return Refusal(node.name, f"the output of {producer.name} is also used elsewhere")
        return Site(
            layer=node.name,
            root=value,
            boundary=producer.inputs,
            forms=forms,
            reason=f"{producer.name} need not compute it",
        )


def _forms(node: Node, producer: Node, frame: Frame) -> tuple[Form, ...]:
    layer = producer.op
    if getattr(layer, "data_format", None) != "channels_last":
        return ()
    if type(layer) in WINDOWS:
        return _window_forms(node, producer, frame)
    if type(layer) is keras.layers.Conv2DTranspose:
        return _transposed_forms(producer, frame, node.output)
    return _nearest_forms(node, producer, frame)


def _window_forms(node: Node, producer: Node, frame: Frame) -> tuple[Form, ...]:
    source, whole = producer.inputs[0], producer.output
    needed = _needed(producer, frame)
    name = f"{producer.name}_cut"

    def build(boundary: Sequence[Value]) -> Value:
        before = boundary[0]
        if needed == same_frame(producer.op, *before.shape[1:3]):
            return with_padding(producer, before, "same")
        return with_padding(producer, framed(name, before, needed), "valid")

    cropped = Form(
        "cropped_first", build, ops=(*_cut(source, needed), *_ops(producer, node.output))
    )
    kept = Form("crop", ops=(*_ops(producer, whole), *_cut(whole, frame)))
    return cropped, kept


def _needed(producer: Node, frame: Frame) -> Frame:
    """Return what a window layer needs of its input, zeros around it included."""
    layer = producer.op
    height, width = producer.inputs[0].shape[1:3]
    pads = same_frame(layer, height, width) if layer.padding == "same" else Frame()
    sides: list[Side] = []
    for axis, (size, length) in enumerate(
        zip((height, width), producer.output.shape[1:3], strict=True)
    ):
        cut, padded = (frame.rows, frame.columns)[axis], (pads.rows, pads.columns)[axis]
        stride = int(layer.strides[axis])
        reach = extent(int(layer.kernel_size[axis]), int(layer.dilation_rate[axis]))
        end = (length + cut[1] - 1) * stride + reach  # behind the last position that is looked at
        behind = end - padded[0] - size
        # A convolution without padding leaves a rest of less than a stride by itself.
        behind = behind if behind > 0 else -(-behind // stride * stride)
        sides.append((padded[0] + cut[0] * stride, behind))
    return Frame(*sides)


def _ops(producer: Node, target: Value) -> tuple[CostedOp, ...]:
    """List what a convolution becomes that gives `target`; a PAD before it costs nothing."""
    layer, depth = producer.op, producer.inputs[0].shape[3]
    _, height, width, filters = target.shape
    window = tuple(int(size) for size in layer.kernel_size)
    kernel, stride = (window[0], window[1]), int(layer.strides[0])
    if type(layer) is keras.layers.Conv2D:
        return (CostedOp("CONV_2D", height, width, depth, filters, kernel, stride),)
    between = depth * int(layer.depth_multiplier)
    spatial = CostedOp("DEPTHWISE_CONV_2D", height, width, depth, between, kernel, stride)
    if type(layer) is keras.layers.DepthwiseConv2D:
        return (spatial,)
    return spatial, CostedOp("CONV_2D", height, width, between, filters)


def _cut(source: Value, frame: Frame) -> tuple[CostedOp, ...]:
    """List what cutting lines off from `source` becomes."""
    if frame.cut == Frame():
        return ()
    _, height, width, depth = source.shape
    rows, columns = height + sum(frame.cut.rows), width + sum(frame.cut.columns)
    return (CostedOp("STRIDED_SLICE", rows, columns, depth, depth),)


def _transposed_forms(producer: Node, frame: Frame, target: Value) -> tuple[Form, ...]:
    """Return the form that SAME is, where it cuts off the same."""
    layer, source = producer.op, producer.inputs[0]
    if layer.padding != "valid":
        return ()
    cuts = (frame.rows, frame.columns)
    # SAME cuts off half of what is too much at the start; all that is too much is cut off here.
    if any(-first != -(first + last) // 2 for first, last in cuts):
        return ()
    output_padding = _output_padding(layer, source, target)
    # Keras takes no other size.
    if output_padding and not all(
        0 <= more < s for more, s in zip(output_padding, layer.strides, strict=True)
    ):
        return ()

    def build(boundary: Sequence[Value]) -> Value:
        changes = {"padding": "same", "output_padding": output_padding}
        return reconfigured(producer.name, layer, boundary[0], **changes)

    return single("same", build)


def _output_padding(layer: Any, source: Value, target: Value) -> list[int] | None:
    """Return what makes the output of SAME as large as `target`; None where it is by itself."""
    sizes = list(zip(source.shape[1:3], target.shape[1:3], layer.strides, strict=True))
    if all(length == size * stride for size, length, stride in sizes):
        return None
    kernels = [int(kernel) for kernel in layer.kernel_size]
    return [
        length - (size - 1) * stride - kernel + 2 * (kernel // 2)
        for (size, length, stride), kernel in zip(sizes, kernels, strict=True)
    ]


def _nearest_forms(node: Node, producer: Node, frame: Frame) -> tuple[Form, ...]:
    """Return the form that cuts before a nearest upsampling, where whole pixels go."""
    is_upsampling = type(producer.op) is keras.layers.UpSampling2D
    resize = resize_of(producer) if is_upsampling else None
    if resize is None or resize.interpolation != "nearest" or resize.factors is None:
        return ()
    height, width = resize.factors
    if any(cut % height for cut in frame.rows) or any(cut % width for cut in frame.columns):
        return ()
    rows = frame.rows[0] // height, frame.rows[1] // height
    columns = frame.columns[0] // width, frame.columns[1] // width

    def build(boundary: Sequence[Value]) -> Value:
        cut = framed(node.name, boundary[0], Frame(rows, columns))
        return apply_op(producer.name, producer.op, cut)

    return single("cropped_first", build)
