"""Which layers int8 suffers from: a chart for the page, and `sensitivity.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portrait_tflite.report import formats
from portrait_tflite.vocabulary import LayerError, Variant

_SHOWN = 20

COLUMNS = (
    "variant",
    "rank",
    "layer",
    "op",
    "tensor",
    "points",
    "points_constants",
    "points_output",
    "moved",
    "error_steps",
    "error_share",
)


@dataclass(frozen=True)
class HarmBar:
    """A layer in the chart.

    Attributes:
        share: Of what the worst harms by, 0 to 1: the bar's length.
        what: Where it comes from, in words.
    """

    error: LayerError
    share: float
    what: str


def sensitivity_csv(variants: Mapping[str, Variant]) -> str:
    """Write every op of every variant that was looked at, the worst first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, variant in variants.items():
        writer.writerows([name, *_row(error)] for error in variant.sensitivity)
    return text.getvalue()


def harm_bars(errors: Sequence[LayerError]) -> tuple[HarmBar, ...]:
    """Chart the layers that harm most; those that harm nothing are left away."""
    shown = [error for error in errors[:_SHOWN] if error.points > 0]
    return tuple(HarmBar(error, error.points / shown[0].points, _what(error)) for error in shown)


def _row(error: LayerError) -> list[object]:
    return [
        error.rank,
        error.layer,
        error.op,
        error.tensor,
        error.points,
        error.constants.points,
        error.output.points,
        error.moved,
        error.steps,
        error.share,
    ]


def _what(error: LayerError) -> str:
    return (
        f"{error.op}: {formats.fixed(error.constants.points)} by its weights, "
        f"{formats.fixed(error.output.points)} by its output, which is off by "
        f"{formats.fixed(error.steps)} steps, {formats.percent(error.share, 2)} of its largest"
    )
