"""`portrait-tflite models`: the zoo."""

from __future__ import annotations

import click

from portrait_tflite.cli.output import print_json, results
from portrait_tflite.quiet import quiet
from portrait_tflite.report.tables import new_table
from portrait_tflite.vocabulary import SCHEMA


@click.command("models")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON and nothing else.")
def command(as_json: bool) -> None:
    """List the nets of the zoo: paper, input, parameters, MACs, packaged weights.

    ARM cost is not part of this version yet.

    \b
    Example:
      portrait-tflite models
    """
    with quiet():
        from portrait_tflite.models.registry import all_nets
        from portrait_tflite.models.size import measure_size

        nets = [(net, measure_size(net)) for net in all_nets().values()]
    if as_json:
        print_json(
            {
                "schema": SCHEMA,
                "nets": [
                    {
                        "name": net.name,
                        "paper": net.paper,
                        "height": net.spec.height,
                        "width": net.spec.width,
                        "input_range": net.spec.input_range,
                        "parameters": size.parameters,
                        "macs": size.macs,
                        "weights": str(net.weights_path or ""),
                        "licence": net.licence,
                    }
                    for net, size in nets
                ],
            }
        )
        return
    table = new_table("Zoo", "net", "input", "range", "parameters", "M MACs", "weights", "paper")
    table.columns[-1].justify = "left"
    for net, size in nets:
        low, high = net.spec.input_range
        table.add_row(
            net.name,
            f"{net.spec.height}×{net.spec.width} {net.spec.channels}",
            f"{low:g}…{high:g}",
            f"{size.parameters:,}",
            f"{size.macs / 1e6:,.0f}",
            net.licence or "none: train it",
            net.paper,
        )
    results().print(table)
