"""Tiny networks as folders of `convert --assets`, for the app's tests on the real interpreter.

Their weights are drawn, not trained, so that every machine makes the same ones.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from portrait_tflite.convert.loading.load import LoadOptions
from portrait_tflite.errors import GateError
from portrait_tflite.images import Floats, prepare
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.pipeline import ConvertRequest, convert_model
from portrait_tflite.quantize.pictures import PictureRequest
from portrait_tflite.vocabulary import (
    Channels,
    Fit,
    IoType,
    ModelSpec,
    Precision,
    StateSpec,
)

_DRAWN = 3  # pictures by which the mask is centred
_SPREAD = 3.0  # standard deviation of the logits: int8 has steps near 0, and few pixels are there
_CALIBRATION = 100
_LAST_MASK = 0.2  # weight of the last mask beside the colours: more, and it fills the picture
_SATURATING = 8.0  # so that most features are 0 or 6, and few pixels turn on a step of int8


@dataclass(frozen=True)
class TinyNet:
    """A network to draw and how it is converted.

    Attributes:
        classes: Channels of its mask; of two the second is the person, by softmax.
        seed: Of its weights; one whose int8 file passes the gate.
        state: Whether it is fed with its last mask.
        beside: Whether that is a fourth channel, instead of an input of its own.
    """

    name: str
    spec: ModelSpec
    io: IoType
    variants: tuple[Precision, ...]
    classes: int = 1
    seed: int = 0
    state: bool = False
    beside: bool = False


_INT8 = (Precision.INT8,)
_BOTH = (Precision.FLOAT16, Precision.INT8)

NETS = (
    TinyNet(
        "rgb_stretch_int8",
        ModelSpec(48, 40, input_range=(-1.0, 1.0)),
        IoType.INT8,
        _BOTH,
        seed=2,
    ),
    TinyNet(
        "gray_letterbox_uint8",
        ModelSpec(40, 48, Channels.GRAY, fit=Fit.LETTERBOX),
        IoType.UINT8,
        _BOTH,
    ),
    TinyNet(
        "bgr_crop_float",
        ModelSpec(
            40, 40, Channels.BGR, mean=(0.4, 0.45, 0.48), std=(0.22, 0.23, 0.24), fit=Fit.CROP
        ),
        IoType.FLOAT32,
        _BOTH,
        classes=2,
        seed=1,
    ),
    TinyNet("previous_mask_int8", ModelSpec(48, 40), IoType.INT8, _BOTH, seed=2, state=True),
    TinyNet(
        "previous_mask_channel_uint8",
        ModelSpec(48, 40, state=StateSpec(0, 3)),
        IoType.UINT8,
        _INT8,
        seed=2,
        state=True,
        beside=True,
    ),
)


def write_nets(folder: Path) -> None:
    """Convert every network into a folder of its name; see `write_net`."""
    for net in NETS:
        write_net(net, folder / net.name)


def write_net(net: TinyNet, folder: Path) -> None:
    """Convert one network into a folder.

    Raises:
        GateError: Its int8 file does not give its masks.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / f"{net.name}.keras"
        _draw(net).save(source)
        request = ConvertRequest(
            str(source),
            out=Path(scratch) / "out",
            load=_options(net),
            variants=net.variants,
            pictures=PictureRequest("synthetic", _CALIBRATION),
            io=net.io,
            delegates=(),
            remedies=(),  # plain int8, for which every runtime has kernels
            assets=folder,
        )
        converted = convert_model(request, _unseen)
    if converted.failures:
        raise GateError(f"a net that passes is required. Received: {'; '.join(converted.failures)}")


def _options(net: TinyNet) -> LoadOptions:
    spec = net.spec
    return LoadOptions(
        input_range=spec.input_range,
        mean=spec.mean,
        std=spec.std,
        channels=spec.channels,
        fit=spec.fit,
        output_channel=net.classes - 1,
    )


@contextmanager
def _unseen(*_: object) -> Iterator[Callable[..., None]]:
    """Show no progress."""
    yield lambda *_: None


def _draw(net: TinyNet) -> keras.Model:
    """Draw the weights, then centre and spread the logits on drawn portraits."""
    model = _network(net)
    rng = np.random.default_rng(net.seed)
    for layer in model.layers:
        layer.set_weights([_weights(rng, weight.shape) for weight in layer.weights])
    _scale(model.get_layer("stem"), slice(3, None), _LAST_MASK)
    _scale(model.get_layer("middle"), slice(None), _SATURATING)
    head = model.get_layer("head")
    logits = np.asarray(keras.Model(model.inputs, head.output)(_pictures(net)))
    contrast = logits[..., -1] - (logits[..., 0] if net.classes > 1 else 0)
    # Rounded, so that machines whose sums end in other digits draw the same network.
    gain = np.round(_SPREAD / contrast.std(), 1)
    bias = np.zeros(net.classes)
    bias[-1] = np.round(-gain * np.median(contrast), 1)
    head.set_weights([head.get_weights()[0] * gain, bias])
    return model


def _scale(layer: keras.Layer, channels: slice, factor: float) -> None:
    """Scale what a convolution makes of some input channels."""
    kernel, bias = layer.get_weights()
    kernel[:, :, channels] *= factor
    layer.set_weights([kernel, bias])


def _network(net: TinyNet) -> keras.Model:
    """Build two convolutions at half the size, a bilinear resize and a convolution."""
    layers, spec = keras.layers, net.spec
    inputs = [keras.Input((spec.height, spec.width, spec.depth), name="picture")]
    if net.state and not net.beside:
        inputs.append(keras.Input((spec.height, spec.width, 1), name="last_mask"))
    x = layers.Concatenate(name="both")(inputs) if len(inputs) > 1 else inputs[0]
    x = layers.Conv2D(8, 3, 2, padding="same", activation="relu", name="stem")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu6", name="middle")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="up")(x)
    x = layers.Conv2D(net.classes, 3, padding="same", name="head")(x)
    mask = layers.Activation("softmax" if net.classes > 1 else "sigmoid", name="mask")(x)
    return keras.Model(inputs, mask, name=net.name)


def _weights(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw a kernel that mostly blurs and mixes channels, or the zeros of a bias.

    Masks of such a network are smooth, and few of their pixels turn on a step of int8.
    """
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    mixed = rng.normal(0, 1, (1, 1, *shape[2:])) + rng.normal(0, 0.2, shape)
    return (mixed / np.sqrt(shape[0] * shape[1] * shape[2])).astype(np.float32)


def _pictures(net: TinyNet) -> list[Floats]:
    """Draw the network's inputs `[n, h, w, c]`; a state is 0, as in the first picture."""
    drawn = (draw_portrait(seed, 320, 240)[0] for seed in range(_DRAWN))
    pictures = np.concatenate([prepare(picture, net.spec) for picture in drawn])
    states = np.zeros((*pictures.shape[:3], 1), np.float32)
    return [pictures, states][: 1 + (net.state and not net.beside)]
