"""A read-only view of a `.tflite` graph: its ops with their tensors, for rules and counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer import indices, op_name, text

DTYPES: dict[int, str] = {
    code: name.lower() for name, code in vars(schema.TensorType).items() if not name.startswith("_")
}


@dataclass(frozen=True)
class Operand:
    """A tensor as an op sees it.

    Attributes:
        shape: Its shape; -1 where a size is known only at run time.
        dtype: `float32`, `int8`, ….
        scale: Per-tensor scale, or that of the first channel; 0.0 where not quantized.
        channels: Number of scales; above 1 for a per-channel weight.
        data: The constant's bytes, or None where it is computed.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    channels: int
    data: NDArray[np.uint8] | None = field(compare=False, repr=False)

    @property
    def constant(self) -> bool:
        """Whether its value is in the file."""
        return self.data is not None

    @property
    def sized(self) -> bool:
        """Whether its size is in the file; of unknown size old files have no dimensions at all."""
        return bool(self.shape) and -1 not in self.shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Node:
    """One op of the first subgraph.

    Attributes:
        index: Its position in the graph.
        op: Builtin name, or `CUSTOM:name`.
        version: The op's version, which decides who can run it.
        options: The schema's option record, or None.
        inputs: Its inputs; None where an optional one is left out.
    """

    index: int
    op: str
    version: int
    options: Any
    inputs: tuple[Operand | None, ...]
    outputs: tuple[Operand, ...]

    @property
    def tensor(self) -> str:
        """Name of its first output."""
        return self.outputs[0].name if self.outputs else ""

    def given(self) -> tuple[Operand, ...]:
        """Its inputs without those left out."""
        return tuple(operand for operand in self.inputs if operand is not None)

    def option(self, name: str, default: Any = None) -> Any:
        """One field of its options, or the default where it has none."""
        return getattr(self.options, name, default)


def list_nodes(model: schema.ModelT) -> list[Node]:
    """List the ops of the first subgraph, which is the one that delegates see."""
    graph = model.subgraphs[0]
    operands = {i: _operand(model, i, tensor) for i, tensor in enumerate(graph.tensors)}
    return [_node(model, position, operands) for position in range(len(graph.operators))]


def read_node(model: schema.ModelT, position: int) -> Node:
    """Read one op of the first subgraph."""
    graph = model.subgraphs[0]
    operator = graph.operators[position]
    used = {*indices(operator.inputs), *indices(operator.outputs)} - {-1}
    return _node(model, position, {i: _operand(model, i, graph.tensors[i]) for i in used})


def op_names(model: schema.ModelT) -> list[str]:
    """List the ops of all subgraphs in execution order."""
    return [
        op_name(model.operatorCodes[operator.opcodeIndex])
        for graph in model.subgraphs
        for operator in graph.operators
    ]


def count_ops(model: schema.ModelT) -> dict[str, int]:
    """Count the ops by name, sorted by name."""
    return dict(sorted(Counter(op_names(model)).items()))


def count_macs(model: schema.ModelT) -> int:
    """Count the multiply-accumulates of one inference; convolutions and dense layers only."""
    return sum(_macs(node) for node in list_nodes(model))


def _macs(node: Node) -> int:
    """Each position of the output (transposed: of the input) sees every filter element once."""
    if node.op in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
        return _filter_size(node) * _positions(node.outputs[0])
    if node.op == "TRANSPOSE_CONV" and (source := node.inputs[2]) is not None:
        return _filter_size(node) * _positions(source)
    if node.op == "FULLY_CONNECTED":
        # filter: [units, depth]
        return _filter_size(node) * _positions(node.outputs[0])
    return 0


def _positions(operand: Operand) -> int:
    # All but the channels; a size known only at run time counts once.
    return int(np.prod([max(size, 1) for size in operand.shape[:-1]], dtype=np.int64))


def _filter_size(node: Node) -> int:
    weights = node.inputs[1]
    return weights.size if weights is not None else 0


def _node(model: schema.ModelT, position: int, operands: Mapping[int, Operand]) -> Node:
    operator = model.subgraphs[0].operators[position]
    code = model.operatorCodes[operator.opcodeIndex]
    return Node(
        index=position,
        op=op_name(code),
        version=int(code.version),
        options=operator.builtinOptions,
        inputs=tuple(operands[i] if i >= 0 else None for i in indices(operator.inputs)),
        outputs=tuple(operands[i] for i in indices(operator.outputs)),
    )


def _operand(model: schema.ModelT, index: int, tensor: schema.TensorT) -> Operand:
    quantization = tensor.quantization
    scales = [] if quantization is None else _values(quantization.scale)
    zero_points = [] if quantization is None else _values(quantization.zeroPoint)
    shape = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    data = model.buffers[tensor.buffer].data
    return Operand(
        index=index,
        name=text(tensor.name),
        shape=tuple(indices(shape)),
        dtype=DTYPES.get(tensor.type, f"type {tensor.type}"),
        scale=float(scales[0]) if scales else 0.0,
        zero_point=int(zero_points[0]) if scales and zero_points else 0,
        channels=len(scales),
        data=None if data is None else np.asarray(data, np.uint8),
    )


def _values(vector: Any) -> list[Any]:
    return [] if vector is None else list(vector)
