"""Where the rewritten network would cost more than plain conversion, the one that came is taken."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from portrait_tflite.convert.graph import Graph, Node
from portrait_tflite.convert.mending.mend_burden import Burden
from portrait_tflite.convert.plan import RewriteRequest
from portrait_tflite.convert.rewriter import Look, Rewritten
from portrait_tflite.convert.rewrites.registry import OURS
from portrait_tflite.errors import ConversionError
from portrait_tflite.pipeline import no_dearer as tried
from portrait_tflite.pipeline.no_dearer import Plans, no_dearer
from portrait_tflite.quantize.built import Built
from portrait_tflite.vocabulary import (
    Approximation,
    Delegate,
    Level,
    RewriteMode,
    RewriteRecord,
    SkippedRewrite,
    Target,
)

SOURCE = Node("image", None, (), (), {}, ((1, 4, 4, 3),)).output
AS_IT_CAME = Graph(SOURCE, SOURCE)
REWRITTEN = dataclasses.replace(AS_IT_CAME)
RECORD = RewriteRecord("fold", Level.KERAS, "norm", True, 0.0, 0.0, "folded", (), "")
EARLIER = SkippedRewrite("fuse", "relu", "is used elsewhere")
LOOKS = (Look(("norm",), RECORD), Look(("relu",), EARLIER))
PLANS: Plans = {
    Delegate.XNNPACK: Rewritten(REWRITTEN, (RECORD,), (EARLIER,), LOOKS),
    Delegate.GPU: Rewritten(REWRITTEN, (RECORD,), ()),
}
AUTO = RewriteRequest()

Take = Callable[..., tuple[Plans, dict[str, Built], list[Graph]]]


@pytest.fixture
def take(monkeypatch: pytest.MonkeyPatch) -> Take:
    """Give a call with files that cost what is said: the rewritten, the other, plain conversion."""

    def call(
        costs: tuple[float, float], naive: float | None, request: RewriteRequest = AUTO, **how: Any
    ) -> tuple[Plans, dict[str, Built], list[Graph]]:
        seen: list[Graph] = []
        unpriced = (frozenset[str](), how.get("unpriced", frozenset[str]()))

        def build(plans: Plans) -> dict[str, Built]:
            seen.append(plans[Delegate.XNNPACK].graph)
            if len(seen) > 1 and how.get("fails"):
                raise ConversionError("no form in int8")
            made = {how.get("precision", "int8"): Built(str(len(seen) - 1).encode())}
            other = {"float16": Built(str(len(seen) + 1).encode())} if "refused" in how else {}
            return made | other

        def weigh(data: bytes) -> Burden:
            number = int(data)
            if number > 1:
                return Burden(0, 0, how["refused"][number - 2], 1, 0, 1.0, 1, 1)
            return Burden(0, 0, 0, 1, 0, costs[number], 1, 1, unpriced[number])

        def naive_cost() -> float:
            assert naive is not None, "nobody needs to know"
            return naive

        monkeypatch.setattr(tried, "weigh", weigh)
        plans = how.get("plans", PLANS)
        taken = no_dearer(request, Target.BOTH, AS_IT_CAME, plans, build, naive_cost)
        return (*taken, seen)

    return call


def test_a_file_below_plain_conversion_stays(take: Take) -> None:
    plans, built, seen = take((1000.0, 0.0), 1000.0)
    assert plans is PLANS
    assert built["int8"].data == b"0"
    assert len(seen) == 1


def test_a_dearer_one_is_made_of_the_network_as_it_came(take: Take) -> None:
    plans, built, seen = take((1100.0, 1000.0), 1000.0)
    assert built["int8"].data == b"1"
    assert seen == [REWRITTEN, AS_IT_CAME]
    assert plans[Delegate.GPU] is PLANS[Delegate.GPU]
    taken = plans[Delegate.XNNPACK]
    assert (taken.graph, taken.records) == (AS_IT_CAME, ())
    kept, undone = taken.skipped
    assert kept is EARLIER
    assert (undone.rewrite, undone.layer) == ("fold", "norm")
    assert "more than plain TFLiteConverter's" in undone.reason
    # What `--rewrite-report` reads.
    assert [look.outcome for look in taken.looks] == [undone, EARLIER]


def test_a_name_besides_auto_asks_for_no_form_of_the_graph(take: Take) -> None:
    named = RewriteRequest(only=("exact_multiplier",))
    _, built, _ = take((1100.0, 1000.0), 1000.0, named)
    assert built["int8"].data == b"1"


@pytest.mark.parametrize(
    "how",
    [
        {"costs": (1100.0, 1200.0)},
        {"unpriced": frozenset({"SELECT in int8"})},  # it may cost anything
        {"fails": True},
        {"refused": (0, 1)},  # of the float16 file, which shares the plan where both are the GPU's
    ],
)
def test_what_is_no_cheaper_is_not_taken(take: Take, how: dict[str, Any]) -> None:
    plans, built, seen = take(how.pop("costs", (1100.0, 1000.0)), 1000.0, **how)
    assert plans is PLANS
    assert built["int8"].data == b"0"
    assert len(seen) == 2


@pytest.mark.parametrize(
    "request_",
    [
        RewriteRequest(mode=RewriteMode.EXACT),
        RewriteRequest(approximate=frozenset({Approximation.RESIZE})),
        RewriteRequest(plans={}),
        RewriteRequest(tune=True),
        RewriteRequest(registry=dataclasses.replace(OURS, own=("mine",))),
    ],
)
def test_what_was_asked_for_stays(take: Take, request_: RewriteRequest) -> None:
    _, _, seen = take((1100.0, 1000.0), 1000.0, request_)
    assert seen == [REWRITTEN]


@pytest.mark.parametrize(
    "how",
    [
        {"precision": "float16"},
        {"plans": {Delegate.XNNPACK: Rewritten(AS_IT_CAME, (), ())}},  # nothing to undo
    ],
)
def test_plain_conversion_is_not_made_for_nothing(take: Take, how: dict[str, Any]) -> None:
    _, _, seen = take((1100.0, 1000.0), None, **how)
    assert len(seen) == 1
