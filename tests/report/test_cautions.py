"""What is to be minded before a file is shipped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from portrait_tflite.convert.rewrites.flatbuffer.identity_add import LOST_SKIP, IdentityAdd
from portrait_tflite.report.cautions import cautions
from portrait_tflite.report.html import render_html
from portrait_tflite.report.io_card import card_lines
from portrait_tflite.report.summary import summarize
from portrait_tflite.vocabulary import Level, Report, RewriteRecord


def _dropped(layer: str) -> RewriteRecord:
    name = IdentityAdd.name
    return RewriteRecord(name, Level.FLATBUFFER, layer, True, 0.0, 0.0, name, (), LOST_SKIP)


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        (("add_1",), "a skip that int8 has lost, at add_1:"),
        (("add_1", "add_7"), "2 skips that int8 has lost, at add_1, add_7:"),
    ],
)
def test_a_skip_that_int8_has_lost_is_told(
    report: Report, layers: tuple[str, ...], told: str
) -> None:
    lost = replace(report, rewrites=(*report.rewrites, *map(_dropped, layers)))
    (line,) = set(cautions(lost)) - set(cautions(report))
    assert line.startswith(told)
    assert line in render_html(lost)


def test_without_a_lost_skip_nothing_is_said_of_it(report: Report) -> None:
    assert not any("has lost" in line for line in cautions(report))


def _shown(report: Report) -> str:
    console = Console(width=1000)
    with console.capture() as capture:
        console.print(summarize(report, "out", ()))
    return capture.get()


def _several(report: Report) -> Report:
    one = report.variants["int8"]
    return replace(report, variants=dict.fromkeys(("int8", "dynamic", "int16x8"), one))


def test_what_to_mind_stands_on_the_terminal_and_on_the_page(report: Report) -> None:
    several = _several(report)
    text, page = _shown(several), render_html(several)
    assert "Mind\n" in text
    for line in cautions(several):
        assert line in text
        assert line in page
    below = text.split("Mind\n")[1]
    assert "dynamic: only its weights are int8; activations are quantized anew" in below
    assert "int16x8: XNNPACK takes no 16-bit activations" in below
    int8 = report.variants["int8"]
    probability = replace(int8, output=replace(int8.output, scale=1 / 256))
    assert "Mind" not in _shown(replace(report, variants={"int8": probability}))


def test_the_card_stands_on_the_terminal_and_on_the_page(report: Report) -> None:
    several = _several(report)
    below = _shown(several).split("Input and output\n")[1]
    for line in card_lines(several):
        assert line in below
    assert "int16x8: put " in below
    assert "int16x8: read " in below
    card = render_html(several).split("<h3>Input and output</h3>")[1].split("</table>")[0]
    for words in ("dynamic", "int16x8", "int8 1×8×8×3", "round(v"):
        assert words in card
