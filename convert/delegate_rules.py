"""A delegate's rules as data: what it refuses, why, and what would help.

The runtime only says which ops it took (XNNPACK) or nothing at all (GPU, without one). The reasons
come from tables that were read in the delegates' own sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from portrait_tflite.convert.flatbuffer_nodes import Node

DYNAMIC_FIX = "fix the batch and all sizes before exporting; `portrait-tflite convert` does"


@dataclass(frozen=True)
class Rule:
    """One reason for which a delegate leaves an op outside.

    Attributes:
        ops: The ops it concerns; empty for all.
        breaks: Returns the reason where the op breaks the rule, else "".
        fix: What would help; may be overridden per op by `FIXES`.
    """

    ops: frozenset[str]
    breaks: Callable[[Node], str]
    fix: str


# What to do about an op that a delegate has not at all, or not in this type.
FIXES: dict[str, str] = {
    "ARG_MAX": "end the network before it; take the largest channel in the app",
    "AVERAGE_POOL_2D": "use a strided or depthwise convolution, or a mean over the whole map",
    "BROADCAST_TO": "let ADD and MUL broadcast, or resize with RESIZE_BILINEAR",
    "DIV": "multiply by the constant's reciprocal",
    "EXPAND_DIMS": "use a reshape, or keep the four dimensions throughout",
    "GATHER_ND": "use slices with constant bounds",
    "HARD_SWISH": "use ReLU6 fused into the convolution before it, and retrain",
    "MAXIMUM": "use a ReLU fused into the convolution before it",
    "MINIMUM": "use a ReLU6 fused into the convolution before it",
    "PRELU": "use LeakyReLU with one slope above 0, or ReLU",
    "RELU": "give the file to `portrait-tflite convert`; a QUANTIZE where that is exact",
    "RELU6": "give the file to `portrait-tflite convert`; a QUANTIZE where that is exact",
    "RESIZE_NEAREST_NEIGHBOR": "convert from the Keras model: the nearest ×2 is rewritten exactly",
    "SHAPE": DYNAMIC_FIX,
    "SOFTMAX": "convert from the Keras model: two classes become one sigmoid, exactly",
    "SQUEEZE": "use a reshape, or keep the four dimensions throughout",
    "TILE": "convert from the Keras model: the nearest ×2 is rewritten exactly",
}

# Fused activations, by the schema's numbers.
ACTIVATIONS = {0: "none", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}


def op_set(names: str) -> frozenset[str]:
    """Read op names, separated by blanks or line ends."""
    return frozenset(names.split())


def first_broken(rules: Iterable[Rule], node: Node) -> tuple[str, str] | None:
    """Return reason and fix of the first rule that an op breaks; None where it keeps all."""
    for rule in rules:
        if (not rule.ops or node.op in rule.ops) and (reason := rule.breaks(node)):
            return reason, rule.fix or FIXES.get(node.op, "replace the layer")
    return None


def dynamic_size(node: Node) -> str:
    """Refuse a tensor whose size is known only at run time."""
    unknown = next((o for o in (*node.given(), *node.outputs) if -1 in o.shape), None)
    return f"the size of {unknown.name!r} is known only at run time" if unknown else ""


def custom_op(node: Node) -> str:
    """Refuse an op that is not built in."""
    return "it is no built-in op" if node.op.startswith(("CUSTOM", "UNKNOWN")) else ""
