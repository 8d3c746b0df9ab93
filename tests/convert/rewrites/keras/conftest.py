"""What every form of a rewrite computes, and what a verifier says of a broken one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def every_form(images_for: Callable[..., Any]) -> Callable[..., dict[str, float | None]]:
    """Give a function that builds each exact form of a model's last layer, or the `only`-th.

    It returns the error of each, relative to the output's largest magnitude, by the form's name
    (None for those that were not built), and holds its shape against what the graph promises, for
    one picture and for three at once.
    """
    from portrait_tflite.convert.graph import as_arrays, evaluate, trace
    from portrait_tflite.convert.rewrites.keras.site import Site

    def run(model: Any, rewrite: Any, only: int | None = None) -> dict[str, float | None]:
        graph = trace(model)
        site = rewrite.match(graph.output, graph.uses())
        assert isinstance(site, Site), site
        forms = [form for form in site.forms if form.exact and form.build]
        taken = forms if only is None else [forms[only % len(forms)]]
        built = {form.name: form.build(site.boundary) for form in taken}
        images = images_for(model, 3)
        expected, *found = as_arrays(
            evaluate([graph.output, *built.values()], {graph.input: images})
        )
        magnitude = max(float(np.abs(expected).max()), 1e-30)
        for value, array in zip(built.values(), found, strict=True):
            assert value.shape == graph.output.shape
            assert array.shape == expected.shape
        errors = {
            name: float(np.abs(array - expected).max()) / magnitude
            for name, array in zip(built, found, strict=True)
        }
        return {form.name: errors.get(form.name) for form in forms}

    return run


@pytest.fixture(scope="session")
def refusal_of() -> Callable[..., str]:
    """Give a function that returns why a rewrite refuses a model's last layer."""
    from portrait_tflite.convert.graph import trace
    from portrait_tflite.convert.rewrites.keras.site import Refusal

    def run(model: Any, rewrite: Any) -> str:
        graph = trace(model)
        found = rewrite.match(graph.output, graph.uses())
        assert isinstance(found, Refusal), found
        assert found.layer == graph.output.node.name
        return found.reason

    return run


@pytest.fixture(scope="session")
def verdict_on(rewrite_with: Callable[..., Any]) -> Callable[..., str]:
    """Give a function that makes the rewriter take one form, and returns why it did not keep it.

    Args of that function: the model, the rewrite, the form's name, the name of the layer.
    """
    from portrait_tflite.convert.choice import CheapestForm, PlannedForm
    from portrait_tflite.vocabulary import Delegate

    def run(model: Any, rewrite: Any, form: str, layer: str) -> str:
        chooser = PlannedForm(CheapestForm(Delegate.XNNPACK), {(rewrite.name, layer): form})
        outcome = rewrite_with(model, (rewrite,), chooser=chooser)
        assert outcome.error <= 1e-5, "a form that fails must leave the network as it was"
        return "; ".join(outcome.reasons)

    return run


@pytest.fixture(scope="session")
def export_form() -> Callable[..., bytes]:
    """Give a function that exports a float `.tflite` of a model whose last layer takes a form."""
    from portrait_tflite.convert.export import Export
    from portrait_tflite.convert.graph import Graph, trace
    from portrait_tflite.convert.rewrites.keras.site import Site

    def run(model: Any, rewrite: Any, form: str) -> tuple[bytes, Any]:
        graph = trace(model)
        site = rewrite.match(graph.output, graph.uses())
        assert isinstance(site, Site), site
        taken = next(one for one in site.forms if one.name == form)
        value = taken.build(site.boundary) if taken.build else graph.output
        return Export(Graph(graph.input, value)).float_model("float32"), taken

    return run
