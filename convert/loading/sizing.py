"""Inputs of fixed size: finding the picture's, and rebuilding a network for another size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras

from portrait_tflite.convert.previous_mask import find_inputs, keras_ends
from portrait_tflite.errors import UsageError

Size = tuple[int, int]

_BOLD = re.compile(r"\x1b\[1m(.*?)\x1b\[0m", re.DOTALL)


def order_inputs(model: keras.Model, source: str) -> list[Any]:
    """Return the picture's input `[batch, height, width, channels]` and, if any, the state's.

    Raises:
        ConversionError: It has other inputs.
        UsageError: One of them is no float image.
    """
    picture, state = find_inputs(keras_ends(model.inputs), source)
    ordered = [model.inputs[i] for i in (picture, state) if i is not None]
    for image in ordered:
        if len(image.shape) != 4 or not str(image.dtype).startswith("float"):
            raise UsageError(
                "an image input [batch, height, width, channels] of float is required. "
                f"Received: {source}, whose input {image.name} is {_shape(image)} of {image.dtype}."
            )
    return ordered


def fix_size(model: keras.Model, size: Size | None, source: str) -> keras.Model:
    """Return the network with a static height and width, rebuilt where it has another one.

    A state keeps its size in proportion to the picture's.

    Args:
        model: The picture is its first input.

    Raises:
        UsageError: Its size is dynamic and `size` is not given, or it cannot be rebuilt so.
    """
    image = model.inputs[0]
    native = tuple(image.shape[1:3])
    if None in native and size is None:
        raise UsageError(
            f"{source} takes images of any size ({_shape(image)}): --size HxW is required, "
            "e.g. --size 256x256."
        )
    size = size or native
    sizes = [_scaled(tensor.shape[1:3], native, size) for tensor in model.inputs]
    if sizes == [tuple(tensor.shape[1:3]) for tensor in model.inputs]:
        return model
    try:
        return _rebuild(model, sizes)
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        raise UsageError(
            f"{source} cannot be rebuilt for --size {size[0]}x{size[1]} "
            f"(its own is {native[0]}x{native[1]}): {first_sentence(error)}"
        ) from error


def first_sentence(error: Exception) -> str:
    """Return what a Keras error says first, without the configuration it prints.

    Of a call that fails that is why, which Keras prints in bold below its first line.
    """
    text = str(error).rsplit("Exception encountered:", 1)[-1].strip()
    if causes := _BOLD.findall(text):
        text = causes[-1].rsplit("Error encountered:", 1)[-1].strip()
    line = text.splitlines()[0] if text else type(error).__name__
    sentence = line.split(". ")[0].split(" Full object config")[0]
    return sentence[:200].rstrip(". ") + "."


def _scaled(own: Sequence[int | None], native: Sequence[int | None], size: Size) -> Size:
    """Scale an input's own size as the picture's `native` one becomes `size`."""
    height, width = (
        new if mine is None or old is None else mine * new // old
        for mine, old, new in zip(own, native, size, strict=True)
    )
    return height, width


def _rebuild(model: keras.Model, sizes: Sequence[Size]) -> keras.Model:
    images = [
        keras.Input((*size, tensor.shape[-1]), name=tensor.name)
        for size, tensor in zip(sizes, model.inputs, strict=True)
    ]
    rebuilt = keras.models.clone_model(
        model, input_tensors=images if len(images) > 1 else images[0]
    )
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _shape(tensor: Any) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in tensor.shape) + "]"
