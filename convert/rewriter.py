"""Runs the rewrites of the Keras graph, each verified on real activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from portrait_tflite.convert.choice import Chooser, is_planned
from portrait_tflite.convert.graph import (
    Frames,
    Graph,
    Value,
    as_arrays,
    evaluate,
    replaced,
)
from portrait_tflite.convert.rewrites.failure import named_failure
from portrait_tflite.convert.rewrites.keras.order import REWRITES
from portrait_tflite.convert.rewrites.keras.site import (
    Activations,
    Array,
    Form,
    KerasRewrite,
    Refusal,
    Site,
)
from portrait_tflite.vocabulary import Level, RewriteRecord, SkippedRewrite

# An exact rewrite may move the layer's output by this much of its largest magnitude.
TOLERANCE = 1e-5

# A cheaper approximate form is taken while its residual is at most this much of the closest one's.
_FITS = 1.5


@dataclass(frozen=True)
class Look:
    """What one rewrite made of one place.

    Attributes:
        layers: Names of the layers that the place holds.
        outcome: What it did, or why it left the place.
    """

    layers: tuple[str, ...]
    outcome: RewriteRecord | SkippedRewrite


@dataclass(frozen=True)
class Rewritten:
    """A rewritten graph with what was done and what was not.

    Attributes:
        looks: Every place that a rewrite took for its own, those without a form to take too.
    """

    graph: Graph
    records: tuple[RewriteRecord, ...]
    skipped: tuple[SkippedRewrite, ...]
    looks: tuple[Look, ...] = ()

    def followed_by(self, later: Rewritten) -> Rewritten:
        """Join with what was done to this graph afterwards; what was skipped is as it is then."""
        return Rewritten(
            later.graph,
            self.records + later.records,
            later.skipped,
            self.looks + later.looks,
        )

    def undone(self, graph: Graph, reason: str) -> Rewritten:
        """Put the graph as it came back, and say why of every rewrite."""

        def left(one: RewriteRecord | SkippedRewrite) -> SkippedRewrite:
            if isinstance(one, SkippedRewrite):
                return one
            return SkippedRewrite(one.rewrite, one.layer, reason, one.candidates)

        skipped = (*self.skipped, *(left(record) for record in self.records))
        looks = tuple(Look(look.layers, left(look.outcome)) for look in self.looks)
        return Rewritten(graph, (), skipped, looks)


def rewrite_graph(
    graph: Graph,
    images: Frames,
    chooser: Chooser,
    rewrites: Sequence[KerasRewrite] = REWRITES,
) -> Rewritten:
    """Apply `rewrites` in order wherever they match.

    Every site is computed in both forms from the same activations; one that is called exact and
    differs by more than `TOLERANCE` stays as it was and is reported as skipped.

    Args:
        images: Network inputs `[n, h, w, c]`, one array for each, on whose activations rewrites
            are verified and approximate forms fitted.
        chooser: Picks among a site's forms.

    Raises:
        ConversionError: A rewrite fails; it is named.
    """
    run = _Run(graph, images, chooser)
    for rewrite in rewrites:
        with named_failure(rewrite.name):
            run.apply(rewrite)
    return Rewritten(run.graph, tuple(run.records), tuple(run.skipped), tuple(run.looks))


class _Run:
    """The state of `rewrite_graph`: the graph so far and what its tensors hold."""

    def __init__(self, graph: Graph, images: Frames, chooser: Chooser) -> None:
        self.graph = graph
        self.records: list[RewriteRecord] = []
        self.skipped: list[SkippedRewrite] = []
        self.looks: list[Look] = []
        self._chooser = chooser
        # A rewritten tensor inherits what the original's held, so each site's error is its own.
        values = [Value(node, i) for node in graph.nodes() for i in range(len(node.shapes))]
        arrays = as_arrays(_computed(values, graph, images))
        self._activations: dict[Value, Array] = dict(zip(values, arrays, strict=True))
        self._approximated: set[Value] = set()

    def apply(self, rewrite: KerasRewrite) -> None:
        uses = self.graph.uses()
        inherited = dict(self._activations)
        approximated: set[Value] = set()

        def replace(old: Value, kept: Value, new: dict[Value, Value]) -> Value:
            found = rewrite.match(old, uses)
            result = kept
            if isinstance(found, Refusal):
                self._skip(SkippedRewrite(rewrite.name, found.layer, found.reason), (found.layer,))
            elif found is not None:
                _require_root(found, old)
                result = self._rewritten(rewrite.name, found, new) or kept
            if old in self._activations:
                inherited[result] = self._activations[old]
            if old in self._approximated or (result is not kept and not self.records[-1].exact):
                approximated.add(result)
            return result

        self.graph = replaced(self.graph, replace)
        self._activations, self._approximated = inherited, approximated

    def _rewritten(self, rewrite: str, site: Site, new: dict[Value, Value]) -> Value | None:
        """Return the site's new output, or None where it stays as it is."""
        layers = site.layers()
        site = self._fitting(rewrite, site)
        choice = self._chooser.choose(rewrite, site)
        candidates = self._chooser.candidates(site)
        if choice is None:
            none = SkippedRewrite(rewrite, site.layer, "no form was asked for", candidates)
            self.looks.append(Look(layers, none))
            return None
        form, reason = choice
        boundary = tuple(new[value] for value in site.boundary)
        activations = self._activations_of(site)
        if not form.changes:
            why = f"{form.name}: {reason}"
            self._skip(SkippedRewrite(rewrite, site.layer, why, candidates), layers)
            return None
        trial = _try(form, boundary, activations)
        if not form.exact:
            if not is_planned(self._chooser):
                trial, reason = _best_fit(trial, site, boundary, activations, reason)
        # `not <=` rather than `>`: a NaN must fail too.
        elif not trial.relative <= TOLERANCE:
            why = (
                f"verification failed: {form.name} differs by {trial.relative:.1e}, "
                f"exact is {TOLERANCE}"
            )
            self._skip(SkippedRewrite(rewrite, site.layer, why, candidates), layers)
            return None
        record = RewriteRecord(
            rewrite=rewrite,
            level=Level.KERAS,
            layer=site.layer,
            exact=trial.form.exact,
            max_abs_error=trial.error,
            max_rel_error=trial.relative,
            chosen=trial.form.name,
            candidates=candidates,
            reason=f"{site.reason}; {reason}" if len(site.forms) > 1 else site.reason,
        )
        self.records.append(record)
        self.looks.append(Look(layers, record))
        return trial.value

    def _fitting(self, rewrite: str, site: Site) -> Site:
        """Leave away the forms that what the tensors hold speaks against, each with its reason."""
        unfit = {}
        for form in site.forms:
            why = form.unfit(self._activations_of(site)) if form.unfit else ""
            if why:
                unfit[form.name] = why
                skipped = SkippedRewrite(rewrite, site.layer, f"{form.name}: {why}")
                self._skip(skipped, site.layers())
        kept = tuple(form for form in site.forms if form.name not in unfit)
        return replace(site, forms=kept, unfit=unfit)

    def _activations_of(self, site: Site) -> Activations:
        inputs = tuple(self._held(value) for value in site.boundary)
        if site.root not in self._approximated:
            return Activations(inputs, self._held(site.root))
        # What an approximate form took away earlier is not this rewrite's to give back.
        known = dict(zip(site.boundary, inputs, strict=True))
        return Activations(inputs, as_arrays(evaluate([site.root], known))[0])

    def _skip(self, skipped: SkippedRewrite, layers: tuple[str, ...]) -> None:
        self.skipped.append(skipped)
        self.looks.append(Look(layers, skipped))

    def _held(self, value: Value) -> Array:
        """Return what a tensor holds; one inside an earlier rewrite is computed now."""
        if value not in self._activations:
            self._activations[value] = as_arrays(evaluate([value], self._activations))[0]
        return self._activations[value]


