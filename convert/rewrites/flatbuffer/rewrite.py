"""What a rewrite of a finished `.tflite` is: a match apart from a change."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes, read_node
from portrait_tflite.convert.rewrites.flatbuffer.place import (
    Place,
    computed_inputs,
    cut_out,
    redirect,
)
from portrait_tflite.vocabulary import Candidate


@dataclass(frozen=True)
class MendedOp:
    """A place that was rewritten: the name of the op's output, and why it may be.

    Attributes:
        exact: Whether the result is the same to the byte.
        real: Whether it is of float numbers, of which 1e-5 of the largest is exact.
        max_abs_error: Largest difference of the op's output, in real units.
        max_rel_error: The same, relative to the largest magnitude.
        candidates: The place as it was and as it is, with what each costs.
    """

    tensor: str
    reason: str
    exact: bool = True
    max_abs_error: float = 0.0
    max_rel_error: float = 0.0
    candidates: tuple[Candidate, ...] = ()
    real: bool = False


@dataclass(frozen=True)
class RefusedOp:
    """A place that looks right and is not exact, or is of no use: left as it is."""

    tensor: str
    reason: str
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Match:
    """A place where a rewrite applies.

    Attributes:
        reason: Why the result is the same.
        details: What `change` needs to know; the rewrite's own.
        exact: Whether the bytes stay; else integers may move by one step, by another rounding, and
            floats by 1e-5 of the largest.
        sources: The tensors that the place reads; by default the op's own computed inputs.
        bypass: The tensor that takes the output's place: no op is needed at all.
        observed: The bound holds for what pictures make of the tensors, not for all values.
    """

    reason: str
    details: Any = None
    exact: bool = True
    sources: tuple[int, ...] = ()
    bypass: int | None = None
    observed: bool = False


@dataclass(frozen=True)
class Verdict:
    """What is said of a rewritten place; `refusal` is "" where it may stay.

    `candidates` are the place as it was and as it would be, where it came to weighing them.
    `certain` says that no case was left out: where nothing differed, nothing can.
    """

    refusal: str = ""
    max_abs_error: float = 0.0
    max_rel_error: float = 0.0
    candidates: tuple[Candidate, ...] = ()
    certain: bool = False


Judge = Callable[[Place], Verdict]


def accept(_: Place) -> Verdict:
    """Accept every place: for a rewrite on its own."""
    return Verdict()


@dataclass(frozen=True)
class Applied:
    """What a rewrite did to a model."""

    mended: tuple[MendedOp, ...]
    refused: tuple[RefusedOp, ...]


class FlatbufferRewrite(ABC):
    """One rewrite of a `.tflite`; its docstring says Given and Result.

    Attributes:
        observes: Whether some of its places are judged on what pictures make of the tensors.
        within_one_step: Whether some of its places round otherwise, by one step at most.
        reorders_sums: Whether floats are added up in another order, which is exact to 1e-5 of the
            largest; integers keep their bytes.
        helps_gpu: Whether it is of use in a file for the GPU, too.
        before_int8: Whether a float file is rewritten before it becomes int8, too, since int8 is
            more accurate then.
        aligns_kernels: Whether what it gains is that XNNPACK and the built-in kernels give the same
            integers more often, for no more cost. The output may then have another scale.
        by_name: Whether it is applied only where `--rewrite` names it.
        keras_name: Of the rewrite of the Keras graph that chooses among the same forms; "" where
            there is none. What was made of a graph stays as that chose.
    """

    name: ClassVar[str]
    observes: ClassVar[bool] = False
    within_one_step: ClassVar[bool] = False
    reorders_sums: ClassVar[bool] = False
    helps_gpu: ClassVar[bool] = True
    before_int8: ClassVar[bool] = False
    aligns_kernels: ClassVar[bool] = False
    by_name: ClassVar[bool] = False
    keras_name: ClassVar[str] = ""

    @abstractmethod
    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Say whether this op can be rewritten; None where it is not this rewrite's concern."""

    @abstractmethod
    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put other ops in the place of the matched one, which write the same tensor.

        Tensors keep their numbers and new ones stand behind them; new ops stand right before.
        """

    def sources(self, model: schema.ModelT) -> list[int]:
        """List the tensors whose values on pictures must be known to judge the places."""
        nodes = list_nodes(model) if self.observes else []
        found = (self.match(model, node) for node in nodes)
        return [s for m in found if isinstance(m, Match) and m.observed for s in m.sources]

    def apply(self, model: schema.ModelT, judge: Judge = accept) -> Applied:
        """Rewrite every place in the first subgraph that the judge lets pass.

        The model is changed in place.
        """
        mended: list[MendedOp] = []
        refused: list[RefusedOp] = []
        position = 0
        while position < (count := len(model.subgraphs[0].operators)):
            node = read_node(model, position)
            found = self.match(model, node)
            if isinstance(found, RefusedOp):
                refused.append(found)
            elif found is not None:
                verdict = self._try(model, node, found, judge)
                if verdict.refusal:
                    refused.append(RefusedOp(node.tensor, verdict.refusal, verdict.candidates))
                else:
                    mended.append(_mended(node, found, verdict))
                    position += len(model.subgraphs[0].operators) - count
            position += 1
        return Applied(tuple(mended), tuple(refused))

    def _try(self, model: schema.ModelT, node: Node, match: Match, judge: Judge) -> Verdict:
        sources = match.sources or computed_inputs(model, node)
        target = node.outputs[0].index
        written = [output.index for output in node.outputs]
        before = cut_out(model, sources, written)
        saved = copy_graph(model)
        if match.bypass is None:
            self.change(model, node, match)
            after = cut_out(model, sources, written)
        else:
            redirect(model, target, match.bypass)
            after = None
        passed = sources.index(match.bypass) if match.bypass in sources else 0
        verdict = judge(
            Place(before, after, sources, match.exact, match.observed, passed, self.aligns_kernels)
        )
        if verdict.refusal:
            restore_graph(model, saved)
        return verdict


class WholeFileRewrite(FlatbufferRewrite):
    """One that is about no op: its `apply` changes the file, which is compared as a whole."""

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match no op."""
        return None

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Never called: no op matches."""
        raise AssertionError(node.tensor)


def copy_graph(model: schema.ModelT) -> schema.ModelT:
    """Copy all of a model that a rewrite may change; constants are shared."""
    copied = copy.copy(model)
    copied.operatorCodes = list(model.operatorCodes)
    copied.buffers = list(model.buffers)
    copied.subgraphs = [copy.copy(graph) for graph in model.subgraphs]
    for graph in copied.subgraphs:
        graph.tensors = [copy.copy(tensor) for tensor in graph.tensors]
        graph.operators = [copy.copy(operator) for operator in graph.operators]
    # Pruning renumbers inside of these.
    copied.signatureDefs = copy.deepcopy(model.signatureDefs)
    copied.metadata = copy.deepcopy(model.metadata)
    return copied


def restore_graph(model: schema.ModelT, saved: schema.ModelT) -> None:
    """Put back what `copy_graph` saved."""
    vars(model).update(vars(saved))


def _mended(node: Node, match: Match, verdict: Verdict) -> MendedOp:
    # Where some cases were tried alone, the next picture may show the other rounding.
    exact = match.exact or (verdict.certain and not verdict.max_abs_error)
    return MendedOp(
        node.tensor,
        match.reason,
        exact,
        verdict.max_abs_error,
        verdict.max_rel_error,
        verdict.candidates,
        real=node.outputs[0].dtype == "float32",
    )
