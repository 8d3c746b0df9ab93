"""A SavedModel folder as a Keras network: its layers, or one opaque layer around its signature."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from portrait_tflite.convert.loading.custom_objects import CustomObjects
from portrait_tflite.convert.loading.saved_model_layers import rebuild
from portrait_tflite.convert.loading.sizing import Size, first_sentence
from portrait_tflite.convert.loading.wide_signature import is_narrow, widened
from portrait_tflite.convert.network_inputs import End, find_picture
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Channels

GRAPH = "saved_model.pb"
_SIGNATURE = "serving_default"
# Ops that run Python or touch files when the graph is merely called.
_UNSAFE_OPS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc", "WriteFile", "ReadFile"})


class SignatureLayer(keras.layers.TFSMLayer):
    """`TFSMLayer` of a folder that the user named; unlike it, may be cloned.

    Its inputs are a dictionary by the names that the signature gives them. It computes in float32.
    """

    call_endpoint_fn: Any

    def __init__(self, filepath: str, **kwargs: Any) -> None:
        super().__init__(filepath, **kwargs)
        signature = self.call_endpoint_fn
        if is_narrow(signature):
            self.call_endpoint_fn = _in_float32(Path(filepath), signature)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        return self.call_endpoint_fn(**inputs)

    @classmethod
    def from_config(cls, config: dict[str, Any], **_: Any) -> SignatureLayer:
        return cls(**config)


def _in_float32(folder: Path, signature: Any) -> Any:
    try:
        return widened(signature)
    except Exception as error:  # whatever TensorFlow refuses of a graph that was changed
        raise UsageError(
            f"a SavedModel that computes in float32 is required. Received: {folder}, whose half "
            f"floats cannot be widened: {first_sentence(error)} Export it in float32: "
            'keras.config.set_dtype_policy("float32") before the network is built.'
        ) from error


def load_saved_model(
    folder: Path,
    size: Size | None,
    channels: Channels | None,
    objects: CustomObjects | None = None,
    arrays: Collection[str] = (),
) -> keras.Model:
    """Load the layers of `folder` where Keras 2 left them, else wrap its serving signature.

    Args:
        size: For a signature of dynamic size.
        channels: For a signature that does not say how many channels it takes.
        objects: The user's own, for layers that Keras 3 does not have.
        arrays: Names of what calibration has arrays for.

    Raises:
        UsageError: The folder is no SavedModel, is damaged or would run code or touch files, or
            its size is dynamic and `size` is not given, or it is not clear which input is the
            picture.
    """
    _check_graph(folder)
    try:
        loaded = tf.saved_model.load(str(folder))
        signatures = loaded.signatures
    except (OSError, ValueError, KeyError, tf.errors.OpError, AttributeError) as error:
        raise UsageError(f"{folder} is damaged: {first_sentence(error)}") from error
    name = _choose_signature(folder, list(signatures))
    _, inputs = signatures[name].structured_input_signature
    picture, others = _find_inputs(folder, inputs, arrays)
    rebuilt = rebuild(folder, loaded, signatures[name], picture, objects or CustomObjects())
    if rebuilt is not None:
        return rebuilt
    shape = _input_shape(folder, inputs[picture], size, channels)
    named = picture if others else None  # by which the picture is told from the others
    image = keras.Input(batch_shape=shape, dtype=_dtype(inputs[picture]), name=named)
    images = {picture: image}
    for other in others:
        own = inputs[other].shape.as_list()
        if len(own) == len(shape):
            own = [*(n or m for n, m in zip(own[:3], shape[:3], strict=True)), own[3]]
        beside = (shape[0], *own[1:])
        images[other] = keras.Input(batch_shape=beside, dtype=_dtype(inputs[other]), name=other)
    outputs = SignatureLayer(str(folder), call_endpoint=name, name="saved_model")(images)
    values = [outputs[key] for key in sorted(outputs)] if isinstance(outputs, dict) else outputs
    return keras.Model(list(images.values()), values, name="saved_model")


def _dtype(spec: Any) -> str:
    return "float32" if spec.dtype in (tf.float16, tf.bfloat16) else str(spec.dtype.name)


def _find_inputs(
    folder: Path, inputs: dict[str, Any], arrays: Collection[str]
) -> tuple[str, list[str]]:
    """Name the picture's input, and the others."""
    ends = [
        End(name, tuple(spec.shape.as_list()[1:] if spec.shape.rank is not None else ()))
        # A signature's own order is that of a hash table: another one in each process.
        for name, spec in sorted(inputs.items())
    ]
    names = [end.name for end in ends]
    picture = names.pop(find_picture(ends, str(folder), arrays))
    return picture, names


def _check_graph(folder: Path) -> None:
    graph = folder / GRAPH
    if not graph.is_file():
        raise UsageError(
            f"a SavedModel folder (with {GRAPH}) or a model file is required. "
            f"Received: {folder}, a folder without it."
        )
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(graph.read_bytes())
    except Exception as error:  # protobuf's DecodeError moves between its versions
        raise UsageError(f"{folder} is damaged: its {GRAPH} cannot be read.") from error
    if not saved.meta_graphs:
        raise UsageError(f"{folder} is damaged: its {GRAPH} holds no graph.")
    unsafe = _UNSAFE_OPS & {
        node.op
        for meta in saved.meta_graphs
        for nodes in (meta.graph_def.node, *(f.node_def for f in meta.graph_def.library.function))
        for node in nodes
    }
    if unsafe:
        raise UsageError(
            f"{folder} is refused: its graph would run code or touch files "
            f"({', '.join(sorted(unsafe))}). Export the network without them."
        )


def _choose_signature(folder: Path, names: list[str]) -> str:
    if _SIGNATURE in names:
        return _SIGNATURE
    if len(names) == 1:
        return names[0]
    raise UsageError(
        f"{folder} must have the signature {_SIGNATURE}. Received: "
        f"{', '.join(names) or 'none'}. Export it with model.export()."
    )


def _input_shape(
    folder: Path, spec: Any, size: Size | None, channels: Channels | None
) -> tuple[int | None, ...]:
    shape = spec.shape.as_list() if spec.shape.rank is not None else [None] * 4
    if len(shape) != 4:
        raise UsageError(
            "an image input [batch, height, width, channels] is required. "
            f"Received: {folder}, whose input has rank {len(shape)}."
        )
    batch, height, width, count = shape
    wanted = size or (height, width)
    if None in wanted:
        raise UsageError(f"{folder} takes images of any size: --size HxW is required.")
    if (height or wanted[0], width or wanted[1]) != tuple(wanted):
        raise UsageError(
            f"a SavedModel cannot be rebuilt: {folder} takes {height}x{width}. "
            f"Received: --size {wanted[0]}x{wanted[1]}."
        )
    if count is None and channels is None:
        raise UsageError(f"{folder} does not state its channels: --channels is required.")
    return batch, *wanted, count or (channels.depth if channels else None)
