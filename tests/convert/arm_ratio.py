"""What plain TFLiteConverter costs over what is made here, by the committed table of arm64."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.plan import RewriteRequest, mask_graph, rewrite_for
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.pipeline.no_dearer import no_dearer
from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.variants import build_naive, build_variants
from portrait_tflite.vocabulary import Delegate, IoType, ModelSpec, Precision, Target


def int8_of(
    model: keras.Model,
    spec: ModelSpec,
    pictures: NDArray[np.float32],
    request: RewriteRequest | None = None,
) -> bytes:
    """Build the int8 file for the CPU as `convert` does."""
    request = request or RewriteRequest()
    graph, _ = mask_graph(model, spec)
    plan = rewrite_for(graph, Delegate.XNNPACK, request, pictures[:2])

    def naive_cost() -> float:
        return predict(_naive(model, pictures), CostTable.load("arm64")).cycles

    def build(plans: dict[Delegate, Rewritten]) -> dict[str, Built]:
        return build_variants(
            {delegate: plan.graph for delegate, plan in plans.items()},
            (Precision.INT8,),
            Target.CPU,
            _frames(pictures),
            IoType.INT8,
            [(pictures[:1],)],
            naive_cost=naive_cost,
        )

    plans = {Delegate.XNNPACK: plan}
    _, built = no_dearer(request, Target.CPU, graph, plans, build, naive_cost)
    return built["int8"].data


def arm_ratio(model: keras.Model, ours: bytes, pictures: NDArray[np.float32]) -> float:
    """Predict the cost of `naive_batch1` over that of `ours`; every op of both must be known."""
    table = CostTable.load("arm64")
    costs = [predict(data, table) for data in (_naive(model, pictures), ours)]
    assert [cost.unknown for cost in costs] == [(), ()]
    return costs[0].cycles / costs[1].cycles


def _naive(model: keras.Model, pictures: NDArray[np.float32]) -> bytes:
    return build_naive(model, _frames(pictures), batch_one=True).data


def _frames(pictures: NDArray[np.float32]) -> Any:
    return lambda: iter([[picture[None]] for picture in pictures])
