"""Effects, edge refinement and smoothing on a drawn portrait."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from vector_cases import EffectCase
from vector_files import VectorFiles

from portrait_tflite.effects import GREEN, apply_effect, edge_step, refine_edges, smooth
from portrait_tflite.images import Bytes, Floats
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.vocabulary import Effect, Json

_SEED = 5
_FRAMES = 3  # of the video that is smoothed


def effect_vectors(case: EffectCase, files: VectorFiles) -> Iterator[Json]:
    """Write what every effect shows of a case; `expected` has 3 channels, 4 for `cutout`."""
    frame, matte, _ = _pair(case)
    background = draw_portrait(_SEED + 1, *case.background)[0]
    for effect in Effect:
        shown = apply_effect(effect, frame, matte, background=background, strength=case.strength)
        name = f"{case.name}-{effect}"
        yield (
            _described(case, files)
            | {"effect": str(effect)}
            | _options(effect, case, files.keep(f"{case.name}-background-picture", background))
            | {"expected": files.keep(name, shown)}
        )


def edge_vector(case: EffectCase, files: VectorFiles) -> Json:
    """Write a case's refined matte."""
    frame, matte, _ = _pair(case)
    step = edge_step(*case.size, *case.mask)
    refined = files.keep(f"{case.name}-edges", refine_edges(frame, matte, step))
    return _described(case, files) | {"step_px": step, "expected": refined}


def smoothing_vector(case: EffectCase, files: VectorFiles) -> Json:
    """Write the masks of a short video and what smoothing makes of them, frame by frame."""
    _, _, mask = _pair(case)
    rng = np.random.default_rng(_SEED)
    frames, last = [], None
    for number in range(_FRAMES):
        moved = np.roll(mask, number, axis=1) + rng.normal(0, 0.05, mask.shape)
        given = np.clip(moved, 0, 1).astype(np.float32)
        last = smooth(given, last)
        name = f"{case.name}-video-{number}"
        frames.append({"mask": files.keep(name, given), "expected": files.keep(f"{name}-s", last)})
    height, width = case.mask
    return {"name": case.name, "height": height, "width": width, "frames": frames}


def _described(case: EffectCase, files: VectorFiles) -> Json:
    frame, matte, _ = _pair(case)
    return {
        "name": case.name,
        "height": case.size[0],
        "width": case.size[1],
        "frame": files.keep(f"{case.name}-frame", frame),
        "matte": files.keep(f"{case.name}-matte", matte),
    }


def _options(effect: Effect, case: EffectCase, background: str) -> Json:
    """Name what an effect was asked for."""
    if effect is Effect.BLUR:
        return {"strength": case.strength}
    if effect is Effect.COLOR:
        return {"color": list(GREEN)}
    if effect is Effect.BACKGROUND:
        height, width = case.background
        return {"background": {"file": background, "height": height, "width": width}}
    return {}


def _pair(case: EffectCase) -> tuple[Bytes, Floats, Floats]:
    """Draw a frame; its matte as a network's mask of `case.mask` gives it; and that mask."""
    frame, person = draw_portrait(_SEED, *case.size)
    height, width = case.size
    size = case.mask[1], case.mask[0]
    soft = cv2.resize(person, size, interpolation=cv2.INTER_AREA) / np.float32(255)
    mask = np.asarray(cv2.GaussianBlur(soft, (0, 0), 0.7), np.float32)
    matte = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    return frame, np.asarray(matte, np.float32), mask
