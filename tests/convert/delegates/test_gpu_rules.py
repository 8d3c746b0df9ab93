"""What the GPU takes is predicted; LiteRT's accelerator on a software adapter says nearly the same.

That engine is not the phone's: see docs/delegates.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from portrait_tflite.benchmarks.gpu.adapters import find_adapter
from portrait_tflite.benchmarks.gpu.session import GpuSession
from portrait_tflite.benchmarks.worker_process import WorkerError
from portrait_tflite.convert.delegates.gpu import predict_gpu
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.errors import UnavailableError

MOST_DISAGREEING = 0.05
_SLICES = {"SLICE", "STRIDED_SLICE"}


@dataclass(frozen=True)
class Known:
    """A difference between the rules and the engine that the wheel brings.

    Attributes:
        predicted: Whether the rules take the op; the engine does the contrary.
        cause: Why they differ.
        met: Tells whether an op shows it.
    """

    predicted: bool
    cause: str
    met: Callable[[Node], bool]


KNOWN = (
    Known(
        False,
        "ML Drift slices two dimensions; TensorFlow Lite's GPU delegate three or four",
        lambda n: n.op in _SLICES and len(n.given()[0].shape) not in {3, 4},
    ),
    Known(
        False,
        "ML Drift has CEIL; TensorFlow Lite's GPU delegate has not",
        lambda n: n.op == "CEIL",
    ),
    Known(
        True,
        "ML Drift takes a dense layer that flattens all but the channels, and fails to build it",
        lambda n: (
            n.op == "FULLY_CONNECTED"
            and len(n.given()[0].shape) > 2
            and not n.option("keepNumDims", False)
        ),
    ),
)


@pytest.fixture(scope="session")
def on_gpu(
    random_models: tuple[bytes, ...],
    tmp_path_factory: pytest.TempPathFactory,
    require_or_skip: Callable[[str], NoReturn],
) -> list[bool]:
    """Tell of each model whether the GPU alone runs it, or skip where there is none."""
    try:
        driver = find_adapter().driver
    except UnavailableError as error:
        require_or_skip(str(error))
    return list(_compile_all(random_models, driver, tmp_path_factory.mktemp("gpu") / "m.tflite"))


def _compile_all(models: tuple[bytes, ...], driver: str, path: Path) -> Iterator[bool]:
    """One worker for all of them, and a new one after each that ends it."""
    session = GpuSession(driver)
    try:
        for model in models:
            path.write_bytes(model)
            try:
                session.load(path)
                yield bool(session.open("GPU")["full"])
            except WorkerError as error:
                yield False
                if "crashed" in str(error) or "hung" in str(error):
                    session.__exit__(None, None, None)
                    session = GpuSession(driver)
    finally:
        session.__exit__(None, None, None)


def _disagree(models: tuple[bytes, ...], on_gpu: list[bool]) -> list[tuple[bool, bytes]]:
    predicted = [not predict_gpu(read_model(model)) for model in models]
    return [
        (mine, model)
        for mine, theirs, model in zip(predicted, on_gpu, models, strict=True)
        if mine is not theirs
    ]


def _cause(predicted: bool, model: bytes) -> str:
    nodes = list_nodes(read_model(model))
    return next((k.cause for k in KNOWN if k.predicted is predicted and any(map(k.met, nodes))), "")


def test_at_most_5_percent_of_the_models_disagree_each_for_a_known_cause(
    random_models: tuple[bytes, ...], on_gpu: list[bool]
) -> None:
    found = _disagree(random_models, on_gpu)
    unknown = [
        (predicted, [node.op for node in list_nodes(read_model(model))])
        for predicted, model in found
        if not _cause(predicted, model)
    ]
    assert unknown == []
    assert len(found) <= MOST_DISAGREEING * len(random_models)


def test_both_answers_are_met(on_gpu: list[bool]) -> None:
    assert 0.2 < sum(on_gpu) / len(on_gpu) < 0.9


def test_a_wrong_prediction_is_found_out(
    random_models: tuple[bytes, ...], on_gpu: list[bool]
) -> None:
    wrong = [not each for each in on_gpu]
    assert len(_disagree(random_models, wrong)) > MOST_DISAGREEING * len(random_models)
