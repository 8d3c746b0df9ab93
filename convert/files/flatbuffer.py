"""Read, write and rename finished `.tflite` files.

What the object API of the schema gives, and one must know when touching it:

- Names are `bytes`; index lists are numpy arrays, and None where the vector is empty or absent.
- An op's builtin code is the larger of two fields: files older than schema 3a fill only the first,
  which is one byte wide and holds 127 for every newer op.
- Buffer 0 is empty and stands for "no data"; a tensor without data is computed or an input.
- The order of a graph's outputs need not be that of its signature.
- A quantization record without scales means not quantized.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.errors import UsageError

FILE_IDENTIFIER = b"TFL3"

_BUFFER_ALIGNMENT = 16  # force_align of the schema's Buffer.data, which its Python writer ignores
_DEPRECATED_LIMIT = 127  # "look at the other field" in the one-byte builtin code

BUILTIN_CODES: dict[str, int] = {
    name: code for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}
BUILTIN_NAMES: dict[int, str] = {code: name for name, code in BUILTIN_CODES.items()}


def read_model(source: Path | bytes) -> schema.ModelT:
    """Read a `.tflite` and check that it is whole.

    Raises:
        UsageError: Missing, empty, truncated or not a `.tflite`; indices that point nowhere; or
            weights in another file.
    """
    data, name = _read_bytes(source)
    if data[4:8] != FILE_IDENTIFIER:
        kind = "an empty file" if not data else "another kind of file"
        raise UsageError(f"a .tflite file is required. Received: {name} ({kind}).")
    try:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        _bring_inside(model, data)
        for buffer in (model.buffers or [])[:1]:
            buffer.data = None  # stands for no data; some writers give it a vector of no bytes
        fault = _find_fault(model)
    except Exception as error:  # the reader trips over broken offsets in a dozen ways
        raise UsageError(
            f"a whole .tflite file is required. Received: {name}, which is damaged or cut off."
        ) from error
    if fault:
        raise UsageError(f"a whole .tflite file is required. Received: {name}: {fault}.")
    return model


def serialize(model: schema.ModelT) -> bytes:
    """Write a model; the same model always gives the same bytes.

    Buffers are aligned to 16 bytes as the schema demands, which the schema's own writer does not.
    """
    builder = flatbuffers.Builder(1 << 16)
    buffers = model.buffers
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in buffers]
    try:
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    finally:
        model.buffers = buffers
    return bytes(builder.Output())


def builtin_code(code: schema.OperatorCodeT) -> int:
    """Return an op code's builtin number, whichever field holds it."""
    return max(int(code.deprecatedBuiltinCode), int(code.builtinCode))


def op_name(code: schema.OperatorCodeT) -> str:
    """Name an op code: `CONV_2D`, or `CUSTOM:name`; `UNKNOWN:n` where the schema has no name."""
    number = builtin_code(code)
    if number == BUILTIN_CODES["CUSTOM"]:
        return f"CUSTOM:{text(code.customCode)}"
    return BUILTIN_NAMES.get(number, f"UNKNOWN:{number}")


def op_code_index(model: schema.ModelT, op: str, version: int) -> int:
    """Find the op code of a builtin at a version, adding it where the file has none."""
    for index, code in enumerate(model.operatorCodes):
        if op_name(code) == op and code.version == version:
            return index
    number = BUILTIN_CODES[op]
    code = schema.OperatorCodeT(
        deprecatedBuiltinCode=min(number, _DEPRECATED_LIMIT), version=version, builtinCode=number
    )
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def rename_io(
    model: schema.ModelT, inputs: Sequence[str] = ("image",), outputs: Sequence[str] = ("mask",)
) -> None:
    """Rename the first inputs and outputs, in the graph and in its signatures.

    The first in the graph's order, which is the interpreter's; names that are left over are not
    used.
    """
    graph = model.subgraphs[0]
    ends = [dict(zip(indices(graph.inputs), inputs, strict=False))]
    ends += [dict(zip(indices(graph.outputs), outputs, strict=False))]
    for tensor, name in (pair for names in ends for pair in names.items()):
        graph.tensors[tensor].name = name.encode()
    for signature in model.signatureDefs or []:
        if signature.subgraphIndex != 0:
            continue
        for maps, names in zip((signature.inputs, signature.outputs), ends, strict=True):
            for entry in maps or []:
                if entry.tensorIndex in names:
                    entry.name = names[entry.tensorIndex].encode()


