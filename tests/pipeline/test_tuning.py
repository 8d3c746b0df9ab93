"""`--tune`: what the clock says decides; the clock is a fake one here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.choice import CheapestForm
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewriter import rewrite_graph
from portrait_tflite.convert.rewrites.keras.site import Form, Site
from portrait_tflite.convert.rewrites.keras.transposed_convolution import TransposedConvolution
from portrait_tflite.pipeline.tuning import HostTiming, time_in_turns
from portrait_tflite.vocabulary import Approximation, Delegate

RESIZE = frozenset({Approximation.RESIZE})


class _Clock:
    """Gives each file the time that its ops take, and slows down from round to round."""

    def __init__(self, **ms: float) -> None:
        self.ms = ms
        self.files: list[list[str]] = []

    def __call__(self, files: Sequence[bytes]) -> list[list[float]]:
        kinds = [[node.op for node in list_nodes(read_model(data))] for data in files]
        self.files += kinds
        return [[self._time(ops) * (1 + n) for n in range(5)] for ops in kinds]

    def _time(self, ops: list[str]) -> float:
        return self.ms["subpixel" if "DEPTH_TO_SPACE" in ops else "transpose_conv"]


def _model(kernel: int = 3) -> keras.Model:
    x = keras.Input((4, 4, 32))
    up = {"strides": 2, "padding": "same", "activation": "relu", "bias_initializer": "uniform"}
    return keras.Model(x, layers.Conv2DTranspose(32, kernel, name="up", **up)(x))


def _site() -> Site:
    graph = trace(_model())
    site = TransposedConvolution().match(graph.output, graph.uses())
    assert isinstance(site, Site)
    two = [form for form in site.forms if form.name in {"subpixel", "transpose_conv"}]
    fitted = [form for form in site.forms if not form.exact]
    return replace(site, forms=(*two, *fitted))


def _tuned(clock: Any, *, integer: bool = True, **options: Any) -> HostTiming:
    return HostTiming(CheapestForm(Delegate.XNNPACK, **options), integer=integer, time=clock)


@pytest.mark.parametrize(
    ("table_ms", "factor", "displaced", "reason"),
    [
        (1.0, 0.5, True, "fastest on this host (int8"),
        (1.0, 2.0, False, "none is 3 % and 1 µs faster on this host (int8"),
        # Too near to each other to tell: the cost table's form.
        (1.0, 0.99, False, "none is 3 % and 1 µs faster on this host (int8"),
        (0.0005, 0.9, False, "none is 3 % and 1 µs faster on this host (int8"),
    ],
)
def test_the_faster_form_is_taken(
    table_ms: float, factor: float, displaced: bool, reason: str
) -> None:
    site = _site()
    cheapest = CheapestForm(Delegate.XNNPACK).choose("transposed_convolution", site)
    assert cheapest is not None
    (other,) = {"subpixel", "transpose_conv"} - {cheapest[0].name}
    ms = {cheapest[0].name: table_ms, other: table_ms * factor}
    clock = _Clock(**ms)
    chooser = _tuned(clock)
    chosen = chooser.choose("transposed_convolution", site)
    assert chosen is not None
    assert chosen[0].name == (other if displaced else cheapest[0].name)
    assert chosen[1].startswith(reason)
    # Each form was timed as the variant that it would be part of.
    assert [set(ops) & {"TRANSPOSE_CONV", "DEPTH_TO_SPACE"} for ops in clock.files] == [
        {"DEPTH_TO_SPACE"}, {"TRANSPOSE_CONV"},
    ]  # fmt: skip
    timed = {candidate.form: candidate.host_ms for candidate in chooser.candidates(site)}
    assert timed["subpixel"] == 3 * ms["subpixel"]  # the median of five rounds
    assert timed["transpose_conv"] == 3 * ms["transpose_conv"]
    assert all(ms is None for form, ms in timed.items() if form.startswith("resize"))


def test_the_record_has_the_times() -> None:
    model = _model()
    images = np.random.default_rng(3).normal(size=(1, 4, 4, 32)).astype(np.float32)
    clock = _Clock(subpixel=1.0, transpose_conv=2.0)
    result = rewrite_graph(
        trace(model), images, _tuned(clock, integer=False), (TransposedConvolution(),)
    )
    (record,) = result.records
    assert record.chosen == "subpixel"
    assert "fastest on this host (float" in record.reason
    timed = {candidate.form: candidate.host_ms for candidate in record.candidates}
    assert (timed["subpixel"], timed["transpose_conv"]) == (3.0, 6.0)


def test_nothing_is_timed_where_nothing_is_to_choose() -> None:
    def never(files: Sequence[bytes]) -> list[list[float]]:
        raise AssertionError

    site = _site()
    fitted = _tuned(never, approximate=RESIZE).choose("transposed_convolution", site)
    assert fitted is not None
    assert not fitted[0].exact
    one = Site("up", site.root, site.boundary, (Form("only", lambda b: b[0]),), "")
    chosen = _tuned(never).choose("any", one)
    assert chosen is not None
    assert chosen[0].name == "only"
    assert _tuned(never).candidates(one) == ()


def test_files_run_in_turns() -> None:
    files = [_tuned(None, integer=integer)._file(_site(), _site().forms[0]) for integer in (0, 1)]
    times = time_in_turns(files)
    assert len(times) == 2
    assert {len(one) for one in times} == {40}
    assert all(ms > 0 for one in times for ms in one)
