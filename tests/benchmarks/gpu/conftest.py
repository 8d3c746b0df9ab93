"""A GPU to run on, and a small net for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.benchmarks.gpu.adapters import Adapter, find_adapter
from portrait_tflite.errors import UnavailableError


@pytest.fixture(scope="session")
def adapter(require_or_skip: Callable[[str], NoReturn]) -> Adapter:
    """Give the adapter that is measured on; CI installs chromium and libvulkan1 for one."""
    try:
        return find_adapter()
    except UnavailableError as error:
        require_or_skip(str(error))


@pytest.fixture
def mask_net(tiny_graph: Callable[[], Any], tmp_path: Path) -> Path:
    """Give a float net of a 3×3 convolution and a logistic function, 8×8×4 → 8×8×2."""
    rng = np.random.default_rng(0)
    graph = tiny_graph()
    source = graph.tensor("x", (1, 8, 8, 4), "float32")
    weights = graph.tensor("w", (2, 3, 3, 4), "float32", data=rng.normal(size=(2, 3, 3, 4)))
    bias = graph.tensor("b", (2,), "float32", data=rng.normal(size=2))
    logits = graph.tensor("net/logits", (1, 8, 8, 2), "float32")
    mask = graph.tensor("net/mask", (1, 8, 8, 2), "float32")
    options = schema.Conv2DOptionsT(
        strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1, padding=schema.Padding.SAME
    )
    graph.op("CONV_2D", [source, weights, bias], logits, 1, options)
    graph.op("LOGISTIC", [logits], mask)
    path = tmp_path / "mask.tflite"
    path.write_bytes(graph.build([source], [mask]))
    return path
