"""The IO card: what to put into a file for a pixel, and how to read its mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from portrait_tflite.images import affine_of_bytes, stored_pixels
from portrait_tflite.report.formats import shape
from portrait_tflite.report.roles import shipped_variants
from portrait_tflite.tensor_values import Array, to_real, to_stored
from portrait_tflite.vocabulary import Activation, ModelSpec, Report, TensorInfo, Variant

_PERSON = 0.5  # probability from which a pixel is the person


@dataclass(frozen=True)
class InputCard:
    """How a picture's bytes become the input; scale and zero point are the tensor's.

    Attributes:
        black: What the tensor holds for byte 0, per channel.
        white: The same for byte 255.
        put: What to put for a byte `v`.
        state: What to put for the previous mask, where one is taken; "" else.
    """

    black: tuple[float, ...]
    white: tuple[float, ...]
    put: str
    state: str = ""


@dataclass(frozen=True)
class OutputCard:
    """How the mask is read.

    Attributes:
        lowest: What the smallest stored number means, after `read`; None of a float tensor.
        highest: The same of the largest.
        person_from: The smallest stored number that is the person; None where one channel alone
            does not tell.
        read: What a stored number `q` means.
    """

    lowest: float | None
    highest: float | None
    person_from: float | None
    read: str


@dataclass(frozen=True)
class IoCard:
    """The card of one file."""

    input: InputCard
    output: OutputCard


@dataclass(frozen=True)
class CardRow:
    """A card with its tensors in words.

    `others` is what to put into each other input, and `kept` what each other output gives.
    """

    variant: str
    card: IoCard
    input: str
    output: str
    meanings: str
    others: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def io_card(variant: Variant, network: ModelSpec) -> IoCard:
    """Work out a variant's card.

    Args:
        variant: Its own spec goes before the network's.
        network: What the network takes and gives.
    """
    spec = variant.spec or network
    return IoCard(_input_card(variant, spec), _output_card(variant.output, spec))


def card_rows(report: Report) -> tuple[CardRow, ...]:
    """Make the cards of all variants for an app, in words."""
    return tuple(
        CardRow(
            name,
            card,
            describe_tensor(variant.input),
            describe_tensor(variant.output),
            _meanings(card),
            tuple(map(_put_number, variant.other_inputs)),
            tuple(f"x = {_real(i)} from {describe_tensor(i)}" for i in variant.other_outputs),
        )
        for name, variant in shipped_variants(report).items()
        for card in (io_card(variant, report.model.spec),)
    )


def card_lines(report: Report) -> Iterator[str]:
    """Write the cards for a terminal."""
    for row in card_rows(report):
        yield f"{row.variant}: put {row.card.input.put} into {row.input}"
        if row.card.input.state:
            yield f"{row.variant}: put {row.card.input.state}"
        for other in row.others:
            yield f"{row.variant}: put {other}"
        yield f"{row.variant}: read {row.card.output.read} from {row.output}"
        for kept in row.kept:
            yield f"{row.variant}: read {kept}"
        yield f"{row.variant}: {row.meanings}"


def describe_tensor(info: TensorInfo) -> str:
    """Describe a tensor in words: `image: uint8 1×256×256×3, scale 1/256, zero point 0`."""
    named = f"{info.name}: {info.dtype} {shape(info.shape)}"
    if not info.scale:
        return named
    return f"{named}, scale {number(info.scale)}, zero point {info.zero_point}"


def _meanings(card: IoCard) -> str:
    """Say what the ends of both scales mean."""
    words = [f"black (byte 0) is {_listed(card.input.black)}"]
    words.append(f"white (255) is {_listed(card.input.white)}")
    if card.output.lowest is not None and card.output.highest is not None:
        words.append(f"the mask goes from {card.output.lowest:.4g} to {card.output.highest:.4g}")
    if card.output.person_from is not None:
        words.append(f"person from {card.output.person_from:g}")
    return ", ".join(words)


def number(value: float) -> str:
    """Write a number; what is one over a whole number, as that."""
    whole = 1 / value if value else 0.0
    if round(whole) > 1 and abs(whole - round(whole)) < 1e-4:
        return f"1/{round(whole)}"
    return f"{value:.6g}"


def _input_card(variant: Variant, spec: ModelSpec) -> InputCard:
    stored = stored_pixels(spec, variant.input)
    black, white = (tuple(map(float, stored[byte])) for byte in (0, 255))
    return InputCard(black, white, _put(stored, spec, variant.input), _state(variant, spec))


def _put_number(info: TensorInfo) -> str:
    """Say what to put into an input for a real number `x`."""
    put = "x"
    if info.scale:
        steps = _linear(np.array([1 / info.scale]), np.array([info.zero_point]), "x")
        put = f"round({steps}) {_kept(info)}"
    return f"{put} into {describe_tensor(info)}"


def _kept(info: TensorInfo) -> str:
    limits = np.iinfo(info.dtype)
    return f"kept within {limits.min} and {limits.max}"


def _put(stored: Array, spec: ModelSpec, info: TensorInfo) -> str:
    pixels = np.arange(256)[:, None]
    if (stored == pixels).all():
        return "the byte v itself" if stored.dtype == np.uint8 else f"v as {info.dtype}"
    scale, shift = affine_of_bytes(spec)
    if not info.scale:
        return _linear(scale, shift)
    limits = np.iinfo(info.dtype)
    kept = _kept(info)
    # A whole number says which way halves go; languages round them each in their own.
    whole = int(stored[128, 0]) - 128
    if (stored == pixels + whole).all():
        return _moved(whole)
    if (stored == np.clip(pixels + whole, limits.min, limits.max)).all():
        return f"{_moved(whole)} {kept}"
    steps = _linear(scale / info.scale, shift / info.scale + info.zero_point)
    return f"round({steps}) {kept}"


def _moved(whole: int) -> str:
    return f"v {'−' if whole < 0 else '+'} {abs(whole)}"


def _linear(scale: Array, shift: Array, of: str = "v") -> str:
    """Write `scale · v + shift`, per channel where they differ; `v` is called `of`."""
    if np.ptp(scale) or np.ptp(shift):
        return f"{of} · {_listed(scale)} + {_listed(shift)}"
    sign = "−" if shift[0] < 0 else "+"
    factor = number(scale[0])
    scaled = of if factor == "1" else f"{of} · {factor}"
    return scaled + (f" {sign} {number(abs(shift[0]))}" if shift[0] else "")


def _state(variant: Variant, spec: ModelSpec) -> str:
    if spec.state is None:
        return ""
    into, origin = variant.state_input or variant.input, variant.state_output or variant.output
    first = to_stored(np.array([spec.state.initial], np.float32), into)[0]
    same = (into.dtype, into.scale, into.zero_point) == (
        origin.dtype,
        origin.scale,
        origin.zero_point,
    )
    how = "as it is" if same else "by both scales and zero points"
    place = f"channel {spec.state.channel} of {into.name}" if variant.state_input is None else ""
    return (
        f"{number(float(first))} into {place or describe_tensor(into)} for the first picture, "
        f"then {origin.name} of the picture before, {how}"
    )


def _output_card(info: TensorInfo, spec: ModelSpec) -> OutputCard:
    lowest = highest = person_from = None
    softmax = spec.output.activation is Activation.SOFTMAX
    if info.scale:
        limits = np.iinfo(info.dtype)
        every = np.arange(limits.min, limits.max + 1).astype(info.dtype)
        probability = _probability(to_real(every, info), spec.output.activation)
        lowest, highest = float(probability[0]), float(probability[-1])
        if not softmax and highest >= _PERSON:
            person_from = float(every[np.argmax(probability >= _PERSON)])
    elif not softmax:
        person_from = 0.0 if spec.output.activation is Activation.SIGMOID else _PERSON
    return OutputCard(lowest, highest, person_from, _read(info, spec))


def _probability(values: Array, activation: Activation) -> Array:
    if activation is not Activation.SIGMOID:
        return values
    return np.asarray((np.tanh(values / 2) + 1) / 2)


def _real(info: TensorInfo) -> str:
    """Write what a stored number `q` means."""
    if not info.scale:
        return "q"
    zero, whole = info.zero_point, number(info.scale)
    shifted = f"(q {'−' if zero > 0 else '+'} {abs(zero)})" if zero else "q"
    return f"{shifted} / {whole[2:]}" if whole.startswith("1/") else f"{shifted} · {whole}"


def _read(info: TensorInfo, spec: ModelSpec) -> str:
    value = _real(info)
    several = len(info.shape) == 4 and info.shape[3] > 1
    channel = f" in channel {spec.output.channel}" if several else ""
    if spec.output.activation is Activation.NONE:
        return f"probability = {value}{channel}"
    return f"probability = {spec.output.activation}({value}){channel}"


def _listed(values: Sequence[float] | Array) -> str:
    """Write one number per channel, or one for all."""
    written = list(dict.fromkeys(number(float(value)) for value in values))
    if len(written) == 1:
        return written[0]
    return f"({', '.join(number(float(value)) for value in values)})"
