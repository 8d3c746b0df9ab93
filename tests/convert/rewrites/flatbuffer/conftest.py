"""Files of one op, and what one rewrite of a finished file makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.files.flatbuffer_pruning import drop_unused
from portrait_tflite.convert.mending.mend_judge import PlaceJudge
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Applied, FlatbufferRewrite
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate


@dataclass(frozen=True)
class Mended:
    """What became of a file.

    Attributes:
        applied: What the rewrite says.
        data: The file after it.
        ops: Its ops.
        steps: Largest difference of the outputs on the built-in kernels, in stored numbers.
    """

    applied: Applied
    data: bytes
    ops: list[str]
    steps: float

    @property
    def done(self) -> bool:
        """Whether anything was mended."""
        return bool(self.applied.mended)

    @property
    def refusals(self) -> list[str]:
        """Why places were left."""
        return [refused.reason for refused in self.applied.refused]


@pytest.fixture(scope="session")
def mend_with() -> Callable[..., Mended]:
    """Give a function that applies one rewrite and compares on noise of its own."""

    def run(data: bytes, rewrite: FlatbufferRewrite, judge: Any = None, seed: int = 99) -> Mended:
        model = read_model(data)
        applied = rewrite.apply(model, judge or PlaceJudge())
        drop_unused(model)
        after = serialize(model)
        before_runner, after_runner = (open_model(d, Delegate.CPU) for d in (data, after))
        rng = np.random.default_rng(seed)
        steps = 0.0
        for _ in range(2):
            arrays = [random_input(info, rng) for info in before_runner.inputs]
            pairs = zip(before_runner.run(*arrays), after_runner.run(*arrays), strict=True)
            for old, new in pairs:
                assert (old.dtype, old.shape) == (new.dtype, new.shape)
                gap = np.abs(old.astype(np.float64) - new.astype(np.float64))
                steps = max(steps, float(gap.max()))
        return Mended(applied, after, op_names(model), steps)

    return run


@pytest.fixture
def one_op(tiny_graph: Callable[[], Any]) -> Callable[..., bytes]:
    """Give a builder of a file of one op.

    A tensor is `(shape, dtype, scale, zero point)`, a constant has its data behind them.
    """

    def build(
        op: str,
        source: Sequence[Any],
        target: Sequence[Any],
        *constants: Sequence[Any],
        version: int = 2,
        options: Any = None,
    ) -> bytes:
        graph = tiny_graph()
        x = graph.tensor("net/x", *source)
        others = [graph.tensor(f"c{n}", *c[:4], data=c[4]) for n, c in enumerate(constants)]
        y = graph.tensor(f"net/{op.lower()}/op", *target)
        graph.op(op, [x, *others], y, version, options)
        return bytes(graph.build([x], [y]))

    return build
