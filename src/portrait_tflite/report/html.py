"""`report.html`: one self-contained file for people, without scripts and without requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from portrait_tflite.report.accuracy_figures import interval_words, lost_figures
from portrait_tflite.report.arm_cost import arm_cost_gap, cost_charts
from portrait_tflite.report.cautions import cautions
from portrait_tflite.report.changes import (
    change_groups,
    listed,
    selection_notes,
    skip_groups,
)
from portrait_tflite.report.findings import findings
from portrait_tflite.report.fine_tuning import approximation_notes
from portrait_tflite.report.formats import FILTERS, percent
from portrait_tflite.report.io_card import card_rows
from portrait_tflite.report.latencies import variant_rows
from portrait_tflite.report.lint import lint_rows
from portrait_tflite.report.profiles import profiles
from portrait_tflite.report.remedies import climb_bars, climb_result
from portrait_tflite.report.roles import (
    DELEGATE_NAMES,
    delegate_for,
    is_shipped,
    main_variant,
    reference_name,
)
from portrait_tflite.report.sensitivity import harm_bars
from portrait_tflite.report.spec import describe_others, describe_state
from portrait_tflite.report.strips import Panel, Strip, differing, panels
from portrait_tflite.report.tiles import tiles
from portrait_tflite.report.verdict import judge
from portrait_tflite.vocabulary import Report

_PACKAGE = "portrait_tflite.report"


@dataclass(frozen=True)
class StripView:
    """A strip as the template shows it; `share` is how much of the picture differs."""

    strip: Strip
    panels: tuple[Panel, ...]
    share: str


def render_html(
    report: Report, strips: Sequence[Strip] = (), failures: Sequence[str] = (), graph: str = ""
) -> str:
    """Lay out a report as one HTML file that needs nothing from outside.

    Args:
        strips: Pictures to show; they are embedded.
        failures: The gates that failed, for the verdict.
        graph: SVG of the main variant's ops, by `graph_svg`.
    """
    context = _context(report, strips, failures) | {"graph": Markup(graph)}
    return template("report.html.j2").render(**context)


def template(name: str) -> Template:
    """Give one of the templates, with the filters and the style sheet that all share."""
    return _environment().get_template(name)


def _context(report: Report, strips: Sequence[Strip], failures: Sequence[str]) -> dict[str, Any]:
    reference, main = reference_name(report), main_variant(report.variants)
    return {
        "report": report,
        "reference": reference,
        "verdict": judge(report, failures),
        "tiles": tiles(report),
        "main": main,
        "variant_rows": variant_rows(report),
        "cards": card_rows(report),
        "cautions": cautions(report),
        "state": describe_state(report),
        "others": describe_others(report),
        "cost_charts": cost_charts(report),
        "arm_cost_gap": arm_cost_gap(report),
        "change_groups": change_groups(report),
        "skip_groups": skip_groups(report),
        "selection_notes": selection_notes(report),
        "approximation_notes": approximation_notes(report),
        "strips": [StripView(s, panels(s, reference), percent(differing(s), 2)) for s in strips],
        "findings": findings(report),
        "lint": lint_rows(report.variants[main].lint) if main else (),
        "profiles": profiles(report),
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= FILTERS | {
        "listed": listed,
        "interval": interval_words,
        "lost_figures": lost_figures,
        "harm_bars": harm_bars,
        "climb_bars": climb_bars,
        "climb_result": climb_result,
    }
    # Ours, not the user's: a style sheet must not be escaped.
    style = (files(_PACKAGE) / "templates" / "report.css").read_text("utf-8")
    environment.globals |= {
        "style": Markup(style),
        "names": DELEGATE_NAMES,
        "is_shipped": is_shipped,
        "delegate_for": delegate_for,
    }
    return environment
