"""Scripts as modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="session")
def android_script() -> Iterator[Callable[[str], Any]]:
    """Give what imports a module of `scripts/android`."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(_SCRIPTS / "android"))
        yield importlib.import_module
        for name in set(sys.modules) - before:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(_SCRIPTS)):
                del sys.modules[name]
