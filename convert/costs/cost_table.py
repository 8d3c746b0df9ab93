"""Committed costs of single ops, and what they say about ops of other sizes.

A table holds a series of counted sizes per kind of op, stride and precision; `cost_series` says
what lies between them. `docs/cost-tables.md` tells how it is made and how far it is off.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from math import prod, sqrt
from pathlib import Path
from typing import Any

from portrait_tflite.convert.costs.cost_series import Axis, Series
from portrait_tflite.convert.costs.costed_op import BUILTIN, CostedOp
from portrait_tflite.errors import UsageError

SCHEMA = 1
TARGET = "arm64"  # by whose costs forms are chosen

_PHASED = frozenset({"TRANSPOSE_CONV", BUILTIN["TRANSPOSE_CONV"]})

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class CostTable:
    """Costs of single ops on a target.

    Attributes:
        target: `arm64`.
        unit: What a cost is, in words.
        versions: Of all that the costs were counted with.
        call: Cycles of one call of the runtime, which every op here is without.
        series: What was counted.
    """

    target: str
    unit: str
    versions: dict[str, str]
    call: int
    series: tuple[Series, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.call, int) or self.call < 0:
            raise ValueError(f"call {self.call!r}, which is no count of cycles")

    @staticmethod
    def load(target: str) -> CostTable:
        """Load the committed table of a target.

        Raises:
            UsageError: There is none.
        """
        return _load(target)

    def knows(self, kind: str, precision: str) -> bool:
        """Tell whether a kind of op was counted."""
        return any((s.kind, s.precision) == (kind, precision) for s in self.series)

    def op_cost(self, op: CostedOp, precision: str) -> float:
        """Return the cycles of one op inside of a network.

        Args:
            op: The op; at strides that were not counted, the nearest one that was stands for them.
            precision: `int8` or `float32`: what its input is.

        Raises:
            UsageError: Its kind was not counted.
        """
        series = self._strides(op.kind, precision)
        if not series:
            known = ", ".join(sorted({s.kind for s in self.series if s.precision == precision}))
            raise UsageError(
                f"an op of the cost table {self.target} is required: {known}. "
                f"Received: {op.kind} in {precision}. Count it: scripts/measure_cost_tables.py."
            )
        side = sqrt(prod(op.strides))
        # One of stride 1 works another way: nothing is cut in phases, nothing left out.
        nearest = min(
            series,
            key=lambda one: ((one.stride == 1) != (side == 1), abs(one.stride - side), one.stride),
        )
        return nearest.cost(_at_stride(op, nearest.stride))

    def _strides(self, kind: str, precision: str) -> list[Series]:
        return [s for s in self.series if (s.kind, s.precision) == (kind, precision)]


def read_table(text: str) -> CostTable:
    """Read a table; an unknown key is an error.

    Raises:
        UsageError: It is none, or not whole.
    """
    try:
        data = json.loads(text)
        if data.pop("schema") != SCHEMA:
            raise ValueError(f"schema {SCHEMA} is required")
        series = tuple(_read_series(one) for one in data.pop("series"))
        if len({(s.kind, s.precision, s.stride) for s in series}) < len(series):
            raise ValueError("a series is there twice")
        return CostTable(**data, series=series)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"a cost table of schema {SCHEMA} is required. Received one with: {error}. "
            "Make it anew: scripts/measure_cost_tables.py."
        ) from error


def write_table(table: CostTable) -> str:
    """Write a table as JSON, one line per series, for diffs that can be read."""
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "target": table.target,
        "unit": table.unit,
        "versions": table.versions,
        "call": table.call,
    }
    lines = ",\n".join(f"    {json.dumps(_series_record(one))}" for one in table.series)
    return json.dumps(head, indent=2).removesuffix("\n}") + f',\n  "series": [\n{lines}\n  ]\n}}\n'


def _at_stride(op: CostedOp, stride: int) -> CostedOp:
    """Let a transposed convolution have as many taps per phase at the stride that was counted.

    That is what it costs: 3×3 at strides of 2 and 1 is 4.5 taps for every position of the output.
    """
    if op.kind not in _PHASED or op.strides == (stride, stride):
        return op
    taps = max(1, round(op.taps * stride**2 / prod(op.strides)))
    return replace(op, kernel=(taps, 1))


@cache
def _load(target: str) -> CostTable:
    path = _FOLDER / f"{target}.json"
    if not path.is_file():
        known = ", ".join(sorted(table.stem for table in _FOLDER.glob("*.json")))
        raise UsageError(f"a target with a cost table is required: {known}. Received: {target}.")
    return read_table(path.read_text("utf-8"))


def _series_record(series: Series) -> dict[str, Any]:
    axes = {axis.name: [*axis.entries] for axis in series.axes}
    tiles = {axis.name: axis.tile for axis in series.axes if axis.tile > 1}
    return {
        "kind": series.kind,
        "precision": series.precision,
        "stride": series.stride,
        "axes": axes,
        "tiles": tiles,
        "cycles": [*series.cycles],
    }


def _read_series(record: dict[str, Any]) -> Series:
    tiles = record.pop("tiles")
    axes = record.pop("axes")
    if not tiles.keys() <= axes.keys():
        raise ValueError(f"tiles of {sorted(tiles.keys() - axes.keys())}, which are no axes")
    return Series(
        axes=tuple(Axis(name, tuple(axes[name]), tiles.get(name, 1)) for name in axes),
        cycles=tuple(record.pop("cycles")),
        **record,
    )
