"""Which frames, networks and effects the app's core is held against."""

from __future__ import annotations

from dataclasses import dataclass, replace

from frames import Layout

from portrait_tflite.vocabulary import (
    Activation,
    Channels,
    Fit,
    Interpolation,
    ModelSpec,
    OutputSpec,
    TensorInfo,
)

_HALF = Layout(padding=6, interleaved=True)


@dataclass(frozen=True)
class FrameCase:
    """A frame on its way into a network, and a network's output on its way back.

    Attributes:
        size: Height and width of the upright picture.
        layout: How it is stored; None for packed RGB.
        dtype: Of the network's input; scale and zero point fit the spec.
        output: The network's output.
    """

    name: str
    size: tuple[int, int]
    spec: ModelSpec
    dtype: str
    output: TensorInfo
    rotation: int = 0
    mirror: bool = False
    layout: Layout | None = None


@dataclass(frozen=True)
class EffectCase:
    """A picture to apply every effect to.

    Attributes:
        size: Height and width.
        background: Those of the background picture.
        strength: Of the blur.
        mask: Height and width of the network's mask.
    """

    name: str
    size: tuple[int, int]
    background: tuple[int, int]
    strength: float
    mask: tuple[int, int]


def _mask(height: int, width: int, dtype: str = "int8", channels: int = 1) -> TensorInfo:
    """Describe a mask of probabilities, as our files give them."""
    scale, zero_point = {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "float32": (0.0, 0)}[dtype]
    return TensorInfo("mask", (1, height, width, channels), dtype, scale, zero_point)


_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_SOFTMAX = OutputSpec(channel=1, activation=Activation.SOFTMAX)

FRAMES = (
    FrameCase(
        "rgb_stretch_int8_front_camera",
        (96, 64),
        ModelSpec(48, 40, input_range=(-1.0, 1.0)),
        "int8",
        _mask(48, 40),
        rotation=270,
        mirror=True,
        layout=_HALF,
    ),
    FrameCase(
        "gray_letterbox_uint8_back_camera",
        (96, 64),
        ModelSpec(40, 48, Channels.GRAY, fit=Fit.LETTERBOX),
        "uint8",
        _mask(40, 48, "uint8"),
        rotation=90,
        layout=Layout(padding=16),
    ),
    FrameCase(
        "bgr_crop_float_softmax",
        (60, 92),
        ModelSpec(40, 40, Channels.BGR, fit=Fit.CROP, output=_SOFTMAX, **_IMAGENET),
        "float32",
        _mask(40, 40, "float32", 2),
        rotation=180,
    ),
    FrameCase(
        "rgb_letterbox_area_half_mask",
        (70, 90),
        ModelSpec(32, 32, fit=Fit.LETTERBOX, interpolation=Interpolation.AREA),
        "float32",
        _mask(16, 16, "float32"),
        layout=_HALF,
    ),
    FrameCase(
        "rgb_crop_nearest_logits",
        (64, 50),
        ModelSpec(
            36,
            44,
            input_range=(0.0, 255.0),
            fit=Fit.CROP,
            interpolation=Interpolation.NEAREST,
            output=OutputSpec(activation=Activation.SIGMOID),
        ),
        "uint8",
        TensorInfo("mask", (1, 36, 44), "int8", 0.1, 12),
        mirror=True,
        layout=Layout(),
    ),
    FrameCase(
        "gray_stretch_enlarged",
        (24, 20),
        ModelSpec(40, 50, Channels.GRAY, input_range=(-1.0, 1.0)),
        "int8",
        _mask(40, 50),
        rotation=90,
        mirror=True,
    ),
)

_EFFECTS = EffectCase("even", (60, 44), (30, 80), 0.1, (20, 16))
EFFECTS = (
    _EFFECTS,
    replace(_EFFECTS, name="odd", size=(47, 61), background=(90, 33), strength=0.15),
    replace(_EFFECTS, name="fine_blur", size=(80, 96), strength=0.025),
)
