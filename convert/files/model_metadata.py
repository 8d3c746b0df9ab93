"""Named records inside a `.tflite`, and files attached behind it.

A record is a buffer of the flatbuffer that no tensor uses. Attached files are a zip archive behind
the flatbuffer: a reader of the one does not see the other.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model, serialize, text

# The oldest that a zip can hold: what is attached must not change from day to day.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def records_of(data: bytes) -> dict[str, bytes]:
    """Return the named records of a file."""
    model = read_model(data)
    return {
        text(record.name): np.asarray(model.buffers[record.buffer].data, np.uint8).tobytes()
        for record in model.metadata or []
        if model.buffers[record.buffer].data is not None
    }


def with_record(data: bytes, name: str, content: bytes) -> bytes:
    """Return a file with a named record, in place of one of that name; what is attached stays.

    Raises:
        UsageError: It is no `.tflite`.
    """
    model = read_model(data)
    others = [record for record in model.metadata or [] if text(record.name) != name]
    model.buffers.append(schema.BufferT(data=np.frombuffer(content, np.uint8)))
    added = schema.MetadataT(name=name.encode(), buffer=len(model.buffers) - 1)
    model.metadata = [*others, added]
    return attach_files(serialize(model), attached_files(data))


def attached_files(data: bytes) -> dict[str, bytes]:
    """Return the files behind a `.tflite`, by name; none where there is no archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError):
        return {}


def without_files(data: bytes) -> bytes:
    """Return a `.tflite` without what is attached behind it."""
    return serialize(read_model(data)) if attached_files(data) else data


def attach_files(data: bytes, files: Mapping[str, bytes]) -> bytes:
    """Put files behind a `.tflite` that has none; the same files always give the same bytes."""
    if not files:
        return data
    whole = io.BytesIO(data)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return whole.getvalue()
