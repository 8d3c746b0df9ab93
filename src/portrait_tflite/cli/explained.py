"""What `convert` prints where it writes nothing: the list of rewrites, and one layer explained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from portrait_tflite.cli.output import print_json, results
from portrait_tflite.quiet import quiet

if TYPE_CHECKING:
    from portrait_tflite.convert.rewrites.registry import RewriteInfo
    from portrait_tflite.report.explanation import Explanation


def print_rewrites(custom_objects: Path | None, *, as_json: bool) -> None:
    """List all rewrites in their order, those of the user's file too. Imports Keras.

    Raises:
        UsageError: The file, or a rewrite in it, is not what it should be.
    """
    with quiet():
        from portrait_tflite.pipeline.selecting import registry_for

        found = registry_for(custom_objects).describe()
    if as_json:
        print_json({"schema": 1, "rewrites": [asdict(one) for one in found]})
        return
    from rich.table import Table

    table = Table("rewrite", "where", "how near", "what it does", title="Rewrites, in their order")
    for one in found:
        table.add_row(one.name, str(one.level), _nearness(one), one.description)
    results().print(table)


def print_explanation(explanation: Explanation, as_json: bool) -> None:
    """Print what rewrites made of one layer."""
    from portrait_tflite.report.explanation import explanation_json, explanation_text

    if as_json:
        print_json(explanation_json(explanation))
    else:
        results().print(explanation_text(explanation))


def _nearness(one: RewriteInfo) -> str:
    families = f"{', '.join(one.approximations)} " if one.approximations else ""
    asked = f"; {families}by name" if families or one.by_name else ""
    return f"{one.nearness}{asked}{'; yours' if one.own else ''}"
