"""`portrait-tflite verify`: the accuracy gate alone."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portrait_tflite.cli.delegate_option import parse_delegates
from portrait_tflite.cli.output import messages, print_json, progress, results
from portrait_tflite.cli.spec_options import SpecArguments, one_of, spec_options
from portrait_tflite.cli.verify_sides import Side, Wanted, open_sides
from portrait_tflite.quiet import quiet
from portrait_tflite.report.accuracy_figures import (
    accuracy_csv,
    drop_words,
    flicker_words,
    miou_interval,
)
from portrait_tflite.report.spec import spec_json
from portrait_tflite.report.tables import new_table
from portrait_tflite.vocabulary import SCHEMA, Delegate

if TYPE_CHECKING:
    from portrait_tflite.vocabulary import Accuracy, Json, ModelSpec

_FLOAT, _CANDIDATE = "float", "candidate"
_SHOWN_WORST = 3


@click.command("verify")
@click.argument("float_model", metavar="FLOAT")
@click.argument("candidate", metavar="CANDIDATE")
@click.option(
    "--data",
    required=True,
    metavar="DIR|VIDEO|NPZ",
    type=click.Path(path_type=Path),
    help="images/ and masks/ of the same stems; without masks/, or of a video, agreement with "
    "FLOAT is scored. For networks that take more than a picture, an .npz with an array for each "
    "input.",
)
@click.option(
    "--frames", is_flag=True, help="The pictures of DIR are frames of a video: measure flicker."
)
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="Largest mIoU drop that passes.",
)
@click.option(
    "--delegate",
    "delegates",
    metavar="LIST",
    type=parse_delegates,
    help="Who runs CANDIDATE, a .tflite: cpu, xnnpack, gpu; each of them is scored. "
    "[default: xnnpack]",
)
@click.option(
    "--float-delegate",
    metavar="|".join(Delegate),
    type=one_of("--float-delegate", Delegate),
    help="Who runs FLOAT, a .tflite. [default: xnnpack]",
)
@click.option(
    "--csv",
    "csv_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the scores of every image.",
)
@spec_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def command(
    float_model: str,
    candidate: str,
    data: Path,
    frames: bool,
    max_drop: float,
    delegates: tuple[Delegate, ...] | None,
    float_delegate: Delegate | None,
    csv_file: Path | None,
    spec: SpecArguments,
    as_json: bool,
) -> None:
    """Score CANDIDATE against FLOAT, image by image; exit 3 when it loses too much.

    Either is a .tflite or a Keras model. How pictures are prepared is read from the model.json
    beside a .tflite of ours, from the Keras file where it says so, and else from the options. A
    .tflite runs with one thread. Of a video the first 300 frames are used.

    \b
    Example:
      portrait-tflite verify NAME-float32.tflite NAME-int8.tflite --data val
      portrait-tflite verify net.keras old-int8.tflite --input-range 0,1 --data val --max-drop 0.5
      portrait-tflite verify NAME-float32.tflite NAME-int8.tflite --delegate cpu,xnnpack --data val
      portrait-tflite verify NAME-float32.tflite NAME-int8.tflite --data clip.mp4
      portrait-tflite verify NAME-float32.tflite NAME-int8.tflite --data inputs.npz
    """
    from portrait_tflite.errors import GateError
    from portrait_tflite.quantize.accuracy.array_samples import require_arrays, samples_of_arrays
    from portrait_tflite.quantize.accuracy.diagnosis import diagnose_low_iou
    from portrait_tflite.quantize.accuracy.validation import is_video, open_samples
    from portrait_tflite.quantize.accuracy.verify import verify_variants

    with quiet():
        from portrait_tflite.quantize.calibration.arrays import ARRAYS, array_names

    of_arrays = data.suffix.lower() in ARRAYS and not data.is_dir()
    spec = replace(spec, arrays=array_names(data))
    samples = [] if of_arrays else open_samples(data)
    video = frames or is_video(data)
    with ExitStack() as stack:
        wanted = [Wanted(candidate, each) for each in delegates or (None,)]
        reference, others = open_sides(Wanted(float_model, float_delegate), wanted, spec, stack)
        if of_arrays:
            samples = samples_of_arrays(data, reference.spec)
        else:
            require_arrays(data, reference.spec)
        named = _named(delegates, others)
        float_masks = reference.predictor(video=video)
        predictors = {_FLOAT: float_masks} | {
            name: side.predictor(video=video) for name, side in named.items()
        }
        with progress(len(samples), "verifying") as update:
            scores = verify_variants(
                float_masks,
                predictors,
                reference.spec,
                samples,
                max_drop,
                on_image=update,
                diagnose=lambda: diagnose_low_iou(reference.outputs_of, reference.spec, samples),
                video=video,
            )
    scored = {name: scores[name] for name in named}
    _say_unread(len(samples), next(iter(scored.values())))
    if csv_file is not None:
        _write_csv(csv_file, scored)
    if as_json:
        models = {"float": float_model, "candidate": candidate}
        print_json(_as_json(models, reference.spec, max_drop, scored, named))
    else:
        _print_tables(scores, named)
    failed = {name: accuracy.reason for name, accuracy in scored.items() if not accuracy.passed}
    if failed:
        reasons = "; ".join(
            reason if name == _CANDIDATE else f"{name}: {reason}" for name, reason in failed.items()
        )
        raise GateError(f"{candidate} does not pass: {reasons}.")


def _named(delegates: tuple[Delegate, ...] | None, sides: list[Side]) -> dict[str, Side]:
    """Name the candidate's rows: by the delegate where one was asked for."""
    if delegates is None:
        return {_CANDIDATE: sides[0]}
    return {f"{_CANDIDATE}, {d}": side for d, side in zip(delegates, sides, strict=True)}


