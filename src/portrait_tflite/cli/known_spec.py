"""The spec of a `.tflite`: from the `model.json` beside it, or from options and its input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from portrait_tflite.cli.spec_options import SpecArguments
from portrait_tflite.convert.network_inputs import (
    STATE_CHANNEL,
    End,
    file_ends,
    find_picture,
    other_inputs,
)
from portrait_tflite.convert.previous_mask import find_state
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import (
    Activation,
    Channels,
    Fit,
    Interpolation,
    ModelSpec,
    OtherInput,
    OutputSpec,
    StateSpec,
    TensorInfo,
)

MODEL_JSON = "model.json"


def spec_beside(file: Path) -> ModelSpec | None:
    """Read what `file` takes from the `model.json` beside it; None where it lists no such file.

    Raises:
        UsageError: There is a `model.json` that cannot be read.
    """
    return specs_beside(file)[1]


def specs_beside(file: Path) -> tuple[ModelSpec | None, ModelSpec | None]:
    """Read what the network of `file` takes, and what the file itself does: bytes, it may be.

    Both are None where no `model.json` lists the file.

    Raises:
        UsageError: There is a `model.json` that cannot be read.
    """
    path = file.parent / MODEL_JSON
    if not path.is_file():
        return None, None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        listed = [each for each in data["variants"].values() if each["file"] == file.name]
        if not listed:
            return None, None
        return spec_from_json(data["spec"]), spec_from_json(listed[0].get("spec", data["spec"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"the model.json that `convert` writes is required beside {file.name}, or none. "
            f"Received: {path}, which cannot be read ({type(error).__name__}: {error})."
        ) from error


def spec_from_json(data: dict[str, Any]) -> ModelSpec:
    """Read a spec as `report.json` and `model.json` hold it.

    Raises:
        ValueError: A key is unknown, or a value is none of its kind.
        KeyError: A key is missing.
    """
    known = {each.name for each in fields(ModelSpec)}
    unknown = sorted(set(data) - known)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in spec")
    low, high = map(float, data["input_range"])
    output, state = data["output"], data.get("state")
    others = data.get("others", ())
    return ModelSpec(
        height=int(data["height"]),
        width=int(data["width"]),
        channels=Channels(data["channels"]),
        input_range=(low, high),
        mean=tuple(map(float, data["mean"])),
        std=tuple(map(float, data["std"])),
        fit=Fit(data["fit"]),
        interpolation=Interpolation(data["interpolation"]),
        output=OutputSpec(
            int(output["index"]), int(output["channel"]), Activation(output["activation"])
        ),
        state=None if state is None else StateSpec(**state),
        others=tuple(
            OtherInput(int(each["input"]), str(each["name"]), tuple(map(int, each["shape"])))
            for each in others
        ),
    )


def spec_of_tflite(
    file: Path, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], given: SpecArguments
) -> ModelSpec:
    """Return the spec of a `.tflite` by its inputs and outputs; options outdo its `model.json`.

    Raises:
        UsageError: The input is no image, the range is not known, it is not said which output or
            channel is the mask, or an option contradicts the file.
        ConversionError: It is not clear which output is fed back to it.
    """
    base = spec_beside(file)
    ends = file_ends(inputs)
    arrays = {*given.arrays, *(each.name for each in (base.others if base else ()))}
    picture = find_picture(ends, file.name, arrays)
    colours = given.channels or (base.channels if base else None)
    height, width, count = _image_shape(file, inputs[picture], colours)
    if base is None and given.input_range is None:
        raise UsageError(
            f"the range of pixel values that {file.name} takes is not known, for no {MODEL_JSON} "
            "beside it lists it: --input-range is required (0,1, 0,255 or -1,1)."
        )
    _require_choice(file, outputs, given, known=base is not None)
    base = base or ModelSpec(height, width, Channels.GRAY if count == 1 else Channels.RGB)
    if given.size not in (None, (height, width)):
        raise UsageError(f"the input of {file.name} is {height}x{width}; --size cannot change it.")
    spec = replace(_overlaid(base, given), height=height, width=width)
    mask = spec.output.index
    state = spec.state or find_state(ends, _ends(outputs, mask), mask, file.name, arrays)
    spec = replace(spec, state=state, others=other_inputs(ends, picture, state))
    if spec.depth != count:
        raise UsageError(
            f"{file.name} takes {count} channel{'s' if count > 1 else ''}. "
            f"Received: --channels {spec.channels}."
        )
    return spec


def _ends(outputs: Sequence[TensorInfo], mask: int) -> list[End]:
    ends = file_ends(outputs)
    # Of the mask, whatever its classes, only the person is fed back.
    ends[mask] = End(ends[mask].name, (*ends[mask].shape[:2], 1))
    return ends


def filled(given: SpecArguments, spec: ModelSpec) -> SpecArguments:
    """Add to the options what `spec` knows about preprocessing and they do not say."""
    if given.input_range is None:
        # Mean and std are in units of the range: they go with it or not at all.
        given = replace(
            given,
            input_range=spec.input_range,
            mean=given.mean or spec.mean,
            std=given.std or spec.std,
        )
    return replace(
        given,
        channels=given.channels or spec.channels,
        fit=given.fit or spec.fit,
        interpolation=given.interpolation or spec.interpolation,
    )


def of_this_file(file: Path, outputs: Sequence[TensorInfo], given: SpecArguments) -> SpecArguments:
    """Drop what options say about the mask where they speak of the network a file was made from.

    A file of ours holds the mask alone, and as a probability.
    """
    if spec_beside(file):
        return replace(given, output=None, output_channel=None, activation=None)
    if len(outputs) > 1:
        return given
    channel = given.output_channel if _channels(outputs[0]) > 1 else None
    return replace(given, output=None, output_channel=channel)


def says_what_its_mask_is(file: Path, given: SpecArguments) -> bool:
    """Whether the user, or the `model.json` beside a file, says if its mask is a probability."""
    return given.activation is not None or spec_beside(file) is not None


def _require_choice(
    file: Path, outputs: Sequence[TensorInfo], given: SpecArguments, *, known: bool
) -> None:
    listed = ", ".join(f"{i}: {list(output.shape)}" for i, output in enumerate(outputs))
    things = f"outputs ({listed})"
    index = _choose(file, "--output", things, len(outputs), given.output, known=known)
    _require_mask(file, outputs[index], several=len(outputs) > 1)
    channels = _channels(outputs[index])
    _choose(file, "--output-channel", "channels", channels, given.output_channel, known=known)


def _require_mask(file: Path, output: TensorInfo, *, several: bool) -> None:
    """Refuse what has no rows and columns, as classes and landmarks have none."""
    shape = output.shape
    if len(shape) in (3, 4) and shape[0] == 1 and min(shape[1:3]) > 1:
        return
    advice = (
        "Say by --output N which one is the mask."
        if several
        else "A classifier or backbone is no segmentation network."
    )
    raise UsageError(
        f"a mask [1, height, width, channels] is required. Received: {file.name}, whose output "
        f"{output.name!r} is {list(shape)}. {advice}"
    )


def _choose(
    file: Path, option: str, things: str, count: int, given: int | None, *, known: bool
) -> int:
    if given is None and count > 1 and not known:
        raise UsageError(
            f"{file.name} has {count} {things}: {option} 0 to {count - 1} is required."
        )
    if given is not None and given >= count:
        raise UsageError(f"{option} of {file.name} must be 0 to {count - 1}. Received: {given}.")
    return given or 0


def _channels(output: TensorInfo) -> int:
    return output.shape[3] if len(output.shape) == 4 else 1


def _overlaid(spec: ModelSpec, given: SpecArguments) -> ModelSpec:
    output = spec.output
    if given.output is not None:
        output = replace(output, index=given.output)
    if given.output_channel is not None:
        output = replace(output, channel=given.output_channel)
    if given.activation is not None:
        output = replace(output, activation=given.activation)
    known = filled(given, spec)
    return replace(
        spec,
        channels=known.channels or spec.channels,
        input_range=known.input_range or spec.input_range,
        mean=known.mean,
        std=known.std,
        fit=known.fit or spec.fit,
        interpolation=known.interpolation or spec.interpolation,
        output=output,
    )


def _image_shape(file: Path, image: TensorInfo, colours: Channels | None) -> tuple[int, int, int]:
    beside = () if colours in (None, Channels.GRAY) else (STATE_CHANNEL + 1,)
    if len(image.shape) == 4 and image.shape[0] == 1 and image.shape[3] in (1, 3, *beside):
        return image.shape[1], image.shape[2], image.shape[3]
    raise UsageError(
        "an input [1, height, width, 1 or 3] is required, or 4 with --channels rgb: the previous "
        f"mask after the colours. "
        f"Received: {file.name}, whose input is {list(image.shape)}."
    )
