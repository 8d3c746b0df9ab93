"""`portrait-tflite verify`: the accuracy gate alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portrait_tflite.cli.output import messages, print_json, progress, results
from portrait_tflite.cli.spec_options import SpecArguments, load_options_from, spec_options
from portrait_tflite.file_names import is_tflite
from portrait_tflite.report.spec import spec_json
from portrait_tflite.report.tables import new_table
from portrait_tflite.vocabulary import SCHEMA

if TYPE_CHECKING:
    from portrait_tflite.quantize.predictors import Outputs, Predictor
    from portrait_tflite.vocabulary import Accuracy, ModelSpec

_FLOAT, _CANDIDATE = "float", "candidate"
_SHOWN_WORST = 3


@click.command("verify")
@click.argument("float_model", metavar="FLOAT")
@click.argument("candidate", metavar="CANDIDATE")
@click.option(
    "--data",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="images/ and masks/ of the same stems; without masks/ agreement with FLOAT is scored.",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="Largest mIoU drop that passes.",
)
@spec_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def command(
    float_model: str,
    candidate: str,
    folder: Path,
    max_drop: float,
    spec: SpecArguments,
    as_json: bool,
) -> None:
    """Score CANDIDATE against FLOAT, image by image; exit 3 when it loses too much.

    Either is a .tflite or a Keras model. How pictures are prepared is read from the model.json
    beside a .tflite of ours, from the Keras file where it says so, and else from the options. A
    .tflite runs on XNNPACK with one thread.

    \b
    Example:
      portrait-tflite verify NAME-float32.tflite NAME-int8.tflite --data val
      portrait-tflite verify net.keras old-int8.tflite --input-range 0,1 --data val --max-drop 0.5
    """
    from portrait_tflite.errors import GateError
    from portrait_tflite.quantize.accuracy import verify_variants
    from portrait_tflite.quantize.diagnosis import diagnose_low_iou
    from portrait_tflite.quantize.validation import load_validation

    samples = load_validation(folder)
    reference, other = _open_both(float_model, candidate, spec)
    with progress(len(samples), "verifying") as update:
        scores = verify_variants(
            reference.predict,
            {_FLOAT: reference.predict, _CANDIDATE: other.predict},
            reference.spec,
            samples,
            max_drop,
            on_image=update,
            diagnose=lambda: diagnose_low_iou(reference.outputs_of, reference.spec, samples),
        )
    accuracy = scores[_CANDIDATE]
    if accuracy.images < len(samples):
        unread = len(samples) - accuracy.images
        messages().print(f"{unread} of {len(samples)} files could not be read and are left out")
    if as_json:
        print_json(_as_json(float_model, candidate, reference.spec, max_drop, accuracy))
    else:
        _print_tables(scores)
    if not accuracy.passed:
        raise GateError(f"{candidate} does not pass: {accuracy.reason}.")


@dataclass(frozen=True)
class _Side:
    """A network ready to be scored."""

    spec: ModelSpec
    predict: Predictor
    outputs_of: Outputs


def _open_both(float_model: str, candidate: str, given: SpecArguments) -> tuple[_Side, _Side]:
    """Open both networks; what only one of them says about preprocessing serves the other too."""
    from portrait_tflite.cli.known_spec import filled, specs_beside
    from portrait_tflite.errors import UsageError

    files = [Path(model) for model in (float_model, candidate) if is_tflite(model)]
    known = next(filter(None, (specs_beside(file)[0] for file in files)), None)
    if known:
        given = filled(given, known)
    sides = {}
    # Keras first: its own layers may state the range, a .tflite's do not.
    for model in sorted((float_model, candidate), key=is_tflite):
        side = _open(model, given)
        given = filled(given, side.spec)
        sides[model] = side
    first, second = sides[float_model], sides[candidate]
    if _preparation(first.spec) != _preparation(second.spec):
        raise UsageError(
            "two networks that take the same input are required. "
            f"Received: {_described(float_model, first)}, {_described(candidate, second)}."
        )
    return first, second


def _open(model: str, given: SpecArguments) -> _Side:
    from portrait_tflite.quantize import predictors
    from portrait_tflite.quiet import quiet

    if not is_tflite(model):
        with quiet():  # TensorFlow talks while it is imported
            from portrait_tflite.convert.load import load_model

            loaded = load_model(model, load_options_from(given))
        outputs_of = predictors.keras_outputs(loaded.model, loaded.spec.state)
        return _Side(loaded.spec, predictors.mask_predictor(outputs_of, loaded.spec), outputs_of)
    from portrait_tflite.cli.known_spec import of_this_file, spec_of_tflite, specs_beside
    from portrait_tflite.runtime import open_model

    path = Path(model)
    runner = open_model(path)
    given = of_this_file(path, runner.outputs, given)
    spec = spec_of_tflite(path, runner.inputs, runner.outputs, given)
    outputs_of = predictors.runner_outputs(runner, spec.state)
    network, own = specs_beside(path)
    # What takes bytes is fed with the other side's units, by way of the bytes.
    if own is not None and own != network:
        outputs_of = predictors.renormalized(outputs_of, spec, own)
    return _Side(spec, predictors.mask_predictor(outputs_of, spec), outputs_of)


def _preparation(spec: ModelSpec) -> ModelSpec:
    from portrait_tflite.vocabulary import OutputSpec

    # Which tensors take and give the state is each network's own affair.
    state = spec.state and replace(spec.state, input=0, from_output=0)
    return replace(spec, output=OutputSpec(), state=state)


def _described(model: str, side: _Side) -> str:
    spec = side.spec
    low, high = spec.input_range
    return f"{model} ({spec.height}x{spec.width} {spec.channels} {low:g},{high:g} {spec.fit})"


def _as_json(
    float_model: str, candidate: str, spec: ModelSpec, max_drop: float, accuracy: Accuracy
) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "float": float_model,
        "candidate": candidate,
        "spec": spec_json(spec),
        "max_drop": max_drop,
        "passed": accuracy.passed,
        "accuracy": asdict(accuracy),
    }


def _print_tables(scores: dict[str, Accuracy]) -> None:
    console, accuracy = results(), scores[_CANDIDATE]
    truth = "labels" if accuracy.labelled else "the float model's masks"
    table = new_table(
        f"{accuracy.images} images against {truth}",
        "", "IoU", "mIoU", "boundary F", "MAE", "agreement",
    )  # fmt: skip
    for name, row in scores.items():
        table.add_row(
            name,
            *(f"{value:.4f}" for value in (row.iou, row.miou, row.boundary_f, row.mae)),
            f"{row.agreement_iou:.4f}",
        )
    drop = accuracy.drop
    lost = (f"{points:+.2f}" for points in (drop.iou, drop.miou, drop.boundary_f))
    table.add_row("drop, points", *lost, "", "")
    console.print(table)
    for image in accuracy.worst[:_SHOWN_WORST]:
        console.print(f"worst: {image.image}, IoU {image.iou_float:.3f} → {image.iou:.3f}")
    if accuracy.passed:
        console.print("passed")
