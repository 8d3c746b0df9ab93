"""Networks of any format as functions from a prepared picture to a mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from portrait_tflite.convert.network_inputs import (
    Fed,
    beside,
    file_ends,
    fill_inputs,
    keras_ends,
)
from portrait_tflite.errors import UsageError
from portrait_tflite.images import Floats, denormalize, normalize
from portrait_tflite.runtime import Runner, open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import (
    Activation,
    Delegate,
    ModelSpec,
    OutputSpec,
    TensorInfo,
)

if TYPE_CHECKING:
    import keras

Predictor = Callable[[Floats | Fed], Floats]
"""From the network's picture `[1, h, w, c]` to the person mask `[mask_h, mask_w]`.

What a network takes besides comes with the picture, as `Fed`.
"""


class Outputs(Protocol):
    """From the network's picture `[1, h, w, c]` to all of its outputs, as floats.

    What remembers is fed with the last mask `[h, w]` besides; without, as a video begins.
    """

    def __call__(self, inputs: Floats | Fed, last: Floats | None = None, /) -> Sequence[Floats]: ...


def select_mask(outputs: Sequence[Floats], chosen: OutputSpec) -> Floats:
    """Pick the person mask `[h, w]` out of a network's outputs and apply `chosen.activation`.

    Raises:
        UsageError: There is no such output or channel, or it is no mask.
    """
    index = chosen.index
    if index >= len(outputs):
        raise UsageError(f"--output must be 0 to {len(outputs) - 1}. Received: {index}.")
    output = outputs[index]
    if output.ndim == 3:  # [1, h, w]
        output = output[..., None]
    if output.ndim != 4 or output.shape[0] != 1:
        raise UsageError(
            f"a mask [1, height, width, channels] is required. Received: output {index} of shape "
            f"{list(output.shape)}. Say by --output N which one is the mask."
        )
    count = output.shape[-1]
    if chosen.channel >= count:
        raise UsageError(f"--output-channel must be 0 to {count - 1}. Received: {chosen.channel}.")
    return apply_activation(output, chosen.activation)[0, ..., chosen.channel]


def apply_activation(logits: Floats, activation: Activation) -> Floats:
    """Apply an activation to `[..., channels]`."""
    if activation is Activation.SIGMOID:
        # By tanh, since exp overflows on large negative logits.
        return np.asarray((np.tanh(logits / 2) + 1) / 2, np.float32)
    if activation is Activation.SOFTMAX:
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
    return logits


def keras_outputs(model: keras.Model, spec: ModelSpec | None = None) -> Outputs:
    """Return a function that runs a Keras model in inference mode.

    Args:
        spec: What it takes; None for the picture alone.
    """
    import keras

    ends = keras_ends(model.inputs)

    def run(inputs: Floats | Fed, last: Floats | None = None) -> Sequence[Floats]:
        arrays = fill_inputs(inputs, ends, spec, last)
        outputs = model.predict_on_batch(arrays if len(arrays) > 1 else arrays[0])
        return [np.asarray(output, np.float32) for output in keras.tree.flatten(outputs)]

    return run


def tflite_outputs(
    model: Path | bytes,
    delegate: Delegate = Delegate.XNNPACK,
    threads: int = 1,
    spec: ModelSpec | None = None,
) -> Outputs:
    """Return a function that runs a `.tflite` and gives all of its outputs in real values."""
    return runner_outputs(open_model(model, delegate, threads), spec)


def runner_outputs(runner: Runner, spec: ModelSpec | None = None) -> Outputs:
    """Return a function that runs an open `.tflite` and gives its outputs in real values.

    Args:
        spec: What it takes; None for the picture alone.
    """
    return fed_in_order(partial(run_in_real, runner), runner.inputs, spec)


def fed_in_order(
    run: Callable[[Sequence[Floats]], Sequence[Floats]],
    inputs: Sequence[TensorInfo],
    spec: ModelSpec | None,
) -> Outputs:
    """Put what a network takes where it belongs: `run` takes an array for each of `inputs`."""
    ends = file_ends(inputs)
    return lambda given, last=None: run(fill_inputs(given, ends, spec, last))


def run_in_real(runner: Runner, arrays: Sequence[Floats]) -> list[Floats]:
    """Run an open `.tflite` of any precision on floats, one array per input; floats come out."""
    stored = [to_stored(array, info) for array, info in zip(arrays, runner.inputs, strict=True)]
    outputs = runner.run(*stored)
    return [to_real(output, info) for output, info in zip(outputs, runner.outputs, strict=True)]


def renormalized(outputs_of: Outputs, given: ModelSpec, taken: ModelSpec) -> Outputs:
    """Let a network that takes pictures as `taken` says be fed with what `given` says."""

    def run(inputs: Floats | Fed, last: Floats | None = None) -> Sequence[Floats]:
        picture, others = inputs if isinstance(inputs, Fed) else (inputs, {})
        converted = normalize(denormalize(picture, given), taken)
        return outputs_of(beside(converted, others), last)

    return run


def mask_predictor(outputs_of: Outputs, spec: ModelSpec) -> Predictor:
    """Return the mask among `outputs_of`: the spec's output and channel, then its activation.

    A file of ours holds the activation already, and its spec has none.
    """
    return lambda inputs: select_mask(outputs_of(inputs), spec.output)
