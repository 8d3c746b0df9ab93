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
_COLUMNS = ("float32", "naive_batch1", "int8")
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
    Net("hodzic_mobilenetv2", "{trained}/hodzic_mobilenetv2.keras", ("--input-range=-1,1",)),
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
        ("--output", "0", "--input-range", "0,255"),
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
def main(shared: Path, trained: Path, work: Path) -> None:
    """Convert what is missing in WORK, then write the table into docs/results.md."""
    reports = {net.name: _report(net, shared, trained, work) for net in _NETS}
    text = _PAGE.read_text("utf-8")
    if not _PLACE.search(text):
        raise click.ClickException(f"{_PAGE} has no place for the table")
    table = "\n".join(_table(reports))
    _PAGE.write_text(_PLACE.sub(lambda place: f"{place[1]}{table}\n{place[2]}", text), "utf-8")


def _report(net: Net, shared: Path, trained: Path, work: Path) -> Any:
    out = work / net.name
    if not (out / "report.json").exists():
        places = {"shared": shared, "trained": trained, "here": Path(__file__).parent}
        portraits = shared / "data" / "portraits"
        command = [str(Path(sys.executable).with_name("portrait-tflite")), "convert"]
        command += [part.format(**places) for part in (net.file, *net.options)]
        if net.file != net.name:  # the zoo's own net has its drawn calibration pictures
            command += ["--calibration", str(portraits / "train" / "images")]
        command += ["--validation", str(portraits / "val"), "--baseline"]
        command += ["--runs", str(_RUNS), "--out", str(out)]
        ended = subprocess.run(command)
        if ended.returncode not in (0, _GATE_FAILED):
            raise click.ClickException(f"{net.name} ended with {ended.returncode}")
    return json.loads((out / "report.json").read_text("utf-8"))


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
        " mIoU (images) |",
        "|---|---|---|---|---|---|---|---|",
        *(row for name, report in reports.items() for row in _rows(name, report)),
    ]


def _rows(name: str, report: Any) -> list[str]:
    cycles = {row["variant"]: row["cycles"] for row in report["arm_cost"]}
    times = {
        row["variant"]: row["latency_ms"]["median"]
        for row in report["benchmarks"]
        if row["delegate"] == "xnnpack" and row["latency_ms"]
    }
    return [
        f"| {name if column == _COLUMNS[0] else ''} | {'ours, int8' if column == 'int8' else column} "
        f"| {cycles[column] / 1e6:.1f} | {cycles[column] / cycles['naive_batch1']:.2f} "
        f"| {times[column]:.2f} | {times[column] / times['naive_batch1']:.2f} "
        f"| {_partitions(report, column)} | {_score(report, column)} |"
        for column in _COLUMNS
    ]


def _partitions(report: Any, variant: str) -> str:
    audit = report["variants"][variant]["audit"]["xnnpack"]
    return f"{audit['partitions']}, {len(audit['outside'])}"


def _score(report: Any, variant: str) -> str:
    accuracy = report["variants"][variant]["accuracy"]
    return f"{accuracy['miou']:.4f} ({accuracy['images']})" if accuracy else "–"


if __name__ == "__main__":
    main()