def _say_unread(given: int, accuracy: Accuracy) -> None:
    if accuracy.images < given:
        unread = given - accuracy.images
        messages().print(f"{unread} of {given} files could not be read and are left out")


def _write_csv(path: Path, scores: dict[str, Accuracy]) -> None:
    from portrait_tflite.errors import UsageError

    try:
        path.write_text(accuracy_csv(scores), "utf-8")
    except OSError as error:
        raise UsageError(
            f"--csv must be a file that can be written. Received: {path} ({error.strerror})."
        ) from error


def _as_json(
    models: Json,
    spec: ModelSpec,
    max_drop: float,
    scored: dict[str, Accuracy],
    sides: dict[str, Side],
) -> Json:
    """Lay out the result; `accuracy` is the first delegate's, `delegates` has all named ones."""
    accuracies = {name: _plain(accuracy) for name, accuracy in scored.items()}
    return {
        "schema": SCHEMA,
        **models,
        "spec": spec_json(spec),
        "max_drop": max_drop,
        "passed": all(accuracy.passed for accuracy in scored.values()),
        "accuracy": next(iter(accuracies.values())),
        "delegates": {
            name.removeprefix(f"{_CANDIDATE}, "): {
                "accuracy": accuracy,
                "adapter": _adapter(sides[name]),
            }
            for name, accuracy in accuracies.items()
            if name != _CANDIDATE
        },
    }


def _plain(accuracy: Accuracy) -> Json:
    plain = asdict(accuracy)
    del plain["images_scored"]  # for --csv
    return plain


def _adapter(side: Side) -> Json | None:
    if side.adapter is None:
        return None
    return {"name": side.adapter.name, "software": side.adapter.software}


def _print_tables(scores: dict[str, Accuracy], sides: dict[str, Side]) -> None:
    console = results()
    first = next(iter(scores.values()))
    truth = "labels" if first.labelled else "the float model's masks"
    table = new_table(
        f"{first.images} images against {truth}",
        "", "IoU", "mIoU", "boundary F", "fine", "MAE", "agreement", "drop of mIoU, 95 %",
    )  # fmt: skip
    for name, row in scores.items():
        figures = (row.iou, row.miou, row.boundary_f, row.boundary_f_fine, row.mae)
        drop = f"{row.drop.miou:+.2f} ({miou_interval(row)})" if name != _FLOAT else ""
        table.add_row(name, *(f"{f:.4f}" for f in figures), f"{row.agreement_iou:.4f}", drop)
    console.print(table)
    for name, side in sides.items():
        _print_details(name, scores[name], side)
    if all(scores[name].passed for name in sides):
        console.print("passed")


def _print_details(name: str, accuracy: Accuracy, side: Side) -> None:
    console = results()
    console.print(f"{name}: {drop_words(accuracy)}")
    if side.adapter:
        kind = ", a software adapter: numerics, no speed" if side.adapter.software else ""
        console.print(f"{name}: on {side.adapter.name}{kind}")
    if accuracy.flicker:
        console.print(f"{name}: {flicker_words(accuracy.flicker)}")
    for image in accuracy.worst[:_SHOWN_WORST]:
        console.print(f"worst: {image.image}, IoU {image.iou_float:.3f} → {image.iou:.3f}")
