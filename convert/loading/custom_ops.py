"""Custom ops of released files that are a built-in op under another name.

A file with a custom op runs only in an app that links the op in. Some of these ops came before the
built-in one that does the same: then the file is read as if it had that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.rule import is_custom
from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.loading.exact_record import exact_record
from portrait_tflite.convert.rewrites.flatbuffer.paddings import SAME, VALID
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op
from portrait_tflite.errors import ConversionError
from portrait_tflite.vocabulary import RewriteRecord

_RECORD = "custom_to_builtin"
_PADDINGS = {1: SAME, 2: VALID}  # the runtime's numbers, which are not the schema's


def translate_custom_ops(model: schema.ModelT) -> tuple[RewriteRecord, ...]:
    """Put built-in ops in the place of custom ones that are known; the model is changed in place.

    Raises:
        ConversionError: Another custom op; it is named.
    """
    # From behind: a replacement moves what stands after it.
    found = [node for node in reversed(list_nodes(model)) if is_custom(node.op)]
    return tuple(_translate(model, node) for node in found)[::-1]


def _translate(model: schema.ModelT, node: Node) -> RewriteRecord:
    translation = _TRANSLATIONS.get(node.op)
    reason = "it is not known here" if translation is None else translation(model, node)
    if reason:
        several = len(indices(model.subgraphs[0].outputs)) > 1
        # What only other outputs need is left out.
        chosen = "Say by --output which one is the mask, export" if several else "Export"
        raise ConversionError(
            f"a .tflite of built-in ops is required. Received: '{node.tensor}' is "
            f"{node.op.replace(':', ' op ')}, and {reason}. {chosen} the network without it, or "
            "convert its Keras model."
        )
    return exact_record(
        _RECORD,
        node.tensor,
        _BUILTIN[node.op],
        f"{node.op.removeprefix('CUSTOM:')} is {_BUILTIN[node.op]} by its definition; "
        "this runtime has not the custom op to compare with",
    )


def _transposed_convolution(model: schema.ModelT, node: Node) -> str:
    """Translate MediaPipe's transposed convolution with a bias, or say why not.

    Given:
        y = Convolution2DTransposeBias(x, weights [o, h, w, i], bias [o])    # float

    Result:
        y = TRANSPOSE_CONV(size of y, weights, x, bias)

    TRANSPOSE_CONV had no bias when the op was made. Its border is the same wherever the output is
    as large as the input times the stride.

    Source: mediapipe/util/tflite/operations/transpose_conv_bias.cc
    """
    raw = bytes(np.asarray(model.subgraphs[0].operators[node.index].customOptions, np.uint8))
    if len(raw) < 12 or len(node.given()) != 3:
        return "its options or inputs are not those of the op"
    padding, stride_w, stride_h = struct.unpack_from("<3i", raw)
    source, weights, bias = node.given()
    target = node.outputs[0]
    options = schema.TransposeConvOptionsT(
        padding=_PADDINGS.get(padding, -1), strideW=stride_w, strideH=stride_h
    )
    if options.padding < 0 or min(stride_w, stride_h) < 1:
        return "its padding or strides are not those of the op"
    sizes = zip(source.shape[1:3], weights.shape[1:3], (stride_h, stride_w), strict=False)
    expected = tuple(_output_size(*each, options.padding) for each in sizes)
    if target.dtype != "float32" or target.shape[1:3] != expected:
        return f"its output {target.shape} is not the float picture of {expected} that it makes"
    built = Replacement(model, node)
    size = built.constant(np.array(target.shape, np.int32))
    built.op(Op("TRANSPOSE_CONV", 3, options), [size, weights.index, source.index, bias.index])
    built.finish()
    return ""


def _output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Return the size that both ops agree on; -1 where they lay the border otherwise."""
    whole = stride * (size - 1) + kernel
    if padding == VALID:
        return whole
    cut = max(0, kernel - (size - 1) % stride - 1)
    return whole - cut if -(-(whole - cut) // stride) == size else -1


_TRANSPOSED = "CUSTOM:Convolution2DTransposeBias"
_TRANSLATIONS: dict[str, Callable[[schema.ModelT, Node], str]] = {
    _TRANSPOSED: _transposed_convolution
}
_BUILTIN = {_TRANSPOSED: "TRANSPOSE_CONV"}
