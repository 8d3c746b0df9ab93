"""How many configurations the proofs of a rewrite draw."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

many = settings(
    deadline=None,
    max_examples=200,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
