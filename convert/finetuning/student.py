"""What learns: a copy of a graph as a Keras model, on any backend."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from portrait_tflite.convert.finetuning.graph_model import GraphModel, masks_of, with_own_weights
from portrait_tflite.convert.finetuning.lessons import Lessons
from portrait_tflite.convert.finetuning.options import FineTuningOptions
from portrait_tflite.convert.graph import Graph, Node
from portrait_tflite.convert.rewrites.keras.site import Array
from portrait_tflite.images import Floats
from portrait_tflite.metrics import iou, mae

Tensor = Any

# A pixel on which the teacher is undecided counts so much more: the masks' edge is what differs.
_EDGE = 4.0
_SURE = 1e-6  # keeps logarithms finite
_LARGEST_GRADIENT = 1.0
_WARM_UP = 0.05  # share of the steps in which the learning rate rises


class Score(NamedTuple):
    """How well a student does, the greater the better; where masks agree alike, the values say.

    Attributes:
        agreement: Mean IoU with the teacher's masks, 0 to 1.
        closeness: Mean absolute difference of the values, negated.
    """

    agreement: float
    closeness: float


class Student:
    """A copy of a graph that learns.

    Args:
        graph: What to train; it stays as it is.
        approximated: Names of the layers that became other functions: what stands before the first
            of them still does what it did, and is not trained. Without any, all is.
        played: Makes of the copy what is run, on the same layers: int8 played in float.
    """

    def __init__(
        self,
        graph: Graph,
        approximated: Collection[str],
        options: FineTuningOptions,
        played: Callable[[Graph], Graph] | None = None,
    ) -> None:
        self.graph, layers = with_own_weights(graph)
        behind = _behind(self.graph, approximated)
        trained = [layer for layer in layers if not behind or id(layer) in behind]
        run = played(self.graph) if played else self.graph
        self._model = GraphModel(run, trained)
        self._model.compile(
            optimizer=keras.optimizers.Adam(_schedule(options), clipnorm=_LARGEST_GRADIENT),
            loss=distance,
            jit_compile=False,
        )
        self._model.optimizer.build(self._model.trainable_variables)

    def learn(self, inputs: Floats, masks: Floats) -> None:
        """Take one step."""
        self._model.train_on_batch(inputs, masks)

    def score(self, lessons: Lessons, batch_size: int) -> Score:
        """Compare its masks with the teacher's."""
        pairs = [
            (ours[..., 0], theirs[..., 0])
            for inputs, masks in lessons.chunks(batch_size)
            for ours, theirs in zip(masks_of(self._model, inputs, batch_size), masks, strict=True)
        ]
        agreement = float(np.mean([iou(*pair) for pair in pairs]))
        return Score(agreement, -float(np.mean([mae(*pair) for pair in pairs])))

    @property
    def weights(self) -> list[Array]:
        """What it has learned."""
        return [np.array(weight) for weight in self._model.get_weights()]

    @weights.setter
    def weights(self, arrays: list[Array]) -> None:
        self._model.set_weights(arrays)

    @property
    def optimizer_state(self) -> list[Array]:
        """Moments and step of the optimizer."""
        return [ops.convert_to_numpy(variable) for variable in self._model.optimizer.variables]

    @optimizer_state.setter
    def optimizer_state(self, arrays: list[Array]) -> None:
        for variable, array in zip(self._model.optimizer.variables, arrays, strict=True):
            variable.assign(array)


def distance(truth: Tensor, guess: Tensor) -> Tensor:
    """Cross-entropy to soft masks, the more for a pixel the less the teacher was sure of it.

    Args:
        truth: The teacher's probabilities `[batch, h, w, 1]`.
        guess: The student's.

    Returns:
        One value per image, `[batch]`.
    """
    guess = ops.clip(guess, _SURE, 1 - _SURE)
    entropy = -(truth * ops.log(guess) + (1 - truth) * ops.log(1 - guess))
    return ops.mean(entropy * (1 + 4 * _EDGE * truth * (1 - truth)), axis=(1, 2, 3))


def _behind(graph: Graph, approximated: Collection[str]) -> set[int]:
    """Collect the ids of the operations at and behind the layers that were approximated."""
    prefixes = tuple(f"{name}_" for name in approximated)
    reached: set[Node] = set()
    for node in graph.nodes():
        # A rewrite calls what it adds after the layer that it replaces.
        named = node.name in approximated or node.name.startswith(prefixes)
        if named or any(value.node in reached for value in node.inputs):
            reached.add(node)
    return {id(node.op) for node in reached}


def _schedule(options: FineTuningOptions) -> keras.optimizers.schedules.LearningRateSchedule:
    warm_up = int(_WARM_UP * options.total_steps) + 1
    return keras.optimizers.schedules.CosineDecay(
        options.learning_rate / 10,
        max(1, options.total_steps - warm_up),
        warmup_target=options.learning_rate,
        warmup_steps=warm_up,
    )
