"""What `--rewrite` takes, the list of rewrites, and names on a released file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.cli.rewrite_options import RewriteChoice, parse_rewrite
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Approximation, RewriteMode

Run = Callable[..., Any]
AUTO, EXACT, NONE = RewriteMode.AUTO, RewriteMode.EXACT, RewriteMode.NONE
RESIZE = frozenset({Approximation.RESIZE})
EMPTY: frozenset[Approximation] = frozenset()

_OWN = '''
class Nothing:
    """Does nothing."""

    name = "nothing_much"
    before = "select_channel"

    def match(self, value, uses):
        return None


REWRITES = (Nothing(),)
'''


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", RewriteChoice()),
        ("none", RewriteChoice(NONE)),
        ("resize", RewriteChoice(AUTO, RESIZE)),
        ("exact, resize", RewriteChoice(EXACT, RESIZE)),
        ("-cancel", RewriteChoice(AUTO, EMPTY, (), ("cancel",))),
        ("exact,-cancel,-fuse_clamp", RewriteChoice(EXACT, EMPTY, (), ("cancel", "fuse_clamp"))),
        ("none,cancel", RewriteChoice(NONE, EMPTY, ("cancel",))),
        ("none,up,resize", RewriteChoice(NONE, RESIZE, ("up",))),
        ("fast", RewriteChoice(AUTO, EMPTY, ("fast",))),  # looked up where rewrites are known
    ],
)
def test_a_mode_approximations_and_names_are_read(text: str, expected: RewriteChoice) -> None:
    assert parse_rewrite(text) == expected


@pytest.mark.parametrize("text", ["", "auto,exact", "none,resize", "resize,", "none,-x", "-", "- "])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--rewrite must be one of auto, exact, none; .*Received"):
        parse_rewrite(text)


def test_rewrites_are_listed(run: Run, tmp_path: Path) -> None:
    said = run("convert", "--list-rewrites")
    assert said.code == 0, said.err
    for text in ("relu_to_quantize", "flatbuffer", "resize by name", "within one step; by name"):
        assert text in said.out
    own = tmp_path / "own.py"
    own.write_text(_OWN)
    said = run("convert", "--list-rewrites", "--custom-objects", own, "--json")
    listed = json.loads(said.out)["rewrites"]
    names = [one["name"] for one in listed]
    assert names.index("nothing_much") + 1 == names.index("select_channel")
    assert [one["name"] for one in listed if one["own"]] == ["nothing_much"]
    assert {one["level"] for one in listed} == {"keras", "flatbuffer"}
    assert list(tmp_path.iterdir()) == [own]


@pytest.fixture
def released(tmp_path: Path, relu_net: Callable[..., bytes]) -> Path:
    path = tmp_path / "released.tflite"
    path.write_bytes(relu_net())
    return path
