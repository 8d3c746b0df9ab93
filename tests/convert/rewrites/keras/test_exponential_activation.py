"""ELU, CELU, SELU, softplus, log-sigmoid and mish from ops that int8 and the GPU delegate have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.choice import CheapestForm
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_lookups import find_lookups
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import Graph, Node, apply_op, as_arrays
from portrait_tflite.convert.rewriter import TOLERANCE, difference
from portrait_tflite.convert.rewrites.keras import exponential_activation
from portrait_tflite.convert.rewrites.keras.affine_before import FoldAffineBefore
from portrait_tflite.convert.rewrites.keras.exponential_activation import ExponentialActivation
from portrait_tflite.convert.rewrites.keras.one_spelling import OneSpelling
from portrait_tflite.convert.rewrites.keras.site import Site
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import Delegate, ModelSpec, Precision

from ...arm_ratio import int8_of

Build = Callable[..., Any]
REWRITE = ExponentialActivation()
GPU = CheapestForm(Delegate.GPU)
SPELLINGS: dict[str, Callable[[Any], Any]] = {
    "elu": layers.Activation("elu"),
    "elu layer": layers.ELU(0.3),
    "elu operation": keras.ops.elu,
    "selu": layers.Activation("selu"),
    "selu operation": keras.ops.selu,
    "softplus": layers.Activation("softplus"),
    "softplus operation": keras.ops.softplus,
    "mish": layers.Activation("mish"),
    "log_sigmoid": layers.Activation("log_sigmoid"),
    "celu": layers.Activation("celu"),
}


def _net(function: Callable[[Any], Any], holder: Any = None) -> keras.Model:
    x = keras.Input((5, 6, 3))
    y = (holder or layers.Conv2D(4, 3, name="conv"))(x)
    return keras.Model(x, layers.Conv2D(2, 1, name="head")(function(y)))


@pytest.mark.parametrize("delegate", [Delegate.XNNPACK, Delegate.GPU])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_computed_by_hand(
    randomized: Build, rewrite_with: Build, spelling: str, delegate: Delegate
) -> None:
    net = randomized(_net(SPELLINGS[spelling]))
    chooser = CheapestForm(delegate)
    outcome = rewrite_with(net, [OneSpelling(), REWRITE], chooser=chooser)
    taken = [r.chosen for r in outcome.result.records if r.rewrite == REWRITE.name]
    native = spelling in ("elu", "elu operation")
    forms = {"celu": "elu", "elu": "leaky", "selu": "leaky"}
    assert taken == ([] if native else [forms.get(spelling.split()[0], "logistic")])
    assert outcome.error <= 1e-5


@pytest.mark.parametrize(
    "holder",
    [
        layers.Conv2D(4, 3, groups=1, activation="selu"),
        layers.Conv2D(6, 3, strides=2, groups=3, activation="selu"),
        layers.DepthwiseConv2D(3, activation="selu"),
        layers.SeparableConv2D(4, 3, activation="selu"),
        layers.Conv2DTranspose(4, 3, strides=2, activation="selu"),
        layers.Dense(4, activation="selu"),
    ],
)
def test_a_layer_gives_its_activation_away(
    randomized: Build, rewrite_with: Build, holder: Any
) -> None:
    outcome = rewrite_with(randomized(_net(lambda y: y, holder)), [REWRITE])
    assert outcome.forms == ["leaky"]
    assert outcome.error <= 1e-5


def test_a_slope_below_zero_stays(randomized: Build, rewrite_with: Build) -> None:
    outcome = rewrite_with(randomized(_net(layers.ELU(-0.3))), [REWRITE])
    assert outcome.forms == []


def test_the_scale_folds_into_the_convolution_behind(
    randomized: Build, rewrite_with: Build
) -> None:
    net = randomized(_net(layers.Activation("selu")))
    outcome = rewrite_with(net, [REWRITE, FoldAffineBefore()])
    assert outcome.ops[-3:] == ["Activation", "LeakyReLU", "Conv2D"]
    assert outcome.error <= 1e-5


def test_int8_looks_a_selu_up(randomized: Build) -> None:
    """ELU, slope and scale are one table of 256 bytes; the kernels take slopes above 1."""
    x = keras.Input((8, 8, 3))
    y = layers.Activation("selu")(layers.Conv2D(4, 3)(x))
    net = randomized(keras.Model(x, layers.Conv2D(1, 1)(layers.Concatenate()([y, y]))))
    rng = np.random.default_rng(2)
    pictures = rng.uniform(-3, 3, (8, 8, 8, 3)).astype(np.float32)
    data = int8_of(net, ModelSpec(8, 8), pictures)
    nodes = list_nodes(read_model(data))
    (row,) = find_lookups(nodes)
    assert [n.op for n in row] == ["DEQUANTIZE", "ELU", "QUANTIZE", "LEAKY_RELU", "MUL"]
    runner = open_model(data)
    (stored,) = runner.run(to_stored(pictures[:1], runner.inputs[0]))
    off = np.abs(to_real(stored, runner.outputs[0]) - np.asarray(net(pictures[:1])))
    assert off.max() <= 8 * runner.outputs[0].scale


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "tanh", "leaky_relu", "softsign"])
def test_others_stay(randomized: Build, rewrite_with: Build, name: str) -> None:
    outcome = rewrite_with(randomized(_net(layers.Activation(name))), [REWRITE])
    assert (outcome.forms, outcome.reasons) == ([], [])


@pytest.mark.parametrize("delegate", [Delegate.XNNPACK, Delegate.GPU])
def test_an_op_that_both_delegates_have_stays(
    randomized: Build, rewrite_with: Build, delegate: Delegate
) -> None:
    net = randomized(_net(layers.ELU()))
    outcome = rewrite_with(net, [REWRITE], chooser=CheapestForm(delegate))
    assert outcome.forms == []


@pytest.mark.parametrize("name", ["celu", "log_sigmoid", "mish", "selu", "softplus"])
def test_the_gpu_takes_all_of_it(randomized: Build, rewrite_with: Build, name: str) -> None:
    net = randomized(_net(layers.Activation(name)))
    graph = rewrite_with(net, [REWRITE, FoldAffineBefore()], chooser=GPU).result.graph
    assert audit_model(Export(graph).float_model(Precision.FLOAT16)).gpu.outside == ()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(("celu", "elu", "log_sigmoid", "mish", "selu", "softplus")),
    alpha=st.floats(0.05, 3).filter(lambda alpha: alpha != 1),
    reach=st.floats(0.05, 90),  # beyond, exp(x) itself is no float
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5)),
    seed=st.integers(0, 1 << 16),
)
def test_whatever_the_numbers_are(
    kind: str, alpha: float, reach: float, shape: tuple[int, ...], seed: int
) -> None:
    source = Node("image", None, (), (), {}, ((1, *shape),)).output
    layer = layers.ELU(alpha) if kind == "elu" else layers.Activation(kind)
    graph = Graph(source, apply_op("act", layer, source))
    site = REWRITE.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    image = np.random.default_rng(seed).normal(0, reach, (1, *shape)).astype(np.float32)
    # At 0 both sides meet; a large result gives the tensor a magnitude to be relative to.
    image.flat[0], image.flat[-1] = 0, -reach if kind == "log_sigmoid" else reach
    for form in site.forms:
        assert form.build
        changed = Graph(source, form.build(site.boundary))
        assert difference(*as_arrays([graph(image), changed(image)]))[1] <= TOLERANCE, form.name


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        *(("leaky", fault) for fault in ("no_scale", "no_slope", "relu6")),
        *(("logistic", fault) for fault in ("relu6", "tanh")),
    ],
)
def test_a_broken_one_is_undone(
    randomized: Build,
    verdict_on: Build,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    fault: str,
) -> None:
    net = randomized(_net(layers.Activation("mish" if form == "logistic" else "selu", name="act")))
    net.layers[1].bias.assign([9.0, 0.0, -1.0, 0.5])  # beyond what a ReLU6 leaves
    assert verdict_on(net, REWRITE, form, "act") == ""
    activate = exponential_activation.activate

    def wrong_activation(name: str, source: Any, _: str) -> Any:
        return activate(name, source, fault)

    if fault == "no_scale":
        monkeypatch.setattr(layers.Rescaling, "call", lambda _, x: x)
    elif fault == "no_slope":
        monkeypatch.setattr(layers.LeakyReLU, "call", lambda _, x: x)
    else:
        monkeypatch.setattr(exponential_activation, "activate", wrong_activation)
    assert "verification failed" in verdict_on(net, REWRITE, form, "act")
