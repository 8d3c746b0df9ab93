"""The channel order, asked of a small net that was trained to find reddish people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from portrait_tflite.convert.network_inputs import End
from portrait_tflite.images import Floats, normalize
from portrait_tflite.quantize.calibration import CalibrationSet, load_calibration
from portrait_tflite.quantize.checks import network_checks
from portrait_tflite.quantize.checks.network_checks import check_channel_order, measure_order
from portrait_tflite.quantize.previous_masks import Feeder
from portrait_tflite.vocabulary import Channels, Check, ModelSpec, StateSpec

_SIZE = 16
_SPEC = ModelSpec(_SIZE, _SIZE, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


def _photos(count: int, seed: int, contrast: float = 0.3) -> tuple[Floats, Floats]:
    """Draw prepared pictures of a reddish square on bluish ground, and where it is."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, _SIZE, _SIZE), np.float32)
    for mask in masks:
        top, left = rng.integers(0, _SIZE // 2, 2)
        mask[top : top + 8, left : left + 8] = 1
    noise = rng.normal(0, 0.15, (count, _SIZE, _SIZE, 3))
    tint = contrast * np.stack([masks - 0.5, 0 * masks, 0.5 - masks], -1)
    return normalize(255 * np.clip(0.5 + tint + noise, 0, 1).astype(np.float32), _SPEC), masks


class _Net:
    """A sigmoid of the colours, trained by gradient descent."""

    def __init__(self, contrast: float = 0.3) -> None:
        pictures, masks = _photos(60, 0, contrast)
        self.weights, self.bias = np.zeros(3, np.float32), np.float32(0)
        for _ in range(300):
            error = self(pictures)[0][..., 0] - masks
            self.weights -= (error[..., None] * pictures).mean(axis=(0, 1, 2))
            self.bias -= error.mean()

    def __call__(self, inputs: Floats) -> Sequence[Floats]:
        logits = inputs[..., :3] @ self.weights + self.bias
        return [np.asarray(1 / (1 + np.exp(-logits)), np.float32)[..., None]]


@pytest.fixture(scope="module")
def net() -> _Net:
    return _Net()


def _feeder(net: _Net, spec: ModelSpec = _SPEC) -> Feeder:
    return Feeder(spec, net, [End("image", (_SIZE, _SIZE, 3))])


def _swapped(inputs: Floats) -> Floats:
    """Prepare the pictures with red and blue swapped, as a reader that forgot to would."""
    mean, std = (np.array(v, np.float32) for v in (_SPEC.mean, _SPEC.std))
    return np.asarray(((inputs * std + mean)[..., ::-1] - mean) / std, np.float32)


def _check(net: _Net, inputs: Floats, spec: ModelSpec = _SPEC) -> Check:
    calibration = load_calibration("synthetic", ModelSpec(_SIZE, _SIZE), 8)
    with_photos: CalibrationSet = replace(calibration, inputs=inputs)
    return check_channel_order(with_photos, _feeder(net, spec))


@pytest.mark.parametrize("seed", range(1, 6))
def test_right_pictures_raise_no_alarm(net: _Net, seed: int) -> None:
    check = _check(net, _photos(40, seed)[0])
    assert check.passed
    assert "surer of rgb than of swapped channels" in check.detail


@pytest.mark.parametrize("seed", range(1, 6))
def test_swapped_pictures_do(net: _Net, seed: int) -> None:
    check = _check(net, _swapped(_photos(40, seed)[0]))
    assert (check.passed, check.level) == (False, "warn")
    assert "are they, or is the network, bgr? See --channels" in check.detail


def test_a_net_that_sees_no_colours_does_not_mind() -> None:
    net = _Net()
    net.weights = np.array(_SPEC.std, np.float32)  # each byte of a pixel weighs as much
    inputs = _photos(40, 1)[0]
    for given in (inputs, _swapped(inputs)):
        check = _check(net, given)
        assert check.passed
        assert check.detail.startswith("no matter")


def test_a_few_pictures_decide_nothing(net: _Net) -> None:
    gap = measure_order(_swapped(_photos(8, 1)[0]), _feeder(net))
    assert gap.t < -2.5
    assert not gap.swapped_is_better


@pytest.mark.parametrize(
    ("images", "t", "agreement", "passed", "said"),
    [
        (16, -2.51, 0.98, False, "are they, or is the network, bgr"),
        (16, -2.49, 0.98, True, "not decided"),
        (15, -2.51, 0.98, True, "not decided"),
        (16, -2.51, 0.99, True, "no matter"),
        (16, 2.49, 0.98, True, "not decided"),
        (16, 2.51, 0.98, True, "surer of rgb"),
    ],
)
def test_the_gap_at_the_edges_of_what_decides(
    net: _Net,
    monkeypatch: pytest.MonkeyPatch,
    images: int,
    t: float,
    agreement: float,
    *,
    passed: bool,
    said: str,
) -> None:
    gap = network_checks.OrderGap(images, t, agreement)
    monkeypatch.setattr(network_checks, "measure_order", lambda *_: gap)
    check = _check(net, _photos(8, 1)[0])
    assert check.passed is passed
    assert said in check.detail


@pytest.mark.parametrize(("share", "warned"), [(0.8, True), (0.2, False)])
def test_pictures_of_which_some_are_swapped(net: _Net, share: float, *, warned: bool) -> None:
    inputs = _photos(100, 1)[0]
    wrong = np.random.default_rng(0).permutation(100) < 100 * share
    inputs[wrong] = _swapped(inputs[wrong])
    assert _check(net, inputs).passed is not warned


def test_no_more_pictures_are_asked_than_it_takes(net: _Net) -> None:
    asked: list[int] = []
    gap = measure_order(_photos(80, 1)[0], _feeder(net), asked.append)
    assert gap.images == len(asked) == 16
    assert gap.t > 4


def test_gray_networks_have_no_order(net: _Net) -> None:
    check = _check(net, _photos(8, 1)[0][..., :1], ModelSpec(_SIZE, _SIZE, Channels.GRAY))
    assert (check.passed, check.detail) == (True, "the network takes gray pictures")


def test_a_previous_mask_beside_the_colours_is_left_alone(net: _Net) -> None:
    seen: list[Floats] = []

    def recording(inputs: Floats) -> Sequence[Floats]:
        seen.append(inputs)
        return net(inputs)

    spec = replace(_SPEC, state=StateSpec(0, channel=3))
    inputs = np.insert(_photos(3, 1)[0], 3, np.float32(0.7), axis=-1)
    measure_order(inputs, Feeder(spec, recording, [End("image", (_SIZE, _SIZE, 4))]))
    assert all((each[..., 3] == np.float32(0.7)).all() for each in seen)
    assert not np.array_equal(seen[0][..., 0], seen[1][..., 0])
