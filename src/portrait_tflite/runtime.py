"""Run `.tflite` files: every LiteRT interpreter of the project is made here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from portrait_tflite.errors import UnavailableError, UsageError
from portrait_tflite.quiet import quiet
from portrait_tflite.tensor_values import Array
from portrait_tflite.vocabulary import Delegate, TensorInfo

_DELEGATE_ROW = "DELEGATE"


@dataclass(frozen=True)
class OutsideNode:
    """An op of the file that no delegated partition holds.

    Attributes:
        index: Position in the file's first subgraph.
        op: Builtin name.
        tensor: Name of its first output.
        tensor_index: Index of that tensor.
    """

    index: int
    op: str
    tensor: str
    tensor_index: int


class Runner:
    """One interpreter with its tensors allocated; made by `open_model`.

    Attributes:
        inputs: The network's inputs, in the file's order.
        outputs: The network's outputs, in the file's order.
        partitions: Delegated partitions; 0 on the built-in kernels.
        outside: Ops that no partition holds; all of them on the built-in kernels.
        init_ms: Milliseconds that loading, delegating and allocating took.
    """

    def __init__(self, interpreter: Any, operators: int, init_ms: float) -> None:
        """Wrap an allocated interpreter whose file has `operators` ops."""
        self.init_ms = init_ms
        self._interpreter = interpreter
        self._input_indices = [d["index"] for d in interpreter.get_input_details()]
        self._output_indices = [d["index"] for d in interpreter.get_output_details()]
        self.inputs = tuple(_tensor_info(d) for d in interpreter.get_input_details())
        self.outputs = tuple(_tensor_info(d) for d in interpreter.get_output_details())
        self.partitions, self.outside = _partitions(interpreter, operators)

    def set_inputs(self, *arrays: Array) -> None:
        """Copy one array per input, each of the input's shape and dtype.

        Raises:
            UsageError: Another number of arrays, shape or dtype.
        """
        if len(arrays) != len(self.inputs):
            raise UsageError(f"{len(self.inputs)} inputs are required. Received: {len(arrays)}.")
        for index, info, array in zip(self._input_indices, self.inputs, arrays, strict=True):
            if array.shape != info.shape or array.dtype != info.dtype:
                raise UsageError(
                    f"input {info.name!r} must be {info.dtype} {info.shape}. "
                    f"Received: {array.dtype} {array.shape}."
                )
            self._interpreter.set_tensor(index, array)

    def run(self, *arrays: Array) -> list[Array]:
        """Run once and return the outputs in their own dtypes.

        Raises:
            UsageError: Arrays that do not fit, or the runtime gave up inside the graph.
        """
        self.set_inputs(*arrays)
        self._invoke()
        return [self._interpreter.get_tensor(index) for index in self._output_indices]

    def known_shapes(self) -> dict[int, tuple[int, ...]]:
        """Shapes of the first graph's tensors by index; without those that only running tells."""
        return {
            details["index"]: tuple(int(size) for size in details["shape"])
            for details in self._interpreter.get_tensor_details()
            if self._is_allocated(details["index"])
        }

    def time_once(self) -> float:
        """Run on the inputs already set; the milliseconds it took."""
        start = time.perf_counter_ns()
        self._invoke()
        return (time.perf_counter_ns() - start) / 1e6

    def _is_allocated(self, index: int) -> bool:
        try:
            self._interpreter.tensor(index)()
        except ValueError:  # no memory is set aside for it
            return False
        return True

    def _invoke(self) -> None:
        try:
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"a .tflite that runs is required. Received: one that failed: {_one_line(error)}"
            ) from error


def open_model(
    model: Path | bytes,
    delegate: Delegate = Delegate.XNNPACK,
    threads: int = 1,
    name: str = "bytes",
) -> Runner:
    """Open a `.tflite` on the built-in kernels (`CPU`) or with XNNPACK.

    Args:
        name: What messages call a file that is given as bytes.

    Raises:
        UsageError: No such file, not a `.tflite`, a custom op, or refused by the runtime; or one
            of which the runtime would end the process.
        UnavailableError: `Delegate.GPU`, which this interpreter has not.
    """
    data = _read(model)
    if delegate is Delegate.GPU:
        raise UnavailableError(
            "cpu or xnnpack is required here. Received: gpu, which this interpreter has not."
        )
    with quiet():
        return _open(data, delegate, threads, str(model) if isinstance(model, Path) else name)


def runs_on(data: bytes, delegate: Delegate) -> bool:
    """Tell whether the runtime takes a `.tflite`: XNNPACK claims some ops and then fails on them.

    Raises:
        UsageError: Not a `.tflite`.
    """
    _read(data)
    try:
        open_model(data, delegate)
    except UsageError:
        return False
    return True


def time_inferences(runner: Runner, runs: int) -> list[float]:
    """Time single inferences on the inputs already set, in milliseconds."""
    return [runner.time_once() for _ in range(runs)]


def _read(model: Path | bytes) -> bytes:
    if isinstance(model, bytes):
        data, name = model, "bytes"
    else:
        if not model.is_file():
            raise UsageError(f"a .tflite file is required. Received: {model} (no such file).")
        data, name = model.read_bytes(), str(model)
    if data[4:8] != b"TFL3":
        raise UsageError(f"a .tflite file is required. Received: {name}, which is none.")
    return data


