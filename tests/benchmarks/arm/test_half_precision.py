"""What a file says of float16 is read on ARM, and on ARM alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from portrait_tflite.benchmarks.arm.emulator import Emulator
from portrait_tflite.convert.files.half_precision import RECORD, allow_half_precision
from portrait_tflite.convert.files.model_metadata import attach_files, with_record
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

_IMAGE = np.random.default_rng(0).random((1, 16, 16, 64)).astype(np.float32)


@pytest.fixture
def allowed(pointwise_net: Callable[..., bytes]) -> tuple[bytes, bytes]:
    """Give a float net, and the same with what ours says, mended and with files behind it."""
    data = pointwise_net("float32")
    said, skipped = allow_half_precision(data, [(_IMAGE,)])
    assert skipped is None
    return data, attach_files(mend_model(said).data, {"labels.txt": b"person\n"})


def _vector(emulator: Emulator, data: bytes) -> int:
    emulator.load(data, xnnpack=True)
    emulator.set_inputs([_IMAGE])
    emulator.count()
    return emulator.count().vector


def test_arm_executes_half_the_vector_ops(emulator: Emulator, allowed: tuple[bytes, bytes]) -> None:
    plain, half = allowed
    before = _vector(emulator, plain)
    assert _vector(emulator, half) < 0.7 * before
    # What the converter itself writes changes nothing.
    unread = with_record(plain, RECORD, b"fp16accfp32")
    assert _vector(emulator, unread) == pytest.approx(before, rel=0.01)


def test_arm_rounds_to_float16_and_the_built_in_kernels_do_not(
    emulator: Emulator, allowed: tuple[bytes, bytes]
) -> None:
    (expected,) = open_model(allowed[0], Delegate.CPU).run(_IMAGE)
    magnitude = np.abs(expected).max()
    errors = {}
    for xnnpack in (True, False):
        emulator.load(allowed[1], xnnpack=xnnpack)
        emulator.set_inputs([_IMAGE])
        (found,) = emulator.outputs()
        errors[xnnpack] = np.abs(found - expected).max() / magnitude
    assert 1e-5 < errors[True] < 0.02
    assert errors[False] < 1e-5
