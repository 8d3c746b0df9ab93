"""From a loaded model to the graph that one target wants."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import keras

from portrait_tflite.convert.choice import CheapestForm, Chooser, EveryExactForm, PlannedForm
from portrait_tflite.convert.graph import (
    OUTPUT_NAME,
    Ends,
    Frames,
    Graph,
    NotWalkableError,
    apply_op,
    trace,
)
from portrait_tflite.convert.loading.opened import is_composite
from portrait_tflite.convert.network_inputs import keras_ends, plain_name
from portrait_tflite.convert.rewriter import Rewritten, rewrite_graph
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite
from portrait_tflite.convert.rewrites.keras.added_layers import activate
from portrait_tflite.convert.rewrites.keras.site import KerasRewrite, TakeChannel
from portrait_tflite.convert.rewrites.registry import OURS, Registry
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import (
    SCHEMA,
    Activation,
    Approximation,
    Delegate,
    ModelSpec,
    OutputSpec,
    RewriteMode,
    RewriteSelection,
    SkippedRewrite,
)

Plan = dict[tuple[str, str], str]

_OPAQUE = "its calls cannot be walked; it is converted as it is and mended as a file"


@dataclass(frozen=True)
class RewriteRequest:
    """What `--rewrite`, `--rewrite-plan` and `--tune` ask for.

    Attributes:
        approximate: Families of forms that may be other functions.
        only: Names of rewrites that are run alone, of `RewriteMode.NONE`; of another mode, those
            that are run besides, since they need their names.
        dropped: Names of rewrites that are left out.
        registry: All rewrites there are, a user's own too.
        tune: Whether timing on this host chooses among exact forms.
    """

    mode: RewriteMode = RewriteMode.AUTO
    approximate: frozenset[Approximation] = frozenset()
    plans: dict[Delegate, Plan] | None = None
    only: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    registry: Registry = OURS
    tune: bool = False

    @property
    def keras(self) -> tuple[KerasRewrite, ...]:
        """The rewrites of the Keras graph that may be applied, in their order."""
        # A plan decides, whatever the mode is.
        planned = self.plans is not None and not self.only
        return (self.registry.without(self.dropped) if planned else self._allowed()).keras

    @property
    def flatbuffer(self) -> tuple[FlatbufferRewrite, ...]:
        """The rewrites of finished files that may be applied, in their order."""
        return self._allowed().flatbuffer

    @property
    def behind_keras(self) -> tuple[FlatbufferRewrite, ...]:
        """Those of finished files for what is made of a graph whose forms were chosen."""
        chosen = {rewrite.name for rewrite in self.keras}
        return tuple(one for one in self.flatbuffer if one.keras_name not in chosen)

    def selection(self) -> RewriteSelection:
        """What was asked for, as the report states it."""
        return RewriteSelection(
            self.mode,
            tuple(sorted(self.approximate)),
            self.only,
            self.dropped,
            self.registry.own,
            self.tune,
        )

    def _allowed(self) -> Registry:
        if self.mode is RewriteMode.NONE:
            return self.registry.only(self.only)
        return self.registry.asked(self.only).without(self.dropped)


def mask_graph(model: keras.Model, spec: ModelSpec) -> tuple[Graph, tuple[SkippedRewrite, ...]]:
    """Read a model as a graph that ends in the mask `[1, h, w, 1]`, not yet rewritten.

    Returns:
        The graph, and what of the model no rewrite can look into.
    """
    ends = _ends(model, spec)
    try:
        graph = trace(model, spec.output.index, ends)
    except NotWalkableError:
        graph = trace(_one_node(model, spec), spec.output.index, ends)
    opaque = (keras.layers.TFSMLayer,)  # a SavedModel
    parts = [n.name for n in graph.nodes() if isinstance(n.op, opaque) or is_composite(n.op)]
    skipped = tuple(SkippedRewrite("all", name, _OPAQUE) for name in dict.fromkeys(parts))
    output = graph.output
    if spec.output.activation is not Activation.NONE:
        output = activate("appended_activation", output, str(spec.output.activation))
    if output.shape[-1] > 1:
        output = apply_op("mask_channel", TakeChannel(spec.output.channel), output)
    return dataclasses.replace(graph, output=output), skipped


def _ends(model: keras.Model, spec: ModelSpec) -> Ends:
    """Name what is taken and given besides picture and mask."""
    if spec.state is not None:
        fed_back = spec.state.from_output
        kept = {} if fed_back == spec.output.index else {fed_back: "next_state"}
        return Ends(("state",) if spec.state.channel is None else (), kept)
    kept = _may_be_fed_back(model, spec) if spec.others else {}
    return Ends(tuple(other.name for other in spec.others), kept)


def _may_be_fed_back(model: keras.Model, spec: ModelSpec) -> dict[int, str]:
    """Name the outputs that have the shape of another input: features of the last picture.

    What has the size of the picture, and the channels of one or of a mask, is none: auxiliary masks
    and foregrounds are for training, beside a trimap and a background.
    """
    pictures = [(spec.height, spec.width, channels) for channels in (1, 3)]
    shapes = {other.shape for other in spec.others} - set(pictures)
    found: dict[int, str] = {}
    for index, end in enumerate(keras_ends(model.outputs)):
        if index != spec.output.index and end.shape in shapes:
            name = plain_name(end.name)
            taken = name in (OUTPUT_NAME, *found.values())
            found[index] = f"{name}_{index}" if taken else name
    return found


def _one_node(model: keras.Model, spec: ModelSpec) -> keras.Model:
    """Wrap a subclassed model into a functional one that calls it once."""
    image = keras.Input((spec.height, spec.width, spec.depth))
    return keras.Model(image, model(image), name=model.name)


def mask_spec(spec: ModelSpec) -> ModelSpec:
    """The spec of what `mask_graph` gives: one output, one channel, a probability.

    Of a network that remembers, the state is the second input and, where it is not the mask that is
    fed back, the next state the second output.
    """
    state = spec.state and dataclasses.replace(
        spec.state,
        input=int(spec.state.channel is None),
        from_output=int(spec.state.from_output != spec.output.index),
    )
    return dataclasses.replace(spec, output=OutputSpec(), state=state)


def chooser_for(delegate: Delegate, request: RewriteRequest) -> Chooser:
    """Return what picks the forms for a delegate."""
    cheapest = CheapestForm(delegate, request.approximate)
    if request.plans is not None:
        return PlannedForm(cheapest, request.plans.get(delegate, {}))
    if request.mode is RewriteMode.EXACT:
        return EveryExactForm(cheapest)
    return cheapest


def rewrite_for(
    graph: Graph,
    delegate: Delegate,
    request: RewriteRequest,
    images: Frames,
    chooser: Chooser | None = None,
) -> Rewritten:
    """Rewrite a graph for a delegate.

    Args:
        delegate: XNNPACK (int8 on the CPU) or GPU.
        images: Network inputs `[n, h, w, c]`, one array for each, to verify and fit on.
        chooser: Picks the forms; by default the one of `chooser_for`.
    """
    rewrites = request.keras
    if not rewrites:
        return Rewritten(graph, (), ())
    return rewrite_graph(graph, images, chooser or chooser_for(delegate, request), rewrites)


def require_plans(plans: dict[Delegate, Plan] | None, delegates: Iterable[Delegate]) -> None:
    """Require a plan for every delegate that a variant is meant for, where there are plans.

    Raises:
        UsageError: One has none: nothing of it would be rewritten.
    """
    lacking = [d for d in delegates if d not in plans] if plans is not None else []
    if lacking:
        held = ", ".join(plans or ()) or "none"
        raise UsageError(
            f"--rewrite-plan must have a plan for {', '.join(lacking)}, which a variant is meant "
            f"for. Received: plans for {held}. Name the variants of that run, or leave out "
            "--rewrite-plan."
        )


def require_met(request: RewriteRequest, delegate: Delegate, rewritten: Rewritten) -> None:
    """Require that each place of a delegate's plan was found, where there is a plan.

    Raises:
        UsageError: One was not: the plan is of another network, or was edited.
    """
    met = {(look.outcome.rewrite, look.outcome.layer) for look in rewritten.looks}
    left_out = {one.name for one in request.registry.keras} - {one.name for one in request.keras}
    plan = (request.plans or {}).get(delegate, {})
    missed = [each for each in plan if each not in met and each[0] not in left_out]
    if missed:
        rewrite, layer = missed[0]
        more = f" and {len(missed) - 1} more" if len(missed) > 1 else ""
        raise UsageError(
            f"--rewrite-plan must be of this network: each of its rewrites must find its layer. "
            f"Received, for {delegate}: {rewrite} at layer {layer!r}{more}, not found. "
            "Write a new plan by leaving out --rewrite-plan."
        )


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
        if not isinstance(data["plans"], dict):
            raise ValueError("plans are a list of entries for each of xnnpack and gpu")
        return {Delegate(name): _read_plan(entries) for name, entries in data["plans"].items()}
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"--rewrite-plan must be a rewrites.json of `convert`. Received: {path} ({error})."
        ) from error


def _read_plan(entries: list[dict[str, str]]) -> Plan:
    plan: Plan = {}
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != {"rewrite", "layer", "form"}:
            raise ValueError(f"an entry has rewrite, layer and form, not {entry}")
        plan[entry["rewrite"], entry["layer"]] = entry["form"]
    return plan
