"""What `--rewrite` takes."""

from __future__ import annotations

import pytest

from portrait_tflite.cli.rewrite_option import parse_rewrite
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Approximation, RewriteMode

RESIZE = frozenset({Approximation.RESIZE})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", (RewriteMode.AUTO, frozenset())),
        ("none", (RewriteMode.NONE, frozenset())),
        ("resize", (RewriteMode.AUTO, RESIZE)),
        ("exact, resize", (RewriteMode.EXACT, RESIZE)),
    ],
)
def test_a_mode_and_approximations_are_read(text: str, expected: object) -> None:
    assert parse_rewrite(text) == expected


@pytest.mark.parametrize("text", ["", "fast", "auto,exact", "none,resize", "resize,"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--rewrite must be one of auto, exact, none; .*Received"):
        parse_rewrite(text)
