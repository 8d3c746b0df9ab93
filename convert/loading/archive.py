"""What can be learnt of a model file before Keras touches it, and what must be refused there.

Nothing in here builds a layer or runs code of the file.
"""

from __future__ import annotations

import json
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

import h5py

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Json

KERAS_SUFFIX = ".keras"
H5_SUFFIXES = (".h5", ".hdf5")
CONFIG = "config.json"
WEIGHTS = "model.weights.h5"

_ZIP_MAGIC, _H5_MAGIC = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_ACCEPTED = ".keras, a whole-model .h5, a SavedModel folder or a net of the zoo"


def read_config(path: Path) -> Json:
    """Read the architecture that a `.keras` or whole-model `.h5` holds.

    Raises:
        UsageError: There is no such file, it is empty, damaged or no Keras model, or its archive
            would write outside of its own folder.
    """
    magic = _read_magic(path)
    if path.suffix.lower() == KERAS_SUFFIX:
        text = _read_zip_config(path, magic)
    elif path.suffix.lower() in H5_SUFFIXES:
        text = _read_h5_config(path, magic)
    else:
        raise UsageError(f"a Keras model is required ({_ACCEPTED}). Received: {path}.")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged: its architecture is no JSON ({error}).") from error
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise UsageError(f"{path} holds no Keras model: its architecture has no layers.")
    return config


def _read_magic(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"a model file is required. Received: {path}, where there is none.")
    try:
        with path.open("rb") as file:
            magic = file.read(8)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    if not magic:
        raise UsageError(f"{path} is empty (0 bytes); a Keras model is required. Save it again.")
    return magic


def _read_zip_config(path: Path, magic: bytes) -> str:
    if magic == _H5_MAGIC:
        raise UsageError(f"{path} is an HDF5 file, not a .keras archive. Rename it to .h5.")
    if not magic.startswith(_ZIP_MAGIC):
        raise UsageError(f"{path} is no Keras file: a .keras archive begins with 'PK'.")
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_escapes(path, archive)
            damaged = archive.testzip()
            if damaged is not None:
                raise UsageError(f"{path} is damaged: {damaged} in it fails its checksum.")
            _require_members(path, archive)
            return archive.read(CONFIG).decode("utf-8", errors="replace")
    # The last two: an encrypted member, and a compression that Python lacks.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UsageError(
            f"{path} is truncated or damaged ({error}). Copy or save the model again."
        ) from error


def _refuse_escapes(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse members that would land outside of the folder that they are unpacked to."""
    for member in archive.infolist():
        name = member.filename
        parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
        absolute = name.startswith(("/", "\\")) or bool(PureWindowsPath(name).drive)
        if absolute or ".." in parts or stat.S_ISLNK(member.external_attr >> 16):
            raise UsageError(
                f"{path} is refused: its member {name!r} would be written outside of the archive. "
                "No Keras version saves such a file; do not trust where it comes from."
            )


def _require_members(path: Path, archive: zipfile.ZipFile) -> None:
    missing = {CONFIG, WEIGHTS} - set(archive.namelist())
    if missing:
        raise UsageError(
            f"{path} is no whole Keras model: {' and '.join(sorted(missing))} missing in the "
            "archive. Save it with model.save()."
        )


def _read_h5_config(path: Path, magic: bytes) -> str:
    if magic != _H5_MAGIC:
        raise UsageError(f"{path} is no Keras file: an .h5 begins with '\\x89HDF'.")
    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
    except OSError as error:
        raise UsageError(f"{path} is truncated or damaged. Copy or save it again.") from error
    if config is None:
        raise UsageError(
            f"{path} holds weights only, no architecture; a whole model is required. "
            "Load the weights into the network in Python and save that with model.save()."
        )
    return config.decode("utf-8") if isinstance(config, bytes) else str(config)