def _open(data: bytes, delegate: Delegate, threads: int, name: str) -> Runner:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = {
        Delegate.CPU: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        Delegate.XNNPACK: OpResolverType.BUILTIN,
    }[delegate]
    try:
        start = time.perf_counter_ns()
        interpreter = Interpreter(
            model_content=data, num_threads=threads, experimental_op_resolver_type=resolver
        )
        loaded = time.perf_counter_ns()
        require_harmless(data, delegate, name)
        # XNNPACK joins in allocate_tensors: until then the rows are the file's own ops.
        operators = len(interpreter._get_ops_details())
        allocating = time.perf_counter_ns()
        interpreter.allocate_tensors()
        init_ns = time.perf_counter_ns() - allocating + loaded - start
        return Runner(interpreter, operators, init_ns / 1e6)
    except (RuntimeError, ValueError) as error:  # a name that is no UTF-8 is a ValueError too
        raise UsageError(
            f"a .tflite that the runtime loads is required. Received: {name}: {_one_line(error)}"
        ) from error


def require_harmless(data: bytes, delegate: Delegate, name: str) -> None:
    """Refuse a file that would end the process.

    Args:
        data: A whole `.tflite`, as the runtime has checked it.

    Raises:
        UsageError: An op ends it; it is named.
    """
    from portrait_tflite.deadly_ops import find_deadly_op

    if deadly := find_deadly_op(data, delegate):
        raise UsageError(
            f"a .tflite that the runtime survives is required. Received: {name}: {deadly}. "
            "Quantize the network anew."
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _tensor_info(details: dict[str, Any]) -> TensorInfo:
    parameters = details["quantization_parameters"]
    quantized = len(parameters["scales"]) > 0
    return TensorInfo(
        name=details["name"],
        shape=tuple(int(size) for size in details["shape"]),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(parameters["scales"][0]) if quantized else 0.0,
        zero_point=int(parameters["zero_points"][0]) if quantized else 0,
    )


def _partitions(interpreter: Any, operators: int) -> tuple[int, tuple[OutsideNode, ...]]:
    """Count the delegated partitions and find the ops outside all of them.

    The runtime appends one DELEGATE row per partition and keeps listing the ops it took over. An
    op is inside where a walk back from a row's outputs reaches it before the row's inputs, or where
    nobody needs it and the row has all that it reads.
    """
    rows = interpreter._get_ops_details()
    own, delegated = rows[:operators], rows[operators:]
    producer = {int(t): row["index"] for row in own for t in row["outputs"]}
    outputs = [int(details["index"]) for details in interpreter.get_output_details()]
    needed = _needed(own, outputs)
    inside: set[int] = set()
    for row in delegated:
        found = _walk_back(row, own, producer)
        inside |= found | _idle_inside(row, own, found, needed, outputs)
    outside = tuple(
        OutsideNode(row["index"], row["op_name"], *_first_output(interpreter, row["outputs"]))
        for row in own
        if row["index"] not in inside
    )
    return sum(row["op_name"] == _DELEGATE_ROW for row in delegated), outside


def _walk_back(row: dict[str, Any], own: list[Any], producer: dict[int, int]) -> set[int]:
    borders = {int(tensor) for tensor in row["inputs"]}
    found: set[int] = set()
    pending = [int(tensor) for tensor in row["outputs"]]
    while pending:
        tensor = pending.pop()
        node = producer.get(tensor)
        if tensor in borders or node is None or node in found:
            continue
        found.add(node)
        pending.extend(int(source) for source in own[node]["inputs"])
    return found


def _needed(own: list[Any], outputs: Sequence[int]) -> set[int]:
    """Find the ops that the outputs of the graph are computed by."""
    wanted, found = set(outputs), set()
    for row in reversed(own):
        if not wanted.isdisjoint(int(tensor) for tensor in row["outputs"]):
            found.add(row["index"])
            wanted.update(int(tensor) for tensor in row["inputs"])
    return found


def _idle_inside(
    row: dict[str, Any], own: list[Any], inside: set[int], needed: set[int], outputs: Sequence[int]
) -> set[int]:
    """Find the ops of a row that no output needs: no walk comes by them.

    A row has all that its ops read for an input, constants too, of which few belong to two ops.
    What it hands out that is no output of the graph, an op outside reads.
    """
    known = {int(tensor) for tensor in row["inputs"]}
    known.update(int(t) for index in inside for t in own[index]["outputs"])
    handed_out = {int(tensor) for tensor in row["outputs"]} - set(outputs)
    found: set[int] = set()
    for op in own:
        sources = {int(tensor) for tensor in op["inputs"]} - {-1}
        if op["index"] not in needed and sources <= known - handed_out:
            found.add(op["index"])
            known.update(int(tensor) for tensor in op["outputs"])
    return found


def _first_output(interpreter: Any, outputs: Sequence[int]) -> tuple[str, int]:
    if not len(outputs):
        return "", -1
    index = int(outputs[0])
    return str(interpreter._get_tensor_details(index, 0)["name"]), index
