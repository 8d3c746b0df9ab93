"""Convolutions found again from what they give."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.graph import as_arrays
from portrait_tflite.convert.rewrites.keras import least_squares
from portrait_tflite.convert.rewrites.keras.least_squares import Window, gather_equations


def _samples(window: Window, kernel: np.ndarray, bias: np.ndarray, count: int, size: int) -> list:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(count, size, size + 1, kernel.shape[2])).astype(np.float32)
    outputs = keras.ops.conv(inputs, kernel, window.strides, window.padding)
    return list(zip(inputs, as_arrays([outputs])[0] + bias, strict=True))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["same", "valid"]),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    seed=st.integers(0, 1000),
)
def test_any_convolution_is_found_from_its_output(
    rows: int,
    columns: int,
    strides: tuple[int, int],
    padding: str,
    channels: tuple[int, int],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    window = Window((rows, columns), strides, padding)
    kernel = rng.normal(size=(rows, columns, *channels)).astype(np.float32)
    bias = rng.normal(size=channels[1]).astype(np.float32)
    samples = _samples(window, kernel, bias, 12, 14)
    found, shift = gather_equations(window, samples, len(samples)).solve()
    # The ridge pulls the weights down a little.
    np.testing.assert_allclose(found, kernel, atol=5e-3)
    np.testing.assert_allclose(shift, bias, atol=5e-3)


def test_a_transposed_kernel_is_another_one() -> None:
    window = Window((3, 3))
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 2)).astype(np.float32)
    samples = _samples(window, kernel.transpose(1, 0, 2, 3), np.zeros(2), 3, 14)
    found, _ = gather_equations(window, samples, 3).solve()
    assert np.abs(found - kernel).max() > 0.5


def test_a_sample_of_the_positions_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window((3, 3))
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 3)).astype(np.float32)
    samples = _samples(window, kernel, np.ones(3), 2, 40)
    monkeypatch.setattr(least_squares, "_POSITIONS", 200)
    equations = gather_equations(window, samples, len(samples))
    assert equations.gram[-1, -1] == 200
    found, shift = equations.solve()
    np.testing.assert_allclose(found, kernel, atol=1e-3)
    np.testing.assert_allclose(shift, 1, atol=1e-3)


def test_dead_channels_get_no_weight() -> None:
    window = Window((1, 1))
    kernel = np.ones((1, 1, 2, 1), np.float32)
    samples = [(s * [1, 0], t - s[..., 1:]) for s, t in _samples(window, kernel, np.zeros(1), 2, 8)]
    found, _ = gather_equations(window, samples, len(samples)).solve()
    np.testing.assert_allclose(found[0, 0, :, 0], [1, 0], atol=1e-4)
