"""What a conversion was asked for, and what it comes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from portrait_tflite.convert.loading.load import LoadOptions
from portrait_tflite.convert.plan import (
    RewriteRequest,
)
from portrait_tflite.output_folder import OutputFolder
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.pictures import PictureRequest
from portrait_tflite.report.earlier_run import files_of_earlier_run
from portrait_tflite.vocabulary import (
    Delegate,
    IoType,
    ModelSpec,
    Precision,
    RemedyName,
    Report,
    Target,
)


@dataclass(frozen=True)
class ConvertRequest:
    """What `convert` was asked for; see its help for each.

    Attributes:
        source: Path or zoo name.
        tflite_spec: The spec of a `.tflite`, which says less of itself than a Keras file.
        min_runtime: Oldest runtime that must load every file, e.g. `2.9`, or "".
        delegates: What is benchmarked; empty for nothing.
        command: The command line, for the report.
        explained: Name of a layer that must exist, because it will be explained; or None.
        finetune: Folder of unlabelled pictures to recover approximate forms and int8 on, or None.
        remedies: What an int8 file may have that misses the gate; everything where None.
        float_budget: Percent of ARM cost that an int8 file may pay for layers in float; None for
            25, and no more than plain `TFLiteConverter`'s int8 file costs.
        metadata: Whether the files describe themselves to MediaPipe.
        assets: Folder for what an app needs, or None.
    """

    source: str
    out: Path | None = None
    load: LoadOptions = field(default_factory=LoadOptions)
    tflite_spec: ModelSpec | None = None
    variants: tuple[Precision, ...] = (Precision.FLOAT32, Precision.FLOAT16, Precision.INT8)
    pictures: PictureRequest = field(default_factory=PictureRequest)
    max_drop: float = 1.0
    io: IoType = IoType.INT8
    rewrite: RewriteRequest = field(default_factory=RewriteRequest)
    target: Target = Target.BOTH
    min_runtime: str = ""
    delegates: tuple[Delegate, ...] = tuple(Delegate)
    runs: int = 50
    baseline: bool = False
    force: bool = False
    command: str = ""
    explained: str | None = None
    finetune: Path | None = None
    remedies: tuple[RemedyName, ...] | None = None
    float_budget: float | None = None
    metadata: bool = False
    assets: Path | None = None


@dataclass(frozen=True)
class Converted:
    """The report, where it lies, and the gates that failed."""

    report: Report
    out: Path
    failures: tuple[str, ...]


@contextmanager
def stage(progress: Progress, description: str) -> Iterator[None]:
    with progress(1, description) as update:
        yield
        update(1)


def output_folder(request: ConvertRequest, name: str, stem: str) -> OutputFolder:
    """Open the folder to write to: the one asked for, or `STEM-tflite`.

    Args:
        name: The network's name: an earlier conversion of it may be replaced.
        stem: The source's own name.

    Raises:
        UsageError: It cannot be written, or holds other things.
    """
    out = request.out or Path(f"{stem}-tflite")
    earlier = files_of_earlier_run(out, name)
    if Path(request.source).resolve().parent == out.resolve():
        earlier = frozenset()  # what is converted must not be taken for what is replaced
    return OutputFolder(out, earlier, force=request.force)
