"""Inputs of fixed size: finding the picture's, and rebuilding a network for another size."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import keras

from portrait_tflite.convert.network_inputs import find_picture, keras_ends
from portrait_tflite.errors import UsageError

Size = tuple[int, int]
_Shape = tuple[int | None, ...]

_BOLD = re.compile(r"\x1b\[1m(.*?)\x1b\[0m", re.DOTALL)


def order_inputs(model: keras.Model, source: str, arrays: Collection[str] = ()) -> list[Any]:
    """Return the picture's input `[batch, height, width, channels]`, then the others.

    Args:
        arrays: Names of what calibration has arrays for.

    Raises:
        UsageError: One of them is no float tensor, or it is not clear which is the picture.
    """
    picture = find_picture(keras_ends(model.inputs), source, arrays)
    image, *others = sorted(model.inputs, key=lambda tensor: tensor is not model.inputs[picture])
    if len(image.shape) != 4 or not _is_float(image):
        raise UsageError(
            "an image input [batch, height, width, channels] of float is required. "
            f"Received: {source}, whose input {image.name} is {_shape(image)} of {image.dtype}."
        )
    for other in others:
        if not _is_float(other):
            raise UsageError(
                f"inputs of float are required. Received: {source}, whose input {other.name} is of "
                f"{other.dtype}. Cast it inside of the network."
            )
    return [image, *others]


def _is_float(tensor: Any) -> bool:
    return str(tensor.dtype).startswith("float")


def fix_size(model: keras.Model, size: Size | None, source: str) -> keras.Model:
    """Return the network with a static height and width, rebuilt where it has another one.

    Other inputs with rows and columns keep their size in proportion to the picture's.

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
    shapes = [_scaled(tuple(tensor.shape[1:]), native, size) for tensor in model.inputs]
    if shapes == [tuple(tensor.shape[1:]) for tensor in model.inputs]:
        return model
    try:
        return _rebuild(model, shapes)
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


def _scaled(own: _Shape, native: Sequence[int | None], size: Size) -> _Shape:
    """Scale an input's own `[h, w, c]` as the picture's `native` size becomes `size`."""
    if len(own) != 3:
        return own
    height, width = (
        new if mine is None or old is None else max(1, mine * new // old)
        for mine, old, new in zip(own[:2], native, size, strict=True)
    )
    return height, width, own[2]


def _rebuild(model: keras.Model, shapes: Sequence[_Shape]) -> keras.Model:
    images = [
        keras.Input(shape, name=tensor.name)
        for shape, tensor in zip(shapes, model.inputs, strict=True)
    ]
    rebuilt = keras.models.clone_model(
        model, input_tensors=images if len(images) > 1 else images[0]
    )
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _shape(tensor: Any) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in tensor.shape) + "]"
