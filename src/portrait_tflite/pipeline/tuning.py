"""`--tune`: among exact forms, the one that is fastest on this host. The host is no phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from portrait_tflite.convert.choice import CheapestForm
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.plan import RewriteRequest
from portrait_tflite.convert.rewrites.keras.site import Form, Site
from portrait_tflite.convert.site_net import export_form
from portrait_tflite.quantize.int8.post_training import configure
from portrait_tflite.runtime import Runner, open_model
from portrait_tflite.tensor_values import Floats, random_input
from portrait_tflite.vocabulary import Candidate, Delegate, IoType, Precision

# Rounds over all forms, after those that warm caches and clock up.
_ROUNDS, _WARM_UP = 40, 5
# Forms that are nearer to each other than this share of the time, or than what a call from Python
# scatters by, are told apart by noise alone.
_TIE = 0.03
_TIE_MS = 0.001
_CALIBRATED_ON = 8
_SEED = 20240

Timer = Callable[[Sequence[bytes]], list[list[float]]]
"""Times files in turns: milliseconds of every round, a list per file."""


@dataclass(frozen=True)
class HostTiming:
    """Chooses as `CheapestForm` does, but among several exact forms by timing them here.

    Each form becomes a network of its own, converted as the variant would be, and runs on XNNPACK
    with one thread; the GPU's forms do too, in float, since its host is a software adapter mostly.
    Forms that run equally fast are told apart by the cost table.

    Attributes:
        costs: What chooses where there is nothing to time, and names the other costs.
        integer: Whether the forms are timed in int8, calibrated on noise, or in float.
        time: Times the files.
        timed: What was timed so far, in ms by the form's name.
    """

    costs: CheapestForm
    integer: bool
    time: Timer = field(default_factory=lambda: time_in_turns)
    timed: dict[Site, dict[str, float]] = field(default_factory=dict)

    def candidates(self, site: Site) -> tuple[Candidate, ...]:
        found = self.timed.get(site, {})
        return tuple(
            replace(candidate, host_ms=found.get(candidate.form))
            for candidate in self.costs.candidates(site)
        )

    def choose(self, rewrite: str, site: Site) -> tuple[Form, str] | None:
        choice = self.costs.choose(rewrite, site)
        meant = (None, self.costs.delegate)
        exact = [form for form in site.forms if form.exact and form.only in meant]
        # An approximate form was asked for by name, and one form is no choice.
        if choice is None or not choice[0].exact or len(exact) < 2:
            return choice
        cheapest = choice[0]
        rounds = np.array(self.time([self._file(site, form) for form in exact]))
        self.timed[site] = {
            form.name: float(np.median(times)) for form, times in zip(exact, rounds, strict=True)
        }
        # In pairs: what slows a whole round down slows both of its runs.
        ratios = np.median(rounds / rounds[exact.index(cheapest)], axis=1)
        fastest = int(np.argmin(ratios))
        unit = "int8" if self.integer else "float"
        gained_ms = float(np.median(rounds[exact.index(cheapest)] - rounds[fastest]))
        if ratios[fastest] < 1 - _TIE and gained_ms > _TIE_MS:
            return exact[fastest], f"fastest on this host ({unit}, XNNPACK, one thread)"
        least = f"{100 * _TIE:g} % and {1000 * _TIE_MS:g} µs"
        return cheapest, f"none is {least} faster on this host ({unit}, XNNPACK, one thread)"

    def _file(self, site: Site, form: Form) -> bytes:
        if not self.integer:
            return self._mended(export_form(site, form))

        def noise() -> Iterator[list[Floats]]:
            rng = np.random.default_rng(_SEED)
            for _ in range(_CALIBRATED_ON):
                yield [rng.normal(size=v.shape).astype(np.float32) for v in site.boundary]

        data = export_form(site, form, lambda c: configure(c, Precision.INT8, noise, IoType.INT8))
        return self._mended(data)

    def _mended(self, data: bytes) -> bytes:
        return mend_model(data, rewrites=RewriteRequest().behind_keras).data


def time_in_turns(files: Sequence[bytes]) -> list[list[float]]:
    """Time files on XNNPACK with one thread, one run of each per round."""
    runners = [_opened(data) for data in files]
    rounds = [[runner.time_once() for runner in runners] for _ in range(_WARM_UP + _ROUNDS)]
    return [list(times) for times in zip(*rounds[_WARM_UP:], strict=True)]


def _opened(data: bytes) -> Runner:
    runner = open_model(data, Delegate.XNNPACK)
    rng = np.random.default_rng(_SEED)
    runner.set_inputs(*(random_input(info, rng) for info in runner.inputs))
    return runner
