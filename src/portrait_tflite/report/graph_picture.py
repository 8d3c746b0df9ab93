"""A picture of a graph: an op a row, a colour for each of XNNPACK's partitions.

Branches run in lanes beside the names, as in a history of commits: this stays readable for a
hundred ops, where boxes in a plane do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from portrait_tflite.convert.delegates.rule import Refusal
from portrait_tflite.convert.delegates.xnnpack_prediction import predict_xnnpack
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes

_ROW, _LANE, _DOT = 20, 16, 5  # pixels
_TEXT = 620
_LONGEST = 44  # letters of a tensor's name
_LINE = 84  # letters of a row, which _TEXT holds
_HUES = 6

_STYLE = """
.graph { font: 12px system-ui, sans-serif; fill: #1b1b1b; }
.graph .edge { fill: none; stroke: #8a8a8a; stroke-width: 1.5; }
.graph .name { fill: #6a6a6a; }
.graph .outside { fill: #c62828; font-weight: 600; }
.graph .p0 { fill: #1f77b4; } .graph .p1 { fill: #2e8b57; } .graph .p2 { fill: #9467bd; }
.graph .p3 { fill: #b8860b; } .graph .p4 { fill: #17929e; } .graph .p5 { fill: #7a5c3e; }
@media (prefers-color-scheme: dark) {
.graph { fill: #ececec; }
.graph .name { fill: #a8a8a8; }
.graph .outside { fill: #ff7b72; }
.graph .p0 { fill: #6cb6ff; } .graph .p1 { fill: #6bd49a; } .graph .p2 { fill: #c9a6f5; }
.graph .p3 { fill: #e6c260; } .graph .p4 { fill: #5fd3de; } .graph .p5 { fill: #c9a27a; }
}
"""


@dataclass(frozen=True)
class _Row:
    """One op: its lane, and the rows of the ops that it reads."""

    node: Node
    lane: int
    sources: tuple[int, ...]


def graph_svg(model: bytes) -> str:
    """Draw the ops of a `.tflite` from first to last, with the branches between them.

    Dots of one colour and number are one call of XNNPACK; what stays outside is red and comes with
    the rule that it breaks. Weights that are only unpacked at the start are left away.

    Raises:
        UsageError: Not a `.tflite`.
    """
    graph = read_model(model)
    predicted = predict_xnnpack(graph)
    numbers = {i: n for n, group in enumerate(predicted.partitions) for i in group}
    rows = _lay_out([node for node in list_nodes(graph) if not _unpacks(node)])
    left = (max((row.lane for row in rows), default=0) + 2) * _LANE
    refused = {**predicted.refused, **predicted.fatal}
    body = [_edge(rows, row, at, source) for at, row in enumerate(rows) for source in row.sources]
    body += [_op(row, at, left, numbers, refused) for at, row in enumerate(rows)]
    width, height = left + _TEXT, (len(rows) + 1) * _ROW
    label = f"{len(rows)} ops in {len(predicted.partitions)} XNNPACK partitions"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="img" '
        f'aria-label="{label}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<style>{_STYLE}</style>{''.join(body)}</svg>"
    )


def _unpacks(node: Node) -> bool:
    return bool(node.given()) and all(operand.constant for operand in node.given())


def _lay_out(nodes: Sequence[Node]) -> list[_Row]:
    """Give each op the lane of a branch that ends in it, else the first that is free."""
    producers = {o.index: row for row, node in enumerate(nodes) for o in node.outputs}
    sources = [
        tuple(dict.fromkeys(producers[o.index] for o in node.given() if o.index in producers))
        for node in nodes
    ]
    last = {source: row for row, found in enumerate(sources) for source in found}
    lanes: dict[int, int] = {}  # of the branches that are still read
    rows: list[_Row] = []
    for row, node in enumerate(nodes):
        ending = [lanes.pop(source) for source in sources[row] if last[source] == row]
        free = set(range(len(lanes) + 1)) - set(lanes.values())
        lane = min(ending or free)
        if row in last:
            lanes[row] = lane
        rows.append(_Row(node, lane, sources[row]))
    return rows


def _edge(rows: Sequence[_Row], row: _Row, at: int, source: int) -> str:
    """Go down the lane of the op that is read, and over to the reader in its last row."""
    x, top = _place(rows[source].lane, source)
    end, bottom = _place(row.lane, at)
    turn = bottom - _ROW
    return (
        f'<path class="edge" d="M{x} {top}V{turn}'
        f'C{x} {turn + _ROW // 2} {end} {turn + _ROW // 2} {end} {bottom}"/>'
    )


def _op(row: _Row, at: int, left: int, numbers: dict[int, int], refused: dict[int, Refusal]) -> str:
    x, y = _place(row.lane, at)
    number, refusal = numbers.get(row.node.index), refused.get(row.node.index)
    kind = "outside" if refusal or number is None else f"p{number % _HUES}"
    shape = "×".join(map(str, row.node.outputs[0].shape[1:])) if row.node.outputs else ""
    place = "outside" if number is None else f"#{number + 1}"
    title = f"{row.node.tensor}: {refusal.reason}" if refusal else row.node.tensor
    left_over = _LINE - len(f"{place} {row.node.op} {shape} ")
    note = _cut(refusal.reason, left_over) if refusal else _shortened(row.node.tensor)
    return (
        f'<g><title>{escape(title)}</title><circle class="{kind}" cx="{x}" cy="{y}" '
        f'r="{_DOT}"/><text x="{left}" y="{y + 4}"><tspan class="{kind}">{place}</tspan> '
        f'{escape(row.node.op)} {shape} <tspan class="name">{escape(note)}</tspan></text></g>'
    )


def _place(lane: int, row: int) -> tuple[int, int]:
    return (lane + 1) * _LANE, (row + 1) * _ROW - _ROW // 2


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _shortened(name: str) -> str:
    last = name.split(";")[0]
    return last if len(last) <= _LONGEST else f"…{last[-_LONGEST:]}"
