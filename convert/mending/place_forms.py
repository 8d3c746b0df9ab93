"""The forms of a place of a finished file, as reports name them."""

from __future__ import annotations

from portrait_tflite.convert.costs.cost_table import TARGET, CostTable
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.mending.mend_burden import Burden
from portrait_tflite.convert.mending.xnnpack_steps import constant_nodes
from portrait_tflite.vocabulary import Candidate, Delegate

_MCYCLES = 1e6


def candidate(part: bytes, burden: Burden, delegate: Delegate) -> Candidate:
    """Describe a form of a place: its kinds of ops in their order, and what they cost.

    Args:
        part: The place, cut out.
        burden: What it weighs.
        delegate: Whose ops outside count.
    """
    nodes = list_nodes(read_model(part))
    constant = constant_nodes(nodes)
    # Unpacking float16 weights says nothing, unless it is all that there is.
    moving = [node for node in nodes if node.index not in constant] or nodes
    outside = burden.refused if delegate is Delegate.GPU else burden.outside
    # A place is part of a call that is made anyway.
    cycles = burden.cycles - CostTable.load(TARGET).call
    cost = None if burden.unknown else round(cycles / _MCYCLES, 6)
    return Candidate(" + ".join(dict.fromkeys(node.op for node in moving)), outside, cost)


def no_op() -> Candidate:
    """Describe what is left where a source passes in the output's place."""
    return Candidate("no op", 0, 0.0)
