"""int8 from a float `.tflite` and the range of each of its tensors.

What `TFLiteConverter` does in one step, in two: it measures ranges and quantizes over them. Between
the two remedies change a network: its ranges, its weights and biases, or which ops stay in float.
All of them work on the finished float file, so that a released one without a Keras model has them,
too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.errors import ConversionError
from portrait_tflite.quantize.int8.float_transposed import name_weights_as_ops, put_weights_back
from portrait_tflite.quantize.int8.lifted_ranges import lift_ranges
from portrait_tflite.quantize.int8.moves import MOVES
from portrait_tflite.quantize.int8.picture_scale import put_rescalings, take_rescalings
from portrait_tflite.quantize.int8.shared_scales import spare_other_readers
from portrait_tflite.quantize.int8.stand_ins import put_stand_ins, take_stand_ins_away
from portrait_tflite.quantize.int8.tensor_ranges import Range
from portrait_tflite.quantize.int8.tied_scales import tied_ranges
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import IoType

IO_TYPES = {IoType.INT8: tf.int8, IoType.UINT8: tf.uint8, IoType.FLOAT32: tf.float32}


@dataclass(frozen=True, eq=False)
class RangedNetwork:
    """A float network and how it is to be quantized.

    Attributes:
        data: The float32 `.tflite`.
        ranges: What each activation tensor is to hold, by its number.
        in_float: Names of the tensors whose ops stay in float.
        exact: The float file before weights were rounded and biases corrected for int8, which makes
            another function of it in float; None where it is `data` still.
        uncorrected: The float file before biases were corrected for what other ops lose, which is
            another loss once an op is in float; None where it is `data` still.
        measured: The ranges that the pictures gave, where remedies chose others since; None where
            they are `ranges` still.
        teacher: The float file whose masks int8 is to give, where all weights were trained for int8
            since; its tensors may be others. None where it is `exact`.
        own_scales: Whether inputs that are joined with features keep scales of their own, each for
            a QUANTIZE; see `put_rescalings`.
    """

    data: bytes
    ranges: Mapping[int, Range]
    in_float: frozenset[str] = frozenset()
    exact: bytes | None = None
    uncorrected: bytes | None = None
    measured: Mapping[int, Range] | None = None
    teacher: bytes | None = None
    own_scales: bool = True

    @property
    def reference(self) -> bytes:
        """The float file whose masks int8 is to give."""
        return self.unrounded if self.teacher is None else self.teacher

    @property
    def unrounded(self) -> bytes:
        """The float file, with the tensors of `data`, whose weights were not yet fitted to int8."""
        return self.data if self.exact is None else self.exact

    def with_picture(self, picture: Range, place: int = 0) -> RangedNetwork:
        """Quantize the picture over another range.

        What only moves it has its range, too; where it is joined with other tensors, theirs as
        well.

        Args:
            place: Which input it is.
        """
        model = read_model(self.data)
        moved = {indices(model.subgraphs[0].inputs)[place]: picture}
        for node in list_nodes(model):
            given = [operand.index for operand in node.given()]
            if node.op in MOVES and not moved.keys().isdisjoint(given):
                held = [{**self.ranges, **moved}.get(number, picture) for number in given]
                moved[node.outputs[0].index] = reduce(Range.joined, held)
        return replace(self, ranges={**self.ranges, **moved})


def quantize_network(network: RangedNetwork, io: IoType = IoType.INT8) -> bytes:
    """Quantize with `TFLiteConverter`'s own quantizer.

    Weights are per channel and symmetric, activations per tensor, biases int32. Ranges that are too
    small to be scaled to are widened (`lift_ranges`), and such that would be others' as well
    (`spare_other_readers`). Where it finds no scales that agree, it is given such (`tied_ranges`).

    Raises:
        ConversionError: The quantizer does not take the file.
    """
    try:
        return _quantize(network, network.ranges, io)
    except ConversionError:
        tied = tied_ranges(read_model(network.data), network.ranges)
        if tied == network.ranges:
            raise
        return _quantize(network, tied, io)


def _quantize(network: RangedNetwork, given: Mapping[int, Range], io: IoType) -> bytes:
    from tensorflow.lite.python.convert import mlir_quantize

    model = _ranged(network, given)
    rescaled = put_rescalings(model) if network.own_scales else frozenset()
    names = put_stand_ins(model)
    name_weights_as_ops(model, network.in_float)
    try:
        with quiet():
            quantized = mlir_quantize(
                serialize(model),
                input_data_type=IO_TYPES[io],
                output_data_type=IO_TYPES[io],
                denylisted_nodes=set(network.in_float) or None,
            )
    except Exception as error:  # it raises whatever its bindings raise
        raise ConversionError(
            "a float .tflite that TFLiteConverter can quantize is required. Received from it: "
            f"{next(iter(str(error).splitlines()), 'no message')[:200]}"
        ) from error
    if not names | rescaled and not network.in_float:
        return bytes(quantized)
    made = read_model(bytes(quantized))
    take_stand_ins_away(made, names)
    take_rescalings(made, rescaled)
    put_weights_back(made, model)
    return serialize(made)


def has_rescalings(network: RangedNetwork) -> bool:
    """Tell whether an input keeps a scale of its own at the cost of a QUANTIZE."""
    return network.own_scales and bool(put_rescalings(_ranged(network, network.ranges)))


def _ranged(network: RangedNetwork, given: Mapping[int, Range]) -> schema.ModelT:
    """Read the float file, with ranges that can be scaled to."""
    model = read_model(network.data)
    ranges = spare_other_readers(model, given)
    _write_ranges(model, lift_ranges(model, ranges))
    return model


def _write_ranges(model: schema.ModelT, ranges: Mapping[int, Range]) -> None:
    """Write the ranges where the quantizer reads what calibration found."""
    for number, tensor in enumerate(model.subgraphs[0].tensors):
        if number in ranges:
            found = ranges[number]
            tensor.quantization = schema.QuantizationParametersT(
                min=np.array([found.low], np.float32), max=np.array([found.high], np.float32)
            )
