"""Writes an int8 file in which activations behind a sum are added up anew, at their own scale.

    python scripts/results/second_sums.py NET-int8.tflite OUT.tflite
    portrait-tflite verify NET-float32.tflite OUT.tflite --data val

In a pre-activation block a sum feeds a skip and an activation. The mended file requantizes the
sum, which has the wider range, to the activation; here a second ADD with RELU writes it. What that
gains and costs stands in docs/how-it-works.md.
"""

from __future__ import annotations

from pathlib import Path

import click
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.rewrites.flatbuffer.place import producer_of
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.requantization import is_requantization
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("out", type=_FILE)
def main(file: Path, out: Path) -> None:
    """Write FILE to OUT with a second ADD for each activation behind a sum."""
    data, count = with_second_sums(file.read_bytes())
    if not count:
        raise click.ClickException(
            f"an int8 file with ADD, then QUANTIZE is required. Received: {file}, which has none."
        )
    out.write_bytes(data)
    click.echo(f"{count} activations are added up anew in {out}")


def with_second_sums(data: bytes) -> tuple[bytes, int]:
    """Put ADD with RELU where a sum is requantized with nothing below zero; and their number."""
    model = read_model(data)
    found = [(node, total) for node in list_nodes(model) if (total := _sum_before(model, node))]
    for node, total in found:  # as many ops as before: their positions stay
        inputs = indices(model.subgraphs[0].operators[total.index].inputs)
        options = schema.AddOptionsT(
            fusedActivationFunction=schema.ActivationFunctionType.RELU,
            potScaleInt16=total.option("potScaleInt16", True),
        )
        built = Replacement(model, node)
        built.op(Op("ADD", total.version, options), inputs)
        built.finish()
    return serialize(model), len(found)


def _sum_before(model: schema.ModelT, node: Node) -> Node | None:
    """Find the sum that is requantized to an activation, whose least value is zero."""
    if not is_requantization(node):
        return None
    target = node.outputs[0]
    total = producer_of(model, node.given()[0].index)
    if total is None or total.op != "ADD" or target.zero_point != LIMITS[target.dtype][0]:
        return None
    return total


if __name__ == "__main__":
    main()
