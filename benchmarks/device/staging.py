"""What is pushed: the folder of `convert --assets`, or as much of it as one file needs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import SCHEMA, Json

_MODEL = "model.json"


@dataclass(frozen=True)
class StagedModel:
    """A model as it is pushed.

    Attributes:
        folder: Holds `model.json` and all that it names.
        name: What its folder on the phone is called.
        sha256: Of `model.json`.
        variants: What is measured of it.
    """

    folder: Path
    name: str
    sha256: str
    variants: tuple[str, ...]


def stage_model(source: Path, folder: Path) -> StagedModel:
    """Copy a model to an empty folder, and nothing that does not belong to it.

    Args:
        source: A folder of `convert --assets`, or one `.tflite` in it.

    Raises:
        UsageError: There is no `model.json`, it is damaged, or a file is missing or another one.
    """
    home = source if source.is_dir() else source.parent
    model = _read(home / _MODEL, source)
    variants = _variants(model, source)
    try:
        for each in _files([model["variants"], model.get("golden", [])]):
            _copy(home, folder, each)
    except (KeyError, TypeError) as error:
        raise _unusable(home / _MODEL, f"in which something is missing: {error}") from error
    # Without them nobody knows whether the phone's masks are right.
    if not model.get("golden"):
        raise _unusable(home / _MODEL, "without golden masks")
    shutil.copyfile(home / _MODEL, folder / _MODEL)
    digest = hashlib.sha256((folder / _MODEL).read_bytes()).hexdigest()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", str(model.get("name", ""))).strip("-.") or "model"
    return StagedModel(folder, f"{safe}-{digest[:8]}", digest, variants)


def _read(path: Path, source: Path) -> Json:
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(
            "a folder of `convert --assets`, or a .tflite in one, is required for a phone. "
            f"Received: {source}, without a {_MODEL}."
        ) from None
    except (OSError, ValueError) as error:
        raise _unusable(path, f"which cannot be read ({error})") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA or not data.get("variants"):
        raise _unusable(path, f"which is none of schema {SCHEMA} with variants")
    return data


def _unusable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"a {_MODEL} that `convert` writes is required. Received: {path}, {reason}. "
        "Convert the model again with --assets."
    )


def _variants(model: Json, source: Path) -> tuple[str, ...]:
    if source.is_dir():
        return tuple(model["variants"])
    found = [n for n, each in model["variants"].items() if each.get("file") == source.name]
    if not found:
        listed = ", ".join(str(each.get("file")) for each in model["variants"].values())
        raise UsageError(
            f"a file that the {_MODEL} beside it lists is required for a phone. Received: "
            f"{source}; listed: {listed}."
        )
    return tuple(found)


def _files(data: object) -> Iterator[Json]:
    """Yield every record of a file in a part of `model.json`."""
    if isinstance(data, dict):
        if "file" in data:
            yield data
        yield from (each for value in data.values() for each in _files(value))
    elif isinstance(data, list):
        yield from (each for value in data for each in _files(value))


def _copy(home: Path, folder: Path, record: Json) -> None:
    name = str(record["file"])
    path = home / name
    if Path(name).name != name or not path.is_file():
        raise UsageError(
            f"all files that {_MODEL} names are required. Received: {home} without {name}. "
            "Convert the model again with --assets."
        )
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != record["sha256"]:
        raise UsageError(
            f"the files that {_MODEL} was written with are required. Received: {path}, which is "
            "another. Convert the model again with --assets."
        )
    (folder / name).write_bytes(data)
