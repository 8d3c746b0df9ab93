"""From a loaded model to the graph that one target wants."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.choice import CheapestForm, Chooser, EveryExactForm, PlannedForm
from portrait_tflite.convert.graph import (
    Graph,
    NotWalkableError,
    apply_op,
    as_arrays,
    trace,
)
from portrait_tflite.convert.rewriter import Rewritten, difference, rewrite_graph
from portrait_tflite.convert.rewrites.keras.added_layers import activate
from portrait_tflite.convert.rewrites.keras.site import TakeChannel
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import (
    SCHEMA,
    Activation,
    Approximation,
    Delegate,
    ModelSpec,
    OutputSpec,
    RewriteMode,
    SkippedRewrite,
    WholeNetError,
)

Plan = dict[tuple[str, str], str]


@dataclass(frozen=True)
class RewriteRequest:
    """What `--rewrite` and `--rewrite-plan` ask for.

    Attributes:
        approximate: Families of forms that may be other functions.
    """

    mode: RewriteMode = RewriteMode.AUTO
    approximate: frozenset[Approximation] = frozenset()
    plans: dict[Delegate, Plan] | None = None


def mask_graph(model: keras.Model, spec: ModelSpec) -> tuple[Graph, tuple[SkippedRewrite, ...]]:
    """Read a model as a graph that ends in the mask `[1, h, w, 1]`, not yet rewritten.

    Returns:
        The graph, and what of the model no rewrite can look into.
    """
    try:
        graph = trace(model, spec.output.index)
    except NotWalkableError:
        graph = trace(_one_node(model, spec), spec.output.index)
    why = "a subclassed model cannot be walked; it is converted as it is and mended as a file"
    parts = [node.name for node in graph.nodes() if isinstance(node.op, keras.Model)]
    skipped = tuple(SkippedRewrite("all", name, why) for name in dict.fromkeys(parts))
    output = graph.output
    if spec.output.activation is not Activation.NONE:
        output = activate("appended_activation", output, str(spec.output.activation))
    if output.shape[-1] > 1:
        output = apply_op("mask_channel", TakeChannel(spec.output.channel), output)
    return Graph(graph.input, output), skipped


def _one_node(model: keras.Model, spec: ModelSpec) -> keras.Model:
    """Wrap a subclassed model into a functional one that calls it once."""
    image = keras.Input((spec.height, spec.width, spec.channels.depth))
    return keras.Model(image, model(image), name=model.name)


def mask_spec(spec: ModelSpec) -> ModelSpec:
    """The spec of what `mask_graph` gives: one output, one channel, a probability."""
    return dataclasses.replace(spec, output=OutputSpec())


def chooser_for(delegate: Delegate, request: RewriteRequest) -> Chooser:
    """Return what picks the forms for a delegate."""
    cheapest = CheapestForm(delegate, request.approximate)
    if request.plans is not None:
        return PlannedForm(cheapest, request.plans.get(delegate, {}))
    if request.mode is RewriteMode.EXACT:
        return EveryExactForm(cheapest)
    return cheapest


def rewrite_for(
    graph: Graph, delegate: Delegate, request: RewriteRequest, images: NDArray[np.float32]
) -> Rewritten:
    """Rewrite a graph for a delegate.

    Args:
        delegate: XNNPACK (int8 on the CPU) or GPU.
        images: Network inputs `[n, h, w, c]` to verify and fit on.
    """
    if request.mode is RewriteMode.NONE and request.plans is None:
        return Rewritten(graph, (), ())
    return rewrite_graph(graph, images, chooser_for(delegate, request))


def whole_net_error(before: Graph, after: Graph, images: NDArray[np.float32]) -> WholeNetError:
    """Compare the network's mask before and after all rewrites on `images` `[n, h, w, c]`."""
    pairs = [as_arrays([before(image[None]), after(image[None])]) for image in images]
    errors = [difference(*pair) for pair in pairs]
    return WholeNetError(max(e for e, _ in errors), max(r for _, r in errors), len(images))


def plan_of(rewritten: Rewritten) -> list[dict[str, str]]:
    """The plan taken, as `rewrites.json` holds it."""
    return [{"rewrite": r.rewrite, "layer": r.layer, "form": r.chosen} for r in rewritten.records]


def read_plans(path: Path) -> dict[Delegate, Plan]:
    """Read a `rewrites.json`.

    Raises:
        UsageError: It is none; an unknown key is an error too.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        if set(data) != {"schema", "plans"} or data["schema"] != SCHEMA:
            raise ValueError("schema and plans, of schema 1, are required")
        return {Delegate(name): _read_plan(entries) for name, entries in data["plans"].items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"--rewrite-plan must be a rewrites.json of `convert`. Received: {path} ({error})."
        ) from error


def _read_plan(entries: list[dict[str, str]]) -> Plan:
    plan: Plan = {}
    for entry in entries:
        if set(entry) != {"rewrite", "layer", "form"}:
            raise ValueError(f"an entry has rewrite, layer and form, not {sorted(entry)}")
        plan[entry["rewrite"], entry["layer"]] = entry["form"]
    return plan
