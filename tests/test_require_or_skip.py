"""Where a part is missing a test skips, but never on a machine that has all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest

VARIABLE = "PORTRAIT_TFLITE_REQUIRE_ALL"


def test_a_missing_part_skips(
    require_or_skip: Callable[[str], NoReturn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no card"):
        require_or_skip("no card")


def test_it_fails_where_all_parts_are_required(
    require_or_skip: Callable[[str], NoReturn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    with pytest.raises(pytest.fail.Exception, match=f"{VARIABLE} is set, .*: no card"):
        require_or_skip("no card")
