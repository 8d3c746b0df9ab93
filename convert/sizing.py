"""One input of fixed size: finding it, and rebuilding a network for another size."""

from __future__ import annotations

from typing import Any

import keras

from portrait_tflite.errors import ConversionError, UsageError

Size = tuple[int, int]


def single_input(model: keras.Model, source: str) -> Any:
    """Return the network's only input, `[batch, height, width, channels]`.

    Raises:
        ConversionError: It has several inputs.
        UsageError: Its input is no float image.
    """
    inputs = model.inputs
    if len(inputs) != 1:
        listed = ", ".join(f"{tensor.name} {_shape(tensor)}" for tensor in inputs)
        raise ConversionError(
            f"a network with one input, the image, is required. Received: {source} with "
            f"{len(inputs)} inputs ({listed})."
        )
    image = inputs[0]
    if len(image.shape) != 4 or not str(image.dtype).startswith("float"):
        raise UsageError(
            "an image input [batch, height, width, channels] of float is required. "
            f"Received: {source}, whose input {image.name} is {_shape(image)} of {image.dtype}."
        )
    return image


def fix_size(model: keras.Model, size: Size | None, source: str) -> keras.Model:
    """Return the network with a static height and width, rebuilt where it has another one.

    Raises:
        UsageError: Its size is dynamic and `size` is not given, or it cannot be rebuilt so.
    """
    image = single_input(model, source)
    native = tuple(image.shape[1:3])
    if None in native and size is None:
        raise UsageError(
            f"{source} takes images of any size ({_shape(image)}): --size HxW is required, "
            "e.g. --size 256x256."
        )
    if size is None or native == size:
        return model
    try:
        return _rebuild(model, size)
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        raise UsageError(
            f"{source} cannot be rebuilt for --size {size[0]}x{size[1]} "
            f"(its own is {native[0]}x{native[1]}): {first_sentence(error)}"
        ) from error


def first_sentence(error: Exception) -> str:
    """Return what a Keras error says first, without the configuration it prints."""
    text = str(error).rsplit("Exception encountered:", 1)[-1].strip()
    line = text.splitlines()[0] if text else type(error).__name__
    sentence = line.split(". ")[0].split(" Full object config")[0]
    return sentence[:200].rstrip(". ") + "."


def _rebuild(model: keras.Model, size: Size) -> keras.Model:
    image = keras.Input((*size, model.inputs[0].shape[-1]), name=model.inputs[0].name)
    rebuilt = keras.models.clone_model(model, input_tensors=image)
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _shape(tensor: Any) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in tensor.shape) + "]"
