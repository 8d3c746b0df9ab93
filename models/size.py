"""How large a net is: parameters and multiply-accumulates, read off its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from portrait_tflite.models.registry import Net


@dataclass(frozen=True)
class NetSize:
    """Parameters, and multiply-accumulates of its convolutions for one picture."""

    parameters: int
    macs: int


def measure_size(net: Net) -> NetSize:
    """Build a net at its native size and count."""
    model = net.build(net.spec.height, net.spec.width)
    return NetSize(model.count_params(), sum(_macs(layer) for layer in model.layers))


def _macs(layer: Any) -> int:
    """Count a convolution: kernel elements, once per position that each of them is applied at."""
    if isinstance(layer, keras.layers.SeparableConv2D):
        positions = _positions(layer.output)
        return positions * int(np.prod(layer.depthwise_kernel.shape)) + positions * int(
            np.prod(layer.pointwise_kernel.shape)
        )
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return _positions(layer.input) * int(np.prod(layer.kernel.shape))
    if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
        return _positions(layer.output) * int(np.prod(layer.kernel.shape))
    return 0


def _positions(tensor: Any) -> int:
    return int(tensor.shape[1] * tensor.shape[2])
