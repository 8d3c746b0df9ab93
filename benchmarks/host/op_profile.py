"""Where a network's time goes, op by op, with the delegate that each op ran in.

The figures are the runtime's own: LiteRT's profiler asks the built-in kernels and XNNPACK inside of
its delegate. Timing ever longer beginnings of the network and taking differences was the other way;
it times graphs that are not shipped (what is fused with the next op is cut), and an op of 20 µs is
lost in the scatter of the milliseconds before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.host.delegated_ops import assign_operators
from portrait_tflite.benchmarks.host.latency import pinned_cores
from portrait_tflite.benchmarks.worker_process import WorkerError, WorkerProcess
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.errors import UnavailableError
from portrait_tflite.vocabulary import Delegate, OpTime

_WORKER = "portrait_tflite.benchmarks.host.profile_worker"
_RUNS = 30


@dataclass(frozen=True)
class Event:
    """One op of one inference, as the runtime reports it.

    Attributes:
        name: The builtin's name, or XNNPACK's for its operator.
        delegated: Whether it ran inside of XNNPACK.
        index: The node's in the file, or the operator's in its partition.
        median_ms: Over the recorded runs; whole microseconds.
    """

    name: str
    delegated: bool
    index: int
    median_ms: float


def profile_ops(cell: Cell, layers: Sequence[str] = ()) -> tuple[OpTime, ...]:
    """Time the ops of a file, in a process of its own; in the order of execution.

    An op that took no time of its own is left out: it was fused into another, or done at start.

    Args:
        layers: Names of the Keras layers, where they are known.

    Raises:
        UnavailableError: The runtime has no profiler, or it cannot run the file.
    """
    model = read_model(cell.path)
    nodes, layer_of = list_nodes(model), name_layers(model, layers)
    times = sum_by_node(_record(cell), nodes)
    total = sum(milliseconds for _, milliseconds in times.values()) or 1.0
    return tuple(
        OpTime(
            op=nodes[index].op,
            layer=layer_of(nodes[index].tensor) or nodes[index].tensor,
            delegate=delegate,
            median_ms=milliseconds,
            share=milliseconds / total,
        )
        for index, (delegate, milliseconds) in times.items()
    )


def sum_by_node(
    events: Sequence[Event], nodes: Sequence[Node]
) -> dict[int, tuple[Delegate, float]]:
    """Sum the events of each node: index → (who ran it, ms).

    Raises:
        UnavailableError: The events are of another graph than the nodes.
    """
    outside = {event.index for event in events if not event.delegated}
    executed: set[int] = set()
    times: dict[int, tuple[Delegate, float]] = {}
    for delegated, group in groupby(events, key=lambda event: event.delegated):
        for index, event in _located(list(group), delegated, nodes, outside, executed):
            who = Delegate.XNNPACK if delegated else Delegate.CPU
            times[index] = who, times.get(index, (who, 0.0))[1] + event.median_ms
    return times


def _located(
    group: list[Event],
    delegated: bool,
    nodes: Sequence[Node],
    outside: set[int],
    executed: set[int],
) -> Iterator[tuple[int, Event]]:
    """Give each event its node, and mark the nodes as executed."""
    if not delegated:
        for event in group:
            if event.index >= len(nodes) or nodes[event.index].op != event.name:
                raise UnavailableError(f"a profile of this file is required. Received: {event}.")
            executed.add(event.index)
            yield event.index, event
        return
    partition = _partition(nodes, outside, executed)
    executed.update(partition)
    places = assign_operators([e.name for e in group], [nodes[i].op for i in partition])
    yield from ((partition[place], event) for place, event in zip(places, group, strict=True))


def _partition(nodes: Sequence[Node], outside: set[int], executed: set[int]) -> list[int]:
    """List the nodes that the delegate runs next: all whose inputs are there by then.

    The runtime makes partitions in the same way: as large as the order of execution lets them be.
    """
    made = {output.index for node in nodes for output in node.outputs}
    ready = {output.index for index in executed for output in nodes[index].outputs}
    found = []
    for node in nodes:
        if node.index in outside or node.index in executed:
            continue
        if all(source.index in ready or source.index not in made for source in node.given()):
            found.append(node.index)
            ready.update(output.index for output in node.outputs)
    if not found:
        raise UnavailableError("a profile of this file is required. Received: one of more ops.")
    return found


def _record(cell: Cell) -> list[Event]:
    cores = pinned_cores(cell.threads)
    with WorkerProcess(_WORKER) as worker:
        try:
            answer = worker.ask(
                "profile", str(cell.path), cell.delegate.value, cell.threads, cores, _RUNS
            )
        except WorkerError as error:
            raise UnavailableError(str(error)) from error
    return [Event(*row) for row in answer["events"]]
