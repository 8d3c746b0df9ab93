"""Which layers stay in float where they help only together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from portrait_tflite.convert.mending.mend_burden import Burden
from portrait_tflite.quantize.remedies.float_choice import choose_layers
from portrait_tflite.quantize.remedies.float_trials import Budget
from portrait_tflite.vocabulary import Harm, LayerError


def _error(rank: int) -> LayerError:
    return LayerError(rank, f"l{rank}", "ADD", f"t{rank}", rank, 0.0, 0.0, Harm(), Harm(1.0))


class _Together:
    """Layers 2 and 3 ruin the masks, and one of them in float alone makes them worse."""

    def __init__(self, most: int = 9) -> None:
        self._most = most

    def names(self, errors: Iterable[LayerError]) -> set[str]:
        return {error.tensor for error in errors}

    def attempt(self, errors: Iterable[LayerError]) -> Any:
        names = self.names(errors)
        points = {0: 20.0, 1: 25.0, 2: 0.1}[len(names & {"t2", "t3"})]
        return SimpleNamespace(harm=Harm(points), count=len(names))

    def affordable(self, attempt: Any) -> bool:
        return bool(attempt.count <= self._most)


def _chosen(trial: Any) -> list[int]:
    kept = choose_layers(trial, [_error(rank) for rank in range(1, 7)], 0.3, lambda _: None)
    return [error.rank for error in kept]


def test_layers_that_help_only_together_are_found_and_no_other_is_kept() -> None:
    assert _chosen(_Together()) == [2, 3]


def test_what_the_budget_does_not_hold_is_not_taken() -> None:
    assert _chosen(_Together(most=1)) == []


_PLAIN = Burden(
    unloadable=0, outside=2, refused=0, partitions=3, unknown=0, cycles=1e6, ops=20, size_bytes=1
)


@pytest.mark.parametrize(
    ("changed", "within"),
    [
        ({}, True),
        ({"cycles": 1.2e6, "partitions": 4, "outside": 2}, True),
        ({"cycles": 1.21e6}, False),
        ({"partitions": 5}, False),
        ({"outside": 3}, False),
        ({"unknown": 1}, False),
        ({"cycles": 0.5e6, "partitions": 1, "outside": 3}, False),
    ],
)
def test_each_limit_of_the_budget_holds(changed: dict[str, Any], *, within: bool) -> None:
    budget = Budget(max_cost=1.2, more_partitions=1)
    assert budget.holds(replace(_PLAIN, **changed), _PLAIN) is within


@pytest.mark.parametrize(
    ("max_cycles", "most"), [(1.1e6, 1.1e6), (9e5, 1e6), (1e6, 1e6), (9e6, 1.2e6)]
)
def test_cycles_bound_a_file_that_costs_more_than_plain_int8(
    max_cycles: float, most: float
) -> None:
    budget = Budget(max_cost=1.2, max_cycles=max_cycles)
    assert budget.holds(replace(_PLAIN, cycles=most), _PLAIN)
    assert not budget.holds(replace(_PLAIN, cycles=most + 1), _PLAIN)
    assert budget.bounded(_PLAIN) == (most < 1.2e6)


def test_partitions_bound_what_is_chosen() -> None:
    class _Costly(_Together):
        """Each layer in float splits the file once more."""

        def affordable(self, attempt: Any) -> bool:
            burden = replace(_PLAIN, partitions=_PLAIN.partitions + attempt.count)
            return Budget(more_partitions=self._most).holds(burden, _PLAIN)

    assert _chosen(_Costly(most=4)) == [2, 3]
    assert _chosen(_Costly(most=3)) == []  # the worst four are tried together
