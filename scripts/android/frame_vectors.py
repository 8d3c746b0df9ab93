"""A frame to a network's input, and a network's output to the frame's mask."""

from __future__ import annotations

from dataclasses import asdict

import cv2
import numpy as np
from frames import join_planes, lay_down, set_upright, split_planes
from vector_cases import FrameCase
from vector_files import VectorFiles

from portrait_tflite.images import (
    Bytes,
    Floats,
    affine_of_bytes,
    fit_image,
    prepare,
    restore_mask,
)
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.quantize.accuracy.predictors import select_mask
from portrait_tflite.report.spec import spec_json
from portrait_tflite.tensor_values import Array, to_real, to_stored
from portrait_tflite.vocabulary import Activation, Json, OutputSpec, TensorInfo

_NOISE = 0.3  # of the outputs, so that no two pixels are alike


def frame_vector(case: FrameCase, files: VectorFiles) -> Json:
    """Write a case's files and describe it."""
    drawn, person = draw_portrait(len(case.name), *case.size)
    stored = lay_down(drawn, case.rotation, mirror=case.mirror)
    frame, seen = _frame(stored, case, files)
    upright = set_upright(seen, case.rotation, mirror=case.mirror)
    taken = _input(case)
    given = _output(person, case)
    mask = restore_mask(
        select_mask([to_real(given, case.output)], case.spec.output), *case.size, case.spec
    )
    return {
        "name": case.name,
        "frame": frame,
        "spec": spec_json(case.spec),
        "input": asdict(taken),
        "expected_input": files.keep(
            f"{case.name}-input", to_stored(prepare(upright, case.spec), taken)
        ),
        "output": asdict(case.output),
        "net_output": files.keep(f"{case.name}-output", given),
        "mask": {"height": case.size[0], "width": case.size[1]},
        "expected_mask": files.keep(f"{case.name}-mask", mask),
    }


def _frame(stored: Bytes, case: FrameCase, files: VectorFiles) -> tuple[Json, Bytes]:
    """Write a frame as the camera stores it; also what an app sees of it, in RGB."""
    height, width = stored.shape[:2]
    known = {
        "width": width,
        "height": height,
        "rotation": case.rotation,
        "mirror": case.mirror,
    }
    if case.layout is None:
        return known | {"rgb": files.keep(f"{case.name}-rgb", stored)}, stored
    planes = split_planes(stored, case.layout)
    described = {
        name: {
            "file": files.keep(f"{case.name}-{name}", plane.data),
            "row_stride": plane.row_stride,
            "pixel_stride": plane.pixel_stride,
        }
        for name, plane in zip("yuv", planes, strict=True)
    }
    return known | {"planes": described}, join_planes(planes, height, width)


def _input(case: FrameCase) -> TensorInfo:
    """Describe the network's input; an integer one has a step for every byte, as ours have."""
    spec = case.spec
    shape = (1, spec.height, spec.width, spec.depth)
    if case.dtype == "float32":
        return TensorInfo("image", shape, "float32", 0.0, 0)
    scale, shift = (float(numbers[0]) for numbers in affine_of_bytes(spec))
    zero_point = round(-shift / scale) + np.iinfo(case.dtype).min
    return TensorInfo("image", shape, case.dtype, float(np.float32(scale)), zero_point)


def _output(person: Bytes, case: FrameCase) -> Array:
    """Make an output of a drawn mask: as far as the network's activation, with noise."""
    info, rng = case.output, np.random.default_rng(0)
    size = info.shape[2], info.shape[1]
    drawn = fit_image(np.repeat(person[..., None], 3, axis=2), case.spec)[..., 0]
    soft = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA) / np.float32(255)
    logits = (4 * soft - 2 + rng.normal(0, _NOISE, soft.shape)).astype(np.float32)
    values = _before_activation(logits, case.spec.output, info.shape)
    return to_stored(values, info)


def _before_activation(logits: Floats, output: OutputSpec, shape: tuple[int, ...]) -> Floats:
    if output.activation is Activation.NONE:
        return np.asarray((np.tanh(logits / 2) + 1) / 2, np.float32).reshape(shape)
    if output.activation is Activation.SIGMOID:
        return logits.reshape(shape)
    other = np.random.default_rng(1).normal(0, _NOISE, logits.shape)
    channels = [other] * shape[-1]
    channels[output.channel] = logits + other
    return np.stack(channels, axis=-1)[None].astype(np.float32)