def _require_root(site: Site, matched: Value) -> None:
    # Each place is verified by its root: of another tensor that says nothing.
    if site.root != matched:
        raise ValueError(
            f"a site's root must be the tensor that match was given, {matched.node.name}; "
            f"not {site.root.node.name}"
        )


@dataclass(frozen=True)
class _Trial:
    """A form that was built, and how far it is from the original."""

    form: Form
    value: Value
    error: float
    relative: float


def _try(form: Form, boundary: tuple[Value, ...], activations: Activations) -> _Trial:
    build = form.fit(activations) if form.fit else form.build
    assert build is not None
    value = build(boundary)
    known = dict(zip(boundary, activations.inputs, strict=True))
    result = as_arrays(evaluate([value], known))[0]
    return _Trial(form, value, *difference(activations.output, result))


def _best_fit(
    chosen: _Trial,
    site: Site,
    boundary: tuple[Value, ...],
    activations: Activations,
    reason: str,
) -> tuple[_Trial, str]:
    """Keep the cheapest approximate form where it fits about as well as the closest one."""
    family = chosen.form.approximation
    others = [f for f in site.forms if f.approximation is family and f is not chosen.form]
    trials = [chosen, *(_try(form, boundary, activations) for form in others)]
    closest = min(trials, key=lambda trial: trial.relative)
    if chosen.relative <= _FITS * closest.relative:
        return chosen, reason
    return closest, f"{chosen.form.name} is cheaper but leaves {chosen.relative:.1%}"


def difference(before: Array, after: Array) -> tuple[float, float]:
    """Return the largest absolute difference, and the same relative to `before`'s magnitude."""
    if before.shape != after.shape:
        return float("inf"), float("inf")
    with np.errstate(invalid="ignore"):  # infinity less infinity: the NaN says enough
        error = float(np.max(np.abs(before - after), initial=0.0))
    magnitude = float(np.max(np.abs(before), initial=0.0))
    return error, error / magnitude if magnitude else error


def _computed(values: Sequence[Value], graph: Graph, images: Frames) -> list[Any]:
    """Compute tensors on all pictures, or on the first where the network takes one at a time."""
    fed = graph.feed(images)
    try:
        return evaluate(values, fed)
    except Exception:  # a layer raises whatever its library does
        first = {value: tensor[:1] for value, tensor in fed.items()}
        return evaluate(values, first)
