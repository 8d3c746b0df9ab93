"""`convert` of a finished `.tflite`: what it cannot be asked for, and what it says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from portrait_tflite.cli.spec_options import SpecArguments
from portrait_tflite.errors import UsageError
from portrait_tflite.file_names import is_tflite
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import Delegate

if TYPE_CHECKING:
    from portrait_tflite.vocabulary import ModelSpec

# A finished .tflite is mended as it is, and a float one made int8; the others need the model.
_NEED_KERAS = (
    *("fp32", "fp16", "dynamic", "int16x8"),
    *("io", "rewrite_plan", "target", "tune", "finetune", "random_weights", "baseline"),
)


def refuse_keras_options(context: click.Context) -> None:
    """Refuse what a finished file cannot be asked for, instead of ignoring it."""
    given = [
        f"--{name.replace('_', '-')}"
        for name in _NEED_KERAS
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(
            f"a Keras model is required for {', '.join(given)}. Received: a .tflite, which is "
            "mended in the precision it has, and made int8 where it is float. Leave them out, or "
            "convert the Keras model."
        )


def spec_of_finished(model: str, spec: SpecArguments) -> ModelSpec | None:
    """Return what a `.tflite` takes; None of another model.

    Raises:
        UsageError: It cannot be read, or its spec is not known.
    """
    if not is_tflite(model):
        return None
    from portrait_tflite.cli.known_spec import says_what_its_mask_is, spec_of_tflite
    from portrait_tflite.convert.loading.released import asked_for_class, read_released
    from portrait_tflite.quantize.accuracy.predictors import runner_outputs
    from portrait_tflite.quantize.accuracy.unit_range import require_probability
    from portrait_tflite.runtime import open_model

    path = Path(model)
    with quiet():
        # The built-in kernels run files, too, that XNNPACK only loads when they are mended.
        asked = asked_for_class(spec.output, spec.output_channel)
        released = read_released(path, spec.output, scores_of=asked, size=spec.size)
        runner = open_model(released.data, Delegate.CPU, name=model)
    spec = replace(spec, output=released.output)
    found = spec_of_tflite(path, runner.inputs, runner.outputs, spec)
    if not says_what_its_mask_is(path, spec):
        require_probability(runner_outputs(runner, found), found, model)
    return found
