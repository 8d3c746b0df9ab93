"""A concatenation of more tensors than XNNPACK takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import keras

from portrait_tflite.convert.graph import Value, apply_op
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single

# XNNPACK's CONCATENATION has five inputs at most.
_MOST = 5


class WideConcatenation:
    """Concatenates in groups of five at most.

    Given:  CONCATENATION(a, b, c, d, e, f) → y
    Result: CONCATENATION(CONCATENATION(a, b), c, d, e, f) → y

    Neighbours that are smallest together go first, so that the least is copied twice.
    """

    name = "wide_concatenation"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        if not isinstance(node.op, keras.layers.Concatenate) or len(node.inputs) <= _MOST:
            return None
        axis = node.op.axis
        return Site(
            layer=node.name,
            root=value,
            boundary=node.inputs,
            forms=single("grouped", lambda boundary: _grouped(node.name, boundary, axis)),
            reason=f"of {len(node.inputs)} tensors; XNNPACK takes {_MOST}",
        )


@dataclass(frozen=True)
class _Run:
    """A tensor, one of the given or several of them joined, with its number of elements."""

    value: Value
    size: int


def _grouped(name: str, values: Sequence[Value], axis: int) -> Value:
    runs = [_Run(value, prod(value.shape)) for value in values]
    while len(runs) > _MOST:
        count = min(_MOST, len(runs) - _MOST + 1)
        starts = range(len(runs) - count + 1)
        start = min(starts, key=lambda at: sum(run.size for run in runs[at : at + count]))
        group = runs[start : start + count]
        label = f"{name}_{len(runs)}"
        joined = _joined(label, [run.value for run in group], axis)
        runs[start : start + count] = [_Run(joined, sum(run.size for run in group))]
    return _joined(name, [run.value for run in runs], axis)


def _joined(name: str, values: list[Value], axis: int) -> Value:
    return apply_op(name, keras.layers.Concatenate(axis, name=name), values)
