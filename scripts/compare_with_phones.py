"""Holds ARM cost against published phone figures.

    python scripts/compare_with_phones.py            writes the tables of docs/arm-cost.md
    python scripts/compare_with_phones.py --count    first builds and counts the nets that are new

The figures are in `phone_figures.json`, each with its source; the counts in `phone_counts.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_HERE = Path(__file__).parent
FIGURES = _HERE / "phone_figures.json"
COUNTS = _HERE / "phone_counts.json"
_DOCS = _HERE.parent / "docs" / "arm-cost.md"
_BEGIN, _END = "<!-- begin: scripts/compare_with_phones.py -->", "<!-- end -->"

# Reading all constants once from memory, as fast as a Snapdragon 855 can: 34.13 GB/s over four
# 16-bit channels of LPDDR4X-4266, at the 2.84 GHz of its fastest Cortex-A76.
_BYTES_PER_CYCLE = 34.13 / 2.84
_MODELS = ("bound", "cycles", "cycles + weights")

Json = dict[str, Any]


def main() -> None:
    """Count what was not, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", action="store_true", help="count the nets that are new")
    sources = json.loads(FIGURES.read_text())
    if parser.parse_args().count:
        _count_missing(sources)
    tables = make_tables(sources, json.loads(COUNTS.read_text())["nets"])
    _DOCS.write_text(with_tables(_DOCS.read_text(), tables))


def with_tables(page: str, tables: str) -> str:
    """Put the tables into the page between its two marks."""
    before, rest = page.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}\n{tables}\n{_END}{after}"


def make_tables(sources: Sequence[Json], counts: Json) -> str:
    """Write the comparison as Markdown: the errors of all sources, then each source's ratios."""
    parts = [_error_table(sources, counts)]
    parts += [_source_table(source, counts) for source in sources]
    return "\n\n".join(parts)


def geometric_error(costs: Sequence[float], times_ms: Sequence[float]) -> tuple[float, float]:
    """Say by what factor costs miss times, once both are scaled to the same geometric mean.

    Returns:
        The root mean square and the largest of the factors' logarithms, each as a factor − 1.
    """
    logs = np.log(np.asarray(costs, float) / np.asarray(times_ms, float))
    logs -= logs.mean()
    rms, largest = np.sqrt(np.mean(logs**2)), np.abs(logs).max()
    return float(np.expm1(rms)), float(np.expm1(largest))


def _count_missing(sources: Sequence[Json]) -> None:
    stored = json.loads(COUNTS.read_text()) if COUNTS.exists() else {"nets": {}}
    wanted = {_key(row): row for source in sources for row in source["rows"]}
    for key, row in wanted.items():
        if key not in stored["nets"]:
            print(f"counting {key}", file=sys.stderr, flush=True)
            stored["nets"][key] = _count(row["net"], row["precision"])
            stored["versions"] = _versions()
            COUNTS.write_text(_dump(stored))


def _count(net: str, precision: str) -> Json:
    from phone_nets import build

    from portrait_tflite.benchmarks.arm.count import ArmCell, count_files
    from portrait_tflite.vocabulary import Delegate

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.tflite"
        data = build(net, precision)
        path.write_bytes(data)
        (cost,) = count_files([ArmCell(net, path, Delegate.XNNPACK)])
    if cost.unavailable:
        raise SystemExit(f"{net}: {cost.unavailable}")
    names = ("instructions", "vector", "dot", "load_store", "partitions", "bound", "cycles")
    return {name: getattr(cost, name) for name in names} | {"weight_bytes": weight_bytes(data)}


def weight_bytes(data: bytes) -> int:
    """Add up the constants of a `.tflite`."""
    from portrait_tflite.convert.files.flatbuffer import read_model

    buffers = read_model(data).buffers
    return sum(len(buffer.data) for buffer in buffers if buffer.data is not None)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    from portrait_tflite.benchmarks.arm.setup import status

    return {**status().details, "keras": version("keras"), "tensorflow": version("tensorflow")}


def _dump(stored: Json) -> str:
    nets = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in stored["nets"].items())
    return f'{{"versions": {json.dumps(stored["versions"])},\n"nets": {{\n{nets}\n}}}}\n'


def _estimate(row: Json, model: str, counts: Json) -> float:
    """Return what a model says of a row's net, in cycles."""
    cost = counts[_key(row)]
    if model in cost:
        return float(cost[model])
    return float(cost["cycles"] + cost["weight_bytes"] / _BYTES_PER_CYCLE)


def _key(row: Json) -> str:
    return f"{row['net']} {row['precision']}"


def _error_table(sources: Sequence[Json], counts: Json) -> str:
    lines = []
    for source in sources:
        for precision, rows in _groups(source):
            for index, device in enumerate(source["devices"]):
                times = [row["ms"][index] for row in rows]
                cells = [source["title"], device, precision, str(len(rows))]
                for model in _MODELS:
                    costs = [_estimate(row, model, counts) for row in rows]
                    error, largest = geometric_error(costs, times)
                    cells.append(f"{error:.0%} ({largest:.0%})")
                lines.append(cells)
    return _table(["source", "phone", "precision", "nets", *_MODELS], lines)


def _groups(source: Json) -> Iterator[tuple[str, list[Json]]]:
    """Yield the rows that may be compared: of one precision, and all of them together."""
    names = list(dict.fromkeys(row["precision"] for row in source["rows"]))
    for name in [*names, "both"] if len(names) > 1 else names:
        rows = [row for row in source["rows"] if name in (row["precision"], "both")]
        if len(rows) > 1:
            yield name, rows


def _source_table(source: Json, counts: Json) -> str:
    first = source["rows"][0]
    lines = []
    for row in source["rows"]:
        cells = [row["net"], row["precision"]]
        cells += [f"{_estimate(row, model, counts) / 1e6:.2f}" for model in _MODELS[:2]]
        cells += [f"{ms:g}" for ms in row["ms"]]
        for model in _MODELS:
            cells.append(f"{_estimate(row, model, counts) / _estimate(first, model, counts):.3f}")
        cells += [f"{ms / of:.3f}" for ms, of in zip(row["ms"], first["ms"], strict=True)]
        lines.append(cells)
    heads = ["net", "precision", "bound, Mcyc", "cycles, Mcyc"]
    heads += [f"{device}, ms" for device in source["devices"]]
    heads += [f"{name}, ratio" for name in (*_MODELS, *source["devices"])]
    title = f"### {source['title']}\n\n{source['how']}: <{source['url']}>\n\n"
    return title + _table(heads, lines)


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
