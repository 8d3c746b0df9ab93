"""ARM cost: what one inference of a `.tflite` executes on LiteRT's own arm64 build."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portrait_tflite.benchmarks.arm.counts import Counts
from portrait_tflite.benchmarks.arm.emulator import CPU, Emulator, EmulatorError, RefusedModelError
from portrait_tflite.benchmarks.arm.emulator_pool import EmulatorPool
from portrait_tflite.benchmarks.arm.setup import require_program
from portrait_tflite.benchmarks.arm.single_ops import cut_ops
from portrait_tflite.benchmarks.cell import find_damage
from portrait_tflite.benchmarks.machine import usable_cores
from portrait_tflite.errors import UnavailableError, UsageError
from portrait_tflite.tensor_values import Array, random_input
from portrait_tflite.vocabulary import ArmCost, ArmOpCost, Delegate, Fault

TIMEOUT_S = 1800.0

# The first run of a model does something that later ones need not: 0.003 million cycles with
# XNNPACK, up to 0.03 without, on ten nets. Above this many cycles that is under 0.1 %, and the
# first run counts; a second one takes up to a minute for a large float net.
_LARGE_CYCLES = 50e6


@dataclass(frozen=True)
class ArmCell:
    """A file on a delegate: one ARM cost."""

    variant: str
    path: Path
    delegate: Delegate


def count_files(
    cells: Sequence[ArmCell],
    *,
    per_op: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> list[ArmCost]:
    """Count one inference of every cell; several at a time, which changes no count.

    Args:
        per_op: Count each op alone, too; `ops` stays empty where one does not run alone.
        on_progress: Called with `(cells done, cells)`.
        timeout_s: The longest that one step may take: to load a model, or to run it.

    Returns:
        One cost per cell, in their order; `unavailable` says why a cell was not counted.
    """
    try:
        program = require_program()
    except UnavailableError as error:
        return [_unavailable(cell, str(error), Fault.MACHINE) for cell in cells]
    with _threads(len(cells)) as threads, EmulatorPool(program, timeout_s) as pool:
        futures = [threads.submit(_count_cell, pool, cell, per_op) for cell in cells]
        _follow(futures, on_progress)
    return [future.result() for future in futures]


def run_on_arm(
    path: Path, inputs: Sequence[Array], delegate: Delegate, timeout_s: float = TIMEOUT_S
) -> list[Array]:
    """Run a file once on the emulated arm64 machine and return its outputs.

    Args:
        inputs: One array per input, of its shape and dtype.

    Raises:
        UnavailableError: The machine is not set up, or the runtime crashed or hung.
        UsageError: No such file, refused by the runtime, or inputs that do not fit.
    """
    model = _read(path)
    with Emulator(require_program(), timeout_s) as emulator:
        try:
            loaded = emulator.load(model, xnnpack=delegate is Delegate.XNNPACK)
            wanted = [(info.dtype, info.shape) for info in loaded.inputs]
            given = [(array.dtype.name, array.shape) for array in inputs]
            if wanted != given:
                raise UsageError(f"inputs {wanted} are required for {path}. Received: {given}.")
            emulator.set_inputs(inputs)
            return emulator.outputs()
        except RefusedModelError as error:
            raise UsageError(
                f"a runnable .tflite is required. Received: {path}: {error}"
            ) from error
        except EmulatorError as error:
            raise UnavailableError(f"{path} must run on arm64. Received: {error}.") from error


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"a .tflite file is required. Received: {path} (no such file).")
    return path.read_bytes()


@contextmanager
def _threads(tasks: int) -> Iterator[ThreadPoolExecutor]:
    """Run tasks side by side; leaving early drops those that have not begun."""
    executor = ThreadPoolExecutor(max(1, min(usable_cores(), tasks)))
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _follow(
    futures: Sequence[Future[ArmCost]], on_progress: Callable[[int, int], None] | None
) -> None:
    for done, future in enumerate(as_completed(futures), 1):
        future.result()
        if on_progress:
            on_progress(done, len(futures))


def _count_cell(pool: EmulatorPool, cell: ArmCell, per_op: bool) -> ArmCost:
    if cell.delegate is Delegate.GPU:
        return _unavailable(cell, "the GPU delegate runs no arm64 code")
    damage = find_damage(cell.path)
    if damage:
        return _unavailable(cell, damage, Fault.FILE)
    model = cell.path.read_bytes()
    with pool.emulator() as emulator:
        try:
            counts, partitions = _count_model(emulator, model, cell.delegate)
        except (EmulatorError, RefusedModelError) as error:
            return _unavailable(cell, str(error), Fault.FILE)
        return ArmCost(
            variant=cell.variant,
            cpu=CPU,
            delegate=cell.delegate,
            instructions=counts.instructions,
            cycles=round(counts.cycles),
            vector=counts.vector,
            dot=counts.dot,
            load_store=counts.load_store,
            partitions=partitions,
            ops=_count_ops(emulator, model, cell.delegate) if per_op else (),
            bound=round(counts.bound),
        )


def _count_model(emulator: Emulator, model: bytes, delegate: Delegate) -> tuple[Counts, int]:
    """Count one inference on noise; also the number of delegated partitions."""
    loaded = emulator.load(model, xnnpack=delegate is Delegate.XNNPACK)
    rng = np.random.default_rng(0)
    emulator.set_inputs([random_input(info, rng) for info in loaded.inputs])
    counts = emulator.count()
    if counts.cycles < _LARGE_CYCLES:
        counts = emulator.count()
    return counts, loaded.partitions


def _count_ops(emulator: Emulator, model: bytes, delegate: Delegate) -> tuple[ArmOpCost, ...]:
    costs = []
    try:
        for one in cut_ops(model, delegate):
            counts, _ = _count_model(emulator, one.data, delegate)
            costs.append(ArmOpCost(one.op, one.layer, counts.instructions, round(counts.cycles)))
    except (EmulatorError, RefusedModelError, UsageError):
        return ()
    return tuple(costs)


def _unavailable(cell: ArmCell, reason: str, fault: Fault | None = None) -> ArmCost:
    return ArmCost(cell.variant, CPU, cell.delegate, unavailable=reason, fault=fault)
