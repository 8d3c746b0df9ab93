"""Tiny Keras networks with random weights, and what rewrites make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest


@dataclass(frozen=True)
class Outcome:
    """A network after some rewrites.

    Attributes:
        result: What `rewrite_graph` returned.
        error: Largest difference of the whole network, relative to its largest magnitude.
    """

    result: Any
    error: float

    @property
    def forms(self) -> list[str]:
        """The forms that were taken."""
        return [record.chosen for record in self.result.records]

    @property
    def reasons(self) -> list[str]:
        """Why what was skipped was skipped."""
        return [skipped.reason for skipped in self.result.skipped]

    @property
    def ops(self) -> list[str]:
        """Class names of what is left."""
        return [type(node.op).__name__ for node in self.result.graph.nodes() if node.op]


@pytest.fixture(scope="session")
def randomized() -> Callable[..., Any]:
    """Give a function that sets every weight of a model at random, biases and statistics too."""

    def randomize(model: Any, seed: int = 0) -> Any:
        rng = np.random.default_rng(seed)
        for weight in model.weights:
            fan_in = max(1, int(np.prod(weight.shape[:-1])))
            value = rng.normal(0, fan_in**-0.5 if len(weight.shape) > 1 else 0.5, weight.shape)
            if weight.name == "moving_variance":
                value = rng.uniform(0.5, 2, weight.shape)
            weight.assign(value.astype(np.float32))
        return model

    return randomize


@pytest.fixture(scope="session")
def images_for() -> Callable[..., Any]:
    """Give a function that draws noise `[count, h, w, c]` for a model's input."""

    def draw(model: Any, count: int = 2) -> Any:
        shape = (count, *model.inputs[0].shape[1:])
        return np.random.default_rng(7).normal(size=shape).astype(np.float32)

    return draw


@pytest.fixture(scope="session")
def rewrite_with(images_for: Callable[..., Any]) -> Callable[..., Outcome]:
    """Give a function that rewrites a model, by default every site into its exact form."""
    from portrait_tflite.convert.choice import CheapestForm, EveryExactForm
    from portrait_tflite.convert.graph import Graph, apply_op, trace
    from portrait_tflite.convert.rewriter import rewrite_graph
    from portrait_tflite.convert.rewrites.keras.site import TakeChannel
    from portrait_tflite.vocabulary import Delegate

    def run(
        model: Any, rewrites: Sequence[Any], *, channel: int | None = None, chooser: Any = None
    ) -> Outcome:
        graph = trace(model)
        if channel is not None:
            graph = Graph(graph.input, apply_op("mask", TakeChannel(channel), graph.output))
        images = images_for(model)
        chooser = chooser or EveryExactForm(CheapestForm(Delegate.XNNPACK))
        result = rewrite_graph(graph, images, chooser, rewrites)
        expected = np.asarray(model(images))
        if channel is not None:
            expected = expected[..., channel : channel + 1]
        found = np.asarray(result.graph(images))
        assert found.shape == expected.shape
        assert result.graph.output.shape == graph.output.shape
        magnitude = max(float(np.abs(expected).max()), 1e-30)
        return Outcome(result, float(np.abs(found - expected).max()) / magnitude)

    return run
