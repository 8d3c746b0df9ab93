"""`portrait-tflite convert`: the whole pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from portrait_tflite.cli.convert_finished import refuse_keras_options, spec_of_finished
from portrait_tflite.cli.delegate_option import parse_delegates
from portrait_tflite.cli.explained import print_explanation, print_rewrites
from portrait_tflite.cli.io_options import io_options
from portrait_tflite.cli.number_option import FiniteRange
from portrait_tflite.cli.output import command_line, print_json, progress, results
from portrait_tflite.cli.remedies_option import parse_remedies
from portrait_tflite.cli.rewrite_options import RewriteArguments, rewrite_options
from portrait_tflite.cli.spec_options import (
    SEED,
    SpecArguments,
    load_options_from,
    spec_options,
)
from portrait_tflite.errors import GateError, UsageError
from portrait_tflite.file_names import is_tflite
from portrait_tflite.models.registry import DEFAULT_NET
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import Delegate, IoType, Precision, RemedyName

_VARIANTS = {
    "fp32": Precision.FLOAT32,
    "fp16": Precision.FLOAT16,
    "int8": Precision.INT8,
    "dynamic": Precision.DYNAMIC,
    "int16x8": Precision.INT16X8,
}
_DEFAULT_VARIANTS = (Precision.FLOAT32, Precision.FLOAT16, Precision.INT8)


@click.command("convert")
@click.argument("model", default=DEFAULT_NET)
@click.option("--int8", is_flag=True, help="int8 weights and activations, for XNNPACK.")
@click.option("--fp16", is_flag=True, help="float16 weights, for the GPU delegate.")
@click.option("--fp32", is_flag=True, help="float32.")
@click.option("--dynamic", is_flag=True, help="int8 weights, float activations.")
@click.option("--int16x8", is_flag=True, help="int16 activations; no XNNPACK at all.")
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="[default: NAME-tflite]"
)
@click.option(
    "--calibration",
    metavar="DIR|FILE|synthetic",
    help="Pictures like those the network will see, for int8: a folder, an .npy or .npz, a video, "
    "or the calibration.json of an earlier run. Nets of the zoo have drawn ones. A network that "
    "takes more than a picture needs an .npz with an array for each input, by its name.",
)
@click.option("--calibration-count", type=int, default=200, show_default=True, metavar="N")
@click.option(
    "--validation",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="images/ and masks/ of the same stems. Without: a fifth of the calibration pictures, "
    "scored by agreement with float.",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="Largest loss of mIoU against float that passes; else exit 3.",
)
@io_options
@rewrite_options
@click.option(
    "--finetune",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Unlabelled pictures on which the network is trained to give its own masks again: in "
    "approximate forms, and in int8 where no other remedy is enough; 500 are good. An interrupted "
    "run goes on where it was.",
)
@click.option(
    "--remedies",
    metavar="none|LIST",
    type=parse_remedies,
    help="Which remedies an int8 file may have that misses the gate, by their names: "
    f"{', '.join(RemedyName)}, which needs --finetune. [default: all, cheapest first, until it "
    "holds]",
)
@click.option(
    "--float-budget",
    type=FiniteRange(min=0),
    metavar="PERCENT",
    help="ARM cost by the table that an int8 file may pay for layers that stay in float, of its "
    "own without them. [default: 25, and no more than plain TFLiteConverter's int8 file costs]",
)
@spec_options
@click.option("--random-weights", is_flag=True, help="Take a net of the zoo without weights.")
@click.option("--min-runtime", default="", metavar="X.Y", help="Oldest TFLite that must load it.")
@click.option(
    "--delegate",
    "delegates",
    metavar="LIST",
    type=parse_delegates,
    help="What is benchmarked. [default: cpu,xnnpack,gpu, as far as they are there]",
)
@click.option("--no-benchmark", is_flag=True, help="Time nothing.")
@click.option("--runs", type=click.IntRange(min=1), default=50, show_default=True, metavar="N")
@click.option(
    "--baseline", is_flag=True, help="Also build and measure plain TFLiteConverter's int8."
)
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--force", is_flag=True, help="Write to a folder that holds other things.")
@click.option("--json", "as_json", is_flag=True, help="Print report.json and nothing else.")
def command(
    model: str,
    int8: bool,
    fp16: bool,
    fp32: bool,
    dynamic: bool,
    int16x8: bool,
    out: Path | None,
    calibration: str | None,
    calibration_count: int,
    validation: Path | None,
    max_drop: float,
    io: IoType,
    metadata: bool,
    assets: Path | None,
    rewriting: RewriteArguments,
    finetune: Path | None,
    remedies: tuple[RemedyName, ...] | None,
    float_budget: float | None,
    spec: SpecArguments,
    random_weights: bool,
    min_runtime: str,
    delegates: tuple[Delegate, ...] | None,
    no_benchmark: bool,
    runs: int,
    baseline: bool,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Convert MODEL: a .keras, .h5 or SavedModel, a released .tflite, or a net of the zoo.

    Without MODEL the packaged default net is converted. Variants are --fp32 --fp16 --int8 unless
    some are named.

    \b
    Examples:
      portrait-tflite convert --int8
      portrait-tflite convert net.keras --input-range 0,1 --calibration photos --validation val
      portrait-tflite convert two_class.keras --input-range 0,255 --output-channel 1 \\
          --calibration synthetic
      portrait-tflite convert trimap_net.keras --input-range 0,1 --calibration inputs.npz
      portrait-tflite convert released-int8.tflite --input-range 0,1 --validation val
      portrait-tflite convert released-float.tflite --int8 --input-range 0,1 --calibration photos
      portrait-tflite convert --int8 --io uint8 --metadata --assets assets
      portrait-tflite convert --rewrite -average_pool
      portrait-tflite convert net.keras --input-range 0,1 --calibration photos \\
          --rewrite resize --finetune photos
      portrait-tflite convert net.keras --int8 --input-range 0,1 --calibration photos \\
          --max-drop 0.5 --finetune photos
      portrait-tflite convert --rewrite-report dec3_up
    """
    if rewriting.list_rewrites:
        print_rewrites(spec.custom_objects, as_json=as_json)
        return
    named = {"int8": int8, "fp16": fp16, "fp32": fp32, "dynamic": dynamic, "int16x8": int16x8}
    chosen = tuple(_VARIANTS[name] for name in _VARIANTS if named[name])
    benchmarked = () if no_benchmark else _delegates(delegates)
    _check_runtime(min_runtime)
    if is_tflite(model):
        refuse_keras_options(click.get_current_context())
    spec = replace(spec, arrays=_names_of_arrays(calibration))
    tflite_spec = spec_of_finished(model, spec)  # what is missing is said before TensorFlow comes

    with quiet():  # TensorFlow talks while it is imported
        from portrait_tflite.pipeline import ConvertRequest, convert_model, explain_layer
        from portrait_tflite.quantize.pictures import PictureRequest
    from portrait_tflite.report.files import report_json
    from portrait_tflite.report.summary import summarize

    request = ConvertRequest(
        source=model,
        out=out,
        load=load_options_from(spec, random_weights=random_weights, seed=seed),
        tflite_spec=tflite_spec,
        variants=chosen or (() if is_tflite(model) else _DEFAULT_VARIANTS),
        pictures=PictureRequest(calibration, calibration_count, validation, seed),
        max_drop=max_drop,
        io=io,
        rewrite=rewriting.request(),
        target=rewriting.target,
        min_runtime=min_runtime,
        delegates=benchmarked,
        runs=runs,
        baseline=baseline,
        force=force,
        command=command_line(),
        finetune=finetune,
        remedies=remedies,
        float_budget=float_budget,
        metadata=metadata,
        assets=assets,
    )
    if rewriting.rewrite_report is not None:
        print_explanation(explain_layer(request, rewriting.rewrite_report, progress), as_json)
        return
    converted = convert_model(request, progress)
    if as_json:
        print_json(report_json(converted.report))
    else:
        results().print(summarize(converted.report, str(converted.out), converted.failures))
    if converted.failures:
        raise GateError(
            f"{len(converted.failures)} gate(s) failed: {'; '.join(converted.failures)}. "
            f"Everything is in {converted.out}."
        )


def _delegates(named: tuple[Delegate, ...] | None) -> tuple[Delegate, ...]:
    """Return what is benchmarked; what the user named must be there before the work starts."""
    if named is None:
        return tuple(Delegate)
    if Delegate.GPU in named:
        from portrait_tflite.benchmarks.gpu.status import require_gpu

        with quiet():
            require_gpu()
    return named


def _names_of_arrays(calibration: str | None) -> tuple[str, ...]:
    """Return the names of the arrays that an `.npz` brings for the network's inputs."""
    if calibration is None:
        return ()
    with quiet():
        from portrait_tflite.quantize.calibration.sources import names_of_arrays
    return names_of_arrays(calibration)


def _check_runtime(text: str) -> None:
    parts = text.split(".")
    if text and (len(parts) != 2 or not all(part.isdecimal() for part in parts)):
        raise UsageError(f"--min-runtime must be a TFLite version such as 2.9. Received: {text!r}.")
