"""Bias correction: what quantizing shifts the mean of a channel by is taken from its bias.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction",
section 4.2; measured on calibration pictures as in its appendix D, not estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, read_model, serialize, text
from portrait_tflite.convert.rewrites.flatbuffer.place import cut_out
from portrait_tflite.images import Floats
from portrait_tflite.quantize.accuracy.predictors import run_in_real
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quantize.remedies.channel_statistics import (
    ChannelStatistics,
    channel_statistics,
)
from portrait_tflite.quantize.remedies.linear_ops import (
    LinearOp,
    linear_ops,
    read_bias,
    write_bias,
)
from portrait_tflite.quantize.remedies.output_error import output_error, spread
from portrait_tflite.quantize.remedies.remedy import OnShare, Treated
from portrait_tflite.quiet import quiet
from portrait_tflite.runtime import open_model

_MEASURED_ON = 16
_GROUPS = 8
_ROUNDS = 2
# A channel that ReLU cuts nearly always says little of its bias.
_LEAST_ACTIVE = 0.05


class BiasCorrection:
    """Moves biases until the means of the int8 file's channels are the float network's.

    Given:  int8 outputs y' of a linear op, float outputs y
    Result: its bias − (mean(y') − mean(y)) for each channel, over pictures and places; behind a
            ReLU divided by the share of places where it is active, as only these follow the bias

    In the order of execution, an eighth of the ops at a time, since what is before moves what is
    behind; then all of it again. A part is kept only where the masks come nearer to float's.
    """

    name = "bias_correction"

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | None:
        """Correct the biases of all linear ops; see `Remedy`."""
        measured = spread(frames, _MEASURED_ON)
        ops = linear_ops(read_model(network.data))
        if not ops:
            return None
        tensors = [op.output for op in ops]
        seen = channel_statistics(network.unrounded, measured, tensors, lambda s: on_share(s / 10))
        groups = [tuple(group) for group in np.array_split(np.arange(len(ops)), _GROUPS)]
        error_of = output_error(network.reference, frames)
        best, least, corrected = network, error_of(network), set[int]()
        tried_on: dict[tuple[int, ...], RangedNetwork] = {}
        for done, group in enumerate(groups * _ROUNDS, start=1):
            on_share(0.1 + 0.9 * done / (len(groups) * _ROUNDS))
            if tried_on.get(group) is best:  # it came to nothing, and nothing has moved since
                continue
            tried_on[group] = best
            chosen = [ops[i] for i in group]
            found = _means(best, chosen, measured)
            shifts = {
                op.node.index: _shift(found[op.output], seen[op.output])
                for op in chosen
                if op.output in found
            }
            data = _corrected(best.data, shifts)
            tried = replace(
                best, data=data, exact=network.unrounded, uncorrected=_uncorrected(network)
            )
            if shifts and (error := error_of(tried)) < least:
                best, least = tried, error
                corrected.update(group)
        if not corrected:
            return None
        return Treated(best, f"biases of {len(corrected)} of {len(ops)} ops")


def _uncorrected(network: RangedNetwork) -> bytes:
    return network.data if network.uncorrected is None else network.uncorrected


def _shift(mean: Floats, exact: ChannelStatistics) -> Floats:
    """Return what biases `[o]` are to lose, by the means of int8 and those of float."""
    active = np.maximum(exact.nonzero, _LEAST_ACTIVE)
    return np.asarray((mean - exact.mean) / active, np.float32)


def _means(
    network: RangedNetwork, ops: Sequence[LinearOp], frames: Sequence[Frames]
) -> dict[int, Floats]:
    """Return the mean of each channel `[c]` of what some ops give in int8.

    Those that the quantizer merges with others have none.
    """
    model = read_model(quantize_network(network))
    # The quantizer keeps names; of a tensor and its requantized copy the last is what is read.
    numbers = {text(t.name): number for number, t in enumerate(model.subgraphs[0].tensors)}
    ops = [op for op in ops if op.node.tensor in numbers]
    if not ops:
        return {}
    runner_of = _int8_outputs(model, [numbers[op.node.tensor] for op in ops])
    sums = [np.zeros(op.node.outputs[0].shape[-1]) for op in ops]
    for frame in frames:
        for total, values in zip(sums, runner_of(frame), strict=True):
            total += values.reshape(-1, values.shape[-1]).mean(0, dtype=np.float64)
    return {
        op.output: np.asarray(total / len(frames), np.float32)
        for op, total in zip(ops, sums, strict=True)
    }


def _int8_outputs(model: schema.ModelT, tensors: Sequence[int]) -> Callable[[Frames], list[Floats]]:
    """Return what runs a quantized file and gives some of its tensors in real values."""
    with quiet():
        runner = open_model(cut_out(model, indices(model.subgraphs[0].inputs), tensors))
    return lambda frame: run_in_real(runner, frame)


def _corrected(data: bytes, shifts: Mapping[int, Floats]) -> bytes:
    """Take shifts `[o]` from the biases of the ops at some positions."""
    model: schema.ModelT = read_model(data)
    for op in linear_ops(model):
        if op.node.index in shifts:
            write_bias(model, op, read_bias(model, op) - shifts[op.node.index])
    return serialize(model)
