"""Who runs which op of a file, and what would help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OutsideOp:
    """An op that a delegate leaves to the built-in kernels.

    Attributes:
        op: Builtin name, e.g. `SOFTMAX`.
        tensor: Name of its first output.
        layer: The Keras layer it came from, or "".
        reason: The rule that it breaks.
        fix: What would help.
        rule: The function of the delegate that the rule was read from, or "".
        index: Its position in the graph.
        rewrite: The rewrite of finished files that brings it inside, or "".
        worth_mcycles: What the fix saves by the cost table, in million cycles; negative where it
            costs. None where the table does not hold it, or was not asked.
        partitions_saved: How many partitions less there are once it is inside, after the ops
            before it that can be mended; None where that was not asked. They add up.
    """

    op: str
    tensor: str
    layer: str
    reason: str
    fix: str
    rule: str = ""
    index: int = -1
    rewrite: str = ""
    worth_mcycles: float | None = None
    partitions_saved: int | None = None


@dataclass(frozen=True)
class DelegateAudit:
    """What one delegate makes of a file.

    Attributes:
        partitions: Delegated partitions; None where that was not run, only predicted.
        complete: Whether every op is inside.
        outside: The ops that stay outside.
        finding: Where the runtime did not do what the delegate's rules predict; "" where it did.
        predicted: Partitions by the delegate's rules; None where it has none.
    """

    partitions: int | None
    complete: bool
    outside: tuple[OutsideOp, ...]
    finding: str = ""
    predicted: int | None = None


@dataclass(frozen=True)
class Audit:
    """What each delegate makes of a file, and the oldest runtime that loads it."""

    xnnpack: DelegateAudit
    gpu: DelegateAudit
    cpu: DelegateAudit
    ops: dict[str, int]
    min_runtime: str
    min_runtime_op: str


@dataclass(frozen=True)
class LintChange:
    """One way to follow a lint rule, and what it saves by the cost table; negative: what it costs.

    Attributes:
        change: In words, e.g. `16 channels`.
        saves_mcycles: In million cycles; None where the table does not hold it.
    """

    change: str
    saves_mcycles: float | None


@dataclass(frozen=True)
class LintFinding:
    """What the guides of mobile nets would have otherwise in a file.

    Attributes:
        rule: Name of the rule, e.g. `odd_channels`.
        places: The layers that it concerns, or tensors where the layer is not known.
        finding: What is there.
        advice: What to do about it.
        source: The guide that says so.
        mcycles: Predicted ARM cost of what it concerns, in million cycles.
        share: The same as a share of the file's, 0 to 1.
        changes: Ways to do it, with what each saves.
    """

    rule: str
    places: tuple[str, ...]
    finding: str
    advice: str
    source: str
    mcycles: float
    share: float
    changes: tuple[LintChange, ...] = ()
