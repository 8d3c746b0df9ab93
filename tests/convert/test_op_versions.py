"""The table of oldest runtimes, held to what TensorFlow's converter writes into its own files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.files import op_versions
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.quiet import quiet

SHAPE = (1, 8, 8, 4)
RNG = np.random.default_rng(0)
FILTER = RNG.normal(size=(3, 3, 4, 4)).astype(np.float32)
MATRIX = RNG.normal(size=(4, 3)).astype(np.float32)
BORDER = ((0, 0), (1, 1), (1, 1), (0, 0))
# Ops of portrait nets, and such whose versions tell runtimes apart.
OPS: dict[str, Callable[[Any], Any]] = {
    "average_pool": lambda x: tf.nn.avg_pool2d(x, 2, 2, "SAME"),
    "concatenation": lambda x: tf.concat([x, x], 3),
    "convolution": lambda x: tf.nn.conv2d(x, FILTER, 1, "SAME"),
    "dense": lambda x: tf.matmul(x, MATRIX),
    "depth_to_space": lambda x: tf.nn.depth_to_space(x, 2),
    "depthwise": lambda x: tf.nn.depthwise_conv2d(x, FILTER[..., :1], [1] * 4, "SAME"),
    "gelu": tf.nn.gelu,
    "hard_swish": lambda x: x * tf.nn.relu6(x + 3) * np.float32(1 / 6),
    "leaky_relu": tf.nn.leaky_relu,
    "maximum": lambda x: tf.maximum(x, 1.0),
    "mean": lambda x: tf.reduce_mean(x, (1, 2)),
    "mirror_pad": lambda x: tf.pad(x, BORDER, "REFLECT"),
    "pack": lambda x: tf.stack([x, x]),
    "pad": lambda x: tf.pad(x, BORDER),
    "product": lambda x: tf.matmul(x, x, transpose_b=True),
    "relu": tf.nn.relu,
    "resize": lambda x: tf.image.resize(x, (16, 16)),
    "resize_nearest": lambda x: tf.image.resize(x, (16, 16), "nearest"),
    "sigmoid": tf.sigmoid,
    "softmax": tf.nn.softmax,
    "strided_slice": lambda x: x[:, ::2, :, 1],
    "sum": lambda x: x + 2 * x,
    "tile": lambda x: tf.tile(x, (1, 2, 1, 1)),
    "transposed": lambda x: tf.nn.conv2d_transpose(x, FILTER, (1, 16, 16, 4), 2) + MATRIX[0, 0],
}
NOT_IN_INT8 = {"transposed"}  # of this form


def _files(function: Callable[[Any], Any], *, int8: bool) -> Iterator[bytes]:
    """Convert an op to float, and to int8."""
    signature = tf.TensorSpec(SHAPE, tf.float32)
    for quantized in (False, True)[: 1 + int8]:
        concrete = tf.function(function).get_concrete_function(signature)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], function)
        if quantized:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: [[np.ones(SHAPE, np.float32)]]
        yield converter.convert()


@pytest.fixture(scope="module")
def converted() -> dict[str, list[bytes]]:
    """Give the converter's files of every op."""
    with quiet():
        return {
            name: [*_files(function, int8=name not in NOT_IN_INT8)]
            for name, function in OPS.items()
        }


def _written(data: bytes) -> str:
    """Read the runtime that the converter asks for, without the patch's 0."""
    model = read_model(data)
    (number,) = (m.buffer for m in model.metadata if m.name == b"min_runtime_version")
    said = bytes(model.buffers[number].data).rstrip(b"\0").decode()
    return said.removesuffix(".0")


def _disagreements(converted: dict[str, list[bytes]]) -> list[tuple[str, str, str]]:
    pairs = (
        (name, audit_model(d), _written(d)) for name, files in converted.items() for d in files
    )
    return [
        (name, audit.min_runtime_op, said)
        for name, audit, said in pairs
        if audit.min_runtime != said
    ]


def test_the_converter_names_the_same_runtime(converted: dict[str, list[bytes]]) -> None:
    assert _disagreements(converted) == []
    files = [data for found in converted.values() for data in found]
    assert len({_written(data) for data in files}) > 8


def test_a_wrong_entry_is_found_out(
    converted: dict[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {**op_versions.FIRST_RUNTIMES, "DEPTH_TO_SPACE": "2.1 2.6"}
    monkeypatch.setattr(op_versions, "FIRST_RUNTIMES", wrong)
    assert {name for name, *_ in _disagreements(converted)} == {"depth_to_space"}