def end_names(data: bytes) -> tuple[list[str], list[str]]:
    """Return the names of a file's inputs and outputs, in the graph's order."""
    graph = read_model(data).subgraphs[0]
    inputs, outputs = (
        [text(graph.tensors[number].name) for number in indices(ends)]
        for ends in (graph.inputs, graph.outputs)
    )
    return inputs, outputs


def text(name: bytes | str | None) -> str:
    """Decode a name of the schema; absent is ""."""
    return name.decode(errors="replace") if isinstance(name, bytes) else name or ""


def indices(vector: Iterable[Any] | None) -> list[int]:
    """Turn an index vector of the schema into plain integers; absent is empty."""
    return [] if vector is None else [int(index) for index in vector]


class _AlignedBuffer:
    """Stands in for the schema's buffer while writing, to align its data."""

    def __init__(self, data: Any) -> None:
        self._data = None if data is None else np.asarray(data, np.uint8).tobytes()

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - the name that the schema's writer calls
        vector = self._data and self._pack_data(builder, self._data)
        schema.BufferStart(builder)
        if vector:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)

    @staticmethod
    def _pack_data(builder: Any, data: bytes) -> Any:
        builder.StartVector(1, len(data), _BUFFER_ALIGNMENT)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        return builder.EndVector()


def _read_bytes(source: Path | bytes) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, f"{len(source)} bytes"
    if not source.is_file():
        what = "a folder" if source.is_dir() else "no such file"
        raise UsageError(f"a .tflite file is required. Received: {source} ({what}).")
    return source.read_bytes(), str(source)


def _find_fault(model: schema.ModelT) -> str:
    """Say what is wrong with a model that could be parsed, or ""."""
    if not model.subgraphs or not model.buffers or not model.operatorCodes:
        return "it holds no graph"
    if model.externalBuffers:
        return "weights in another file are not handled; export them into the .tflite"
    return next((fault for graph in model.subgraphs if (fault := _graph_fault(model, graph))), "")


def _bring_inside(model: schema.ModelT, data: bytes) -> None:
    """Take in the weights that stand behind the flatbuffer: ai-edge-quantizer writes them there."""
    for buffer in model.buffers or []:
        start, size = int(buffer.offset), int(buffer.size)
        if start <= 1:  # 0 and 1 both mean: inside
            continue
        if start + size > len(data):
            raise ValueError("weights behind the end of the file")
        buffer.data = np.frombuffer(data, np.uint8, size, start)
        buffer.offset = buffer.size = 0


def _graph_fault(model: schema.ModelT, graph: schema.SubGraphT) -> str:
    if not graph.tensors or not graph.operators:
        return "its graph holds no tensors or no ops"
    tensors = len(graph.tensors)
    if not all(0 <= tensor.buffer < len(model.buffers) for tensor in graph.tensors):
        return "a tensor's data is missing"
    for operator in graph.operators:
        if not 0 <= operator.opcodeIndex < len(model.operatorCodes):
            return "an op is not listed"
        if operator.largeCustomOptionsOffset > 1:
            return "options stored behind the flatbuffer are not handled"
        if not all(-1 <= index < tensors for index in indices(operator.inputs)):
            return "an op reads a tensor that is not there"
        if not all(0 <= index < tensors for index in indices(operator.outputs)):
            return "an op writes a tensor that is not there"
    ends = indices(graph.inputs) + indices(graph.outputs)
    if not all(0 <= index < tensors for index in ends):
        return "an input or output is not there"
    return ""
