"""Writes the table of `docs/remedies.md` that compares the two quantizers there are.

    python scripts/results/quantizers_table.py --shared ../shared --work FOLDER

`FOLDER` is what `results_table.py` converted into: the float32 files are quantized again, both ways
over the same pictures. Nothing is timed, so the machine may do other things meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from portrait_tflite.cli.known_spec import spec_beside
from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.plan import RewriteRequest
from portrait_tflite.convert.raw_input import full_range
from portrait_tflite.images import Floats, prepare, read_usable
from portrait_tflite.metrics import iou
from portrait_tflite.quantize.accuracy.remembering import tflite_predictor
from portrait_tflite.quantize.built import Treatable
from portrait_tflite.quantize.int8.beforehand import rewritten_beforehand
from portrait_tflite.quantize.int8.float_file import quantize_float_file, widened_file
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.tensor_ranges import Range
from portrait_tflite.quantize.previous_masks import Frames
from portrait_tflite.quiet import quiet
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import IoType, ModelSpec

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "remedies.md"
_PLACE = re.compile(r"(<!-- quantizers table -->\n).*?(<!-- end -->)", re.DOTALL)
_NETS = (
    *("portrait", "hodzic_unet", "hodzic_mobilenetv2", "henry_portraitnet128"),
    *("toytag_darklight256", "mattingnet_bn256", "slim_reshape_v2"),
)
_CALIBRATED_ON = 64
_SCORED_ON = 40
_CHECKED_ON = 3

Quantize = Callable[[bytes, Sequence[Frames], ModelSpec], bytes]


@click.command()
@click.option("--shared", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--work", type=click.Path(path_type=Path, exists=True), required=True)
def main(shared: Path, work: Path) -> None:
    """Quantize the float files of WORK both ways and write the table into docs/remedies.md."""
    portraits = shared / "data" / "portraits"
    rows = ["| network | `TFLiteConverter`'s quantizer over our ranges | ai-edge-quantizer |"]
    rows.append("|---|---|---|")
    for name in _NETS:
        file = work / name / f"{name}-float32.tflite"
        cells = [_cell(file, portraits, quantize) for quantize in (_ours, _ai_edge)]
        rows.append(f"| {name} | {' | '.join(cells)} |")
        click.echo(rows[-1])
    table = "\n".join(rows)
    text = _PAGE.read_text("utf-8")
    if not _PLACE.search(text):
        raise click.ClickException(f"{_PAGE} has no place for the table")
    _PAGE.write_text(_PLACE.sub(lambda place: f"{place[1]}{table}\n{place[2]}", text), "utf-8")


def _cell(file: Path, portraits: Path, quantize: Quantize) -> str:
    spec = spec_beside(file)
    assert spec is not None, f"model.json must name {file}"
    data = file.read_bytes()
    frames = _frames(portraits / "train" / "images", _CALIBRATED_ON, spec)
    with quiet():
        made = quantize(data, frames, spec)
        masks, ours = (tflite_predictor(each, spec) for each in (data, made))
        scored = _frames(portraits / "val" / "images", _SCORED_ON, spec)
        alike = [iou(masks(image) >= 0.5, ours(image) >= 0.5) for (image,) in scored]
        partitions = open_model(made).partitions
    cycles = predict(made, CostTable.load("arm64")).cycles / 1e6
    return f"{sum(alike) / len(alike):.4f}, {cycles:.1f} Mcyc, {partitions}"


def _ours(data: bytes, frames: Sequence[Frames], spec: ModelSpec) -> bytes:
    mending = RewriteRequest().flatbuffer
    checks = frames[:_CHECKED_ON]
    prepared = rewritten_beforehand(widened_file(data), checks, mending)
    network = measured_network(prepared.data, frames, Range(*full_range(spec)))
    return Treatable(network, frames, checks, IoType.INT8, mending).build().data


def _ai_edge(data: bytes, frames: Sequence[Frames], _: ModelSpec) -> bytes:
    return mend_model(quantize_float_file(data, frames), frames[:_CHECKED_ON]).data


def _frames(folder: Path, count: int, spec: ModelSpec) -> list[tuple[Floats, ...]]:
    """Read pictures that are spread evenly over a folder."""
    paths = sorted(folder.iterdir())
    chosen = paths[:: max(1, len(paths) // count)][:count]
    return [(prepare(image, spec),) for _, image in read_usable(chosen)]


if __name__ == "__main__":
    main()
