"""The same models for every delegate."""

from __future__ import annotations

import pytest

from ...conftest import TinyGraph
from .random_models import collect

COUNT = 320


@pytest.fixture(scope="session")
def random_models() -> tuple[bytes, ...]:
    """Give different models that the runtime's own kernels load; the same ones every time."""
    return collect(TinyGraph, COUNT)
