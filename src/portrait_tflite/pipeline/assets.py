"""`--assets`: the folder that an app carries, or that is pushed to it. It needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from portrait_tflite.errors import UsageError
from portrait_tflite.output_folder import OutputFolder
from portrait_tflite.pipeline.golden import make_golden
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.report.files import MODEL, write_json
from portrait_tflite.report.model_json import model_json
from portrait_tflite.report.roles import shipped_variants
from portrait_tflite.vocabulary import SCHEMA, Report


def assets_folder(request: ConvertRequest) -> OutputFolder | None:
    """Open the folder of `--assets`; None where none was asked for.

    Raises:
        UsageError: It cannot be written, holds other things, or is the folder of the results.
    """
    if request.assets is None:
        return None
    if request.out is not None and request.out.resolve() == request.assets.resolve():
        raise UsageError(
            f"--assets must be another folder than --out. Received: {request.assets} for both."
        )
    return OutputFolder(request.assets, _earlier(request), force=request.force)


def write_assets(folder: Path, report: Report, files: Mapping[str, bytes]) -> None:
    """Write the variants for an app, `model.json`, golden inputs and masks to an empty folder.

    Args:
        files: Contents by variant; others than those for an app are passed over.
    """
    variants = shipped_variants(report)
    golden = make_golden(variants, files, report.model.spec)
    for name, variant in variants.items():
        (folder / variant.file).write_bytes(files[name])
    for name, data in golden.files.items():
        (folder / name).write_bytes(data)
    write_json(folder / MODEL, model_json(report, golden))


@contextmanager
def staged_assets(folder: OutputFolder | None) -> Iterator[Path | None]:
    """Stage the folder of `--assets`, if there is one."""
    if folder is None:
        yield None
        return
    with folder.staged() as staging:
        yield staging


def _earlier(request: ConvertRequest) -> frozenset[str]:
    """Name the files that an earlier run wrote to the folder, by its own `model.json`."""
    assert request.assets is not None
    if Path(request.source).resolve().parent == request.assets.resolve():
        return frozenset()  # what is converted must not be taken for what is replaced
    try:
        model = json.loads((request.assets / MODEL).read_text("utf-8"))
        if model["schema"] != SCHEMA or not model["golden"]:
            return frozenset()
        return frozenset({MODEL, *_named_files(model["variants"]), *_named_files(model["golden"])})
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return frozenset()


def _named_files(data: object) -> Iterator[str]:
    """Yield every `file` in a part of `model.json`."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "file":
                yield str(value)
            else:
                yield from _named_files(value)
    elif isinstance(data, list):
        for value in data:
            yield from _named_files(value)
