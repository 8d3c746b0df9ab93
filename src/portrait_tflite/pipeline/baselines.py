"""What plain `TFLiteConverter` makes of a Keras model, to compare with: `--baseline`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer import indices, read_model, text
from portrait_tflite.convert.loading.load import LoadedModel
from portrait_tflite.convert.mending.mend_burden import weigh
from portrait_tflite.errors import ConversionError, UsageError
from portrait_tflite.pipeline.network import Baseline
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.calibration import Representative
from portrait_tflite.quantize.variants import build_naive
from portrait_tflite.runtime import open_model, require_harmless
from portrait_tflite.tensor_values import to_stored
from portrait_tflite.vocabulary import Delegate, IoType, ModelSpec, SkippedRewrite

_NAIVE_BATCH1 = "naive_batch1"
# Whether the batch is fixed to 1.
_BATCH_ONE = {"naive": False, _NAIVE_BATCH1: True}
# Pictures to calibrate a file on whose cost alone is asked for: ranges hardly change it.
_COSTED_ON = 4
# Pictures that a baseline must run on: an int8 DIV ends the inference where it divides by 0.
_RUN_ON = 8


@dataclass(frozen=True)
class Baselines:
    """The files by variant, and what could not be made."""

    made: dict[str, Baseline]
    failed: tuple[SkippedRewrite, ...]


def build_baselines(
    loaded: LoadedModel, representative: Representative, progress: Progress
) -> Baselines:
    """Convert a model as given, with and without batch 1."""
    made: dict[str, Baseline] = {}
    failed: list[SkippedRewrite] = []
    with progress(len(_BATCH_ONE), "converting the baselines") as update:
        for name, batch_one in _BATCH_ONE.items():
            try:
                data = build_naive(loaded.model, representative, batch_one=batch_one).data
                require_harmless(data, Delegate.XNNPACK, name)
                _require_running(data, islice(representative(), _RUN_ON))
                made[name] = Baseline(data, spec_of_baseline(data, loaded.spec))
            except (ConversionError, UsageError) as error:
                failed.append(SkippedRewrite(name, loaded.model.name, str(error)))
            update(len(made) + len(failed))
    return Baselines(made, tuple(failed))


def naive_cost(
    loaded: LoadedModel,
    representative: Representative,
    io: IoType = IoType.INT8,
    baselines: Baselines | None = None,
) -> Callable[[], float]:
    """Return a function that says what `naive_batch1` costs, in cycles by the table of ARM.

    The file is made when that is first asked for, unless there is one. It costs infinitely many
    where `TFLiteConverter` does not take the model.

    Args:
        loaded: The model.
        representative: Yields the calibration inputs.
        io: Element type of its inputs and outputs; the baselines' is int8.
        baselines: What was made of the model already.
    """

    @cache
    def cycles() -> float:
        made = baselines.made.get(_NAIVE_BATCH1) if baselines and io is IoType.INT8 else None
        if made is not None:
            return weigh(made.data).cycles
        try:
            few = build_naive(
                loaded.model, lambda: islice(representative(), _COSTED_ON), batch_one=True, io=io
            )
        except ConversionError:
            return math.inf
        return weigh(few.data).cycles

    return cycles


def _require_running(data: bytes, frames: Iterable[Sequence[NDArray[Any]]]) -> None:
    """Run a file of one input on calibration pictures; raises UsageError where it fails."""
    runner = open_model(data)
    if len(runner.inputs) == 1:  # several are in an order of the converter's own
        for frame in frames:
            runner.run(to_stored(frame[0], runner.inputs[0]))


def spec_of_baseline(data: bytes, spec: ModelSpec) -> ModelSpec:
    """Return the spec of a Keras model for the file that plain `TFLiteConverter` made of it.

    A file made by way of a SavedModel has the model's outputs in another order; its signature knows
    them by name. One without a signature has them in the model's.
    """
    places = _places_of_outputs(read_model(data))
    if not places:
        return spec
    state = spec.state and dataclasses.replace(
        spec.state, from_output=places[spec.state.from_output]
    )
    output = dataclasses.replace(spec.output, index=places[spec.output.index])
    return dataclasses.replace(spec, output=output, state=state)


def _places_of_outputs(model: Any) -> list[int]:
    """Where in the file each of the model's outputs is; empty where no signature says it."""
    if not model.signatureDefs:
        return []
    in_file = indices(model.subgraphs[0].outputs)
    named = {text(one.name): one.tensorIndex for one in model.signatureDefs[0].outputs}
    # Keras numbers a list, `output_2` before `output_10`; a dictionary goes by its sorted keys.
    numbered = all(name.startswith("output_") and name[7:].isdigit() for name in named)
    order = sorted(named, key=(lambda name: int(name[7:])) if numbered else None)
    return [in_file.index(named[name]) for name in order]
