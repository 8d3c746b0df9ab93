"""No int8 file costs more than what plain `TFLiteConverter` makes of the same network."""

from __future__ import annotations

from collections.abc import Callable

from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.mending.mend_burden import is_above, weigh
from portrait_tflite.convert.plan import RewriteRequest
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.errors import ConversionError
from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.variants import delegate_of
from portrait_tflite.vocabulary import Delegate, Precision, RewriteMode, Target

Plans = dict[Delegate, Rewritten]

_UNDONE = (
    "undone with the others: together they would make the int8 file cost more than plain "
    "TFLiteConverter's"
)


def no_dearer(
    request: RewriteRequest,
    target: Target,
    graph: Graph,
    plans: Plans,
    build: Callable[[Plans], dict[str, Built]],
    naive_cost: Callable[[], float],
) -> tuple[Plans, dict[str, Built]]:
    """Build the variants; where int8 is dearer than plain conversion, of the graph as it came.

    Each rewrite chooses the cheapest of its own forms and knows nothing of XNNPACK's look-up
    tables, which swallow what is around them: a normalization between numbers of one channel, say,
    costs nothing as it is. Where the GPU would take less of another variant, the rewrites stay.

    Args:
        request: Where forms were asked for, they stay.
        graph: As it came.
        plans: What was rewritten for each delegate.
        build: Makes the variants of such plans.
        naive_cost: As of `mend_model`; asked where the graph was rewritten.

    Returns:
        The plans that were taken, and what was built of them.
    """
    built = build(plans)
    delegate = delegate_of(Precision.INT8, target)
    int8 = built.get(Precision.INT8)
    if int8 is None or not _free(request) or not plans[delegate].records:
        return plans, built
    cost = weigh(int8.data)
    if not is_above(cost, naive_cost()):
        return plans, built
    as_it_came: Plans = {**plans, delegate: plans[delegate].undone(graph, _UNDONE)}
    try:
        others = build(as_it_came)
    except ConversionError:  # only rewritten it has a form in int8
        return plans, built
    other = weigh(others[Precision.INT8].data)
    cheaper = other.cycles < cost.cycles and other.unpriced <= cost.unpriced
    # The plan is that of other variants, too.
    taken = all(weigh(others[v].data).refused <= weigh(built[v].data).refused for v in built)
    return (as_it_came, others) if cheaper and taken else (plans, built)


def _free(request: RewriteRequest) -> bool:
    """Whether it was left to the cost which forms are taken."""
    # What `auto` has by name is no form of the graph.
    by_cost = request.mode is RewriteMode.AUTO and not request.tune
    asked = request.approximate or request.plans is not None or request.registry.own
    return by_cost and not asked
