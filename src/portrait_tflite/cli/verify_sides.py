"""The two networks of `verify`, opened: either is a Keras model or a .tflite on a delegate."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from portrait_tflite.cli.spec_options import SpecArguments, load_options_from
from portrait_tflite.file_names import is_tflite
from portrait_tflite.vocabulary import Delegate, OutputSpec

if TYPE_CHECKING:
    from portrait_tflite.benchmarks.gpu.adapters import Adapter
    from portrait_tflite.quantize.accuracy.predictors import Outputs, Predictor
    from portrait_tflite.vocabulary import ModelSpec


@dataclass(frozen=True)
class Side:
    """A network ready to be scored.

    Attributes:
        adapter: What it runs on where that is a GPU.
    """

    spec: ModelSpec
    outputs_of: Outputs
    adapter: Adapter | None = None

    def predictor(self, *, video: bool) -> Predictor:
        """Return its mask: of single pictures, or of the frames of one video in turn."""
        from portrait_tflite.quantize.accuracy import remembering

        of_what = remembering.video_predictor if video else remembering.picture_predictor
        return of_what(self.outputs_of, self.spec)


@dataclass(frozen=True)
class Wanted:
    """A network as it was named; `delegate` is None where nothing was said."""

    model: str
    delegate: Delegate | None = None


def open_sides(
    float_side: Wanted, candidates: list[Wanted], given: SpecArguments, stack: ExitStack
) -> tuple[Side, list[Side]]:
    """Open the networks; what one of them says about preprocessing serves the others too.

    Args:
        candidates: One network, once for each delegate.
        stack: Ends the processes of a GPU.

    Raises:
        UsageError: They do not take the same input, or a delegate is named for a Keras model.
        UnavailableError: There is no GPU, or it does not take the file.
    """
    from portrait_tflite.cli.known_spec import filled, specs_beside

    asked = [float_side, *candidates]
    files = [Path(wanted.model) for wanted in asked if is_tflite(wanted.model)]
    known = next(filter(None, (specs_beside(file)[0] for file in files)), None)
    if known:
        given = filled(given, known)
    opened: dict[int, Side] = {}
    # Keras first: its own layers may state the range, a .tflite's do not.
    for number in sorted(range(len(asked)), key=lambda n: is_tflite(asked[n].model)):
        opened[number] = _open(asked[number], given, stack)
        given = filled(given, opened[number].spec)
    sides = [opened[number] for number in range(len(asked))]
    _require_alike(float_side.model, sides[0], candidates[0].model, sides[1])
    return sides[0], sides[1:]


def _open(wanted: Wanted, given: SpecArguments, stack: ExitStack) -> Side:
    if is_tflite(wanted.model):
        return _open_tflite(Path(wanted.model), wanted.delegate, given, stack)
    from portrait_tflite.errors import UsageError

    if wanted.delegate is not None:
        raise UsageError(
            f"a .tflite is required for a delegate. Received: {wanted.delegate} for {wanted.model}."
        )
    from portrait_tflite.quantize.accuracy import predictors
    from portrait_tflite.quiet import quiet

    with quiet():  # TensorFlow talks while it is imported
        from portrait_tflite.convert.loading.load import load_model

        loaded = load_model(wanted.model, load_options_from(given))
    outputs_of = predictors.keras_outputs(loaded.model, loaded.spec)
    return Side(loaded.spec, outputs_of)


def _open_tflite(
    path: Path, delegate: Delegate | None, given: SpecArguments, stack: ExitStack
) -> Side:
    from portrait_tflite.cli.known_spec import (
        of_this_file,
        says_what_its_mask_is,
        spec_beside,
        spec_of_tflite,
        specs_beside,
    )
    from portrait_tflite.convert.loading.released import asked_for_class, read_released
    from portrait_tflite.quantize.accuracy import predictors
    from portrait_tflite.quantize.accuracy.unit_range import require_probability
    from portrait_tflite.runtime import open_model

    on_gpu = delegate is Delegate.GPU
    host = Delegate.XNNPACK if on_gpu or delegate is None else delegate
    asked = asked_for_class(given.output, given.output_channel)
    # The GPU runs the very file; of one of ours the options say nothing.
    output = None if on_gpu or spec_beside(path) else given.output
    released = read_released(path, output, scores_of=asked, size=given.size)
    runner = open_model(released.data, host, name=str(path))
    if output is not None:
        given = replace(given, output=released.output)
    given = of_this_file(path, runner.outputs, given)
    spec = spec_of_tflite(path, runner.inputs, runner.outputs, given)
    outputs_of: Outputs = predictors.runner_outputs(runner, spec)
    if not says_what_its_mask_is(path, given):
        require_probability(outputs_of, spec, str(path))
    adapter = None
    if on_gpu:
        from portrait_tflite.benchmarks.gpu.outputs import GpuOutputs

        on_the_gpu = stack.enter_context(GpuOutputs(path))
        outputs_of = predictors.fed_in_order(on_the_gpu, runner.inputs, spec)
        adapter = on_the_gpu.adapter
    network, own = specs_beside(path)
    # What takes bytes is fed with the other side's units, by way of the bytes.
    if own is not None and own != network:
        outputs_of = predictors.renormalized(outputs_of, spec, own)
    return Side(spec, outputs_of, adapter)


def _require_alike(float_model: str, first: Side, candidate: str, second: Side) -> None:
    from portrait_tflite.errors import UsageError

    if _preparation(first.spec) != _preparation(second.spec):
        raise UsageError(
            "two networks that take the same input are required. "
            f"Received: {_described(float_model, first)}, {_described(candidate, second)}."
        )


def _preparation(spec: ModelSpec) -> ModelSpec:
    # Which tensors take and give what is each network's own affair.
    state = spec.state and replace(spec.state, input=0, from_output=0)
    others = sorted((replace(each, input=0) for each in spec.others), key=lambda each: each.name)
    return replace(spec, output=OutputSpec(), state=state, others=tuple(others))


def _described(model: str, side: Side) -> str:
    spec = side.spec
    low, high = spec.input_range
    takes = "".join(f", {each.name} {list(each.shape)}" for each in spec.others)
    return (
        f"{model} ({spec.height}x{spec.width} {spec.channels} {low:g},{high:g} {spec.fit}{takes})"
    )
