"""`portrait-tflite train`: a net of the zoo on your own portraits."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portrait_tflite.cli.output import messages, print_json, progress, results
from portrait_tflite.cli.spec_options import SEED, parse_size
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import SCHEMA

if TYPE_CHECKING:
    from portrait_tflite.models.training_folder import EpochResult

_FOLDER = click.Path(path_type=Path)


@click.command("train")
@click.argument("net")
@click.option(
    "--data",
    "folders",
    required=True,
    multiple=True,
    metavar="DIR",
    type=_FOLDER,
    help="images/ and masks/ of the same stems; may be given several times.",
)
@click.option(
    "--validation",
    metavar="DIR",
    type=_FOLDER,
    help="Held-out portraits, likewise. Without: a fifth of --data.",
)
@click.option("--out", metavar="DIR", type=_FOLDER, help="[default: runs/NET]")
@click.option("--epochs", type=click.IntRange(min=1), default=40, show_default=True, metavar="N")
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=16, show_default=True, metavar="N"
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=2e-3,
    show_default=True,
    metavar="X",
)
@click.option("--size", type=parse_size, metavar="H[xW]", help="[default: the net's own]")
@click.option(
    "--upsampling",
    metavar="FORM",
    help="How the decoder doubles: transposed, nearest_conv, resize_conv or subpixel.",
)
@click.option(
    "--initial",
    metavar="FILE",
    type=_FOLDER,
    help="Start from these weights: .weights.h5 of this net, or a .keras whose layers match by "
    "name.",
)
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def command(
    net: str,
    folders: tuple[Path, ...],
    validation: Path | None,
    out: Path | None,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    size: tuple[int, int] | None,
    upsampling: str | None,
    initial: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Train NET of the zoo; keep the weights that score best on held-out portraits.

    Called again with the same --out, an interrupted run goes on at its last finished epoch.

    \b
    Examples:
      portrait-tflite train portrait --data photos --validation val --epochs 40
      portrait-tflite train hodzic_unet --data photos --upsampling resize_conv --size 128
    """
    with quiet():
        from portrait_tflite.models.training import TrainingOptions, train_net

        run = train_net(
            net,
            folders,
            validation,
            out or Path("runs") / net,
            TrainingOptions(epochs, batch_size, learning_rate, seed=seed),
            size=size,
            upsampling=upsampling,
            initial=initial,
        )
    messages().print(
        f"{net}: {run.training_images} portraits to train on, {run.validation_images} held out"
    )
    with progress(run.steps, "training") as update:

        def on_epoch(result: EpochResult) -> None:
            update.say(
                f"epoch {result.epoch}/{result.epochs}: loss {result.loss:.4f}, "
                f"IoU {result.val_iou:.4f}, best {result.best_iou:.4f}"
            )

        try:
            with quiet():
                finished = run.start(update, on_epoch)
        except KeyboardInterrupt:
            update.say("The same command goes on at the last finished epoch.")
            raise
    if as_json:
        files = {"weights": str(finished.weights), "model": str(finished.model)}
        print_json({"schema": SCHEMA} | asdict(finished) | files)
        return
    low, high = run.spec.input_range
    results().print(f"best IoU on held-out portraits: {finished.best_iou:.4f}")
    results().print(f"model: {finished.model}")
    results().print(
        f"next: portrait-tflite convert {finished.model} --input-range={low:g},{high:g} "
        f"--calibration {folders[0]}"
    )
