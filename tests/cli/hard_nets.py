"""Four networks that plain int8 ruins, made of the packaged `portrait` and its weights.

Each is the same function as `portrait`, or nearly, with what makes real networks hard: channels of
one tensor that differ a thousandfold, gates that nearly close, rare huge values, sums whose parts
are normalized only behind them. Another seed makes another one of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from portrait_tflite.models.registry import find_net
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.quantize.int8.tensor_ranges import Frames

SIZE = 128
CALIBRATED_ON = 12
SCORED_ON = 24
_STAGES = (128, 64, 32, 16)  # channels of the decoder's stages
_EPSILON = 1e-3  # of Keras's batch normalization

Tensor = Any
Array = Any


@dataclass(frozen=True)
class Drawn:
    """Drawn portraits, to calibrate on and, with exact masks, to score on."""

    frames: list[Frames]
    scored: list[Frames]
    masks: list[Array]


def draw(calibrated_on: int = CALIBRATED_ON, size: int = SIZE, seed: int = 0) -> Drawn:
    """Draw portraits `[size, size]`; the same each time."""
    first = 1000 * seed
    seeds = range(first, first + calibrated_on + SCORED_ON)
    drawn = [draw_portrait(seed, size, size) for seed in seeds]
    frames: list[Frames] = [((image.astype(np.float32) / 127.5 - 1)[None],) for image, _ in drawn]
    masks = [mask > 0 for _, mask in drawn]
    return Drawn(frames[:calibrated_on], frames[calibrated_on:], masks[calibrated_on:])


def uneven_depthwise(frames: list[Frames], seed: int = 0) -> keras.Model:
    """Let the channels of each depthwise convolution of the decoder differ by 1:1000."""
    model = _portrait(frames)
    for stage in _STAGES:
        for number in (1, 2):
            factors = _spread(stage, 1000, seed=10_000 * seed + 10 * stage + number)
            norm = model.get_layer(f"up{stage}_dw{number}_bn")
            gamma, beta, mean, variance = norm.get_weights()
            norm.set_weights([gamma * factors, beta * factors, mean, variance])
            behind = model.get_layer(f"up{stage}_pw{number}")
            behind.set_weights([behind.get_weights()[0] / factors[:, None]])
    return model


def gated(frames: list[Frames], seed: int = 0) -> keras.Model:
    """Hard-swish throughout the decoder; squeeze-and-excite with gates from 0.001 to 0.9.

    Three times as large, hard-swish is nearly the ReLU that it stands for.
    """
    decoder = _Decoder(_portrait(frames))
    x, large = decoder.start, 1.0
    for stage in _STAGES:
        x, large = decoder.doubled(x, stage, divided=large), 1.0
        for number in (1, 2):
            x = decoder.conv_bn(x, f"up{stage}_dw{number}", lambda w, by=large: w / by)
            gates = np.ones(stage, np.float32)
            if number == 2 and stage >= 64:
                rng = np.random.default_rng(10_000 * seed + stage)
                gates = rng.permutation(np.geomspace(1e-3, 0.9, stage))
                x = _excited(x, gates, 10_000 * seed + stage)
            large = 3.0
            x = decoder.conv_bn(
                x, f"up{stage}_pw{number}", lambda w, g=gates: w / g[:, None], scale=large
            )
            x = layers.Activation("hard_swish")(x)
    return decoder.finished(x, large)


def unbounded(frames: list[Frames], seed: int = 0) -> keras.Model:
    """Give the surest 0.3 % of the background logits down to -1000, by other seeds more."""
    decoder = _Decoder(_portrait(frames))
    last = decoder.model.get_layer("phases")
    kernel, bias = last.get_weights()
    logits = keras.Model(decoder.model.input, last.output)
    found = np.concatenate([np.asarray(logits(frame[0])) for frame in frames]).mean(-1)
    edge = np.quantile(found, 0.003)
    gain = 1000 * (1 + seed) / (edge - found.min())
    sure = layers.Conv2D(1, 1, activation="relu", name="sure")
    both = layers.Concatenate()([last.input, sure(last.input)])
    sure.set_weights(
        [-gain * kernel.mean(-1, keepdims=True), -gain * (bias.mean(keepdims=True) - edge)]
    )
    kernel = np.concatenate([kernel, np.full((1, 1, 1, 4), -1.0)], axis=2)
    return decoder.finished(both, head=(kernel, bias))


def normalized_behind(frames: list[Frames], seed: int = 0) -> keras.Model:
    """Sum skips of channels 1:1000, then normalize, then activate, as pre-activation nets do.

    ReLU(x) and ReLU(-x) side by side keep what a linear convolution read.
    """
    decoder = _Decoder(_portrait(frames))
    x = decoder.start
    for stage in _STAGES:
        uneven = _spread(stage, 1000 if stage == 32 else 1, seed=10_000 * seed + stage)
        x = decoder.doubled(x, stage, scale=uneven, skip_scale=uneven)
        ones, zeros = np.ones(stage), np.zeros(stage)
        sides = [
            _normalized(x, [sign * ones, zeros, zeros, uneven**2 - _EPSILON]) for sign in (1, -1)
        ]
        x = layers.ReLU()(layers.Concatenate()(sides))
        x = decoder.conv_bn(x, f"up{stage}_dw1", lambda w: np.concatenate([w, w], 2), twice=True)
        x = layers.ReLU()(
            decoder.conv_bn(x, f"up{stage}_pw1", lambda w: np.concatenate([w, -w], 2))
        )
        x = decoder.conv_bn(x, f"up{stage}_dw2")
        x = layers.ReLU()(decoder.conv_bn(x, f"up{stage}_pw2"))
    return decoder.finished(x)


HARD: dict[str, Callable[[list[Frames], int], keras.Model]] = {
    "uneven_depthwise": uneven_depthwise,
    "gated": gated,
    "unbounded": unbounded,
    "normalized_behind": normalized_behind,
}


@dataclass
class _Decoder:
    """Builds another decoder behind `portrait`'s encoder, of `portrait`'s weights."""

    model: keras.Model
    skips: dict[int, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start = self.model.get_layer("conv_pw_13_relu").output
        self.skips = {s: self.model.get_layer(f"up{s}_add").input[1] for s in _STAGES}

    def conv_bn(
        self,
        x: Tensor,
        name: str,
        change: Callable[[Array], Array] = lambda kernel: kernel,
        scale: Array = 1.0,
        *,
        twice: bool = False,
    ) -> Tensor:
        """Convolve and normalize; `twice` over, where the second half has no offset."""
        (kernel,) = self.model.get_layer(name).get_weights()
        kernel = change(kernel)
        kind = layers.DepthwiseConv2D if "_dw" in name else layers.Conv2D
        given = (kernel.shape[:2],) if "_dw" in name else (kernel.shape[3], kernel.shape[:2])
        layer = kind(*given, padding="same", use_bias=False, name=name)
        x = layer(x)
        layer.set_weights([kernel])
        gamma, beta, mean, variance = self.model.get_layer(f"{name}_bn").get_weights()
        weights = [gamma * scale, beta * scale, mean, variance]
        if twice:
            offsets = [np.concatenate([w, 0 * w]) for w in weights]
            weights = [np.tile(weights[0], 2), offsets[1], offsets[2], np.tile(variance, 2)]
        return _normalized(x, weights)

    def doubled(
        self,
        x: Tensor,
        stage: int,
        divided: float = 1.0,
        scale: Array = 1.0,
        skip_scale: Array = None,
    ) -> Tensor:
        """Reduce, double the resolution and add the encoder's features."""
        x = self.conv_bn(x, f"up{stage}_reduce", lambda w: w / divided, scale)
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        skip = self.skips[stage]
        if skip_scale is not None:
            zeros = np.zeros(stage)
            skip = _normalized(skip, [skip_scale, zeros, zeros, zeros + 1 - _EPSILON])
        return layers.Add()([x, skip])

    def finished(self, x: Tensor, divided: float = 1.0, head: Any = None) -> keras.Model:
        """Compute the mask."""
        kernel, bias = head or self.model.get_layer("phases").get_weights()
        last = layers.Conv2D(4, 1, name="logits")
        logits = ops.depth_to_space(last(x), 2)
        last.set_weights([kernel / divided, bias])
        return keras.Model(self.model.input, layers.Activation("sigmoid", name="mask")(logits))


