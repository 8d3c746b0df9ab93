"""Losses and metrics of portrait segmentation. Pure `keras.ops`: any backend."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def bce_dice(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Binary cross-entropy plus Dice loss (Milletari et al. 2016, V-Net, equation 3).

    Args:
        y_true: Labels `[batch, h, w, 1]` in 0–1; soft labels are allowed.
        y_pred: Probabilities of the same shape.

    Returns:
        One value per image, `[batch]`.
    """
    y_pred = ops.clip(y_pred, 1e-6, 1 - 1e-6)
    entropy = -(y_true * ops.log(y_pred) + (1 - y_true) * ops.log(1 - y_pred))
    axes = (1, 2, 3)
    overlap = ops.sum(y_true * y_pred, axis=axes)
    dice = (2 * overlap + 1) / (ops.sum(y_true**2, axis=axes) + ops.sum(y_pred**2, axis=axes) + 1)
    return ops.mean(entropy, axis=axes) + 1 - dice


def iou(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Foreground IoU of masks ≥ 0.5, one value per image; 1 where both are empty."""
    truth = ops.cast(y_true >= 0.5, "float32")
    guess = ops.cast(y_pred >= 0.5, "float32")
    axes = (1, 2, 3)
    intersection = ops.sum(truth * guess, axis=axes)
    union = ops.sum(ops.maximum(truth, guess), axis=axes)
    return ops.where(union > 0, intersection / ops.maximum(union, 1.0), 1.0)
