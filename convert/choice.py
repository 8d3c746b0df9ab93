"""Which form a site takes: fewest ops outside the delegate, then the committed cost table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from portrait_tflite.convert.rewrites.site import Form, Site, Work
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Candidate, Delegate

_TABLE = Path(__file__).parent / "costs" / "arm64.json"
_PHASED = ("subpixel", "merged")  # families that compute every phase as channels


class Chooser(Protocol):
    """Picks the form of every site."""

    def choose(self, rewrite: str, site: Site) -> tuple[Form, str]:
        """Return the form and why it was taken."""
        ...

    def candidates(self, site: Site) -> tuple[Candidate, ...]:
        """List the site's forms with what they cost."""
        ...


@dataclass(frozen=True)
class CheapestForm:
    """`--rewrite auto`: what the delegate takes and costs least; `allow` also approximate forms."""

    delegate: Delegate
    approximate: bool = False

    def candidates(self, site: Site) -> tuple[Candidate, ...]:
        if len(site.forms) < 2:
            return ()
        return tuple(
            Candidate(
                form.name, outside(form, site.work, self.delegate), self._cost(form, site.work)
            )
            for form in site.forms
        )

    def choose(self, rewrite: str, site: Site) -> tuple[Form, str]:
        forms = [f for f in site.forms if f.exact is not self.approximate] or [
            f for f in site.forms if f.exact
        ]
        return min(forms, key=self._rank(site.work)), f"cheapest for {self.delegate}"

    def _rank(self, work: Work) -> Any:
        return lambda form: (outside(form, work, self.delegate), self._cost(form, work))

    def _cost(self, form: Form, work: Work) -> float:
        return cost(form.family, work, "int8" if self.delegate is Delegate.XNNPACK else "float")


@dataclass(frozen=True)
class EveryExactForm:
    """`--rewrite exact`: the rewritten form of every site, whatever it costs."""

    costs: CheapestForm

    def candidates(self, site: Site) -> tuple[Candidate, ...]:
        return self.costs.candidates(site)

    def choose(self, rewrite: str, site: Site) -> tuple[Form, str]:
        return next(f for f in site.forms if f.exact and f.build), "asked for: --rewrite exact"


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

    def choose(self, rewrite: str, site: Site) -> tuple[Form, str]:
        wanted = self.forms.get((rewrite, site.layer))
        if wanted is None:
            return Form("kept"), "not in the plan"
        for form in site.forms:
            if form.name == wanted:
                return form, "from the plan"
        known = ", ".join(form.name for form in site.forms)
        raise UsageError(
            f"a plan's form for {rewrite} at layer {site.layer!r} must be one of {known}. "
            f"Received: {wanted!r}. Write a new plan by leaving out --rewrite-plan."
        )


def outside(form: Form, work: Work, delegate: Delegate) -> int:
    """Count the ops of a form that `delegate` would leave to the built-in kernels."""
    if form.family in ("nearest", "nearest_conv"):
        # RESHAPE and TILE of rank 5: one TILE per axis in int8, all rank-5 ops on the GPU.
        return 2 if delegate is Delegate.XNNPACK else 4
    if form.family == "transpose_conv":
        if delegate is Delegate.GPU:
            return int(work.fused)  # version 4; the GPU delegate takes 3
        # XNNPACK takes kernels that cover their stride, and in int8 strides above 1 only.
        return int(work.stride == 1 or work.side < work.stride)
    return 0


def cost(family: str, work: Work, precision: str) -> float:
    """Estimate the cost of a form in million cycles.

    The table holds one block per kernel area, or per taps where the kernel is spread over phases;
    cost grows with positions × channels in × out. Between the table's entries the nearest smaller
    one is scaled.
    """
    table = _costs()
    row: dict[str, float] = table[precision].get(family, {})
    if not row:
        return 0.0
    block = table["block"]
    wanted = work.taps if family in _PHASED else work.kernel
    known = sorted(int(area) for area in row)
    nearest = max((area for area in known if area <= wanted), default=known[0])
    per_block: float = row[str(nearest)] * max(1.0, wanted / nearest)
    size = work.pixels * work.channels_in * work.channels_out
    blocks: float = size / (block["pixels"] * block["channels_in"] * block["channels_out"])
    return round(per_block * blocks, 4)


@cache
def _costs() -> Any:
    return json.loads(_TABLE.read_text())
