"""Which rewrites a conversion may apply, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.convert.loading.load import LoadOptions
from portrait_tflite.convert.plan import RewriteRequest
from portrait_tflite.convert.rewrites.registry import OURS
from portrait_tflite.errors import UsageError
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.pipeline.selecting import registry_for, select_rewrites
from portrait_tflite.vocabulary import Approximation, Delegate, RewriteMode

NONE, EXACT = RewriteMode.NONE, RewriteMode.EXACT

_OWN = """
class Nothing:
    name = "nothing_much"

    def match(self, value, uses):
        return None


REWRITES = (Nothing(),)
"""


def _selected(source: str = "net.keras", own: Path | None = None, **asked: Any) -> RewriteRequest:
    request = ConvertRequest(
        source, load=LoadOptions(custom_objects=own), rewrite=RewriteRequest(**asked)
    )
    return select_rewrites(request).rewrite


def _names(request: RewriteRequest) -> tuple[str, ...]:
    return tuple(r.name for r in (*request.keras, *request.flatbuffer))


BY_NAME = {one.name for one in OURS.describe() if one.by_name}


def test_all_are_applied_unless_named() -> None:
    assert set(OURS.names()) - set(_names(_selected())) == BY_NAME == {"exact_multiplier"}
    assert _names(_selected(mode=NONE)) == ()
    left = _names(_selected(dropped=("cancel", "select_channel")))
    assert set(OURS.names()) - set(left) == {"cancel", "select_channel", *BY_NAME}
    alone = _selected(mode=NONE, only=("cancel", "select_channel"))
    assert _names(alone) == ("select_channel", "cancel")


@pytest.mark.parametrize("mode", [RewriteMode.AUTO, EXACT])
def test_what_needs_its_name_is_applied_where_it_is_named(mode: RewriteMode) -> None:
    asked = _selected(mode=mode, only=tuple(BY_NAME))
    assert _names(asked) == OURS.names()
    assert asked.selection().only == tuple(BY_NAME)
    both = _selected(mode=mode, only=tuple(BY_NAME), dropped=("cancel",))
    assert set(OURS.names()) - set(_names(both)) == {"cancel"}
    assert set(_names(_selected(mode=NONE, only=tuple(BY_NAME)))) == BY_NAME


def test_a_plan_decides_whatever_the_mode_is() -> None:
    planned = _selected(mode=NONE, plans={Delegate.GPU: {}}, dropped=("select_channel",))
    names = [rewrite.name for rewrite in planned.keras]
    assert "select_channel" not in names
    assert len(names) == len(OURS.keras) - 1
    assert planned.flatbuffer == ()


def test_the_selection_is_stated() -> None:
    stated = _selected(dropped=("cancel",), tune=True).selection()
    assert (stated.dropped, stated.tuned, stated.only) == (("cancel",), True, ())


def test_a_users_own_can_be_named(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(_OWN)
    assert registry_for(own).own == ("nothing_much",)
    assert registry_for(None) is OURS
    assert _names(_selected(own=own))[0] == "nothing_much"
    assert _names(_selected(own=own, dropped=("nothing_much",))) == _names(_selected())
    assert _names(_selected(own=own, mode=NONE, only=("nothing_much",))) == ("nothing_much",)
    with pytest.raises(UsageError, match=r"own\.py, which has none\. Leave it out"):
        _selected("net.tflite", own)


@pytest.mark.parametrize(
    ("source", "asked", "message"),
    [
        ("net.keras", {"dropped": ("cancle",)}, "'cancle'. Did you mean 'cancel'"),
        ("net.keras", {"only": ("exat",)}, "Did you mean 'exact'"),
        ("net.keras", {"only": ("cancel",)}, "Write none,cancel to run it alone"),
        (
            "net.keras",
            {"only": ("exact_multiplier", "cancel")},
            "--rewrite auto has cancel unasked",
        ),
        ("net.keras", {"mode": EXACT, "tune": True}, "--tune chooses where"),
        ("net.keras", {"plans": {}, "tune": True}, "--tune chooses where"),
        ("net.tflite", {"mode": EXACT}, "is required for --rewrite exact"),
        (
            "net.tflite",
            {"approximate": frozenset({Approximation.RESIZE})},
            "is required for --rewrite resize",
        ),
        ("net.tflite", {"dropped": ("select_channel",)}, "select_channel, which is of the Keras"),
    ],
)
def test_what_makes_no_sense_is_refused(source: str, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _selected(source, **asked)


def test_a_finished_file_takes_names_of_its_level() -> None:
    assert _selected("net.tflite", mode=NONE, only=("cancel",)).flatbuffer[0].name == "cancel"
    assert "cancel" not in _names(_selected("net.tflite", dropped=("cancel",)))
