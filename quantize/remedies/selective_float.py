"""Selective float: the layers that harm the masks most are not quantized."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.convert.mending.mend_burden import Burden, weigh
from portrait_tflite.images import Floats
from portrait_tflite.quantize.ranged_network import MOVES, RangedNetwork, quantize_network
from portrait_tflite.quantize.remedies.linear_ops import (
    linear_ops,
    read_bias,
    read_weights,
    write_bias,
    write_weights,
)
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quantize.remedies.remedy import OnShare, Treated
from portrait_tflite.quantize.sensitivity import harm_of, masks_of_file, sensitivity
from portrait_tflite.quantize.tensor_ranges import Frames
from portrait_tflite.vocabulary import FloatLayer, Harm, LayerError, OutputSpec

_PICTURES = 16
_LEAST = 0.1  # points that a layer must harm by to be a candidate
_LITTLE = 0.05  # of what masks lose: who gains less is one too many, ...
_PATIENCE = 4  # ... and after so many in a row nobody is left to blame
_MOST = 16  # candidates
_NO_WORSE = 0.2  # points that one step may lose, since tensors in a row help only together
_RANKING = 0.6  # its share of the work


@dataclass(frozen=True)
class SelectiveFloat:
    """Keep ranked layers in float, one after the other, within a budget.

    A tensor that int8 has too few steps for needs the op that gives it and those that read it in
    float; constants only their own op. Between float and int8 stand QUANTIZE and DEQUANTIZE, which
    XNNPACK takes: they cost work, but mostly no partition.

    Attributes:
        output: Which output is the mask.
        layers: Names of the Keras layers where they are known.
        max_cost: Most that the file may cost by the table of ARM, plain int8 being 1.
        more_partitions: How many partitions of XNNPACK it may have more than plain int8.
        enough: Points of mIoU between its masks and float's at which it stops.
    """

    output: OutputSpec = field(default_factory=OutputSpec)
    layers: tuple[str, ...] = ()
    max_cost: float = 1.25
    more_partitions: int = 1
    enough: float = 0.3
    name: str = "selective_float"

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | None:
        """Keep in float what is worth it; None where nothing is, or nothing fits the budget."""
        errors = sensitivity(
            network, frames, self.output, self.layers, lambda share: on_share(_RANKING * share)
        )
        worst = [error for error in errors if error.points >= _LEAST][:_MOST]
        trial = _Trial(self, network, spread(frames, _PICTURES))
        chosen, doubtful = _choose(trial, worst, on_share)
        if not chosen:
            return None
        kept = _spared(trial, chosen, doubtful)
        on_share(1.0)
        found = trial.attempt(kept)
        return Treated(found.network, _detail(trial, found, kept), self._named(network, kept))

    def _named(self, network: RangedNetwork, kept: Sequence[LayerError]) -> tuple[FloatLayer, ...]:
        """Name every layer in float, with the reason."""
        model = read_model(network.data)
        name_of = name_layers(model, self.layers)
        reasons: dict[str, str] = {}
        for error in kept:
            for tensor in _ops_of(list_nodes(model), error):
                reason = f"{_reason(error)}, the {_RANKS.get(error.rank, f'{error.rank}th')} worst"
                if tensor != error.tensor:
                    reason = f"reads what {error.layer} gives in float"
                reasons.setdefault(name_of(tensor) or tensor, reason)
        return tuple(FloatLayer(layer, reason) for layer, reason in reasons.items())


_RANKS = {1: "very", 2: "2nd", 3: "3rd", 21: "21st", 22: "22nd", 23: "23rd"}


@dataclass(frozen=True, eq=False)
class _Attempt:
    """A network with some layers in float, and what it came to."""

    network: RangedNetwork
    harm: Harm
    burden: Burden


class _Trial:
    """Quantizes a network with other layers in float each time, and compares the masks."""

    def __init__(
        self, remedy: SelectiveFloat, network: RangedNetwork, frames: Sequence[Frames]
    ) -> None:
        self._network = network
        self._frames = frames
        self._output = remedy.output
        self.enough = remedy.enough
        self._nodes = list_nodes(read_model(network.data))
        self._expected: list[Floats] = masks_of_file(network.reference, frames, remedy.output)
        self.plain = weigh(quantize_network(replace(network, in_float=frozenset())))
        self._remedy = remedy

    def attempt(self, errors: Iterable[LayerError]) -> _Attempt:
        """Keep in float what spares the network these errors."""
        names = self.names(errors)
        network = replace(
            self._network,
            data=_unrounded(self._network, names),
            in_float=self._network.in_float | names,
        )
        data = quantize_network(network)
        masks = masks_of_file(data, self._frames, self._output)
        return _Attempt(network, harm_of(masks, self._expected), weigh(data))

    def names(self, errors: Iterable[LayerError]) -> set[str]:
        """Name the tensors whose ops are in float then."""
        return {name for error in errors for name in _ops_of(self._nodes, error)}

    def affordable(self, burden: Burden) -> bool:
        """Tell whether a file is within the budget."""
        return (
            burden.cycles <= self._remedy.max_cost * self.plain.cycles
            and burden.partitions <= self.plain.partitions + self._remedy.more_partitions
            and burden.outside <= self.plain.outside
        )


def _unrounded(network: RangedNetwork, names: Collection[str]) -> bytes:
    """Give ops in float the weights and biases that they had before these were fitted to int8."""
    if network.exact is None:
        return network.data
    model, exact = read_model(network.data), read_model(network.exact)
    ops = {op.node.tensor: op for op in linear_ops(model)}
    for op in linear_ops(exact):
        if op.node.tensor in names:
            write_weights(model, ops[op.node.tensor], read_weights(exact, op))
            write_bias(model, ops[op.node.tensor], read_bias(exact, op))
    return serialize(model)


def _choose(
    trial: _Trial, worst: Sequence[LayerError], on_share: Callable[[float], None]
) -> tuple[list[LayerError], list[LayerError]]:
    """Add layer after layer, the worst first, while that helps and is affordable.

    Returns:
        Those that were chosen, and those of them that gained nothing when they were.
    """
    chosen, doubtful = list[LayerError](), list[LayerError]()
    best = trial.attempt(chosen).harm
    idle = 0
    for done, error in enumerate(worst, start=1):
        if best.points <= trial.enough or idle == _PATIENCE:
            break
        if trial.names(chosen).issuperset(trial.names([error])):
            continue
        tried = trial.attempt([*chosen, error])
        gained = tried.harm.points <= (1 - _LITTLE) * best.points
        idle = 0 if gained else idle + 1
        if trial.affordable(tried.burden) and tried.harm.points <= best.points + _NO_WORSE:
            chosen, best = [*chosen, error], tried.harm
            doubtful += [] if gained else [error]
        on_share(_RANKING + (1 - _RANKING) * done / (len(worst) + 1))
    return chosen, doubtful


def _spared(
    trial: _Trial, chosen: Sequence[LayerError], doubtful: Sequence[LayerError]
) -> list[LayerError]:
    """Leave out again what gained nothing after all, the least first."""
    kept = list(chosen)
    best = trial.attempt(kept).harm
    for error in reversed(doubtful):
        others = [other for other in kept if other is not error]
        harm = trial.attempt(others).harm
        if others and harm.points <= max(best.points, trial.enough):
            kept, best = others, harm
    return kept


def _ops_of(nodes: Sequence[Node], error: LayerError) -> list[str]:
    """Name the tensors whose ops must be in float so that an error is not made."""
    spared = [error.tensor]
    if error.output.points >= error.constants.points / 4:
        spared += _readers(nodes, next(node for node in nodes if node.tensor == error.tensor))
    return spared


def _readers(nodes: Sequence[Node], source: Node) -> list[str]:
    """Name what reads an op's output, through all that only moves it."""
    given = {operand.index for operand in source.outputs}
    found = []
    for node in nodes:
        if not given.isdisjoint(operand.index for operand in node.given()):
            found.append(node.tensor)
            if node.op in MOVES:
                given |= {operand.index for operand in node.outputs}
    return found


def _reason(error: LayerError) -> str:
    what = "output" if error.output.points >= error.constants.points else "weights"
    return f"{what} in int8 alone: {error.points:.1f} points of mIoU"


def _detail(trial: _Trial, found: _Attempt, kept: Sequence[LayerError]) -> str:
    share = found.burden.cycles / trial.plain.cycles - 1
    ops = len(list_nodes(read_model(found.network.data)))
    return (
        f"{len(found.network.in_float)} of {ops} ops in "
        f"float for {', '.join(dict.fromkeys(error.layer for error in kept))}: ARM cost "
        f"{100 * share:+.0f} %, {found.burden.partitions} XNNPACK partitions"
    )
