"""Write flatbuffers of a schema that no generated code is at hand for.

A table is a mapping from the number of a field, in the order of its schema, to its value. Absent
fields have their default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import flatbuffers
import numpy as np

# The schema's `force_align` of nested flatbuffers.
_ALIGNMENT = 16


@dataclass(frozen=True)
class Byte:
    """An enum, or the type of a union."""

    number: int


@dataclass(frozen=True)
class Uint:
    """A whole number of 32 bits."""

    number: int


@dataclass(frozen=True)
class Floats:
    """A vector of 32-bit floats."""

    numbers: Sequence[float]


Value: TypeAlias = "Byte | Uint | Floats | str | bytes | Sequence[Table] | Table"
Table: TypeAlias = Mapping[int, Value]


def write_flatbuffer(root: Table, identifier: bytes) -> bytes:
    """Write a root table; the same table always gives the same bytes.

    Args:
        root: By field numbers.
        identifier: The schema's four bytes.
    """
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write_table(builder, root), identifier)
    return bytes(builder.Output())


def _write_table(builder: flatbuffers.Builder, table: Table) -> int:
    # What a table points to must be complete before the table begins.
    offsets = {
        field: _write(builder, value)
        for field, value in table.items()
        if not isinstance(value, Byte | Uint)
    }
    builder.StartObject(max(table, default=-1) + 1)
    for field, value in table.items():
        if isinstance(value, Byte):
            builder.PrependByteSlot(field, value.number, 0)
        elif isinstance(value, Uint):
            builder.PrependUint32Slot(field, value.number, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, offsets[field], 0)
    return int(builder.EndObject())


def _write(builder: flatbuffers.Builder, value: Value) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        return _write_bytes(builder, value)
    if isinstance(value, Floats):
        return int(builder.CreateNumpyVector(np.asarray(value.numbers, np.float32)))
    if isinstance(value, Mapping):
        return _write_table(builder, value)
    assert not isinstance(value, Byte | Uint)  # these stand in the table itself
    offsets = [_write_table(builder, one) for one in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _write_bytes(builder: flatbuffers.Builder, data: bytes) -> int:
    builder.StartVector(1, len(data), _ALIGNMENT)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    return int(builder.EndVector())