def _portrait(frames: list[Frames]) -> keras.Model:
    net = find_net("portrait")
    model = net.build_at(*frames[0][0].shape[1:3])
    model.load_weights(net.weights_path)
    return model


def _spread(count: int, ratio: float, seed: int) -> Array:
    """Return factors from 1/√ratio to √ratio in random order."""
    factors = np.geomspace(ratio**-0.5, ratio**0.5, count)
    return np.random.default_rng(seed).permutation(factors).astype(np.float32)


def _normalized(x: Tensor, weights: Any) -> Tensor:
    norm = layers.BatchNormalization()
    x = norm(x)
    norm.set_weights(weights)
    return x


def _excited(x: Tensor, gates: Array, seed: int) -> Tensor:
    """Squeeze and excite: gates near the given ones, which move by some percent."""
    channels = gates.size
    rng = np.random.default_rng(seed)
    squeeze = layers.Conv2D(channels // 4, 1, activation="relu")
    excite = layers.Conv2D(channels, 1)
    moved = excite(squeeze(layers.GlobalAveragePooling2D(keepdims=True)(x)))
    few = channels // 4
    kernel = rng.normal(0, 0.3 / channels**0.5, (1, 1, channels, few))
    squeeze.set_weights([kernel, np.ones(few)])
    kernel = rng.normal(0, 0.6 / few**0.5, (1, 1, few, channels)) * gates
    excite.set_weights([kernel, 6 * gates - 3])
    return layers.Multiply()([x, layers.Activation("hard_sigmoid")(moved)])
