"""Figures for people: digits, signs, units and gaps."""

from __future__ import annotations

from typing import Any

import pytest

from portrait_tflite.report import formats


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("fixed", 1234.5, "1,234.50"),
        ("fixed", -0.25, "−0.25"),
        ("fixed", -0.001, "0.00"),
        ("fixed", None, "–"),
        ("fixed", float("nan"), "–"),
        ("significant", 0, "0"),
        ("significant", 0.3716, "0.372"),
        ("significant", 2.345, "2.35"),
        ("significant", 34.71, "34.7"),
        ("significant", 1240.4, "1,240"),
        ("significant", float("inf"), "–"),
        # Forms of a tuned place differ by tenths of a microsecond.
        ("duration", 0.001132, "1.13 µs"),
        ("duration", 0.0248, "24.8 µs"),
        ("duration", 12.5, "12.5 ms"),
        ("duration", None, "–"),
        ("millions", 34_700_000, "34.7"),
        ("millions", None, "–"),
        ("size", 447_488, "437 KiB"),
        ("size", 2_621_440, "2.5 MiB"),
        ("percent", 0.5, "50.0 %"),
        ("percent", 0.0001, "< 0.1 %"),
        ("percent", 0.0, "0.0 %"),
        ("error", 0.0, "0"),
        ("error", 2.5e-6, "2.5e-6"),
        ("error", 12.0, "1.2e1"),
        ("error", None, "–"),
        ("shape", (1, 256, 256, 3), "1×256×256×3"),
        ("short", "head", "head"),
    ],
)
def test_figures(name: str, value: Any, text: str) -> None:
    assert formats.FILTERS[name](value) == text


def test_long_names_keep_both_ends() -> None:
    name = formats.short("start/" + "x" * 300 + "/end")
    assert len(name) == 71
    assert name.startswith("start/x")
    assert name.endswith("x/end")


@pytest.mark.parametrize(("number", "text"), [(0, "0 ops"), (1, "1 op"), (1200, "1,200 ops")])
def test_counts(number: int, text: str) -> None:
    assert formats.count(number, "op") == text


@pytest.mark.parametrize(
    ("mcycles", "text"),
    [(None, "not in the cost table"), (0.0, "0"), (2e-4, "< 0.001"), (0.7, "0.700"), (1.5, "1.50")],
)
def test_an_estimate_is_there_or_says_that_it_is_not(mcycles: float | None, text: str) -> None:
    assert formats.estimate(mcycles) == text
