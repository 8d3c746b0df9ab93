"""A user's own rewrites: the examples of the documentation, and what goes wrong with others."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.loading.custom_objects import read_custom_objects
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.plan import RewriteRequest, rewrite_for
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.convert.rewrites.failure import named_failure
from portrait_tflite.convert.rewrites.keras.site import Form, Site, single
from portrait_tflite.convert.rewrites.registry import OURS, Registry
from portrait_tflite.errors import ConversionError, UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, RewriteMode

Build = Callable[..., Any]

_PAGE = Path(__file__).parents[3] / "docs" / "writing-a-rewrite.md"
_KERAS, _FILE = re.findall(r"```python\n(.*?)```", _PAGE.read_text("utf-8"), re.DOTALL)


def _registry(folder: Path, code: str) -> Registry:
    path = folder / "own.py"
    path.write_text(code)
    return OURS.with_own(read_custom_objects(path).rewrites, str(path))


def _pooled(randomized: Build, padding: str = "valid", *, shared: bool = False) -> keras.Model:
    x = keras.Input((8, 6, 3))
    pooled = layers.AveragePooling2D(2, padding=padding, name="pool")(x)
    y = layers.Conv2D(5, 1, activation="relu", name="mix")(pooled)
    y = layers.Conv2D(3, 1, name="head")(y)
    return randomized(keras.Model(x, layers.Add()([y, pooled]) if shared else y))


def _rewritten(model: keras.Model, images: Any, registry: Registry) -> Rewritten:
    request = RewriteRequest(RewriteMode.EXACT, registry=registry)
    return rewrite_for(trace(model), Delegate.XNNPACK, request, images)


def test_the_documents_keras_rewrite_is_exact(
    tmp_path: Path, randomized: Build, images_for: Build
) -> None:
    model = _pooled(randomized)
    images = images_for(model)
    result = _rewritten(model, images, _registry(tmp_path, _KERAS))
    (record,) = result.records
    assert (record.rewrite, record.layer) == ("merge_pooling", "mix")
    assert record.chosen == "strided_convolution"
    assert record.max_rel_error <= 1e-5
    assert {candidate.form for candidate in record.candidates} == {"strided_convolution", "pooling"}
    assert all(candidate.cost > 0 for candidate in record.candidates)
    assert not any(isinstance(n.op, layers.AveragePooling2D) for n in result.graph.nodes())
    np.testing.assert_allclose(result.graph(images), model(images), atol=1e-5)
    # `auto` chooses between its forms by the cost table.
    chosen = rewrite_for(
        trace(model),
        Delegate.XNNPACK,
        RewriteRequest(registry=_registry(tmp_path, _KERAS)),
        images,
    )
    cheapest = min(record.candidates, key=lambda candidate: (candidate.outside, candidate.cost))
    taken = [r.chosen for r in chosen.records] or [s.reason.split(":")[0] for s in chosen.skipped]
    assert taken == [cheapest.form]


def test_the_documents_keras_rewrite_refuses(
    tmp_path: Path, randomized: Build, images_for: Build
) -> None:
    registry = _registry(tmp_path, _KERAS)
    for model, reason in (
        (_pooled(randomized, shared=True), "the output of pool is also used elsewhere"),
        (_pooled(randomized, "same"), "padding, strides or groups are in the way"),
    ):
        result = _rewritten(model, images_for(model), registry)
        assert result.records == ()
        assert [(s.rewrite, s.reason) for s in result.skipped] == [("merge_pooling", reason)]


def test_a_broken_copy_of_it_is_caught(
    tmp_path: Path, randomized: Build, images_for: Build
) -> None:
    model = _pooled(randomized)
    for good, bad in (("kernel / 4", "kernel / 3"), ("merged, bias,", "merged, bias * 0,")):
        assert good in _KERAS
        registry = _registry(tmp_path, _KERAS.replace(good, bad))
        result = _rewritten(model, images_for(model), registry)
        assert result.records == ()
        assert "verification failed" in result.skipped[0].reason


def _power(graph: Any, exponent: float) -> bytes:
    source = graph.tensor("x", (1, 4, 4, 3), "float32")
    power = graph.tensor("power", (1,), "float32", data=np.array([exponent], np.float32))
    target = graph.tensor("net/square/Pow", (1, 4, 4, 3), "float32")
    graph.op("POW", [source, power], target, 1, schema.PowOptionsT())
    data: bytes = graph.build([source], [target])
    return data


def test_the_documents_file_rewrite(tmp_path: Path, tiny_graph: Build) -> None:
    registry = _registry(tmp_path, _FILE)
    assert registry.names()[-2:] == ("square_to_product", "share_constants")
    data = _power(tiny_graph(), 2)
    result = mend_model(data, rewrites=registry.flatbuffer)
    assert [(r.rewrite, r.exact) for r in result.records] == [("square_to_product", True)]
    assert [node.op for node in list_nodes(read_model(result.data))] == ["MUL"]
    image = np.random.default_rng(1).normal(size=(1, 4, 4, 3)).astype(np.float32)
    found, expected = (open_model(d, Delegate.CPU).run(image)[0] for d in (result.data, data))
    np.testing.assert_array_equal(found, expected)
    cubed = mend_model(_power(tiny_graph(), 5), rewrites=registry.flatbuffer)
    assert cubed.records == ()
    assert [s.reason for s in cubed.skipped] == ["the exponent is not 2 for all"]


def test_a_broken_file_rewrite_is_caught(tmp_path: Path, tiny_graph: Build) -> None:
    registry = _registry(tmp_path, _FILE.replace("!= {2.0}", "!= {5.0}"))
    result = mend_model(_power(tiny_graph(), 5), rewrites=registry.flatbuffer)
    assert result.records == ()
    assert [s.rewrite for s in result.skipped] == ["square_to_product"]
    assert "not byte-equal" in result.skipped[0].reason


class _Raises:
    name = "raises"

    def match(self, value: Any, uses: Any) -> Any:
        raise KeyError("nothing here")


class _Nonsense:
    name = "nonsense"

    def match(self, value: Any, uses: Any) -> Any:
        return "a site"


class _Builds:
    name = "builds"

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build

    def match(self, value: Any, uses: Any) -> Any:
        if not isinstance(value.node.op, layers.Conv2D):
            return None
        name = value.node.name
        return Site(name, value, value.node.inputs, single("built", self.build), "why not")


def _division(boundary: Any) -> Any:
    return 1 / 0


@pytest.mark.parametrize("own", [_Raises(), _Nonsense(), _Builds(_division)], ids=lambda o: o.name)
def test_what_a_rewrite_raises_names_it(randomized: Build, images_for: Build, own: Any) -> None:
    model = _pooled(randomized)
    registry = OURS.with_own([own], "own.py")
    with pytest.raises(ConversionError, match=f"Received from {own.name}: ") as caught:
        _rewritten(model, images_for(model), registry)
    assert f"--rewrite -{own.name}" in str(caught.value)
    assert str(caught.value).count("\n") == 1


def _fail(text: str) -> None:
    with named_failure("mine"):
        raise RuntimeError(text)


def test_the_gist_of_a_trace_is_its_last_line() -> None:
    trace = "in user code:\n\n    File own.py, line 3, in build\n\n    TypeError: no such thing.\n"
    for text, gist in (
        (trace, "TypeError: no such thing."),
        ("first.\nmore", "first."),
        ("", "no"),
    ):
        with pytest.raises(ConversionError) as caught:
            _fail(text)
        assert f"Received from mine: RuntimeError: {gist}" in str(caught.value)


def test_a_wrong_shape_is_kept_as_it_was(randomized: Build, images_for: Build) -> None:
    model = _pooled(randomized)
    registry = OURS.with_own([_Builds(lambda boundary: boundary[0])], "own.py")
    result = _rewritten(model, images_for(model), registry)
    assert result.records == ()
    assert {s.rewrite for s in result.skipped} >= {"builds"}


def test_what_a_file_rewrite_raises_names_it(tmp_path: Path, tiny_graph: Build) -> None:
    broken = _FILE.replace("base = node.given()[0].index", "base = node.nothing")
    registry = _registry(tmp_path, broken)
    with pytest.raises(ConversionError, match=r"from square_to_product: AttributeError"):
        mend_model(_power(tiny_graph(), 2), rewrites=registry.flatbuffer)


def test_a_site_names_the_layers_that_it_holds(randomized: Build) -> None:
    model = _pooled(randomized)
    graph = trace(model)
    mix = next(node for node in graph.nodes() if node.name == "mix")
    site = Site("mix", mix.output, (graph.input,), (Form("kept"),), "")
    assert site.layers() == ("mix", "pool")


def test_rewrites_must_be_a_tuple(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"REWRITES in .*own\.py must be a tuple"):
        _registry(tmp_path, "REWRITES = 3")


def test_a_file_is_run_once(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    marker.write_text("")
    code = "import pathlib\nREWRITES = ()\nLAMBDAS = {'a': abs}\n"
    code += f"marker = pathlib.Path({str(marker)!r})\nmarker.write_text(marker.read_text() + 'x')\n"
    for _ in range(2):
        _registry(tmp_path, code)
    assert marker.read_text() == "x"
    _registry(tmp_path, code + "# changed\n")
    assert marker.read_text() == "xx"


_SKIPS_A_LAYER = """
from portrait_tflite.convert.rewrites.keras.site import Form, Site


class SkipALayer:
    name = "skip_a_layer"

    def match(self, value, uses):
        if value.node.name != "head":
            return None
        inner = value.node.inputs[0]
        form = Form("same", build=lambda boundary: boundary[0])
        return Site("head", inner, (inner,), (form,), "it seems")


REWRITES = [SkipALayer()]
"""


def test_a_site_that_is_not_what_was_matched_is_refused(
    tmp_path: Path, randomized: Build, images_for: Build
) -> None:
    # Verified by its root it would be exact, and the head would be gone.
    model = _pooled(randomized)
    with pytest.raises(ConversionError, match=r"skip_a_layer: ValueError: .*root must be .*head"):
        _rewritten(model, images_for(model), _registry(tmp_path, _SKIPS_A_LAYER))
