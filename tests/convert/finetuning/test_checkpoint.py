"""What is left of an interrupted run, and what is not taken for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from portrait_tflite.convert.finetuning.checkpoint import (
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from portrait_tflite.convert.finetuning.student import Score

_ONE = Checkpoint(
    rounds=2,
    stale=1,
    before=Score(0.5, -0.25),
    peak=Score(0.625, -0.25),
    best=Score(0.75, -0.125),
    weights=[np.ones((2, 3), np.float32), np.zeros(1, np.float32)],
    best_weights=[np.full((2, 3), 7, np.float32)],
    optimizer=[np.array(12, np.int64)],
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "one.npz"
    write_checkpoint(path, _ONE)
    found = read_checkpoint(path)
    assert found is not None
    assert (found.rounds, found.stale) == (2, 1)
    scores = (found.before, found.peak, found.best)
    assert scores == (_ONE.before, _ONE.peak, _ONE.best)
    for group in ("weights", "best_weights", "optimizer"):
        arrays, expected = getattr(found, group), getattr(_ONE, group)
        assert [a.dtype for a in arrays] == [a.dtype for a in expected]
        for array, one in zip(arrays, expected, strict=True):
            np.testing.assert_array_equal(array, one)
    assert [p.name for p in path.parent.iterdir()] == ["one.npz"]


@pytest.mark.parametrize("content", [b"", b"torn", b"cut", None])
def test_what_is_not_whole_is_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "one.npz"
    write_checkpoint(path, _ONE)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-100] if content == b"cut" else content)
    assert read_checkpoint(path) is None


def test_another_npz_is_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", progress=np.zeros(2))
    assert read_checkpoint(tmp_path / "one.npz") is None
