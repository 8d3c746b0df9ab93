"""Golden inputs and masks: drawn portraits, and what every file of ours makes of them here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.network_inputs import file_ends, fill_inputs
from portrait_tflite.images import Bytes, Floats, prepare
from portrait_tflite.metrics import THRESHOLD, iou
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.quantize.accuracy.predictors import select_mask
from portrait_tflite.quantize.accuracy.remembering import next_state
from portrait_tflite.report.model_json import Golden
from portrait_tflite.runtime import Runner, open_model
from portrait_tflite.tensor_values import Array, to_real, to_stored
from portrait_tflite.vocabulary import (
    GPU_LEAST_IOU,
    Delegate,
    Json,
    ModelSpec,
    Precision,
    Variant,
)

CASES = 3
_HEIGHT, _WIDTH = 320, 240  # a camera's shape, none of a network's: fitting is tested, too
_DRAWN = 12  # pictures to choose from
_SHARES = (0.05, 0.95)  # of the mask: an empty one proves little, a tiny one turns on a pixel
_BUILT_IN_LEAST_IOU = 0.99
_FLOATS = (Precision.FLOAT32, Precision.FLOAT16)


@dataclass(frozen=True)
class _Step:
    """One run of a file: its stored inputs and mask by tensor, and the mask in real values."""

    inputs: Mapping[str, Array]
    stored: Array
    mask: Floats
    built_in: Floats


def make_golden(
    variants: Mapping[str, Variant], files: Mapping[str, bytes], network: ModelSpec
) -> Golden:
    """Run every file on a few pictures.

    Args:
        variants: Those for an app.
        files: Their contents.
        network: What the network takes; a variant's own spec goes before it.
    """
    specs = {name: variant.spec or network for name, variant in variants.items()}
    first = next(iter(variants))
    pictures = _choose(files[first], specs[first])
    steps = {
        name: list(_play(files[name], specs[name], list(pictures.values()))) for name in variants
    }
    found: dict[str, bytes] = {}
    cases = []
    for number, (seed, picture) in enumerate(pictures.items()):
        case: Json = {"seed": seed, "picture": _keep(found, f"golden-{number}.png", _png(picture))}
        case["variants"] = {
            name: _case(found, number, name, variants[name], steps[name][number])
            for name in variants
        }
        cases.append(case)
    tolerances = {
        name: _tolerances(name, variants[name], files[name], steps[name]) for name in variants
    }
    return Golden(cases, tolerances, found)


def _choose(data: bytes, spec: ModelSpec) -> dict[int, Bytes]:
    """Draw pictures by seed; first those in which a file finds a person and a background."""
    runner = open_model(data)
    drawn: dict[int, Bytes] = {}
    clear: list[int] = []
    for seed in range(_DRAWN):
        drawn[seed] = draw_portrait(seed, _HEIGHT, _WIDTH)[0]
        share = np.mean(next(_run(runner, spec, [drawn[seed]])).mask >= THRESHOLD)
        clear += [seed] if _SHARES[0] <= share <= _SHARES[1] else []
        if len(clear) == CASES:
            break
    others = [seed for seed in drawn if seed not in clear]
    return {seed: drawn[seed] for seed in sorted([*clear, *others][:CASES])}


def _play(data: bytes, spec: ModelSpec, pictures: Sequence[Bytes]) -> Iterator[_Step]:
    return _run(open_model(data), spec, pictures, open_model(data, Delegate.CPU))


def _run(
    runner: Runner, spec: ModelSpec, pictures: Sequence[Bytes], built_in: Runner | None = None
) -> Iterator[_Step]:
    """Run pictures one after the other; both runners get what XNNPACK gave before."""
    state: Floats | None = None
    for picture in pictures:
        arrays = _inputs(runner, spec, prepare(picture, spec), state)
        outputs = runner.run(*arrays)
        real = _real(runner, outputs)
        mask = select_mask(real, spec.output)
        state = next_state(real, spec) if spec.state else None
        other = _real(built_in, built_in.run(*arrays)) if built_in else real
        yield _Step(
            dict(zip((info.name for info in runner.inputs), arrays, strict=True)),
            outputs[spec.output.index],
            mask,
            select_mask(other, spec.output),
        )


def _inputs(runner: Runner, spec: ModelSpec, picture: Floats, state: Floats | None) -> list[Array]:
    fed = fill_inputs(picture, file_ends(runner.inputs), spec, state)
    return [to_stored(values, info) for values, info in zip(fed, runner.inputs, strict=True)]


def _real(runner: Runner, outputs: Sequence[Array]) -> list[Floats]:
    return [to_real(array, info) for array, info in zip(outputs, runner.outputs, strict=True)]


def _case(found: dict[str, bytes], number: int, name: str, variant: Variant, step: _Step) -> Json:
    inputs = {
        tensor: _keep(found, f"golden-{number}-{name}-{tensor}.bin", array.tobytes())
        for tensor, array in step.inputs.items()
    }
    mask = _keep(found, f"golden-{number}-{name}-{variant.output.name}.bin", step.stored.tobytes())
    return {"inputs": inputs, "mask": mask}


def _keep(found: dict[str, bytes], name: str, data: bytes) -> Json:
    """Add a file, or find the same one under another name: float variants are fed alike."""
    same = next((known for known, held in found.items() if held == data), name)
    found[same] = data
    return {"file": same, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _png(picture: Bytes) -> bytes:
    smallest = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), smallest)[1]
    return np.asarray(encoded, np.uint8).tobytes()


def _tolerances(
    name: str, variant: Variant, data: bytes, steps: Sequence[_Step]
) -> dict[str, Json]:
    promised: dict[str, Json] = {str(Delegate.XNNPACK): _on_xnnpack(name, variant, data)}
    held = min(iou(step.mask, step.built_in) for step in steps)
    # What this machine's own kernels do not keep, a phone's need not.
    if held >= _BUILT_IN_LEAST_IOU:
        promised[str(Delegate.CPU)] = {"least_iou": _BUILT_IN_LEAST_IOU}
    if name in _FLOATS and variant.audit.gpu.complete:
        promised[str(Delegate.GPU)] = {"least_iou": GPU_LEAST_IOU}
    return promised


def _on_xnnpack(name: str, variant: Variant, data: bytes) -> Json:
    # Integer kernels of XNNPACK give the same bytes on x86 and ARM; what it leaves outside does
    # not, and float kernels sum up in another order.
    if name == Precision.INT8 and variant.audit.xnnpack.complete and not computes_in_float(data):
        return {"max_step": 0}
    return {"least_iou": GPU_LEAST_IOU if name in _FLOATS else _BUILT_IN_LEAST_IOU}


def computes_in_float(data: bytes) -> bool:
    """Whether an op of a file works on floats; those that only change the type do not."""
    return any(
        operand.dtype == "float32"
        for node in list_nodes(read_model(data))
        if node.op not in ("QUANTIZE", "DEQUANTIZE")
        for operand in (*node.given(), *node.outputs)
    )
