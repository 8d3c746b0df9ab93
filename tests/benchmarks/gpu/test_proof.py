"""Outputs that are no GPU's, or no good ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portrait_tflite.benchmarks.gpu.adapters import Adapter
from portrait_tflite.benchmarks.gpu.proof import find_broken, find_fallback, relative_difference
from portrait_tflite.vocabulary import Delegate

CARD = Adapter("Card", software=False)
VALUES = np.linspace(0, 1, 9, dtype=np.float32)
ON_CPU = {Delegate.CPU: [[VALUES]], Delegate.XNNPACK: [[np.nextafter(VALUES, 2, dtype=np.float32)]]}
ON_GPU = [[VALUES + np.float32(1e-5)]]


def fallback_of(outputs: Any = ON_GPU, **changed: Any) -> str:
    facts = {"full": True, "selected": CARD, "floats": True} | changed
    return find_fallback(outputs=outputs, on_cpu=ON_CPU, **facts)


def test_values_near_the_cpus_are_a_gpus() -> None:
    assert fallback_of() == ""


@pytest.mark.parametrize("delegate", list(ON_CPU))
def test_the_bits_of_either_kernels_are_no_gpus(delegate: Delegate) -> None:
    assert fallback_of(ON_CPU[delegate]).endswith(
        f"the outputs are those of {delegate} bit for bit"
    )


def test_integers_may_round_to_the_cpus() -> None:
    assert fallback_of(ON_CPU[Delegate.CPU], floats=False) == ""


def test_the_runtimes_own_doubt_counts() -> None:
    assert "left ops to the CPU" in fallback_of(full=False)
    assert "named no adapter" in fallback_of(selected=None)
    assert "named no adapter" in fallback_of(ON_CPU[Delegate.CPU], selected=None, floats=False)


def test_numbers_that_overflowed_are_counted() -> None:
    broken = VALUES.copy()
    broken[:2] = np.inf, np.nan
    on_cpu = ON_CPU[Delegate.CPU]
    assert find_broken([[broken]], on_cpu).startswith(
        "2 values that the GPU computed are no finite"
    )
    assert find_broken(ON_GPU, on_cpu) == ""
    assert find_broken([[broken]], [[broken]]) == ""  # the net's own


def test_numbers_that_overflowed_were_still_computed_by_the_gpu() -> None:
    assert fallback_of([[VALUES + np.float32(np.nan)]]) == ""


def test_a_difference_is_relative_to_the_tensors_largest_magnitude() -> None:
    small, large = np.float32([0, -1]), np.float32([100, 200])
    other = [[small, large + np.float32(2)], [small, large]]
    assert relative_difference(other, [[small, large]] * 2) == pytest.approx(0.01)
    assert relative_difference([[0 * small]], [[0 * small]]) == 0
