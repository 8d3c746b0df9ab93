"""Which form a site takes: fewest ops outside the delegate, then the committed cost table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from portrait_tflite.convert.costs.cost_table import TARGET, CostTable
from portrait_tflite.convert.costs.costed_op import BUILTIN, FLOAT32, INT8, CostedOp
from portrait_tflite.convert.rewrites.keras.site import Form, Site
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Approximation, Candidate, Delegate


class Chooser(Protocol):
    """Picks the form of every site."""

    def choose(self, rewrite: str, site: Site) -> tuple[Form, str] | None:
        """Return the form and why it was taken; None where nothing that may be taken changes it."""
        ...

    def candidates(self, site: Site) -> tuple[Candidate, ...]:
        """List the site's forms with what they cost."""
        ...


@dataclass(frozen=True)
class CheapestForm:
    """`--rewrite auto`: what the delegate takes and costs least.

    Attributes:
        approximate: Families whose forms are taken where a site has one.
        table: What decides among forms with as many ops outside; by default the one of arm64.
    """

    delegate: Delegate
    approximate: frozenset[Approximation] = frozenset()
    table: CostTable | None = None

    def candidates(self, site: Site) -> tuple[Candidate, ...]:
        if len(site.forms) < 2:
            return ()
        return tuple(
            Candidate(
                form.name,
                outside(form, self.delegate),
                self._known_cost(form),
                barred=self._barred(form),
            )
            for form in site.forms
        )

    def choose(self, rewrite: str, site: Site) -> tuple[Form, str] | None:
        meant = self.meant(site)
        forms = [f for f in meant if f.approximation in self.approximate] or [
            f for f in meant if f.exact
        ]
        if not any(form.changes for form in forms):
            return None
        return min(forms, key=self._rank), f"cheapest for {self.delegate}"

    def meant(self, site: Site) -> tuple[Form, ...]:
        """The forms that are for this delegate."""
        return tuple(form for form in site.forms if form.only in (None, self.delegate))

    def _barred(self, form: Form) -> str:
        if form.only not in (None, self.delegate):
            return f"for {form.only} alone"
        if form.approximation is None or form.approximation in self.approximate:
            return ""
        return f"another function, by --rewrite {form.approximation} alone"

    def _rank(self, form: Form) -> tuple[int, float]:
        return outside(form, self.delegate), self._cost(form)

    def _known_cost(self, form: Form) -> float | None:
        table, precision = self._table()
        ops = _placed(form, self.delegate).ops
        return self._cost(form) if all(table.knows(op.kind, precision) for op in ops) else None

    def _cost(self, form: Form) -> float:
        return cost(_placed(form, self.delegate), *self._table())

    def _table(self) -> tuple[CostTable, str]:
        precision = INT8 if self.delegate is Delegate.XNNPACK else FLOAT32
        return self.table or CostTable.load(TARGET), precision


@dataclass(frozen=True)
class EveryExactForm:
    """`--rewrite exact`: the rewritten form of every site, whatever it costs.

    One that is made for the other delegate is none: `auto` never takes it here.
    """

    costs: CheapestForm

    def candidates(self, site: Site) -> tuple[Candidate, ...]:
        return self.costs.candidates(site)

    def choose(self, rewrite: str, site: Site) -> tuple[Form, str] | None:
        approximate = self.costs.approximate
        if any(form.approximation in approximate for form in site.forms):
            return self.costs.choose(rewrite, site)
        form = next((f for f in self.costs.meant(site) if f.exact and f.build), None)
        return (form, "asked for: --rewrite exact") if form else None


@dataclass(frozen=True)
class PlannedForm:
    """`--rewrite-plan FILE`: the forms that an earlier run took.

    Attributes:
        forms: Form by `(rewrite, layer)`; a site that is not in it stays as it is.
    """

    costs: CheapestForm
    forms: dict[tuple[str, str], str]

    def candidates(self, site: Site) -> tuple[Candidate, ...]:
        return self.costs.candidates(site)

    def choose(self, rewrite: str, site: Site) -> tuple[Form, str] | None:
        wanted = self.forms.get((rewrite, site.layer))
        if wanted is None:
            return None
        for form in site.forms:
            if form.name == wanted:
                return form, "from the plan"
        if wanted in site.unfit:
            raise UsageError(
                f"a plan's form must fit what the network's tensors hold. Received: {wanted!r} for "
                f"{rewrite} at layer {site.layer!r}: {site.unfit[wanted]}. "
                "Write a new plan by leaving out --rewrite-plan."
            )
        known = ", ".join(form.name for form in site.forms)
        raise UsageError(
            f"a plan's form for {rewrite} at layer {site.layer!r} must be one of {known}. "
            f"Received: {wanted!r}. Write a new plan by leaving out --rewrite-plan."
        )


@dataclass(frozen=True)
class BeforeFineTuning:
    """Approximate forms, and what is no choice: what there is to train.

    Exact forms that are chosen by cost come behind it: they spread weights over zeros and copies,
    and are not the same for CPU and GPU.

    Attributes:
        chooser: Picks among a site's forms.
    """

    chooser: Chooser

    def candidates(self, site: Site) -> tuple[Candidate, ...]:
        return self.chooser.candidates(site)

    def choose(self, rewrite: str, site: Site) -> tuple[Form, str] | None:
        choice = self.chooser.choose(rewrite, site)
        if choice is None:
            return None
        form, _ = choice
        only = len(site.forms) == 1 and form.only is None
        return choice if only or not form.exact else None


def is_planned(chooser: Chooser) -> bool:
    """Whether a chooser takes the forms of a plan, which is obeyed."""
    if isinstance(chooser, BeforeFineTuning):
        return is_planned(chooser.chooser)
    return isinstance(chooser, PlannedForm)


def outside(form: Form, delegate: Delegate) -> int:
    """Count the ops of a form that `delegate` would leave to the built-in kernels."""
    return sum(_is_outside(op, form, delegate) for op in form.ops)


def _is_outside(op: CostedOp, form: Form, delegate: Delegate) -> bool:
    # Nearest upsampling: TILE and RESHAPE work at rank 5, of which XNNPACK has the RESHAPE.
    if op.kind == "TILE":
        return True
    # Without a TILE it is an input of a CONCATENATION that is copied like one.
    if op.kind == "RESHAPE":
        return delegate is Delegate.GPU and any(other.kind == "TILE" for other in form.ops)
    if op.kind in ("RESIZE_NEAREST_NEIGHBOR", "PRELU"):
        return delegate is Delegate.XNNPACK
    if op.kind != "TRANSPOSE_CONV":
        return False
    if delegate is Delegate.GPU:
        return op.fused  # version 4; the GPU delegate takes 3
    # XNNPACK takes kernels that cover their stride, and in int8 strides above 1 only.
    gaps = any(k < s for k, s in zip(op.kernel, op.strides, strict=True))
    return op.strides == (1, 1) or gaps


def _placed(form: Form, delegate: Delegate) -> Form:
    """Name the ops that XNNPACK leaves as the table does: by the built-in kernel that runs them."""
    if delegate is not Delegate.XNNPACK:
        return form
    ops = tuple(
        replace(op, kind=BUILTIN.get(op.kind, op.kind)) if _is_outside(op, form, delegate) else op
        for op in form.ops
    )
    return replace(form, ops=ops)


def cost(form: Form, table: CostTable, precision: str) -> float:
    """Estimate the cost of a form in million cycles."""
    cycles = sum(table.op_cost(op, precision) for op in form.ops)
    return round(cycles / 1e6, 6)
