"""The comparison with phones: its page is what its script writes from what was counted."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[3]
_SCRIPT = _ROOT / "scripts" / "compare_with_phones.py"


@pytest.fixture(scope="module")
def script() -> Any:
    """Load the script as a module."""
    spec = importlib.util.spec_from_file_location("compare_with_phones", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(script: Any) -> None:
    page = (_ROOT / "docs" / "arm-cost.md").read_text()
    sources = json.loads(script.FIGURES.read_text())
    counts = json.loads(script.COUNTS.read_text())["nets"]
    tables = script.make_tables(sources, counts)
    assert script.with_tables(page, tables) == page
    counts["v1_1.0_224 float32"]["cycles"] *= 1.2
    assert script.make_tables(sources, counts) != tables


def test_the_error_is_a_factor_whatever_the_unit(script: Any) -> None:
    assert script.geometric_error([3, 6, 9], [10, 20, 30]) == pytest.approx((0, 0))
    # One is 4 times the other where they should be alike: each is off by a factor of 2.
    assert script.geometric_error([1, 4], [5, 5]) == pytest.approx((1, 1))


def test_every_figure_has_its_source(script: Any) -> None:
    for source in json.loads(script.FIGURES.read_text()):
        assert source["url"].startswith("https://")
        assert all(len(row["ms"]) == len(source["devices"]) for row in source["rows"])
