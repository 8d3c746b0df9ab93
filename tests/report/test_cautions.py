"""What is to be minded before a file is shipped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portrait_tflite.convert.rewrites.flatbuffer.identity_add import IdentityAdd
from portrait_tflite.report.cautions import cautions
from portrait_tflite.report.html import render_html
from portrait_tflite.vocabulary import Level, Report, RewriteRecord


def _dropped(layer: str) -> RewriteRecord:
    name = IdentityAdd.name
    return RewriteRecord(name, Level.FLATBUFFER, layer, True, 0.0, 0.0, name, (), "lost")


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
