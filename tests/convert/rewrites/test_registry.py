"""The registry of rewrites: names, order, a user's own, and what is refused."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest

from portrait_tflite.convert.rewrites.flatbuffer import order as flatbuffer_order
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite
from portrait_tflite.convert.rewrites.keras import order as keras_order
from portrait_tflite.convert.rewrites.registry import OURS, Registry, did_you_mean
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Approximation, Level


class _Own:
    """Does nothing.

    More of it.
    """

    def __init__(self, name: Any = "own", before: str = "") -> None:
        self.name = name
        if before:
            self.before = before

    def match(self, value: Any, uses: Any) -> None:
        return None


class _OwnFile(FlatbufferRewrite):
    """Does nothing, either."""

    name = "own_file"

    def match(self, model: Any, node: Any) -> None:
        return None

    def change(self, model: Any, node: Any, match: Any) -> None:
        raise AssertionError


def test_both_levels_are_there_in_their_order() -> None:
    keras = [rewrite.name for rewrite in keras_order.REWRITES]
    files = [rewrite.name for rewrite in flatbuffer_order.REGISTERED]
    assert [one.name for one in OURS.describe()] == [*keras, *files] == list(OURS.names())
    assert OURS.names(Level.KERAS) == tuple(keras)
    assert OURS.names(Level.FLATBUFFER) == tuple(files)


def test_each_says_what_it_does() -> None:
    for one in OURS.describe():
        assert one.description.endswith("."), one.name
        assert not one.own
    by_name = {one.name: one for one in OURS.describe()}
    assert by_name["transposed_convolution"].approximations == (Approximation.RESIZE,)
    assert by_name["transposed_convolution"].nearness == "exact"
    assert by_name["average_pool"].nearness == "within one step"
    assert by_name["cancel"].nearness == "exact"


@pytest.mark.parametrize("rewrite", flatbuffer_order.REGISTERED, ids=lambda rewrite: rewrite.name)
def test_what_rounds_otherwise_says_so(rewrite: FlatbufferRewrite) -> None:
    """A class whose source gives a `Match` the word `exact`, or a third value, may round."""
    calls = [node for node in ast.walk(_source_of(rewrite)) if isinstance(node, ast.Call)]
    matches = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "Match"]
    rounds = any(len(c.args) > 2 or "exact" in {k.arg for k in c.keywords} for c in matches)
    assert (rewrite.within_one_step or rewrite.reorders_sums) == rounds


def _source_of(rewrite: FlatbufferRewrite) -> ast.AST:
    return ast.parse(inspect.getsource(type(rewrite)))


def test_a_name_stands_for_one_rewrite() -> None:
    with pytest.raises(ValueError, match="Received twice: own"):
        Registry(keras=(_Own(), _Own()), flatbuffer=())


def test_some_alone_and_all_but_some() -> None:
    some = OURS.only(("cancel", "select_channel"))
    assert some.names() == ("select_channel", "cancel")
    rest = OURS.without(("cancel", "select_channel"))
    assert set(rest.names()) == set(OURS.names()) - {"cancel", "select_channel"}


def test_a_users_own_come_first_of_their_level() -> None:
    registry = OURS.with_own([_Own("one"), _OwnFile(), _Own("two")], "own.py")
    assert registry.names(Level.KERAS)[:3] == ("one", "two", OURS.keras[0].name)
    assert registry.names(Level.FLATBUFFER)[:2] == ("own_file", OURS.flatbuffer[0].name)
    assert set(registry.own) == {"one", "two", "own_file"}
    info = next(one for one in registry.describe() if one.name == "one")
    assert info.own
    assert (info.level, info.description) == (Level.KERAS, "Does nothing.")
    assert "one" not in registry.without(("one",)).own


def test_before_names_its_place() -> None:
    own = [_Own("late", before="early"), _Own("early", before="select_channel")]
    with pytest.raises(UsageError, match="Received: 'early'"):
        OURS.with_own(own, "own.py")
    names = OURS.with_own(own[::-1], "own.py").names(Level.KERAS)
    place = names.index("select_channel")
    assert names[place - 2 : place] == ("late", "early")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (_Own, "Received: the class _Own: write _Own()"),
        (object(), "Received: object, which has no name"),
        (_Own(7), "Received: _Own, which has no name"),
        (_Own("auto"), "Received: one named 'auto': small letters"),
        (_Own("resize"), "Received: one named 'resize'"),
        (_Own("-x"), "Received: one named '-x'"),
        (_Own("Own"), "Received: one named 'Own'"),
        (_Own("cancel"), "Received: 'cancel', which exists"),
        (type("Mute", (), {"name": "mute"})(), "Received: mute, which has no method match"),
        (_Own(before="cancel"), "must name a rewrite of its level .*Received: 'cancel'"),
        (_Own(before="select_chanel"), "Did you mean 'select_channel'"),
    ],
)
def test_what_is_no_rewrite_is_refused(own: Any, message: str) -> None:
    with pytest.raises(UsageError, match=rf"own\.py .*{message}"):
        OURS.with_own([own], "own.py")


def test_the_nearest_name_is_suggested() -> None:
    assert did_you_mean("cancle", OURS.names()) == " Did you mean 'cancel'?"
    assert did_you_mean("xyz", OURS.names()) == ""
