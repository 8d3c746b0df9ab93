"""Rounding of weights so that the errors of one make up for those of others.

Source: Frantar et al. 2022, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers", section 3, after "Optimal Brain Compression" of the same authors. AdaRound (Nagel et
al. 2020) learns its rounding by gradients instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

LARGEST = 127  # int8, symmetric
_DAMPING = 0.01  # of the mean square, so that rare inputs are not rounded at will


def round_nearest(rows: Doubles) -> Doubles:
    """Round weights `[o, n]` to the nearest of what int8 has for their row."""
    steps = _steps(rows)
    return np.round(rows / steps) * steps


def round_compensated(rows: Doubles, squares: Doubles) -> Doubles:
    """Round weights to what int8 has, so that what they give changes as little as can be.

    The largest weight of each row stays, and with it the row's scale. A row that is not better so
    is rounded to the nearest.

    Args:
        rows: Weights `[o, n]`, a row per output channel.
        squares: Mean products `[n, n]` of what they are multiplied by, or `[o, n, n]` where each
            row has inputs of its own.
    """
    # Where inputs are shared, those that carry most are rounded first: many are left to make up.
    order = np.argsort(-np.diagonal(squares), kind="stable") if squares.ndim == 2 else slice(None)
    sorted_squares = squares[order][:, order][None] if squares.ndim == 2 else squares
    rounded = np.empty_like(rows)
    rounded[:, order] = _in_order(rows[:, order], sorted_squares, _steps(rows))
    nearest = round_nearest(rows)
    better = row_errors(rows - rounded, squares) < row_errors(rows - nearest, squares)
    return np.where(better[:, None], rounded, nearest)


def row_errors(differences: Doubles, squares: Doubles) -> Doubles:
    """Return the mean squared error of each row's output, `[o]`."""
    if squares.ndim == 2:
        return np.asarray(np.einsum("on,on->o", differences @ squares, differences))
    return np.asarray(np.einsum("on,onm,om->o", differences, squares, differences))


def _in_order(rows: Doubles, squares: Doubles, steps: Doubles) -> Doubles:
    """Round one weight after the other; those that follow take over its error."""
    factors = _inverse_factors(squares)
    left, rounded = rows.copy(), np.empty_like(rows)
    fixed = np.abs(rows) >= LARGEST * steps * (1 - 1e-6)
    for place in range(rows.shape[1]):
        now = left[:, place]
        whole = np.clip(np.round(now / steps[:, 0]), -LARGEST, LARGEST) * steps[:, 0]
        rounded[:, place] = np.where(fixed[:, place], rows[:, place], whole)
        error = (now - rounded[:, place]) / factors[:, place, place]
        left[:, place + 1 :] -= error[:, None] * factors[:, place, place + 1 :]
    return rounded


def _inverse_factors(squares: Doubles) -> Doubles:
    """Factor the inverse of mean products `[k, n, n]` into its upper triangles."""
    size = squares.shape[-1]
    mean = np.einsum("kii->k", squares) / size
    added = np.where(mean > 0, _DAMPING * mean, 1.0)  # an input that is always 0 matters to none
    damped = squares + added[:, None, None] * np.eye(size)
    return np.asarray(np.linalg.cholesky(np.linalg.inv(damped)).transpose(0, 2, 1))


def _steps(rows: Doubles) -> Doubles:
    """Return the scale of each row, `[o, 1]`; 1 where all its weights are 0."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    return np.where(largest > 0, largest / LARGEST, 1.0)
