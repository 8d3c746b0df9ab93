"""Converts the networks of `docs/results.md` and writes its table: cost, time and partitions.

    python scripts/results/results_table.py --shared ../shared --trained RUNS --work FOLDER

`RUNS` holds `hodzic_unet.keras` and `hodzic_mobilenetv2.keras` as `train` leaves them. A network
whose `report.json` is in `FOLDER` already is not converted again. Run it on a machine that does
nothing else.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

_ROOT = Path(__file__).resolve().parents[2]
_PAGE = _ROOT / "docs" / "results.md"
_PLACE = re.compile(r"(<!-- results table -->\n).*?(<!-- end -->)", re.DOTALL)
_PLAIN = "naive_batch1"
_COLUMNS = ("float32", _PLAIN, "int8")
_LABELS = {"int8": "ours, int8"}
_RESULT = "benchmark.json"
_GATE_FAILED = 3
_RUNS = 200


@dataclass(frozen=True)
class Net:
    """A network of the table: where its file is and what `convert` is told of it."""

    name: str
    file: str
    options: tuple[str, ...] = ()


_NETS = (
    Net("hodzic_unet", "{trained}/hodzic_unet.keras", ("--input-range", "0,1")),
    Net(
        "hodzic_mobilenetv2",
        "{trained}/hodzic_mobilenetv2.keras",
        ("--input-range=-1,1",),
    ),
    Net("portrait", "portrait"),
    Net("mattingnet_bn256", "{shared}/models/mattingnet_bn256.keras", ("--input-range", "0,1")),
    Net(
        "toytag_darklight256",
        "{shared}/models/toytag_darklight256.keras",
        ("--channels", "gray", "--input-range", "0,255", "--output-channel", "1"),
    ),
    Net(
        "henry_portraitnet128",
        "{shared}/models/henry_portraitnet128.keras",
        # bgr, though it is described as RGB: see docs/results.md.
        ("--output", "0", "--channels", "bgr", "--input-range", "0,255"),
    ),
    Net(
        "slim_reshape_v2",
        "{shared}/models/slim_reshape_v2.h5",
        ("--input-range", "0,1", "--custom-objects", "{here}/slim_layers.py"),
    ),
)


@click.command()
@click.option("--shared", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--trained", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--work", type=click.Path(path_type=Path), required=True)
@click.option("--convert-only", is_flag=True, help="Measure later, on a machine left alone.")
def main(shared: Path, trained: Path, work: Path, convert_only: bool) -> None:
    """Convert and measure what is missing in WORK, then write the table into docs/results.md."""
    places = {"shared": shared, "trained": trained, "here": Path(__file__).parent}
    for net in _NETS:
        _convert(net, places, work / net.name)
    if convert_only:
        return
    for net in _NETS:
        _measure(work / net.name)
    text = _PAGE.read_text("utf-8")
    if not _PLACE.search(text):
        raise click.ClickException(f"{_PAGE} has no place for the table")
    table = "\n".join(_table({net.name: _read(work / net.name) for net in _NETS}))
    _PAGE.write_text(_PLACE.sub(lambda place: f"{place[1]}{table}\n{place[2]}", text), "utf-8")


def _convert(net: Net, places: dict[str, Path], out: Path) -> None:
    if (out / "report.json").exists():
        return
    portraits = places["shared"] / "data" / "portraits"
    arguments = [part.format(**places) for part in (net.file, *net.options)]
    if net.file != net.name:  # the zoo's own net has its drawn calibration pictures
        arguments += ["--calibration", str(portraits / "train" / "images")]
    arguments += ["--validation", str(portraits / "val"), "--baseline", "--no-benchmark"]
    _run("convert", *arguments, "--out", str(out))


def _measure(folder: Path) -> None:
    out = folder / "measured"
    if (out / _RESULT).exists():
        return
    variants = json.loads((folder / "report.json").read_text("utf-8"))["variants"]
    files = [str(folder / variants[column]["file"]) for column in _COLUMNS]
    options = ["--delegate", "xnnpack", "--runs", str(_RUNS), "--device", "all"]
    _run("benchmark", *files, *options, "--out", str(out))


def _run(*arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("portrait-tflite")), *arguments]
    ended = subprocess.run(command)
    if ended.returncode not in (0, _GATE_FAILED):
        raise click.ClickException(f"{' '.join(arguments)} ended with {ended.returncode}")


def _read(folder: Path) -> Any:
    """Return report.json with the figures of benchmark.json, by variant, under `measured`."""
    report = json.loads((folder / "report.json").read_text("utf-8"))
    measured = json.loads((folder / "measured" / _RESULT).read_text("utf-8"))
    variant_of = {Path(v["file"]).stem: name for name, v in report["variants"].items()}
    report["cycles"] = {variant_of[row["variant"]]: row["cycles"] for row in measured["arm_cost"]}
    report["ms"] = {
        variant_of[row["variant"]]: row["latency_ms"]["median"] for row in measured["benchmarks"]
    }
    return report


def _table(reports: dict[str, Any]) -> list[str]:
    first = next(iter(reports.values()))
    machine = f"{first['machine']['cpu']}, {' '.join(first['machine']['isa'])}"
    versions = first["versions"]
    return [
        f"ARM cost in million cycles (a bound, no milliseconds); median ms on {machine}, one "
        f"thread, XNNPACK, {_RUNS} interleaved runs; LiteRT {versions['ai-edge-litert']}, "
        f"TensorFlow {versions['tensorflow']}.",
        "",
        "| network | | ARM cost | × plain | here, ms | × plain | XNNPACK partitions, ops outside |"
        " float16 on the GPU list | mIoU (images) |",
        "|---|---|---|---|---|---|---|---|---|",
        *(row for name, report in reports.items() for row in _rows(name, report)),
    ]


def _rows(name: str, report: Any) -> list[str]:
    cycles, ms = report["cycles"], report["ms"]
    return [
        f"| {name if column == _COLUMNS[0] else ''} | {_LABELS.get(column, column)} "
        f"| {cycles[column] / 1e6:.1f} | {cycles[column] / cycles[_PLAIN]:.2f} "
        f"| {ms[column]:.2f} | {ms[column] / ms[_PLAIN]:.2f} "
        f"| {_partitions(report, column)} "
        f"| {_on_gpu(report) if column == _COLUMNS[0] else ''} | {_score(report, column)} |"
        for column in _COLUMNS
    ]


def _partitions(report: Any, variant: str) -> str:
    audit = report["variants"][variant]["audit"]["xnnpack"]
    return f"{audit['partitions']}, {len(audit['outside'])}"


def _on_gpu(report: Any) -> str:
    gpu = report["variants"]["float16"]["audit"]["gpu"]
    rejected = sorted({op["op"] for op in gpu["rejected"]})
    return "complete" if gpu["complete"] else f"not {', '.join(rejected)}"


def _score(report: Any, variant: str) -> str:
    accuracy = report["variants"][variant]["accuracy"]
    return f"{accuracy['miou']:.4f} ({accuracy['images']})" if accuracy else "–"


if __name__ == "__main__":
    main()
