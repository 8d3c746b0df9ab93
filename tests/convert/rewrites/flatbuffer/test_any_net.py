"""Nets drawn at random: mending neither fails nor harms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.gpu import predict_gpu
from portrait_tflite.convert.delegates.xnnpack_prediction import predict_xnnpack
from portrait_tflite.convert.files.file_facts import weigh_file
from portrait_tflite.convert.files.flatbuffer import indices, read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.mending.mend import REWRITES, MendResult, mend_model
from portrait_tflite.convert.mending.mend_burden import is_dearer_file, weigh
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import Runner, open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate

from ...delegates.random_models import collect

COUNT = 200
SPARE = 20


@pytest.fixture(scope="module")
def mended() -> list[tuple[bytes, MendResult]]:
    """Give random files with what became of each."""
    from ....conftest import TinyGraph

    drawn = [data for data in collect(TinyGraph, COUNT + SPARE) if _runs(data)][:COUNT]
    assert len(drawn) == COUNT
    return [(data, mend_model(data)) for data in drawn]


def _runs(data: bytes) -> bool:
    """Tell whether the built-in kernels run a file; some they load and then refuse."""
    runner = open_model(data, Delegate.CPU)
    try:
        runner.run(*(random_input(info, np.random.default_rng(7)) for info in runner.inputs))
    except UsageError:
        return False
    return True


def test_enough_nets_are_mended(mended: list[tuple[bytes, MendResult]]) -> None:
    counts = Counter(record.rewrite for _, result in mended for record in result.records)
    assert sum(bool(result.records) for _, result in mended) > COUNT // 5
    assert len(counts) >= 8, counts


def test_no_net_gets_worse(mended: list[tuple[bytes, MendResult]]) -> None:
    for data, result in mended:
        old, new = weigh(data), weigh(result.data)
        assert new <= old
        assert not is_dearer_file(new, old)
        assert not result.records or result.data != data


def test_outputs_stay_where_they_are_promised_to(mended: list[tuple[bytes, MendResult]]) -> None:
    for data, result in (pair for pair in mended if pair[1].records):
        before, after = (open_model(one, Delegate.CPU) for one in (data, result.data))
        exact = all(record.exact for record in result.records)
        for old, new in _pairs(before, after):
            assert (old.dtype, old.shape) == (new.dtype, new.shape)
            if exact and np.issubdtype(old.dtype, np.integer):
                assert old.tobytes() == new.tobytes(), result.records
            elif exact:
                np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-5)


def test_xnnpack_runs_what_it_ran(mended: list[tuple[bytes, MendResult]]) -> None:
    for data, result in mended:
        if result.records and not weigh(data).unloadable:
            runner = open_model(result.data)
            rng = np.random.default_rng(7)
            runner.run(*(random_input(info, rng) for info in runner.inputs))


def _pairs(before: Runner, after: Runner) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(7)
    arrays = [random_input(info, rng) for info in before.inputs]
    return list(zip(before.run(*arrays), after.run(*arrays), strict=True))


def _without_dimensions(tensor: schema.TensorT) -> None:
    tensor.shape, tensor.shapeSignature = np.zeros(0, np.int32), None


def _open(tensor: schema.TensorT) -> None:
    tensor.shapeSignature = np.full(len(indices(tensor.shape)), -1, np.int32)


def _of_16_bits(tensor: schema.TensorT) -> None:
    if tensor.type in (schema.TensorType.INT8, schema.TensorType.UINT8):
        tensor.type = schema.TensorType.INT16


@pytest.mark.parametrize("spoil", [_without_dimensions, _open, _of_16_bits])
def test_nothing_fails_on_what_it_does_not_know(spoil: Callable[[Any], None]) -> None:
    from ....conftest import TinyGraph

    for data in collect(TinyGraph, COUNT + SPARE):
        model = read_model(data)
        for tensor in model.subgraphs[0].tensors:
            if model.buffers[tensor.buffer].data is None:
                spoil(tensor)
        for node, rewrite in product(list_nodes(model), REWRITES):
            rewrite.match(model, node)
        found = predict_xnnpack(model), predict_gpu(model), weigh_file(serialize(model))
        assert all(each is not None for each in found)
