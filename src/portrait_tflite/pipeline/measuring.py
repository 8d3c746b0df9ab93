"""Latency and ARM cost of a conversion's files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.benchmarks.arm.count import ArmCell, count_files
from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.measure import measure_files
from portrait_tflite.images import Floats, prepare, read_usable
from portrait_tflite.pipeline.network import Network
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.accuracy.predictors import select_mask
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.quiet import quiet
from portrait_tflite.report.roles import is_shipped
from portrait_tflite.vocabulary import (
    ArmCost,
    BenchmarkResult,
    Delegate,
    ModelSpec,
    Precision,
    Variant,
)

# Pictures that the GPU's mask is held against the CPU's on; a software adapter takes its time.
_COMPARED_ON = 4


@dataclass(frozen=True)
class Measurements:
    """What the files take here, and what they would execute on a phone's core."""

    benchmarks: tuple[BenchmarkResult, ...] = ()
    arm_cost: tuple[ArmCost, ...] = ()


def measure(
    request: ConvertRequest,
    network: Network,
    pictures: Pictures,
    variants: Mapping[str, Variant],
    progress: Progress,
) -> Measurements:
    """Time every file on the delegates asked for, then count its ARM cost; nothing if none was.

    A cell that cannot be had here says why and keeps the others'.
    """
    if not request.delegates:
        return Measurements()
    with tempfile.TemporaryDirectory(prefix="portrait-tflite-") as folder:
        paths = _write(network, variants, Path(folder))
        cells = list(_cells(request, paths, variants))
        with progress(request.runs, "benchmarking") as update, quiet():
            timed = measure_files(
                cells,
                runs=request.runs,
                profile=True,
                images={
                    name: _inputs(pictures, network.own_spec(name) or network.spec)
                    for name in network.files
                },
                mask_of=lambda outputs: select_mask(outputs, network.spec.output),
                on_progress=update,
            )
        arm_cells = [ArmCell(name, path, Delegate.XNNPACK) for name, path in paths.items()]
        with progress(len(arm_cells), "counting ARM cost under qemu") as update, quiet():
            counted = count_files(arm_cells, per_op=True, on_progress=update)
    return Measurements(tuple(timed), tuple(counted))


def _write(network: Network, variants: Mapping[str, Variant], folder: Path) -> dict[str, Path]:
    paths = {}
    for name, data in network.everything.items():
        paths[name] = folder / variants[name].file
        paths[name].write_bytes(data)
    return paths


def _cells(
    request: ConvertRequest, paths: Mapping[str, Path], variants: Mapping[str, Variant]
) -> Iterator[Cell]:
    for name, path in paths.items():
        precision = name if name in list(Precision) else variants[name].input.dtype
        for delegate in request.delegates:
            # A plain conversion is what XNNPACK's figures are held against; the GPU has none.
            if is_shipped(name) or delegate is not Delegate.GPU:
                yield Cell(name, path, delegate, precision=precision)


def _inputs(pictures: Pictures, spec: ModelSpec) -> Sequence[Floats]:
    if spec.others:
        return ()  # what they are fed with besides is noise anyway
    paths = [sample.image for sample in pictures.samples[:_COMPARED_ON]]
    return [prepare(image, spec) for _, image in read_usable(paths)]
